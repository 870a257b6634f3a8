//! Supervised training: classification and segmentation of pictures, and tasks on graphs.
//!
//! Each batch is split among threads; a thread forks the weights, runs forward and backward on its share, and
//! the gradients are added in a fixed order. A run's folder holds `recipe.toml`, `graph.json`, `best.safetensors`
//! (weights), `last.safetensors` (state to resume from) and `history.jsonl` (one line per epoch).

mod graphs;
mod pictures;
mod step;
mod trainer;

use super::Recipe;
use super::checkpoint::{self, CheckpointError, write_atomically};
use super::task::Task;
use crate::data::Split;
use crate::data::graphs::{Fold, GraphSet};
use crate::exec::{ExecError, Tap};
use crate::graph::Graph;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use trainer::Trainer;

/// Makes the tap of one forward pass; called once per thread and pass.
pub type TapFactory<'a> = &'a (dyn Fn() -> Box<dyn Tap> + Sync);

/// How a run behaves towards its surroundings.
pub struct Options<'a> {
    /// Folder of the run.
    pub out: &'a Path,
    /// Continue from `last.safetensors` where it exists.
    pub resume: bool,
    /// Start from the weights in the graph instead of the recipe's seed.
    pub keep_weights: bool,
    /// Set by a signal handler: the step is finished and the state written.
    pub stop: &'a AtomicBool,
    /// Print nothing.
    pub quiet: bool,
    /// Watches every forward pass, training and evaluation alike (fake quantisation).
    pub tap: Option<TapFactory<'a>>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Best metric on the held-out data: mean IoU for segmentation, else accuracy.
    pub best: f64,
    /// Epoch of the best metric, from 1.
    pub best_epoch: usize,
    /// Epochs finished.
    pub epochs: usize,
    /// True where `stop` ended it.
    pub interrupted: bool,
    /// Seconds of training, over all resumptions.
    pub seconds: f64,
}

/// One line of `history.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Learning rate of the last step.
    pub rate: f64,
    /// Accuracy on the held-out data, where evaluated.
    pub accuracy: Option<f64>,
    /// Mean IoU on the held-out data, where evaluated.
    pub mean_iou: Option<f64>,
    /// Name and value of what decides, where evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<(String, f64)>,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// Why a training cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data does not fit the model.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A recipe that cannot be followed, or a run that went wrong.
    #[error("{0}")]
    Recipe(String),
}

/// Trains `graph` on `data`, and leaves the best weights in it.
///
/// # Errors
/// A recipe that the data does not fit, a loss that is no number, a folder that cannot be written, a checkpoint
/// of another recipe.
pub fn run(
    graph: &mut Graph,
    recipe: &Recipe,
    data: &Split,
    options: &Options<'_>,
) -> Result<Outcome, TrainError> {
    check(graph, recipe, data)?;
    describe(graph, recipe, data);
    if !options.keep_weights {
        graph.meta.input = Some(data.train.scaling());
    }
    let class_weights = recipe.class_weights.weights(&data.train.class_counts());
    learn(graph, recipe, &pictures::Pictures { data, class_weights }, options)
}

/// Trains `graph` on the training items of `fold`, and leaves the last weights in it.
///
/// # Errors
/// As [`run`].
pub fn run_graphs(
    graph: &mut Graph,
    recipe: &Recipe,
    set: &GraphSet,
    fold: &Fold,
    options: &Options<'_>,
) -> Result<Outcome, TrainError> {
    let meta = &mut graph.meta;
    meta.classes = set.classes().to_vec();
    meta.data_licence = set.licence.clone();
    meta.recipe = recipe.model.clone();
    if !options.keep_weights {
        meta.target = graphs::scaling(set, fold);
    }
    learn(graph, recipe, &graphs::Graphs { set, fold }, options)
}

/// Trains `graph` on any task, and leaves the kept weights in it.
///
/// # Errors
/// As [`run`].
pub fn learn<T: Task>(
    graph: &mut Graph,
    recipe: &Recipe,
    task: &T,
    options: &Options<'_>,
) -> Result<Outcome, TrainError> {
    sizes(recipe, task.examples())?;
    prepare(graph, recipe, options)?;
    let mut trainer = Trainer::start(graph.clone(), recipe, task, options)?;
    let interrupted = trainer.train()?;
    let best = options.out.join("best.safetensors");
    if best.exists() {
        checkpoint::load_weights(&best, graph)?;
    }
    let p = &trainer.progress;
    Ok(Outcome {
        best: p.best.unwrap_or(0.0),
        best_epoch: p.best_epoch,
        epochs: p.epoch,
        interrupted,
        seconds: p.seconds,
    })
}

/// Requires a recipe whose numbers fit so many examples.
fn sizes(recipe: &Recipe, examples: usize) -> Result<(), TrainError> {
    let fail = |text: String| Err(TrainError::Recipe(text));
    if recipe.batch == 0 || recipe.threads == 0 || recipe.evaluate_every == 0 {
        return fail("batch, threads and evaluate_every of a recipe must be at least 1".into());
    }
    if examples < recipe.batch {
        return fail(format!("{examples} examples are too few for batches of {}", recipe.batch));
    }
    Ok(())
}

fn check(graph: &Graph, recipe: &Recipe, data: &Split) -> Result<(), TrainError> {
    let fail = |text: String| Err(TrainError::Recipe(text));
    sizes(recipe, usize::MAX)?;
    if data.train.len() < recipe.batch || data.val.is_empty() {
        return fail(format!(
            "{} training and {} held-out examples are too few for batches of {}",
            data.train.len(),
            data.val.len(),
            recipe.batch
        ));
    }
    let (logits, labels) = (graph.shape(graph.logits()), data.train.label_shape);
    if logits.with_c(1) != labels || logits.c as usize != data.train.classes.len() {
        return fail(format!(
            "the scores of {} are {logits}, the data has labels {labels} of {} classes",
            graph.name,
            data.train.classes.len()
        ));
    }
    Ok(())
}

fn prepare(graph: &mut Graph, recipe: &Recipe, options: &Options<'_>) -> Result<(), TrainError> {
    if !options.keep_weights {
        graph.initialise(recipe.seed);
    }
    let bad = |e: &dyn std::fmt::Display| TrainError::Recipe(format!("cannot write the recipe: {e}"));
    let text = toml::to_string_pretty(recipe).map_err(|e| bad(&e))?;
    save_graph(options.out, graph)?;
    Ok(write_atomically(&options.out.join("recipe.toml"), text.as_bytes())?)
}

/// Writes into the metadata of `graph` what it is trained on.
pub fn describe(graph: &mut Graph, recipe: &Recipe, data: &Split) {
    let meta = &mut graph.meta;
    meta.classes = data.train.classes.clone();
    meta.palette = data.train.palette.clone();
    meta.ignore = data.train.ignore;
    meta.data_licence = data.train.licence.clone();
    meta.recipe = recipe.model.clone();
}

/// Writes `graph.json`, making the folder where it is missing.
pub(super) fn save_graph(dir: &Path, graph: &Graph) -> Result<(), CheckpointError> {
    let path = dir.join("graph.json");
    std::fs::create_dir_all(dir).map_err(|source| CheckpointError::Io { path: dir.into(), source })?;
    let text = serde_json::to_string_pretty(graph)
        .map_err(|e| CheckpointError::Content { path: path.clone(), problem: e.to_string() })?;
    write_atomically(&path, text.as_bytes())
}

/// Writes a graph with its weights as the folder of a run, for [`load`]; `note` goes into the header of the weights.
///
/// # Errors
/// The file system refuses.
pub fn save(dir: &Path, graph: &Graph, note: &str) -> Result<(), CheckpointError> {
    save_graph(dir, graph)?;
    checkpoint::save_weights(&dir.join("best.safetensors"), graph, note)
}

/// Reads the graph of a run's folder with its best weights.
///
/// # Errors
/// A missing or damaged `graph.json` or `best.safetensors`.
pub fn load(dir: &Path) -> Result<Graph, CheckpointError> {
    let path = dir.join("graph.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|source| CheckpointError::Io { path: path.clone(), source })?;
    let mut graph: Graph = serde_json::from_str(&text)
        .map_err(|e| CheckpointError::Content { path: path.clone(), problem: e.to_string() })?;
    checkpoint::load_weights(&dir.join("best.safetensors"), &mut graph)?;
    graph.validate().map_err(|e| CheckpointError::Content { path, problem: e.to_string() })?;
    Ok(graph)
}
