//! One step: a batch is split among threads, gradients and statistics are added in a fixed order.

use super::super::single_threaded;
use super::super::task::{self, Task};
use super::TrainError;
use super::trainer::Trainer;
use crate::exec::{self, ExecError, Mode, NoTap, Statistics, Tap};
use crate::graph::ParamId;
use crate::ops::Data;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

/// Weight of a new batch in the running statistics of batch normalisation.
const STATISTICS_MOMENTUM: f32 = 0.1;

/// What a thread gives back for its share of a batch.
struct Share {
    loss: f64,
    gradients: GradientsParams,
    statistics: Vec<Statistics>,
}

impl<T: Task> Trainer<'_, T> {
    /// Order of the examples in an epoch.
    pub(super) fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.task.examples()).collect();
        order.shuffle(&mut Pcg64::new(u128::from(self.recipe.seed), (1 << 64) + epoch as u128));
        order
    }

    /// One update; returns the loss of the batch.
    pub(super) fn step(&mut self, epoch: usize, indices: &[usize], rate: f64) -> Result<f64, TrainError> {
        let parts: Vec<&[usize]> = indices.chunks(indices.len().div_ceil(self.recipe.threads)).collect();
        let this = &*self;
        let batches: Vec<task::Share<T::Targets>> = std::thread::scope(|scope| {
            let handles: Vec<_> = parts
                .iter()
                .map(|part| scope.spawn(move || this.task.share(&this.graph, this.recipe, epoch, part)))
                .collect();
            handles.into_iter().map(|h| h.join().expect("augmentation does not panic")).collect()
        });
        let total: f64 = batches.iter().map(|share| share.weight).sum();
        let shares: Vec<Result<Share, ExecError>> = std::thread::scope(|scope| {
            let handles: Vec<_> = batches
                .into_iter()
                .zip(&parts)
                .map(|(share, part)| {
                    scope.spawn(move || single_threaded(|| this.share(epoch, part, &share, total)))
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
        self.contract()?;
        self.update_statistics(&statistics, &sizes);
        self.update_average(epoch);
        Ok(loss)
    }

    fn share(
        &self,
        epoch: usize,
        indices: &[usize],
        share: &task::Share<T::Targets>,
        total: f64,
    ) -> Result<Share, ExecError> {
        let inputs: Vec<Tensor<4>> = share.inputs.iter().map(|feed| feed.tensor(&self.device)).collect();
        let weights = self.weights.clone().fork(&self.device);
        let mut rng = generator(self.recipe.seed ^ 0xD80, epoch, indices[0]);
        let mut tap = self.tap();
        let wanted = self.task.wanted(&self.graph);
        let mode = Mode::Train(&mut rng);
        let run = exec::run_counted(&self.graph, &weights, &inputs, &share.counts, &wanted, mode, &mut *tap)?;
        let values: Vec<Tensor<4>> = run.values.iter().map(Data::float).collect();
        let loss = self.task.loss(&values, &share.targets, total, self.recipe);
        let gradients = GradientsParams::from_grads(loss.backward(), &weights);
        let loss = f64::from(loss.into_scalar::<f32>());
        Ok(Share { loss, gradients, statistics: run.statistics })
    }

    /// Keeps the recurrence that the recipe names within its bound.
    pub(super) fn contract(&mut self) -> Result<(), TrainError> {
        let Some(bound) = &self.recipe.contraction else { return Ok(()) };
        let id = self.graph.params.iter().position(|p| p.name == bound.param).map(ParamId);
        let id = id.ok_or_else(|| TrainError::Recipe(format!("no parameter is called `{}`", bound.param)))?;
        let value = self.weights.tensor(id).inner();
        let sums = value.clone().abs().sum_dim(3);
        let factors = sums.clamp_min(f32::MIN_POSITIVE).recip().mul_scalar(bound.norm).clamp_max(1.0);
        self.weights.set(id, value * factors);
        Ok(())
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
}

pub(super) fn generator(seed: u64, epoch: usize, index: usize) -> Pcg64 {
    Pcg64::new(u128::from(seed), ((epoch as u128) << 64) | (1 << 32) | index as u128)
}
