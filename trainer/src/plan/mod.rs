//! Planning: when every tensor is alive, and where it lies in the arena.
//!
//! [`Plan::new`] takes an integer program and fixes the order of its nodes, which outputs take the place of their
//! inputs, the offset of every tensor and of every node's working memory. Bar: the arena is at most
//! [`BAR`] times the largest live set, the sum of all bytes that some node needs at once.

mod bands;
mod compare;
mod fuse;
mod life;
mod order;
mod pack;
mod picture;

pub use compare::{CompareError, ValueError, compare};
pub use pack::{Item, pack};

use crate::quantise::QGraph;
use dunlin::AlignedVec;
use dunlin::format::{
    ALIGN, EncodeError, NodeSpec, Place, ProgramSpec, Scratch, encode, pack as pack_constants,
};
use dunlin::{IsaKind, Target};
use life::{Buffer, Needs};

/// Largest arena over largest live set that a model of the repository may have.
pub const BAR: f64 = 1.05;

/// Choices of planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Core that the file is for: working memory is the largest that one of its instruction sets needs.
    pub target: Target,
    /// Give the bytes of dead tensors to later ones. Without it every tensor can be read after a run.
    pub reuse: bool,
    /// Make one node of operators that have a fused form. Values between them are then not there to be read.
    pub fuse: bool,
    /// Look for an order of the nodes that needs less memory than the given one.
    pub reorder: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { target: Target::Portable, reuse: true, fuse: true, reorder: true }
    }
}

/// An integer program with places for everything.
#[derive(Clone, Debug)]
pub struct Plan {
    graph: QGraph,
    places: Vec<Place>,
    scratch: Vec<Scratch>,
    buffers: Vec<Buffer>,
    offsets: Vec<u32>,
    arena: u32,
    state: u32,
    live: u32,
    taken: usize,
    target: Target,
}

/// A network cannot be made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the arena needs {smallest} bytes at the least, {max} are allowed")]
pub struct TooLarge {
    /// Bytes that were allowed.
    pub max: u32,
    /// The smallest arena that was found.
    pub smallest: u32,
}

/// Numbers of bands that are tried.
const BANDS: [u32; 9] = [2, 3, 4, 5, 6, 8, 12, 16, 24];

impl Plan {
    /// Plans the memory of `graph` within `max` bytes of arena. Where the network as it is needs more, its first layers run
    /// in bands of rows, with the least additional work that fits; the outputs are the same bytes.
    ///
    /// # Errors
    /// No way of splitting the network fits.
    pub fn within(graph: &QGraph, options: &PlanOptions, max: u32) -> Result<Self, TooLarge> {
        let whole = Self::new(graph.clone(), options);
        if whole.arena <= max {
            return Ok(whole);
        }
        let mut smallest = whole.arena;
        let splits = bands::cuts(graph).into_iter().flat_map(|cut| BANDS.map(|count| (cut, count)));
        let mut candidates: Vec<(u64, QGraph)> = splits
            .filter_map(|(cut, count)| bands::split(graph, cut, count))
            .map(|split| (bands::work(&split), split))
            .collect();
        candidates.sort_by_key(|&(work, _)| work);
        // The bands are written in the order in which they need least memory.
        let ordered = PlanOptions { reorder: false, ..options.clone() };
        for (_, split) in candidates {
            let plan = Self::new(split, &ordered);
            if plan.arena <= max {
                return Ok(plan);
            }
            smallest = smallest.min(plan.arena);
        }
        Err(TooLarge { max, smallest })
    }

    /// Plans the memory of `graph`; deterministic.
    pub fn new(mut graph: QGraph, options: &PlanOptions) -> Self {
        if options.fuse {
            fuse::sums_of_convolutions(&mut graph);
            fuse::joins_of_gathered_rows(&mut graph);
        }
        let needs = working_memory(&graph, options.target.planned());
        let order =
            if options.reorder { order::best(&graph, &needs) } else { (0..graph.nodes.len()).collect() };
        let nodes = order.iter().map(|&n| graph.nodes[n].clone()).collect();
        graph.nodes = nodes;
        let mut needs: Vec<Needs> = order.iter().map(|&n| needs[n]).collect();
        if options.reuse {
            life::swap_operands(&mut graph);
            life::choose(&graph, &mut needs);
        }
        let mut buffers = life::buffers(&graph, &needs, options.reuse);
        let live = life::largest_live_set(&buffers);
        // Long chains first in the list makes ties in the orders deterministic and the picture readable.
        buffers.sort_by_key(|b| (b.first, b.scratch.is_some(), b.tensors.first().map(|t| t.0)));
        let items: Vec<Item> = buffers.iter().map(Buffer::item).collect();
        let (offsets, _) = pack(&items);
        let mut places = vec![Place::Arena(0); graph.tensors.len()];
        let mut regions = vec![Scratch::default(); graph.nodes.len()];
        let mut arena = 0;
        for (buffer, &offset) in buffers.iter().zip(&offsets) {
            // The last buffer ends where its bytes end, not at the next boundary.
            arena = arena.max(offset + buffer.bytes);
            for &(t, at) in &buffer.tensors {
                places[usize::from(t)] = Place::Arena(offset + at);
            }
            if let Some(node) = buffer.scratch {
                regions[node] = Scratch { offset, len: buffer.bytes };
            }
        }
        for (tensor, place) in graph.tensors.iter().zip(&mut places) {
            if let Some(blob) = tensor.constant {
                *place = Place::Data(blob.0);
            }
        }
        let mut state = 0u32;
        for (tensor, place) in graph.tensors.iter().zip(&mut places).filter(|(t, _)| t.persistent) {
            *place = Place::State(state);
            state = (state + tensor.bytes()).next_multiple_of(ALIGN as u32);
        }
        let taken = buffers.iter().map(|b| b.tensors.len().saturating_sub(1)).sum();
        let target = options.target;
        Self { graph, places, scratch: regions, buffers, offsets, arena, state, live, taken, target }
    }

    /// The program, its nodes in the order in which they run.
    pub fn graph(&self) -> &QGraph {
        &self.graph
    }

    /// Bytes of arena.
    pub fn arena_bytes(&self) -> u32 {
        self.arena
    }

    /// Bytes of persistent tensors.
    pub fn state_bytes(&self) -> u32 {
        self.state
    }

    /// The most bytes that tensors and working memory need at once: no plan for this order can be smaller.
    pub fn live_bytes(&self) -> u32 {
        self.live
    }

    /// Tensors that stand where an input of their node stood.
    pub fn in_place(&self) -> usize {
        self.taken
    }

    /// Where a tensor lies.
    pub fn place(&self, tensor: u16) -> Place {
        self.places[usize::from(tensor)]
    }

    /// Everything that goes into a file, constants in their portable form.
    pub fn program(&self) -> ProgramSpec {
        let nodes = self.graph.nodes.iter().zip(&self.scratch);
        ProgramSpec {
            dims: self.graph.dims.clone(),
            tensors: self.graph.tensors.iter().zip(&self.places).map(|(t, p)| t.at(*p)).collect(),
            nodes: nodes
                .map(|(n, &scratch)| NodeSpec {
                    op: n.op,
                    inputs: n.inputs.clone(),
                    outputs: n.outputs.clone(),
                    scratch,
                })
                .collect(),
            inputs: self.graph.inputs.clone(),
            outputs: self.graph.outputs.clone(),
            target: Target::Portable,
            arena_len: self.arena,
            state_len: self.state,
            data: self.graph.data.clone(),
            metadata: self.graph.metadata.clone(),
        }
    }

    /// The bytes of a `.dun` file, proved by parsing them.
    ///
    /// # Errors
    /// The program does not fit the format, or the runtime refuses it.
    pub fn encode(&self) -> Result<AlignedVec, EncodeError> {
        encode(&pack_constants(&self.program(), self.target))
    }
}

/// Working memory of each node: the most that one of the instruction sets needs.
fn working_memory(graph: &QGraph, isas: &[IsaKind]) -> Vec<Needs> {
    // An operator works in place where input and output have one place.
    let apart: Vec<_> = (0u32..).zip(&graph.tensors).map(|(i, t)| t.at(Place::Arena(i))).collect();
    let together: Vec<_> = graph.tensors.iter().map(|t| t.at(Place::Arena(0))).collect();
    let bytes = |node: &crate::quantise::QNode, tensors: &[_]| {
        let of = |&isa| dunlin::scratch_bytes(&node.op, tensors, &node.inputs, &node.outputs, isa);
        u32::try_from(isas.iter().map(of).max().unwrap_or(0)).unwrap_or(u32::MAX)
    };
    let needs = |node| Needs {
        apart: bytes(node, &apart),
        in_place: bytes(node, &together),
        may_replace: true,
        may_join: true,
    };
    graph.nodes.iter().map(needs).collect()
}
