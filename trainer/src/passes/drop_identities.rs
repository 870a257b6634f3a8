//! Operators that hand their input on.

use super::bypass;
use crate::graph::{Graph, Node, ValueId};
use crate::ops::{Op, UnaryFn};

/// Removes identities, dropouts, changes of a scale that nothing has, reshapes and resizes to the same shape, slices of everything, padding by
/// nothing, concatenation of one tensor, 1x1 pools, clamps without bounds. Returns how many were removed.
pub fn drop_identities(graph: &mut Graph) -> usize {
    let mut dropped = 0;
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        if !is_identity(graph, node) {
            continue;
        }
        let (input, output) = (node.inputs[0], node.outputs[0]);
        // An output of the network must be written by a node, not be an input of the network.
        if graph.outputs.contains(&output) && graph.producer(input).is_none() {
            continue;
        }
        bypass(graph, n);
        dropped += 1;
    }
    graph.remove_dead();
    dropped
}

fn is_identity(graph: &Graph, node: &Node) -> bool {
    let same_shape = || graph.shape(node.inputs[0]) == graph.shape(node.outputs[0]);
    match &node.op {
        Op::Identity(_) | Op::Dropout(_) => true,
        // It changes a type or scale where there is one, and nothing in a float graph.
        Op::Requantize(_) => {
            let pinned = |v: ValueId| graph.value(v).pin.is_some();
            !pinned(node.inputs[0]) && !pinned(node.outputs[0])
        }
        Op::Reshape(_) | Op::Slice(_) | Op::Resize(_) | Op::Tile(_) => same_shape(),
        Op::Pad(o) => o.is_none(),
        Op::Transpose(o) => o.perm == [0, 1, 2, 3],
        Op::StridedSlice(o) => o.is_whole(graph.shape(node.inputs[0])),
        Op::Concat(_) => node.inputs.len() == 1,
        Op::MaxPool(o) => o.window.is_pointwise(),
        Op::AvgPool(o) => o.window.is_pointwise(),
        Op::Unary(o) => {
            matches!(o.function, UnaryFn::Clamp { lo, hi } if lo == f32::NEG_INFINITY && hi == f32::INFINITY)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::*;
    use crate::passes::testing::{assert_same_function, filled};
    use dunlin::shape::{Shape, Window};

    #[test]
    fn everything_that_changes_nothing_goes_and_the_rest_stays() {
        let mut graph = Graph::new("test");
        let s = Shape::image(4, 5, 3);
        let x = graph.add_input("x", s).unwrap();
        let mut v = x;
        let idle: [(&str, Op); 10] = [
            ("identity", Identity.into()),
            ("dropout", Dropout { p: 0.3 }.into()),
            ("reshape", Reshape { shape: s }.into()),
            ("pad", PadOp::default().into()),
            ("slice", Slice { begin: [0; 3], size: [4, 5, 3] }.into()),
            ("concat", Concat { axis: Axis::C }.into()),
            ("transpose", Transpose { perm: [0, 1, 2, 3] }.into()),
            ("strided", StridedSlice { begin: [0; 4], size: [1, 4, 5, 3], step: [1; 4] }.into()),
            ("tile", Tile { shape: s }.into()),
            ("pool", MaxPool { window: Window::square(1, 1), fused: Activation::None }.into()),
        ];
        for (name, op) in idle {
            v = graph.push(name, op, &[v]).unwrap()[0];
        }
        v = graph.push("relu", Unary { function: UnaryFn::Relu }, &[v]).unwrap()[0];
        let flip = StridedSlice { begin: [0, 0, 4, 0], size: [1, 4, 5, 3], step: [1, 1, -1, 1] };
        v = graph.push("flip", flip, &[v]).unwrap()[0];
        v = graph.push("crop", Slice { begin: [1, 0, 0], size: [3, 5, 2] }, &[v]).unwrap()[0];
        let kept = graph.push("echo", Identity, &[x]).unwrap()[0];
        graph.add_output(v);
        graph.add_output(kept);
        let before = filled(graph, 1);
        let mut after = before.clone();
        assert_eq!(drop_identities(&mut after), 10);
        after.validate().unwrap();
        let names: Vec<&str> = after.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["relu", "flip", "crop", "echo"]);
        assert_same_function(&before, &after);
    }
}
