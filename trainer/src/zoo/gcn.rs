//! The graph convolutional network of Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional
//! Networks", ICLR 2017: `Z = softmax(Â · ReLU(Â X W⁰) · W¹)` with `Â = D^-½ (A + I) D^-½`, where `D` counts the edges of
//! `A + I` at each node.

use crate::data::graphs::GraphSet;
use crate::graph::{DimId, Graph, GraphError, ValueId};
use crate::net::Net;
use crate::ops::{Dropout, Init, Mul};
use crate::train::{Optimiser, Recipe, Schedule};
use dunlin::ops::Aggregation;

/// Units of the hidden layer. The paper has 16; 32 cost little and vary less from seed to seed.
pub const HIDDEN: u32 = 32;

/// Part of the inputs of each layer that is left out while training (section 5.2).
const DROPOUT: f32 = 0.5;

/// The edges of a graph, those from each node to itself included.
struct Edges {
    nodes: DimId,
    from: ValueId,
    to: ValueId,
    scale: ValueId,
}

/// The network for graphs as large as those of `set`: `nodes` `1,1,N,F`, the lists `from` and `to` of edges in both
/// directions and from each node to itself, and `scale` `1,1,N,1`, the diagonal of `D^-½`; gives scores `1,1,N,classes`.
///
/// # Errors
/// A set without nodes.
pub fn graph(set: &GraphSet) -> Result<Graph, GraphError> {
    let largest = |size: fn(&crate::data::graphs::GraphSample) -> usize| {
        set.graphs.iter().map(size).max().unwrap_or(0) as u32
    };
    let mut n = Net::new("gcn-cora");
    let (nodes, edges) = (n.dim("nodes", largest(|g| g.count)), n.dim("edges", largest(|g| g.from.len())));
    let x = n.rows("nodes", nodes, set.node_features as u32)?;
    let scale = n.rows("scale", nodes, 1)?;
    let (from, to) = (n.list("from", edges)?, n.list("to", edges)?);
    let edges = Edges { nodes, from, to, scale };
    let x = layer(&mut n, "hidden", x, HIDDEN, &edges)?;
    let x = n.relu("hidden.relu", x)?;
    let x = layer(&mut n, "score", x, set.classes().len() as u32, &edges)?;
    n.finish(x)
}

/// `Â X W`: the weights first, because they make rows shorter.
fn layer(n: &mut Net, name: &str, x: ValueId, out: u32, edges: &Edges) -> Result<ValueId, GraphError> {
    let part = |part: &str| format!("{name}.{part}");
    let x = n.push(&part("dropout"), Dropout { p: DROPOUT }, &[x])?;
    let x = n.linear(name, x, out)?;
    n.initialise_by(x, |fan_in, fan_out| Init::GlorotUniform { fan_in, fan_out });
    let x = n.push(&part("scale"), Mul::default(), &[x, edges.scale])?;
    let x = n.gather(&part("from"), x, edges.from)?;
    let x = n.scatter(&part("sum"), Aggregation::Sum, x, (edges.to, edges.nodes))?;
    n.push(&part("mean"), Mul::default(), &[x, edges.scale])
}

/// How it is trained on Cora: as in the paper (section 5.2), but for all 200 epochs, and without early stopping.
pub fn recipe() -> Recipe {
    let optimiser = Optimiser::Adam { rate: 1e-2, penalty: 5e-4, penalised: vec!["hidden".into()] };
    let plain = Recipe::plain("gcn-cora", 200, 1, optimiser, Schedule::Constant { warm_up: 0.0 });
    Recipe { evaluate_every: 5, ..plain }
}
