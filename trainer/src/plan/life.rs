//! Lifetimes: from the node that writes a tensor to the last that reads it, as the runtime's parser counts them.

use super::pack::Item;
use crate::quantise::QGraph;
use dunlin::format::{DType, Place};
use dunlin::ops::{Add, Add16, Op};

/// Bytes of the arena that are needed from one time to another. Time 0 is before the first node, time `i + 1`
/// is node `i`, and outputs live until one time after the last node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Buffer {
    /// Tensors that stand here and their offsets: one after the other, each taking the place of the one before, or pieces
    /// of one that joins them.
    pub(super) tensors: Vec<(u16, u32)>,
    /// The node whose working memory this is.
    pub(super) scratch: Option<usize>,
    pub(super) bytes: u32,
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Buffer {
    pub(super) fn item(&self) -> Item {
        Item { bytes: self.bytes, first: self.first, last: self.last }
    }
}

/// Working memory of one node, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Where its output has a place of its own.
    pub(super) apart: u32,
    /// Where its output takes the place of its input.
    pub(super) in_place: u32,
    /// Whether it may work in place, if operator and lifetimes allow it.
    pub(super) may_replace: bool,
    /// Whether what it joins may stand in its output from the beginning.
    pub(super) may_join: bool,
}

/// Whether working in place costs the operator time.
pub(super) fn copies_in_place(op: &Op) -> bool {
    matches!(op, Op::Conv2d(_) | Op::DepthwiseConv2d(_))
}

/// First and last time of each tensor; `None` for persistent and constant ones and those that no node touches.
pub(super) fn lives(graph: &QGraph) -> Vec<Option<(usize, usize)>> {
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; graph.tensors.len()];
    let mut touch = |t: u16, time: usize| {
        let life = lives[usize::from(t)].get_or_insert((time, time));
        life.1 = life.1.max(time);
    };
    let end = graph.nodes.len() + 1;
    graph.inputs.iter().for_each(|&t| touch(t, 0));
    // A list of indices stays until there is another.
    let lists = graph.inputs.iter().filter(|t| graph.tensors[usize::from(**t)].dtype == DType::U16);
    lists.for_each(|&t| touch(t, end));
    for (i, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().chain(&node.outputs).for_each(|&t| touch(t, i + 1));
    }
    graph.outputs.iter().for_each(|&t| touch(t, end));
    for (life, tensor) in lives.iter_mut().zip(&graph.tensors) {
        if tensor.persistent || tensor.constant.is_some() {
            *life = None;
        }
    }
    lives
}

/// Whether output 0 of node `i` may stand where its input `which` stands.
fn can_take(graph: &QGraph, lives: &[Option<(usize, usize)>], i: usize, which: usize) -> bool {
    let node = &graph.nodes[i];
    let (Some(&new), Some(&old)) = (node.outputs.first(), node.inputs.get(which)) else { return false };
    let (Some(born), Some(dies)) = (lives[usize::from(new)], lives[usize::from(old)]) else { return false };
    let once = node.inputs.iter().filter(|&&t| t == old).count() == 1;
    let tensor = |t: u16| graph.tensors[usize::from(t)].at(Place::Arena(0));
    node.op.replaces(&tensor(old), &tensor(new)) && once && dies.1 == i + 1 && born.0 == i + 1
}

/// Swaps the operands of operators that do not mind, where only the second can give its place to the result.
pub(super) fn swap_operands(graph: &mut QGraph) {
    let lives = lives(graph);
    for i in 0..graph.nodes.len() {
        let op = &graph.nodes[i].op;
        if !matches!(op, Op::Add(_) | Op::Mul(_) | Op::Add16(_) | Op::Mul16(_) | Op::MinMax(_)) {
            continue;
        }
        if can_take(graph, &lives, i, 0) || !can_take(graph, &lives, i, 1) {
            continue;
        }
        let node = &mut graph.nodes[i];
        node.inputs.swap(0, 1);
        if let Op::Add(Add { inputs, .. }) | Op::Add16(Add16 { inputs, .. }) = &mut node.op {
            inputs.swap(0, 1);
        }
    }
}

/// All buffers of the arena. Without `reuse` each tensor has one of its own for all time.
pub(super) fn buffers(graph: &QGraph, needs: &[Needs], reuse: bool) -> Vec<Buffer> {
    let lives = lives(graph);
    let end = graph.nodes.len() + 1;
    let mut buffers: Vec<Buffer> = Vec::new();
    // The buffer in which each tensor stands.
    let mut home = vec![None; graph.tensors.len()];
    let add = |t: u16, home: &mut Vec<Option<usize>>, buffers: &mut Vec<Buffer>| {
        let Some((first, last)) = lives[usize::from(t)] else { return };
        if home[usize::from(t)].is_none() {
            home[usize::from(t)] = Some(buffers.len());
            let (first, last) = if reuse { (first, last) } else { (0, end) };
            let bytes = graph.tensors[usize::from(t)].bytes();
            buffers.push(Buffer { tensors: vec![(t, 0)], scratch: None, bytes, first, last });
        }
    };
    graph.inputs.iter().for_each(|&t| add(t, &mut home, &mut buffers));
    for (i, node) in graph.nodes.iter().enumerate() {
        let takes = reuse && needs[i].may_replace && can_take(graph, &lives, i, 0);
        if takes {
            let (old, new) = (usize::from(node.inputs[0]), usize::from(node.outputs[0]));
            if let (Some(at), Some((_, last))) = (home[old], lives[new]) {
                home[new] = Some(at);
                buffers[at].tensors.push((new as u16, 0));
                buffers[at].last = last;
            }
        }
        node.outputs.iter().for_each(|&t| add(t, &mut home, &mut buffers));
        let scratch = if takes { needs[i].in_place } else { needs[i].apart };
        if scratch > 0 {
            let time = i + 1;
            let (first, last) = (time, time);
            buffers.push(Buffer { tensors: Vec::new(), scratch: Some(i), bytes: scratch, first, last });
        }
    }
    if reuse {
        for i in (0..graph.nodes.len()).filter(|&i| needs[i].may_join) {
            join(graph, i, &mut home, &mut buffers);
        }
        buffers.retain(|b| b.bytes > 0);
    }
    buffers
}

/// Lets the inputs of concatenation `i` stand in its output from the beginning, where they lie there in one piece and
/// nothing needs them afterwards. Buffers that went into another are left without bytes.
fn join(graph: &QGraph, i: usize, home: &mut [Option<usize>], buffers: &mut [Buffer]) {
    let node = &graph.nodes[i];
    let Op::Concat(concat) = node.op else { return };
    let Some(target) = home[usize::from(node.outputs[0])] else { return };
    let tensors: Vec<_> =
        node.inputs.iter().map(|&t| graph.tensors[usize::from(t)].at(Place::Arena(0))).collect();
    for (index, (&t, tensor)) in node.inputs.iter().zip(&tensors).enumerate() {
        let once = node.inputs.iter().filter(|&&other| other == t).count() == 1;
        let (Some(source), Some(offset)) = (home[usize::from(t)], concat.offset(tensors.iter(), index))
        else {
            continue;
        };
        let ends = buffers[source].last == i + 1 && buffers[source].bytes == tensor.bytes();
        if !once || !ends || source == target {
            continue;
        }
        let gone = std::mem::replace(
            &mut buffers[source],
            Buffer { tensors: Vec::new(), scratch: None, bytes: 0, first: 0, last: 0 },
        );
        for &(moved, at) in &gone.tensors {
            home[usize::from(moved)] = Some(target);
            buffers[target].tensors.push((moved, offset + at));
        }
        buffers[target].first = buffers[target].first.min(gone.first);
    }
}

/// The most bytes alive at one time.
pub(super) fn largest_live_set(buffers: &[Buffer]) -> u32 {
    let end = buffers.iter().map(|b| b.last).max().unwrap_or(0);
    let live = |time: usize| -> u32 {
        buffers.iter().filter(|b| b.first <= time && time <= b.last).map(|b| b.bytes).sum()
    };
    (0..=end).map(live).max().unwrap_or(0)
}

/// Forbids working in place to those nodes that it costs time, where it saves no memory, and joining early where that
/// costs memory.
pub(super) fn choose(graph: &QGraph, needs: &mut [Needs]) {
    let live = |needs: &[Needs]| largest_live_set(&buffers(graph, needs, true));
    let mut best = live(needs);
    for i in 0..needs.len() {
        // What joins early is alive early: worth it only where it does not cost memory elsewhere.
        if matches!(graph.nodes[i].op, Op::Concat(_)) {
            needs[i].may_join = false;
            let apart = live(needs);
            needs[i].may_join = apart >= best;
            best = best.min(apart);
        }
        if copies_in_place(&graph.nodes[i].op) {
            needs[i].may_replace = false;
            needs[i].may_replace = live(needs) > best;
        }
    }
}
