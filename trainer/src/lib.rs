//! Host side of Dunlin: float graphs, training, evaluation.

pub mod assign;
pub mod data;
pub mod env;
pub mod eval;
pub mod exec;
pub mod export;
pub mod graph;
pub mod import;
pub mod net;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod quantise;
pub mod report;
pub mod track;
pub mod train;
pub mod zoo;
