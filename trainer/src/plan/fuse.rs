//! Fusion of nodes of the integer program where it saves memory and a pass over it, with the same bits.

use crate::quantise::{QGraph, QNode};
use dunlin::format::DType;
use dunlin::ops::{Add, Axis, Concat, Conv2dAdd, GatherRows, Op};

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

/// Makes one node of each concatenation of channels and the gathered rows that nothing else reads: what an edge sees of
/// its nodes is written once, where it is used. Returns how many nodes went.
pub(super) fn joins_of_gathered_rows(graph: &mut QGraph) -> usize {
    let mut count = 0;
    let mut at = 0;
    while at < graph.nodes.len() {
        match gathered_join(graph, at) {
            Some((fused, gathers)) => {
                graph.nodes[at] = fused;
                count += gathers.len();
                at -= gathers.len();
                // From the last: the places of the others stay.
                gathers.iter().rev().for_each(|&gather| drop(graph.nodes.remove(gather)));
            }
            None => at += 1,
        }
    }
    count
}

/// The node that replaces the concatenation at `at` and the gathers before it, and their places in order.
fn gathered_join(graph: &QGraph, at: usize) -> Option<(QNode, Vec<usize>)> {
    let node = &graph.nodes[at];
    let rows = |id: &u16| {
        let s = graph.tensors[usize::from(*id)].shape;
        s.n == 1 && s.h == 1
    };
    let joins = matches!(node.op, Op::Concat(Concat { axis: Axis::C }));
    if !joins || node.inputs.len() > 16 || !node.inputs.iter().all(rows) {
        return None;
    }
    let gather = |result: u16| {
        let reads = graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs);
        let private = reads.filter(|&&t| t == result).count() == 1;
        let writer = graph.nodes[..at].iter().rposition(|n| n.outputs.contains(&result))?;
        let single = graph.nodes[writer].op == Op::GatherRows(GatherRows { gathered: 1 });
        let plain = single && graph.nodes[writer].inputs.len() == 2;
        (private && plain).then_some(writer)
    };
    let (mut parts, mut lists, mut gathered, mut gathers) = (Vec::new(), Vec::new(), 0, Vec::new());
    for (i, &input) in node.inputs.iter().enumerate() {
        match gather(input) {
            Some(writer) => {
                gathered |= 1 << i;
                parts.push(graph.nodes[writer].inputs[0]);
                lists.push(graph.nodes[writer].inputs[1]);
                gathers.push(writer);
            }
            None => parts.push(input),
        }
    }
    if gathers.is_empty() {
        return None;
    }
    gathers.sort_unstable();
    parts.extend(lists);
    let op = Op::GatherRows(GatherRows { gathered });
    Some((QNode { name: node.name.clone(), op, inputs: parts, outputs: node.outputs.clone() }, gathers))
}
