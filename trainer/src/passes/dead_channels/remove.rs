//! Removing channels once it is decided which.

use crate::graph::{Graph, NodeId, ParamId};
use crate::ops::Op;
use crate::passes::channel_sets::PerChannel;
use crate::passes::ensure_bias;

/// Removes the marked channels: folds their constants into biases, cuts weights, adapts attributes and shapes.
pub(super) fn remove(graph: &mut Graph, known: &PerChannel<Option<f32>>, removable: &PerChannel<bool>) {
    let kept: PerChannel<usize> =
        removable.iter().map(|r| (0..r.len()).filter(|&i| !r[i]).collect()).collect();
    for n in 0..graph.nodes.len() {
        let Some(x) = graph.nodes[n].inputs.first().map(|v| v.0) else { continue };
        let y = graph.nodes[n].outputs[0].0;
        if matches!(graph.nodes[n].op, Op::Conv2d(_) | Op::TransposeConv2d(_) | Op::Dense(_)) {
            fold_constants(graph, n, known, removable);
            keep_weights(graph, n, removable[x].len(), &kept[x], &kept[y]);
        }
        let out = kept[y].len() as u32;
        match &mut graph.nodes[n].op {
            Op::Conv2d(o) => o.out_channels = out,
            Op::Dense(o) => o.out_features = out,
            Op::TransposeConv2d(o) => {
                o.out_channels = out;
                o.bilinear = false;
            }
            Op::DepthwiseConv2d(_) => {
                for id in graph.nodes[n].params.clone() {
                    keep_rows_of(graph, id, removable[y].len(), &kept[y]);
                }
            }
            Op::Slice(o) => {
                let begin = o.begin[2] as usize;
                o.begin[2] = kept[x].iter().filter(|&&i| i < begin).count() as u32;
                o.size[2] = out;
            }
            Op::Reshape(o) => o.shape.c = out,
            _ => {}
        }
    }
    for (value, kept) in graph.values.iter_mut().zip(&kept) {
        value.shape.c = kept.len() as u32;
    }
}

/// Adds what the removed input channels contribute to each output to the bias.
fn fold_constants(
    graph: &mut Graph,
    n: usize,
    known: &PerChannel<Option<f32>>,
    removable: &PerChannel<bool>,
) {
    let (x, y) = (graph.nodes[n].inputs[0].0, graph.nodes[n].outputs[0].0);
    let weights = &graph.param(graph.nodes[n].params[0]).data;
    let (c, out) = (removable[x].len(), removable[y].len());
    let folded: Vec<f64> = weights
        .chunks_exact(weights.len() / out)
        .map(|row| {
            let constant = |i: usize| if removable[x][i] { known[x][i].unwrap_or(0.0) } else { 0.0 };
            row.iter().enumerate().map(|(k, &w)| f64::from(w) * f64::from(constant(k % c))).sum()
        })
        .collect();
    if folded.iter().all(|&f| f == 0.0) {
        return;
    }
    if let Some(bias) = ensure_bias(graph, NodeId(n), out) {
        for (b, f) in graph.params[bias.0].data.iter_mut().zip(folded) {
            *b = (f64::from(*b) + f) as f32;
        }
    }
}

/// Cuts weights `[out, …, in]` and bias of a convolution or dense layer to the kept channels.
fn keep_weights(graph: &mut Graph, n: usize, inputs: usize, kept_in: &[usize], kept_out: &[usize]) {
    let params = graph.nodes[n].params.clone();
    let weight = &mut graph.params[params[0].0];
    let (out, taps) = (weight.dims[0], weight.data.len() / weight.dims[0] / inputs);
    let at = |o: usize, t: usize, i: usize| weight.data[(o * taps + t) * inputs + i];
    let data: Vec<f32> = kept_out
        .iter()
        .flat_map(|&o| (0..taps).flat_map(move |t| kept_in.iter().map(move |&i| (o, t, i))))
        .map(|(o, t, i)| at(o, t, i))
        .collect();
    weight.data = data;
    weight.dims[0] = kept_out.len();
    if let Some(last) = weight.dims.last_mut() {
        *last = kept_in.len();
    }
    if let Some(&bias) = params.get(1) {
        keep_rows_of(graph, bias, out, kept_out);
    }
}

/// Cuts the last axis of a parameter, which has `channels` entries, to the kept ones.
fn keep_rows_of(graph: &mut Graph, id: ParamId, channels: usize, kept: &[usize]) {
    let param = &mut graph.params[id.0];
    param.data = param.data.chunks_exact(channels).flat_map(|row| kept.iter().map(|&i| row[i])).collect();
    if let Some(last) = param.dims.last_mut() {
        *last = kept.len();
    }
}
