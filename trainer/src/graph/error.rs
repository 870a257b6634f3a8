//! What can be wrong with a graph.

use crate::ops::{DType, OpError};
use dunlin::shape::Shape;

/// Why a graph refuses a node or is not valid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GraphError {
    /// The operator refuses its inputs or attributes.
    #[error("node `{node}` ({op}): {source}")]
    Op {
        /// Name of the node.
        node: String,
        /// Operator.
        op: &'static str,
        /// What is wrong.
        source: OpError,
    },
    /// An input has another element type than the operator reads.
    #[error("node `{node}`: input {index} must be {expected} but `{value}` is {found}")]
    Type {
        /// Name of the node.
        node: String,
        /// Which input.
        index: usize,
        /// Name of the value.
        value: String,
        /// What the operator reads.
        expected: DType,
        /// What the value is.
        found: DType,
    },
    /// A name used twice.
    #[error("the name `{0}` is used twice")]
    Name(String),
    /// A value that does not exist or is written later than read.
    #[error("node `{node}` reads value {value}, which is not written before it")]
    Order {
        /// Name of the node.
        node: String,
        /// Index of the value.
        value: usize,
    },
    /// A stored shape or size that is not what the operator gives.
    #[error("`{name}`: stored as {found}, should be {expected}")]
    Stored {
        /// Value or parameter.
        name: String,
        /// By inference.
        expected: String,
        /// In the graph.
        found: String,
    },
    /// A shape with no element or too many.
    #[error("`{name}` has shape {shape}: every size must be at least 1 and the product at most 2^28")]
    Size {
        /// Name of the value.
        name: String,
        /// Its shape.
        shape: Shape,
    },
    /// No output was set.
    #[error("graph `{0}` has no output")]
    NoOutput(String),
}
