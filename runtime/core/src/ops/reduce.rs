//! Sums, means and extremes over axes.

use super::walk::{shape, sizes};
use super::wide::values_mut;
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, IsaKind};
use crate::quant::Requant;
use crate::shape::Shape;
use bytemuck::Pod;
use serde::{Deserialize, Serialize};

/// Sum or mean over axes, TensorFlow Lite semantics: `output zero + factor · Σ (x − input zero)`, limited to the
/// type.
///
/// Input and output both i8 or both i16; the output has size 1 on each axis that is reduced. At most 8,421,504
/// elements (i16: 65,535) are summed, so that the sum fits 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReduceSum {
    /// Axes that are reduced, NHWC.
    pub axes: [bool; 4],
    /// Input scale over output scale; for a mean, over the number of elements too ([`Requant::over`]). The
    /// multiplier may be anything from 0 on.
    pub factor: Requant,
}

/// Smallest or largest value over axes.
///
/// Any type but f32; the output has size 1 on each axis that is reduced and the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReduceExtreme {
    /// Axes that are reduced, NHWC.
    pub axes: [bool; 4],
    /// The largest value, else the smallest.
    pub largest: bool,
}

/// The shape with size 1 on these axes.
fn reduced(s: &Shape, axes: [bool; 4]) -> Shape {
    let mut kept = sizes(s);
    kept.iter_mut().zip(axes).filter(|(_, reduced)| *reduced).for_each(|(size, _)| *size = 1);
    shape(kept)
}

/// Calls `pixel` with the number of each input pixel that belongs to output pixel `at`.
fn each_pixel(
    input: &Shape,
    out: &Shape,
    at: usize,
    mut pixel: impl FnMut(usize) -> Option<()>,
) -> Option<()> {
    let (h, w) = (out.h as usize, out.w as usize);
    // Where the sizes are equal nothing is reduced, or there is one element.
    let span = |size: u32, kept: u32, at: usize| if size == kept { at..at + 1 } else { 0..size as usize };
    let rows = span(input.h, out.h, at.checked_div(w)?.checked_rem(h)?);
    let columns = span(input.w, out.w, at.checked_rem(w)?);
    for n in span(input.n, out.n, at.checked_div(w * h)?) {
        for y in rows.clone() {
            for x in columns.clone() {
                pixel((n * input.h as usize + y) * input.w as usize + x)?;
            }
        }
    }
    Some(())
}

/// A value that a sum takes and gives.
trait Narrow: Pod + Into<i32> {
    /// The nearest value of the type.
    fn saturated(value: i32) -> Self;
}

impl Narrow for i8 {
    fn saturated(value: i32) -> Self {
        value.clamp(i32::from(i8::MIN), i32::from(i8::MAX)) as i8
    }
}

impl Narrow for i16 {
    fn saturated(value: i32) -> Self {
        value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
    }
}

/// Largest magnitude of `x − zero`.
const fn largest(dtype: DType) -> u32 {
    match dtype {
        DType::I16 => 1 << 15,
        _ => 255,
    }
}

impl ReduceSum {
    fn sum<T: Narrow>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let input_zero = i32::from(io.operands.input(0).quant.zero_point);
        let output_zero = i32::from(io.operands.output(0).quant.zero_point);
        let elements = input.elements().checked_div(out.elements())? as i32;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x: &[T] = bytemuck::try_cast_slice(views.inputs[0]).ok()?;
        let y: &mut [T] = bytemuck::try_cast_slice_mut(y).ok()?;
        let sums: &mut [i32] = values_mut(views.scratch)?;
        let sums = sums.get_mut(..out.c as usize)?;
        let c = input.c as usize;
        for (at, y) in y.chunks_exact_mut(out.c as usize).enumerate() {
            // Sums of x rather than of x - zero, as the reference has them: both fit 32 bits.
            sums.fill(0);
            each_pixel(&input, &out, at, |pixel| {
                let row = x.get(pixel * c..)?.get(..c)?;
                match &mut *sums {
                    [sum] => *sum += row.iter().map(|&x| x.into()).sum::<i32>(),
                    sums => sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x.into()),
                }
                Some(())
            })?;
            for (y, sum) in y.iter_mut().zip(&*sums) {
                let scaled = self.factor.apply(sum - input_zero * elements);
                *y = T::saturated(scaled.wrapping_add(output_zero));
            }
        }
        Some(())
    }
}

impl Operator for ReduceSum {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.input(0);
        if !matches!(input.dtype, DType::I8 | DType::I16) {
            return Err(NodeFault::DType(cx.inputs[0]));
        }
        let out = reduced(&input.shape, self.axes);
        cx.expect(0, input.dtype, out)?;
        let found = (input.shape.elements() / out.elements()) as u32;
        let limit = i32::MAX as u32 / largest(input.dtype);
        if found > limit {
            return Err(NodeFault::Reduction { found, limit });
        }
        // A mean divides the multiplier, so it need not be normalised.
        if self.factor.multiplier < 0 || !(-31..=30).contains(&self.factor.shift) {
            return Err(NodeFault::Requant { channel: 0 });
        }
        Ok(())
    }

    fn scratch(&self, cx: &Operands<'_>, _: IsaKind) -> u64 {
        4 * u64::from(cx.output(0).shape.c)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        match io.operands.input(0).dtype {
            DType::I16 => self.sum::<i16>(io),
            _ => self.sum::<i8>(io),
        }
    }
}

impl ReduceExtreme {
    fn extreme<T: Pod + Ord>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x: &[T] = bytemuck::try_cast_slice(views.inputs[0]).ok()?;
        let y: &mut [T] = bytemuck::try_cast_slice_mut(y).ok()?;
        let better = |a: T, b: T| if self.largest { a.max(b) } else { a.min(b) };
        let c = input.c as usize;
        for (at, y) in y.chunks_exact_mut(out.c as usize).enumerate() {
            let mut first = true;
            each_pixel(&input, &out, at, |pixel| {
                let row = x.get(pixel * c..)?.get(..c)?;
                if let [y] = &mut *y {
                    let best = row.iter().copied().reduce(better)?;
                    *y = if first { best } else { better(*y, best) };
                } else if first {
                    y.copy_from_slice(row);
                } else {
                    y.iter_mut().zip(row).for_each(|(y, &x)| *y = better(*y, x));
                }
                first = false;
                Some(())
            })?;
        }
        Some(())
    }
}

impl Operator for ReduceExtreme {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.input(0);
        if input.dtype == DType::F32 {
            return Err(NodeFault::DType(cx.inputs[0]));
        }
        cx.expect(0, input.dtype, reduced(&input.shape, self.axes))?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        match io.operands.input(0).dtype {
            DType::I16 => self.extreme::<i16>(io),
            DType::I32 => self.extreme::<i32>(io),
            DType::U8 => self.extreme::<u8>(io),
            _ => self.extreme::<i8>(io),
        }
    }
}
