//! Maximum unpool: the inverse of the pool with indices (SegNet's decoder).

use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::Isa;
use crate::shape::Window;
use serde::{Deserialize, Serialize};

/// Maximum unpool (Badrinarayanan, Kendall and Cipolla 2017, section 3).
///
/// Inputs: int8 values `[n, h, w, c]` and u8 positions of the same shape, as made by
/// [`MaxPool2dWithIndices`](super::MaxPool2dWithIndices) with the same window; output
/// `[n, output_h, output_w, c]` with the scale and zero point of the values, real zero wherever no value
/// lands. Windows may not overlap (stride at least the dilated kernel). A position that is not inside the
/// window, or lies in the padding, is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MaxUnpool2d {
    /// Window of the pool.
    pub window: Window,
    /// Height of the pool's input.
    pub output_h: u32,
    /// Width of the pool's input.
    pub output_w: u32,
}

impl Operator for MaxUnpool2d {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(2, 1)?;
        cx.fixed_rows()?;
        let input = cx.typed(0, DType::I8)?;
        let positions = cx.typed(1, DType::U8)?;
        if positions.shape != input.shape {
            return Err(NodeFault::InputShape(positions.shape));
        }
        let w = &self.window;
        let pooled = w.output(self.output_h, self.output_w).ok_or(NodeFault::Window)?;
        if pooled != (input.shape.h, input.shape.w) {
            return Err(NodeFault::InputShape(input.shape));
        }
        let extent = |kernel: u16, dilation: u16| (u32::from(kernel) - 1) * u32::from(dilation) + 1;
        if extent(w.kernel_h, w.dilation_h) > u32::from(w.stride_h)
            || extent(w.kernel_w, w.dilation_w) > u32::from(w.stride_w)
        {
            return Err(NodeFault::Attribute);
        }
        cx.expect(0, DType::I8, input.shape.with_hw(self.output_h, self.output_w))?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let zero = io.operands.output(0).quant.zero_point as i8;
        let views = io.views()?;
        let [x, positions] = views.inputs;
        let x: &[i8] = bytemuck::cast_slice(x);
        let [y, _] = views.outputs;
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        y.fill(zero);
        let w = &self.window;
        let c = shape.c as usize;
        let (height, width) = (out_shape.h as usize, out_shape.w as usize);
        let (kernel_h, kernel_w) = (usize::from(w.kernel_h), usize::from(w.kernel_w));
        let place = |out: usize, tap: usize, stride: u16, dilation: u16, before: u16, size: usize| {
            (out * usize::from(stride) + tap * usize::from(dilation))
                .checked_sub(usize::from(before))
                .filter(|&at| at < size)
        };
        let pixels = x.chunks_exact(c).zip(positions.chunks_exact(c));
        for (pixel, (x, positions)) in pixels.enumerate() {
            let ox = pixel % shape.w as usize;
            let oy = pixel / shape.w as usize % shape.h as usize;
            let image = pixel / (shape.w as usize * shape.h as usize) * height * width;
            for (channel, (&x, &position)) in x.iter().zip(positions).enumerate() {
                let (ky, kx) = (usize::from(position) / kernel_w, usize::from(position) % kernel_w);
                if ky >= kernel_h {
                    continue;
                }
                let row = place(oy, ky, w.stride_h, w.dilation_h, w.pad.top, height);
                let column = place(ox, kx, w.stride_w, w.dilation_w, w.pad.left, width);
                if let (Some(row), Some(column)) = (row, column) {
                    y[(image + row * width + column) * c + channel] = x;
                }
            }
        }
        Some(())
    }
}
