//! A recipe: every number of a training run, written and read as TOML.

use crate::data::augment::Augment;
use serde::{Deserialize, Serialize};

/// How a model is trained. The same recipe, data, machine and thread count give the same weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Model of the zoo.
    pub model: String,
    /// Seed of initialisation, order and augmentation.
    pub seed: u64,
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples per step, over all threads.
    pub batch: usize,
    /// Threads among which a batch is split; batch normalisation sees one share.
    pub threads: usize,
    /// Update rule.
    pub optimiser: Optimiser,
    /// Learning rate over time.
    pub schedule: Schedule,
    /// Weights of the classes in the loss.
    pub class_weights: ClassWeights,
    /// Part of the target that is spread over all classes (Szegedy et al. 2016).
    pub label_smoothing: f32,
    /// Decay per step of the average of the weights that is evaluated and kept; 0 keeps the weights themselves.
    pub average: f32,
    /// Evaluate every so many epochs, and after the last.
    pub evaluate_every: usize,
    /// Stop after so many evaluations without a better metric; 0 never stops early.
    pub patience: usize,
    /// Random changes of the examples.
    pub augment: Augment,
    /// Largest norm of a gradient of one parameter; longer ones are shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f32>,
    /// Bound that a recurrence is kept in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contraction: Option<Contraction>,
}

impl Recipe {
    /// A recipe with nothing special: from seed 1, on one thread, to the last epoch, evaluated after each.
    pub fn plain(model: &str, epochs: usize, batch: usize, optimiser: Optimiser, schedule: Schedule) -> Self {
        Self {
            model: model.into(),
            seed: 1,
            epochs,
            batch,
            threads: 1,
            optimiser,
            schedule,
            class_weights: ClassWeights::Equal,
            label_smoothing: 0.0,
            average: 0.0,
            evaluate_every: 1,
            patience: 0,
            augment: Augment::default(),
            clip: None,
            contraction: None,
        }
    }
}

/// A bound on the weights of a recurrence, so that it has one fixed point: after each step, rows of the matrix whose
/// absolute values sum to more than `norm` are shrunk to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contraction {
    /// Name of the parameter.
    pub param: String,
    /// Largest sum.
    pub norm: f32,
}

/// Update rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "rule", deny_unknown_fields)]
pub enum Optimiser {
    /// Loshchilov and Hutter 2019. Vectors (biases, batch normalisation) do not decay.
    AdamW {
        /// Peak learning rate.
        rate: f64,
        /// Decoupled weight decay.
        decay: f32,
    },
    /// Kingma and Ba 2015, with an L2 penalty on some matrices.
    Adam {
        /// Peak learning rate.
        rate: f64,
        /// Penalty: this times half the sum of squares is added to the loss.
        penalty: f32,
        /// Nodes whose weights are penalised.
        penalised: Vec<String>,
    },
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// Peak learning rate.
        rate: f64,
        /// Momentum, 0 for none.
        momentum: f64,
        /// L2 penalty.
        decay: f32,
    },
}

impl Optimiser {
    /// Peak learning rate.
    pub fn rate(&self) -> f64 {
        match self {
            Optimiser::AdamW { rate, .. } | Optimiser::Adam { rate, .. } | Optimiser::Sgd { rate, .. } => {
                *rate
            }
        }
    }

    /// Peak learning rate, to be changed.
    pub fn rate_mut(&mut self) -> &mut f64 {
        match self {
            Optimiser::AdamW { rate, .. } | Optimiser::Adam { rate, .. } | Optimiser::Sgd { rate, .. } => {
                rate
            }
        }
    }
}

/// Learning rate over time, after a linear warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", deny_unknown_fields)]
pub enum Schedule {
    /// Half a cosine from the peak to `last` times the peak.
    Cosine {
        /// Epochs of warm-up.
        warm_up: f64,
        /// Last rate as a part of the peak.
        last: f64,
    },
    /// Times `factor` every `every` epochs.
    Step {
        /// Epochs of warm-up.
        warm_up: f64,
        /// Epochs between two reductions.
        every: f64,
        /// Factor of a reduction.
        factor: f64,
    },
    /// The peak all the time.
    Constant {
        /// Epochs of warm-up.
        warm_up: f64,
    },
}

impl Schedule {
    /// Part of the peak learning rate at `epoch` (with its fraction) of `epochs`.
    pub fn factor(&self, epoch: f64, epochs: f64) -> f64 {
        let (Schedule::Cosine { warm_up, .. }
        | Schedule::Step { warm_up, .. }
        | Schedule::Constant { warm_up }) = self;
        if epoch < *warm_up {
            return (epoch / warm_up).max(1e-3);
        }
        match self {
            Schedule::Cosine { warm_up, last } => {
                let done = ((epoch - warm_up) / (epochs - warm_up).max(1e-9)).min(1.0);
                last + (1.0 - last) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
            Schedule::Step { every, factor, .. } => factor.powf((epoch / every).floor()),
            Schedule::Constant { .. } => 1.0,
        }
    }
}

/// Weights of the classes in the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// All 1.
    Equal,
    /// `1 / sqrt(frequency)`, scaled so that the mean over all labels is 1.
    SqrtInverse,
}

impl ClassWeights {
    /// The weight of each class, given how often it occurs. A class that does not occur has weight 1.
    pub fn weights(self, counts: &[u64]) -> Vec<f32> {
        if self == ClassWeights::Equal {
            return vec![1.0; counts.len()];
        }
        let total: u64 = counts.iter().sum();
        let frequency: Vec<f64> = counts.iter().map(|&c| c as f64 / total.max(1) as f64).collect();
        let raw: Vec<f64> = frequency.iter().map(|&f| if f > 0.0 { f.powf(-0.5) } else { 1.0 }).collect();
        let mean: f64 = raw.iter().zip(&frequency).map(|(r, f)| r * f).sum();
        raw.iter().map(|r| (r / mean.max(1e-12)) as f32).collect()
    }
}
