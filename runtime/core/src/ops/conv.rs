//! Convolution over height and width.

use super::channels::{score_format, scored_output};
use super::{Filter, Io, LabelScores, Operands, Operator};
use crate::error::NodeFault;
#[cfg(feature = "encode")]
use crate::format::Blob;
use crate::format::{ALIGN, DType, Tensor};
use crate::isa::{Geometry, Isa, IsaKind, Layer, Taps, argmax, parallel};
use crate::shape::Window;
use serde::{Deserialize, Serialize};

/// 2-D convolution, int8, TensorFlow Lite semantics.
///
/// Input `[n, h, w, i]`, weights `[o, kernel_h, kernel_w, i]`, output `[n, h', w', o]`; with `labels`
/// the output is u8 `[n, h', w', 1]`. Padding counts as the input's zero point. The parser limits the
/// reduction so that the 32-bit sum cannot overflow: at most 65,793 products without a weight zero point. A 1x1
/// convolution with as many channels out as in may work in place.
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
    pub(super) fn geometry(&self, input: &Tensor, width: u32) -> Geometry {
        Geometry::new(self.window, input.shape, input.quant.zero_point, width)
    }

    fn layer(&self, cx: &Operands<'_>) -> Layer {
        let (n, _) = score_format(self.labels, cx.output(0));
        Layer::Full { taps: Taps::of_window(&self.window, cx.input(0).shape.c), n: n as usize }
    }
}

/// Rows that a 1x1 convolution in place copies before it overwrites them; a multiple of every tile's.
const COPIED_ROWS: usize = 12;

/// Bytes of the copied rows, up to the alignment of what follows.
fn copied(k: usize) -> usize {
    (COPIED_ROWS * k).next_multiple_of(ALIGN)
}

impl Operator for Conv2d {
    const IN_PLACE: bool = true;

    fn replaces(&self, input: &Tensor, output: &Tensor) -> bool {
        self.window.is_pointwise() && self.labels.is_none() && input.shape == output.shape
    }

    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        self.filter.blobs()
    }

    #[cfg(feature = "encode")]
    fn packable(&self, cx: &Operands<'_>) -> Option<(Filter, Layer, [i16; 2])> {
        let (_, zero) = score_format(self.labels, cx.output(0));
        Some((self.filter, self.layer(cx), [cx.input(0).quant.zero_point, zero]))
    }

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
        let weights = (self.window.taps() as u64).saturating_mul(u64::from(input.shape.c));
        self.filter.room(cx, weights.saturating_mul(u64::from(channels)))?;
        self.filter.check(cx, &self.layer(cx))
    }

    fn scratch(&self, cx: &Operands<'_>, isa: IsaKind) -> u64 {
        let (input, layer) = (cx.input(0), self.layer(cx));
        let Layer::Full { taps, n } = layer else { return 0 };
        let work = if cx.in_place() {
            copied(taps.total()) + isa.rows_scratch(taps, n, COPIED_ROWS)
        } else if self.window.is_pointwise() {
            isa.rows_scratch(taps, n, input.shape.pixels())
        } else {
            // With labels the pixels come one by one.
            let image = cx.output(0).shape;
            let pixels = if self.labels.is_some() { 1 } else { image.h as usize * image.w as usize };
            isa.conv_scratch(taps, n, pixels)
        };
        (work + self.labels.map_or(0, |labels| usize::from(labels.channels))) as u64
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let (input, output) = (io.operands.input(0), io.operands.output(0));
        let (_, zero) = score_format(self.labels, output);
        let g = self.geometry(input, out_shape.w);
        let p = io.reduction(&self.filter, &self.layer(&io.operands), [g.fill.into(), zero])?;
        let views = io.views()?;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let [y, _] = views.outputs;
        let scratch: &mut [i8] = bytemuck::cast_slice_mut(views.scratch);
        let scores = if self.labels.is_some() { p.n } else { 0 };
        let (scratch, scores) = scratch.split_at_mut_checked(scratch.len().checked_sub(scores)?)?;
        let k = g.taps().total();
        let image_len = if g.window.is_pointwise() { x.len() } else { shape.elements() / shape.n as usize };
        let out_len = if g.window.is_pointwise() { y.len() } else { y.len() / shape.n as usize };
        if views.in_place {
            let (copy, scratch) = scratch.split_at_mut_checked(copied(k))?;
            let y: &mut [i8] = bytemuck::cast_slice_mut(y);
            return I::with_room(|room| {
                let (copy, rows) = match room.len() / k {
                    rows if rows > COPIED_ROWS => (room, rows),
                    _ => (copy, COPIED_ROWS),
                };
                for out in y.chunks_mut(rows * k) {
                    let rows = copy.get_mut(..out.len())?;
                    rows.copy_from_slice(out);
                    parallel::matmul::<I>(&p, k, rows, out, scratch);
                }
                Some(())
            });
        }
        if x.is_empty() {
            return Some(());
        }
        for (image, out) in x.chunks_exact(image_len).zip(y.chunks_exact_mut(out_len)) {
            match (self.labels.is_some(), g.window.is_pointwise()) {
                (false, true) => parallel::matmul::<I>(&p, k, image, bytemuck::cast_slice_mut(out), scratch),
                (false, false) => {
                    parallel::conv::<I>(&p, &g, image, 0, bytemuck::cast_slice_mut(out), scratch)
                }
                (true, true) => {
                    for (row, label) in image.chunks_exact(k).zip(out) {
                        I::matmul(&p, k, row, scores, scratch);
                        *label = argmax(scores) as u8;
                    }
                }
                (true, false) => {
                    for (pixel, label) in out.iter_mut().enumerate() {
                        I::conv(&p, &g, image, pixel, scores, scratch);
                        *label = argmax(scores) as u8;
                    }
                }
            }
        }
        Some(())
    }
}
