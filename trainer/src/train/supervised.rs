//! Supervised training: classification and segmentation by cross entropy.
//!
//! Each batch is split among threads; a thread forks the weights, runs forward and backward on its share, and
//! the gradients are added in a fixed order. A run's folder holds `recipe.toml`, `graph.json`, `best.safetensors`
//! (weights), `last.safetensors` (state to resume from) and `history.jsonl` (one line per epoch).

use super::checkpoint::{self, CheckpointError, Progress, State, write_atomically};
use super::progress::{Display, Epoch};
use super::{Recipe, Targets, cross_entropy, optimiser, single_threaded};
use crate::data::{Examples, Split, augment};
use crate::eval::{self, metrics::Confusion};
use crate::exec::{self, ExecError, Mode, NoTap, Statistics, Tap, Weights};
use crate::graph::{Graph, InputScaling, ParamId};
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Weight of a new batch in the running statistics of batch normalisation.
const STATISTICS_MOMENTUM: f32 = 0.1;

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
    prepare(graph, recipe, data, options)?;
    let mut trainer = Trainer::start(graph.clone(), recipe, data, options)?;
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

fn check(graph: &Graph, recipe: &Recipe, data: &Split) -> Result<(), TrainError> {
    let fail = |text: String| Err(TrainError::Recipe(text));
    if recipe.batch == 0 || recipe.threads == 0 || recipe.evaluate_every == 0 {
        return fail("batch, threads and evaluate_every of a recipe must be at least 1".into());
    }
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

fn prepare(
    graph: &mut Graph,
    recipe: &Recipe,
    data: &Split,
    options: &Options<'_>,
) -> Result<(), TrainError> {
    let io = |source| CheckpointError::Io { path: options.out.into(), source };
    std::fs::create_dir_all(options.out).map_err(io)?;
    let meta = &mut graph.meta;
    meta.classes = data.train.classes.clone();
    meta.palette = data.train.palette.clone();
    meta.ignore = data.train.ignore;
    meta.data_licence = data.train.licence.clone();
    meta.recipe = recipe.model.clone();
    if !options.keep_weights {
        meta.input = Some(data.train.scaling());
        graph.initialise(recipe.seed);
    }
    let bad = |e: &dyn std::fmt::Display| TrainError::Recipe(format!("cannot write the recipe: {e}"));
    let text = toml::to_string_pretty(recipe).map_err(|e| bad(&e))?;
    write_atomically(&options.out.join("recipe.toml"), text.as_bytes())?;
    let text = serde_json::to_string_pretty(graph).map_err(|e| bad(&e))?;
    Ok(write_atomically(&options.out.join("graph.json"), text.as_bytes())?)
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

struct Trainer<'a> {
    graph: Graph,
    average: Graph,
    recipe: &'a Recipe,
    data: &'a Split,
    options: &'a Options<'a>,
    device: Device,
    weights: Weights,
    optimiser: ModuleOptimizer,
    class_weights: Vec<f32>,
    progress: Progress,
    steps: usize,
}

/// What a thread gives back for its share of a batch.
struct Share {
    loss: f64,
    gradients: GradientsParams,
    statistics: Vec<Statistics>,
}

impl<'a> Trainer<'a> {
    fn start(
        mut graph: Graph,
        recipe: &'a Recipe,
        data: &'a Split,
        options: &'a Options<'a>,
    ) -> Result<Self, TrainError> {
        let device = Device::flex().autodiff();
        let mut average = graph.clone();
        let text = toml::to_string(recipe).unwrap_or_default();
        let last = options.out.join("last.safetensors");
        let mut progress = Progress { recipe: text.clone(), ..Progress::default() };
        let mut state = None;
        if options.resume && last.exists() {
            let read = checkpoint::load_state(&last, &mut graph, &mut average)?;
            if read.progress.recipe != text {
                return Err(TrainError::Recipe(format!(
                    "{} was made by another recipe; resume with that one or choose another folder",
                    last.display()
                )));
            }
            progress = read.progress;
            state = Some(read.optimiser);
        }
        let weights = Weights::from_graph(&graph, &device);
        let mut optimiser = optimiser(&recipe.optimiser, &graph, &weights);
        if let Some(bytes) = state {
            optimiser = optimiser
                .from_bytes(burn::tensor::Bytes::from_bytes_vec(bytes))
                .map_err(|e| TrainError::Recipe(format!("{}: optimiser state: {e}", last.display())))?;
        }
        let class_weights = recipe.class_weights.weights(&data.train.class_counts());
        let steps = data.train.len() / recipe.batch;
        Ok(Self {
            graph,
            average,
            recipe,
            data,
            options,
            device,
            weights,
            optimiser,
            class_weights,
            progress,
            steps,
        })
    }

    /// Returns true where it was interrupted.
    fn train(&mut self) -> Result<bool, TrainError> {
        let of = self.recipe.epochs;
        let steps = self.steps;
        let done = |p: &Progress| (p.epoch * steps + p.step) as u64;
        let mut display = Display::new(self.options.quiet, done(&self.progress), (of * steps) as u64);
        self.trim_history()?;
        while self.progress.epoch < of {
            let epoch = self.progress.epoch;
            let started = Instant::now();
            let before = self.progress.step;
            let order = self.order(epoch);
            let mut rate = 0.0;
            while self.progress.step < self.steps {
                let step = self.progress.step;
                let indices = &order[step * self.recipe.batch..(step + 1) * self.recipe.batch];
                let at = epoch as f64 + step as f64 / self.steps as f64;
                rate = self.recipe.optimiser.rate() * self.recipe.schedule.factor(at, of as f64);
                let loss = self.step(epoch, indices, rate)?;
                if !loss.is_finite() {
                    return Err(TrainError::Recipe(format!(
                        "the loss is {loss} in epoch {}, step {}: lower the learning rate ({rate:.2e})",
                        epoch + 1,
                        step + 1
                    )));
                }
                self.progress.step += 1;
                self.progress.loss_sum += loss;
                let images = (self.progress.step - before) * self.recipe.batch;
                let per_second = images as f64 / started.elapsed().as_secs_f64();
                let mean = self.progress.loss_sum / self.progress.step as f64;
                display.step(epoch + 1, of, done(&self.progress), mean, per_second);
                if self.options.stop.load(Ordering::Relaxed) {
                    self.progress.seconds += started.elapsed().as_secs_f64();
                    self.save()?;
                    display.finish();
                    if !self.options.quiet {
                        eprintln!(
                            "stopped after step {} of epoch {}; the same command with --resume continues",
                            self.progress.step,
                            epoch + 1
                        );
                    }
                    return Ok(true);
                }
            }
            let images = (self.steps - before) * self.recipe.batch;
            let images_per_second = images as f64 / started.elapsed().as_secs_f64();
            let loss = self.progress.loss_sum / self.steps as f64;
            self.progress.epoch += 1;
            self.progress.step = 0;
            self.progress.loss_sum = 0.0;
            let evaluate = self.progress.epoch.is_multiple_of(self.recipe.evaluate_every);
            let metric = if evaluate || self.progress.epoch == of { Some(self.evaluate()?) } else { None };
            self.progress.seconds += started.elapsed().as_secs_f64();
            self.record(loss, rate, metric.as_ref())?;
            self.save()?;
            display.epoch(&Epoch {
                number: self.progress.epoch,
                of,
                loss,
                rate,
                metric: metric.as_ref().map(|c| {
                    let (name, value) = self.metric(c);
                    (name, value, self.progress.best.unwrap_or(0.0))
                }),
                images_per_second,
                steps_done: done(&self.progress),
            });
            if self.recipe.patience > 0 && self.progress.stale >= self.recipe.patience {
                break;
            }
        }
        display.finish();
        Ok(false)
    }

    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.data.train.len()).collect();
        order.shuffle(&mut Pcg64::new(u128::from(self.recipe.seed), (1 << 64) + epoch as u128));
        order
    }

    fn step(&mut self, epoch: usize, indices: &[usize], rate: f64) -> Result<f64, TrainError> {
        let parts: Vec<&[usize]> = indices.chunks(indices.len().div_ceil(self.recipe.threads)).collect();
        let this = &*self;
        let batches: Vec<(Vec<f32>, Targets)> = std::thread::scope(|scope| {
            let handles: Vec<_> =
                parts.iter().map(|part| scope.spawn(move || this.examples(epoch, part))).collect();
            handles.into_iter().map(|h| h.join().expect("augmentation does not panic")).collect()
        });
        let total: f64 = batches.iter().map(|(_, t)| t.total()).sum();
        let shares: Vec<Result<Share, ExecError>> = std::thread::scope(|scope| {
            let handles: Vec<_> = batches
                .into_iter()
                .zip(&parts)
                .map(|((input, targets), part)| {
                    scope.spawn(move || single_threaded(|| this.share(epoch, part, input, &targets, total)))
                })
                .collect();
            handles.into_iter().map(|h| h.join().expect("the executor does not panic")).collect()
        });
        let shares = shares.into_iter().collect::<Result<Vec<_>, _>>()?;
        let loss = shares.iter().map(|s| s.loss).sum();
        let sizes: Vec<f32> = parts.iter().map(|p| p.len() as f32 / indices.len() as f32).collect();
        let mut gradients = GradientsAccumulator::new();
        let mut statistics = Vec::new();
        for share in shares {
            gradients.accumulate(&self.weights, share.gradients);
            statistics.push(share.statistics);
        }
        self.weights = self.optimiser.step(rate, self.weights.clone(), gradients.grads());
        self.update_statistics(&statistics, &sizes);
        self.update_average(epoch);
        Ok(loss)
    }

    /// Augmented input and targets; every example has a generator of its own, so threads do not matter.
    fn examples(&self, epoch: usize, indices: &[usize]) -> (Vec<f32>, Targets) {
        let set = &self.data.train;
        let unit = InputScaling::unit(set.shape.c as usize);
        let scaling = self.graph.meta.input.as_ref().unwrap_or(&unit);
        let mut input = Vec::with_capacity(indices.len() * set.shape.elements());
        let mut labels = Vec::with_capacity(indices.len() * set.label_shape.elements());
        for &index in indices {
            let mut rng = generator(self.recipe.seed, epoch, index);
            let a = &self.recipe.augment;
            augment::augmented(set, index, a, scaling, &mut rng, &mut input, &mut labels);
        }
        (input, Targets::new(&labels, &self.class_weights, set.ignore))
    }

    fn share(
        &self,
        epoch: usize,
        indices: &[usize],
        input: Vec<f32>,
        targets: &Targets,
        total: f64,
    ) -> Result<Share, ExecError> {
        let s = self.data.train.shape;
        let dims = [indices.len(), s.h as usize, s.w as usize, s.c as usize];
        let input = Tensor::from_data(TensorData::new(input, dims), &self.device);
        let weights = self.weights.clone().fork(&self.device);
        let mut rng = generator(self.recipe.seed ^ 0xD80, epoch, indices[0]);
        let mut tap = self.tap();
        let logits = self.graph.logits();
        let mode = Mode::Train(&mut rng);
        let run = exec::run(&self.graph, &weights, &[input], &[logits], mode, &mut *tap)?;
        let loss = cross_entropy(run.float(), targets, total, self.recipe.label_smoothing);
        let gradients = GradientsParams::from_grads(loss.backward(), &weights);
        let loss = f64::from(loss.into_scalar::<f32>());
        Ok(Share { loss, gradients, statistics: run.statistics })
    }

    fn tap(&self) -> Box<dyn Tap> {
        self.options.tap.map_or_else(|| Box::new(NoTap) as Box<dyn Tap>, |make| make())
    }

    fn update_statistics(&mut self, shares: &[Vec<Statistics>], sizes: &[f32]) {
        let Some(first) = shares.first() else { return };
        for (at, s) in first.iter().enumerate() {
            let node = self.graph.node(s.node);
            let (mean_id, variance_id) = (node.params[2], node.params[3]);
            let blend = |id: ParamId, of: &dyn Fn(&Statistics) -> Tensor<1>| {
                let old = self.weights.tensor(id).inner();
                let new = shares
                    .iter()
                    .zip(sizes)
                    .map(|(s, size)| of(&s[at]).mul_scalar(*size))
                    .reduce(|a, b| a + b)
                    .expect("there is a share");
                let dims = old.dims();
                old.mul_scalar(1.0 - STATISTICS_MOMENTUM) + new.reshape(dims).mul_scalar(STATISTICS_MOMENTUM)
            };
            let mean = blend(mean_id, &|s| s.mean.clone());
            let variance = blend(variance_id, &|s| s.variance.clone());
            self.weights.set(mean_id, mean);
            self.weights.set(variance_id, variance);
        }
    }

    /// Exponential average of all parameters; its decay grows from 0.1 so that the start is forgotten.
    fn update_average(&mut self, epoch: usize) {
        if self.recipe.average == 0.0 {
            return;
        }
        let step = (epoch * self.steps + self.progress.step) as f32;
        let decay = self.recipe.average.min((1.0 + step) / (10.0 + step));
        for (i, p) in self.average.params.iter_mut().enumerate() {
            for (a, w) in p.data.iter_mut().zip(self.weights.read(ParamId(i))) {
                *a = decay * *a + (1.0 - decay) * w;
            }
        }
    }

    fn metric(&self, confusion: &Confusion) -> (&'static str, f64) {
        if self.data.val.is_segmentation() {
            ("mIoU", confusion.mean_iou())
        } else {
            ("accuracy", confusion.accuracy())
        }
    }

    fn evaluate(&mut self) -> Result<Confusion, TrainError> {
        self.weights.store(&mut self.graph);
        let kept = if self.recipe.average > 0.0 { &self.average } else { &self.graph };
        let weights = Weights::from_graph(kept, &Device::flex());
        let set: &Examples = &self.data.val;
        let threads = self.recipe.threads;
        let confusion = match self.options.tap {
            None => eval::evaluate(kept, &weights, set, threads, &|| Box::new(NoTap))?,
            Some(make) => eval::evaluate(kept, &weights, set, threads, make)?,
        };
        let (name, value) = self.metric(&confusion);
        self.progress.stale += 1;
        if self.progress.best.is_none_or(|best| value > best) {
            self.progress.best = Some(value);
            self.progress.best_epoch = self.progress.epoch;
            self.progress.stale = 0;
            let note = serde_json::json!({
                "model": kept.name, "epoch": self.progress.epoch, name: value, "recipe": self.progress.recipe,
            });
            let path = self.options.out.join("best.safetensors");
            checkpoint::save_weights(&path, kept, &note.to_string())?;
        }
        Ok(confusion)
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.weights.store(&mut self.graph);
        let optimiser = self
            .optimiser
            .into_bytes()
            .map_err(|e| TrainError::Recipe(format!("the optimiser's state cannot be written: {e}")))?;
        let state = State { progress: self.progress.clone(), optimiser: optimiser.to_vec() };
        let path = self.options.out.join("last.safetensors");
        Ok(checkpoint::save_state(&path, &self.graph, &self.average, &state)?)
    }

    /// Drops lines of epochs that this run will do again.
    fn trim_history(&self) -> Result<(), TrainError> {
        let path = self.options.out.join("history.jsonl");
        let old = if self.options.resume {
            std::fs::read_to_string(&path).unwrap_or_default()
        } else {
            String::new()
        };
        let done =
            |line: &&str| serde_json::from_str::<History>(line).is_ok_and(|h| h.epoch <= self.progress.epoch);
        let kept: String = old.lines().filter(done).map(|l| format!("{l}\n")).collect();
        Ok(write_atomically(&path, kept.as_bytes())?)
    }

    fn record(&self, loss: f64, rate: f64, confusion: Option<&Confusion>) -> Result<(), TrainError> {
        let line = History {
            epoch: self.progress.epoch,
            loss,
            rate,
            accuracy: confusion.map(Confusion::accuracy),
            mean_iou: confusion.map(Confusion::mean_iou),
            seconds: self.progress.seconds,
        };
        let path = self.options.out.join("history.jsonl");
        let mut text = std::fs::read_to_string(&path).unwrap_or_default();
        text.push_str(&serde_json::to_string(&line).unwrap_or_default());
        text.push('\n');
        Ok(write_atomically(&path, text.as_bytes())?)
    }
}

fn generator(seed: u64, epoch: usize, index: usize) -> Pcg64 {
    Pcg64::new(u128::from(seed), ((epoch as u128) << 64) | (1 << 32) | index as u128)
}
