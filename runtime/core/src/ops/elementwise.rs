//! Elementwise operators of two tensors that are neither a sum nor a product: quotient, extremes, squared
//! difference, rectifier with a slope per element. Shapes as in [`Add`](super::Add).

use super::binary::{Aligned, check_aligned, check_range, input_zeros, output_zero};
use super::channels::check_requant;
use super::{Io, Operands, Operator, broadcast};
use crate::error::NodeFault;
use crate::fixed;
use crate::format::DType;
use crate::isa::Isa;
use crate::quant::{Clamp, Clamp16, Requant, doubling_high_mul, rounding_shift_right};
use serde::{Deserialize, Serialize};

/// Elementwise quotient `input 0 / input 1`, int8, TensorFlow Lite semantics.
///
/// The reference leaves two results undefined: those of a quotient so small that it is shifted by more bits than
/// its type has, and those of a divisor of zero. `modular` says which of them are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Div {
    /// Factor of the quotient: scale of input 0 over the product of the other two scales.
    pub output: Requant,
    /// Fused activation.
    pub clamp: Clamp,
    /// What the reference's code gives on x86-64, where the shift counts modulo 32; for models that must keep its
    /// bytes. Else a small quotient is zero, and a divisor of zero gives the end of the activation on the side of
    /// the dividend's sign, or the output's zero point if that is zero too.
    pub modular: bool,
}

/// Elementwise minimum or maximum of stored values, int8, int16 or int32.
///
/// As in TensorFlow Lite, values are compared and copied as they are stored: for a minimum of real values all
/// three tensors have one scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MinMax {
    /// The larger of the two, else the smaller.
    pub largest: bool,
}

/// Elementwise `(input 0 − input 1)²`, int8 or int16, TensorFlow Lite semantics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SquaredDifference {
    /// Factor of each input: its scale over twice the larger of the two scales.
    pub inputs: [Requant; 2],
    /// Factor of the square.
    pub output: Requant,
    /// Bits of precision: 7 for int8, 0 for int16. At most 22 for int8 and 15 for int16.
    pub left_shift: u8,
}

/// Rectifier with a slope: `input 0` where it is not negative, else `input 0 · input 1`; input 0 and output
/// int8 or int16, slopes int8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PRelu {
    /// Factor of an input that is not negative: its scale over the output's.
    pub positive: Requant,
    /// Factor of the product of a negative input and its slope.
    pub negative: Requant,
}

impl Div {
    /// The rounded quotient in steps of the output, from dividend and divisor less their zero points.
    fn quotient(&self, x: i32, divisor: i32) -> i32 {
        if divisor == 0 && !self.modular {
            return x.signum().saturating_mul(i32::MAX);
        }
        let x = if divisor < 0 { -x } else { x };
        let (inverse, bits) = fixed::inverse(divisor.abs());
        // Sign bits that can be shifted out; at least 22, as dividends are below 2^9.
        let headroom = if x < 0 { (!x).leading_zeros() } else { x.leading_zeros() } - 1;
        let quotient = doubling_high_mul(x.wrapping_shl(headroom), inverse);
        let scaled = doubling_high_mul(quotient, self.output.multiplier);
        match headroom as i32 + bits - i32::from(self.output.shift) {
            right @ 0..=31 => rounding_shift_right(scaled, right as u32),
            right if self.modular => (scaled >> (right & 31)).wrapping_add(i32::from(scaled >= 0)),
            32.. => 0,
            left => scaled.saturating_mul(1 << -left),
        }
    }
}

impl Operator for Div {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        broadcast::check(cx, DType::I8, DType::I8)?;
        check_range(self.clamp.min, self.clamp.max)?;
        check_requant(self.output)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let ([zero_a, zero_b], zero) = (input_zeros(io), output_zero(io));
        broadcast::map(io, |a: i8, b: i8| {
            let quotient = self.quotient(i32::from(a) - zero_a, i32::from(b) - zero_b);
            self.clamp.apply(quotient.saturating_add(zero))
        })
    }
}

impl Operator for MinMax {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(2, 1)?;
        match cx.input(0).dtype {
            dtype @ (DType::I8 | DType::I16 | DType::I32) => broadcast::check(cx, dtype, dtype),
            DType::U8 | DType::F32 | DType::U16 => Err(NodeFault::DType(cx.inputs[0])),
        }
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        fn run<T: Ord + bytemuck::Pod>(io: &mut Io<'_, '_>, largest: bool) -> Option<()> {
            broadcast::map(io, |a: T, b: T| if largest { a.max(b) } else { a.min(b) })
        }
        match io.operands.input(0).dtype {
            DType::I8 => run::<i8>(io, self.largest),
            DType::I16 => run::<i16>(io, self.largest),
            _ => run::<i32>(io, self.largest),
        }
    }
}

impl Operator for SquaredDifference {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(2, 1)?;
        let limit = match cx.input(0).dtype {
            DType::I8 => 22,
            DType::I16 => 15,
            _ => return Err(NodeFault::DType(cx.inputs[0])),
        };
        broadcast::check(cx, cx.input(0).dtype, cx.input(0).dtype)?;
        check_aligned([self.inputs[0], self.inputs[1], self.output], self.left_shift, limit)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let p = Aligned { zero: input_zeros(io), factor: self.inputs, left_shift: self.left_shift };
        let (output, zero) = (self.output, output_zero(io));
        let square = |a: i32, b: i32| {
            let difference = p.apply(a, 0).wrapping_sub(p.apply(b, 1));
            output.apply(difference.wrapping_mul(difference)).wrapping_add(zero)
        };
        match io.operands.input(0).dtype {
            DType::I8 => broadcast::map(io, |a: i8, b: i8| Clamp::FULL.apply(square(a.into(), b.into()))),
            _ => broadcast::map(io, |a: i16, b: i16| Clamp16::FULL.apply(square(a.into(), b.into()))),
        }
    }
}

impl Operator for PRelu {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(2, 1)?;
        match cx.input(0).dtype {
            dtype @ (DType::I8 | DType::I16) => broadcast::check(cx, dtype, DType::I8)?,
            _ => return Err(NodeFault::DType(cx.inputs[0])),
        }
        check_requant(self.positive)?;
        check_requant(self.negative)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let ([zero_x, zero_slope], zero) = (input_zeros(io), output_zero(io));
        let rectify = |x: i32, slope: i8| {
            let x = x - zero_x;
            let scaled = match x {
                0.. => self.positive.apply(x),
                // At most 2^15 · 255.
                _ => self.negative.apply(x * (i32::from(slope) - zero_slope)),
            };
            scaled.wrapping_add(zero)
        };
        match io.operands.input(0).dtype {
            DType::I8 => broadcast::map(io, |x: i8, slope: i8| Clamp::FULL.apply(rectify(x.into(), slope))),
            _ => broadcast::map(io, |x: i16, slope: i8| Clamp16::FULL.apply(rectify(x.into(), slope))),
        }
    }
}
