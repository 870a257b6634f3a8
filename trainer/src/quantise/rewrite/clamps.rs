//! Activations that only limit what the operator before them stores.
//!
//! A lookup, change of scale, minimum or maximum that maps every value that can occur to itself, or to the nearer end of a
//! range, is a fused activation of the operator that makes these values: one pass over memory less.

use super::constants::Constants;
use super::links::{is_private, producer, readers};
use super::ranges::{clamp_mut, clamp_of, table_of};
use crate::quantise::QGraph;
use dunlin::ops::Op;
use dunlin::quant::Clamp;

/// Fuses every such activation; how many there were.
pub(super) fn fuse(program: &mut QGraph, constants: &Constants) -> usize {
    let (mut fused, mut n) = (0, 0);
    while n < program.nodes.len() {
        let Some((before, clamp)) = limit(program, n, constants) else {
            n += 1;
            continue;
        };
        let output = program.nodes[n].outputs[0];
        program.nodes[before].outputs[0] = output;
        if let Some(fused) = clamp_mut(&mut program.nodes[before].op) {
            *fused = clamp;
        }
        program.nodes.remove(n);
        fused += 1;
    }
    fused
}

/// The node before node `n` and the range to which it has to limit its output to make node `n` superfluous.
fn limit(program: &QGraph, n: usize, constants: &Constants) -> Option<(usize, Clamp)> {
    let node = &program.nodes[n];
    let (x, table) = table_of(program, node, constants)?;
    let y = *node.outputs.first()?;
    let before = producer(program, x)?;
    let own = clamp_of(&program.nodes[before].op)?;
    let value = |q: i8| table[usize::from((q as u8) ^ 0x80)];
    let clamp = Clamp { min: value(own.min), max: value(own.max) };
    let limits = clamp.min <= clamp.max && (own.min..=own.max).all(|q| value(q) == clamp.apply(i32::from(q)));
    let (from, to) = (&program.tensors[usize::from(x)], &program.tensors[usize::from(y)]);
    let pool = matches!(program.nodes[before].op, Op::MaxPool2d(_) | Op::AveragePool2d(_));
    let same_zero = from.quant.zero_point == to.quant.zero_point && (!pool || from.quant == to.quant);
    let alone = is_private(program, x) && readers(program, x) == [n] && !to.persistent;
    (limits && same_zero && alone).then_some((before, clamp))
}
