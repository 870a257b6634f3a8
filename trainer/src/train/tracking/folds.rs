//! A network for the tracker from some sequences: trained, quantised, and measured on others.

use super::{Rounds, examples, people::Recording, run};
use crate::data::mot::Sequence;
use crate::exec::{Device, Tensor};
use crate::export::{self, ExportError, Options as Export, Quantised};
use crate::graph::Graph;
use crate::quantise::Method;
use crate::track::mpn::FloatNetwork;
use crate::train::supervised::{Options, Outcome, TrainError};
use crate::train::task::Feed;
use crate::zoo::mpn::Mpn;
use dunlin_track::{EDGE_FEATURES, NODE_FEATURES};
use rand_pcg::Pcg64;

/// How the ranges are chosen: no value may leave them, because one wrong link is a wrong track.
const METHOD: Method = Method::MinMax;
/// Graphs of each sequence that ranges are taken from.
const GRAPHS: usize = 200;

/// A network for the tracker.
pub struct Trained {
    /// The float network.
    pub graph: Graph,
    /// The int8 network; `None` where the training was interrupted.
    pub quantised: Option<Quantised>,
    /// How the training ended.
    pub outcome: Outcome,
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The network cannot be quantised.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Trains on `sequences` and quantises with the graphs that the tracker meets on them as they are.
///
/// # Errors
/// As [`run`], and a network that cannot be quantised.
pub fn train(
    mpn: Mpn,
    rounds: &Rounds,
    sequences: &[&Sequence],
    options: &Options<'_>,
) -> Result<Trained, FoldError> {
    let mut mpn = mpn;
    let outcome = run(&mut mpn, rounds, sequences, options)?;
    let quantised = if outcome.interrupted { None } else { Some(quantise(&mpn.graph, sequences)?) };
    Ok(Trained { graph: mpn.graph, quantised, outcome })
}

/// The int8 network, with the ranges of the graphs that the tracker meets on `sequences`.
///
/// # Errors
/// A network that cannot be quantised.
pub fn quantise(graph: &Graph, sequences: &[&Sequence]) -> Result<Quantised, ExportError> {
    let device = Device::flex();
    let mut batches: Vec<Vec<Tensor<4>>> = Vec::new();
    for sequence in sequences {
        let mut net = FloatNetwork::new(graph.clone());
        let mut rng = Pcg64::new(0, 0);
        let found = examples::collect(&Recording::new(sequence), Some(&mut net), 0.0, &mut rng);
        let found: Vec<_> = found.into_iter().filter(|e| !e.from.is_empty()).collect();
        for example in found.iter().step_by(found.len().div_ceil(GRAPHS).max(1)) {
            let list = |list: &[u16]| Feed::rows(list.iter().map(|&i| f32::from(i)).collect(), 1);
            let feeds = [
                Feed::rows(example.nodes.clone(), NODE_FEATURES),
                Feed::rows(example.edges.clone(), EDGE_FEATURES),
                list(&example.from),
                list(&example.to),
            ];
            batches.push(feeds.iter().map(|feed| feed.tensor(&device)).collect());
        }
    }
    export::post_training_on(graph, &batches, METHOD, &Export::default())
}
