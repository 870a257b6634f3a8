//! Depthwise convolution.

use super::window::im2col;
use super::{Filter, Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, IsaKind};
use crate::shape::Window;
use serde::{Deserialize, Serialize};

/// Depthwise 2-D convolution, int8, TensorFlow Lite semantics.
///
/// Input `[n, h, w, i]`, weights `[kernel_h, kernel_w, i * multiplier]`, output `[n, h', w', i * multiplier]`;
/// output channel `o` reads input channel `o / multiplier`. Padding counts as the input's zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DepthwiseConv2d {
    /// Window with resolved padding.
    pub window: Window,
    /// Weights and per-channel constants.
    pub filter: Filter,
    /// Output channels per input channel, at least 1.
    pub multiplier: u16,
}

impl Operator for DepthwiseConv2d {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.typed(0, DType::I8)?;
        let (h, w) = self.window.output(input.shape.h, input.shape.w).ok_or(NodeFault::Window)?;
        let channels = input.shape.c.checked_mul(u32::from(self.multiplier)).ok_or(NodeFault::Attribute)?;
        cx.expect(0, DType::I8, input.shape.with_hw(h, w).with_c(channels))?;
        let taps = self.window.taps() as u64;
        self.filter.check(cx, channels, taps.saturating_mul(u64::from(channels)), taps)
    }

    fn scratch(&self, cx: &Operands<'_>, _: IsaKind) -> u64 {
        self.window.taps() as u64 * u64::from(cx.input(0).shape.c)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let zeros = (io.operands.input(0).quant.zero_point, io.operands.output(0).quant.zero_point);
        let taps = self.window.taps();
        let weights = taps as u64 * u64::from(out_shape.c);
        let p = self.filter.reduction(&io.operands, out_shape.c, weights, zeros.0, zeros.1).ok()?;
        let views = io.views()?;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let [y, _] = views.outputs;
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        let scratch: &mut [i8] = bytemuck::cast_slice_mut(views.scratch);
        let patch = scratch.get_mut(..taps * shape.c as usize)?;
        let image_len = shape.elements() / shape.n as usize;
        let out_len = out_shape.elements() / out_shape.n as usize;
        let width = out_shape.w as usize;
        for (image, out) in x.chunks_exact(image_len).zip(y.chunks_exact_mut(out_len)) {
            for (pixel, out) in out.chunks_exact_mut(out_shape.c as usize).enumerate() {
                im2col(&self.window, &shape, image, (pixel / width, pixel % width), zeros.0 as i8, patch);
                I::depthwise(&p, shape.c as usize, patch, out);
            }
        }
        Some(())
    }
}
