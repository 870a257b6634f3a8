//! Tabular methods: planning in a process that is known, and learning in one that is only acted in.
//!
//! Sections are those of Sutton and Barto, "Reinforcement Learning: An Introduction", second edition (2018).

mod learning;
mod planning;
mod table;

pub use learning::{Decay, Learned, Learning, q_learning, q_learning_shown, sarsa};
pub use planning::{
    Horizon, Solution, evaluate, expected_return, finite_horizon, greedy, policy_iteration, start_value,
    value_iteration, value_iteration_from,
};
pub use table::{Method, TableRecipe, train};

#[cfg(test)]
mod tests;
