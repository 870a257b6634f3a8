//! An order of the nodes that needs little memory, by a beam search over topological orders.

use super::life::{self, Needs};
use crate::quantise::QGraph;
use std::collections::HashMap;

/// Partial orders kept at each step.
const BEAM: usize = 24;

/// The given order, or a better one where the beam search finds it.
pub(super) fn best(graph: &QGraph, needs: &[Needs]) -> Vec<usize> {
    let given: Vec<usize> = (0..graph.nodes.len()).collect();
    // Writes and reads of a persistent tensor keep their order; so does everything around them.
    if graph.tensors.iter().any(|t| t.persistent) || given.len() < 3 {
        return given;
    }
    let found = search(graph, needs);
    if peak(graph, needs, &found) < peak(graph, needs, &given) { found } else { given }
}

/// Largest live set of an order, as the planner will see it.
fn peak(graph: &QGraph, needs: &[Needs], order: &[usize]) -> u32 {
    let mut ordered = graph.clone();
    ordered.nodes = order.iter().map(|&n| graph.nodes[n].clone()).collect();
    life::swap_operands(&mut ordered);
    let needs: Vec<Needs> = order.iter().map(|&n| needs[n]).collect();
    life::largest_live_set(&life::buffers(&ordered, &needs, true))
}

#[derive(Clone)]
struct Partial {
    order: Vec<usize>,
    done: Vec<bool>,
    /// Reads that are still to come, per tensor; network outputs count one.
    reads: Vec<usize>,
    live: u64,
    peak: u64,
}

fn search(graph: &QGraph, needs: &[Needs]) -> Vec<usize> {
    let count = graph.nodes.len();
    // Constants take no memory of the arena.
    let bytes = |t: u16| {
        let tensor = &graph.tensors[usize::from(t)];
        if tensor.constant.is_some() { 0 } else { u64::from(tensor.bytes()) }
    };
    let mut reads = vec![0; graph.tensors.len()];
    let read = graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs);
    read.for_each(|&t| reads[usize::from(t)] += 1);
    let mut writer: HashMap<u16, usize> = HashMap::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        node.outputs.iter().for_each(|&t| {
            writer.insert(t, n);
        });
    }
    let live = graph.inputs.iter().map(|&t| bytes(t)).sum();
    let mut beam = vec![Partial { order: Vec::new(), done: vec![false; count], reads, live, peak: live }];
    for _ in 0..count {
        let mut next: HashMap<Vec<bool>, Partial> = HashMap::new();
        for partial in &beam {
            let ready = |n: &usize| {
                let waits = |t: &u16| writer.get(t).is_some_and(|&w| !partial.done[w]);
                !partial.done[*n] && !graph.nodes[*n].inputs.iter().any(waits)
            };
            for n in (0..count).filter(ready) {
                let candidate = extend(graph, needs, partial, n, &bytes);
                let slot = next.entry(candidate.done.clone()).or_insert_with(|| candidate.clone());
                if (candidate.peak, candidate.live) < (slot.peak, slot.live) {
                    *slot = candidate;
                }
            }
        }
        beam = next.into_values().collect();
        // The order itself breaks ties, because a hash map's order is random.
        beam.sort_by(|a, b| (a.peak, a.live, &a.order).cmp(&(b.peak, b.live, &b.order)));
        beam.truncate(BEAM);
    }
    beam.swap_remove(0).order
}

fn extend(
    graph: &QGraph,
    needs: &[Needs],
    partial: &Partial,
    n: usize,
    bytes: &impl Fn(u16) -> u64,
) -> Partial {
    let node = &graph.nodes[n];
    let mut next = partial.clone();
    next.order.push(n);
    next.done[n] = true;
    let outputs: u64 = node.outputs.iter().map(|&t| bytes(t)).sum();
    let mut dying = 0;
    for &t in &node.inputs {
        next.reads[usize::from(t)] -= 1;
        if next.reads[usize::from(t)] == 0 {
            dying += bytes(t);
        }
    }
    let takes = |t: &u16| {
        next.reads[usize::from(*t)] == 0 && node.outputs.first().is_some_and(|o| bytes(*o) == bytes(*t))
    };
    let (shared, scratch) = if node.op.in_place() && node.inputs.iter().any(takes) {
        (bytes(node.outputs[0]), needs[n].in_place)
    } else {
        (0, needs[n].apart)
    };
    next.peak = next.peak.max(partial.live + outputs + u64::from(scratch) - shared);
    let unread: u64 =
        node.outputs.iter().filter(|&&t| next.reads[usize::from(t)] == 0).map(|&t| bytes(t)).sum();
    next.live = partial.live + outputs - dying - unread;
    next
}
