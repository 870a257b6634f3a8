//! [`Model`]: the decoded tables and borrowed weights of a file that has been proved right.
//!
//! [`Model::parse`] is the only door: after it a run cannot fail, panic, allocate or touch memory outside
//! of what it was given, whatever the file held. So everything is checked here, and nothing later.

use crate::error::{NodeFault, ParseError, Part, TensorFault};
use crate::format::{ALIGN, Decoder, Header, Ids, Metadata, Node, Place, Scratch, Tensor};
use crate::isa::{IsaKind, Target};
use crate::ops::{Dispatch, Op, Operands};
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
        prove(&tables, &mut storage.lives)?;
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

/// Everything that must hold of decoded tables.
fn prove(t: &Tables<'_>, lives: &mut [Life]) -> Result<(), ParseError> {
    for (i, tensor) in t.tensors.iter().enumerate() {
        check_tensor(t, tensor).map_err(|fault| ParseError::Tensor { tensor: i as u16, fault })?;
    }
    interface(t, lives)?;
    for (i, node) in t.nodes.iter().enumerate() {
        check_node(t, node, i as u16 + 1, lives)
            .map_err(|fault| ParseError::Node { node: i as u16, fault })?;
    }
    for &id in t.outputs {
        let life = &mut lives[usize::from(id)];
        if !life.written && !matches!(t.tensors[usize::from(id)].place, Place::Data(_)) {
            return Err(ParseError::Tensor { tensor: id, fault: TensorFault::NeverWritten });
        }
        life.last = FOREVER;
    }
    overlaps(t, lives)?;
    for (i, node) in t.nodes.iter().enumerate() {
        check_scratch(t, node, i as u16 + 1, lives)
            .map_err(|fault| ParseError::Node { node: i as u16, fault })?;
    }
    Ok(())
}

fn check_tensor(t: &Tables<'_>, tensor: &Tensor) -> Result<(), TensorFault> {
    let Some(elements) = tensor.shape.checked_elements() else {
        return Err(TensorFault::Shape(tensor.shape));
    };
    if !(tensor.quant.scale > 0.0 && tensor.quant.scale.is_finite()) {
        return Err(TensorFault::Scale(tensor.quant.scale));
    }
    if !tensor.dtype.holds(tensor.quant.zero_point) {
        return Err(TensorFault::ZeroPoint(tensor.quant.zero_point));
    }
    let (start, region) = match tensor.place {
        Place::Arena(start) => (start, t.arena_len),
        Place::State(start) => (start, t.state_len),
        Place::Data(start) => (start, t.data.len() as u32),
    };
    if !start.is_multiple_of(tensor.dtype.size()) {
        return Err(TensorFault::Alignment(start));
    }
    // At most 2^28 elements of 4 bytes.
    let end = start.checked_add(elements * tensor.dtype.size());
    if end.is_none_or(|end| end > region) {
        return Err(TensorFault::Bounds { end: end.unwrap_or(u32::MAX), region });
    }
    if let Some(dim) = tensor.rows {
        let fits = t.dims.get(usize::from(dim)).is_some_and(|&bound| bound == tensor.shape.w);
        if !fits || tensor.shape.n != 1 || tensor.shape.h != 1 {
            return Err(TensorFault::Rows(dim));
        }
    }
    Ok(())
}

fn interface(t: &Tables<'_>, lives: &mut [Life]) -> Result<(), ParseError> {
    for list in [t.inputs, t.outputs] {
        for (i, &id) in list.iter().enumerate() {
            let fault = |fault| ParseError::Tensor { tensor: id, fault };
            if usize::from(id) >= t.tensors.len() || list[..i].contains(&id) {
                return Err(fault(TensorFault::Interface));
            }
        }
    }
    for (tensor, life) in t.tensors.iter().zip(lives.iter_mut()) {
        // Persistent tensors and constants have a value before the first node.
        if !matches!(tensor.place, Place::Arena(_)) {
            *life = Life { first: 0, last: FOREVER, written: true };
        }
    }
    for &id in t.inputs {
        if matches!(t.tensors[usize::from(id)].place, Place::Data(_)) {
            return Err(ParseError::Tensor { tensor: id, fault: TensorFault::Interface });
        }
        lives[usize::from(id)] = Life { first: 0, last: 0, written: true };
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

fn check_node(t: &Tables<'_>, node: &Node, time: u16, lives: &mut [Life]) -> Result<(), NodeFault> {
    let cx = operands(t, node);
    if cx.inputs.len() != usize::from(node.inputs.len) || cx.outputs.len() != usize::from(node.outputs.len) {
        return Err(NodeFault::Ids);
    }
    for &id in cx.inputs.iter().chain(cx.outputs) {
        if usize::from(id) >= t.tensors.len() {
            return Err(NodeFault::UnknownTensor(id));
        }
    }
    for &id in cx.inputs {
        let life = &mut lives[usize::from(id)];
        if !life.written {
            return Err(NodeFault::ReadBeforeWrite(id));
        }
        life.last = life.last.max(time);
    }
    for (i, &id) in cx.outputs.iter().enumerate() {
        let place = t.tensors[usize::from(id)].place;
        let life = &mut lives[usize::from(id)];
        let twice = life.written && !matches!(place, Place::State(_));
        // A persistent tensor may be read and written by one node only where it is updated in place.
        let torn = cx.inputs.iter().position(|&input| input == id).is_some_and(|at| at != 0 || i != 0)
            || cx.outputs[..i].contains(&id);
        if matches!(place, Place::Data(_)) || twice || torn {
            return Err(NodeFault::WrittenTwice(id));
        }
        if !life.written {
            *life = Life { first: time, last: time, written: true };
        }
    }
    check_states(t, node, &cx)?;
    node.op.check(&cx)
}

/// The states of a node are persistent tensors, each listed once among all of its operands. Persistent tensors
/// never share bytes, so a state overlaps nothing that the node reads or writes.
fn check_states(t: &Tables<'_>, node: &Node, cx: &Operands<'_>) -> Result<(), NodeFault> {
    let plain = cx.inputs.len().saturating_sub(node.op.states());
    for &id in &cx.inputs[plain..] {
        let uses = cx.inputs.iter().chain(cx.outputs).filter(|&&other| other == id).count();
        if !matches!(t.tensors[usize::from(id)].place, Place::State(_)) || uses != 1 {
            return Err(NodeFault::State(id));
        }
    }
    Ok(())
}

fn range(place: Place, len: u32) -> Option<(u32, u32)> {
    match place {
        Place::Arena(start) => Some((start, start + len)),
        Place::State(_) | Place::Data(_) => None,
    }
}

fn cross(a: (u32, u32), b: (u32, u32)) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// No two tensors that are alive at the same time share bytes, unless one takes the other's place.
fn overlaps(t: &Tables<'_>, lives: &[Life]) -> Result<(), ParseError> {
    for (i, a) in t.tensors.iter().enumerate() {
        for (j, b) in t.tensors.iter().enumerate().take(i) {
            let error = ParseError::Overlap { first: j as u16, second: i as u16 };
            if let (Place::State(x), Place::State(y)) = (a.place, b.place) {
                if cross((x, x + a.bytes()), (y, y + b.bytes())) {
                    return Err(error);
                }
                continue;
            }
            let (Some(ra), Some(rb)) = (range(a.place, a.bytes()), range(b.place, b.bytes())) else {
                continue;
            };
            let (la, lb) = (lives[i], lives[j]);
            if !cross(ra, rb) || la.first > lb.last || lb.first > la.last {
                continue;
            }
            let taken = takes_place(t, i, j, lives) || takes_place(t, j, i, lives);
            if !taken && !joins(t, i, j, lives) && !joins(t, j, i, lives) {
                return Err(error);
            }
        }
    }
    for node in t.nodes {
        in_place_is_sound(t, node)?;
    }
    Ok(())
}

/// True where tensor `new` is the output of a node that works in place on `old`, at the same bytes, and
/// `old` is not needed after that node.
fn takes_place(t: &Tables<'_>, new: usize, old: usize, lives: &[Life]) -> bool {
    let time = lives[new].first;
    if lives[old].last != time || time == 0 {
        return false;
    }
    let node = &t.nodes[usize::from(time) - 1];
    let cx = operands(t, node);
    let (a, b) = (&t.tensors[new], &t.tensors[old]);
    node.op.replaces(b, a)
        && cx.outputs.first() == Some(&(new as u16))
        && cx.inputs.first() == Some(&(old as u16))
        && !cx.inputs[1..].contains(&(old as u16))
        && a.place == b.place
}

/// True where tensor `new` is the output of a concatenation of which `old` is an input that stands where it is to be,
/// and is not needed after that node.
fn joins(t: &Tables<'_>, new: usize, old: usize, lives: &[Life]) -> bool {
    let time = lives[new].first;
    if lives[old].last != time || time == 0 {
        return false;
    }
    let node = &t.nodes[usize::from(time) - 1];
    let cx = operands(t, node);
    let Op::Concat(concat) = node.op else { return false };
    let mut at = cx.inputs.iter().enumerate().filter(|&(_, &id)| usize::from(id) == old);
    let (Some((index, _)), None) = (at.next(), at.next()) else { return false };
    let inputs = cx.inputs.iter().map(|&id| &t.tensors[usize::from(id)]);
    match (t.tensors[old].place, t.tensors[new].place, concat.offset(inputs, index)) {
        (Place::Arena(input), Place::Arena(output), Some(offset)) => input == output + offset,
        _ => false,
    }
}

/// A node that reads and writes one persistent tensor must be able to work in place.
fn in_place_is_sound(t: &Tables<'_>, node: &Node) -> Result<(), ParseError> {
    let cx = operands(t, node);
    let (Some(input), Some(output)) = (cx.inputs.first(), cx.outputs.first()) else { return Ok(()) };
    let tensor = |id: &u16| &t.tensors[usize::from(*id)];
    let sound = node.op.replaces(tensor(input), tensor(output)) && !cx.inputs[1..].contains(input);
    if input == output && !sound {
        return Err(ParseError::Overlap { first: *input, second: *output });
    }
    Ok(())
}

fn check_scratch(t: &Tables<'_>, node: &Node, time: u16, lives: &[Life]) -> Result<(), NodeFault> {
    let Scratch { offset, len } = node.scratch;
    // Kernels do with what plain Rust needs where the file was not packed for them.
    let isa = if t.target == Target::Portable { Some(IsaKind::Scalar) } else { t.target.isa() };
    let needed = node.op.scratch(&operands(t, node), isa.unwrap_or(IsaKind::Scalar));
    let fault = NodeFault::Scratch { found: len, needed: u32::try_from(needed).unwrap_or(u32::MAX) };
    let end = offset.checked_add(len);
    if u64::from(len) < needed
        || end.is_none_or(|end| end > t.arena_len)
        || !(offset as usize).is_multiple_of(ALIGN)
    {
        return Err(fault);
    }
    for (tensor, life) in t.tensors.iter().zip(lives) {
        let alive = life.written && life.first <= time && time <= life.last;
        let shared = range(tensor.place, tensor.bytes()).is_some_and(|r| cross(r, (offset, offset + len)));
        if alive && shared && len > 0 {
            return Err(fault);
        }
    }
    Ok(())
}
