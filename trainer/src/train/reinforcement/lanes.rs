//! Environments that one learner acts in side by side.

use super::TrainError;
use crate::env::{Action, ActionSpace, Env, Normalisation};
use serde::{Deserialize, Serialize};

/// An episode that is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Sum of the rewards.
    pub total: f64,
    /// Steps.
    pub steps: u64,
    /// Whether it reached its goal, where there is one.
    pub succeeded: Option<bool>,
}

/// What one lane gives back for an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Reward.
    pub reward: f64,
    /// The task is over.
    pub terminated: bool,
    /// The time limit ended the episode.
    pub truncated: bool,
    /// What was seen last of an episode that is over, normalised; the lane shows the next episode already.
    pub last: Option<Vec<f32>>,
}

/// Environments with what is seen of them. An episode that ends is followed by the next at once.
pub struct Lanes {
    envs: Vec<Box<dyn Env>>,
    normalisation: Normalisation,
    /// What the lanes see, normalised, lane after lane.
    observations: Vec<f32>,
    each: usize,
    running: Vec<Running>,
    seed: u64,
    begun: u64,
}

/// The episode of a lane: enough to come to its present state again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Running {
    seed: u64,
    total: f64,
    indices: Vec<u16>,
    numbers: Vec<f32>,
}

/// What [`Lanes::restore`] needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LanesState {
    running: Vec<Running>,
    begun: u64,
}

/// Seed of an episode of a training: those of evaluations are below 2^63.
fn episode_seed(seed: u64, episode: u64) -> u64 {
    (1 << 63) | (seed << 40) ^ episode
}

impl Lanes {
    /// Begins an episode in each environment.
    pub fn new(mut envs: Vec<Box<dyn Env>>, seed: u64) -> Self {
        let each = envs[0].observation_space().len();
        let normalisation = envs[0].normalisation();
        let mut observations = vec![0.0; each * envs.len()];
        let mut running = Vec::new();
        for (i, (env, seen)) in envs.iter_mut().zip(observations.chunks_exact_mut(each)).enumerate() {
            let seed = episode_seed(seed, i as u64);
            env.reset(seed, seen);
            normalisation.apply(seen);
            running.push(Running { seed, ..Running::default() });
        }
        let begun = envs.len() as u64;
        Self { envs, normalisation, observations, each, running, seed, begun }
    }

    /// Number of lanes.
    pub fn len(&self) -> usize {
        self.envs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.envs.is_empty()
    }

    /// What can be done in each.
    pub fn action_space(&self) -> ActionSpace {
        self.envs[0].action_space()
    }

    /// What all lanes see, normalised.
    pub fn observations(&self) -> &[f32] {
        &self.observations
    }

    /// What one lane sees, normalised.
    pub fn observation(&self, lane: usize) -> &[f32] {
        &self.observations[lane * self.each..(lane + 1) * self.each]
    }

    /// What a scripted player would do in one lane, where there is one.
    pub fn advice(&self, lane: usize) -> Option<usize> {
        self.envs[lane].advice()
    }

    /// Acts in one lane; a finished episode is pushed to `finished`, and the next begins.
    pub fn step(&mut self, lane: usize, action: Action<'_>, finished: &mut Vec<Episode>) -> Reply {
        let seen = &mut self.observations[lane * self.each..(lane + 1) * self.each];
        let env = &mut self.envs[lane];
        let step = env.step(action, seen);
        self.normalisation.apply(seen);
        let running = &mut self.running[lane];
        running.total += step.reward;
        match action {
            Action::Discrete(index) => running.indices.push(index as u16),
            Action::Continuous(numbers) => running.numbers.extend_from_slice(numbers),
        }
        let last = step.done().then(|| {
            let last = seen.to_vec();
            let numbers = env.action_space().outputs();
            let steps = running.indices.len().max(running.numbers.len() / numbers) as u64;
            finished.push(Episode { total: running.total, steps, succeeded: env.succeeded() });
            let seed = episode_seed(self.seed, self.begun);
            self.begun += 1;
            *running = Running { seed, ..Running::default() };
            env.reset(seed, seen);
            self.normalisation.apply(seen);
            last
        });
        Reply { reward: step.reward, terminated: step.terminated, truncated: step.truncated, last }
    }

    /// Where the lanes are.
    pub fn state(&self) -> LanesState {
        LanesState { running: self.running.clone(), begun: self.begun }
    }

    /// Comes back to a state by playing the episodes again.
    ///
    /// # Errors
    /// A state of other lanes.
    pub fn restore(&mut self, state: LanesState) -> Result<(), TrainError> {
        if state.running.len() != self.envs.len() {
            let problem = format!("{} environments where {} are", state.running.len(), self.envs.len());
            return Err(TrainError::Recipe(problem));
        }
        self.begun = state.begun;
        for (lane, running) in state.running.iter().enumerate() {
            let seen = &mut self.observations[lane * self.each..(lane + 1) * self.each];
            let env = &mut self.envs[lane];
            env.reset(running.seed, seen);
            for &index in &running.indices {
                env.step(Action::Discrete(usize::from(index)), seen);
            }
            for numbers in running.numbers.chunks_exact(env.action_space().outputs()) {
                env.step(Action::Continuous(numbers), seen);
            }
            self.normalisation.apply(seen);
        }
        self.running = state.running;
        Ok(())
    }
}
