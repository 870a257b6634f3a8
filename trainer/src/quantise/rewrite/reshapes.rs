//! Reshapes to the same shape, scale and zero point.

use super::links::is_private;
use crate::quantise::QGraph;
use dunlin::ops::Op;

/// Drops every reshape that changes nothing; how many there were.
pub(super) fn drop(program: &mut QGraph) -> usize {
    let (mut dropped, mut n) = (0, 0);
    while n < program.nodes.len() {
        let node = &program.nodes[n];
        if !matches!(node.op, Op::Reshape(_)) {
            n += 1;
            continue;
        }
        let (x, y) = (node.inputs[0], node.outputs[0]);
        let (from, to) = (&program.tensors[usize::from(x)], &program.tensors[usize::from(y)]);
        let same = from.shape == to.shape && from.quant == to.quant && from.rows == to.rows;
        if !same || !is_private(program, x) || to.persistent {
            n += 1;
            continue;
        }
        // Whoever read or wrote the input has the output instead.
        for other in &mut program.nodes {
            let ids = other.inputs.iter_mut().chain(&mut other.outputs);
            ids.filter(|id| **id == x).for_each(|id| *id = y);
        }
        program.nodes.remove(n);
        dropped += 1;
    }
    dropped
}
