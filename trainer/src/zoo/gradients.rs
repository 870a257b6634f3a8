//! Policies for classic control that learn by their gradient: two hidden layers of 64, and as many for the critic.

use super::policy::{Layers, actor_critic};
use crate::env::Env;
use crate::graph::{Graph, GraphError};
use crate::ops::UnaryFn;
use crate::train::reinforcement::{A2c, Algorithm, Evaluation, Objective, Ppo, Recipe, Reinforce};
use crate::train::{Optimiser, Schedule};

/// Actor and critic for an environment.
///
/// # Errors
/// None for an environment whose observations are vectors.
pub fn network(name: &str, env: &dyn Env) -> Result<Graph, GraphError> {
    let layers = Layers { actor: &[64, 64], critic: &[64, 64], activation: UnaryFn::Relu, spread: 0.5 };
    actor_critic(name, env.observation_space().len() as u32, &env.action_space(), &layers)
}

fn recipe(model: &str, steps: u64, discount: f64, rate: f64, algorithm: Algorithm) -> Recipe {
    Recipe {
        model: model.into(),
        seed: 1,
        steps,
        lanes: 16,
        discount,
        optimiser: Optimiser::Adam { rate, penalty: 0.0, penalised: Vec::new() },
        schedule: Schedule::Cosine { warm_up: 0.0, last: 0.0 },
        clip: Some(0.5),
        evaluation: Evaluation { every: steps / 20, episodes: 50, selects: true },
        algorithm,
    }
}

fn objective(reward_scale: f64, entropy_weight: f64) -> Objective {
    Objective { reward_scale, value_weight: 0.5, entropy_weight, normalise: true }
}

fn ppo(rollout: usize, lambda: f64, objective: Objective) -> Ppo {
    Ppo { rollout, epochs: 10, batch: 256, lambda, clip: 0.2, value_clip: None, distance: None, objective }
}

/// CartPole by PPO.
pub fn cart_pole_ppo(model: &str) -> Recipe {
    recipe(model, 150_000, 0.99, 1e-3, Algorithm::Ppo(ppo(128, 0.95, objective(0.1, 0.0))))
}

/// CartPole by A2C.
pub fn cart_pole_a2c(model: &str) -> Recipe {
    let numbers = A2c { rollout: 16, lambda: 0.95, objective: objective(0.1, 0.0) };
    recipe(model, 500_000, 0.99, 2e-3, Algorithm::A2c(numbers))
}

/// CartPole by REINFORCE.
pub fn cart_pole_reinforce(model: &str) -> Recipe {
    let numbers = Reinforce { objective: objective(0.1, 0.0) };
    recipe(model, 1_000_000, 0.99, 2e-3, Algorithm::Reinforce(numbers))
}

/// Acrobot by PPO.
pub fn acrobot_ppo(model: &str) -> Recipe {
    recipe(model, 500_000, 0.99, 1e-3, Algorithm::Ppo(ppo(128, 0.95, objective(0.1, 0.01))))
}

/// Pendulum by PPO.
pub fn pendulum_ppo(model: &str) -> Recipe {
    recipe(model, 500_000, 0.95, 1e-3, Algorithm::Ppo(ppo(128, 0.95, objective(0.1, 0.0))))
}

/// Actor and critic of the walker: smooth activations, for torques that do not jump.
///
/// # Errors
/// As [`network`].
pub fn walker(name: &str, env: &dyn Env) -> Result<Graph, GraphError> {
    let layers = Layers { actor: &[64, 64], critic: &[64, 64], activation: UnaryFn::Tanh, spread: 0.6 };
    actor_critic(name, env.observation_space().len() as u32, &env.action_space(), &layers)
}

/// The walker by PPO.
pub fn walker_ppo(model: &str) -> Recipe {
    let numbers = ppo(128, 0.95, objective(1.0, 0.0));
    let recipe = recipe(model, 1_500_000, 0.99, 3e-4, Algorithm::Ppo(numbers));
    Recipe { lanes: 32, schedule: Schedule::Cosine { warm_up: 0.0, last: 0.05 }, ..recipe }
}
