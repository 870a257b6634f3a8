//! Changes of scale and type: requantise, and quantise and dequantise at the edges of a network.

use super::channels::check_requant;
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, RescaleParams, Source};
use crate::quant::{Clamp16, Requant};
use serde::{Deserialize, Serialize};

/// int8 to int8 with another scale and zero point, elementwise; rows may be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Requantize {
    /// Input scale over output scale.
    pub scale: Requant,
}

/// f32 to int8 with the output's scale and zero point, half away from zero, saturated; NaN gives zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Quantize {}

/// int8 to f32 with the input's scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dequantize {}

fn check(cx: &Operands<'_>, from: DType, to: DType) -> Result<(), NodeFault> {
    cx.arity(1, 1)?;
    cx.rows_follow()?;
    let input = cx.typed(0, from)?;
    cx.expect(0, to, input.shape).map(|_| ())
}

impl Operator for Requantize {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check(cx, DType::I8, DType::I8)?;
        check_requant(self.scale)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let p = RescaleParams {
            input_zero: i32::from(io.operands.input(0).quant.zero_point),
            scale: self.scale,
            output_zero: i32::from(io.operands.output(0).quant.zero_point),
        };
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x = bytemuck::cast_slice(views.inputs[0]);
        let source = if views.in_place { Source::InPlace } else { Source::From(x) };
        I::rescale(&p, source, bytemuck::cast_slice_mut(y));
        Some(())
    }
}

impl Operator for Quantize {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check(cx, DType::F32, DType::I8)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let quant = io.operands.output(0).quant;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x: &[f32] = bytemuck::try_cast_slice(views.inputs[0]).ok()?;
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = quant.quantize(x) as u8);
        Some(())
    }
}

impl Operator for Dequantize {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check(cx, DType::I8, DType::F32)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let quant = io.operands.input(0).quant;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let y: &mut [f32] = bytemuck::try_cast_slice_mut(y).ok()?;
        y.iter_mut().zip(views.inputs[0]).for_each(|(y, &x)| *y = quant.dequantize(x as i8));
        Some(())
    }
}

/// Any change of scale and type: from i8, u8, i16, i32 or f32 to any of them but f32 to f32, elementwise; rows
/// may be bounded.
///
/// Between integers the input less its zero point is scaled and saturated. Real numbers are quantised with the
/// output's scale and zero point, integers are dequantised with the input's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Convert {
    /// Input scale over output scale; of use between integers only.
    pub scale: Requant,
    /// Real numbers are rounded toward zero, as a cast does, instead of half away from zero.
    pub truncate: bool,
}

/// The integers of a tensor.
enum Integers<'a> {
    I8(&'a [i8]),
    U8(&'a [u8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
}

impl<'a> Integers<'a> {
    fn of(dtype: DType, bytes: &'a [u8]) -> Option<Self> {
        Some(match dtype {
            DType::I8 => Self::I8(bytemuck::cast_slice(bytes)),
            DType::U8 => Self::U8(bytes),
            DType::I16 => Self::I16(bytemuck::try_cast_slice(bytes).ok()?),
            DType::I32 => Self::I32(bytemuck::try_cast_slice(bytes).ok()?),
            DType::F32 | DType::U16 => return None,
        })
    }

    /// Element `i`; the caller stays within the tensor.
    fn at(&self, i: usize) -> i32 {
        match self {
            Self::I8(x) => x.get(i).map_or(0, |&x| i32::from(x)),
            Self::U8(x) => x.get(i).map_or(0, |&x| i32::from(x)),
            Self::I16(x) => x.get(i).map_or(0, |&x| i32::from(x)),
            Self::I32(x) => x.get(i).copied().unwrap_or(0),
        }
    }
}

/// Stores `value(i)`, saturated, in every element of an integer tensor.
fn store(dtype: DType, bytes: &mut [u8], value: impl Fn(usize) -> i32) -> Option<()> {
    match dtype {
        DType::I8 => bytes.iter_mut().enumerate().for_each(|(i, y)| *y = value(i).clamp(-128, 127) as u8),
        DType::U8 => bytes.iter_mut().enumerate().for_each(|(i, y)| *y = value(i).clamp(0, 255) as u8),
        DType::I16 => {
            let y: &mut [i16] = bytemuck::try_cast_slice_mut(bytes).ok()?;
            y.iter_mut().enumerate().for_each(|(i, y)| *y = Clamp16::FULL.apply(value(i)));
        }
        DType::I32 => {
            let y: &mut [i32] = bytemuck::try_cast_slice_mut(bytes).ok()?;
            y.iter_mut().enumerate().for_each(|(i, y)| *y = value(i));
        }
        DType::F32 | DType::U16 => return None,
    }
    Some(())
}

impl Operator for Convert {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let (input, to) = (cx.input(0), cx.output(0).dtype);
        if (input.dtype, to) == (DType::F32, DType::F32) {
            return Err(NodeFault::DType(cx.outputs[0]));
        }
        cx.expect(0, to, input.shape)?;
        check_requant(self.scale)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, output) = (io.operands.input(0), io.operands.output(0));
        let (from, to) = (input.quant, output.quant);
        let (from_zero, to_zero) = (i32::from(from.zero_point), i32::from(to.zero_point));
        let views = io.views()?;
        let ([x, _], [y, _]) = (views.inputs, views.outputs);
        if input.dtype == DType::F32 {
            let x: &[f32] = bytemuck::try_cast_slice(x).ok()?;
            let round = if self.truncate { libm::truncf } else { libm::roundf };
            return store(output.dtype, y, |i| {
                // `as` saturates and maps NaN to 0.
                let steps = round(x.get(i).map_or(0.0, |x| x / to.scale)) as i32;
                steps.saturating_add(to_zero)
            });
        }
        let x = Integers::of(input.dtype, x)?;
        if output.dtype == DType::F32 {
            let y: &mut [f32] = bytemuck::try_cast_slice_mut(y).ok()?;
            y.iter_mut().enumerate().for_each(|(i, y)| *y = from.scale * (x.at(i) - from_zero) as f32);
            return Some(());
        }
        store(output.dtype, y, |i| self.scale.apply(x.at(i) - from_zero).wrapping_add(to_zero))
    }
}
