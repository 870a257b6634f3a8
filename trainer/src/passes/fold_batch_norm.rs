//! Batch normalisation into the weights before it (Jacob et al. 2018, section 3.2).

use super::{add_param, bypass, ensure_bias, sole_producer};
use crate::graph::{Graph, NodeId};
use crate::ops::{Activation, DepthwiseConv2d, Op};
use dunlin::shape::Window;

/// Folds every batch normalisation, with its running statistics, into the convolution or dense layer before it.
/// One that follows anything else becomes a 1x1 depthwise convolution. Returns how many were folded.
pub fn fold_batch_norm(graph: &mut Graph) -> usize {
    let mut folded = 0;
    for n in 0..graph.nodes.len() {
        let Some((scale, shift)) = affine(graph, NodeId(n)) else { continue };
        let input = graph.nodes[n].inputs[0];
        let producer = sole_producer(graph, input, NodeId(n));
        match producer.filter(|p| graph.node(*p).op.fused() == Some(Activation::None)) {
            Some(p) if fold(graph, p, &scale, &shift) => bypass(graph, n),
            _ if graph.value(input).rows.is_none() => become_depthwise(graph, n, &scale, &shift),
            _ => continue,
        }
        folded += 1;
    }
    graph.remove_dead();
    folded
}

/// The normalisation as `scale · x + shift` per channel; `None` for other operators.
fn affine(graph: &Graph, node: NodeId) -> Option<(Vec<f64>, Vec<f64>)> {
    let node = graph.node(node);
    let Op::BatchNorm(norm) = &node.op else { return None };
    let param = |i: usize| graph.param(node.params[i]).data.iter().map(|&v| f64::from(v));
    let scale: Vec<f64> =
        param(0).zip(param(3)).map(|(g, v)| g / (v + f64::from(norm.epsilon)).sqrt()).collect();
    let shift = param(1).zip(param(2)).zip(&scale).map(|((beta, mean), s)| beta - mean * s).collect();
    Some((scale, shift))
}

fn fold(graph: &mut Graph, node: NodeId, scale: &[f64], shift: &[f64]) -> bool {
    let channels = scale.len();
    // Depthwise weights have the output channel last, all others first.
    let channel_last = match &graph.node(node).op {
        Op::DepthwiseConv2d(_) => true,
        Op::Conv2d(_) | Op::TransposeConv2d(_) | Op::Dense(_) => false,
        _ => return false,
    };
    if graph.shares_params(node) {
        return false;
    }
    let weight = graph.node(node).params[0];
    let Some(bias) = ensure_bias(graph, node, channels) else { return false };
    let weights = &mut graph.params[weight.0].data;
    let per_channel = weights.len() / channels;
    for (i, w) in weights.iter_mut().enumerate() {
        let c = if channel_last { i % channels } else { i / per_channel };
        *w = (f64::from(*w) * scale[c]) as f32;
    }
    for ((b, scale), shift) in graph.params[bias.0].data.iter_mut().zip(scale).zip(shift) {
        *b = (f64::from(*b) * scale + shift) as f32;
    }
    true
}

fn become_depthwise(graph: &mut Graph, n: usize, scale: &[f64], shift: &[f64]) {
    let narrow = |v: &[f64]| v.iter().map(|&v| v as f32).collect::<Vec<_>>();
    let name = graph.nodes[n].name.clone();
    let c = scale.len();
    let weight = add_param(graph, format!("{name}.weight"), vec![1, 1, 1, c], narrow(scale));
    let bias = add_param(graph, format!("{name}.bias"), vec![c], narrow(shift));
    let node = &mut graph.nodes[n];
    node.op = Op::DepthwiseConv2d(DepthwiseConv2d {
        multiplier: 1,
        window: Window::square(1, 1),
        bias: true,
        fused: Activation::None,
    });
    node.params = vec![weight, bias];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{BatchNorm, Conv2d, Dense, MaxPool, TransposeConv2d};
    use crate::passes::testing::{assert_same_function, filled};
    use dunlin::shape::{Pad, Shape};

    fn check(op: Op, nodes_after: usize) {
        let mut graph = Graph::new("test");
        let x = graph.add_input("x", Shape::image(6, 7, 4)).unwrap();
        let x = graph.push("op", op, &[x]).unwrap()[0];
        let x = graph.push("bn", BatchNorm { epsilon: 1e-3 }, &[x]).unwrap()[0];
        graph.add_output(x);
        let before = filled(graph, 5);
        let mut after = before.clone();
        assert_eq!(fold_batch_norm(&mut after), 1);
        after.validate().unwrap();
        assert_eq!(after.nodes.len(), nodes_after);
        assert!(!after.nodes.iter().any(|n| matches!(n.op, Op::BatchNorm(_))));
        assert_same_function(&before, &after);
    }

    #[test]
    fn it_folds_into_every_weighted_operator() {
        let window = Window::square(3, 2).padded(Pad::all(1));
        let fused = Activation::None;
        for bias in [false, true] {
            check(Conv2d { out_channels: 5, window, bias, fused }.into(), 1);
            check(DepthwiseConv2d { multiplier: 2, window, bias, fused }.into(), 1);
            check(
                TransposeConv2d { out_channels: 5, window, bias, bilinear: false, fused, extra: [0; 2] }
                    .into(),
                1,
            );
            check(Dense { out_features: 5, bias, fused }.into(), 1);
        }
    }

    #[test]
    fn without_weights_before_it_becomes_a_depthwise_convolution() {
        check(MaxPool { window: Window::square(2, 2), fused: Activation::None }.into(), 2);
        let window = Window::square(3, 1);
        // The activation lies between the weights and the normalisation.
        check(Conv2d { out_channels: 5, window, bias: true, fused: Activation::Relu }.into(), 2);
    }

    #[test]
    fn a_shared_convolution_is_left_alone() {
        let mut graph = Graph::new("test");
        let x = graph.add_input("x", Shape::image(4, 4, 2)).unwrap();
        let op =
            Conv2d { out_channels: 3, window: Window::square(1, 1), bias: true, fused: Activation::None };
        let y = graph.push("conv", op, &[x]).unwrap()[0];
        let z = graph.push("bn", BatchNorm { epsilon: 1e-3 }, &[y]).unwrap()[0];
        graph.add_output(y);
        graph.add_output(z);
        let before = filled(graph, 5);
        let mut after = before.clone();
        assert_eq!(fold_batch_norm(&mut after), 1);
        after.validate().unwrap();
        assert_same_function(&before, &after);
    }
}
