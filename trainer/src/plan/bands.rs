//! Patch-wise execution: the first layers of a network run in bands of rows, one band after the other.
//!
//! Early layers have the largest images, of which whole copies need not exist: a band of the last of these layers needs
//! only a band of each layer before it, a little wider by what the windows reach (Lin et al., "MCUNetV2:
//! Memory-Efficient Patch-based Inference for Tiny Deep Learning", NeurIPS 2021). Rows at the edges of bands are computed
//! twice; the bits are the same. Bands are whole rows, because those lie in memory in one piece.

use crate::quantise::{QGraph, QNode, QTensor};
use dunlin::format::{DType, Place};
use dunlin::ops::{Axis, Concat, Op, Slice, products};
use dunlin::shape::{Shape, Window};
use std::collections::HashMap;
use std::ops::Range;

/// `graph` with everything up to tensor `cut` computed in `count` bands, or `None` where that cannot be.
pub(super) fn split(graph: &QGraph, cut: u16, count: u32) -> Option<QGraph> {
    let before = nodes_before(graph, cut)?;
    let height = graph.tensors[usize::from(cut)].shape.h;
    if count < 2 || count > height {
        return None;
    }
    let mut work = Bands {
        old: graph,
        before: &before,
        new: QGraph { nodes: Vec::new(), ..graph.clone() },
        made: HashMap::new(),
        band: 0,
    };
    let mut parts = Vec::new();
    for band in 0..count {
        let rows = height * band / count..height * (band + 1) / count;
        work.band = band;
        work.made.clear();
        let needs = work.needs(cut, rows.clone())?;
        parts.push(work.compute(cut, &rows, &needs)?);
    }
    let mut new = work.new;
    let name = format!("{} in {count} bands", graph.tensors[usize::from(cut)].name);
    let op = Op::Concat(Concat { axis: Axis::H });
    new.nodes.push(QNode { name, op, inputs: parts, outputs: vec![cut] });
    let rest = graph.nodes.iter().enumerate().filter(|(i, _)| !before.contains(i));
    new.nodes.extend(rest.map(|(_, node)| node.clone()));
    drop_unused(&mut new);
    Some(new)
}

/// Drops the tensors that no node touches any more.
fn drop_unused(graph: &mut QGraph) {
    let touched: Vec<u16> =
        graph.nodes.iter().flat_map(|n| n.inputs.iter().chain(&n.outputs)).copied().collect();
    let used = |t: u16| touched.contains(&t) || graph.inputs.contains(&t) || graph.outputs.contains(&t);
    let kept: Vec<u16> = (0..graph.tensors.len() as u16).filter(|&t| used(t)).collect();
    let place: HashMap<u16, u16> = kept.iter().enumerate().map(|(new, &old)| (old, new as u16)).collect();
    graph.tensors = kept.iter().map(|&t| graph.tensors[usize::from(t)].clone()).collect();
    let lists = graph.nodes.iter_mut().flat_map(|n| [&mut n.inputs, &mut n.outputs]);
    for list in lists.chain([&mut graph.inputs, &mut graph.outputs]) {
        list.iter_mut().for_each(|t| *t = place[t]);
    }
}

/// Products of a program, and the values that it writes, to compare what ways of splitting one cost.
pub(super) fn work(graph: &QGraph) -> u64 {
    let tensor = |&t: &u16| graph.tensors[usize::from(t)].at(Place::Arena(0));
    let of = |node: &QNode| {
        let inputs: Vec<_> = node.inputs.iter().map(tensor).collect();
        let Some(output) = node.outputs.first().map(tensor) else { return 0 };
        products(&node.op, &inputs, &output) + output.shape.elements() as u64
    };
    graph.nodes.iter().map(of).sum()
}

/// Tensors at which a network can be cut, in the order in which they are written: every path from the inputs to what
/// comes after goes through them.
pub(super) fn cuts(graph: &QGraph) -> Vec<u16> {
    let outputs = graph.nodes.iter().filter_map(|n| n.outputs.first().copied());
    outputs.filter(|&t| nodes_before(graph, t).is_some_and(|before| before.len() > 1)).collect()
}

/// The nodes that `cut` is made by, where nothing else reads what they write and all can be computed in bands.
fn nodes_before(graph: &QGraph, cut: u16) -> Option<Vec<usize>> {
    let mut before: Vec<usize> = Vec::new();
    let mut wanted = vec![cut];
    while let Some(t) = wanted.pop() {
        if graph.inputs.contains(&t) {
            continue;
        }
        let node = graph.nodes.iter().position(|n| n.outputs.contains(&t))?;
        if !before.contains(&node) {
            before.push(node);
            wanted.extend(&graph.nodes[node].inputs);
        }
    }
    before.sort_unstable();
    let private = |t: u16| {
        let readers = graph.nodes.iter().enumerate().filter(|(_, n)| n.inputs.contains(&t));
        !graph.outputs.contains(&t) && readers.into_iter().all(|(i, _)| before.contains(&i))
    };
    let fit = before.iter().all(|&i| {
        let node = &graph.nodes[i];
        let tensors = node.inputs.iter().chain(&node.outputs).map(|&t| &graph.tensors[usize::from(t)]);
        let plain = |t: &QTensor| {
            t.dtype == DType::I8
                && t.shape.n == 1
                && !t.persistent
                && t.constant.is_none()
                && t.rows.is_none()
        };
        reach(&node.op, 0).is_some()
            && node.outputs.len() == 1
            && tensors.into_iter().all(plain)
            && (node.outputs[0] == cut || private(node.outputs[0]))
    });
    fit.then_some(before)
}

/// How the rows of an operator's input follow from those of its output.
enum Reach {
    /// A window over the input.
    Window(Window),
    /// The same rows.
    Same,
}

fn reach(op: &Op, input: usize) -> Option<Reach> {
    Some(match op {
        Op::Conv2dAdd(o) if input == 1 => Reach::Window(o.conv.window),
        Op::Conv2dAdd(_) => Reach::Same,
        Op::Conv2d(o) if o.labels.is_none() => Reach::Window(o.window),
        Op::DepthwiseConv2d(o) => Reach::Window(o.window),
        Op::MaxPool2d(o) => Reach::Window(o.window),
        Op::AveragePool2d(o) => Reach::Window(o.window),
        Op::Add(_) | Op::Mul(_) | Op::Lut(_) | Op::Requantize(_) => Reach::Same,
        _ => return None,
    })
}

/// The operator with another window.
fn with_window(op: Op, window: Window) -> Op {
    match op {
        Op::Conv2d(o) => Op::Conv2d(dunlin::ops::Conv2d { window, ..o }),
        Op::Conv2dAdd(o) => {
            let conv = dunlin::ops::Conv2d { window, ..o.conv };
            Op::Conv2dAdd(dunlin::ops::Conv2dAdd { conv, ..o })
        }
        Op::DepthwiseConv2d(o) => Op::DepthwiseConv2d(dunlin::ops::DepthwiseConv2d { window, ..o }),
        Op::MaxPool2d(o) => Op::MaxPool2d(dunlin::ops::MaxPool2d { window, ..o }),
        Op::AveragePool2d(o) => Op::AveragePool2d(dunlin::ops::AveragePool2d { window, ..o }),
        other => other,
    }
}

/// Input rows that the output rows `rows` read, and the window over just these rows.
fn input_rows(window: &Window, height: u32, rows: &Range<u32>) -> Option<(Range<u32>, Window)> {
    let (stride, top) = (i64::from(window.stride_h), i64::from(window.pad.top));
    let span = (i64::from(window.kernel_h) - 1) * i64::from(window.dilation_h) + 1;
    let first = i64::from(rows.start) * stride - top;
    let last = (i64::from(rows.end) - 1) * stride - top + span;
    let (begin, end) = (first.max(0), last.min(i64::from(height)));
    if begin >= end {
        return None;
    }
    let mut part = *window;
    part.pad.top = u16::try_from(begin - first).ok()?;
    part.pad.bottom = u16::try_from(last - end).ok()?;
    Some((begin as u32..end as u32, part))
}

struct Bands<'a> {
    old: &'a QGraph,
    before: &'a [usize],
    new: QGraph,
    /// The rows that exist of each old tensor in this band, and the tensor that holds them.
    made: HashMap<u16, (Range<u32>, u16)>,
    band: u32,
}

impl Bands<'_> {
    fn shape(&self, t: u16) -> Shape {
        self.old.tensors[usize::from(t)].shape
    }

    fn writer(&self, t: u16) -> Option<&QNode> {
        self.before.iter().map(|&i| &self.old.nodes[i]).find(|n| n.outputs[0] == t)
    }

    /// Rows of every tensor that rows `rows` of `cut` need: the hull of what its readers need.
    fn needs(&self, cut: u16, rows: Range<u32>) -> Option<HashMap<u16, Range<u32>>> {
        let mut needs = HashMap::from([(cut, rows)]);
        for &i in self.before.iter().rev() {
            let node = &self.old.nodes[i];
            let Some(rows) = needs.get(&node.outputs[0]).cloned() else { continue };
            for (i, &input) in node.inputs.iter().enumerate() {
                let more = match reach(&node.op, i)? {
                    Reach::Window(window) => input_rows(&window, self.shape(input).h, &rows)?.0,
                    // One row for all is as it is.
                    Reach::Same if self.shape(input).h == 1 => 0..1,
                    Reach::Same => rows.clone(),
                };
                let hull = needs.entry(input).or_insert_with(|| more.clone());
                *hull = hull.start.min(more.start)..hull.end.max(more.end);
            }
        }
        Some(needs)
    }

    /// The tensor that holds exactly `rows` of `t`.
    fn compute(&mut self, t: u16, rows: &Range<u32>, needs: &HashMap<u16, Range<u32>>) -> Option<u16> {
        let whole = 0..self.shape(t).h;
        if !self.made.contains_key(&t) {
            let Some(node) = self.writer(t).cloned() else {
                // An input of the network, which is there as a whole.
                self.made.insert(t, (whole, t));
                return self.compute(t, rows, needs);
            };
            let all = needs.get(&t)?.clone();
            let mut op = node.op;
            let mut inputs = Vec::new();
            for (i, &input) in node.inputs.iter().enumerate() {
                let part = match reach(&node.op, i)? {
                    Reach::Window(window) => {
                        let (part, window) = input_rows(&window, self.shape(input).h, &all)?;
                        op = with_window(op, window);
                        part
                    }
                    Reach::Same if self.shape(input).h == 1 => 0..1,
                    Reach::Same => all.clone(),
                };
                inputs.push(self.compute(input, &part, needs)?);
            }
            let output = self.tensor(t, &all);
            let name = format!("{} [{}]", node.name, self.band);
            self.new.nodes.push(QNode { name, op, inputs, outputs: vec![output] });
            self.made.insert(t, (all, output));
        }
        let (held, tensor) = self.made[&t].clone();
        if held == *rows {
            return Some(tensor);
        }
        let part = self.tensor(t, rows);
        let op = Op::Slice(Slice { begin: [0, rows.start - held.start, 0, 0] });
        let name = format!("rows of {} [{}]", self.old.tensors[usize::from(t)].name, self.band);
        self.new.nodes.push(QNode { name, op, inputs: vec![tensor], outputs: vec![part] });
        Some(part)
    }

    /// A new tensor for `rows` of `t`.
    fn tensor(&mut self, t: u16, rows: &Range<u32>) -> u16 {
        let old = &self.old.tensors[usize::from(t)];
        let shape = Shape { h: rows.end - rows.start, ..old.shape };
        let name = format!("{} [{}]", old.name, self.band);
        self.new.tensors.push(QTensor { name, shape, value: None, ..old.clone() });
        self.new.tensors.len() as u16 - 1
    }
}
