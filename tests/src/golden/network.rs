//! Lays out a model without a planner: golden ones, and others of tests.

use crate::draw::Draw;
use crate::oracle::nearest_indices;
use dunlin::IsaKind;
use dunlin::format::{
    Blob, DType, DataSection, NodeSpec, OwnedMetadata, Place, ProgramSpec, Scratch, Tensor,
};
use dunlin::ops::{Filter, Op};
use dunlin::quant::{Clamp, QParams, Requant};
use dunlin::shape::Shape;

/// Lays tensors out one after another and nodes in the order in which they are added.
pub(crate) struct Network {
    pub(crate) spec: ProgramSpec,
    pub(crate) draw: Draw<'static>,
}

impl Network {
    /// Nothing yet but bounded dimensions; constants are drawn from `seed`.
    pub(crate) fn new(dims: Vec<u32>, seed: u64, metadata: OwnedMetadata) -> Self {
        let spec = ProgramSpec {
            dims,
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            target: dunlin::Target::Portable,
            arena_len: 0,
            state_len: 0,
            data: DataSection::new(),
            metadata,
        };
        Self { spec, draw: Draw::seeded(seed) }
    }

    pub(crate) fn tensor(&mut self, dtype: DType, shape: Shape, quant: QParams) -> u16 {
        let start = self.spec.arena_len.next_multiple_of(16);
        self.spec.arena_len = start + shape.elements() as u32 * dtype.size();
        self.push(Tensor { dtype, shape, quant, place: Place::Arena(start), rows: None })
    }

    pub(crate) fn push(&mut self, tensor: Tensor) -> u16 {
        self.spec.tensors.push(tensor);
        self.spec.tensors.len() as u16 - 1
    }

    pub(crate) fn int8(&mut self, shape: Shape, scale: f32, zero_point: i16) -> u16 {
        self.tensor(DType::I8, shape, QParams { scale, zero_point })
    }

    pub(crate) fn rows(&mut self, id: u16) -> u16 {
        self.bounded_by(0, id)
    }

    /// Gives a tensor as many rows as bounded dimension `dim` has.
    pub(crate) fn bounded_by(&mut self, dim: u8, id: u16) -> u16 {
        self.spec.tensors[usize::from(id)].rows = Some(dim);
        id
    }

    /// A tensor in the place of another, for an operator that works in place.
    pub(crate) fn over(&mut self, id: u16, shape: Shape) -> u16 {
        let tensor = self.spec.tensors[usize::from(id)];
        self.push(Tensor { shape, ..tensor })
    }

    pub(crate) fn get(&self, id: u16) -> Tensor {
        self.spec.tensors[usize::from(id)]
    }

    pub(crate) fn node(&mut self, op: Op, inputs: &[u16], outputs: &[u16]) {
        let needed = dunlin::scratch_bytes(&op, &self.spec.tensors, inputs, outputs, IsaKind::Scalar) as u32;
        let scratch = match needed {
            0 => Scratch::default(),
            len => Scratch { offset: self.spec.arena_len.next_multiple_of(16), len },
        };
        self.spec.arena_len = self.spec.arena_len.max(scratch.offset + scratch.len);
        self.spec.nodes.push(NodeSpec { op, inputs: inputs.to_vec(), outputs: outputs.to_vec(), scratch });
    }

    /// Weights with factors that keep sums of `taps` products in range.
    pub(crate) fn filter(&mut self, channels: u32, weights: usize, taps: u32) -> Filter {
        let values: Vec<i8> = (0..weights).map(|_| self.draw.range(-127, 127) as i8).collect();
        let mut words =
            |low, high| -> Vec<i32> { (0..channels).map(|_| self.draw.range(low, high) as i32).collect() };
        let (bias, multiplier) = (words(-3000, 3000), words(1 << 30, i64::from(i32::MAX)));
        let shift = -6 - (taps.ilog2() / 2) as i8;
        let data = &mut self.spec.data;
        Filter {
            weights: data.push(&values),
            bias: data.push(&bias),
            multiplier: data.push(&multiplier),
            shift: data.push(&vec![shift; channels as usize]),
            weight_zero: 0,
            clamp: Clamp { min: -100, max: 127 },
        }
    }

    pub(crate) fn indices(&mut self, input: u32, output: u32) -> Blob {
        let indices = nearest_indices(input as usize, output as usize, false, true);
        self.spec.data.push(&indices.into_iter().map(|i| i as u16).collect::<Vec<_>>())
    }
}

/// A positive factor.
pub(crate) fn factor(real: f64) -> Requant {
    Requant::from_real(real).expect("a positive constant")
}
