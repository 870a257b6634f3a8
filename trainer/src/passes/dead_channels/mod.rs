//! Channels that carry no information.
//!
//! Training with weight decay leaves output channels whose weights are all zero: such a channel is a constant
//! (its bias through the activation). A constant is folded into the biases of the convolutions that read it, and
//! the channel is removed from every operator that it passes through. So is a channel that nobody reads with a
//! weight other than zero. Nothing is lost: where a padded border makes a constant inexact, the channel stays.
//!
//! [`crate::quantise::rewrite`] does the same to the integer program, and finds more there: what rounds to a constant,
//! what a border does not change after rounding. This pass remains for what it does before that: a constant that is gone
//! widens no range in calibration and is not trained on; and it goes through operators of which the integer pass knows
//! nothing (transpose convolution, unpooling, 16-bit activations).

mod constants;
mod remove;

use super::channel_sets::{PerChannel, largest, tie};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{Axis, DType, Op};
use constants::constants;

/// Folds dead channels forward and removes them. Returns how many output channels of convolutions and dense
/// layers went.
pub fn fold_dead_channels(graph: &mut Graph) -> usize {
    let known = constants(graph);
    let removable = removable(graph, &known);
    if !removable.iter().flatten().any(|&r| r) {
        return 0;
    }
    let removed = graph
        .nodes
        .iter()
        .filter(|n| matches!(n.op, Op::Conv2d(_) | Op::TransposeConv2d(_) | Op::Dense(_)))
        .map(|n| removable[n.outputs[0].0].iter().filter(|&&r| r).count())
        .sum();
    remove::remove(graph, &known, &removable);
    removed
}

/// The largest set of channels that can go together: starts with all and takes back what a node needs.
fn removable(graph: &Graph, known: &PerChannel<Option<f32>>) -> PerChannel<bool> {
    let mut free: PerChannel<bool> = graph
        .values
        .iter()
        .map(|v| {
            let real = matches!(v.dtype, DType::Float | DType::Index);
            vec![real && v.shape.c > 1; v.shape.c as usize]
        })
        .collect();
    let states = graph.states.iter().flat_map(|s| [&s.read, &s.write]);
    for v in graph.inputs.iter().chain(&graph.outputs).chain(states) {
        free[v.0].fill(false);
    }
    for (n, node) in graph.nodes.iter().enumerate() {
        if graph.shares_params(NodeId(n)) {
            node.inputs.iter().chain(&node.outputs).for_each(|v| free[v.0].fill(false));
        }
    }
    largest(free, |free| graph.nodes.iter().for_each(|node| constrain(graph, node, known, free)))
}

/// Takes back the channels that `node` cannot do without.
fn constrain(
    graph: &Graph,
    node: &crate::graph::Node,
    known: &PerChannel<Option<f32>>,
    free: &mut PerChannel<bool>,
) {
    match &node.op {
        Op::Conv2d(_) | Op::TransposeConv2d(_) | Op::Dense(_) => {
            let x = node.inputs[0];
            // A constant other than zero is a constant term of the sum only where no border cuts the sum.
            let exact = match &node.op {
                Op::Conv2d(o) => o.window.pad.is_none(),
                Op::Dense(_) => true,
                _ => false,
            };
            let weights = &graph.param(node.params[0]).data;
            let c = graph.shape(x).c as usize;
            for i in 0..c {
                let constant = known[x.0][i].is_some_and(|v| v == 0.0 || exact);
                let unread = || weights.iter().skip(i).step_by(c).all(|&w| w == 0.0);
                free[x.0][i] &= constant || unread();
            }
        }
        Op::DepthwiseConv2d(o) => {
            let (x, y) = (node.inputs[0].0, node.outputs[0].0);
            let m = o.multiplier as usize;
            for i in 0..free[x].len() {
                let all = free[x][i] && free[y][i * m..(i + 1) * m].iter().all(|&f| f);
                free[x][i] = all;
                free[y][i * m..(i + 1) * m].fill(all);
            }
        }
        Op::Slice(o) => {
            let (begin, size) = (o.begin[2] as usize, o.size[2] as usize);
            for i in 0..size {
                tie(free, &[(node.inputs[0].0, begin + i), (node.outputs[0].0, i)]);
            }
        }
        Op::Concat(o) if o.axis == Axis::C => {
            let mut at = 0;
            for &x in &node.inputs {
                for i in 0..free[x.0].len() {
                    tie(free, &[(x.0, i), (node.outputs[0].0, at + i)]);
                }
                at += free[x.0].len();
            }
        }
        _ => {
            let all: Vec<ValueId> = node.inputs.iter().chain(&node.outputs).copied().collect();
            let c = graph.shape(all[0]).c;
            let channelwise = per_channel(&node.op) && all.iter().all(|v| graph.shape(*v).c == c);
            if channelwise {
                for i in 0..c as usize {
                    tie(free, &all.iter().map(|v| (v.0, i)).collect::<Vec<_>>());
                }
            } else {
                all.iter().for_each(|v| free[v.0].fill(false));
            }
        }
    }
}

/// Whether channel `i` of every output depends on nothing but channel `i` of the inputs.
fn per_channel(op: &Op) -> bool {
    matches!(
        op,
        Op::Add(_)
            | Op::Sub(_)
            | Op::Mul(_)
            | Op::Div(_)
            | Op::MinMax(_)
            | Op::SquaredDifference(_)
            | Op::Unary(_)
            | Op::MaxPool(_)
            | Op::MaxPoolIndices(_)
            | Op::MaxUnpool(_)
            | Op::AvgPool(_)
            | Op::Resize(_)
            | Op::Identity(_)
            | Op::Dropout(_)
            | Op::Pad(_)
            | Op::Concat(_)
            | Op::Reshape(_)
            | Op::Reduce(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::*;
    use crate::passes::testing::{assert_same_function, filled};
    use dunlin::shape::{Pad, Shape, Window};

    fn conv(out: u32, kernel: u16, pad: u16, fused: Activation) -> Conv2d {
        let window = Window::square(kernel, 1).padded(Pad::all(pad));
        Conv2d { out_channels: out, window, bias: true, fused }
    }

    /// Zeroes the weights of output channels `dead` of a convolution and sets their bias.
    fn kill(graph: &mut Graph, node: &str, dead: &[usize], bias: f32) {
        let n = graph.nodes.iter().position(|n| n.name == node).unwrap();
        let (w, b) = (graph.nodes[n].params[0], graph.nodes[n].params[1]);
        let channels = graph.params[b.0].data.len();
        let per_channel = graph.params[w.0].data.len() / channels;
        for &o in dead {
            graph.params[w.0].data[o * per_channel..(o + 1) * per_channel].fill(0.0);
            graph.params[b.0].data[o] = bias;
        }
    }

    fn channels(graph: &Graph, name: &str) -> u32 {
        graph.values.iter().find(|v| v.name == name).unwrap().shape.c
    }

    /// Two branches with dead channels through every kind of operator that a channel passes.
    fn branches(bias: f32, pad: u16) -> Graph {
        let mut g = Graph::new("test");
        let x = g.add_input("x", Shape::image(8, 8, 2)).unwrap();
        let a = g.push("a", conv(6, 3, 1, Activation::Relu), &[x]).unwrap()[0];
        let p = g.push("pool", MaxPoolIndices { window: Window::square(2, 2) }, &[a]).unwrap();
        let window = Window::square(3, 1).padded(Pad::all(pad));
        let dw = DepthwiseConv2d { multiplier: 1, window, bias: true, fused: Activation::None };
        let d = g.push("dw", dw, &[p[0]]).unwrap()[0];
        let e = g.push("e", conv(5, 1, 0, Activation::None), &[d]).unwrap()[0];
        let s = g.push("leaky", Unary { function: UnaryFn::LeakyRelu { alpha: 0.1 } }, &[e]).unwrap()[0];
        let c = g.push("cat", Concat { axis: Axis::C }, &[s, d]).unwrap()[0];
        let y = g.push("y", conv(3, 1, 0, Activation::None), &[c]).unwrap()[0];
        let u = MaxUnpool { window: Window::square(2, 2), out_h: 8, out_w: 8 };
        let u = g.push("unpool", u, &p).unwrap()[0];
        let z = g.push("z", conv(2, 3, 1, Activation::None), &[u]).unwrap()[0];
        g.add_output(y);
        g.add_output(z);
        let mut g = filled(g, 9);
        kill(&mut g, "a", &[1, 4], bias);
        kill(&mut g, "e", &[0], 0.7);
        g
    }

    #[test]
    fn channels_that_the_activation_makes_zero_go_through_everything() {
        // A negative bias under a relu is zero, which no border disturbs.
        let before = branches(-0.4, 0);
        let mut after = before.clone();
        assert_eq!(fold_dead_channels(&mut after), 3);
        after.validate().unwrap();
        for (name, c) in [("a", 4), ("pool", 4), ("dw", 4), ("e", 4), ("cat", 8), ("unpool", 4), ("y", 3)] {
            assert_eq!(channels(&after, name), c, "{name}");
        }
        assert!(after.weight_count() < before.weight_count());
        assert_same_function(&before, &after);
    }

    #[test]
    fn a_constant_that_a_border_or_an_unpool_would_cut_stays() {
        let before = branches(0.4, 0);
        let mut after = before.clone();
        // Only `e` loses its channel: the unpool places the constants of `a` among zeros.
        assert_eq!(fold_dead_channels(&mut after), 1);
        after.validate().unwrap();
        assert_eq!(channels(&after, "a"), 6);
        assert_same_function(&before, &after);
    }

    #[test]
    fn a_chain_of_dead_channels_goes_at_once() {
        let mut g = Graph::new("test");
        let x = g.add_input("x", Shape::image(5, 5, 2)).unwrap();
        let a = g.push("a", conv(4, 1, 0, Activation::None), &[x]).unwrap()[0];
        let b = g.push("b", conv(4, 1, 0, Activation::None), &[a]).unwrap()[0];
        let y = g.push("y", conv(2, 3, 0, Activation::None), &[b]).unwrap()[0];
        g.add_output(y);
        let mut before = filled(g, 4);
        kill(&mut before, "a", &[2], 1.5);
        // Channel 3 of `b` reads only the dead channel of `a`.
        let w = before.nodes[1].params[0];
        before.params[w.0].data[12..16].copy_from_slice(&[0.0, 0.0, 2.0, 0.0]);
        let mut after = before.clone();
        assert_eq!(fold_dead_channels(&mut after), 2);
        after.validate().unwrap();
        assert_eq!((channels(&after, "a"), channels(&after, "b")), (3, 3));
        assert_same_function(&before, &after);
    }

    #[test]
    fn channels_that_nobody_reads_go_and_outputs_stay() {
        let mut g = Graph::new("test");
        let x = g.add_input("x", Shape::image(5, 5, 2)).unwrap();
        let a = g.push("a", conv(4, 3, 1, Activation::None), &[x]).unwrap()[0];
        let b = g.push("b", conv(3, 3, 1, Activation::None), &[a]).unwrap()[0];
        g.add_output(b);
        let mut before = filled(g, 4);
        let w = before.node(NodeId(1)).params[0];
        before.params[w.0].data.iter_mut().skip(2).step_by(4).for_each(|w| *w = 0.0);
        kill(&mut before, "b", &[0], 0.3);
        let mut after = before.clone();
        assert_eq!(fold_dead_channels(&mut after), 1);
        after.validate().unwrap();
        assert_eq!((channels(&after, "a"), channels(&after, "b")), (3, 3));
        assert_same_function(&before, &after);
    }

    #[test]
    fn a_network_without_dead_channels_is_not_touched() {
        let mut g = branches(0.4, 1);
        let n = g.nodes.iter().position(|n| n.name == "e").unwrap();
        let w = g.nodes[n].params[0];
        g.params[w.0].data.fill(0.5);
        let before = g.clone();
        assert_eq!(fold_dead_channels(&mut g), 0);
        assert_eq!(before, g);
    }
}
