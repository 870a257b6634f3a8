//! Which channels have one value at every pixel, whatever the input.

use crate::graph::{Graph, Node};
use crate::ops::{Axis, DType, Op, PadMode, ReduceFn};
use crate::passes::channel_sets::PerChannel;

/// The value of each channel that is constant over all pixels.
pub(super) fn constants(graph: &Graph) -> PerChannel<Option<f32>> {
    let mut known: PerChannel<Option<f32>> =
        graph.values.iter().map(|v| vec![None; v.shape.c as usize]).collect();
    for node in &graph.nodes {
        let y = node.outputs[0];
        if graph.value(y).dtype == DType::Float {
            let mut channels = of_node(graph, node, &known);
            if let Some(fused) = node.op.fused() {
                let (lo, hi) = fused.bounds();
                channels.iter_mut().flatten().for_each(|v| *v = v.max(lo).min(hi));
            }
            known[y.0] = channels;
        }
    }
    known
}

fn of_node(graph: &Graph, node: &Node, known: &PerChannel<Option<f32>>) -> Vec<Option<f32>> {
    let c = graph.shape(node.outputs[0]).c as usize;
    let x = |i: usize| &known[node.inputs[i].0];
    let broadcast = |k: usize, i: usize| if x(k).len() == 1 { x(k)[0] } else { x(k)[i] };
    let zeros_only = |v: &Option<f32>| v.filter(|&v| v == 0.0);
    match &node.op {
        Op::Conv2d(o) => sums(graph, node, x(0), o.window.pad.is_none()),
        Op::Dense(_) => sums(graph, node, x(0), true),
        Op::TransposeConv2d(_) => sums(graph, node, x(0), false),
        Op::DepthwiseConv2d(o) => {
            let weights = &graph.param(node.params[0]).data;
            let m = o.multiplier as usize;
            let taps = |channel: usize| weights.iter().skip(channel).step_by(c).copied();
            let sum = |i: usize| constant_sum(x(0)[i / m], taps(i), o.window.pad.is_none());
            (0..c).map(|i| sum(i).map(|s| (s + bias(graph, node, i)) as f32)).collect()
        }
        Op::Add(_) => (0..c).map(|i| Some(broadcast(0, i)? + broadcast(1, i)?)).collect(),
        Op::Sub(_) => (0..c).map(|i| Some(broadcast(0, i)? - broadcast(1, i)?)).collect(),
        Op::Mul(_) => (0..c)
            .map(|i| match (broadcast(0, i), broadcast(1, i)) {
                (Some(a), Some(b)) => Some(a * b),
                (a, b) => zeros_only(&a).or(zeros_only(&b)),
            })
            .collect(),
        Op::Unary(o) => x(0).iter().map(|v| v.map(|v| o.function.eval(f64::from(v)) as f32)).collect(),
        Op::MaxPool(_) | Op::MaxPoolIndices(_) | Op::AvgPool(_) | Op::Resize(_) => x(0).clone(),
        Op::Identity(_) | Op::Dropout(_) => x(0).clone(),
        Op::MaxUnpool(_) => x(0).iter().map(zeros_only).collect(),
        Op::Pad(o) if x(0).len() == c => match o.mode {
            PadMode::Constant => x(0).iter().map(|v| v.filter(|&v| v == o.value)).collect(),
            PadMode::Reflect | PadMode::Symmetric => x(0).clone(),
        },
        Op::Reduce(o) if o.function != ReduceFn::Sum && !o.axes[3] => x(0).clone(),
        Op::Slice(o) => x(0)[o.begin[2] as usize..][..c].to_vec(),
        Op::Concat(o) if o.axis == Axis::C => (0..node.inputs.len()).flat_map(|i| x(i).clone()).collect(),
        Op::Concat(_) => {
            (0..c).map(|i| x(0)[i].filter(|_| (1..node.inputs.len()).all(|k| x(k)[i] == x(0)[i]))).collect()
        }
        Op::Reshape(_) if x(0).len() == c => x(0).clone(),
        _ => vec![None; c],
    }
}

fn bias(graph: &Graph, node: &Node, channel: usize) -> f64 {
    node.params.get(1).map_or(0.0, |b| f64::from(graph.param(*b).data[channel]))
}

/// Output channels of a layer whose weights are `[out, taps, in]`. `whole`: every output sees every tap.
fn sums(graph: &Graph, node: &Node, x: &[Option<f32>], whole: bool) -> Vec<Option<f32>> {
    let c = graph.shape(node.outputs[0]).c as usize;
    let weights = &graph.param(node.params[0]).data;
    weights
        .chunks_exact(weights.len() / c)
        .enumerate()
        .map(|(o, weights)| {
            let input =
                |i: usize| constant_sum(x[i], weights.iter().skip(i).step_by(x.len()).copied(), whole);
            let sum = (0..x.len()).map(input).sum::<Option<f64>>()?;
            Some((sum + bias(graph, node, o)) as f32)
        })
        .collect()
}

/// What one input channel adds to a sum, where that is the same at every pixel.
fn constant_sum(x: Option<f32>, mut weights: impl Iterator<Item = f32> + Clone, whole: bool) -> Option<f64> {
    if weights.clone().all(|w| w == 0.0) || x == Some(0.0) {
        return Some(0.0);
    }
    let x = x.filter(|_| whole)?;
    Some(f64::from(x) * weights.by_ref().map(f64::from).sum::<f64>())
}
