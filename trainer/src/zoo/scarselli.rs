//! The graph neural network of Scarselli et al., "The Graph Neural Network Model", IEEE Transactions on Neural Networks
//! 20(1), 2009: the state of each node is the fixed point of what it hears from its neighbours (the nonlinear form of the
//! paper's equation 3),
//!
//! ```text
//! x_i = Σ_j tanh(W x_j + A [l_j, l_i] + b)    over the edges from j to i
//! ```
//!
//! with the labels `l`. The paper asks for a contraction with a penalty; here it is ensured: the rows of `W` are kept so
//! small ([`Contraction`]) that in the largest norm the distance of two states shrinks by [`RATE`] in each step, on every
//! graph where at most [`DEGREE`] edges end at a node. So the fixed point exists, is the only one, and is reached from
//! anywhere. The steps from zero are unrolled, and share one set of weights.

use super::graph_network::{EDGES, NODES};
use crate::data::graphs::GraphSet;
use crate::graph::{Graph, GraphError, NodeId};
use crate::net::Net;
use crate::ops::{Add, Init, Unary, UnaryFn};
use crate::train::{Contraction, Optimiser, Recipe, Schedule};
use dunlin::ops::Aggregation;

/// Channels of a state.
pub const STATE: u32 = 16;
/// Steps that are unrolled.
pub const STEPS: usize = 8;
/// Most edges that end at a node.
pub const DEGREE: f32 = 4.0;
/// Bound of the distance of two states after a step, over that before.
pub const RATE: f32 = 0.9;

/// The network for graphs with one-hot nodes, unrolled for `steps`: `nodes` `1,1,N,F`, the lists `from`, `to` and
/// `node_graph` (zeros for one graph); gives scores `1,1,1,classes` and the state of the nodes after the last step,
/// `1,1,N,16`.
///
/// # Errors
/// None in practice: the sizes fit each other.
pub fn graph(set: &GraphSet, steps: usize) -> Result<Graph, GraphError> {
    let mut n = Net::new("gnn-scarselli");
    let (nodes, edges, graphs) = (n.dim("nodes", NODES), n.dim("edges", EDGES), n.dim("graphs", 1));
    let labels = n.rows("nodes", nodes, set.node_features as u32)?;
    let (from, to) = (n.list("from", edges)?, n.list("to", edges)?);
    let node_graph = n.list("node_graph", nodes)?;
    let (l_from, l_to) = (n.gather("label.from", labels, from)?, n.gather("label.to", labels, to)?);
    let both = n.join("label.both", &[l_from, l_to])?;
    let label = n.dense("label", both, STATE)?;
    n.initialise_by(label, |fan_in, fan_out| Init::GlorotUniform { fan_in, fan_out });
    let mut heard = label;
    let mut state = label;
    let mut first: Option<NodeId> = None;
    for step in 1..=steps {
        let name = |part: &str| format!("step{step}.{part}");
        // The state before the first step is zero, and so is what it says.
        if step > 1 {
            let said = match first {
                // `state.weight` is a name that does not depend on the step.
                None => n.linear("state", state, STATE)?,
                Some(first) => n.again(&name("state"), first, &[state])?,
            };
            if first.is_none() {
                n.initialise_by(said, |fan_in, fan_out| Init::GlorotUniform { fan_in, fan_out });
                first = n.node_of(said);
            }
            let said = n.gather(&name("said"), said, from)?;
            heard = n.push(&name("heard"), Add::default(), &[said, label])?;
        }
        let message = n.push(&name("message"), Unary { function: UnaryFn::Tanh }, &[heard])?;
        state = n.scatter(&name("sum"), Aggregation::Sum, message, (to, nodes))?;
    }
    let x = n.scatter("read.sum", Aggregation::Sum, state, (node_graph, graphs))?;
    let x = n.dense_bn_relu("read", x, STATE)?;
    let x = n.dense("score", x, set.classes().len() as u32)?;
    n.initialise_by(x, |fan_in, fan_out| Init::GlorotUniform { fan_in, fan_out });
    let mut graph = n.finish(x)?;
    graph.add_output(state);
    Ok(graph)
}

/// How it is trained on MUTAG.
pub fn recipe() -> Recipe {
    let optimiser = Optimiser::AdamW { rate: 1e-2, decay: 1e-4 };
    let contraction = Some(Contraction { param: "state.weight".into(), norm: RATE / DEGREE });
    Recipe {
        contraction,
        ..Recipe::plain("gnn-scarselli", 40, 32, optimiser, Schedule::Cosine { warm_up: 0.0, last: 0.0 })
    }
}
