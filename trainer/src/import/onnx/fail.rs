//! Why one node cannot be imported; the importer adds which.

use crate::graph::GraphError;

/// Why a node or tensor cannot be imported.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fail {
    /// It contradicts the standard.
    Malformed(String),
    /// It asks for what Dunlin does not have.
    Unsupported {
        /// Why not.
        reason: String,
        /// The nearest form that can be imported; may be empty.
        instead: String,
    },
}

impl Fail {
    pub(super) fn malformed(problem: impl Into<String>) -> Self {
        Self::Malformed(problem.into())
    }

    pub(super) fn unsupported(reason: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::Unsupported { reason: reason.into(), instead: instead.into() }
    }
}

/// What the graph refuses is a limit of its operators.
impl From<GraphError> for Fail {
    fn from(error: GraphError) -> Self {
        Self::unsupported(error.to_string(), "")
    }
}
