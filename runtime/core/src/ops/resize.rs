//! Resize: nearest neighbour and bilinear.

use super::channels::{score_format, scored_output};
use super::{Io, LabelScores, Operands, Operator};
use crate::error::NodeFault;
use crate::format::{Blob, DType};
use crate::isa::{Isa, IsaKind, argmax};
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// Nearest-neighbour resize of a tensor of any type.
///
/// Which row and column each output reads is decided on the host (TensorFlow Lite computes it in f32) and
/// stored as two tables. Input and output have the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResizeNearest {
    /// u16 input row of each output row.
    pub rows: Blob,
    /// u16 input column of each output column.
    pub columns: Blob,
}

/// Bilinear resize, int8, TensorFlow Lite's integer semantics (10 fraction bits per axis).
///
/// Input `[n, h, w, c]`, output `[n, output_h, output_w, c]` with the same scale and zero point; with
/// `labels` the output is u8 `[n, output_h, output_w, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResizeBilinear {
    /// Height of the output.
    pub output_h: u32,
    /// Width of the output.
    pub output_w: u32,
    /// Pixels are areas: sample at their centres.
    pub half_pixel_centers: bool,
    /// The corner pixels keep their places; excludes `half_pixel_centers`.
    pub align_corners: bool,
    /// Store only the index of the largest channel.
    pub labels: Option<LabelScores>,
}

impl Operator for ResizeNearest {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let (input, out) = (cx.input(0), cx.output(0).shape);
        cx.expect(0, input.dtype, input.shape.with_hw(out.h, out.w))?;
        cx.same_quantisation(0)?;
        for (blob, len, limit) in [(self.rows, out.h, input.shape.h), (self.columns, out.w, input.shape.w)] {
            let table = table(cx, blob, len)?;
            if let Some(at) = table.iter().position(|&i| u32::from(i) >= limit) {
                return Err(NodeFault::Index { at: at as u32, found: u32::from(table[at]) });
            }
        }
        Ok(())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let rows = table(&io.operands, self.rows, out_shape.h).ok()?;
        let columns = table(&io.operands, self.columns, out_shape.w).ok()?;
        let size = io.operands.output(0).dtype.size() as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        // Bytes of a pixel.
        let c = shape.c as usize * size;
        let (row_len, out_row_len) = (shape.w as usize * c, out_shape.w as usize * c);
        let images = views.inputs[0].chunks_exact(row_len * shape.h as usize);
        for (image, out) in images.zip(y.chunks_exact_mut(out_row_len * out_shape.h as usize)) {
            for (&row, out) in rows.iter().zip(out.chunks_exact_mut(out_row_len)) {
                let x = image.get(usize::from(row) * row_len..)?.get(..row_len)?;
                for (&column, out) in columns.iter().zip(out.chunks_exact_mut(c)) {
                    out.copy_from_slice(x.get(usize::from(column) * c..)?.get(..c)?);
                }
            }
        }
        Some(())
    }
}

fn table<'a>(cx: &Operands<'a>, blob: Blob, len: u32) -> Result<&'a [u16], NodeFault> {
    let bytes = cx.constant(blob, 2 * u64::from(len))?;
    bytemuck::try_cast_slice(bytes)
        .map_err(|_| NodeFault::Constant { offset: blob.0, len: bytes.len() as u32 })
}

/// Input pixels per output pixel with 10 fraction bits, as the reference computes it.
pub const fn interpolation_scale(input: u32, output: u32, align_corners: bool) -> i64 {
    let (input, output) = (input as i64, output as i64);
    if align_corners && output > 1 {
        (1024 * (input - 1) + (output - 1) / 2) / (output - 1)
    } else {
        (1024 * input + output / 2) / output
    }
}

/// The two input indices that output `at` lies between, and how far from the first, in 1/1024.
///
/// The distance is negative before the first pixel centre: the reference extrapolates from one pixel.
#[inline]
fn interpolate(at: usize, scale: i64, half_pixel: bool, size: u32) -> (usize, usize, i64) {
    let scaled = at as i64 * scale + if half_pixel { scale / 2 - 512 } else { 0 };
    let last = i64::from(size) - 1;
    let lower = (scaled / 1024).clamp(0, last);
    let upper = ((scaled + 1023) / 1024).clamp(0, last);
    (lower as usize, upper as usize, scaled - 1024 * lower)
}

impl Operator for ResizeBilinear {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.typed(0, DType::I8)?;
        if self.half_pixel_centers && self.align_corners || self.output_h == 0 || self.output_w == 0 {
            return Err(NodeFault::Attribute);
        }
        let scores = input.shape.with_hw(self.output_h, self.output_w);
        scored_output(cx, self.labels, scores)?;
        match self.labels {
            None => cx.same_quantisation(0),
            Some(_) => Ok(()),
        }
    }

    fn scratch(&self, _: &Operands<'_>, _: IsaKind) -> u64 {
        self.labels.map_or(0, |labels| u64::from(labels.channels))
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let (channels, _) = score_format(self.labels, io.operands.output(0));
        let views = io.views()?;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let [y, _] = views.outputs;
        let scratch: &mut [i8] = bytemuck::cast_slice_mut(views.scratch);
        let Shape { h, w, c, .. } = shape;
        let (c, width) = (c as usize, w as usize);
        let scale_y = interpolation_scale(h, out_shape.h, self.align_corners);
        let scale_x = interpolation_scale(w, out_shape.w, self.align_corners);
        let out_len = out_shape.c as usize;
        let images = x.chunks_exact(shape.elements() / shape.n as usize);
        for (image, out) in images.zip(y.chunks_exact_mut(out_shape.elements() / out_shape.n as usize)) {
            for (pixel, out) in out.chunks_exact_mut(out_len).enumerate() {
                let (oy, ox) = (pixel / out_shape.w as usize, pixel % out_shape.w as usize);
                let (y0, y1, fy) = interpolate(oy, scale_y, self.half_pixel_centers, h);
                let (x0, x1, fx) = interpolate(ox, scale_x, self.half_pixel_centers, w);
                let corner = |y: usize, x: usize| &image[(y * width + x) * c..][..c];
                let corners = [corner(y0, x0), corner(y1, x0), corner(y0, x1), corner(y1, x1)];
                let weights = [(1024 - fy) * (1024 - fx), fy * (1024 - fx), (1024 - fy) * fx, fy * fx];
                let score = |i: usize| {
                    let sum: i64 = corners.iter().zip(weights).map(|(x, w)| i64::from(x[i]) * w).sum();
                    let round = if sum > 0 { 1 << 19 } else { -(1 << 19) };
                    ((sum + round) / (1 << 20)) as i8
                };
                if self.labels.is_some() {
                    let scores = scratch.get_mut(..channels as usize)?;
                    scores.iter_mut().enumerate().for_each(|(i, s)| *s = score(i));
                    *out.first_mut()? = argmax(scores) as u8;
                } else {
                    out.iter_mut().enumerate().for_each(|(i, y)| *y = score(i) as u8);
                }
            }
        }
        Some(())
    }
}
