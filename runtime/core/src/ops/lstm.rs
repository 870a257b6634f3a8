//! Long short-term memory: one layer over a sequence.

use super::wide::{constants, values, values_mut};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::fixed16::SIGMOID_ENTRIES;
use crate::format::{Blob, DType, Tensor};
use crate::isa::{Isa, IsaKind, SigmoidParams, Source};
use crate::quant::Requant;
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// Gates of a cell, in the order of the weights: input, forget, cell, output.
const GATES: usize = 4;
/// Factors of a cell, see [`LstmCell::factors`].
const FACTORS: usize = 2 * GATES + 3;
/// Power of two of the scale of a gate before its function: Q3.12.
const GATE_POWER: i32 = -12;

/// Function of the cell gate; that of the other gates is logistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CellFunction {
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Logistic,
}

/// Weights and constants of a long short-term memory with `i` inputs and `u` units. Gates in the order input, forget,
/// cell, output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LstmCell {
    /// i8 `[4, u, i]`: weights of the inputs.
    pub weights: Blob,
    /// i8 `[4, u, u]`: weights of the hidden state.
    pub recurrent: Blob,
    /// `[4, u]` in units of input scale times weight scale; i32 for [`Lstm`], i64 for [`Lstm16x8`].
    pub bias: Blob,
    /// i32 `[11, 2]`, multiplier and shift: of each gate the factor of the inputs and that of the hidden state (to
    /// 2^-12), then of forget gate times cell state, input gate times cell gate (both to the scale of the cell state),
    /// output gate times the function of the cell state (to the scale of the hidden state).
    pub factors: Blob,
    /// u16, 256 entries: the sigmoid table (`fixed16::sigmoid_table`).
    pub sigmoid: Blob,
    /// Function of the cell gate.
    pub cell_gate: CellFunction,
    /// The cell state has scale `2^cell_power`; in `[-28, 2]`.
    pub cell_power: i8,
    /// Largest magnitude of the cell state, not negative.
    pub cell_clip: Option<i16>,
    /// Start every run from real zero. Otherwise the state goes on from run to run.
    pub reset: bool,
}

/// Long short-term memory (Hochreiter and Schmidhuber, 1997), int8 with a 16-bit cell state, TensorFlow Lite semantics
/// (`UNIDIRECTIONAL_SEQUENCE_LSTM` without peepholes, projection and layer normalisation).
///
/// Input `[n, 1, w, i]`: `n` sequences of `w` steps; rows may be bounded. States: hidden i8 `[n, 1, 1, u]`, cell i16
/// `[n, 1, 1, u]`. Output `[n, 1, w, u]` has scale and zero point of the hidden state. Reduction limit as in
/// [`Conv2d`](super::Conv2d).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lstm {
    /// Weights and constants.
    pub cell: LstmCell,
}

/// As [`Lstm`] with 16-bit inputs, hidden state and outputs; sums of 64 bits, at most 2^25 products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lstm16x8 {
    /// Weights and constants.
    pub cell: LstmCell,
}

/// What differs between the types of activations.
trait Activation: bytemuck::Pod {
    const DTYPE: DType;
    type Bias: bytemuck::Pod;

    /// Proves that `taps` products and a bias cannot overflow.
    fn check_sum(taps: u64, bias: Self::Bias) -> Result<(), NodeFault>;

    /// Whether a factor can be applied to a sum.
    fn is_valid(factor: Requant) -> bool;

    /// As [`Isa::project`].
    fn project<I: Isa>(
        x: &[Self],
        w: &[i8],
        zero: i32,
        bias: Option<&[Self::Bias]>,
        factor: Requant,
        out: &mut [i16],
    );

    /// `value` limited to the range of this type.
    fn saturated(value: i32) -> Self;
}

impl Activation for i8 {
    const DTYPE: DType = DType::I8;
    type Bias = i32;

    fn check_sum(taps: u64, bias: i32) -> Result<(), NodeFault> {
        const PRODUCT: u64 = 255 * 128;
        let room = (i32::MAX as u64).saturating_sub(u64::from(bias.unsigned_abs()));
        within(taps, room / PRODUCT)
    }

    fn is_valid(factor: Requant) -> bool {
        factor.is_valid()
    }

    #[inline(always)]
    fn project<I: Isa>(
        x: &[i8],
        w: &[i8],
        zero: i32,
        bias: Option<&[i32]>,
        factor: Requant,
        out: &mut [i16],
    ) {
        I::project(x, w, zero, bias, factor, out);
    }

    #[inline(always)]
    fn saturated(value: i32) -> i8 {
        value.clamp(i32::from(i8::MIN), i32::from(i8::MAX)) as i8
    }
}

impl Activation for i16 {
    const DTYPE: DType = DType::I16;
    type Bias = i64;

    fn check_sum(taps: u64, bias: i64) -> Result<(), NodeFault> {
        // The rule for 64-bit sums holds below 2^47; a product is at most 2^15 * 2^7.
        let room = (1u64 << 47).saturating_sub(bias.unsigned_abs());
        within(taps, room >> 22)
    }

    fn is_valid(factor: Requant) -> bool {
        factor.is_valid_wide()
    }

    #[inline(always)]
    fn project<I: Isa>(x: &[i16], w: &[i8], _: i32, bias: Option<&[i64]>, factor: Requant, out: &mut [i16]) {
        for (n, (w, out)) in w.chunks_exact(x.len()).zip(out).enumerate() {
            let sum = bias.map_or(0, |bias| bias[n]).wrapping_add(I::dot16(x, w, 0));
            let value = saturated16(factor.apply_wide(sum));
            *out = if bias.is_some() { value } else { out.saturating_add(value) };
        }
    }

    #[inline(always)]
    fn saturated(value: i32) -> i16 {
        saturated16(value)
    }
}

/// The argument of the functions, in 1/12,288, of a value with scale `2^power`: three times the value, shifted. The power
/// is at most 2, so nothing overflows.
fn argument(power: i32) -> SigmoidParams {
    let left = power - GATE_POWER;
    if left >= 0 {
        SigmoidParams { multiplier: 3 << left, shift: 0 }
    } else {
        SigmoidParams { multiplier: 3, shift: left.unsigned_abs() }
    }
}

fn within(found: u64, limit: u64) -> Result<(), NodeFault> {
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    if found > limit {
        return Err(NodeFault::Reduction { found: narrow(found), limit: narrow(limit) });
    }
    Ok(())
}

#[inline(always)]
fn saturated16(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// The constants of a cell as slices.
struct Constants<'a, B> {
    weights: &'a [i8],
    recurrent: &'a [i8],
    bias: &'a [B],
    factors: &'a [[i32; 2]],
    sigmoid: &'a [u16; SIGMOID_ENTRIES],
}

impl<B> Constants<'_, B> {
    #[inline(always)]
    fn factor(&self, index: usize) -> Requant {
        let [multiplier, shift] = self.factors[index];
        Requant { multiplier, shift: shift as i8 }
    }
}

impl LstmCell {
    fn constants<'a, B: bytemuck::Pod>(
        &self,
        cx: &Operands<'a>,
        inputs: u64,
        units: u64,
    ) -> Result<Constants<'a, B>, NodeFault> {
        let gates = GATES as u64 * units;
        let fault = NodeFault::Constant { offset: self.sigmoid.0, len: 2 * SIGMOID_ENTRIES as u32 };
        Ok(Constants {
            weights: constants(cx, self.weights, gates.saturating_mul(inputs))?,
            recurrent: constants(cx, self.recurrent, gates.saturating_mul(units))?,
            bias: constants(cx, self.bias, gates)?,
            factors: constants(cx, self.factors, FACTORS as u64)?,
            sigmoid: constants(cx, self.sigmoid, SIGMOID_ENTRIES as u64)?.first_chunk().ok_or(fault)?,
        })
    }

    fn check<A: Activation>(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(3, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, A::DTYPE)?;
        let hidden = cx.typed(1, A::DTYPE)?;
        let cell = cx.typed(2, DType::I16)?;
        let units = hidden.shape.c;
        if input.shape.h != 1 {
            return Err(NodeFault::InputShape(input.shape));
        }
        for (at, state) in [(1, hidden), (2, cell)] {
            if state.shape != Shape::new(input.shape.n, 1, 1, units) {
                return Err(NodeFault::InputShape(state.shape));
            }
            if state.rows.is_some() {
                return Err(NodeFault::Rows(cx.inputs[at]));
            }
        }
        cx.expect(0, A::DTYPE, input.shape.with_c(units))?;
        cx.same_quantisation(1)?;
        if !(-28..=2).contains(&self.cell_power) || self.cell_clip.is_some_and(|clip| clip < 0) {
            return Err(NodeFault::Attribute);
        }
        let p = self.constants::<A::Bias>(cx, u64::from(input.shape.c), u64::from(units))?;
        for (channel, &[_, shift]) in p.factors.iter().enumerate() {
            let factor = p.factor(channel);
            // The last three factors apply to products of two 16-bit values.
            let valid = if channel < 2 * GATES { A::is_valid(factor) } else { factor.is_valid() };
            if !valid || i32::from(factor.shift) != shift {
                return Err(NodeFault::Requant { channel: channel as u32 });
            }
        }
        A::check_sum(u64::from(units), bytemuck::Zeroable::zeroed())?;
        p.bias.iter().try_for_each(|&bias| A::check_sum(u64::from(input.shape.c), bias))
    }

    fn run<A: Activation, I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, hidden) = (*io.operands.input(0), *io.operands.input(1));
        let (inputs, units) = (input.shape.c as usize, hidden.shape.c as usize);
        let steps = io.input_shape(0).w as usize;
        let p = self.constants::<A::Bias>(&io.operands, inputs as u64, units as u64).ok()?;
        let views = io.stateful_views(1)?;
        let x: &[A] = values(views.inputs[0])?;
        let [hidden_bytes, cell_bytes] = views.states;
        let h: &mut [A] = values_mut(hidden_bytes)?;
        let c: &mut [i16] = values_mut(cell_bytes)?;
        let [y, _] = views.outputs;
        let y: &mut [A] = values_mut(y)?;
        let gates: &mut [i16] = values_mut(views.scratch)?;
        let gates = gates.get_mut(..GATES * units)?;
        if self.reset {
            h.fill(A::saturated(i32::from(hidden.quant.zero_point)));
            c.fill(0);
        }
        let zeros = [i32::from(input.quant.zero_point), i32::from(hidden.quant.zero_point)];
        for (n, (h, c)) in h.chunks_exact_mut(units).zip(c.chunks_exact_mut(units)).enumerate() {
            for step in n * steps..(n + 1) * steps {
                let x = x.get(step * inputs..(step + 1) * inputs)?;
                self.gates::<A, I>(&p, x, h, zeros, gates)?;
                self.update::<A, I>(&p, gates, zeros[1], h, c)?;
                y.get_mut(step * units..(step + 1) * units)?.copy_from_slice(h);
            }
        }
        Some(())
    }

    /// All gates of one step, in Q0.15, gate after gate.
    fn gates<A: Activation, I: Isa>(
        &self,
        p: &Constants<'_, A::Bias>,
        x: &[A],
        h: &[A],
        zeros: [i32; 2],
        gates: &mut [i16],
    ) -> Option<()> {
        let units = h.len();
        let weights = p.weights.chunks_exact(x.len() * units).zip(p.recurrent.chunks_exact(units * units));
        let rows = weights.zip(p.bias.chunks_exact(units)).zip(gates.chunks_exact_mut(units));
        let scale = argument(GATE_POWER);
        for (gate, (((w, r), bias), out)) in rows.enumerate() {
            A::project::<I>(x, w, zeros[0], Some(bias), p.factor(2 * gate), out);
            A::project::<I>(h, r, zeros[1], None, p.factor(2 * gate + 1), out);
            if gate == 2 && self.cell_gate == CellFunction::Tanh {
                I::tanh16(&scale, p.sigmoid, Source::InPlace, out);
            } else {
                I::logistic16(&scale, p.sigmoid, Source::InPlace, out);
            }
        }
        Some(())
    }

    /// Cell and hidden state after a step with these gates, of which the third is overwritten.
    fn update<A: Activation, I: Isa>(
        &self,
        p: &Constants<'_, A::Bias>,
        gates: &mut [i16],
        zero: i32,
        h: &mut [A],
        c: &mut [i16],
    ) -> Option<()> {
        let units = h.len();
        let (input, rest) = gates.split_at_mut_checked(units)?;
        let (forget, rest) = rest.split_at_mut_checked(units)?;
        let (candidate, output) = rest.split_at_mut_checked(units)?;
        let [keep, take, give] = [8, 9, 10].map(|index| p.factor(index));
        let scaled = |factor: Requant, a: i16, b: i16| factor.apply(i32::from(a) * i32::from(b));
        let gates = input.iter().zip(&*forget).zip(&*candidate);
        for (((&i, &f), &g), c) in gates.zip(c.iter_mut()) {
            let kept = saturated16(scaled(keep, f, *c));
            let sum = kept.saturating_add(saturated16(scaled(take, i, g)));
            *c = self.cell_clip.map_or(sum, |clip| sum.clamp(-clip, clip));
        }
        I::tanh16(&argument(self.cell_power.into()), p.sigmoid, Source::From(c), candidate);
        for ((h, &squashed), &o) in h.iter_mut().zip(&*candidate).zip(&*output) {
            *h = A::saturated(scaled(give, squashed, o).wrapping_add(zero));
        }
        Some(())
    }
}

fn scratch(cx: &Operands<'_>) -> u64 {
    let hidden: &Tensor = cx.input(1);
    (GATES * size_of::<i16>()) as u64 * u64::from(hidden.shape.c)
}

macro_rules! lstm {
    ($name:ident, $activation:ty) => {
        impl Operator for $name {
            const STATES: usize = 2;

            #[cfg(feature = "encode")]
            fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
                let cell = &mut self.cell;
                let weights = [&mut cell.weights, &mut cell.recurrent];
                let constants = [&mut cell.bias, &mut cell.factors, &mut cell.sigmoid];
                weights.into_iter().chain(constants).collect()
            }

            fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
                self.cell.check::<$activation>(cx)
            }

            fn scratch(&self, cx: &Operands<'_>, _: IsaKind) -> u64 {
                scratch(cx)
            }

            fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
                self.cell.run::<$activation, I>(io)
            }
        }
    };
}

lstm!(Lstm, i8);
lstm!(Lstm16x8, i16);
