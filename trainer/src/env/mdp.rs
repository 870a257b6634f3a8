//! Markov decision processes with few states, as tables (Sutton and Barto, "Reinforcement Learning", second edition, chapter 3).

use super::Step;

/// What may follow from an action in a state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// How likely it is.
    pub probability: f64,
    /// The next state.
    pub next: usize,
    /// Reward.
    pub reward: f64,
    /// Whether the task is over: what the next state is worth then no longer counts.
    pub terminated: bool,
}

/// A process: for each state and action, what may follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Mdp {
    states: usize,
    actions: usize,
    /// How likely each state is at the beginning.
    start: Vec<f64>,
    /// Of each state and action, action by action: where its transitions end.
    ends: Vec<usize>,
    transitions: Vec<Transition>,
}

/// How far a sum of probabilities may be from 1.
const ROUNDING: f64 = 1e-9;

/// Whether numbers are probabilities of everything that can be.
fn distribution(mut probabilities: impl Iterator<Item = f64> + Clone) -> bool {
    let sum: f64 = probabilities.clone().sum();
    (sum - 1.0).abs() < ROUNDING && probabilities.all(|p| p >= 0.0)
}

impl Mdp {
    /// The process that begins in each state with the probability in `start`, and where `follow` tells what follows from a state and an
    /// action.
    ///
    /// # Panics
    /// Probabilities that are negative or do not sum to 1; a next state that is none.
    pub fn new(
        start: Vec<f64>,
        actions: usize,
        mut follow: impl FnMut(usize, usize) -> Vec<Transition>,
    ) -> Self {
        let states = start.len();
        assert!(distribution(start.iter().copied()), "the probabilities of the first state");
        let (mut ends, mut transitions) = (Vec::with_capacity(states * actions), Vec::new());
        for state in 0..states {
            for action in 0..actions {
                let follows = follow(state, action);
                assert!(
                    distribution(follows.iter().map(|t| t.probability)),
                    "after {action} in {state}: {follows:?}"
                );
                assert!(follows.iter().all(|t| t.next < states), "after {action} in {state}: {follows:?}");
                transitions.extend(follows);
                ends.push(transitions.len());
            }
        }
        Self { states, actions, start, ends, transitions }
    }

    /// Number of states.
    pub fn states(&self) -> usize {
        self.states
    }

    /// Number of actions, in every state.
    pub fn actions(&self) -> usize {
        self.actions
    }

    /// How likely each state is at the beginning.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// What may follow.
    ///
    /// # Panics
    /// A state or an action that is none.
    pub fn follow(&self, state: usize, action: usize) -> &[Transition] {
        assert!(action < self.actions, "action {action} of {}", self.actions);
        let pair = state * self.actions + action;
        let begin = if pair == 0 { 0 } else { self.ends[pair - 1] };
        &self.transitions[begin..self.ends[pair]]
    }
}

/// An environment whose state is one of a few and is seen whole.
pub trait Tabular {
    /// Number of states.
    fn states(&self) -> usize;

    /// Number of actions.
    fn actions(&self) -> usize;

    /// Begins the episode of `seed`: its first state.
    fn begin(&mut self, seed: u64) -> usize;

    /// Acts: the next state and what it earned.
    fn act(&mut self, action: usize) -> (usize, Step);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(probability: f64, next: usize) -> Vec<Transition> {
        vec![Transition { probability, next, reward: 0.0, terminated: false }]
    }

    #[test]
    fn a_table_gives_back_what_was_put_in() {
        let mdp = Mdp::new(vec![0.5, 0.5, 0.0], 2, |state, action| match action {
            0 => follow(1.0, (state + 1) % 3),
            _ => [follow(0.25, state), follow(0.75, 0)].concat(),
        });
        assert_eq!(mdp.follow(0, 0), follow(1.0, 1));
        assert_eq!(mdp.follow(2, 0), follow(1.0, 0));
        assert_eq!(mdp.follow(2, 1), [follow(0.25, 2), follow(0.75, 0)].concat());
    }

    #[test]
    #[should_panic = "after 1 in 0"]
    fn probabilities_have_to_sum_to_one() {
        Mdp::new(vec![1.0], 2, |_, action| follow(if action == 0 { 1.0 } else { 0.9 }, 0));
    }

    #[test]
    #[should_panic = "action 1 of 1"]
    fn actions_are_counted() {
        let mdp = Mdp::new(vec![0.5, 0.5], 1, |state, _| follow(1.0, state));
        mdp.follow(0, 1);
    }
}
