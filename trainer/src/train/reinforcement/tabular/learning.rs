//! Temporal-difference control: learning what actions are worth while acting.

use crate::env::mdp::Tabular;
use crate::ops::largest;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

/// A number that changes over the episodes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", deny_unknown_fields)]
pub enum Decay {
    /// Always the same.
    Constant {
        /// The number.
        value: f64,
    },
    /// From one value to another along a line, then the other.
    Linear {
        /// In the first episode.
        from: f64,
        /// In the end.
        to: f64,
        /// Episodes until then.
        episodes: u64,
    },
    /// `from / (1 + episode / half)`: its sum is infinite and that of its squares is not, as the convergence of the methods requires of
    /// step sizes (section 2.5).
    Harmonic {
        /// In the first episode.
        from: f64,
        /// The episode in which it is half of that.
        half: f64,
    },
}

impl Decay {
    /// Its value in an episode, counted from 0.
    pub fn at(&self, episode: u64) -> f64 {
        match *self {
            Self::Constant { value } => value,
            Self::Linear { from, to, episodes } => {
                let share = (episode as f64 / episodes.max(1) as f64).min(1.0);
                from * (1.0 - share) + to * share
            }
            Self::Harmonic { from, half } => from / (1.0 + episode as f64 / half),
        }
    }
}

/// How is learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learning {
    /// Number of episodes.
    pub episodes: u64,
    /// What a reward one step later counts.
    pub discount: f64,
    /// Share of a new estimate in an action's value.
    pub step_size: Decay,
    /// How often an action is drawn instead of chosen.
    pub epsilon: Decay,
    /// Of exploration and episodes.
    pub seed: u64,
}

/// What was learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    actions: usize,
    values: Vec<f64>,
    /// Return of each episode while it was learned.
    pub returns: Vec<f64>,
}

impl Learned {
    /// What the actions of a state are worth.
    pub fn values(&self, state: usize) -> &[f64] {
        &self.values[state * self.actions..(state + 1) * self.actions]
    }

    /// The best action of each state; the first of those that are equally good.
    pub fn policy(&self) -> Vec<usize> {
        let states = self.values.len() / self.actions;
        (0..states).map(|state| largest(self.values(state))).collect()
    }

    fn most(&self, state: usize) -> f64 {
        self.values(state).iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The best action of a state, with probability `epsilon` any one; which of equally good ones, chance decides.
    fn choose(&self, state: usize, epsilon: f64, rng: &mut Pcg64) -> usize {
        if rng.random::<f64>() < epsilon {
            return rng.random_range(0..self.actions);
        }
        let most = self.most(state);
        let equal = || (0..self.actions).filter(|&action| self.values(state)[action] == most);
        equal().nth(rng.random_range(0..equal().count())).expect("some action is the best")
    }

    /// Moves the value of an action towards a target.
    fn learn(&mut self, state: usize, action: usize, target: f64, step_size: f64) {
        let value = &mut self.values[state * self.actions + action];
        *value += step_size * (target - *value);
    }
}

/// What the next state counts as in the target of an update: the value of the action that will be taken there, or of the best.
#[derive(Clone, Copy, PartialEq)]
enum Target {
    Taken,
    Best,
}

/// Q-learning (Watkins 1989; section 6.5): learns what the best actions are worth, whatever is done meanwhile.
pub fn q_learning(world: &mut (impl Tabular + ?Sized), learning: &Learning) -> Learned {
    learn(world, learning, Target::Best, |_, _| ())
}

/// [`q_learning`] that shows what is learned after each episode, with the steps so far.
pub fn q_learning_shown(
    world: &mut (impl Tabular + ?Sized),
    learning: &Learning,
    show: impl FnMut(u64, &Learned),
) -> Learned {
    learn(world, learning, Target::Best, show)
}

/// SARSA (Rummery and Niranjan 1994; section 6.4): learns what actions are worth to the policy that acts, exploration included.
pub fn sarsa(world: &mut (impl Tabular + ?Sized), learning: &Learning) -> Learned {
    learn(world, learning, Target::Taken, |_, _| ())
}

fn learn(
    world: &mut (impl Tabular + ?Sized),
    learning: &Learning,
    target: Target,
    mut show: impl FnMut(u64, &Learned),
) -> Learned {
    let mut steps = 0;
    let mut rng = Pcg64::seed_from_u64(learning.seed);
    let actions = world.actions();
    let mut learned = Learned { actions, values: vec![0.0; world.states() * actions], returns: Vec::new() };
    for episode in 0..learning.episodes {
        let (step_size, epsilon) = (learning.step_size.at(episode), learning.epsilon.at(episode));
        let mut state = world.begin(rng.random());
        let mut action = learned.choose(state, epsilon, &mut rng);
        let mut total = 0.0;
        loop {
            let (next, step) = world.act(action);
            total += step.reward;
            steps += 1;
            // The time limit ends an episode, but what the next state is worth still counts.
            let taken = learned.choose(next, epsilon, &mut rng);
            let after = match (step.terminated, target) {
                (true, _) => 0.0,
                (false, Target::Taken) => learned.values(next)[taken],
                (false, Target::Best) => learned.most(next),
            };
            learned.learn(state, action, step.reward + learning.discount * after, step_size);
            if step.done() {
                break;
            }
            state = next;
            // Q-learning chooses by what it has just learned, as it is written in the book.
            action = if target == Target::Best { learned.choose(next, epsilon, &mut rng) } else { taken };
        }
        learned.returns.push(total);
        show(steps, &learned);
    }
    learned
}
