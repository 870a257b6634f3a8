//! A recipe: every number of a training, written and read as TOML.

use super::a2c::A2c;
use super::dqn::Dqn;
use super::ppo::Ppo;
use super::reinforce::Reinforce;
use crate::train::{Optimiser, Schedule};
use serde::{Deserialize, Serialize};

/// How a policy is trained. The same recipe, machine and library give the same weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Model of the zoo.
    pub model: String,
    /// Seed of initial weights, episodes and exploration.
    pub seed: u64,
    /// Steps of the environment, over all lanes.
    pub steps: u64,
    /// Environments side by side.
    pub lanes: usize,
    /// What a reward one step later counts.
    pub discount: f64,
    /// Update rule.
    pub optimiser: Optimiser,
    /// Learning rate over the training.
    pub schedule: Schedule,
    /// Largest norm of a gradient of one parameter; longer ones are shortened.
    pub clip: Option<f32>,
    /// Measurements during the training.
    pub evaluation: Evaluation,
    /// How it learns.
    pub algorithm: Algorithm,
}

/// When and how the greedy policy is measured during a training, on episodes that are not those of the final figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Steps of the environment between two measurements.
    pub every: u64,
    /// Episodes of each.
    pub episodes: usize,
    /// Whether the weights of the best measurement are kept, rather than the last.
    pub selects: bool,
}

/// An algorithm and its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name", deny_unknown_fields)]
pub enum Algorithm {
    /// Deep Q-learning.
    Dqn(Dqn),
    /// REINFORCE with a baseline.
    Reinforce(Reinforce),
    /// Synchronous advantage actor-critic.
    A2c(A2c),
    /// Proximal policy optimisation.
    Ppo(Ppo),
}
