//! Why a file cannot be imported.

use crate::graph::GraphError;
use std::fmt;

/// Why a file cannot be imported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// The file is not what its format says.
    #[error("{place}: {problem}")]
    Malformed {
        /// Where: a node, tensor, attribute or byte, by name or index.
        place: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// The file is well-formed, but asks for what Dunlin cannot run: every such node, in the order of the file.
    #[error("{}", list(.0))]
    Unsupported(Vec<UnsupportedNode>),
    /// An option does not fit the model.
    #[error("{0}")]
    Option(String),
    /// The graph refuses what the importer made of a node.
    #[error("the imported graph is not valid: {0}")]
    Graph(#[from] GraphError),
    /// The reference implementation of the format cannot run the model.
    #[error("the reference cannot run the model: {0}")]
    Reference(String),
}

impl ImportError {
    /// A malformed file: where, and what was found and expected there.
    pub fn malformed(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed { place: place.into(), problem: problem.into() }
    }
}

/// A node that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedNode {
    /// Name of the node, or of its first output, or its place in the file.
    pub node: String,
    /// Operator, with its domain and version where the format has them.
    pub op: String,
    /// Why not.
    pub reason: String,
    /// The nearest form that can be imported; empty where there is none.
    pub instead: String,
}

impl fmt::Display for UnsupportedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node `{}` ({}): {}", self.node, self.op, self.reason)?;
        if !self.instead.is_empty() {
            write!(f, "; {}", self.instead)?;
        }
        Ok(())
    }
}

fn list(nodes: &[UnsupportedNode]) -> String {
    let mut text = match nodes.len() {
        1 => "1 node cannot be imported".to_string(),
        n => format!("{n} nodes cannot be imported"),
    };
    for node in nodes {
        text.push_str("\n  ");
        text.push_str(&node.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unsupported_node_is_on_a_line_of_its_own() {
        let node = |name: &str, instead: &str| UnsupportedNode {
            node: name.into(),
            op: "NonMaxSuppression-11".into(),
            reason: "has outputs of unknown size".into(),
            instead: instead.into(),
        };
        let error = ImportError::Unsupported(vec![node("a", ""), node("b", "cut the graph before it")]);
        let text = error.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "  node `a` (NonMaxSuppression-11): has outputs of unknown size");
        assert!(lines[2].ends_with("unknown size; cut the graph before it"));
    }
}
