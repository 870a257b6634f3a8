//! Host side of Dunlin: float graphs, training, evaluation.

pub mod data;
pub mod eval;
pub mod exec;
pub mod graph;
pub mod net;
pub mod ops;
pub mod train;
pub mod zoo;
