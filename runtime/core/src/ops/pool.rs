//! Pools: maximum, maximum with positions, average.

use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::window::at;
use crate::isa::{Isa, IsaKind};
use crate::quant::Clamp;
use crate::shape::{Shape, Window};
use serde::{Deserialize, Serialize};

/// Maximum pool, int8, TensorFlow Lite semantics: padding never wins.
///
/// Input `[n, h, w, c]`, output `[n, h', w', c]`, both with the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MaxPool2d {
    /// Window with resolved padding.
    pub window: Window,
    /// Fused activation.
    pub clamp: Clamp,
}

/// Maximum pool that also gives where each maximum was, for [`MaxUnpool2d`](super::MaxUnpool2d).
///
/// Input `[n, h, w, c]`; outputs: int8 values `[n, h', w', c]` with the scale and zero point of the input,
/// and u8 positions `[n, h', w', c]`, each `ky * kernel_w + kx` of the first maximum in row-major order.
/// A window has at most 256 taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MaxPool2dWithIndices {
    /// Window with resolved padding.
    pub window: Window,
}

/// How an average is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AverageRounding {
    /// Half away from zero on the signed sum: int8 models.
    HalfAwayFromZero,
    /// Half up on the sum of `q + 128`: imported models of the older uint8 scheme.
    UnsignedHalfUp,
}

/// Average pool, int8, TensorFlow Lite semantics: padding is not counted.
///
/// Input `[n, h, w, c]`, output `[n, h', w', c]`, both with the same scale and zero point. A window has at
/// most 2^22 taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AveragePool2d {
    /// Window with resolved padding.
    pub window: Window,
    /// Fused activation.
    pub clamp: Clamp,
    /// Rounding of the quotient.
    pub rounding: AverageRounding,
}

/// Checks what all pools have in common and returns the shape of their outputs. `values` is the type of the
/// input and of the first output.
pub(super) fn pooled(
    cx: &Operands<'_>,
    window: &Window,
    values: DType,
    outputs: u8,
) -> Result<Shape, NodeFault> {
    cx.arity(1, outputs)?;
    cx.fixed_rows()?;
    let input = cx.typed(0, values)?;
    let (h, w) = window.output(input.shape.h, input.shape.w).ok_or(NodeFault::Window)?;
    // A window that lies in the padding alone would have no value.
    let p = &window.pad;
    let reach = |kernel: u16, dilation: u16| (u32::from(kernel) - 1) * u32::from(dilation);
    let (tall, wide) = (reach(window.kernel_h, window.dilation_h), reach(window.kernel_w, window.dilation_w));
    let last = |size: u32, stride: u16| u64::from(size - 1) * u64::from(stride);
    let outside = u32::from(p.top) > tall
        || u32::from(p.left) > wide
        || last(h, window.stride_h) >= u64::from(p.top) + u64::from(input.shape.h)
        || last(w, window.stride_w) >= u64::from(p.left) + u64::from(input.shape.w);
    // With dilation a window may also straddle the image without touching it.
    let straddles = (window.dilation_h != 1 || window.dilation_w != 1) && !p.is_none();
    if outside || straddles {
        return Err(NodeFault::Window);
    }
    let shape = input.shape.with_hw(h, w);
    cx.expect(0, values, shape)?;
    cx.same_quantisation(0)?;
    Ok(shape)
}

/// [`pooled`] for a pool of int8 values with a fused activation.
fn clamped(cx: &Operands<'_>, window: &Window, clamp: Clamp) -> Result<(), NodeFault> {
    pooled(cx, window, DType::I8, 1)?;
    if clamp.min > clamp.max { Err(NodeFault::Attribute) } else { Ok(()) }
}

/// Calls `pixel(output index, rows of the window)` for every output pixel; each row is one tap's channels,
/// in row-major order with the tap's position in the window.
pub(super) fn for_each_window<'x, T>(
    window: &Window,
    shape: &Shape,
    out_shape: &Shape,
    x: &'x [T],
    mut pixel: impl FnMut(usize, &mut dyn Iterator<Item = (usize, &'x [T])>),
) {
    let (c, width) = (shape.c as usize, shape.w as usize);
    let image_len = shape.elements() / shape.n as usize;
    let mut index = 0;
    for image in x.chunks_exact(image_len) {
        for oy in 0..out_shape.h as usize {
            for ox in 0..out_shape.w as usize {
                let (rows, columns) = at(window, shape, oy, ox);
                let (dy, dx) = (usize::from(window.dilation_h), usize::from(window.dilation_w));
                let mut taps = rows.taps.clone().flat_map(|ky| {
                    let y = rows.first + (ky - rows.taps.start) * dy;
                    let columns = &columns;
                    columns.taps.clone().map(move |kx| {
                        let x = columns.first + (kx - columns.taps.start) * dx;
                        (ky * usize::from(window.kernel_w) + kx, (y * width + x) * c)
                    })
                });
                pixel(index, &mut taps.by_ref().map(|(tap, at)| (tap, &image[at..at + c])));
                index += 1;
            }
        }
    }
}

/// Calls `pixel(output index, runs of the window)` for every output pixel; each run is the channels of one or more pixels
/// that are neighbours in memory, `[pixels, c]`.
fn for_each_run<'x>(
    window: &Window,
    shape: &Shape,
    out_shape: &Shape,
    x: &'x [i8],
    mut pixel: impl FnMut(usize, &mut dyn Iterator<Item = &'x [i8]>),
) {
    let (c, width) = (shape.c as usize, shape.w as usize);
    let image_len = shape.elements() / shape.n as usize;
    let (dy, dx) = (usize::from(window.dilation_h), usize::from(window.dilation_w));
    let mut index = 0;
    for image in x.chunks_exact(image_len) {
        for oy in 0..out_shape.h as usize {
            for ox in 0..out_shape.w as usize {
                let (rows, columns) = at(window, shape, oy, ox);
                // Whole rows of the image follow each other.
                let (runs, run, step) = match (columns.taps.len(), dx, dy) {
                    (count, 1, 1) if count == width => (1, rows.taps.len() * count, 0),
                    (count, 1, _) => (1, count, 0),
                    (count, ..) => (count, 1, dx * c),
                };
                let lines = if runs == 1 && run > columns.taps.len() { 1 } else { rows.taps.len() };
                let mut all = (0..lines).flat_map(|line| {
                    let start = ((rows.first + line * dy) * width + columns.first) * c;
                    (0..runs).map(move |i| &image[start + i * step..][..run * c])
                });
                pixel(index, &mut all);
                index += 1;
            }
        }
    }
}

impl Operator for MaxPool2d {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        clamped(cx, &self.window, self.clamp)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let c = shape.c as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        let x = bytemuck::cast_slice(views.inputs[0]);
        for_each_run(&self.window, &shape, &out_shape, x, |index, runs| {
            let out = &mut y[index * c..][..c];
            out.fill(i8::MIN);
            runs.for_each(|run| I::max_rows(run, out));
            if self.clamp != Clamp::FULL {
                out.iter_mut().for_each(|y| *y = self.clamp.apply(i32::from(*y)));
            }
        });
        Some(())
    }
}

impl Operator for MaxPool2dWithIndices {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        let shape = pooled(cx, &self.window, DType::I8, 2)?;
        cx.expect(1, DType::U8, shape)?;
        if self.window.taps() > 256 { Err(NodeFault::Attribute) } else { Ok(()) }
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let c = shape.c as usize;
        let views = io.views()?;
        let [y, positions] = views.outputs;
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        let x = bytemuck::cast_slice(views.inputs[0]);
        for_each_window(&self.window, &shape, &out_shape, x, |index, rows| {
            let out = &mut y[index * c..][..c];
            let positions = &mut positions[index * c..][..c];
            let Some((tap, first)) = rows.next() else { return };
            out.copy_from_slice(first);
            positions.fill(tap as u8);
            for (tap, row) in rows {
                for ((y, position), &x) in out.iter_mut().zip(positions.iter_mut()).zip(row) {
                    if x > *y {
                        (*y, *position) = (x, tap as u8);
                    }
                }
            }
        });
        Some(())
    }
}

impl AveragePool2d {
    fn average(&self, sum: i32, count: i32) -> i8 {
        let half = count / 2;
        let mean = match self.rounding {
            AverageRounding::HalfAwayFromZero if sum > 0 => (sum + half) / count,
            AverageRounding::HalfAwayFromZero => (sum - half) / count,
            AverageRounding::UnsignedHalfUp => (sum + 128 * count + half) / count - 128,
        };
        self.clamp.apply(mean)
    }
}

impl Operator for AveragePool2d {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        clamped(cx, &self.window, self.clamp)?;
        // The sum of `q + 128` and the rounding term stay below 2^31.
        if self.window.taps() > 1 << 22 { Err(NodeFault::Attribute) } else { Ok(()) }
    }

    fn scratch(&self, cx: &Operands<'_>, _: IsaKind) -> u64 {
        4 * u64::from(cx.input(0).shape.c)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let c = shape.c as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        let sums = views.scratch.get_mut(..4 * c)?;
        let sums: &mut [i32] = bytemuck::try_cast_slice_mut(sums).ok()?;
        let x = bytemuck::cast_slice(views.inputs[0]);
        for_each_run(&self.window, &shape, &out_shape, x, |index, runs| {
            let out = &mut y[index * c..][..c];
            sums.fill(0);
            let mut count = 0;
            runs.for_each(|run| {
                I::accumulate_rows(run, sums);
                count += (run.len() / c) as i32;
            });
            out.iter_mut().zip(&*sums).for_each(|(y, &sum)| *y = self.average(sum, count));
        });
        Some(())
    }
}
