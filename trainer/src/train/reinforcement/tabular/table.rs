//! A policy of a table as a network: one dense layer over a one-hot state.

use super::{Learning, expected_return, q_learning_shown, value_iteration_from};
use crate::env::mdp::Table;
use crate::graph::Graph;
use crate::train::reinforcement::History;
use serde::{Deserialize, Serialize};

/// How a policy is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRecipe {
    /// Model of the zoo.
    pub model: String,
    /// How.
    pub method: Method,
}

/// A method and its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name", deny_unknown_fields)]
pub enum Method {
    /// Planning in the table.
    ValueIteration {
        /// What a reward one step later counts.
        discount: f64,
        /// Largest change of a value in the last sweep.
        tolerance: f64,
    },
    /// Learning by acting.
    QLearning(Learning),
}

impl TableRecipe {
    /// The seed of what is learned by acting.
    pub fn seed(&self) -> Option<u64> {
        match &self.method {
            Method::ValueIteration { .. } => None,
            Method::QLearning(learning) => Some(learning.seed),
        }
    }
}

impl TableRecipe {
    /// The same recipe with another seed, where it has one.
    pub fn with_seed(&self, seed: u64) -> Self {
        let mut recipe = self.clone();
        if let Method::QLearning(learning) = &mut recipe.method {
            learning.seed = seed;
        }
        recipe
    }
}

/// Measurements of a learning.
const MEASUREMENTS: u64 = 100;

/// Finds a policy for `world` and writes it into the only layer of `graph`, `[actions, states]`: 1 for the action of a state, else 0.
/// Returns the exact mean return, within the time limit, of the greedy policy after each sweep or after parts of the learning.
///
/// # Panics
/// A graph of another size than the world.
pub fn train(graph: &mut Graph, world: &mut dyn Table, recipe: &TableRecipe) -> Vec<History> {
    let mut history = Vec::new();
    let mdp = world.mdp().clone();
    let limit = world.limit();
    let states = mdp.states();
    let mut record = |step: u64, episodes: u64, policy: &[usize]| {
        history.push(History {
            step,
            mean_return: expected_return(&mdp, policy, limit),
            confidence: 0.0,
            success: None,
            training_return: None,
            loss: None,
            episodes,
            seconds: 0.0,
        });
    };
    let policy = match &recipe.method {
        Method::ValueIteration { discount, tolerance } => {
            let mut values = vec![0.0; states];
            let mut step = 0;
            loop {
                // One sweep: any change is within infinity.
                let next = value_iteration_from(&mdp, *discount, f64::INFINITY, values.clone());
                let change = next.values.iter().zip(&values).fold(0.0, |c: f64, (a, b)| c.max((a - b).abs()));
                step += states as u64;
                record(step, 0, &next.policy);
                values = next.values;
                if change <= *tolerance {
                    break next.policy;
                }
            }
        }
        Method::QLearning(learning) => {
            let mut episodes = 0;
            let learned = q_learning_shown(world, learning, |step, learned| {
                episodes += 1;
                let part = |episode: u64| episode * MEASUREMENTS / learning.episodes.max(1);
                if part(episodes) != part(episodes - 1) {
                    record(step, episodes, &learned.policy());
                }
            });
            learned.policy()
        }
    };
    let weights = &mut graph.params[0];
    assert_eq!(weights.dims, [mdp.actions(), states], "the table is of another world");
    weights.data.fill(0.0);
    policy.iter().enumerate().for_each(|(state, action)| weights.data[action * states + state] = 1.0);
    history
}
