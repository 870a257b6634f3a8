//! The models that learn by acting: environment, network, recipe and how they are measured.

use super::{control, gradients, grid_dqn, skirmish, tables};
use crate::env::{self, Env};
use crate::graph::{Graph, GraphError};
use crate::train::reinforcement::Recipe;
use crate::train::reinforcement::tabular::TableRecipe;

/// A policy.
#[derive(Clone, Copy, Debug)]
pub struct PolicyModel {
    /// Its name.
    pub name: &'static str,
    /// Name of its environment.
    pub environment: &'static str,
    /// Makes the network of that name for an environment.
    pub network: fn(&str, &dyn Env) -> Result<Graph, GraphError>,
    /// How it is trained, by that name.
    pub recipe: PolicyRecipe,
    /// Episodes that it is measured on.
    pub episodes: u32,
    /// The mean return that counts as solved, where there is one.
    pub bar: Option<f64>,
}

impl PolicyModel {
    /// Its environment.
    pub fn env(&self) -> Box<dyn Env> {
        env::make(self.environment).expect("every model's environment is there; a test makes all")
    }

    /// Its network.
    ///
    /// # Errors
    /// None for the models of [`ALL`].
    pub fn graph(&self) -> Result<Graph, GraphError> {
        (self.network)(self.name, &*self.env())
    }
}

/// How a policy is trained, by the name of its model.
#[derive(Clone, Copy, Debug)]
pub enum PolicyRecipe {
    /// A network, by gradients.
    Network(fn(&str) -> Recipe),
    /// A table, without.
    Table(fn(&str) -> TableRecipe),
}

/// A world that is a table.
const fn table(
    name: &'static str,
    environment: &'static str,
    recipe: fn(&str) -> TableRecipe,
    bar: f64,
) -> PolicyModel {
    let recipe = PolicyRecipe::Table(recipe);
    PolicyModel { name, environment, network: tables::network, recipe, episodes: 1000, bar: Some(bar) }
}

/// A game on a grid, learned by DQN.
const fn grid(name: &'static str, environment: &'static str, recipe: fn(&str) -> Recipe) -> PolicyModel {
    PolicyModel {
        name,
        environment,
        network: |name, env| {
            grid_dqn::network(name, env.observation_space().shape, env.action_space().outputs() as u32)
        },
        recipe: PolicyRecipe::Network(recipe),
        episodes: 300,
        bar: None,
    }
}

/// Classic control, learned by DQN.
const fn control(
    name: &'static str,
    environment: &'static str,
    recipe: fn(&str) -> Recipe,
    bar: f64,
) -> PolicyModel {
    PolicyModel {
        name,
        environment,
        network: |name, env| {
            control::network(name, env.observation_space().shape, env.action_space().outputs() as u32)
        },
        recipe: PolicyRecipe::Network(recipe),
        episodes: 100,
        bar: Some(bar),
    }
}

/// Classic control, learned by a policy gradient.
const fn gradient(
    name: &'static str,
    environment: &'static str,
    recipe: fn(&str) -> Recipe,
    (episodes, bar): (u32, f64),
) -> PolicyModel {
    let recipe = PolicyRecipe::Network(recipe);
    PolicyModel { name, environment, network: gradients::network, recipe, episodes, bar: Some(bar) }
}

/// All policies.
pub const ALL: [PolicyModel; 16] = [
    table("frozenlake8x8-planned", "FrozenLake8x8-v1", tables::frozen_lake, 0.8936),
    table("cliffwalking-q", "CliffWalking-v1", tables::cliff_walking, -13.0),
    table("taxi-q", "Taxi-v3", tables::taxi, 7.93),
    gradient("cartpole-ppo", "CartPole-v1", gradients::cart_pole_ppo, (100, 500.0)),
    gradient("cartpole-a2c", "CartPole-v1", gradients::cart_pole_a2c, (100, 500.0)),
    gradient("cartpole-reinforce", "CartPole-v1", gradients::cart_pole_reinforce, (100, 500.0)),
    gradient("acrobot-ppo", "Acrobot-v1", gradients::acrobot_ppo, (100, -90.0)),
    gradient("pendulum-ppo", "Pendulum-v1", gradients::pendulum_ppo, (300, -180.0)),
    PolicyModel {
        network: gradients::walker,
        bar: None,
        ..gradient("walker-ppo", "Walker", gradients::walker_ppo, (100, 0.0))
    },
    control("mountaincar-dqn", "MountainCar-v0", control::mountain_car, -110.0),
    grid("pong-dqn", "pong", grid_dqn::recipe),
    grid("breakout-dqn", "breakout", grid_dqn::recipe),
    grid("space-invaders-dqn", "space-invaders", grid_dqn::recipe),
    grid("seaquest-dqn", "seaquest", grid_dqn::led),
    grid("beam-rider-dqn", "beam-rider", grid_dqn::recipe),
    PolicyModel {
        name: "skirmish",
        environment: "skirmish",
        network: |name, _| skirmish::network(name),
        recipe: PolicyRecipe::Network(skirmish::recipe),
        episodes: 100,
        bar: None,
    },
];

/// The policy of this name.
pub fn find(name: &str) -> Option<&'static PolicyModel> {
    const { &ALL }.iter().find(|model| model.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_fits_its_environment() {
        for model in &ALL {
            let env = model.env();
            let graph = model.graph().unwrap();
            let (input, output) = (graph.shape(graph.inputs[0]), graph.shape(graph.outputs[0]));
            assert_eq!(input, env.observation_space().shape, "{}", model.name);
            assert_eq!(output.elements(), env.action_space().outputs(), "{}", model.name);
            let named = match model.recipe {
                PolicyRecipe::Network(recipe) => recipe(model.name).model,
                PolicyRecipe::Table(recipe) => recipe(model.name).model,
            };
            assert_eq!(named, model.name);
        }
    }
}
