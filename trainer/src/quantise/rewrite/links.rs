//! Who writes and who reads a tensor, and taking nodes out.

use crate::quantise::QGraph;

/// The nodes that read a tensor.
pub(super) fn readers(program: &QGraph, tensor: u16) -> Vec<usize> {
    let reads = |n: &usize| program.nodes[*n].inputs.contains(&tensor);
    (0..program.nodes.len()).filter(reads).collect()
}

/// The node that writes a tensor.
pub(super) fn producer(program: &QGraph, tensor: u16) -> Option<usize> {
    program.nodes.iter().position(|n| n.outputs.contains(&tensor))
}

/// Whether nothing but nodes of this run sees a tensor.
pub(super) fn is_private(program: &QGraph, tensor: u16) -> bool {
    let t = &program.tensors[usize::from(tensor)];
    let seen = program.inputs.contains(&tensor) || program.outputs.contains(&tensor);
    !seen && !t.persistent && t.constant.is_none()
}

/// Drops tensors that no node reads or writes and that are neither input nor output; persistent ones stay.
pub(super) fn drop_unused_tensors(program: &mut QGraph) {
    let mut used: Vec<bool> = program.tensors.iter().map(|t| t.persistent).collect();
    let of_nodes = program.nodes.iter().flat_map(|n| n.inputs.iter().chain(&n.outputs));
    for &id in of_nodes.chain(&program.inputs).chain(&program.outputs) {
        used[usize::from(id)] = true;
    }
    let mut next = 0;
    let numbers: Vec<u16> = used
        .iter()
        .map(|&used| {
            next += u16::from(used);
            // Of no use for a tensor that goes.
            next.wrapping_sub(1)
        })
        .collect();
    let renumber = |ids: &mut Vec<u16>| ids.iter_mut().for_each(|id| *id = numbers[usize::from(*id)]);
    for node in &mut program.nodes {
        renumber(&mut node.inputs);
        renumber(&mut node.outputs);
    }
    renumber(&mut program.inputs);
    renumber(&mut program.outputs);
    let mut used = used.into_iter();
    program.tensors.retain(|_| used.next().unwrap_or(true));
}
