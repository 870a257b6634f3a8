//! Environments that are tables.

use super::mdp::{Mdp, Tabular};
use super::{Action, ActionSpace, Env, Normalisation, ObservationSpace, Step, uniform};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use std::sync::Arc;

/// How the states of a world look.
pub trait Look: Send {
    /// A state as text, lines without colour.
    fn text(&self, state: usize) -> String;

    /// A state as a picture.
    fn picture(&self, state: usize) -> image::RgbImage;

    /// Whether an episode that ends in a state has reached its goal.
    fn succeeded(&self, state: usize) -> bool;
}

/// An environment whose state is one of a few. What is seen is the state, one-hot: a vector with 1 at its index and 0
/// elsewhere.
pub struct World<L> {
    name: &'static str,
    mdp: Arc<Mdp>,
    limit: u32,
    look: L,
    rng: Pcg64,
    state: usize,
    steps: u32,
}

impl<L> World<L> {
    /// A world whose episodes are cut off after `limit` steps.
    pub(super) fn new(name: &'static str, mdp: Mdp, limit: u32, look: L) -> Self {
        Self { name, mdp: Arc::new(mdp), limit, look, rng: Pcg64::new(0, 0), state: 0, steps: 0 }
    }

    /// The table.
    pub fn mdp(&self) -> &Arc<Mdp> {
        &self.mdp
    }

    /// Steps after which an episode is cut off.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Index of the state.
    pub fn state(&self) -> usize {
        self.state
    }

    /// Puts the world in a state, with the whole time limit ahead.
    ///
    /// # Panics
    /// A state that is none.
    pub fn set_state(&mut self, state: usize) {
        assert!(state < self.mdp.states(), "state {state} of {}", self.mdp.states());
        (self.state, self.steps) = (state, 0);
    }

    fn observe(&self, observation: &mut [f32]) {
        assert_eq!(observation.len(), self.mdp.states(), "elements of an observation");
        observation.fill(0.0);
        observation[self.state] = 1.0;
    }
}

/// The place in a list of probabilities that a number in [0, 1) falls on.
fn draw(probabilities: impl Iterator<Item = f64>, number: f64) -> usize {
    let mut last = 0;
    let mut sum = 0.0;
    for (i, probability) in probabilities.enumerate().filter(|&(_, p)| p > 0.0) {
        sum += probability;
        last = i;
        if number < sum {
            break;
        }
    }
    last
}

impl<L> Tabular for World<L> {
    fn states(&self) -> usize {
        self.mdp.states()
    }

    fn actions(&self) -> usize {
        self.mdp.actions()
    }

    fn begin(&mut self, seed: u64) -> usize {
        self.rng = Pcg64::seed_from_u64(seed);
        let number = uniform(&mut self.rng, 0.0, 1.0);
        self.set_state(draw(self.mdp.start().iter().copied(), number));
        self.state
    }

    fn act(&mut self, action: usize) -> (usize, Step) {
        let follows = self.mdp.follow(self.state, action);
        let number = uniform(&mut self.rng, 0.0, 1.0);
        let transition = follows[draw(follows.iter().map(|t| t.probability), number)];
        self.state = transition.next;
        self.steps += 1;
        let (reward, terminated) = (transition.reward, transition.terminated);
        (self.state, Step { reward, terminated, truncated: self.steps >= self.limit })
    }
}

impl<L: Look> Env for World<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn observation_space(&self) -> ObservationSpace {
        let shape = dunlin::shape::Shape::vector(self.mdp.states() as u32);
        ObservationSpace { shape, low: vec![0.0], high: vec![1.0] }
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation::none()
    }

    fn action_space(&self) -> ActionSpace {
        ActionSpace::Discrete(self.mdp.actions())
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        self.begin(seed);
        self.observe(observation);
    }

    fn step(&mut self, action: Action<'_>, observation: &mut [f32]) -> Step {
        let (_, step) = self.act(action.index());
        self.observe(observation);
        step
    }

    fn succeeded(&self) -> Option<bool> {
        Some(self.look.succeeded(self.state))
    }

    fn text(&self) -> String {
        self.look.text(self.state) + &format!("step {}: state {}\n", self.steps, self.state)
    }

    fn picture(&self) -> image::RgbImage {
        self.look.picture(self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fall_on_their_share() {
        let shares = [0.0, 0.25, 0.0, 0.75, 0.0];
        for (number, place) in [(0.0, 1), (0.2499, 1), (0.25, 3), (0.999, 3), (1.0, 3)] {
            assert_eq!(draw(shares.into_iter(), number), place);
        }
    }
}
