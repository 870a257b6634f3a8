//! The network of the tracker: a neural solver for multiple object tracking (Brasó and Leal-Taixé, CVPR 2020), made small
//! enough for a microcontroller.
//!
//! Nodes are detections: the last of every track, and those of a new frame. Edges join one of each. Both are encoded by two
//! dense layers; then, in [`Sizes::steps`] steps with one set of weights,
//!
//! * an edge is updated from its two nodes, its state and its first state: `h_ij = N_e([h_i, h_j, h_ij, h⁰_ij])`,
//! * a node hears its edges from the past and those into the future apart, the largest of each channel, and is updated:
//!   `h_i = N_v([max_past h_ji, max_future h_ij, h_i, h⁰_i])`,
//!
//! and two classifiers say of each edge whether it is a link and of each node whether it is a person. Without frames there
//! is no appearance: geometry and scores are all it sees.

use crate::graph::{DimId, Graph, GraphError, NodeId, ValueId};
use crate::ops::{Activation, Axis, Concat, Dense, GatherRows, ScatterReduce, Unary, UnaryFn};
use crate::train::tracking::Rounds;
use crate::train::{Optimiser, Recipe, Schedule};
use dunlin::ops::Aggregation;
use dunlin_track::{EDGE_FEATURES, NODE_FEATURES, Standard};

/// Sizes of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Channels of the states of nodes and edges.
    pub state: u32,
    /// Channels of the hidden layers.
    pub hidden: u32,
    /// Steps of message passing.
    pub steps: usize,
    /// Most nodes and edges on the device.
    pub bounds: [u32; 2],
}

impl Default for Sizes {
    fn default() -> Self {
        Self { state: 16, hidden: 24, steps: 3, bounds: [Standard::NODES as u32, Standard::EDGES as u32] }
    }
}

/// How the network is trained, in rounds.
pub fn rounds() -> Rounds {
    let optimiser = Optimiser::AdamW { rate: 3e-3, decay: 1e-2 };
    let plain = Recipe::plain(NAME, 1, 48, optimiser, Schedule::Constant { warm_up: 0.0 });
    let recipe = Recipe { seed: 0, average: 0.98, clip: Some(1.0), ..plain };
    Rounds { recipe, epochs: vec![3, 2, 2, 2, 2, 2, 2, 5], keep: 3 }
}

/// Name of the model.
pub const NAME: &str = "mpn-mot15";

/// The network with its scores after each step.
#[derive(Clone, Debug)]
pub struct Mpn {
    /// The network; its outputs are the scores after the last step.
    pub graph: Graph,
    /// Edge and node logits after each step.
    pub scores: Vec<[ValueId; 2]>,
}

struct Builder {
    graph: Graph,
    sizes: Sizes,
}

impl Builder {
    fn dense(
        &mut self,
        name: &str,
        like: Option<NodeId>,
        x: ValueId,
        out: u32,
    ) -> Result<ValueId, GraphError> {
        let dense = Dense { out_features: out, bias: true, fused: Activation::None };
        let made = match like {
            Some(like) => self.graph.push_like(name, like, &[x])?,
            None => self.graph.push(name, dense, &[x])?,
        };
        Ok(made[0])
    }

    /// The first node of this name's end: that of the first step, whose weights all steps share.
    fn first(&self, end: &str) -> Option<NodeId> {
        self.graph
            .nodes
            .iter()
            .position(|n| n.name.split_once('.').is_some_and(|(_, e)| e == end))
            .map(NodeId)
    }

    /// Two dense layers; the second has a rectifier where it makes a state.
    fn layers(&mut self, name: &str, x: ValueId, hidden: u32, out: u32) -> Result<ValueId, GraphError> {
        let relu = Unary { function: UnaryFn::Relu };
        let end = name.split_once('.').map_or(name, |(_, end)| end).to_owned();
        let [a, b] = ["a", "b"].map(|layer| self.first(&format!("{end}.{layer}")));
        let h = self.dense(&format!("{name}.a"), a, x, hidden)?;
        let h = self.graph.push(&format!("{name}.a.relu"), relu.clone(), &[h])?[0];
        let y = self.dense(&format!("{name}.b"), b, h, out)?;
        if out == 1 {
            return Ok(y);
        }
        Ok(self.graph.push(&format!("{name}.b.relu"), relu, &[y])?[0])
    }

    fn join(&mut self, name: &str, parts: &[ValueId]) -> Result<ValueId, GraphError> {
        Ok(self.graph.push(name, Concat { axis: Axis::C }, parts)?[0])
    }

    fn gather(&mut self, name: &str, x: ValueId, list: ValueId) -> Result<ValueId, GraphError> {
        Ok(self.graph.push(name, GatherRows, &[x, list])?[0])
    }

    fn largest(&mut self, name: &str, x: ValueId, list: ValueId, dim: DimId) -> Result<ValueId, GraphError> {
        let reduce =
            ScatterReduce { aggregation: Aggregation::Max, rows: self.sizes.bounds[0], dim: Some(dim) };
        Ok(self.graph.push(name, reduce, &[x, list])?[0])
    }
}

/// Builds the network: inputs `nodes` `[1, 1, n, 9]`, `edges` `[1, 1, e, 16]`, the lists `from` (tracks) and `to`
/// (detections); outputs the logits of edges `[1, 1, e, 1]` and of nodes `[1, 1, n, 1]`.
///
/// # Errors
/// Sizes of zero.
pub fn network(sizes: Sizes) -> Result<Mpn, GraphError> {
    let mut b = Builder { graph: Graph::new(NAME), sizes };
    let Sizes { state, hidden, steps, bounds } = sizes;
    let (nodes, edges) = (b.graph.add_dim("nodes", bounds[0]), b.graph.add_dim("edges", bounds[1]));
    let x = b.graph.add_rows_input("nodes", nodes, NODE_FEATURES as u32)?;
    let e = b.graph.add_rows_input("edges", edges, EDGE_FEATURES as u32)?;
    let from = b.graph.add_index_input("from", edges)?;
    let to = b.graph.add_index_input("to", edges)?;
    let first = b.layers("encode_node", x, hidden, state)?;
    let first_edge = b.layers("encode_edge", e, hidden, state)?;
    let (mut node, mut edge) = (first, first_edge);
    let mut scores = Vec::new();
    for step in 0..steps {
        let name = |part: &str| format!("step{step}.{part}");
        let past = b.gather(&name("track"), node, from)?;
        let fresh = b.gather(&name("detection"), node, to)?;
        let seen = b.join(&name("seen"), &[past, fresh, edge, first_edge])?;
        edge = b.layers(&name("edge"), seen, hidden, state)?;
        let past = b.largest(&name("past"), edge, to, nodes)?;
        let future = b.largest(&name("future"), edge, from, nodes)?;
        let heard = b.join(&name("heard"), &[past, future, node, first])?;
        node = b.layers(&name("node"), heard, hidden, state)?;
        scores.push([b.layers(&name("link"), edge, state, 1)?, b.layers(&name("person"), node, state, 1)?]);
    }
    if let Some(last) = scores.last() {
        last.iter().for_each(|v| b.graph.add_output(*v));
    }
    b.graph.validate()?;
    Ok(Mpn { graph: b.graph, scores })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_share_their_weights() {
        let one = network(Sizes { steps: 1, ..Sizes::default() }).unwrap().graph;
        let three = network(Sizes::default()).unwrap().graph;
        assert_eq!(one.params.len(), three.params.len());
        assert_eq!(one.weight_count(), three.weight_count());
        assert!(three.macs() > one.macs());
    }
}
