//! Resize: nearest neighbour and bilinear.

use super::channels::{score_format, scored_output};
use super::wide::{words, words_mut};
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

/// Size of the output of a bilinear resize, and where its pixels lie in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sampling {
    /// Height of the output.
    pub output_h: u32,
    /// Width of the output.
    pub output_w: u32,
    /// Pixels are areas: sample at their centres.
    pub half_pixel_centers: bool,
    /// The corner pixels keep their places; excludes `half_pixel_centers`.
    pub align_corners: bool,
}

/// Bilinear resize of the older uint8 scheme, TensorFlow Lite's float semantics.
///
/// Input int8 `[n, h, w, c]` that stands for the unsigned values 128 higher, output `[n, output_h, output_w, c]`
/// with the same scale and zero point. Places and weights are f32, in the reference's order of operations, each rounded
/// once: the bits are the same on every core, since nothing here fuses a multiplication with an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResizeBilinearF32 {
    /// Size and places of the output's pixels.
    pub sampling: Sampling,
}

/// Bilinear resize of 16-bit values, with the integers of [`ResizeBilinear`].
///
/// Input `[n, h, w, c]`, output `[n, output_h, output_w, c]` with the same scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResizeBilinear16 {
    /// Size and places of the output's pixels.
    pub sampling: Sampling,
}

impl Operator for ResizeNearest {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.rows, &mut self.columns]
    }

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

/// The same in f32, with the distance in pixels.
#[inline]
fn interpolate_f32(at: usize, sampling: &Sampling, input: u32, output: u32) -> (usize, usize, f32) {
    let scale = match sampling.align_corners && output > 1 {
        true => (input - 1) as f32 / (output - 1) as f32,
        false => input as f32 / output as f32,
    };
    let scaled = match sampling.half_pixel_centers {
        true => (at as f32 + 0.5) * scale - 0.5,
        false => at as f32 * scale,
    };
    // `as` saturates: what lies before the first pixel becomes 0.
    let lower = (libm::floorf(scaled) as u32).min(input - 1);
    let upper = (libm::ceilf(scaled) as u32).min(input - 1);
    (lower as usize, upper as usize, scaled - lower as f32)
}

/// The mean of four values, weighted by distances in 1/1024 of a pixel, half away from zero. It has the range of the
/// values: extrapolation is from one pixel.
#[inline]
fn mean<T: Copy + Into<i64>>(corners: [T; 4], [fy, fx]: [i64; 2]) -> i64 {
    let weights = [(1024 - fy) * (1024 - fx), fy * (1024 - fx), (1024 - fy) * fx, fy * fx];
    let sum: i64 = corners.into_iter().zip(weights).map(|(x, w)| x.into() * w).sum();
    let round = if sum > 0 { 1 << 19 } else { -(1 << 19) };
    (sum + round) / (1 << 20)
}

/// Calls `pixel` for every pixel of `out`, with the channels of the four pixels of `x` that it lies between (above left,
/// below left, above right, below right) and how far it is from the first, down and to the right.
///
/// `place` gives the two indices and the distance of each index of an axis (0: rows, 1: columns).
fn between<T, U, F: Copy>(
    [shape, out_shape]: [Shape; 2],
    x: &[T],
    out: &mut [U],
    place: impl Fn(usize, usize) -> (usize, usize, F),
    mut pixel: impl FnMut([&[T]; 4], [F; 2], &mut [U]),
) {
    let (c, width, out_width) = (shape.c as usize, shape.w as usize, out_shape.w as usize);
    let images = x.chunks_exact(shape.elements() / shape.n as usize);
    for (image, out) in images.zip(out.chunks_exact_mut(out_shape.elements() / out_shape.n as usize)) {
        for (at, out) in out.chunks_exact_mut(out_shape.c as usize).enumerate() {
            let (y0, y1, fy) = place(0, at / out_width);
            let (x0, x1, fx) = place(1, at % out_width);
            let corner = |y: usize, x: usize| &image[(y * width + x) * c..][..c];
            pixel([corner(y0, x0), corner(y1, x0), corner(y0, x1), corner(y1, x1)], [fy, fx], out);
        }
    }
}

/// Places on both axes in 1/1024 of a pixel, for [`between`].
fn integer_places(
    shape: Shape,
    out: Shape,
    align_corners: bool,
    half_pixel: bool,
) -> impl Fn(usize, usize) -> (usize, usize, i64) {
    let sizes = [shape.h, shape.w];
    let scales = [
        interpolation_scale(shape.h, out.h, align_corners),
        interpolation_scale(shape.w, out.w, align_corners),
    ];
    move |axis, at| interpolate(at, scales[axis], half_pixel, sizes[axis])
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
        let place = integer_places(shape, out_shape, self.align_corners, self.half_pixel_centers);
        let scores = scratch.get_mut(..if self.labels.is_some() { channels as usize } else { 0 })?;
        between([shape, out_shape], x, y, place, |corners, distance, out| {
            let score = |i: usize| mean(corners.map(|x| x[i]), distance) as i8;
            match (self.labels, out.first_mut()) {
                (Some(_), Some(out)) => {
                    scores.iter_mut().enumerate().for_each(|(i, s)| *s = score(i));
                    *out = argmax(scores) as u8;
                }
                _ => out.iter_mut().enumerate().for_each(|(i, y)| *y = score(i) as u8),
            }
        });
        Some(())
    }
}

impl Sampling {
    /// Checks an operator with these attributes from and to a type.
    fn check(&self, cx: &Operands<'_>, dtype: DType) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.typed(0, dtype)?;
        if self.half_pixel_centers && self.align_corners || self.output_h == 0 || self.output_w == 0 {
            return Err(NodeFault::Attribute);
        }
        cx.expect(0, dtype, input.shape.with_hw(self.output_h, self.output_w))?;
        cx.same_quantisation(0)
    }
}

impl Operator for ResizeBilinearF32 {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        self.sampling.check(cx, DType::I8)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let views = io.views()?;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let [y, _] = views.outputs;
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        let (sizes, out_sizes) = ([shape.h, shape.w], [out_shape.h, out_shape.w]);
        let place = |axis, at| interpolate_f32(at, &self.sampling, sizes[axis], out_sizes[axis]);
        between([shape, out_shape], x, y, place, |corners, [fy, fx], out| {
            for (i, out) in out.iter_mut().enumerate() {
                let [a, b, c, d] = corners.map(|x| f32::from(i16::from(x[i]) + 128));
                let sum = a * (1.0 - fy) * (1.0 - fx)
                    + b * fy * (1.0 - fx)
                    + c * (1.0 - fy) * fx
                    + d * fy * fx
                    + 0.5;
                *out = (sum as u8).wrapping_sub(128) as i8;
            }
        });
        Some(())
    }
}

impl Operator for ResizeBilinear16 {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        self.sampling.check(cx, DType::I16)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let Sampling { half_pixel_centers, align_corners, .. } = self.sampling;
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let views = io.views()?;
        let [y, _] = views.outputs;
        let place = integer_places(shape, out_shape, align_corners, half_pixel_centers);
        let shapes = [shape, out_shape];
        between(shapes, words(views.inputs[0])?, words_mut(y)?, place, |corners, distance, out| {
            let value = |i: usize| mean(corners.map(|x| x[i]), distance) as i16;
            out.iter_mut().enumerate().for_each(|(i, y)| *y = value(i));
        });
        Some(())
    }
}
