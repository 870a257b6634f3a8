//! Scores about zero: what all of them have in common is left out.

use crate::graph::{Graph, ValueId};
use crate::ops::{Activation, Op};

/// Subtracts the mean over its outputs from weights and biases of the dense layer that writes the first output, where nothing else
/// reads that. Which score is the largest, and by how much, stays; the scores themselves do not, so this is for policies and
/// classifiers only. A value function's scores differ by far less than they are: centred, int8 has its 256 steps for the differences.
/// Returns whether there was such a layer.
pub fn centre_scores(graph: &mut Graph) -> bool {
    // What no output needs, such as the head of a value, does not read the scores either.
    graph.remove_dead();
    let Some(node) = graph.outputs.first().and_then(|&v| sole_dense(graph, v)) else { return false };
    for id in graph.nodes[node].params.clone() {
        let param = &mut graph.params[id.0];
        let rows = param.dims[0];
        let columns = param.data.len() / rows;
        for column in 0..columns {
            let of = |row: usize| row * columns + column;
            let mean = (0..rows).map(|r| param.data[of(r)]).sum::<f32>() / rows as f32;
            (0..rows).for_each(|r| param.data[of(r)] -= mean);
        }
    }
    true
}

/// The dense layer without activation that writes `value`, where its weights are its own.
fn sole_dense(graph: &Graph, value: ValueId) -> Option<usize> {
    let id = graph.producer(value)?;
    let linear = matches!(&graph.node(id).op, Op::Dense(dense) if dense.fused == Activation::None);
    (linear && graph.consumers(value).is_empty() && !graph.shares_params(id)).then_some(id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Net;
    use crate::passes::testing::{filled, inputs, outputs};
    use dunlin::shape::Shape;

    #[test]
    fn differences_stay_and_the_sum_becomes_zero() {
        let mut net = Net::new("policy");
        let x = net.input("x", Shape::vector(5)).unwrap();
        let x = net.dense_relu("hidden", x, 8).unwrap();
        let y = net.dense("scores", x, 4).unwrap();
        let before = filled(net.finish(y).unwrap(), 3);
        let mut after = before.clone();
        assert!(centre_scores(&mut after));
        let inputs = inputs(&before, 4);
        let (a, b) = (outputs(&before, &inputs).remove(0), outputs(&after, &inputs).remove(0));
        for (a, b) in a.chunks_exact(4).zip(b.chunks_exact(4)) {
            assert!(b.iter().sum::<f32>().abs() < 1e-4, "{b:?}");
            for i in 1..4 {
                assert!(((a[i] - a[0]) - (b[i] - b[0])).abs() < 1e-4, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn what_no_output_needs_is_no_reader() {
        let mut net = Net::new("policy");
        let x = net.input("x", Shape::vector(5)).unwrap();
        let y = net.dense("scores", x, 4).unwrap();
        net.relu("unused", y).unwrap();
        assert!(centre_scores(&mut filled(net.finish(y).unwrap(), 3)));
    }

    #[test]
    fn an_output_that_is_no_dense_layer_is_left_alone() {
        let mut net = Net::new("policy");
        let x = net.input("x", Shape::vector(5)).unwrap();
        let y = net.dense_relu("scores", x, 4).unwrap();
        let before = filled(net.finish(y).unwrap(), 3);
        let mut after = before.clone();
        assert!(!centre_scores(&mut after));
        assert_eq!(before, after);
    }
}
