//! Padding.

use super::{Draft, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::ops::{Op, Pad};
use dunlin::shape::Shape;

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let shape = Shape::new(draw.size(1, 2), draw.size(1, 4), draw.size(1, 4), draw.size(1, 5));
    let mut border =
        || [0, 1, 2, 3].map(|axis| if axis == 0 { draw.size(0, 1) } else { draw.size(0, 3) } as u16);
    let (before, after) = (border(), border());
    let quant = quant(draw);
    let value = draw.pick(&[quant.zero_point as i8, i8::MIN, i8::MAX, 5]);
    let grown = [shape.n, shape.h, shape.w, shape.c];
    let grown = [0, 1, 2, 3].map(|a| grown[a] + u32::from(before[a]) + u32::from(after[a]));
    let out = Shape::new(grown[0], grown[1], grown[2], grown[3]);
    let op = Op::Pad(Pad { before, after, value });
    Draft::unary(op, Operand::int8(shape, quant), Operand::int8(out, quant), move |x| {
        oracle::pad(&x, before.map(usize::from), after.map(usize::from), i64::from(value))
    })
}
