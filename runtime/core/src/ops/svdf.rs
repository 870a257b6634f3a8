//! Singular value decomposition filter: a layer whose filters look back in time.

use super::channels::check_requant;
use super::wide::{constants, values, values_mut};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::{Blob, DType};
use crate::isa::Isa;
use crate::quant::{Clamp, Requant};
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// Singular value decomposition filter, int8, TensorFlow Lite semantics.
///
/// Each of `f` filters projects a step of `i` inputs to one number, keeps the last `m` of them and weighs them in time;
/// `rank` filters make a unit. Input `[n, 1, w, i]`: `n` sequences of `w` steps; rows may be bounded. State
/// `[n, 1, f, m]`, newest last, i16 or i8. Output `[n, 1, w, f / rank]`. The reduction over inputs is limited as in
/// [`Conv2d`](super::Conv2d); the sum over time wraps in 32 bits.
///
/// (Nakkiran et al., 2015, "Compressing Deep Neural Networks using a Rank-Constrained Topology".)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Svdf {
    /// i8 `[f, i]`: weights of the inputs.
    pub features: Blob,
    /// `[f, m]`, of the type of the state: weights in time, oldest first.
    pub time: Blob,
    /// i32 `[f / rank]` in units of state scale times time weight scale.
    pub bias: Blob,
    /// Filters of a unit.
    pub rank: u16,
    /// Factor of a projection: input scale times weight scale, over the scale of the state.
    pub state: Requant,
    /// Factor of the sum over time: state scale times weight scale, over the scale of the output.
    pub output: Requant,
    /// Fused activation.
    pub clamp: Clamp,
}

/// Constants and sizes of a run.
struct Layer<'a> {
    features: &'a [i8],
    bias: &'a [i32],
    inputs: usize,
    memory: usize,
    rank: usize,
    input_zero: i32,
    state_zero: i32,
    output_zero: i32,
}

/// An element of the state.
trait Element: bytemuck::Pod {
    fn value(self) -> i32;
    /// `value` limited to the type, then the zero point, which wraps: so does the reference.
    fn stored(value: i32, zero: i32) -> Self;
}

macro_rules! element {
    ($t:ty) => {
        impl Element for $t {
            #[inline(always)]
            fn value(self) -> i32 {
                i32::from(self)
            }

            #[inline(always)]
            fn stored(value: i32, zero: i32) -> Self {
                value.clamp(i32::from(Self::MIN), i32::from(Self::MAX)).wrapping_add(zero) as Self
            }
        }
    };
}

element!(i8);
element!(i16);

impl Svdf {
    fn run_as<E: Element, I: Isa>(
        &self,
        p: &Layer<'_>,
        time: &[E],
        x: &[i8],
        state: &mut [E],
        y: &mut [i8],
    ) -> Option<()> {
        let per_step = p.bias.len();
        let filters = per_step * p.rank;
        let sequences = (state.len() / (filters * p.memory)).max(1);
        let (x_len, y_len) = (x.len() / sequences, y.len() / sequences);
        let unit = p.rank * p.memory;
        for (n, state) in state.chunks_exact_mut(filters * p.memory).enumerate() {
            let x = x.get(n * x_len..(n + 1) * x_len)?;
            let y = y.get_mut(n * y_len..(n + 1) * y_len)?;
            for (x, y) in x.chunks_exact(p.inputs).zip(y.chunks_exact_mut(per_step)) {
                let features = p.features.chunks_exact(p.inputs * p.rank);
                let units = state.chunks_exact_mut(unit).zip(time.chunks_exact(unit)).zip(features);
                for (((state, time), features), (&bias, out)) in units.zip(p.bias.iter().zip(y)) {
                    let filters = state.chunks_exact_mut(p.memory).zip(time.chunks_exact(p.memory));
                    let mut sum = bias;
                    for ((past, weights), w) in filters.zip(features.chunks_exact(p.inputs)) {
                        let projected = self.state.apply(I::dot(x, w, p.input_zero, 0));
                        past.copy_within(1.., 0);
                        *past.last_mut()? = E::stored(projected, p.state_zero);
                        for (&q, &w) in past.iter().zip(weights) {
                            sum = sum.wrapping_add(w.value().wrapping_mul(q.value() - p.state_zero));
                        }
                    }
                    *out = self.clamp.apply(self.output.apply(sum).wrapping_add(p.output_zero));
                }
            }
        }
        Some(())
    }
}

impl Operator for Svdf {
    const STATES: usize = 1;

    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.features, &mut self.time, &mut self.bias]
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(2, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I8)?;
        let state = cx.input(1);
        if !matches!(state.dtype, DType::I8 | DType::I16) {
            return Err(NodeFault::DType(cx.inputs[1]));
        }
        if input.shape.h != 1 {
            return Err(NodeFault::InputShape(input.shape));
        }
        let Shape { w: filters, c: memory, .. } = state.shape;
        if self.rank == 0 || !filters.is_multiple_of(u32::from(self.rank)) || self.clamp.min > self.clamp.max
        {
            return Err(NodeFault::Attribute);
        }
        if state.shape != Shape::new(input.shape.n, 1, filters, memory) {
            return Err(NodeFault::InputShape(state.shape));
        }
        if state.rows.is_some() {
            return Err(NodeFault::Rows(cx.inputs[1]));
        }
        let units = filters / u32::from(self.rank);
        cx.expect(0, DType::I8, input.shape.with_c(units))?;
        check_requant(self.state)?;
        check_requant(self.output)?;
        let limit = i32::MAX as u32 / (255 * 128);
        if input.shape.c > limit {
            return Err(NodeFault::Reduction { found: input.shape.c, limit });
        }
        let filters = u64::from(filters);
        cx.constant(self.features, filters * u64::from(input.shape.c))?;
        cx.constant(self.time, filters * u64::from(memory) * u64::from(state.dtype.size()))?;
        constants::<i32>(cx, self.bias, u64::from(units)).map(|_| ())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, state, output) = (*io.operands.input(0), *io.operands.input(1), *io.operands.output(0));
        let (filters, inputs) = (u64::from(state.shape.w), u64::from(input.shape.c));
        let features = io.operands.constant(self.features, filters * inputs).ok()?;
        let times = filters * u64::from(state.shape.c) * u64::from(state.dtype.size());
        let time = io.operands.constant(self.time, times).ok()?;
        let p = Layer {
            features: bytemuck::cast_slice(features),
            bias: constants(&io.operands, self.bias, u64::from(output.shape.c)).ok()?,
            inputs: input.shape.c as usize,
            memory: state.shape.c as usize,
            rank: usize::from(self.rank),
            input_zero: i32::from(input.quant.zero_point),
            state_zero: i32::from(state.quant.zero_point),
            output_zero: i32::from(output.quant.zero_point),
        };
        let views = io.stateful_views(1)?;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let ([s, _], [y, _]) = (views.states, views.outputs);
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        if state.dtype == DType::I16 {
            self.run_as::<i16, I>(&p, values(time)?, x, values_mut(s)?, y)
        } else {
            self.run_as::<i8, I>(&p, values(time)?, x, values_mut(s)?, y)
        }
    }
}
