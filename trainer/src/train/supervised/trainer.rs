//! The loop over epochs: evaluation, checkpoints, history, interruption.

use super::super::checkpoint::{self, Progress, State, write_atomically};
use super::super::progress::{Display, Epoch};
use super::super::{Recipe, optimiser};
use super::{History, Options, TrainError};
use crate::data::{Examples, Split};
use crate::eval::{self, metrics::Confusion};
use crate::exec::{NoTap, Weights};
use crate::graph::Graph;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A run in progress.
pub(super) struct Trainer<'a> {
    pub(super) graph: Graph,
    pub(super) average: Graph,
    pub(super) recipe: &'a Recipe,
    pub(super) data: &'a Split,
    pub(super) options: &'a Options<'a>,
    pub(super) device: Device,
    pub(super) weights: Weights,
    pub(super) optimiser: ModuleOptimizer,
    pub(super) class_weights: Vec<f32>,
    pub(super) progress: Progress,
    pub(super) steps: usize,
}

impl<'a> Trainer<'a> {
    /// Sets up, or reads the state to resume from.
    pub(super) fn start(
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
    pub(super) fn train(&mut self) -> Result<bool, TrainError> {
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
