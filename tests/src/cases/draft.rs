//! From an operator and its operands to a file: places, data, runs and what the oracle says of them.

use super::{Case, Feature, Kind, Run};
use crate::draw::{Draw, splitmix};
use crate::oracle::Grid;
use dunlin::format::{
    DType, DataSection, NodeSpec, OwnedMetadata, Place, ProgramSpec, Scratch, Tensor, encode, pack,
};
use dunlin::ops::{Concat, NO_ROW, Op};
use dunlin::quant::QParams;
use dunlin::shape::Shape;
use dunlin::{IsaKind, Target};

/// Where an operand lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// In the arena; an input of the network if the operator reads it, an output if it writes it.
    Arena,
    /// In the state memory.
    State,
    /// In the state memory, read and written by the operator.
    Kept,
    /// In the data section.
    Constant,
}

/// What values an input takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Any of its type.
    Any,
    /// Mostly below this, sometimes not.
    Positions(u8),
    /// Indices below this, i32.
    Indices(u32),
    /// Indices from some below 0 to some above this, i32.
    AroundIndices(u32),
    /// Indices of rows, u16: of so many, or as many as a bounded dimension of the draft has; sometimes of none.
    Rows(u32, Option<u8>),
}

/// A tensor of the operator.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Element type.
    pub dtype: DType,
    /// Size, with the bound for bounded rows.
    pub shape: Shape,
    /// Scale and zero point.
    pub quant: QParams,
    /// Where it lives.
    pub home: Home,
    /// Its values.
    pub fill: Fill,
    /// Bounded dimension of the draft that gives its rows; see [`Draft::dims`].
    pub rows: Option<u8>,
}

impl Operand {
    /// An int8 tensor in the arena.
    pub fn int8(shape: Shape, quant: QParams) -> Self {
        Self { dtype: DType::I8, shape, quant, home: Home::Arena, fill: Fill::Any, rows: None }
    }

    /// A tensor of labels or positions in the arena.
    pub fn uint8(shape: Shape) -> Self {
        Self { dtype: DType::U8, ..Self::int8(shape, QParams::UNIT) }
    }

    /// A tensor of 16-bit activations in the arena.
    pub fn int16(shape: Shape, scale: f32) -> Self {
        Self { dtype: DType::I16, ..Self::int8(shape, QParams { scale, zero_point: 0 }) }
    }

    /// The tensor as a state of the operator.
    pub fn kept(self) -> Self {
        Self { home: Home::Kept, ..self }
    }

    /// A tensor of real numbers in the arena.
    pub fn real(shape: Shape) -> Self {
        Self { dtype: DType::F32, ..Self::int8(shape, QParams::UNIT) }
    }

    fn bytes(&self, rows: u32) -> usize {
        Shape { w: rows, ..self.shape }.elements() * self.dtype.size() as usize
    }
}

/// What the oracle says: bytes of the inputs and the number of rows (`w` of input 0, or the counts of all dimensions of
/// the draft) to bytes of the outputs and of the states after the run.
pub type Oracle = Box<dyn Fn(&[Vec<u8>], &[u32]) -> Vec<Vec<u8>>>;

/// An operator with its operands and the oracle, before anything has a place.
pub struct Draft {
    /// Operator and attributes.
    pub op: Op,
    /// Tensors read.
    pub inputs: Vec<Operand>,
    /// Tensors written.
    pub outputs: Vec<Operand>,
    /// Constants of the attributes.
    pub data: DataSection,
    /// The operator works row by row, so `w` may be bounded: of all inputs with more than one row.
    pub by_rows: bool,
    /// Bounds of the bounded dimensions that operands name; none where `by_rows` decides.
    pub dims: Vec<u32>,
    /// Both inputs may be one tensor.
    pub may_repeat: bool,
    /// What it exercises.
    pub features: Vec<Feature>,
    /// The slow reference.
    pub oracle: Oracle,
}

/// Sizes as the oracle takes them, with another number of rows.
fn size(shape: Shape) -> [usize; 4] {
    [shape.n, shape.h, shape.w, shape.c].map(|d| d as usize)
}

impl Draft {
    /// A draft without constants and options.
    pub fn new(
        op: Op,
        inputs: Vec<Operand>,
        outputs: Vec<Operand>,
        oracle: impl Fn(&[Vec<u8>], &[u32]) -> Vec<Vec<u8>> + 'static,
    ) -> Self {
        Self {
            op,
            inputs,
            outputs,
            data: DataSection::new(),
            by_rows: false,
            dims: Vec::new(),
            may_repeat: false,
            features: Vec::new(),
            oracle: Box::new(oracle),
        }
    }

    /// A draft of an operator with one input and one output, each int8, u8 or int16.
    pub fn unary(op: Op, input: Operand, output: Operand, oracle: impl Fn(Grid) -> Grid + 'static) -> Self {
        let (shape, types) = (input.shape, [input.dtype, output.dtype]);
        Self::new(op, vec![input], vec![output], move |bytes, rows| {
            let size = size(Shape { w: rows[0], ..shape });
            let y = oracle(match types[0] {
                DType::I8 => Grid::from_i8(size, &bytes[0]),
                DType::I16 => Grid::from_i16(size, &bytes[0]),
                _ => Grid::from_u8(size, &bytes[0]),
            });
            vec![if types[1] == DType::I16 { y.to_i16_bytes() } else { y.to_bytes() }]
        })
    }

    /// With these constants.
    pub fn with_data(self, data: DataSection) -> Self {
        Self { data, ..self }
    }

    /// As an operator that works row by row.
    pub fn by_rows(self) -> Self {
        Self { by_rows: true, ..self }
    }

    /// With these bounded dimensions, which the operands name.
    pub fn with_dims(self, dims: Vec<u32>) -> Self {
        Self { dims, ..self }
    }

    /// With one more feature where `present`.
    pub fn feature(mut self, feature: Feature, present: bool) -> Self {
        if present {
            self.features.push(feature);
        }
        self
    }

    /// Draws places and inputs, asks the oracle, writes the file.
    ///
    /// # Panics
    /// The runtime refuses the program: generator and parser disagree about what is valid.
    pub fn finish(mut self, kind: Kind, draw: &mut Draw<'_>) -> Case {
        assert_eq!(kind, Kind::of(&self.op), "the generator of {kind:?} made another operator");
        let layout = Layout::draw(&mut self, draw);
        let write = |spec: &ProgramSpec| {
            encode(spec)
                .unwrap_or_else(|e| panic!("{:?} {:?}: {e}", self.op, spec.tensors))
                .as_slice()
                .to_vec()
        };
        let isas = if layout.lean { &[IsaKind::Scalar] } else { Target::Portable.planned() };
        let spec = layout.program(&self, isas);
        let file = write(&spec);
        let cores = Target::ALL.into_iter().filter(|&target| target != Target::Portable);
        let packs =
            matches!(self.op, Op::Conv2d(_) | Op::Dense(_) | Op::DepthwiseConv2d(_) | Op::Conv2dAdd(_));
        let packed = cores.filter(|_| packs).map(|target| {
            let planned = layout.program(&self, target.planned());
            (target, write(&pack(&planned, target)))
        });
        let packed = packed.collect();
        let runs = self.runs(&layout, draw);
        let extreme = |t: &Operand| t.dtype == DType::I8 && matches!(t.quant.zero_point, -128 | 127);
        let operands = || self.inputs.iter().chain(&self.outputs);
        let found = [
            (Feature::InPlace, layout.in_place),
            (Feature::Apart, self.op.in_place() && !layout.in_place && !layout.updates_state),
            (Feature::Batch, self.inputs[0].shape.n > 1),
            (Feature::Bounded, !layout.dims.is_empty()),
            (
                Feature::CountBelowBound,
                runs.iter().any(|r| r.counts.iter().zip(&layout.dims).any(|(count, bound)| count < bound)),
            ),
            (Feature::CountZero, runs.iter().any(|r| r.counts.contains(&0))),
            (Feature::Persistent, operands().any(|t| t.home == Home::State)),
            (Feature::Kept, operands().any(|t| t.home == Home::Kept)),
            (Feature::PersistentInPlace, layout.updates_state),
            (Feature::Constant, self.inputs.iter().any(|t| t.home == Home::Constant)),
            (Feature::ExtremeZeroPoint, operands().any(extreme)),
            (
                Feature::OddAddress,
                spec.tensors.iter().any(|t| matches!(t.place, Place::Arena(at) if at % 2 == 1)),
            ),
            (Feature::Twin, layout.repeat),
        ];
        let mut features = self.features;
        features.extend(found.iter().filter(|(_, present)| *present).map(|&(feature, _)| feature));
        features.sort_unstable();
        features.dedup();
        Case { name: format!("{kind:?}"), kind, model: file, packed, runs, features }
    }

    /// Inputs that are states of the operator.
    fn kept(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().enumerate().filter(|(_, t)| t.home == Home::Kept).map(|(i, _)| i)
    }

    fn runs(&self, layout: &Layout, draw: &mut Draw<'_>) -> Vec<Run> {
        let shape = self.inputs[0].shape;
        // Only types of one byte have a zero point other than 0.
        let zeros = |t: &Operand| vec![t.quant.zero_point as u8; t.bytes(t.shape.w)];
        let mut state: Vec<Vec<u8>> = self.inputs.iter().map(zeros).collect();
        let bounded = !layout.dims.is_empty();
        let runs = if bounded { 4 } else { draw.size(1, 3) };
        (0..runs)
            .map(|run| {
                let counts: Vec<u32> = layout
                    .dims
                    .iter()
                    .map(|&bound| match run {
                        2 => bound,
                        1 => draw.pick(&[0, 1]),
                        _ => draw.size(0, bound),
                    })
                    .collect();
                let rows_of = |t: &Operand| layout.dim(t).map_or(t.shape.w, |dim| counts[usize::from(dim)]);
                let mut given: Vec<Vec<u8>> = Vec::new();
                let mut values: Vec<Vec<u8>> = Vec::new();
                for (i, input) in self.inputs.iter().enumerate() {
                    if layout.repeat && i == 1 {
                        values.push(values[0].clone());
                        continue;
                    }
                    let len = input.bytes(rows_of(input));
                    values.push(match input.home {
                        Home::State | Home::Kept => state[i][..len].to_vec(),
                        Home::Constant => layout.constants[i].clone(),
                        Home::Arena => {
                            let bytes = fill(input, len, &counts, draw);
                            given.push(bytes.clone());
                            bytes
                        }
                    });
                }
                let rows = if bounded { counts.clone() } else { vec![shape.w] };
                let outputs = (self.oracle)(&values, &rows);
                let kept: Vec<usize> = self.kept().collect();
                assert_eq!(outputs.len(), self.outputs.len() + kept.len(), "{:?}: outputs", self.op);
                for (&i, bytes) in kept.iter().zip(&outputs[self.outputs.len()..]) {
                    state[i].copy_from_slice(bytes);
                }
                for (bytes, output) in outputs.iter().zip(&self.outputs) {
                    assert_eq!(
                        bytes.len(),
                        output.bytes(rows_of(output)),
                        "{:?}: size of the oracle's output",
                        self.op
                    );
                }
                if layout.updates_state {
                    state[0][..outputs[0].len()].copy_from_slice(&outputs[0]);
                }
                Run { counts, inputs: given, outputs }
            })
            .collect()
    }
}

/// Bytes for an operand in a run with these counts.
fn fill(operand: &Operand, len: usize, counts: &[u32], draw: &mut Draw<'_>) -> Vec<u8> {
    match (operand.dtype, operand.fill) {
        (DType::F32, _) => (0..len / 4).flat_map(|_| real(operand, draw).to_le_bytes()).collect(),
        (DType::I16, _) => draw.words(len / 2).into_iter().flat_map(i16::to_le_bytes).collect(),
        (_, Fill::Any) => draw.bytes(len).into_iter().map(|b| b as u8).collect(),
        (_, Fill::Indices(limit)) => {
            (0..len / 4).flat_map(|_| draw.size(0, limit - 1).to_le_bytes()).collect()
        }
        (_, Fill::AroundIndices(limit)) => {
            let odd = [i32::MIN, i32::MAX, -1];
            let mut index = || match draw.chance(20) {
                true => draw.pick(&odd),
                false => draw.range(-2, i64::from(limit) + 1) as i32,
            };
            (0..len / 4).flat_map(|_| index().to_le_bytes()).collect()
        }
        (_, Fill::Rows(rows, dim)) => {
            let rows = dim.and_then(|dim| counts.get(usize::from(dim)).copied()).unwrap_or(rows);
            let mut index = || match rows == 0 || draw.chance(8) {
                true => NO_ROW,
                false => draw.size(0, rows - 1) as u16,
            };
            (0..len / 2).flat_map(|_| index().to_le_bytes()).collect()
        }
        (_, Fill::Positions(limit)) => {
            let mut seed = draw.range(0, i64::from(u32::MAX)) as u64;
            let position = |word: u64| {
                if word.is_multiple_of(16) { (word >> 8) as u8 } else { (word >> 8) as u8 % limit }
            };
            (0..len).map(|_| position(splitmix(&mut seed))).collect()
        }
    }
}

/// A real number: mostly within some hundred, sometimes none that a sensor would give.
fn real(operand: &Operand, draw: &mut Draw<'_>) -> f32 {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0, 1e-40, f32::MIN, 3e9, -3e9];
    let steps = draw.range(-400, 400) as f32 / 2.0;
    if draw.chance(10) { draw.pick(&odd) } else { steps * operand.quant.scale }
}

/// Places and options of a draft.
struct Layout {
    in_place: bool,
    updates_state: bool,
    repeat: bool,
    /// Bounds of the bounded dimensions.
    dims: Vec<u32>,
    /// Operands name their dimensions.
    named: bool,
    odd: bool,
    /// Working memory is planned for plain Rust only, as in a file that knows nothing of today's instruction sets.
    lean: bool,
    /// What a concatenation joins stands in its output already.
    joined: bool,
    constants: Vec<Vec<u8>>,
}

impl Layout {
    fn draw(draft: &mut Draft, draw: &mut Draw<'_>) -> Self {
        let (first, output) = (draft.inputs[0].clone(), draft.outputs[0].clone());
        let same_tensor =
            first.dtype == output.dtype && first.shape == output.shape && first.quant == output.quant;
        let at = |t: &Operand| Tensor {
            dtype: t.dtype,
            shape: t.shape,
            quant: t.quant,
            place: Place::Arena(0),
            rows: None,
        };
        let replaces = draft.op.replaces(&at(&first), &at(&output));
        let updates_state = replaces && same_tensor && draw.chance(40);
        let repeat = draft.may_repeat && !updates_state && draw.chance(60);
        let in_place = replaces && !updates_state && !repeat && draw.chance(60);
        let dims = match draft.by_rows && first.shape.n == 1 && first.shape.h == 1 && draw.chance(60) {
            true => vec![first.shape.w],
            false => draft.dims.clone(),
        };
        if updates_state {
            draft.inputs[0].home = Home::State;
            draft.outputs[0].home = Home::State;
        } else if draw.chance(10) {
            draft.outputs[0].home = if in_place { Home::Arena } else { Home::State };
        }
        // Indices that may be outside must be computed.
        let around = |t: &Operand| matches!(t.fill, Fill::AroundIndices(_));
        let second = draft.inputs.get(1).is_some_and(|t| t.home != Home::Kept && !around(t));
        let fixed =
            dims.is_empty() || draft.inputs.get(1).is_some_and(|t| !draft.by_rows && t.rows.is_none());
        if second && !repeat && fixed && draw.chance(30) {
            draft.inputs[1].home = Home::Constant;
        }
        let constants = draft.inputs.iter().map(|t| match t.home {
            Home::Constant => fill(t, t.bytes(t.shape.w), &dims, draw),
            Home::Arena | Home::State | Home::Kept => Vec::new(),
        });
        let constants = constants.collect();
        Self {
            in_place,
            updates_state,
            repeat,
            dims,
            named: !draft.dims.is_empty(),
            odd: draw.chance(30),
            lean: draw.chance(25),
            joined: draw.chance(60),
            constants,
        }
    }

    /// The bounded dimension of an operand: the one that it names; without names, of all that have as many rows as input
    /// 0, but of no constant and no state.
    fn dim(&self, operand: &Operand) -> Option<u8> {
        let fixed = matches!(operand.home, Home::Constant | Home::Kept);
        match self.named {
            true => operand.rows,
            false => (self.dims.first() == Some(&operand.shape.w) && !fixed).then_some(0),
        }
    }

    /// The program, with working memory for the instruction sets `isas`.
    fn program(&self, draft: &Draft, isas: &[IsaKind]) -> ProgramSpec {
        let mut spec = ProgramSpec {
            dims: self.dims.clone(),
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            target: Target::Portable,
            arena_len: 0,
            state_len: 0,
            data: draft.data.clone(),
            metadata: OwnedMetadata { name: draft.op.name().into(), ..OwnedMetadata::default() },
        };
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for (i, operand) in draft.inputs.iter().enumerate() {
            if self.repeat && i == 1 {
                inputs.push(inputs[0]);
                continue;
            }
            let id = self.place(&mut spec, operand, &self.constants[i]);
            if operand.home == Home::Arena {
                spec.inputs.push(id);
            }
            inputs.push(id);
        }
        for (i, operand) in draft.outputs.iter().enumerate() {
            let id = match i {
                0 if self.updates_state => inputs[0],
                0 if self.in_place => {
                    let place = spec.tensors[usize::from(inputs[0])].place;
                    spec.tensors.push(self.tensor(operand, place));
                    spec.tensors.len() as u16 - 1
                }
                _ => self.place(&mut spec, operand, &[]),
            };
            spec.outputs.push(id);
            outputs.push(id);
        }
        spec.outputs.extend(draft.kept().map(|i| inputs[i]));
        if let (Op::Concat(concat), true) = (&draft.op, self.joined) {
            join(&mut spec.tensors, concat, &inputs, outputs[0]);
        }
        let bytes = |&isa| dunlin::scratch_bytes(&draft.op, &spec.tensors, &inputs, &outputs, isa);
        let needed = isas.iter().map(bytes).max().unwrap_or(0);
        let offset = spec.arena_len.next_multiple_of(16);
        let scratch = match u32::try_from(needed).expect("scratch of a small case") {
            0 => Scratch::default(),
            // A file may reserve more than is needed, of any length.
            len => Scratch { offset, len: len + u32::from(self.odd) },
        };
        spec.arena_len = spec.arena_len.max(scratch.offset + scratch.len);
        spec.nodes.push(NodeSpec { op: draft.op, inputs, outputs, scratch });
        spec
    }

    fn tensor(&self, operand: &Operand, place: Place) -> Tensor {
        let Operand { dtype, shape, quant, .. } = *operand;
        Tensor { dtype, shape, quant, place, rows: self.dim(operand) }
    }

    fn place(&self, spec: &mut ProgramSpec, operand: &Operand, constant: &[u8]) -> u16 {
        let size = operand.dtype.size();
        let bytes = operand.bytes(operand.shape.w) as u32;
        let take = |len: &mut u32| {
            // One element past a boundary of sixteen, or on it: nothing may depend on which.
            let start = len.next_multiple_of(16) + if self.odd { size } else { 0 };
            *len = start + bytes;
            start
        };
        let place = match operand.home {
            Home::Arena => Place::Arena(take(&mut spec.arena_len)),
            Home::State | Home::Kept => Place::State(take(&mut spec.state_len)),
            Home::Constant => Place::Data(spec.data.push(constant).0),
        };
        spec.tensors.push(self.tensor(operand, place));
        spec.tensors.len() as u16 - 1
    }
}

/// Puts the inputs of a concatenation where the output has them, if it has them in one piece.
fn join(tensors: &mut [Tensor], concat: &Concat, inputs: &[u16], output: u16) {
    let Place::Arena(start) = tensors[usize::from(output)].place else { return };
    for (i, &id) in inputs.iter().enumerate() {
        let offset = concat.offset(inputs.iter().map(|&id| &tensors[usize::from(id)]), i);
        let place = &mut tensors[usize::from(id)].place;
        if let (Some(offset), Place::Arena(_)) = (offset, &place) {
            *place = Place::Arena(start + offset);
        }
    }
}
