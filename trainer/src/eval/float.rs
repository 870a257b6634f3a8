//! The float model with the weights in its graph: metric, labels and features.

use super::{BATCH, batch, metrics};
use crate::data::Examples;
use crate::exec::{self, Device, ExecError, Mode, NoTap, Weights};
use crate::graph::{Graph, ValueId};
use crate::ops::largest;
use crate::train::single_threaded;
use metrics::Confusion;
use std::ops::Range;

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
pub fn labels(graph: &Graph, set: &Examples, range: Range<usize>) -> Result<Vec<u8>, ExecError> {
    let weights = Weights::from_graph(graph, &Device::flex());
    let (input, _) = batch(graph, set, range, &Device::flex());
    let run = exec::run(graph, &weights, &[input], &[graph.logits()], Mode::Evaluate, &mut NoTap)?;
    let logits = run.float();
    let classes = logits.dims()[3];
    let scores: Vec<f32> = logits.into_data().try_into_vec().expect("logits are f32");
    Ok(scores.chunks_exact(classes).map(|row| largest(row) as u8).collect())
}

/// The real values that `graph` gives at `value` for every example of `set`, as examples with the same labels: what
/// the rest of the network would see. On `threads` threads.
///
/// # Errors
/// A set whose examples do not fit the graph.
pub fn features(
    graph: &Graph,
    value: ValueId,
    set: &Examples,
    threads: usize,
) -> Result<Examples, ExecError> {
    let size = graph.shape(value).elements();
    let part = |starts: &[usize]| -> Result<Vec<Box<[f32]>>, ExecError> {
        let weights = Weights::from_graph(graph, &Device::flex());
        let mut reals = Vec::new();
        for &start in starts {
            let range = start..(start + BATCH).min(set.len());
            let (input, _) = batch(graph, set, range, &Device::flex());
            let run = exec::run(graph, &weights, &[input], &[value], Mode::Evaluate, &mut NoTap)?;
            let values: Vec<f32> = run.float().into_data().try_into_vec().expect("features are f32");
            reals.extend(values.chunks_exact(size).map(Box::from));
        }
        Ok(reals)
    };
    let starts: Vec<usize> = (0..set.len()).step_by(BATCH).collect();
    let share = starts.len().div_ceil(threads.max(1)).max(1);
    let part = &part;
    let parts: Vec<Result<_, ExecError>> = std::thread::scope(|scope| {
        let run = |chunk| scope.spawn(move || single_threaded(|| part(chunk)));
        let handles: Vec<_> = starts.chunks(share).map(run).collect();
        handles.into_iter().map(|h| h.join().expect("evaluation does not panic")).collect()
    });
    let mut reals = Vec::with_capacity(set.len());
    for part in parts {
        reals.extend(part?);
    }
    Ok(Examples { shape: graph.shape(value), images: Vec::new(), reals, ..set.clone() })
}
