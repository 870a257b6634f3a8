//! Broadcasting of two operands, shared by the elementwise operators.
//!
//! Two sizes of an axis fit if they are equal or one of them is 1; the output has the larger. So either operand
//! may be repeated, on any axis.

use super::{Io, Operands};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::Source;
use crate::shape::Shape;
use bytemuck::Pod;

fn sizes(shape: Shape) -> [u32; 4] {
    [shape.n, shape.h, shape.w, shape.c]
}

/// Shape of the output, `None` where the operands do not fit.
fn joined(a: Shape, b: Shape) -> Option<Shape> {
    let (a, b) = (sizes(a), sizes(b));
    let mut out = [0; 4];
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = match (a, b) {
            (1, size) | (size, 1) => size,
            (a, b) if a == b => a,
            _ => return None,
        };
    }
    let [n, h, w, c] = out;
    Some(Shape { n, h, w, c })
}

/// Checks operands of these types and an output of the first one's type and the broadcast shape.
///
/// The rows of the output are bounded if those of an operand are; the other operand then has the same count, or
/// is one row for all.
pub(super) fn check(cx: &Operands<'_>, first: DType, second: DType) -> Result<(), NodeFault> {
    cx.arity(2, 1)?;
    let operands = [cx.typed(0, first)?, cx.typed(1, second)?];
    let [a, b] = operands;
    let shape = joined(a.shape, b.shape).ok_or(NodeFault::InputShape(b.shape))?;
    let rows = a.rows.or(b.rows);
    for operand in operands {
        if operand.rows != rows && !(operand.rows.is_none() && operand.shape.w == 1) {
            return Err(NodeFault::InputShape(operand.shape));
        }
    }
    if cx.expect(0, first, shape)?.rows != rows {
        return Err(NodeFault::Rows(cx.outputs[0]));
    }
    Ok(())
}

/// How an operand lies along the run of elements that one call gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    /// Every axis has one element so far.
    Unit,
    /// As many elements as the output.
    Whole,
    /// One element for all of the output.
    Repeated,
}

impl Run {
    /// The run with one more axis in front, `None` where it breaks off.
    fn extended(self, size: u32, out: u32) -> Option<Self> {
        match (size == out, self) {
            _ if out == 1 => Some(self),
            (true, Self::Unit | Self::Whole) => Some(Self::Whole),
            (false, Self::Unit | Self::Repeated) => Some(Self::Repeated),
            _ => None,
        }
    }

    fn len(self, out: usize) -> usize {
        if self == Self::Repeated { 1 } else { out }
    }
}

/// Elements from one index of each axis to the next: 0 along an axis on which the operand is repeated.
fn strides(shape: Shape) -> [usize; 3] {
    let [n, h, w, c] = sizes(shape).map(|size| size as usize);
    let unless_one = |size: usize, stride: usize| if size == 1 { 0 } else { stride };
    [unless_one(n, h * w * c), unless_one(h, w * c), unless_one(w, c)]
}

/// Calls `row(a, b, out)` over the tensors of a node that [`check`] has accepted, with the longest runs that the
/// broadcast allows: `a` is as long as `out`, `b` is too or has one value for all.
pub(super) fn rows<A: Pod, B: Pod>(
    io: &mut Io<'_, '_>,
    mut row: impl FnMut(Source<'_, A>, &[B], &mut [A]),
) -> Option<()> {
    let (first, second, output) = (io.input_shape(0), io.input_shape(1), io.output_shape(0));
    let views = io.views()?;
    let a: &[A] = bytemuck::try_cast_slice(views.inputs[0]).ok()?;
    let b: &[B] = bytemuck::try_cast_slice(views.inputs[1]).ok()?;
    let [y, _] = views.outputs;
    let y: &mut [A] = bytemuck::try_cast_slice_mut(y).ok()?;
    if y.is_empty() {
        return Some(());
    }
    // As many axes as possible, from the last, go into one call; the others are looped over.
    let mut outer = sizes(output);
    let (mut run, mut len) = ([Run::Unit; 2], 1);
    for (axis, size) in outer.iter_mut().enumerate().rev() {
        let next = |which: usize, shape: Shape| run[which].extended(sizes(shape)[axis], *size);
        let (Some(a), Some(b)) = (next(0, first), next(1, second)) else { break };
        run = [a, b];
        len *= *size as usize;
        *size = 1;
    }
    let (a_len, b_len) = (run[0].len(len), run[1].len(len));
    let (a_strides, b_strides) = (strides(first), strides(second));
    let mut runs = y.chunks_exact_mut(len);
    let [n, h, w, _] = outer.map(|size| size as usize);
    for (n, h, w) in (0..n).flat_map(|n| (0..h).flat_map(move |h| (0..w).map(move |w| (n, h, w)))) {
        let at = |strides: [usize; 3]| n * strides[0] + h * strides[1] + w * strides[2];
        let out = runs.next()?;
        let b = b.get(at(b_strides)..)?.get(..b_len)?;
        if views.in_place {
            row(Source::InPlace, b, out);
            continue;
        }
        match a.get(at(a_strides)..)?.get(..a_len)? {
            &[value] if len > 1 => {
                out.fill(value);
                row(Source::InPlace, b, out);
            }
            a => row(Source::From(a), b, out),
        }
    }
    Some(())
}

/// Applies `f` to every pair of elements.
pub(super) fn map<A: Pod, B: Pod>(io: &mut Io<'_, '_>, f: impl Fn(A, B) -> A) -> Option<()> {
    rows(io, |a: Source<'_, A>, b: &[B], out: &mut [A]| match (a, b) {
        (Source::InPlace, &[b]) => out.iter_mut().for_each(|x| *x = f(*x, b)),
        (Source::InPlace, b) => out.iter_mut().zip(b).for_each(|(x, &b)| *x = f(*x, b)),
        (Source::From(a), &[b]) => out.iter_mut().zip(a).for_each(|(out, &a)| *out = f(a, b)),
        (Source::From(a), b) => {
            out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (&a, &b))| *out = f(a, b))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_join_axis_by_axis() {
        let shape = |n, h, w, c| Shape { n, h, w, c };
        assert_eq!(joined(shape(1, 4, 1, 3), shape(2, 1, 5, 3)), Some(shape(2, 4, 5, 3)));
        assert_eq!(joined(shape(1, 1, 1, 1), shape(2, 3, 4, 5)), Some(shape(2, 3, 4, 5)));
        assert_eq!(joined(shape(1, 2, 1, 3), shape(1, 3, 1, 3)), None);
    }

    #[test]
    fn a_run_is_whole_or_repeated_but_not_both() {
        let unit = Run::Unit.extended(1, 1);
        assert!(unit == Some(Run::Unit));
        assert!(Run::Unit.extended(1, 4) == Some(Run::Repeated));
        assert!(Run::Repeated.extended(1, 2) == Some(Run::Repeated));
        assert!(Run::Repeated.extended(2, 2).is_none());
        assert!(Run::Whole.extended(1, 2).is_none());
        assert!(Run::Whole.extended(3, 3) == Some(Run::Whole));
    }
}
