//! From float to int8: where to quantise, with which scales, and lowering to the runtime's operators.
//!
//! `Graph` (after [`crate::passes::optimise`]) → [`Ranges`] → [`QGraph`]. Observers, fake quantisation and
//! lowering all ask [`QuantPoints`] which values are quantised and which share a scale, and [`params`] for
//! the numbers, so that they cannot disagree.

mod choices;
mod fake;
mod lower;
mod observe;
pub mod params;
mod points;
mod qgraph;
mod ranges;
mod rewrite;
mod rounding;
mod runner;

pub use fake::{FakeQuant, FakeTap};
pub use lower::{LowerOptions, Precision, lower};
pub use observe::Method;
pub use points::{Group, QuantPoints};
pub use qgraph::{QGraph, QNode, QTensor};
pub use ranges::{Range, Ranges, calibrate};
pub use rewrite::{Folded, RewriteOptions, Rewritten, rewrite};
pub use rounding::round_weights;
pub use runner::{Int8Runner, Output, RunnerError};

use crate::exec::ExecError;

/// Why a graph cannot be quantised. Every message names the node or value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QuantiseError {
    /// Something that int8 programs do not have.
    #[error("node `{node}` ({op}) cannot run in int8: {reason}")]
    Unsupported {
        /// Name of the node.
        node: String,
        /// Operator.
        op: &'static str,
        /// What is in the way and what to do.
        reason: String,
    },
    /// A value whose range was not observed, or is not finite.
    #[error("value `{value}` has no finite range: calibrate with samples that reach it (found {found})")]
    Range {
        /// Name of the value.
        value: String,
        /// What was found.
        found: String,
    },
    /// Scales whose ratio the runtime cannot represent.
    #[error("node `{node}`, channel {channel}: factor {factor:e} of the scales is outside of 0 .. 2^30")]
    Scale {
        /// Name of the node.
        node: String,
        /// Output channel.
        channel: usize,
        /// Input scale times weight scale over output scale.
        factor: f64,
    },
    /// A sum that could overflow 32 bits.
    #[error(
        "node `{node}`: a sum of {taps} products can overflow 32 bits; at most {limit} are possible: split the layer"
    )]
    Reduction {
        /// Name of the node.
        node: String,
        /// Products per output.
        taps: u64,
        /// Largest number that is safe.
        limit: u64,
    },
    /// Weights or biases that are not numbers.
    #[error("node `{node}`: parameter `{param}` has an element that is not finite: the training diverged")]
    NotFinite {
        /// Name of the node.
        node: String,
        /// Name of the parameter.
        param: String,
    },
    /// The float graph could not run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}
