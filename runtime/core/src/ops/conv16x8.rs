//! Convolutions and the fully connected layer with 16-bit activations and 8-bit weights.

use super::transpose_conv::{Reach, most_taps, weights};
use super::wide::{words, words_mut};
use super::{Io, Operands, Operator, WideFilter};
use crate::error::NodeFault;
#[cfg(feature = "encode")]
use crate::format::Blob;
use crate::format::{DType, Tensor};
use crate::isa::window::im2col;
use crate::isa::{Isa, IsaKind};
use crate::shape::Window;
use serde::{Deserialize, Serialize};

/// 2-D convolution of 16-bit activations, TensorFlow Lite semantics.
///
/// Input `[n, h, w, i]`, weights `[o, kernel_h, kernel_w, i]`, output `[n, h', w', o]`. Padding counts as 0.
/// At most 2^25 - 1 products with a 64-bit accumulator and no bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conv2d16x8 {
    /// Window with resolved padding.
    pub window: Window,
    /// Weights and per-channel constants.
    pub filter: WideFilter,
}

/// Depthwise 2-D convolution of 16-bit activations, TensorFlow Lite semantics.
///
/// Input `[n, h, w, i]`, weights `[kernel_h, kernel_w, i * multiplier]`, output `[n, h', w', i * multiplier]`;
/// output channel `o` reads input channel `o / multiplier`. Padding counts as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DepthwiseConv2d16x8 {
    /// Window with resolved padding.
    pub window: Window,
    /// Weights and per-channel constants.
    pub filter: WideFilter,
    /// Output channels per input channel, at least 1.
    pub multiplier: u16,
}

/// Transpose 2-D convolution of 16-bit activations, TensorFlow Lite semantics.
///
/// Input `[n, h, w, i]`, weights `[o, kernel_h, kernel_w, i]`, output `[n, output_h, output_w, o]`; geometry as
/// in [`TransposeConv2d`](super::TransposeConv2d).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransposeConv2d16x8 {
    /// Kernel, stride, and how much is cut at the top and left; bottom and right follow from the size.
    pub window: Window,
    /// Height of the output.
    pub output_h: u32,
    /// Width of the output.
    pub output_w: u32,
    /// Weights and per-channel constants.
    pub filter: WideFilter,
}

/// Fully connected layer of 16-bit activations, TensorFlow Lite semantics, applied to every row.
///
/// Input `[n, h, w, i]`, weights `[o, i]`, output `[n, h, w, o]`; rows may be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dense16x8 {
    /// Weights and per-channel constants.
    pub filter: WideFilter,
}

impl Conv2d16x8 {
    /// Products per output value.
    fn taps(&self, input: &Tensor) -> u64 {
        (self.window.taps() as u64).saturating_mul(u64::from(input.shape.c))
    }
}

impl Operator for Conv2d16x8 {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        self.filter.blobs()
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        let input = cx.typed(0, DType::I16)?;
        if self.window.is_pointwise() {
            cx.rows_follow()?;
        } else {
            cx.fixed_rows()?;
        }
        let (h, w) = self.window.output(input.shape.h, input.shape.w).ok_or(NodeFault::Window)?;
        let channels = cx.output(0).shape.c;
        cx.expect(0, DType::I16, input.shape.with_hw(h, w).with_c(channels))?;
        let taps = self.taps(input);
        self.filter.check(cx, channels, taps.saturating_mul(u64::from(channels)), taps)
    }

    fn scratch(&self, cx: &Operands<'_>, _: IsaKind) -> u64 {
        if self.window.is_pointwise() { 0 } else { 2 * self.taps(cx.input(0)) }
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let n = out_shape.c as usize;
        let k = self.taps(io.operands.input(0)) as usize;
        let p = self.filter.reduction(&io.operands, out_shape.c, k as u64 * n as u64).ok()?;
        let views = io.views()?;
        let x = words(views.inputs[0])?;
        let [y, _] = views.outputs;
        let y = words_mut(y)?;
        if self.window.is_pointwise() {
            I::matmul16(&p, k, x, y);
            return Some(());
        }
        let patch = words_mut(views.scratch)?.get_mut(..k)?;
        let image_len = shape.elements() / shape.n as usize;
        let (width, pixels) = (out_shape.w as usize, out_shape.h as usize * out_shape.w as usize);
        for (image, out) in x.chunks_exact(image_len).zip(y.chunks_exact_mut(pixels * n)) {
            for (pixel, out) in out.chunks_exact_mut(n).enumerate() {
                im2col(&self.window, &shape, image, (pixel / width, pixel % width), 0, patch);
                I::matmul16(&p, k, patch, out);
            }
        }
        Some(())
    }
}

impl Operator for DepthwiseConv2d16x8 {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        self.filter.blobs()
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.typed(0, DType::I16)?;
        let (h, w) = self.window.output(input.shape.h, input.shape.w).ok_or(NodeFault::Window)?;
        let channels = input.shape.c.checked_mul(u32::from(self.multiplier)).ok_or(NodeFault::Attribute)?;
        cx.expect(0, DType::I16, input.shape.with_hw(h, w).with_c(channels))?;
        let taps = self.window.taps() as u64;
        self.filter.check(cx, channels, taps.saturating_mul(u64::from(channels)), taps)
    }

    fn scratch(&self, cx: &Operands<'_>, _: IsaKind) -> u64 {
        2 * self.window.taps() as u64 * u64::from(cx.input(0).shape.c)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let taps = self.window.taps();
        let weights = taps as u64 * u64::from(out_shape.c);
        let p = self.filter.reduction(&io.operands, out_shape.c, weights).ok()?;
        let views = io.views()?;
        let x = words(views.inputs[0])?;
        let [y, _] = views.outputs;
        let y = words_mut(y)?;
        let patch = words_mut(views.scratch)?.get_mut(..taps * shape.c as usize)?;
        let image_len = shape.elements() / shape.n as usize;
        let out_len = out_shape.elements() / out_shape.n as usize;
        let width = out_shape.w as usize;
        for (image, out) in x.chunks_exact(image_len).zip(y.chunks_exact_mut(out_len)) {
            for (pixel, out) in out.chunks_exact_mut(out_shape.c as usize).enumerate() {
                im2col(&self.window, &shape, image, (pixel / width, pixel % width), 0, patch);
                I::depthwise16(&p, shape.c as usize, patch, out);
            }
        }
        Some(())
    }
}

impl Operator for TransposeConv2d16x8 {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        self.filter.blobs()
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.typed(0, DType::I16)?;
        let products = most_taps(&self.window)? * u64::from(input.shape.c);
        let channels = cx.output(0).shape.c;
        cx.expect(0, DType::I16, input.shape.with_hw(self.output_h, self.output_w).with_c(channels))?;
        self.filter.check(cx, channels, weights(&self.window, input, channels), products)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let weights = weights(&self.window, io.operands.input(0), out_shape.c);
        let p = self.filter.reduction(&io.operands, out_shape.c, weights).ok()?;
        let views = io.views()?;
        let x = words(views.inputs[0])?;
        let [y, _] = views.outputs;
        let y = words_mut(y)?;
        let (c, n, width) = (shape.c as usize, out_shape.c as usize, out_shape.w as usize);
        let kernel_len = self.window.taps() * c;
        let image_len = shape.elements() / shape.n as usize;
        let out_len = out_shape.elements() / out_shape.n as usize;
        for (image, out) in x.chunks_exact(image_len).zip(y.chunks_exact_mut(out_len)) {
            for (pixel, out) in out.chunks_exact_mut(n).enumerate() {
                let reach = Reach::new(&self.window, &shape, (pixel / width, pixel % width));
                for (o, (kernel, out)) in p.weights.chunks_exact(kernel_len).zip(out).enumerate() {
                    let mut sum = 0i64;
                    reach.for_each(&self.window, &shape, |x, w| {
                        let (x, w) = (&image[x..][..c], &kernel[w..][..c]);
                        sum = sum.wrapping_add(I::dot16(x, w, p.weight_zero));
                    });
                    *out = p.finish(o, sum);
                }
            }
        }
        Some(())
    }
}

impl Operator for Dense16x8 {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        self.filter.blobs()
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I16)?;
        let channels = cx.output(0).shape.c;
        cx.expect(0, DType::I16, input.shape.with_c(channels))?;
        let k = u64::from(input.shape.c);
        self.filter.check(cx, channels, k * u64::from(channels), k)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (k, n) = (io.operands.input(0).shape.c, io.operands.output(0).shape.c);
        let p = self.filter.reduction(&io.operands, n, u64::from(k) * u64::from(n)).ok()?;
        let views = io.views()?;
        let [y, _] = views.outputs;
        I::matmul16(&p, k as usize, words(views.inputs[0])?, words_mut(y)?);
        Some(())
    }
}
