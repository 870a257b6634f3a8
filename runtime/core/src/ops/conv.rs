//! Convolution over height and width.

use super::channels::{score_format, scored_output};
use super::window::im2col;
use super::{Filter, Io, LabelScores, Operands, Operator};
use crate::error::NodeFault;
use crate::format::{DType, Tensor};
use crate::isa::{Isa, IsaKind, argmax};
use crate::shape::Window;
use serde::{Deserialize, Serialize};

/// 2-D convolution, int8, TensorFlow Lite semantics.
///
/// Input `[n, h, w, i]`, weights `[o, kernel_h, kernel_w, i]`, output `[n, h', w', o]`; with `labels`
/// the output is u8 `[n, h', w', 1]`. Padding counts as the input's zero point. The parser limits the
/// reduction so that the 32-bit sum cannot overflow: at most 65,793 products without a weight zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conv2d {
    /// Window with resolved padding.
    pub window: Window,
    /// Weights and per-channel constants.
    pub filter: Filter,
    /// Store only the index of the largest channel.
    pub labels: Option<LabelScores>,
}

impl Conv2d {
    /// Products per output value.
    fn taps(&self, input: &Tensor) -> u64 {
        (self.window.taps() as u64).saturating_mul(u64::from(input.shape.c))
    }
}

impl Operator for Conv2d {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        let input = cx.typed(0, DType::I8)?;
        let (channels, _) = score_format(self.labels, cx.output(0));
        if self.window.is_pointwise() {
            cx.rows_follow()?;
        } else {
            cx.fixed_rows()?;
        }
        let (h, w) = self.window.output(input.shape.h, input.shape.w).ok_or(NodeFault::Window)?;
        scored_output(cx, self.labels, input.shape.with_hw(h, w).with_c(channels))?;
        let taps = self.taps(input);
        self.filter.check(cx, channels, taps.saturating_mul(u64::from(channels)), taps)
    }

    fn scratch(&self, cx: &Operands<'_>, isa: IsaKind) -> u64 {
        let input = cx.input(0);
        let patch = if self.window.is_pointwise() { 0 } else { self.taps(input) * isa.patches() as u64 };
        let scores = self.labels.map_or(0, |labels| u64::from(labels.channels));
        patch + scores
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let (input, output) = (io.operands.input(0), io.operands.output(0));
        let (channels, zero) = score_format(self.labels, output);
        let k = self.taps(input) as usize;
        let weights = k as u64 * u64::from(channels);
        let zeros = (input.quant.zero_point, zero);
        let p = self.filter.reduction(&io.operands, channels, weights, zeros.0, zeros.1).ok()?;
        let views = io.views()?;
        let [x, _] = views.inputs;
        let x: &[i8] = bytemuck::cast_slice(x);
        let [y, _] = views.outputs;
        let scratch: &mut [i8] = bytemuck::cast_slice_mut(views.scratch);
        let n = channels as usize;
        if self.window.is_pointwise() {
            match self.labels {
                None => I::matmul(&p, k, x, bytemuck::cast_slice_mut(y)),
                Some(_) => {
                    let scores = scratch.get_mut(..n)?;
                    for (row, label) in x.chunks_exact(k).zip(y) {
                        I::matmul(&p, k, row, scores);
                        *label = argmax(scores) as u8;
                    }
                }
            }
            return Some(());
        }
        let (patches, scores) = scratch.split_at_mut_checked(k * I::PATCHES)?;
        let image_len = shape.elements() / shape.n as usize;
        let (width, pixels) = (out_shape.w as usize, out_shape.h as usize * out_shape.w as usize);
        let fill = zeros.0 as i8;
        let out_len = output.shape.c as usize;
        for (image, out) in x.chunks_exact(image_len).zip(y.chunks_exact_mut(pixels * out_len)) {
            for (block, out) in out.chunks_mut(I::PATCHES * out_len).enumerate() {
                let count = out.len() / out_len;
                let patches = patches.get_mut(..count * k)?;
                for (i, patch) in patches.chunks_exact_mut(k).enumerate() {
                    let pixel = block * I::PATCHES + i;
                    im2col(&self.window, &shape, image, (pixel / width, pixel % width), fill, patch);
                }
                match self.labels {
                    None => I::matmul(&p, k, patches, bytemuck::cast_slice_mut(out)),
                    Some(_) => {
                        let scores = scores.get_mut(..n)?;
                        for (patch, label) in patches.chunks_exact(k).zip(out) {
                            I::matmul(&p, k, patch, scores);
                            *label = argmax(scores) as u8;
                        }
                    }
                }
            }
        }
        Some(())
    }
}
