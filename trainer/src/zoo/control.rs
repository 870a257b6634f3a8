//! Value networks for classic control: two dense layers.

use crate::graph::{Graph, GraphError};
use crate::net::Net;
use crate::train::reinforcement::{Algorithm, Dqn, Evaluation, Recipe};
use crate::train::{Optimiser, Schedule};
use dunlin::shape::Shape;

/// Units of each hidden layer.
pub const UNITS: u32 = 64;

/// Values of `actions` actions for a vector that is seen.
///
/// # Errors
/// None for sizes above zero.
pub fn network(name: &str, observation: Shape, actions: u32) -> Result<Graph, GraphError> {
    let mut n = Net::new(name);
    let x = n.input("observation", observation)?;
    let x = n.dense_relu("hidden1", x, UNITS)?;
    let x = n.dense_relu("hidden2", x, UNITS)?;
    let x = n.dense("value", x, actions)?;
    n.finish(x)
}

/// How Acrobot is learned.
pub fn acrobot(model: &str) -> Recipe {
    recipe(model, 200_000, [0.05, 0.99], 1e-3)
}

/// How MountainCar is learned. Exploration decides: a car that never comes to the goal learns nothing.
pub fn mountain_car(model: &str) -> Recipe {
    recipe(model, 400_000, [0.05, 0.99], 1e-3)
}

fn recipe(model: &str, steps: u64, [epsilon, discount]: [f64; 2], rate: f64) -> Recipe {
    Recipe {
        model: model.into(),
        seed: 1,
        steps,
        lanes: 8,
        discount,
        optimiser: Optimiser::Adam { rate, penalty: 0.0, penalised: Vec::new() },
        schedule: Schedule::Cosine { warm_up: 0.0, last: 0.05 },
        clip: Some(10.0),
        evaluation: Evaluation { every: 20_000, episodes: 100, selects: true },
        algorithm: Algorithm::Dqn(Dqn {
            replay: 50_000,
            warm_up: 5_000,
            batch: 128,
            update_every: 8,
            target_every: 100,
            epsilon: [1.0, epsilon],
            epsilon_steps: steps / 4,
            repeats: 64,
            double: true,
            returns: 5,
            prioritised: None,
        }),
    }
}
