//! Transpose convolution.

use super::channels::{score_format, scored_output};
use super::{Filter, Io, LabelScores, Operands, Operator};
use crate::error::NodeFault;
#[cfg(feature = "encode")]
use crate::format::Blob;
use crate::format::{DType, Tensor};
use crate::isa::{Isa, IsaKind, Layer, argmax};
use crate::shape::{Shape, Window};
use serde::{Deserialize, Serialize};

/// Transpose 2-D convolution, int8, TensorFlow Lite semantics.
///
/// Input `[n, h, w, i]`, weights `[o, kernel_h, kernel_w, i]`, output `[n, output_h, output_w, o]`; with
/// `labels` the output is u8 `[n, output_h, output_w, 1]`. Input pixel `(y, x)` adds to the outputs
/// `(y * stride - pad.top + ky, x * stride - pad.left + kx)`; those outside are dropped. Undilated.
///
/// Computed per output pixel (each sums the few taps that reach it), so that no 32-bit image is needed
/// and a fused argmax is free; an integer sum has the same value in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransposeConv2d {
    /// Kernel, stride, and how much is cut at the top and left; bottom and right follow from the size.
    pub window: Window,
    /// Height of the output.
    pub output_h: u32,
    /// Width of the output.
    pub output_w: u32,
    /// Weights and per-channel constants.
    pub filter: Filter,
    /// Store only the index of the largest channel.
    pub labels: Option<LabelScores>,
}

/// Taps of one axis that reach output `out`: kernel indices `first`, `first + stride`, ... below `kernel`
/// read inputs `input`, `input - 1`, ...; `count` of them lie inside.
#[derive(Clone, Copy)]
struct Taps {
    first: usize,
    input: usize,
    count: usize,
}

fn taps(out: usize, size: usize, kernel: u16, stride: u16, before: u16) -> Taps {
    let (kernel, stride) = (usize::from(kernel), usize::from(stride));
    let reach = out + usize::from(before);
    let newest = reach / stride;
    // Inputs beyond the last are skipped: each step back in the input is one stride on in the kernel.
    let skip = (newest + 1).saturating_sub(size);
    let first = reach % stride + skip * stride;
    let input = newest - skip.min(newest);
    if first >= kernel || skip > newest {
        return Taps { first: 0, input: 0, count: 0 };
    }
    let in_kernel = (kernel - first).div_ceil(stride);
    Taps { first, input, count: in_kernel.min(input + 1) }
}

/// The taps of a kernel that reach one output pixel.
pub(super) struct Reach {
    rows: Taps,
    columns: Taps,
}

impl Reach {
    /// The taps at output `(oy, ox)` of an image of `input`.
    pub(super) fn new(w: &Window, input: &Shape, (oy, ox): (usize, usize)) -> Self {
        Self {
            rows: taps(oy, input.h as usize, w.kernel_h, w.stride_h, w.pad.top),
            columns: taps(ox, input.w as usize, w.kernel_w, w.stride_w, w.pad.left),
        }
    }

    /// Calls `tap(x, w)` for each tap: where the input pixel's channels begin in the image, and the tap's in
    /// a kernel `[kernel_h, kernel_w, i]`.
    pub(super) fn for_each(&self, w: &Window, input: &Shape, mut tap: impl FnMut(usize, usize)) {
        let (c, width) = (input.c as usize, input.w as usize);
        for i in 0..self.rows.count {
            let ky = self.rows.first + i * usize::from(w.stride_h);
            for j in 0..self.columns.count {
                let kx = self.columns.first + j * usize::from(w.stride_w);
                let pixel = (self.rows.input - i) * width + self.columns.input - j;
                tap(pixel * c, (ky * usize::from(w.kernel_w) + kx) * c);
            }
        }
    }
}

/// Checks the window of a transpose convolution and returns the most taps that reach one output.
pub(super) fn most_taps(w: &Window) -> Result<u64, NodeFault> {
    if w.kernel_h == 0 || w.kernel_w == 0 || w.stride_h == 0 || w.stride_w == 0 {
        return Err(NodeFault::Window);
    }
    if w.dilation_h != 1 || w.dilation_w != 1 {
        return Err(NodeFault::Attribute);
    }
    let per_axis = |kernel: u16, stride: u16| u64::from(kernel.div_ceil(stride));
    Ok(per_axis(w.kernel_h, w.stride_h) * per_axis(w.kernel_w, w.stride_w))
}

/// Number of weights of a kernel `[o, kernel_h, kernel_w, i]`.
pub(super) fn weights(w: &Window, input: &Tensor, channels: u32) -> u64 {
    (w.taps() as u64).saturating_mul(u64::from(input.shape.c)).saturating_mul(u64::from(channels))
}

impl TransposeConv2d {
    fn layer(&self, cx: &Operands<'_>) -> Layer {
        let (input, (channels, _)) = (cx.input(0), score_format(self.labels, cx.output(0)));
        Layer::Transposed {
            n: channels as usize,
            weights: weights(&self.window, input, channels) as usize,
            // `check` has proved the window.
            taps: most_taps(&self.window).unwrap_or(0) as usize * input.shape.c as usize,
        }
    }
}

impl Operator for TransposeConv2d {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        self.filter.blobs()
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.typed(0, DType::I8)?;
        most_taps(&self.window)?;
        let (channels, _) = score_format(self.labels, cx.output(0));
        scored_output(cx, self.labels, input.shape.with_hw(self.output_h, self.output_w).with_c(channels))?;
        self.filter.room(cx, weights(&self.window, input, channels))?;
        self.filter.check(cx, &self.layer(cx))
    }

    fn scratch(&self, _: &Operands<'_>, _: IsaKind) -> u64 {
        self.labels.map_or(0, |labels| u64::from(labels.channels))
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let (input, output) = (io.operands.input(0), io.operands.output(0));
        let (channels, zero) = score_format(self.labels, output);
        let layer = self.layer(&io.operands);
        let p = self.filter.reduction(&io.operands, &layer, input.quant.zero_point, zero).ok()?;
        let views = io.views()?;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let [y, _] = views.outputs;
        let scratch: &mut [i8] = bytemuck::cast_slice_mut(views.scratch);
        let c = shape.c as usize;
        let kernel_len = self.window.taps() * c;
        let image_len = shape.elements() / shape.n as usize;
        let pixels = out_shape.h as usize * out_shape.w as usize;
        let out_len = output.shape.c as usize;
        for (image, out) in x.chunks_exact(image_len).zip(y.chunks_exact_mut(pixels * out_len)) {
            for (pixel, out) in out.chunks_exact_mut(out_len).enumerate() {
                let at = (pixel / out_shape.w as usize, pixel % out_shape.w as usize);
                let reach = Reach::new(&self.window, &shape, at);
                let score = |o: usize| {
                    let kernel = &p.weights[o * kernel_len..][..kernel_len];
                    let mut sum = 0i32;
                    reach.for_each(&self.window, &shape, |x, w| {
                        let (x, w) = (&image[x..][..c], &kernel[w..][..c]);
                        sum = sum.wrapping_add(I::dot(x, w, p.input_zero, p.weight_zero));
                    });
                    p.finish(o, sum)
                };
                if self.labels.is_some() {
                    let scores = scratch.get_mut(..channels as usize)?;
                    scores.iter_mut().enumerate().for_each(|(o, s)| *s = score(o));
                    *out.first_mut()? = argmax(scores) as u8;
                } else {
                    out.iter_mut().enumerate().for_each(|(o, y)| *y = score(o) as u8);
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn taps_are_those_whose_input_reaches_the_output() {
        for size in 1..6usize {
            for kernel in 1..7u16 {
                for stride in 1..5u16 {
                    for before in 0..kernel {
                        for out in 0..30usize {
                            let t = taps(out, size, kernel, stride, before);
                            let mut got: Vec<(usize, usize)> = (0..t.count)
                                .map(|i| (t.first + i * usize::from(stride), t.input - i))
                                .collect();
                            let mut expected = Vec::new();
                            for input in 0..size {
                                for k in 0..usize::from(kernel) {
                                    if input * usize::from(stride) + k == out + usize::from(before) {
                                        expected.push((k, input));
                                    }
                                }
                            }
                            got.sort_unstable();
                            expected.sort_unstable();
                            assert_eq!(got, expected, "{size} {kernel} {stride} {before} {out}");
                        }
                    }
                }
            }
        }
    }
}
