//! The float model with the weights in its graph: metric and labels.

use super::{batch, metrics};
use crate::data::Examples;
use crate::exec::{self, Device, ExecError, Mode, NoTap, Weights};
use crate::graph::Graph;
use metrics::Confusion;

/// Confusion matrix of `graph` over all of `set`, on `threads` threads.
///
/// # Errors
/// A set whose images do not fit the graph.
pub fn evaluate(graph: &Graph, set: &Examples, threads: usize) -> Result<Confusion, ExecError> {
    let weights = Weights::from_graph(graph, &Device::flex());
    super::evaluate(graph, &weights, set, threads, &|| Box::new(NoTap))
}

/// Labels that `graph` gives to some examples, one per pixel or per image, one example after another.
///
/// # Errors
/// A set whose images do not fit the graph.
pub fn labels(graph: &Graph, set: &Examples, range: std::ops::Range<usize>) -> Result<Vec<u8>, ExecError> {
    let weights = Weights::from_graph(graph, &Device::flex());
    let (input, _) = batch(graph, set, range, &Device::flex());
    let run = exec::run(graph, &weights, &[input], &[graph.logits()], Mode::Evaluate, &mut NoTap)?;
    let logits = run.float();
    let classes = logits.dims()[3];
    let scores: Vec<f32> = logits.into_data().try_into_vec().expect("logits are f32");
    Ok(scores.chunks_exact(classes).map(metrics::argmax).collect())
}
