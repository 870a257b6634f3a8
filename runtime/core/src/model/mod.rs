//! [`Model`]: the decoded tables and borrowed weights of a file that has been proved right.
//!
//! [`Model::parse`] is the only door: after it a run cannot fail, panic, allocate or touch memory outside
//! of what it was given, whatever the file held. So everything is checked here, and nothing later.

mod prove;

use crate::error::{ParseError, Part};
use crate::format::{ALIGN, Decoder, Header, Ids, Metadata, Node, Tensor};
use crate::isa::Target;
use crate::ops::{Dispatch, Operands, Rows};
use heapless::Vec;

/// Largest number of inputs and of outputs of a network.
pub const MAX_INTERFACE: usize = 16;
/// Largest number of bounded dimensions.
pub const MAX_DIMS: usize = 8;

/// When a tensor is alive: from `first` to `last`, both included. Time 0 is before node 0, time `i + 1`
/// is node `i`.
#[derive(Clone, Copy, Debug)]
struct Life {
    first: u16,
    last: u16,
    written: bool,
}

const FOREVER: u16 = u16::MAX;

/// Room for the decoded tables of a model: up to `NODES` nodes, `TENSORS` tensors and `IDS` entries in
/// the lists of the nodes' inputs and outputs. `dunlin inspect` prints what a model needs.
pub struct Storage<const NODES: usize, const TENSORS: usize, const IDS: usize> {
    nodes: Vec<Node, NODES>,
    tensors: Vec<Tensor, TENSORS>,
    lives: Vec<Life, TENSORS>,
    ids: Vec<u16, IDS>,
    inputs: Vec<u16, MAX_INTERFACE>,
    outputs: Vec<u16, MAX_INTERFACE>,
    dims: Vec<u32, MAX_DIMS>,
}

impl<const NODES: usize, const TENSORS: usize, const IDS: usize> Storage<NODES, TENSORS, IDS> {
    /// Empty tables.
    pub const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            tensors: Vec::new(),
            lives: Vec::new(),
            ids: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            dims: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.nodes.clear();
        self.tensors.clear();
        self.lives.clear();
        self.ids.clear();
        self.inputs.clear();
        self.outputs.clear();
        self.dims.clear();
    }
}

impl<const NODES: usize, const TENSORS: usize, const IDS: usize> Default for Storage<NODES, TENSORS, IDS> {
    fn default() -> Self {
        Self::new()
    }
}

/// A model: tables in a [`Storage`] (or in statics made by `dunlin::model!`), weights in place in the file.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    tables: Tables<'m>,
}

/// The decoded tables. Made by the parser; the macro writes them into statics.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tables<'m> {
    pub nodes: &'m [Node],
    pub tensors: &'m [Tensor],
    pub ids: &'m [u16],
    pub inputs: &'m [u16],
    pub outputs: &'m [u16],
    pub dims: &'m [u32],
    pub arena_len: u32,
    pub state_len: u32,
    pub data: &'m [u8],
    pub metadata: &'m [u8],
    pub target: Target,
    pub dispatch: Dispatch,
}

impl Tables<'_> {
    /// The rows that the entries of a list of indices name; `None` where no node reads it.
    pub(crate) fn indexed(&self, list: u16) -> Option<Rows> {
        self.nodes.iter().find_map(|node| {
            let cx = operands(self, node);
            let input = cx.inputs.iter().position(|&id| id == list)?;
            node.op.indexed(&cx, input)
        })
    }
}

impl<'m> Model<'m> {
    /// Decodes `file` into `storage` and proves everything that a run relies on.
    ///
    /// `file` starts at a 16-byte boundary ([`AlignedBytes`](crate::AlignedBytes)); bytes after its stated
    /// length are ignored.
    ///
    /// # Errors
    /// The first thing that does not hold; the file is then unusable, the storage reusable.
    pub fn parse<const NODES: usize, const TENSORS: usize, const IDS: usize>(
        file: &'m [u8],
        storage: &'m mut Storage<NODES, TENSORS, IDS>,
    ) -> Result<Self, ParseError> {
        let remainder = (file.as_ptr() as usize % ALIGN) as u8;
        if remainder != 0 {
            return Err(ParseError::Misaligned { remainder });
        }
        let header = Header::parse(file)?;
        storage.clear();
        let mut decoder = Decoder::new(file, header.program);
        fill(&mut storage.dims, &mut decoder, usize::from(header.dims), Part::Dims)?;
        fill(&mut storage.tensors, &mut decoder, usize::from(header.tensors), Part::Tensors)?;
        fill(&mut storage.ids, &mut decoder, usize::from(header.ids), Part::Ids)?;
        fill(&mut storage.inputs, &mut decoder, usize::from(header.inputs), Part::Interface)?;
        fill(&mut storage.outputs, &mut decoder, usize::from(header.outputs), Part::Interface)?;
        fill(&mut storage.nodes, &mut decoder, usize::from(header.nodes), Part::Nodes)?;
        decoder.finish(Part::Nodes)?;
        let part = |(start, len): (u32, u32)| file.get(start as usize..(start + len) as usize).unwrap_or(&[]);
        let metadata = part(header.metadata);
        let mut decoder = Decoder::new(file, header.metadata);
        decoder.take::<Metadata<'_>>(Part::Metadata)?;
        decoder.finish(Part::Metadata)?;
        storage.lives.resize(storage.tensors.len(), Life { first: FOREVER, last: 0, written: false }).ok();
        let tables = Tables {
            nodes: &storage.nodes,
            tensors: &storage.tensors,
            ids: &storage.ids,
            inputs: &storage.inputs,
            outputs: &storage.outputs,
            dims: &storage.dims,
            arena_len: header.arena_len,
            state_len: header.state_len,
            data: part(header.data),
            metadata,
            target: header.target,
            dispatch: Dispatch::ALL,
        };
        prove::prove(&tables, &mut storage.lives)?;
        Ok(Self { tables })
    }

    /// A model whose tables were proved when the program was compiled (`dunlin::model!`).
    #[doc(hidden)]
    pub const fn from_proved(tables: Tables<'m>) -> Self {
        Self { tables }
    }

    /// The decoded tables, for `dunlin::model!` and for reports.
    #[doc(hidden)]
    pub const fn tables(&self) -> &Tables<'m> {
        &self.tables
    }

    /// Bytes of arena that a session needs: exact, planned on the host.
    pub const fn arena_bytes(&self) -> usize {
        self.tables.arena_len as usize
    }

    /// Bytes of state memory (persistent tensors) that a session needs.
    pub const fn state_bytes(&self) -> usize {
        self.tables.state_len as usize
    }

    /// The core that the constants are packed for.
    pub const fn target(&self) -> Target {
        self.tables.target
    }

    /// The nodes, in the order in which they run.
    pub const fn nodes(&self) -> &'m [Node] {
        self.tables.nodes
    }

    /// All tensors.
    pub const fn tensors(&self) -> &'m [Tensor] {
        self.tables.tensors
    }

    /// Bounds of the bounded dimensions.
    pub const fn dims(&self) -> &'m [u32] {
        self.tables.dims
    }

    /// Tensor ids of a node's inputs or outputs.
    pub fn ids(&self, list: Ids) -> &'m [u16] {
        slice_of(self.tables.ids, list)
    }

    /// Input tensors of the network.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &'m Tensor> + use<'m> {
        let tensors = self.tables.tensors;
        self.tables.inputs.iter().map(move |&id| &tensors[usize::from(id)])
    }

    /// Output tensors of the network.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &'m Tensor> + use<'m> {
        let tensors = self.tables.tensors;
        self.tables.outputs.iter().map(move |&id| &tensors[usize::from(id)])
    }

    /// The name of the constant that is the kernel of each node, for `dunlin::model!`.
    ///
    /// A kernel for both forms of constants runs the packed one as well, so every operator has but one kernel.
    #[cfg(feature = "encode")]
    #[doc(hidden)]
    pub fn kernel_names(&self) -> alloc::vec::Vec<&'static str> {
        let t = &self.tables;
        let same = |a: &Node, b: &Node| core::mem::discriminant(&a.op) == core::mem::discriminant(&b.op);
        let packed = |node: &&Node| {
            t.nodes.iter().filter(|other| same(node, other)).all(|node| node.op.packed(&operands(t, node)))
        };
        t.nodes.iter().map(|node| if packed(&node) { "PACKED_KERNEL" } else { "KERNEL" }).collect()
    }

    /// Bytes of weights, biases, multipliers, shifts and tables.
    pub const fn data_bytes(&self) -> usize {
        self.tables.data.len()
    }

    /// Name, recipe, licence, labels, scaling; decoded anew at each call.
    pub fn metadata(&self) -> Option<Metadata<'m>> {
        postcard::from_bytes(self.tables.metadata).ok()
    }
}

fn slice_of(ids: &[u16], list: Ids) -> &[u16] {
    let first = usize::from(list.first);
    ids.get(first..first + usize::from(list.len)).unwrap_or(&[])
}

fn fill<'m, T: serde::Deserialize<'m>, const N: usize>(
    table: &mut Vec<T, N>,
    decoder: &mut Decoder<'m>,
    count: usize,
    part: Part,
) -> Result<(), ParseError> {
    if count > N {
        return Err(ParseError::Capacity { part, needed: count as u32, capacity: N as u32 });
    }
    for _ in 0..count {
        // The count has been compared with the capacity, so the push succeeds.
        let _ = table.push(decoder.take(part)?);
    }
    Ok(())
}

fn operands<'a>(t: &Tables<'a>, node: &Node) -> Operands<'a> {
    Operands {
        tensors: t.tensors,
        inputs: slice_of(t.ids, node.inputs),
        outputs: slice_of(t.ids, node.outputs),
        data: t.data,
        target: t.target,
    }
}
