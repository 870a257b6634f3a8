//! Another shape of the same elements.

use super::{Draft, Operand, quant};
use crate::draw::Draw;
use crate::oracle::Grid;
use dunlin::format::DType;
use dunlin::ops::{Op, Reshape};
use dunlin::shape::Shape;

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let [a, b, c, d] = [draw.size(1, 4), draw.size(1, 4), draw.size(1, 4), draw.size(1, 4)];
    let shape = Shape::new(a, b, c, d);
    let options =
        [shape, Shape::new(1, 1, 1, a * b * c * d), Shape::new(1, a * b, c, d), Shape::new(d, c, b, a)];
    let out = draw.pick(&options);
    let op = Op::Reshape(Reshape {});
    if draw.chance(20) {
        return Draft::new(op, vec![Operand::real(shape)], vec![Operand::real(out)], |bytes, _| {
            bytes.to_vec()
        });
    }
    let dtype = draw.pick(&[DType::I8, DType::U8]);
    let quant = if dtype == DType::I8 { quant(draw) } else { dunlin::quant::QParams::UNIT };
    let operand = |shape| Operand { dtype, ..Operand::int8(shape, quant) };
    Draft::unary(op, operand(shape), operand(out), move |x| Grid {
        size: [out.n, out.h, out.w, out.c].map(|d| d as usize),
        ..x
    })
}
