//! Rewrites of a trained graph that keep its function: one file each.
//!
//! They run before calibration, so that quantisation-aware training, observers and lowering see the operators
//! that the device will run. None of them changes an output by more than float rounding. The rewrites of transfer
//! learning ([`cut`], [`rehead`], [`resize_input`]) do, and run only when a person asks for them; so does that of policies
//! ([`centre_scores`]).

mod centre_scores;
pub(crate) mod channel_sets;
mod cut;
mod dead_channels;
mod drop_identities;
mod fold_batch_norm;
mod fuse_activations;
mod resize_input;
#[cfg(test)]
pub(crate) mod testing;

pub use centre_scores::centre_scores;
pub use cut::{CutError, HEAD, cut, freeze, head_of, rehead};
pub use dead_channels::fold_dead_channels;
pub use drop_identities::drop_identities;
pub use fold_batch_norm::fold_batch_norm;
pub use fuse_activations::fuse_activations;
pub use resize_input::resize_input;

use crate::graph::{Graph, GraphError, NodeId, Param, ParamId, ValueId};
use crate::ops::{Init, Op};

/// What one pass did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Name of the pass.
    pub pass: &'static str,
    /// Nodes folded, fused or dropped; for dead channels, channels removed.
    pub rewrites: usize,
}

type Pass = fn(&mut Graph) -> usize;

/// Name of the pass that removes channels.
const DEAD_CHANNELS: &str = "fold dead channels";

/// Every pass, in the order in which each sees the most of what it can use.
const PASSES: [(&str, Pass); 5] = [
    ("drop identities", drop_identities),
    ("fold batch norm", fold_batch_norm),
    ("fuse activations", fuse_activations),
    (DEAD_CHANNELS, fold_dead_channels),
    ("drop what became identity", drop_identities),
];

/// Runs all passes and says what each did. The parameters of `graph` must be the trained ones.
///
/// # Errors
/// A graph that is not valid, before or after a pass.
pub fn optimise(graph: &mut Graph) -> Result<Vec<Applied>, GraphError> {
    run(graph, &PASSES)
}

/// Runs all passes but the one that removes dead channels.
///
/// # Errors
/// As [`optimise`].
pub fn optimise_keeping(graph: &mut Graph) -> Result<Vec<Applied>, GraphError> {
    let kept: Vec<_> = PASSES.into_iter().filter(|(name, _)| *name != DEAD_CHANNELS).collect();
    run(graph, &kept)
}

fn run(graph: &mut Graph, passes: &[(&'static str, Pass)]) -> Result<Vec<Applied>, GraphError> {
    graph.validate()?;
    let mut done = Vec::new();
    for &(pass, run) in passes {
        let rewrites = run(graph);
        graph.validate()?;
        done.push(Applied { pass, rewrites });
    }
    Ok(done)
}

/// The node that writes `value`, where nothing but node `reader` uses `value`.
fn sole_producer(graph: &Graph, value: ValueId, reader: NodeId) -> Option<NodeId> {
    let private = graph.consumers(value) == [reader] && !graph.outputs.contains(&value);
    if private { graph.producer(value) } else { None }
}

/// Lets the readers of node `n` read its input instead. The node, now dead, no longer counts as a reader.
fn bypass(graph: &mut Graph, n: usize) {
    let (input, output) = (graph.nodes[n].inputs[0], graph.nodes[n].outputs[0]);
    graph.replace_uses(output, input);
    graph.nodes[n].inputs.clear();
}

/// The bias of a convolution or dense layer; created as zeros where it has none.
fn ensure_bias(graph: &mut Graph, node: NodeId, channels: usize) -> Option<ParamId> {
    let has_bias = match &mut graph.nodes[node.0].op {
        Op::Conv2d(o) => &mut o.bias,
        Op::DepthwiseConv2d(o) => &mut o.bias,
        Op::TransposeConv2d(o) => &mut o.bias,
        Op::Dense(o) => &mut o.bias,
        _ => return None,
    };
    if !*has_bias {
        *has_bias = true;
        let name = format!("{}.bias", graph.nodes[node.0].name);
        let id = add_param(graph, name, vec![channels], vec![0.0; channels]);
        graph.nodes[node.0].params.push(id);
    }
    graph.nodes[node.0].params.get(1).copied()
}

fn add_param(graph: &mut Graph, name: String, dims: Vec<usize>, data: Vec<f32>) -> ParamId {
    graph.params.push(Param { name, dims, init: Init::Zeros, data, trainable: true, pin: None });
    ParamId(graph.params.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::testing::{assert_same_function, filled};
    use super::*;
    use crate::net::Net;
    use dunlin::shape::{Shape, Window};

    #[test]
    fn a_small_network_keeps_its_function_and_loses_its_batch_norms() {
        let mut net = Net::new("small");
        let x = net.input("image", Shape::image(9, 11, 3)).unwrap();
        let x = net.conv_bn_relu("a", x, 6, Window::square(3, 1)).unwrap();
        let x = net.push("drop", crate::ops::Dropout { p: 0.5 }, &[x]).unwrap();
        let x = net.depthwise_bn_relu("b", x, Window::square(3, 2)).unwrap();
        let x = net.max_pool("pool", x, 2).unwrap();
        let x = net.conv("c", x, 4, Window::square(1, 1)).unwrap();
        let before = filled(net.finish(x).unwrap(), 7);
        let mut after = before.clone();
        let report = optimise(&mut after).unwrap();
        let count = |pass: &str| report.iter().find(|a| a.pass == pass).unwrap().rewrites;
        assert_eq!(count("fold batch norm"), 2);
        assert_eq!(count("fuse activations"), 2);
        assert_eq!(count("drop identities"), 1);
        assert_eq!(after.nodes.len(), 4);
        assert_same_function(&before, &after);
    }

    #[test]
    fn layers_that_share_their_parameters_keep_them() {
        let mut graph = Graph::new("unrolled");
        let x = graph.add_input("x", Shape::vector(3)).unwrap();
        let dense = crate::ops::Dense { out_features: 3, bias: true, fused: Default::default() };
        let a = graph.push("step0", dense.clone(), &[x]).unwrap()[0];
        let b = graph.push("step1", dense, &[a]).unwrap()[0];
        graph.nodes[1].params = graph.nodes[0].params.clone();
        let y = graph.push("norm", crate::ops::BatchNorm { epsilon: 1e-3 }, &[b]).unwrap()[0];
        graph.add_output(y);
        graph.remove_dead();
        let mut before = filled(graph, 5);
        // A channel of no weights, which the steps would each drop from the weights that they share.
        let weight = before.nodes[0].params[0];
        before.params[weight.0].data[3..6].fill(0.0);
        let mut after = before.clone();
        optimise(&mut after).unwrap();
        assert_same_function(&before, &after);
    }
}
