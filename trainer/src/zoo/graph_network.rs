//! The graph network of Battaglia et al., "Relational inductive biases, deep learning, and graph networks", 2018: blocks
//! that update edges, then nodes, then the whole graph (algorithm 1 of the paper),
//!
//! ```text
//! e' = φᵉ(e, v_from, v_to, u)
//! v' = φᵛ(Σ e' that end at the node, v, u)
//! u' = φᵘ(mean of e', mean of v', u)
//! ```
//!
//! where each `φ` is a layer with batch normalisation and a rectifier. Two blocks with weights of their own (figure 6a)
//! follow an encoder of the nodes. The first takes neither edges nor a global value, because the data has none: to give it
//! zeros would be the same.

use crate::data::graphs::GraphSet;
use crate::graph::{DimId, Graph, GraphError, ValueId};
use crate::net::Net;
use crate::ops::Init;
use crate::train::{Optimiser, Recipe, Schedule};
use dunlin::ops::Aggregation;

/// Channels of edges, nodes and the global value.
pub const CHANNELS: u32 = 16;
/// Blocks.
pub const BLOCKS: usize = 2;

/// Largest molecule: nodes, and links counted in both directions.
pub const NODES: u32 = 32;
/// See [`NODES`].
pub const EDGES: u32 = 72;

/// Who is joined to whom: lists of indices, and the dimensions that they name.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    /// The dimension of the nodes.
    pub nodes: DimId,
    /// The dimension of the graphs.
    pub graphs: DimId,
    /// The node at which each edge begins.
    pub from: ValueId,
    /// The node at which each edge ends.
    pub to: ValueId,
    /// The graph of each node.
    pub node_graph: ValueId,
    /// The graph of each edge.
    pub edge_graph: ValueId,
}

/// What a block takes and gives. Edges and global values may be absent before a block, and are there after it.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// `e`, `1,1,E,c`.
    pub edges: Option<ValueId>,
    /// `v`, `1,1,N,c`.
    pub nodes: ValueId,
    /// `u`, `1,1,G,c`.
    pub globals: Option<ValueId>,
}

/// Adds a block of `channels`, called `name`.
///
/// # Errors
/// Values whose rows are not those of `links`.
pub fn block(n: &mut Net, name: &str, channels: u32, links: Links, old: State) -> Result<State, GraphError> {
    let part = |part: &str| format!("{name}.{part}");
    let spread = |n: &mut Net, to: &str, list: ValueId| {
        old.globals.map(|u| n.gather(&part(&format!("{to}.global")), u, list)).transpose()
    };
    let from = n.gather(&part("from"), old.nodes, links.from)?;
    let to = n.gather(&part("to"), old.nodes, links.to)?;
    let global = spread(n, "edge", links.edge_graph)?;
    let heard: Vec<ValueId> = [old.edges, Some(from), Some(to), global].into_iter().flatten().collect();
    let heard = n.join(&part("edge.in"), &heard)?;
    let edges = n.dense_bn_relu(&part("edge"), heard, channels)?;

    let message = n.scatter(&part("message"), Aggregation::Sum, edges, (links.to, links.nodes))?;
    let global = spread(n, "node", links.node_graph)?;
    let heard: Vec<ValueId> = [Some(message), Some(old.nodes), global].into_iter().flatten().collect();
    let heard = n.join(&part("node.in"), &heard)?;
    let nodes = n.dense_bn_relu(&part("node"), heard, channels)?;

    let mean = |n: &mut Net, of: &str, x: ValueId, list: ValueId| {
        n.scatter(&part(of), Aggregation::Mean, x, (list, links.graphs))
    };
    let all_edges = mean(n, "edges", edges, links.edge_graph)?;
    let all_nodes = mean(n, "nodes", nodes, links.node_graph)?;
    let heard: Vec<ValueId> = [Some(all_edges), Some(all_nodes), old.globals].into_iter().flatten().collect();
    let heard = n.join(&part("global.in"), &heard)?;
    let globals = n.dense_bn_relu(&part("global"), heard, channels)?;
    Ok(State { edges: Some(edges), nodes, globals: Some(globals) })
}

/// The network for graphs with one-hot nodes: `nodes` `1,1,N,F`, the lists `from`, `to`, `node_graph` and `edge_graph`
/// (zeros for one graph); gives scores `1,1,1,classes`.
///
/// # Errors
/// None in practice: the sizes fit each other.
pub fn graph(set: &GraphSet) -> Result<Graph, GraphError> {
    let mut n = Net::new("gn-mutag");
    let (nodes, edges, graphs) = (n.dim("nodes", NODES), n.dim("edges", EDGES), n.dim("graphs", 1));
    let x = n.rows("nodes", nodes, set.node_features as u32)?;
    let links = Links {
        nodes,
        graphs,
        from: n.list("from", edges)?,
        to: n.list("to", edges)?,
        node_graph: n.list("node_graph", nodes)?,
        edge_graph: n.list("edge_graph", edges)?,
    };
    let x = n.dense_relu("encode", x, CHANNELS)?;
    let mut state = State { edges: None, nodes: x, globals: None };
    for i in 1..=BLOCKS {
        state = block(&mut n, &format!("block{i}"), CHANNELS, links, state)?;
    }
    let x = n.dense_relu("decode", state.globals.unwrap_or(x), CHANNELS)?;
    let x = n.dense("score", x, set.classes().len() as u32)?;
    n.initialise_by(x, |fan_in, fan_out| Init::GlorotUniform { fan_in, fan_out });
    n.finish(x)
}

/// How it is trained on MUTAG.
pub fn recipe() -> Recipe {
    let optimiser = Optimiser::AdamW { rate: 5e-3, decay: 1e-4 };
    Recipe::plain("gn-mutag", 50, 32, optimiser, Schedule::Cosine { warm_up: 0.0, last: 0.0 })
}
