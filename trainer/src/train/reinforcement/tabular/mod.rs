//! Tabular methods: planning in a process that is known, and learning in one that is only acted in.
//!
//! Sections are those of Sutton and Barto, "Reinforcement Learning: An Introduction", second edition (2018).

mod learning;
mod planning;

pub use learning::{Decay, Learned, Learning, q_learning, sarsa};
pub use planning::{
    Horizon, Solution, evaluate, expected_return, finite_horizon, greedy, policy_iteration, start_value,
    value_iteration,
};

#[cfg(test)]
mod tests;
