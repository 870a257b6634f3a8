//! The loop over epochs: evaluation, checkpoints, history, interruption.

use super::super::checkpoint::{self, Progress, State, write_atomically};
use super::super::progress::{Display, Epoch};
use super::super::task::{Score, Task};
use super::super::{Recipe, optimiser};
use super::{History, Options, TrainError};
use crate::exec::{NoTap, Weights};
use crate::graph::Graph;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A run in progress.
pub(super) struct Trainer<'a, T> {
    pub(super) graph: Graph,
    pub(super) average: Graph,
    pub(super) recipe: &'a Recipe,
    pub(super) task: &'a T,
    pub(super) options: &'a Options<'a>,
    pub(super) device: Device,
    pub(super) weights: Weights,
    pub(super) optimiser: ModuleOptimizer,
    pub(super) progress: Progress,
    pub(super) steps: usize,
}

impl<'a, T: Task> Trainer<'a, T> {
    /// Sets up, or reads the state to resume from.
    pub(super) fn start(
        mut graph: Graph,
        recipe: &'a Recipe,
        task: &'a T,
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
        let mut optimiser = optimiser(&recipe.optimiser, recipe.clip, &graph, &weights);
        if let Some(bytes) = state {
            optimiser = optimiser
                .from_bytes(burn::tensor::Bytes::from_bytes_vec(bytes))
                .map_err(|e| TrainError::Recipe(format!("{}: optimiser state: {e}", last.display())))?;
        }
        let steps = task.examples() / recipe.batch;
        let mut trainer =
            Self { graph, average, recipe, task, options, device, weights, optimiser, progress, steps };
        trainer.contract()?;
        Ok(trainer)
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
            let metric = if evaluate || self.progress.epoch == of { self.evaluate()? } else { None };
            self.progress.seconds += started.elapsed().as_secs_f64();
            self.record(loss, rate, metric.as_ref())?;
            self.save()?;
            display.epoch(&Epoch {
                number: self.progress.epoch,
                of,
                loss,
                rate,
                metric: metric.as_ref().map(|s| (s.name, s.value, self.progress.best.unwrap_or(0.0))),
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

    /// Measures, and keeps the weights where they are the best yet or the last.
    fn evaluate(&mut self) -> Result<Option<Score>, TrainError> {
        self.weights.store(&mut self.graph);
        let kept = if self.recipe.average > 0.0 { &self.average } else { &self.graph };
        let weights = Weights::from_graph(kept, &Device::flex());
        let threads = self.recipe.threads;
        let none: super::TapFactory<'_> = &|| Box::new(NoTap);
        let score = self.task.evaluate(kept, &weights, threads, self.options.tap.unwrap_or(none))?;
        self.progress.stale += 1;
        let better = match (&score, self.progress.best) {
            (Some(score), Some(best)) => score.beats(best),
            _ => true,
        };
        if better || !self.task.selects() {
            self.progress.best = score.as_ref().map(|s| s.value);
            self.progress.best_epoch = self.progress.epoch;
            self.progress.stale = 0;
            let mut note = serde_json::json!({
                "model": kept.name, "epoch": self.progress.epoch, "recipe": self.progress.recipe,
            });
            if let Some(score) = &score {
                note[score.name] = score.value.into();
            }
            let path = self.options.out.join("best.safetensors");
            checkpoint::save_weights(&path, kept, &note.to_string())?;
        }
        Ok(score)
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

    fn record(&self, loss: f64, rate: f64, score: Option<&Score>) -> Result<(), TrainError> {
        let line = History {
            epoch: self.progress.epoch,
            loss,
            rate,
            accuracy: score.and_then(|s| s.accuracy),
            mean_iou: score.and_then(|s| s.mean_iou),
            metric: score.map(|s| (s.name.to_string(), s.value)),
            seconds: self.progress.seconds,
        };
        let path = self.options.out.join("history.jsonl");
        let mut text = std::fs::read_to_string(&path).unwrap_or_default();
        text.push_str(&serde_json::to_string(&line).unwrap_or_default());
        text.push('\n');
        Ok(write_atomically(&path, text.as_bytes())?)
    }
}
