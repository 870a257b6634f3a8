//! A network of message passing and graphs for it, for tests that need more than one operator.

use crate::draw::Draw;
use crate::golden::network::{Network, factor};
use dunlin::format::{DType, OwnedMetadata, encode};
use dunlin::ops::{Aggregation, Dense, GatherRows, NO_ROW, Op, ScatterReduce};
use dunlin::quant::QParams;
use dunlin::shape::Shape;
use dunlin::{AlignedVec, IsaKind, Model, Session, SessionError};

/// Channels of nodes, edges and messages.
const CHANNELS: u32 = 16;
/// All activations have one scale, so that rows of both kinds can stand side by side.
const QUANT: QParams = QParams { scale: 0.05, zero_point: -11 };

/// Message passing with one set of weights: in each step an edge sees its two nodes and itself, and a node the sum, mean
/// or maximum of its edges and itself. Bounded dimensions and inputs are nodes and edges, then the lists `from` and `to`;
/// outputs are the nodes and the edges of the last step.
pub fn model(bounds: [u32; 2], steps: usize, aggregation: Aggregation) -> AlignedVec {
    let metadata = OwnedMetadata { name: "passing".into(), ..OwnedMetadata::default() };
    let mut net = Network::new(bounds.to_vec(), 5, metadata);
    let rows = |net: &mut Network, dim: u8, dtype, quant, c| {
        let id = net.tensor(dtype, Shape::rows(bounds[usize::from(dim)], c), quant);
        net.bounded_by(dim, id)
    };
    let of = |net: &mut Network, dim, c| rows(net, dim, DType::I8, QUANT, c);
    let (mut nodes, mut edges) = (of(&mut net, 0, CHANNELS), of(&mut net, 1, CHANNELS));
    let [from, to] = [(); 2].map(|()| rows(&mut net, 1, DType::U16, QParams::UNIT, 1));
    net.spec.inputs = vec![nodes, edges, from, to];
    let edge_filter = net.filter(CHANNELS, 3 * (CHANNELS * CHANNELS) as usize, 3 * CHANNELS);
    let node_filter = net.filter(CHANNELS, 2 * (CHANNELS * CHANNELS) as usize, 2 * CHANNELS);
    let (seen, heard, both) =
        (of(&mut net, 1, 3 * CHANNELS), of(&mut net, 0, CHANNELS), of(&mut net, 0, 2 * CHANNELS));
    let [mut seen, mut heard, mut both] = [seen, heard, both];
    for step in 0..steps {
        if step > 0 {
            [seen, heard, both] = [seen, heard, both].map(|id| again(&mut net, id));
        }
        net.node(Op::GatherRows(GatherRows { gathered: 0b101 }), &[nodes, edges, nodes, from, to], &[seen]);
        edges = of(&mut net, 1, CHANNELS);
        net.node(Op::Dense(Dense { filter: edge_filter }), &[seen], &[edges]);
        let op = ScatterReduce {
            aggregation,
            factor: factor(if aggregation == Aggregation::Sum { 0.3 } else { 1.0 }),
        };
        net.node(Op::ScatterReduce(op), &[edges, to], &[heard]);
        net.node(Op::GatherRows(GatherRows { gathered: 0 }), &[heard, nodes], &[both]);
        nodes = of(&mut net, 0, CHANNELS);
        net.node(Op::Dense(Dense { filter: node_filter }), &[both], &[nodes]);
    }
    net.spec.outputs = vec![nodes, edges];
    encode(&net.spec).expect("the network is valid")
}

/// A tensor in the place of one of the step before.
fn again(net: &mut Network, id: u16) -> u16 {
    let tensor = net.get(id);
    net.push(tensor)
}

/// A graph: features of nodes and edges, and which edge leads where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// Rows of nodes.
    pub nodes: Vec<Vec<u8>>,
    /// Rows of edges.
    pub edges: Vec<Vec<u8>>,
    /// The node where each edge begins, or [`NO_ROW`].
    pub from: Vec<u16>,
    /// The node where each edge ends, or [`NO_ROW`].
    pub to: Vec<u16>,
}

impl Graph {
    /// Draws a graph; the last of several nodes is isolated, and some edges lead nowhere.
    pub fn draw(draw: &mut Draw<'_>, counts: [u32; 2]) -> Self {
        let mut rows = |count| -> Vec<Vec<u8>> {
            let mut row = || draw.bytes(CHANNELS as usize).into_iter().map(|b| b as u8).collect();
            (0..count).map(|_| row()).collect()
        };
        let (nodes, edges) = (rows(counts[0]), rows(counts[1]));
        let reached = counts[0].saturating_sub(1).max(1);
        let mut list = || -> Vec<u16> {
            let mut end = || match counts[0] == 0 || draw.chance(5) {
                true => NO_ROW,
                false => draw.size(0, reached - 1) as u16,
            };
            (0..counts[1]).map(|_| end()).collect()
        };
        Self { from: list(), to: list(), nodes, edges }
    }

    /// Nodes and edges.
    pub fn counts(&self) -> Vec<u32> {
        vec![self.nodes.len() as u32, self.edges.len() as u32]
    }

    /// The bytes of the inputs.
    pub fn inputs(&self) -> Vec<Vec<u8>> {
        let list = |list: &[u16]| list.iter().flat_map(|i| i.to_le_bytes()).collect();
        vec![self.nodes.concat(), self.edges.concat(), list(&self.from), list(&self.to)]
    }

    /// The same graph with nodes and edges in another order: node `i` becomes node `nodes[i]`, and so do edges.
    pub fn permuted(&self, nodes: &[usize], edges: &[usize]) -> Self {
        let end = |end: &u16| nodes.get(usize::from(*end)).map_or(NO_ROW, |&to| to as u16);
        Self {
            nodes: moved(&self.nodes, nodes),
            edges: moved(&self.edges, edges),
            from: moved(&self.from.iter().map(end).collect::<Vec<_>>(), edges),
            to: moved(&self.to.iter().map(end).collect::<Vec<_>>(), edges),
        }
    }
}

/// Elements in another order: element `i` becomes element `order[i]`.
pub fn moved<T: Clone>(elements: &[T], order: &[usize]) -> Vec<T> {
    let mut out = elements.to_vec();
    elements.iter().zip(order).for_each(|(element, &to)| out[to] = element.clone());
    out
}

/// Rows of an output.
pub fn rows(output: &[u8]) -> Vec<Vec<u8>> {
    output.chunks(CHANNELS as usize).map(<[u8]>::to_vec).collect()
}

/// Outputs of a run over `graph` on `isa`, from an arena full of other things.
///
/// # Errors
/// The session refuses the graph.
pub fn run(model: &Model<'_>, graph: &Graph, isa: IsaKind) -> Result<Vec<Vec<u8>>, SessionError> {
    let mut arena = AlignedVec::zeroed(model.arena_bytes());
    arena.as_mut_slice().fill(0x5a);
    let mut session = Session::new(model, arena.as_mut_slice())?.with_isa(isa)?;
    for (dim, count) in graph.counts().into_iter().enumerate() {
        session.set_len(dim, count)?;
    }
    for (input, bytes) in graph.inputs().iter().enumerate() {
        session.set_input_bytes(input, bytes)?;
    }
    session.run();
    (0..2).map(|output| session.output_bytes(output).map(<[u8]>::to_vec)).collect()
}
