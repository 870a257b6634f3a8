//! Pools of 16-bit values.

use super::pool::{for_each_window, pooled};
use super::wide::{words, words_mut};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, IsaKind};
use crate::quant::Clamp16;
use crate::shape::Window;
use serde::{Deserialize, Serialize};

/// Maximum pool of 16-bit values, TensorFlow Lite semantics: padding never wins.
///
/// Input `[n, h, w, c]`, output `[n, h', w', c]`, both with the same scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MaxPool2d16 {
    /// Window with resolved padding.
    pub window: Window,
    /// Fused activation.
    pub clamp: Clamp16,
}

/// Average pool of 16-bit values, TensorFlow Lite semantics: padding is not counted, the quotient is rounded
/// half away from zero.
///
/// Input `[n, h, w, c]`, output `[n, h', w', c]`, both with the same scale. A window has at most 2^15 taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AveragePool2d16 {
    /// Window with resolved padding.
    pub window: Window,
    /// Fused activation.
    pub clamp: Clamp16,
}

fn check(cx: &Operands<'_>, window: &Window, clamp: Clamp16) -> Result<(), NodeFault> {
    pooled(cx, window, DType::I16, 1)?;
    if clamp.min > clamp.max { Err(NodeFault::Attribute) } else { Ok(()) }
}

impl Operator for MaxPool2d16 {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check(cx, &self.window, self.clamp)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let c = shape.c as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let y = words_mut(y)?;
        for_each_window(&self.window, &shape, &out_shape, words(views.inputs[0])?, |index, rows| {
            let out = &mut y[index * c..][..c];
            out.fill(i16::MIN);
            rows.for_each(|(_, row)| I::max16(row, out));
            out.iter_mut().for_each(|y| *y = self.clamp.apply(i32::from(*y)));
        });
        Some(())
    }
}

impl Operator for AveragePool2d16 {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check(cx, &self.window, self.clamp)?;
        // The sum and the rounding term stay below 2^31.
        if self.window.taps() > 1 << 15 { Err(NodeFault::Attribute) } else { Ok(()) }
    }

    fn scratch(&self, cx: &Operands<'_>, _: IsaKind) -> u64 {
        4 * u64::from(cx.input(0).shape.c)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let c = shape.c as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let y = words_mut(y)?;
        let sums: &mut [i32] = bytemuck::try_cast_slice_mut(views.scratch.get_mut(..4 * c)?).ok()?;
        for_each_window(&self.window, &shape, &out_shape, words(views.inputs[0])?, |index, rows| {
            sums.fill(0);
            let mut count = 0;
            rows.for_each(|(_, row)| {
                I::accumulate16(row, sums);
                count += 1;
            });
            let half = count / 2;
            for (y, &sum) in y[index * c..][..c].iter_mut().zip(&*sums) {
                *y = self.clamp.apply((if sum > 0 { sum + half } else { sum - half }) / count);
            }
        });
        Some(())
    }
}
