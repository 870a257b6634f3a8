//! Elementwise sum and product of two tensors.

use super::channels::check_requant;
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, ProductParams, Source, SumParams};
use crate::quant::{Clamp, Requant};
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// Elementwise sum, int8, TensorFlow Lite semantics.
///
/// Input 0 has the shape of the output; each size of input 1 is the same or 1 (broadcast). Each input is
/// shifted left by `left_shift`, scaled, summed in 32 bits, scaled to the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Add {
    /// Factor of each input: its scale over twice the larger of the two scales.
    pub inputs: [Requant; 2],
    /// Factor of the sum.
    pub output: Requant,
    /// Bits of precision for the sum; 20 for int8. At most 22, so that an input cannot overflow.
    pub left_shift: u8,
    /// Fused activation.
    pub clamp: Clamp,
}

/// Elementwise product, int8, TensorFlow Lite semantics; shapes as in [`Add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mul {
    /// Factor of the product: input scales multiplied, over the output scale.
    pub output: Requant,
    /// Fused activation.
    pub clamp: Clamp,
}

fn check(cx: &Operands<'_>, clamp: Clamp) -> Result<(), NodeFault> {
    cx.arity(2, 1)?;
    cx.rows_follow()?;
    let a = cx.typed(0, DType::I8)?;
    let b = cx.typed(1, DType::I8)?;
    let (s, t) = (a.shape, b.shape);
    let fits = [(s.n, t.n), (s.h, t.h), (s.w, t.w), (s.c, t.c)].iter().all(|&(a, b)| b == a || b == 1);
    // A bounded operand has the same count as its partner, or is one row for all.
    if !fits || (b.rows != a.rows && !(b.rows.is_none() && (a.rows.is_none() || t.w == 1))) {
        return Err(NodeFault::InputShape(t));
    }
    if clamp.min > clamp.max {
        return Err(NodeFault::Attribute);
    }
    cx.expect(0, DType::I8, s).map(|_| ())
}

/// Calls `row(a, b, out)` over the tensors, with the longest slices that the broadcast allows.
fn run(io: &mut Io<'_, '_>, mut row: impl FnMut(Source<'_>, &[i8], &mut [i8])) -> Option<()> {
    let (shape, broadcast) = (io.input_shape(0), io.input_shape(1));
    let views = io.views()?;
    let [a, b] = views.inputs;
    let (a, b): (&[i8], &[i8]) = (bytemuck::cast_slice(a), bytemuck::cast_slice(b));
    let [y, _] = views.outputs;
    let y: &mut [i8] = bytemuck::cast_slice_mut(y);
    if broadcast == shape {
        row(if views.in_place { Source::InPlace } else { Source::From(a) }, b, y);
        return Some(());
    }
    let c = shape.c as usize;
    let Shape { h, w, .. } = shape;
    let pick = |size: u32, index: usize| if size == 1 { 0 } else { index };
    for (pixel, out) in y.chunks_exact_mut(c).enumerate() {
        let (n, rest) = (pixel / (h as usize * w as usize), pixel % (h as usize * w as usize));
        let (py, px) = (rest / w as usize, rest % w as usize);
        let at = (pick(broadcast.n, n) * broadcast.h as usize + pick(broadcast.h, py)) * broadcast.w as usize
            + pick(broadcast.w, px);
        let b = b.get(at * broadcast.c as usize..)?.get(..broadcast.c as usize)?;
        row(
            if views.in_place { Source::InPlace } else { Source::From(a.get(pixel * c..)?.get(..c)?) },
            b,
            out,
        );
    }
    Some(())
}

impl Operator for Add {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check(cx, self.clamp)?;
        for factor in [self.inputs[0], self.inputs[1], self.output] {
            check_requant(factor)?;
        }
        if self.left_shift > 22 { Err(NodeFault::Attribute) } else { Ok(()) }
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let zero = |i: usize| i32::from(io.operands.input(i).quant.zero_point);
        let p = SumParams {
            zero: [zero(0), zero(1)],
            scale: self.inputs,
            left_shift: u32::from(self.left_shift),
            output: self.output,
            output_zero: i32::from(io.operands.output(0).quant.zero_point),
            clamp: self.clamp,
        };
        run(io, |a, b, out| I::add(&p, a, b, out))
    }
}

impl Operator for Mul {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        check(cx, self.clamp)?;
        check_requant(self.output)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let zero = |i: usize| i32::from(io.operands.input(i).quant.zero_point);
        let p = ProductParams {
            zero: [zero(0), zero(1)],
            output: self.output,
            output_zero: i32::from(io.operands.output(0).quant.zero_point),
            clamp: self.clamp,
        };
        run(io, |a, b, out| I::mul(&p, a, b, out))
    }
}
