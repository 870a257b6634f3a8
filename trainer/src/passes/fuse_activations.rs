//! Clamping activations into the operator before them.

use super::{bypass, sole_producer};
use crate::graph::{Graph, NodeId};
use crate::ops::{Activation, Op, UnaryFn};

/// Fuses each relu, relu6 and clamp into the operator that produces its input, where that operator can clamp
/// its output and nothing else reads it. Returns how many were fused.
pub fn fuse_activations(graph: &mut Graph) -> usize {
    let mut fused = 0;
    for n in 0..graph.nodes.len() {
        let Op::Unary(unary) = &graph.nodes[n].op else { continue };
        let outer = match unary.function {
            UnaryFn::Relu => Activation::Relu,
            UnaryFn::Relu6 => Activation::Relu6,
            UnaryFn::Clamp { lo, hi } => Activation::Clamp { lo, hi },
            _ => continue,
        };
        let (input, output) = (graph.nodes[n].inputs[0], graph.nodes[n].outputs[0]);
        // What was imported with a quantisation of its own is rounded before it is clamped.
        if graph.value(input).pin.is_some() {
            continue;
        }
        let Some(producer) = sole_producer(graph, input, NodeId(n)) else { continue };
        let Some(inner) = graph.nodes[producer.0].op.fused_mut() else { continue };
        *inner = compose(*inner, outer);
        graph.values[input.0].pin = graph.value(output).pin;
        bypass(graph, n);
        fused += 1;
    }
    graph.remove_dead();
    fused
}

/// `outer(inner(x))` as one clamp.
fn compose(inner: Activation, outer: Activation) -> Activation {
    let (lo, hi) = outer.bounds();
    let limit = |v: f32| v.max(lo).min(hi);
    let bounds = (limit(inner.bounds().0), limit(inner.bounds().1));
    let named = [Activation::None, Activation::Relu, Activation::Relu6];
    let known = named.into_iter().find(|a| a.bounds() == bounds);
    known.unwrap_or(Activation::Clamp { lo: bounds.0, hi: bounds.1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Conv2d, MaxPool, Unary};
    use crate::passes::testing::{assert_same_function, filled};
    use dunlin::shape::{Shape, Window};

    #[test]
    fn composition_is_the_inner_clamp_seen_through_the_outer() {
        let clamp = |lo, hi| Activation::Clamp { lo, hi };
        assert_eq!(compose(Activation::None, Activation::Relu6), Activation::Relu6);
        assert_eq!(compose(Activation::Relu6, Activation::Relu), Activation::Relu6);
        assert_eq!(compose(clamp(-1.0, 3.0), Activation::Relu), clamp(0.0, 3.0));
        assert_eq!(compose(clamp(7.0, 9.0), Activation::Relu6), clamp(6.0, 6.0));
    }

    #[test]
    fn clamps_vanish_into_producers_and_only_there() {
        let mut graph = Graph::new("test");
        let x = graph.add_input("x", Shape::image(5, 5, 2)).unwrap();
        let conv = |out| Conv2d {
            out_channels: out,
            window: Window::square(3, 1),
            bias: true,
            fused: Activation::None,
        };
        let relu = Unary { function: UnaryFn::Relu };
        let a = graph.push("a", conv(4), &[x]).unwrap()[0];
        let a = graph.push("a.relu", relu.clone(), &[a]).unwrap()[0];
        let a =
            graph.push("a.clamp", Unary { function: UnaryFn::Clamp { lo: -1.0, hi: 0.5 } }, &[a]).unwrap()[0];
        let p = graph
            .push("pool", MaxPool { window: Window::square(3, 1), fused: Activation::None }, &[a])
            .unwrap()[0];
        let p = graph.push("pool.relu", relu.clone(), &[p]).unwrap()[0];
        let s = graph.push("shared", conv(4), &[x]).unwrap()[0];
        let r = graph.push("shared.relu", relu, &[s]).unwrap()[0];
        for v in [p, s, r] {
            graph.add_output(v);
        }
        let before = filled(graph, 1);
        let mut after = before.clone();
        assert_eq!(fuse_activations(&mut after), 3);
        after.validate().unwrap();
        assert_eq!(after.nodes[0].op.fused(), Some(Activation::Clamp { lo: 0.0, hi: 0.5 }));
        assert_eq!(after.nodes.len(), 4);
        assert_same_function(&before, &after);
    }
}
