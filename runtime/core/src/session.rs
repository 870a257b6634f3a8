//! [`Session`]: a model bound to memory, ready to run.

use crate::arena::{Memory, Region};
use crate::error::SessionError;
use crate::format::{ALIGN, DType, Place, Tensor};
use crate::isa::{IsaKind, Target};
use crate::model::{MAX_DIMS, Model};
use crate::observe::Observer;
use crate::ops::{Io, NO_ROW, Operands};
use crate::shape::Shape;

/// Element of an input or output.
pub trait Element: bytemuck::Pod + sealed::Sealed {
    /// The tensor type that holds it.
    const DTYPE: DType;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($t:ty => $dtype:ident),*) => {
        $(
            impl sealed::Sealed for $t {}
            impl Element for $t {
                const DTYPE: DType = DType::$dtype;
            }
        )*
    };
}

elements!(i8 => I8, u8 => U8, i16 => I16, i32 => I32, f32 => F32);

/// A model with the memory to run it.
///
/// Making one costs a few instructions and keeps nothing in the arena, so two models may share an arena:
/// make a session for one, drop it, make one for the other. Values that must survive are in the state
/// memory, which each model has for itself.
///
/// ```no_run
/// # fn demo(file: &[u8]) -> Result<(), Box<dyn core::error::Error>> {
/// use dunlin_core::{Arena, Model, Session, Storage};
/// let mut storage = Storage::<64, 128, 256>::new();
/// let model = Model::parse(file, &mut storage)?;
/// let mut arena = Arena::<65536>::new();
/// let mut session = Session::new(&model, arena.as_mut_slice())?;
/// session.input_mut::<i8>(0)?.fill(0);
/// session.run();
/// let labels: &[u8] = session.output(0)?;
/// # let _ = labels; Ok(()) }
/// ```
pub struct Session<'a, 'm> {
    model: &'a Model<'m>,
    arena: &'a mut [u8],
    state: &'a mut [u8],
    counts: [u32; MAX_DIMS],
    isa: IsaKind,
    next: usize,
}

impl<'a, 'm> Session<'a, 'm> {
    /// A session of a model without persistent tensors.
    ///
    /// # Errors
    /// The arena is too small (the error says by how much) or not aligned to 16 bytes, or the model has
    /// persistent tensors.
    pub fn new(model: &'a Model<'m>, arena: &'a mut [u8]) -> Result<Self, SessionError> {
        Self::with_state(model, arena, &mut [])
    }

    /// A session whose persistent tensors live in `state`, which keeps its contents.
    ///
    /// Call [`Session::reset_state`] before the first run.
    ///
    /// # Errors
    /// As [`Session::new`], for both memories.
    pub fn with_state(
        model: &'a Model<'m>,
        arena: &'a mut [u8],
        state: &'a mut [u8],
    ) -> Result<Self, SessionError> {
        let (needed, found) = (model.arena_bytes(), arena.len());
        if found < needed {
            return Err(SessionError::Arena { missing: (needed - found) as u32, needed: needed as u32 });
        }
        let (needed, found) = (model.state_bytes(), state.len());
        if found < needed {
            return Err(SessionError::State { missing: (needed - found) as u32, needed: needed as u32 });
        }
        for memory in [&*arena, &*state] {
            let remainder = (memory.as_ptr() as usize % ALIGN) as u8;
            if remainder != 0 && !memory.is_empty() {
                return Err(SessionError::Misaligned { remainder });
            }
        }
        Ok(Self::fitted(model, arena, state))
    }

    /// A session in memory that fits by its type (`dunlin::model!`); in any other, nodes do not run.
    #[doc(hidden)]
    pub fn fitted(model: &'a Model<'m>, arena: &'a mut [u8], state: &'a mut [u8]) -> Self {
        let mut counts = [0; MAX_DIMS];
        counts.iter_mut().zip(model.dims()).for_each(|(count, &bound)| *count = bound);
        let mut session = Self {
            model,
            arena,
            state,
            counts,
            isa: model.target().isa().unwrap_or(IsaKind::Scalar),
            next: 0,
        };
        session.void_indices();
        session
    }

    /// The model.
    pub fn model(&self) -> &'a Model<'m> {
        self.model
    }

    /// The instruction set that this session runs on.
    pub fn isa(&self) -> IsaKind {
        self.isa
    }

    /// The same session on another instruction set than the best of this core: to measure one, or to prove that all
    /// give the same bits.
    ///
    /// # Errors
    /// This core or this build does not have it, or the constants of the file are packed for another.
    ///
    /// ```no_run
    /// # fn demo(session: dunlin_core::Session<'_, '_>) -> Result<(), dunlin_core::SessionError> {
    /// let mut session = session.with_isa(dunlin_core::IsaKind::Scalar)?;
    /// session.run();
    /// # Ok(()) }
    /// ```
    pub fn with_isa(mut self, wanted: IsaKind) -> Result<Self, SessionError> {
        let target = self.model.target();
        let suits = target == Target::Portable || target.isa() == Some(wanted);
        if !suits || !wanted.is_available() {
            return Err(SessionError::Isa { wanted: wanted.name() });
        }
        self.isa = wanted;
        Ok(self)
    }

    /// Sets how many rows of bounded dimension `dim` the next runs have, from 0 to the bound. Lists of indices are void
    /// afterwards: set all counts first, then every list.
    ///
    /// # Errors
    /// There is no such dimension, or the count exceeds its bound.
    pub fn set_len(&mut self, dim: usize, count: u32) -> Result<(), SessionError> {
        let dims = self.model.dims();
        let no_such = SessionError::NoSuch { index: dim as u32, count: dims.len() as u32 };
        let &bound = dims.get(dim).ok_or(no_such)?;
        let slot = self.counts.get_mut(dim).ok_or(no_such)?;
        if count > bound {
            return Err(SessionError::Count { count, bound });
        }
        *slot = count;
        self.void_indices();
        Ok(())
    }

    /// Makes every entry of every list of indices name no row.
    fn void_indices(&mut self) {
        let tables = self.model.tables();
        for &id in tables.inputs {
            let tensor = &tables.tensors[usize::from(id)];
            if tensor.dtype == DType::U16 {
                let region = Region { place: tensor.place, len: tensor.bytes() as usize };
                if let Some(bytes) = self.memory().write(region) {
                    bytes.fill(NO_ROW as u8);
                }
            }
        }
    }

    /// Gives input `index`, a list of row indices, for this and further runs until a count changes. Nodes without edges
    /// need nothing; an edge whose entry is [`NO_ROW`] is left out.
    ///
    /// # Errors
    /// There is no such input, it is no list, there are not as many entries as rows in this run, or one names a row that
    /// is not there. The list is then void.
    pub fn set_indices(&mut self, index: usize, indices: &[u16]) -> Result<(), SessionError> {
        self.write_indices(index, indices.len(), indices.iter().copied())
    }

    fn write_indices(
        &mut self,
        index: usize,
        found: usize,
        indices: impl Iterator<Item = u16>,
    ) -> Result<(), SessionError> {
        let tables = self.model.tables();
        let tensor = Self::pick(tables.inputs, index, tables.tensors)?;
        if tensor.dtype != DType::U16 {
            return Err(SessionError::NoIndexList { found: tensor.dtype });
        }
        // A list that nothing reads may hold anything.
        let rows = match tables.inputs.get(index).and_then(|&id| tables.indexed(id)) {
            Some(rows) => rows.count(&self.counts),
            None => u32::from(NO_ROW),
        };
        let region = self.region(tensor);
        let bytes = self.memory().write(region).unwrap_or(&mut []);
        let expected = bytes.len() / 2;
        if found != expected {
            bytes.fill(NO_ROW as u8);
            return Err(SessionError::Length { found: found as u32, expected: expected as u32 });
        }
        for (at, (slot, index)) in bytes.chunks_exact_mut(2).zip(indices).enumerate() {
            if u32::from(index) >= rows && index != NO_ROW {
                bytes.fill(NO_ROW as u8);
                return Err(SessionError::Index { at: at as u32, index, rows });
            }
            slot.copy_from_slice(&index.to_ne_bytes());
        }
        Ok(())
    }

    /// Gives input `index` by its bytes, little endian: for tools that do not know what a network takes.
    ///
    /// # Errors
    /// There is no such input, it has another number of bytes in this run, or as [`Session::set_indices`].
    pub fn set_input_bytes(&mut self, index: usize, bytes: &[u8]) -> Result<(), SessionError> {
        let tables = self.model.tables();
        let tensor = Self::pick(tables.inputs, index, tables.tensors)?;
        let expected = self.region(tensor).len;
        if bytes.len() != expected {
            return Err(SessionError::Length { found: bytes.len() as u32, expected: expected as u32 });
        }
        if tensor.dtype == DType::U16 {
            let entries = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
            return self.write_indices(index, entries.len(), entries);
        }
        self.input_bytes_mut(index)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Sets the persistent tensors to real zero: every element to its tensor's zero point.
    pub fn reset_state(&mut self) {
        self.state.fill(0);
        for tensor in self.model.tensors() {
            // Types of more than one byte have no zero point but 0.
            if let (Place::State(_), DType::I8 | DType::U8) = (tensor.place, tensor.dtype) {
                let region = Region { place: tensor.place, len: tensor.bytes() as usize };
                if let Some(bytes) = self.memory().write(region) {
                    bytes.fill(tensor.quant.zero_point as u8);
                }
            }
        }
    }

    /// Shape of a tensor in the next run.
    fn shape(&self, tensor: &Tensor) -> Shape {
        match tensor.rows {
            Some(dim) => Shape { w: self.counts[usize::from(dim) % MAX_DIMS], ..tensor.shape },
            None => tensor.shape,
        }
    }

    fn region(&self, tensor: &Tensor) -> Region {
        let len = self.shape(tensor).elements() * tensor.dtype.size() as usize;
        Region { place: tensor.place, len }
    }

    fn pick(list: &[u16], index: usize, tensors: &'m [Tensor]) -> Result<&'m Tensor, SessionError> {
        let id =
            list.get(index).ok_or(SessionError::NoSuch { index: index as u32, count: list.len() as u32 })?;
        Ok(&tensors[usize::from(*id)])
    }

    /// The bytes of input `index`, to be filled before each run: a run may overwrite them.
    ///
    /// # Errors
    /// There is no such input, or it is a list of indices.
    pub fn input_bytes_mut(&mut self, index: usize) -> Result<&mut [u8], SessionError> {
        let tables = self.model.tables();
        let tensor = Self::pick(tables.inputs, index, tables.tensors)?;
        if tensor.dtype == DType::U16 {
            return Err(SessionError::IndexList);
        }
        let region = self.region(tensor);
        Ok(self.memory().write(region).unwrap_or(&mut []))
    }

    /// Input `index` as elements of its type, to be filled before each run: a run may overwrite it.
    ///
    /// # Errors
    /// There is no such input, or it holds another type.
    pub fn input_mut<T: Element>(&mut self, index: usize) -> Result<&mut [T], SessionError> {
        let tables = self.model.tables();
        let tensor = Self::pick(tables.inputs, index, tables.tensors)?;
        let wrong = SessionError::WrongType { found: tensor.dtype };
        if tensor.dtype != T::DTYPE {
            return Err(wrong);
        }
        bytemuck::try_cast_slice_mut(self.input_bytes_mut(index)?).map_err(|_| wrong)
    }

    /// The bytes of output `index`, valid after a run and until the next.
    ///
    /// # Errors
    /// There is no such output.
    pub fn output_bytes(&self, index: usize) -> Result<&[u8], SessionError> {
        let tables = self.model.tables();
        let region = self.region(Self::pick(tables.outputs, index, tables.tensors)?);
        let start_len = |memory: &'_ [u8], start: u32| -> core::ops::Range<usize> {
            let start = (start as usize).min(memory.len());
            start..(start + region.len).min(memory.len())
        };
        Ok(match region.place {
            Place::Arena(start) => &self.arena[start_len(self.arena, start)],
            Place::State(start) => &self.state[start_len(self.state, start)],
            Place::Data(start) => &tables.data[start_len(tables.data, start)],
        })
    }

    /// Output `index` as elements of its type, valid after a run and until the next.
    ///
    /// # Errors
    /// There is no such output, or it holds another type.
    pub fn output<T: Element>(&self, index: usize) -> Result<&[T], SessionError> {
        let tables = self.model.tables();
        let tensor = Self::pick(tables.outputs, index, tables.tensors)?;
        let wrong = SessionError::WrongType { found: tensor.dtype };
        if tensor.dtype != T::DTYPE {
            return Err(wrong);
        }
        bytemuck::try_cast_slice(self.output_bytes(index)?).map_err(|_| wrong)
    }

    /// Runs the whole network.
    pub fn run(&mut self) {
        self.run_observed(&mut ());
    }

    /// Runs the whole network and tells `observer` of every node.
    pub fn run_observed(&mut self, observer: &mut impl Observer) {
        self.next = 0;
        while self.step(observer) {}
    }

    /// Runs one node, so that an async task can yield between nodes; returns whether more are to come.
    ///
    /// The call after the last node starts again with the first.
    pub fn step(&mut self, observer: &mut impl Observer) -> bool {
        let nodes = self.model.nodes();
        let Some(node) = nodes.get(self.next) else {
            self.next = 0;
            return false;
        };
        observer.before(self.next);
        let tables = self.model.tables();
        let operands = Operands {
            tensors: tables.tensors,
            inputs: self.model.ids(node.inputs),
            outputs: self.model.ids(node.outputs),
            data: tables.data,
            target: tables.target,
        };
        let isa = self.isa;
        let counts = self.counts;
        let current = self.next;
        let memory = self.memory();
        let io = &mut Io { operands, scratch: node.scratch, memory, counts: &counts, packed: false };
        let done = tables.dispatch.run(current, isa, &node.op, io);
        debug_assert!(done.is_some(), "the parser let {} through", node.op.name());
        observer.after(self.next);
        self.next += 1;
        if self.next == nodes.len() {
            self.next = 0;
            return false;
        }
        true
    }

    fn memory(&mut self) -> Memory<'_> {
        Memory { arena: self.arena, state: self.state, data: self.model.tables().data }
    }
}
