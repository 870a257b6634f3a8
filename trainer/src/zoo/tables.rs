//! Worlds that are tables: planning in FrozenLake, Q-learning in CliffWalking and Taxi.

use crate::env::Env;
use crate::graph::{Graph, GraphError};
use crate::net::Net;
use crate::train::reinforcement::tabular::{Decay, Learning, Method, TableRecipe};

/// A score for each action of each state: one layer without bias over the one-hot state.
///
/// # Errors
/// None for a world with states.
pub fn network(name: &str, env: &dyn Env) -> Result<Graph, GraphError> {
    let mut n = Net::new(name);
    let x = n.input("state", env.observation_space().shape)?;
    let y = n.linear("scores", x, env.action_space().outputs() as u32)?;
    n.finish(y)
}

/// The slippery lake of 8x8. Of the policies that know only the state, none found earns more within the time limit than that of this
/// discount; without one, waiting costs nothing and no action is better than another.
pub fn frozen_lake(model: &str) -> TableRecipe {
    TableRecipe { model: model.into(), method: Method::ValueIteration { discount: 0.995, tolerance: 1e-10 } }
}

/// Taxi, by acting.
pub fn taxi(model: &str) -> TableRecipe {
    learning(model, 5_000)
}

/// CliffWalking, by acting.
pub fn cliff_walking(model: &str) -> TableRecipe {
    learning(model, 2_000)
}

fn learning(model: &str, episodes: u64) -> TableRecipe {
    let method = Method::QLearning(Learning {
        episodes,
        discount: 1.0,
        step_size: Decay::Constant { value: 0.5 },
        epsilon: Decay::Linear { from: 1.0, to: 0.0, episodes },
        seed: 1,
    });
    TableRecipe { model: model.into(), method }
}
