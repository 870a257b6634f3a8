//! Metrics of float and int8 models alike, and the float evaluation loop.

pub mod agreement;
pub mod float;
pub mod graphs;
pub mod int8;
pub mod metrics;
pub mod policy;
pub mod tracking;

use crate::data::{Examples, augment};
use crate::exec::{self, ExecError, Mode, Tap, Weights};
use crate::graph::{Graph, InputScaling};
use burn::tensor::{Device, Tensor, TensorData};
use metrics::Confusion;

/// Images in one forward pass of an evaluation.
const BATCH: usize = 8;

/// Confusion matrix of the float model over all of `set`, on `threads` threads; `tap` makes what watches each
/// thread's forward passes.
///
/// # Errors
/// A set whose images do not fit the graph.
pub fn evaluate(
    graph: &Graph,
    weights: &Weights,
    set: &Examples,
    threads: usize,
    tap: &(dyn Fn() -> Box<dyn Tap> + Sync),
) -> Result<Confusion, ExecError> {
    let weights = burn::module::Module::valid(weights);
    let starts: Vec<usize> = (0..set.len()).step_by(BATCH).collect();
    let share = starts.len().div_ceil(threads.max(1)).max(1);
    let parts: Vec<Result<Confusion, ExecError>> = std::thread::scope(|scope| {
        let handles: Vec<_> = starts
            .chunks(share)
            .map(|chunk| {
                let weights = weights.clone();
                scope.spawn(move || {
                    crate::train::single_threaded(|| {
                        let mut confusion = Confusion::new(set.classes.len(), set.ignore);
                        let mut tap = tap();
                        for &start in chunk {
                            let range = start..(start + BATCH).min(set.len());
                            confusion.merge(&evaluate_range(graph, &weights, set, range, &mut *tap)?);
                        }
                        Ok(confusion)
                    })
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().expect("evaluation does not panic")).collect()
    });
    let mut total = Confusion::new(set.classes.len(), set.ignore);
    for part in parts {
        total.merge(&part?);
    }
    Ok(total)
}

/// Confusion matrix over some examples in one forward pass, watched by `tap`.
///
/// # Errors
/// A set whose images do not fit the graph.
pub fn evaluate_range(
    graph: &Graph,
    weights: &Weights,
    set: &Examples,
    range: std::ops::Range<usize>,
    tap: &mut dyn Tap,
) -> Result<Confusion, ExecError> {
    let (input, labels) = batch(graph, set, range, &Device::flex());
    let run = exec::run(graph, weights, &[input], &[graph.logits()], Mode::Evaluate, tap)?;
    let logits = run.float();
    let classes = logits.dims()[3];
    let scores: Vec<f32> = logits.into_data().try_into_vec().expect("logits are f32");
    let mut confusion = Confusion::new(set.classes.len(), set.ignore);
    for (scores, &truth) in scores.chunks_exact(classes).zip(&labels) {
        confusion.add(truth, crate::ops::largest(scores) as u8);
    }
    Ok(confusion)
}

/// Examples as one NHWC input tensor, scaled as the graph says, and their labels.
pub fn batch(
    graph: &Graph,
    set: &Examples,
    range: std::ops::Range<usize>,
    device: &Device,
) -> (Tensor<4>, Vec<u8>) {
    let count = range.len();
    let s = set.shape;
    let unit = InputScaling::unit(s.c as usize);
    let scaling = graph.meta.input.as_ref().unwrap_or(&unit);
    let mut input = Vec::with_capacity(count * s.elements());
    let mut labels = Vec::with_capacity(count * set.label_shape.elements());
    for index in range {
        augment::plain(set, index, scaling, &mut input, &mut labels);
    }
    let dims = [count, s.h as usize, s.w as usize, s.c as usize];
    (Tensor::from_data(TensorData::new(input, dims), device), labels)
}
