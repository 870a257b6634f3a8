//! Environments of reinforcement learning, one file each, with the conventions of gymnasium: an episode begins with
//! [`Env::reset`], every [`Env::step`] tells apart an end that belongs to the task (`terminated`) and one that only the time
//! limit makes (`truncated`), and both spaces have bounds.
//!
//! The same seed and actions give the same episode on every machine: random numbers come from PCG, and transcendental
//! functions from `libm`.

mod acrobot;
mod cart_pole;
mod cliff_walking;
pub mod draw;
mod frozen_lake;
pub mod grid;
pub mod mdp;
mod mountain_car;
mod pendulum;
pub mod skirmish;
mod taxi;
#[cfg(test)]
mod testing;
pub mod vector;
pub mod walker;
mod world;

pub use acrobot::Acrobot;
pub use cart_pole::CartPole;
pub use cliff_walking::CliffWalking;
pub use frozen_lake::FrozenLake;
pub use mountain_car::MountainCar;
pub use pendulum::Pendulum;
pub use taxi::Taxi;
pub use walker::Walker;
pub use world::{Look, World};

use dunlin::shape::Shape;
use rand::RngCore;
use serde::{Deserialize, Serialize};

/// What an agent sees.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservationSpace {
    /// Shape of an observation, NHWC with one sample.
    pub shape: Shape,
    /// Smallest value of each element; one for all where there is one.
    pub low: Vec<f32>,
    /// Largest value of each element; one for all where there is one.
    pub high: Vec<f32>,
}

impl ObservationSpace {
    /// A vector whose elements lie within `[-bound, bound]`.
    pub fn symmetric(bounds: &[f32]) -> Self {
        Self {
            shape: Shape::vector(bounds.len() as u32),
            low: bounds.iter().map(|b| -b).collect(),
            high: bounds.to_vec(),
        }
    }

    /// Elements of an observation.
    pub fn len(&self) -> usize {
        self.shape.elements()
    }

    /// Whether there is nothing to see.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bounds of one element.
    pub fn bounds(&self, element: usize) -> (f32, f32) {
        let at = |v: &[f32]| if v.len() == 1 { v[0] } else { v[element] };
        (at(&self.low), at(&self.high))
    }
}

/// How a network sees an observation: `(x − centre) / spread` of each element, about −1 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// What is subtracted; one for all elements where there is one.
    pub centre: Vec<f32>,
    /// What is divided by then, positive; one for all elements where there is one.
    pub spread: Vec<f32>,
}

impl Normalisation {
    /// Observations as they are.
    pub fn none() -> Self {
        Self { centre: vec![0.0], spread: vec![1.0] }
    }

    /// Elements about zero with these spreads.
    pub fn spread(spread: &[f32]) -> Self {
        Self { centre: vec![0.0], spread: spread.to_vec() }
    }

    /// Normalises `observation` in place.
    pub fn apply(&self, observation: &mut [f32]) {
        let at = |v: &[f32], i: usize| if v.len() == 1 { v[0] } else { v[i] };
        for (i, x) in observation.iter_mut().enumerate() {
            *x = (*x - at(&self.centre, i)) / at(&self.spread, i);
        }
    }
}

/// What an agent can do.
#[derive(Clone, Debug, PartialEq)]
pub enum ActionSpace {
    /// One of so many.
    Discrete(usize),
    /// One number for each bound, within `[-bound, bound]`.
    Continuous(Vec<f32>),
}

impl ActionSpace {
    /// Outputs of a policy: scores of the actions, or the numbers.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Discrete(n) => *n,
            Self::Continuous(bounds) => bounds.len(),
        }
    }
}

/// What an agent does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action<'a> {
    /// One of the actions.
    Discrete(usize),
    /// Numbers; those beyond a bound count as the bound.
    Continuous(&'a [f32]),
}

impl Action<'_> {
    /// The action of a discrete space.
    ///
    /// # Panics
    /// Where it is continuous.
    pub fn index(self) -> usize {
        match self {
            Self::Discrete(index) => index,
            Self::Continuous(_) => panic!("the action space is discrete"),
        }
    }

    /// The numbers of a continuous space.
    ///
    /// # Panics
    /// Where it is discrete.
    pub fn numbers(&self) -> &[f32] {
        match self {
            Self::Continuous(numbers) => numbers,
            Self::Discrete(_) => panic!("the action space is continuous"),
        }
    }
}

/// What follows from an action.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Reward.
    pub reward: f64,
    /// The task is over: nothing can follow.
    pub terminated: bool,
    /// The time limit ends the episode.
    pub truncated: bool,
}

impl Step {
    /// Whether the episode is over.
    pub fn done(&self) -> bool {
        self.terminated || self.truncated
    }
}

/// An environment: one agent, one episode at a time.
pub trait Env: Send {
    /// Name, as `dunlin eval` prints it.
    fn name(&self) -> &'static str;

    /// What is seen.
    fn observation_space(&self) -> ObservationSpace;

    /// How a network sees it.
    fn normalisation(&self) -> Normalisation;

    /// What can be done.
    fn action_space(&self) -> ActionSpace;

    /// Begins the episode of `seed` and writes the first observation.
    ///
    /// # Panics
    /// Where `observation` has another length than the space.
    fn reset(&mut self, seed: u64, observation: &mut [f32]);

    /// Acts, and writes what is then seen. After the end of an episode, nothing is defined until [`Self::reset`].
    ///
    /// # Panics
    /// An action that is not in the space; `observation` of another length than the space.
    fn step(&mut self, action: Action<'_>, observation: &mut [f32]) -> Step;

    /// Whether the episode has reached its goal; `None` where only the return counts.
    fn succeeded(&self) -> Option<bool> {
        None
    }

    /// The action that a scripted player would now take, where the environment has one.
    fn advice(&self) -> Option<usize> {
        None
    }

    /// The state as text for a terminal, lines without colour.
    fn text(&self) -> String;

    /// The state as a picture; all pictures of an environment have one size.
    fn picture(&self) -> image::RgbImage;
}

/// The environment of this name.
pub fn make(name: &str) -> Option<Box<dyn Env>> {
    Some(match name {
        "CartPole-v1" => Box::new(CartPole::default()),
        "Acrobot-v1" => Box::new(Acrobot::default()),
        "MountainCar-v0" => Box::new(MountainCar::default()),
        "Pendulum-v1" => Box::new(Pendulum::default()),
        "FrozenLake-v1" => Box::new(FrozenLake::small(true)),
        "FrozenLake8x8-v1" => Box::new(FrozenLake::large(true)),
        "CliffWalking-v1" => Box::new(CliffWalking::along(false)),
        "CliffWalkingSlippery-v1" => Box::new(CliffWalking::along(true)),
        "Taxi-v3" => Box::new(Taxi::town()),
        "skirmish" => Box::new(skirmish::Skirmish::default()),
        "Walker" => Box::new(Walker::new()),
        _ => return grid::by_name(name).map(|entry| (entry.make)(grid::Options::default())),
    })
}

/// The environment of this name as a table, where it is one.
pub fn table(name: &str) -> Option<Box<dyn mdp::Table>> {
    Some(match name {
        "FrozenLake-v1" => Box::new(FrozenLake::small(true)),
        "FrozenLake8x8-v1" => Box::new(FrozenLake::large(true)),
        "CliffWalking-v1" => Box::new(CliffWalking::along(false)),
        "CliffWalkingSlippery-v1" => Box::new(CliffWalking::along(true)),
        "Taxi-v3" => Box::new(Taxi::town()),
        _ => return None,
    })
}

/// A number drawn evenly from `[low, high)`.
fn uniform(rng: &mut rand_pcg::Pcg64, low: f64, high: f64) -> f64 {
    // The 53 bits that a mantissa holds.
    let unit = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    low + (high - low) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_are_found_by_the_name_they_give() {
        let control = ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1", "Walker"];
        let worlds =
            ["FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1", "Taxi-v3"];
        for name in control.iter().chain(&worlds).chain(&["skirmish"]) {
            assert_eq!(make(name).map(|env| env.name()), Some(*name));
        }
        assert!(make("CartPole").is_none());
    }

    #[test]
    fn even_numbers_fill_their_bounds() {
        let mut rng = rand_pcg::Pcg64::new(1, 2);
        let numbers: Vec<f64> = (0..5000).map(|_| uniform(&mut rng, -3.0, 7.0)).collect();
        testing::evenly(&numbers, -3.0, 7.0);
        assert!(numbers.iter().all(|x| (-3.0..7.0).contains(x)));
    }
}
