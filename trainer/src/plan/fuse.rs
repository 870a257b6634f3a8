//! Fusion of nodes of the integer program where it saves memory and a pass over it, with the same bits.

use crate::quantise::{QGraph, QNode};
use dunlin::format::DType;
use dunlin::ops::{Add, Conv2dAdd, Op};

/// Makes one node of each sum and a convolution that nothing else reads. Returns how many.
pub(super) fn sums_of_convolutions(graph: &mut QGraph) -> usize {
    let mut count = 0;
    let mut at = 0;
    while at < graph.nodes.len() {
        match candidate(graph, at) {
            Some((conv, fused)) => {
                graph.nodes[at] = fused;
                // The convolution stood before the sum, whose place it takes.
                graph.nodes.remove(conv);
                count += 1;
            }
            None => at += 1,
        }
    }
    count
}

/// The convolution that can be fused with the sum at `at`, and the node that replaces both.
fn candidate(graph: &QGraph, at: usize) -> Option<(usize, QNode)> {
    let node = &graph.nodes[at];
    let Op::Add(add) = node.op else { return None };
    let tensor = |id: u16| &graph.tensors[usize::from(id)];
    let &[a, b] = node.inputs.as_slice() else { return None };
    let out = tensor(node.outputs[0]);
    let plain = |id: u16| {
        let t = tensor(id);
        t.dtype == DType::I8 && t.shape == out.shape && t.rows.is_none()
    };
    if a == b || !plain(a) || !plain(b) {
        return None;
    }
    let fuse = |which: usize| {
        let [result, other] = if which == 0 { [a, b] } else { [b, a] };
        let reads = graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs);
        let private = reads.filter(|&&t| t == result).count() == 1;
        let writer = graph.nodes[..at].iter().rposition(|n| n.outputs.contains(&result))?;
        let Op::Conv2d(conv) = graph.nodes[writer].op else { return None };
        let input = graph.nodes[writer].inputs[0];
        let kept = tensor(result).persistent || tensor(other).constant.is_some();
        if !private || kept || conv.labels.is_some() || tensor(input).rows.is_some() {
            return None;
        }
        // The second input of the sum is the convolution's result.
        let inputs = if which == 1 { add.inputs } else { [add.inputs[1], add.inputs[0]] };
        let zero_point = tensor(result).quant.zero_point as i8;
        let op = Op::Conv2dAdd(Conv2dAdd { conv, zero_point, add: Add { inputs, ..add } });
        let name = format!("{} + {}", graph.nodes[writer].name, node.name);
        Some((writer, QNode { name, op, inputs: vec![other, input], outputs: node.outputs.clone() }))
    };
    // The smaller input is the one to keep until the sum; of equals, the later convolution.
    let cost = |(writer, fused): &(usize, QNode)| (tensor(fused.inputs[1]).bytes(), usize::MAX - *writer);
    [0, 1].into_iter().filter_map(fuse).min_by_key(cost)
}
