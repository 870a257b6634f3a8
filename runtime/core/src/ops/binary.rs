//! Elementwise sum, difference and product of two tensors, either of which may be broadcast.

use super::channels::check_requant;
use super::{Io, Operands, Operator, broadcast};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, ProductParams, SumParams};
use crate::quant::{Clamp, Clamp16, Requant};
use serde::{Deserialize, Serialize};

/// Elementwise sum, int8, TensorFlow Lite semantics.
///
/// Each axis of an operand has the size of the other's, or 1 (broadcast); the output has the larger size. Each
/// input is shifted left by `left_shift`, scaled, summed in 32 bits, scaled to the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Add {
    /// Factor of each input: its scale over twice the larger of the two scales.
    pub inputs: [Requant; 2],
    /// Factor of the sum.
    pub output: Requant,
    /// Bits of precision for the sum; 20 for int8. At most 22, so that an input cannot overflow.
    pub left_shift: u8,
    /// Fused activation.
    pub clamp: Clamp,
}

/// Elementwise product, int8, TensorFlow Lite semantics; shapes as in [`Add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mul {
    /// Factor of the product: input scales multiplied, over the output scale.
    pub output: Requant,
    /// Fused activation.
    pub clamp: Clamp,
}

/// Elementwise difference `input 0 − input 1`, int8; attributes and shapes as in [`Add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sub {
    /// Factor of each input: its scale over twice the larger of the two scales.
    pub inputs: [Requant; 2],
    /// Factor of the difference.
    pub output: Requant,
    /// Bits of precision; 20 for int8, at most 22.
    pub left_shift: u8,
    /// Fused activation.
    pub clamp: Clamp,
}

/// Elementwise sum, int16; shapes as in [`Add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Add16 {
    /// Factor of each input: its scale over twice the larger of the two scales.
    pub inputs: [Requant; 2],
    /// Factor of the sum.
    pub output: Requant,
    /// Bits of precision; 15 for int16, and no more, so that an input cannot overflow.
    pub left_shift: u8,
    /// Fused activation.
    pub clamp: Clamp16,
}

/// Elementwise difference `input 0 − input 1`, int16; attributes as in [`Add16`], shapes as in [`Add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sub16 {
    /// Factor of each input: its scale over twice the larger of the two scales.
    pub inputs: [Requant; 2],
    /// Factor of the difference.
    pub output: Requant,
    /// Bits of precision; 15 for int16, and no more.
    pub left_shift: u8,
    /// Fused activation.
    pub clamp: Clamp16,
}

/// Elementwise product, int16; shapes as in [`Add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mul16 {
    /// Factor of the product: input scales multiplied, over the output scale.
    pub output: Requant,
    /// Fused activation.
    pub clamp: Clamp16,
}

/// Zero points of the inputs.
pub(super) fn input_zeros(io: &Io<'_, '_>) -> [i32; 2] {
    [0, 1].map(|i| i32::from(io.operands.input(i).quant.zero_point))
}

/// Zero point of the output.
pub(super) fn output_zero(io: &Io<'_, '_>) -> i32 {
    i32::from(io.operands.output(0).quant.zero_point)
}

/// Two operands on one scale: each less its zero point, shifted left for precision, times its factor.
#[derive(Clone, Copy)]
pub(super) struct Aligned {
    pub(super) zero: [i32; 2],
    pub(super) factor: [Requant; 2],
    pub(super) left_shift: u8,
}

impl Aligned {
    #[inline(always)]
    pub(super) fn apply(&self, x: impl Into<i32>, operand: usize) -> i32 {
        let shifted = (x.into() - self.zero[operand]).wrapping_shl(u32::from(self.left_shift));
        self.factor[operand].apply(shifted)
    }
}

/// Requires factors in range and a shift of at most `limit`.
pub(super) fn check_aligned(factors: [Requant; 3], left_shift: u8, limit: u8) -> Result<(), NodeFault> {
    factors.into_iter().try_for_each(check_requant)?;
    if left_shift > limit { Err(NodeFault::Attribute) } else { Ok(()) }
}

/// Requires a range that is not empty.
pub(super) fn check_range<T: PartialOrd>(min: T, max: T) -> Result<(), NodeFault> {
    if min > max { Err(NodeFault::Attribute) } else { Ok(()) }
}

/// Most bits by which an int8 operand may be shifted left: 255 · 2^22 fits 32 bits.
const SHIFT_LIMIT: u8 = 22;
/// Most bits by which an int16 operand may be shifted left: its zero point is 0.
const SHIFT_LIMIT_16: u8 = 15;

/// Requires the attributes of a sum to be in range.
pub(super) fn check_sum(add: &Add) -> Result<(), NodeFault> {
    check_range(add.clamp.min, add.clamp.max)?;
    check_aligned([add.inputs[0], add.inputs[1], add.output], add.left_shift, SHIFT_LIMIT)
}

impl Operator for Add {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        broadcast::check(cx, DType::I8, DType::I8)?;
        check_sum(self)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let p = SumParams {
            zero: input_zeros(io),
            scale: self.inputs,
            left_shift: u32::from(self.left_shift),
            output: self.output,
            output_zero: output_zero(io),
            clamp: self.clamp,
        };
        broadcast::rows(io, |a, b, out| I::add(&p, a, b, out))
    }
}

impl Operator for Mul {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        broadcast::check(cx, DType::I8, DType::I8)?;
        check_range(self.clamp.min, self.clamp.max)?;
        check_requant(self.output)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let p = ProductParams {
            zero: input_zeros(io),
            output: self.output,
            output_zero: output_zero(io),
            clamp: self.clamp,
        };
        broadcast::rows(io, |a, b, out| I::mul(&p, a, b, out))
    }
}

impl Operator for Sub {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        broadcast::check(cx, DType::I8, DType::I8)?;
        check_range(self.clamp.min, self.clamp.max)?;
        check_aligned([self.inputs[0], self.inputs[1], self.output], self.left_shift, SHIFT_LIMIT)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let p = Aligned { zero: input_zeros(io), factor: self.inputs, left_shift: self.left_shift };
        let (output, zero, clamp) = (self.output, output_zero(io), self.clamp);
        broadcast::map(io, |a: i8, b: i8| {
            let difference = p.apply(a, 0).wrapping_sub(p.apply(b, 1));
            clamp.apply(output.apply(difference).wrapping_add(zero))
        })
    }
}

/// Proves a sum or difference of two int16 tensors.
fn check_aligned16(
    cx: &Operands<'_>,
    factors: [Requant; 3],
    left_shift: u8,
    clamp: Clamp16,
) -> Result<(), NodeFault> {
    broadcast::check(cx, DType::I16, DType::I16)?;
    check_range(clamp.min, clamp.max)?;
    check_aligned(factors, left_shift, SHIFT_LIMIT_16)
}

impl Operator for Add16 {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check_aligned16(cx, [self.inputs[0], self.inputs[1], self.output], self.left_shift, self.clamp)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let p = Aligned { zero: [0; 2], factor: self.inputs, left_shift: self.left_shift };
        let (output, clamp) = (self.output, self.clamp);
        broadcast::map(io, |a: i16, b: i16| {
            clamp.apply(output.apply(p.apply(a, 0).wrapping_add(p.apply(b, 1))))
        })
    }
}

impl Operator for Sub16 {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check_aligned16(cx, [self.inputs[0], self.inputs[1], self.output], self.left_shift, self.clamp)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let p = Aligned { zero: [0; 2], factor: self.inputs, left_shift: self.left_shift };
        let (output, clamp) = (self.output, self.clamp);
        broadcast::map(io, |a: i16, b: i16| {
            clamp.apply(output.apply(p.apply(a, 0).wrapping_sub(p.apply(b, 1))))
        })
    }
}

impl Operator for Mul16 {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        broadcast::check(cx, DType::I16, DType::I16)?;
        check_range(self.clamp.min, self.clamp.max)?;
        check_requant(self.output)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (output, clamp) = (self.output, self.clamp);
        broadcast::map(io, |a: i16, b: i16| clamp.apply(output.apply(i32::from(a) * i32::from(b))))
    }
}
