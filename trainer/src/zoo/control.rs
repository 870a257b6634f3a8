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

/// How MountainCar is learned. Exploration decides: a car that never comes to the goal learns nothing, and it comes there only where
/// it is pushed one way for long.
pub fn mountain_car(model: &str) -> Recipe {
    Recipe {
        model: model.into(),
        seed: 1,
        steps: 300_000,
        lanes: 8,
        discount: 0.99,
        optimiser: Optimiser::Adam { rate: 1e-3, penalty: 0.0, penalised: Vec::new() },
        schedule: Schedule::Cosine { warm_up: 0.0, last: 0.05 },
        clip: Some(10.0),
        evaluation: Evaluation { every: 10_000, episodes: 200, selects: true },
        algorithm: Algorithm::Dqn(Dqn {
            replay: 100_000,
            warm_up: 5_000,
            batch: 128,
            update_every: 4,
            target_every: 500,
            epsilon: [1.0, 0.05],
            epsilon_steps: 150_000,
            repeats: 200,
            double: true,
            returns: 5,
            prioritised: None,
            demonstrations: None,
        }),
    }
}
