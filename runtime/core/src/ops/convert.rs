//! Changes of scale and type: requantise, and quantise and dequantise at the edges of a network.

use super::channels::check_requant;
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, RescaleParams, Source};
use crate::quant::Requant;
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
