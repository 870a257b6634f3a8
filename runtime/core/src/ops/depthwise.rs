//! Depthwise convolution.

use super::{Filter, Io, Operands, Operator};
use crate::error::NodeFault;
#[cfg(feature = "encode")]
use crate::format::Blob;
use crate::format::{ALIGN, DType, Tensor};
use crate::isa::{Geometry, Isa, IsaKind, Layer, Reduction, parallel};
use crate::shape::{Shape, Window};
use serde::{Deserialize, Serialize};

/// Depthwise 2-D convolution, int8, TensorFlow Lite semantics.
///
/// Input `[n, h, w, i]`, weights `[kernel_h, kernel_w, i * multiplier]`, output `[n, h', w', i * multiplier]`;
/// output channel `o` reads input channel `o / multiplier`. Padding counts as the input's zero point. Without stride
/// and dilation, and with an output as large as the input, it may work in place.
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

impl DepthwiseConv2d {
    fn geometry(&self, input: &Tensor, width: u32) -> Geometry {
        Geometry::new(self.window, input.shape, input.quant.zero_point, width)
    }

    fn layer(&self, cx: &Operands<'_>) -> Layer {
        let multiplier = usize::from(self.multiplier);
        Layer::Depthwise { window: self.window, c: cx.input(0).shape.c as usize, multiplier }
    }
}

/// Bytes that the rows of a band should have at most: more rows at once cost fewer calls.
const BAND: u32 = 2048;

/// Bytes of a row.
fn row_bytes(shape: &Shape) -> u64 {
    u64::from(shape.w) * u64::from(shape.c)
}

/// Output rows that are computed at once in place.
fn rows_at_once(window: &Window, shape: &Shape) -> u64 {
    // A row is a part of a tensor, so it fits 28 bits; a division of 64 bits is a kilobyte of code on a Cortex-M.
    let rows = BAND / (row_bytes(shape) as u32).max(1);
    u64::from(rows.saturating_sub(u32::from(window.kernel_h) - 1).clamp(1, shape.h))
}

/// Bytes of the input rows that these read, up to the alignment of what follows.
fn band(window: &Window, shape: &Shape) -> u64 {
    let rows = u64::from(window.kernel_h) - 1 + rows_at_once(window, shape);
    (rows * row_bytes(shape)).next_multiple_of(ALIGN as u64)
}

/// A depthwise convolution of `image` that overwrites it some rows at a time, and keeps those that it still needs.
#[inline(always)]
fn overwrite<I: Isa>(
    p: &Reduction<'_>,
    g: &Geometry,
    image: &mut [i8],
    band: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let row = g.input.w as usize * g.input.c as usize;
    let (top, kernel) = (usize::from(g.window.pad.top), usize::from(g.window.kernel_h));
    let (height, step) = (g.input.h as usize, rows_at_once(&g.window, &g.input) as usize);
    // The band holds the input rows from `first` to `last`.
    let (mut first, mut last) = (0, 0);
    for y in (0..height).step_by(step) {
        let below = (y + step).min(height);
        let begin = y.saturating_sub(top);
        // Row by row, and by a copy that need not look for overlaps: moving links another function.
        for kept in 0..if begin > first { last - begin } else { 0 } {
            let (to, from) = band.split_at_mut_checked((kept + begin - first) * row)?;
            to.get_mut(kept * row..(kept + 1) * row)?.copy_from_slice(from.get(..row)?);
        }
        let end = (below - 1 + kernel).saturating_sub(top).min(height);
        let new = band.get_mut((last - begin) * row..(end - begin) * row)?;
        new.copy_from_slice(image.get(last * row..end * row)?);
        (first, last) = (begin, end);
        let mut part = *g;
        part.input.h = (last - first) as u32;
        part.window.pad.top = top.saturating_sub(y) as u16;
        let out = image.get_mut(y * row..below * row)?;
        I::depthwise(p, &part, band.get(..(last - first) * row)?, 0, out, scratch);
    }
    Some(())
}

impl Operator for DepthwiseConv2d {
    const IN_PLACE: bool = true;

    fn replaces(&self, input: &Tensor, output: &Tensor) -> bool {
        let w = &self.window;
        let plain = [w.stride_h, w.stride_w, w.dilation_h, w.dilation_w, self.multiplier] == [1; 5];
        // Every output row reads rows of the input from `top` above it on, of which there is at least one.
        plain && input.shape == output.shape && w.pad.top < w.kernel_h
    }

    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        self.filter.blobs()
    }

    #[cfg(feature = "encode")]
    fn packable(&self, cx: &Operands<'_>) -> Option<(Filter, Layer, [i16; 2])> {
        let zero = cx.output(0).quant.zero_point;
        Some((self.filter, self.layer(cx), [cx.input(0).quant.zero_point, zero]))
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.typed(0, DType::I8)?;
        let (h, w) = self.window.output(input.shape.h, input.shape.w).ok_or(NodeFault::Window)?;
        let channels = input.shape.c.checked_mul(u32::from(self.multiplier)).ok_or(NodeFault::Attribute)?;
        cx.expect(0, DType::I8, input.shape.with_hw(h, w).with_c(channels))?;
        self.filter.room(cx, (self.window.taps() as u64).saturating_mul(u64::from(channels)))?;
        self.filter.check(cx, &self.layer(cx))
    }

    fn scratch(&self, cx: &Operands<'_>, isa: IsaKind) -> u64 {
        let g = self.geometry(cx.input(0), cx.output(0).shape.w);
        let work = isa.depthwise_scratch(&g, usize::from(self.multiplier)) as u64;
        if cx.in_place() { band(&g.window, &g.input) + work } else { work }
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let g = self.geometry(io.operands.input(0), out_shape.w);
        let zero = io.operands.output(0).quant.zero_point;
        let p = io.reduction(&self.filter, &self.layer(&io.operands), [g.fill.into(), zero])?;
        let views = io.views()?;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let [y, _] = views.outputs;
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        let scratch: &mut [i8] = bytemuck::cast_slice_mut(views.scratch);
        if views.in_place {
            let band = usize::try_from(band(&g.window, &g.input)).ok()?;
            let (band, scratch) = scratch.split_at_mut_checked(band)?;
            let mut images = y.chunks_exact_mut(out_shape.elements() / out_shape.n as usize);
            return images.try_for_each(|image| overwrite::<I>(&p, &g, image, band, scratch));
        }
        let image_len = shape.elements() / shape.n as usize;
        let out_len = out_shape.elements() / out_shape.n as usize;
        for (image, out) in x.chunks_exact(image_len).zip(y.chunks_exact_mut(out_len)) {
            parallel::depthwise::<I>(&p, &g, image, 0, out, scratch);
        }
        Some(())
    }
}
