//! Training of the tracker's network on the graphs that the tracker itself meets.
//!
//! In rounds, as in DAgger (Ross, Gordon and Bagnell 2011): the tracker runs over changed recordings with the network of
//! the round before (in the first, by overlap alone), every graph on its way becomes an example with the answers of the
//! ground truth, and the network learns from the examples of the last rounds. So it learns from the tracks that it makes,
//! with their errors, not from perfect ones.

mod augment;
mod examples;
pub mod folds;
mod people;

use super::Recipe;
use super::supervised::{self, Options, Outcome, TrainError};
use super::task::{Feed, Score, Share, Task};
use crate::data::mot::Sequence;
use crate::exec::{ExecError, Tap, Weights};
use crate::graph::{Graph, ValueId};
use crate::track::mpn::FloatNetwork;
use crate::zoo::mpn::Mpn;
use burn::tensor::{Tensor, TensorData, activation};
use dunlin_track::{EDGE_FEATURES, NODE_FEATURES};
use examples::Example;
use people::Recording;
use rand::Rng;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How the tracker's network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rounds {
    /// Everything about one round but its epochs.
    pub recipe: Recipe,
    /// Epochs of each round.
    pub epochs: Vec<usize>,
    /// Rounds whose examples are kept.
    pub keep: usize,
}

/// Weight of the edges' loss; the nodes' has 1.
const EDGE_LOSS: f32 = 1.5;
/// Weight of the mean square of the edge logits: the overlap decides unless there is a reason.
const SHRINK: f32 = 0.1;

/// Answers to the graphs of a share.
pub(super) struct Answers {
    prior: Vec<f32>,
    links: Vec<f32>,
    link_weights: Vec<f32>,
    people: Vec<f32>,
    person_weights: Vec<f32>,
}

struct Graphs<'a> {
    examples: Vec<&'a Example>,
    scores: &'a [[ValueId; 2]],
}

impl Task for Graphs<'_> {
    type Targets = Answers;

    fn examples(&self) -> usize {
        self.examples.len()
    }

    fn share(&self, _: &Graph, _: &Recipe, _: usize, indices: &[usize]) -> Share<Answers> {
        let mut all = Example::default();
        let mut offset = 0;
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for example in indices.iter().map(|&i| self.examples[i]) {
            all.nodes.extend(&example.nodes);
            all.edges.extend(&example.edges);
            from.extend(example.from.iter().map(|&i| (offset + usize::from(i)) as f32));
            to.extend(example.to.iter().map(|&i| (offset + usize::from(i)) as f32));
            all.links.extend(&example.links);
            all.people.extend(&example.people);
            offset += example.people.len();
        }
        let column = |i: usize| all.links.iter().map(|l| l[i]).collect::<Vec<f32>>();
        let targets = Answers {
            prior: column(0),
            links: column(1),
            link_weights: column(2),
            people: all.people.iter().map(|p| p[0]).collect(),
            person_weights: all.people.iter().map(|p| p[1]).collect(),
        };
        let inputs = vec![
            Feed::rows(all.nodes, NODE_FEATURES),
            Feed::rows(all.edges, EDGE_FEATURES),
            Feed::rows(from, 1),
            Feed::rows(to, 1),
        ];
        Share { inputs, counts: Vec::new(), targets, weight: indices.len() as f64 }
    }

    fn wanted(&self, _: &Graph) -> Vec<ValueId> {
        // What is said after the first step is not yet asked for.
        self.scores.iter().skip(1).flatten().copied().collect()
    }

    fn loss(&self, values: &[Tensor<4>], answers: &Answers, _: f64, _: &Recipe) -> Tensor<1> {
        let mut total: Option<Tensor<1>> = None;
        for pair in values.chunks_exact(2) {
            let links = entropy(&pair[0], Some(&answers.prior), &answers.links, &answers.link_weights);
            let people = entropy(&pair[1], None, &answers.people, &answers.person_weights);
            let loss = links.mul_scalar(EDGE_LOSS)
                + people
                + pair[0].clone().powi_scalar(2).mean().mul_scalar(SHRINK);
            total = Some(match total {
                None => loss,
                Some(sum) => sum + loss,
            });
        }
        total.expect("the network has more than one step")
    }

    fn evaluate(
        &self,
        _: &Graph,
        _: &Weights,
        _: usize,
        _: &(dyn Fn() -> Box<dyn Tap> + Sync),
    ) -> Result<Option<Score>, ExecError> {
        Ok(None)
    }

    fn selects(&self) -> bool {
        false
    }
}

/// Mean binary cross entropy of logits `[1, 1, rows, 1]`, to which `prior` is added, by weight.
fn entropy(logits: &Tensor<4>, prior: Option<&[f32]>, truth: &[f32], weights: &[f32]) -> Tensor<1> {
    let rows = truth.len();
    let device = logits.device();
    let column = |v: &[f32]| Tensor::<1>::from_data(TensorData::new(v.to_vec(), [rows]), &device);
    if rows == 0 {
        return logits.clone().sum();
    }
    let mut x = logits.clone().reshape([rows]);
    if let Some(prior) = prior {
        x = x + column(prior);
    }
    // log(1 + e^x) − truth · x, without overflow.
    let each = activation::softplus(x.clone(), 1.0) - x * column(truth);
    let total: f32 = weights.iter().sum();
    (each * column(weights)).sum().div_scalar(total.max(1.0))
}

/// Trains the network on `sequences`, in the folder of `options`, and leaves the weights in it. Each round has a folder of
/// its own there; a run that is resumed begins with the first that is not finished.
///
/// # Errors
/// As [`supervised::learn`].
pub fn run(
    mpn: &mut Mpn,
    rounds: &Rounds,
    sequences: &[&Sequence],
    options: &Options<'_>,
) -> Result<Outcome, TrainError> {
    let recordings: Vec<Recording> = sequences.iter().map(|s| Recording::new(s)).collect();
    let seed = rounds.recipe.seed;
    mpn.graph.initialise(seed);
    let mut kept: Vec<Vec<Example>> = Vec::new();
    let mut outcome = None;
    for (round, &epochs) in rounds.epochs.iter().enumerate() {
        let folder = options.out.join(format!("round{round}"));
        let mut net = (round > 0).then(|| FloatNetwork::new(mpn.graph.clone()));
        let mut rng = Pcg64::new(u128::from(seed), 7 + round as u128);
        let mut found = Vec::new();
        for recording in &recordings {
            let noise = if round > 0 && rng.random_bool(0.5) { 1.0 } else { 0.0 };
            let recording = augment::changed(recording, &mut rng);
            found.extend(examples::collect(&recording, net.as_mut(), noise, &mut rng));
        }
        kept.push(found);
        if kept.len() > rounds.keep {
            kept.remove(0);
        }
        let task = Graphs { examples: kept.iter().flatten().collect(), scores: &mpn.scores };
        let mut recipe = Recipe { epochs, seed: seed ^ ((round as u64) << 32), ..rounds.recipe.clone() };
        *recipe.optimiser.rate_mut() *= 1.0 - round as f64 / rounds.epochs.len() as f64;
        if options.resume && finished(&folder, &recipe)? {
            super::checkpoint::load_weights(&folder.join("best.safetensors"), &mut mpn.graph)?;
            continue;
        }
        let options = Options { out: &folder, keep_weights: true, ..*options };
        let done = supervised::learn(&mut mpn.graph, &recipe, &task, &options)?;
        let stopped = done.interrupted;
        outcome = Some(done);
        if stopped {
            break;
        }
    }
    let outcome =
        outcome.unwrap_or(Outcome { best: 0.0, best_epoch: 0, epochs: 0, interrupted: false, seconds: 0.0 });
    if !outcome.interrupted {
        supervised::save(options.out, &mpn.graph, "trained in rounds")?;
    }
    Ok(outcome)
}

/// Whether a round's folder holds the weights after all epochs of `recipe`.
fn finished(folder: &Path, recipe: &Recipe) -> Result<bool, TrainError> {
    let text = std::fs::read_to_string(folder.join("history.jsonl")).unwrap_or_default();
    if text.lines().count() < recipe.epochs || !folder.join("best.safetensors").exists() {
        return Ok(false);
    }
    let made_by = std::fs::read_to_string(folder.join("recipe.toml")).unwrap_or_default();
    if toml::from_str::<Recipe>(&made_by).as_ref() != Ok(recipe) {
        return Err(TrainError::Recipe(format!(
            "{} was made by another recipe; resume with that one or choose another folder",
            folder.display()
        )));
    }
    Ok(true)
}
