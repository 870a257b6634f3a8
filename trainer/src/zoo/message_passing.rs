//! Message passing: each edge hears its ends, each node hears its edges. For `L` steps, with one set of weights,
//!
//! ```text
//! h_ij = N_e([h_i, h_ij, h_j])    for each edge from j to i
//! m_i  = Φ({h_ij})                over the edges that end at i
//! h_i  = N_v([m_i, h_i])
//! ```
//!
//! where `N_e` and `N_v` are layers with a rectifier and `Φ` is a sum, a mean or a maximum. With a read-out it is the
//! network of Gilmer et al., "Neural Message Passing for Quantum Chemistry", ICML 2017, which predicts a property of a
//! molecule from its atoms and bonds.

use crate::data::graphs::GraphSet;
use crate::graph::{DimId, Graph, GraphError, NodeId, ValueId};
use crate::net::Net;
use crate::ops::{Add, Init};
use crate::train::{Optimiser, Recipe, Schedule};
use dunlin::ops::Aggregation;

/// Sizes of the message passing of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagePassing {
    /// Steps, `L`.
    pub steps: usize,
    /// Channels of `h_i`.
    pub node: u32,
    /// Channels of `h_ij`.
    pub edge: u32,
    /// `Φ`.
    pub aggregation: Aggregation,
}

/// Which nodes edges join.
#[derive(Clone, Copy, Debug)]
pub struct Edges {
    /// The dimension of the nodes.
    pub nodes: DimId,
    /// List of the node at which each edge begins.
    pub from: ValueId,
    /// List of the node at which each edge ends.
    pub to: ValueId,
}

impl MessagePassing {
    /// Adds all steps to a network. `nodes` is `h_i` `1,1,N,node`, `edges` is `h_ij` `1,1,E,edge`; returns both as they
    /// are after the last step. The weights are `step1.edge` and `step1.node`.
    ///
    /// # Errors
    /// Values of other sizes.
    pub fn build(
        &self,
        n: &mut Net,
        ends: Edges,
        mut nodes: ValueId,
        mut edges: ValueId,
    ) -> Result<(ValueId, ValueId), GraphError> {
        let mut first: Option<[NodeId; 2]> = None;
        for step in 1..=self.steps {
            let name = |part: &str| format!("step{step}.{part}");
            let to = n.gather(&name("to"), nodes, ends.to)?;
            let from = n.gather(&name("from"), nodes, ends.from)?;
            let heard = n.join(&name("edge.in"), &[to, edges, from])?;
            let layer = |n: &mut Net, part: &str, at: usize, out: u32, x: ValueId| match first {
                None => n.dense(&name(part), x, out),
                Some(first) => n.again(&name(part), first[at], &[x]),
            };
            let edge = layer(n, "edge", 0, self.edge, heard)?;
            edges = n.relu(&name("edge.relu"), edge)?;
            let message = n.scatter(&name("message"), self.aggregation, edges, (ends.to, ends.nodes))?;
            let heard = n.join(&name("node.in"), &[message, nodes])?;
            let node = layer(n, "node", 1, self.node, heard)?;
            nodes = n.relu(&name("node.relu"), node)?;
            if first.is_none() {
                first = n.node_of(edge).zip(n.node_of(node)).map(|(edge, node)| [edge, node]);
            }
        }
        Ok((nodes, edges))
    }
}

/// Most atoms of a molecule, and most bonds, each counted in both directions.
pub const ATOMS: u32 = 64;
/// See [`ATOMS`].
pub const BONDS: u32 = 128;

/// The message passing of the model for ESOL.
pub const ESOL: MessagePassing =
    MessagePassing { steps: 3, node: 48, edge: 32, aggregation: Aggregation::Mean };

/// The network for ESOL: `nodes` `1,1,N,F` and `edges` `1,1,E,G` are the features of atoms and bonds, `from` and `to`
/// list the ends of bonds in both directions, `node_graph` the molecule of each atom (0 for one molecule); gives a number
/// `1,1,1,1`. The read-out is a layer over mean, maximum and sum of the atoms, and a linear one: the sum, because a large
/// molecule dissolves less.
///
/// # Errors
/// None in practice: the sizes fit each other.
pub fn graph(set: &GraphSet, passing: MessagePassing) -> Result<Graph, GraphError> {
    let mut n = Net::new("mpnn-esol");
    let (nodes, edges, graphs) = (n.dim("nodes", ATOMS), n.dim("edges", BONDS), n.dim("graphs", 1));
    let x = n.rows("nodes", nodes, set.node_features as u32)?;
    let e = n.rows("edges", edges, set.edge_features as u32)?;
    let ends = Edges { nodes, from: n.list("from", edges)?, to: n.list("to", edges)? };
    let molecule = n.list("node_graph", nodes)?;
    let x = n.dense_relu("atom", x, passing.node)?;
    let e = n.dense_relu("bond", e, passing.edge)?;
    let (x, _) = passing.build(&mut n, ends, x, e)?;
    // A layer over the three side by side, as three layers: each part then has a scale of its own in int8.
    let mean = n.scatter("mean", Aggregation::Mean, x, (molecule, graphs))?;
    let mean = n.dense("read.mean", mean, passing.node)?;
    let most = n.scatter("max", Aggregation::Max, x, (molecule, graphs))?;
    let most = n.linear("read.max", most, passing.node)?;
    let sum = n.scatter("sum", Aggregation::Sum, x, (molecule, graphs))?;
    let sum = n.linear("read.sum", sum, passing.node)?;
    for part in [mean, most, sum] {
        n.initialise_by(part, |fan_in, _| Init::HeNormal { fan_in: 3 * fan_in });
    }
    let x = n.push("read.add", Add::default(), &[mean, most])?;
    let x = n.push("read", Add::default(), &[x, sum])?;
    let x = n.relu("read.relu", x)?;
    let x = n.dense("value", x, 1)?;
    n.initialise_by(x, |fan_in, fan_out| Init::GlorotUniform { fan_in, fan_out });
    n.finish(x)
}

/// How it is trained on ESOL.
pub fn recipe() -> Recipe {
    let optimiser = Optimiser::AdamW { rate: 2e-3, decay: 1e-4 };
    Recipe::plain("mpnn-esol", 60, 32, optimiser, Schedule::Cosine { warm_up: 2.0, last: 0.0 })
}
