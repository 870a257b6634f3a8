//! Index of the largest channel.

use super::{Draft, Feature, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::ops::{ArgMax, Op};
use dunlin::shape::Shape;

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let (n, h) = if draw.chance(30) { (2, 3) } else { (1, 1) };
    let shape = Shape::new(n, h, draw.size(1, 7), draw.pick(&[1, 2, 5, 11, 100, 256]));
    let input = match draw.chance(30) {
        true => Operand::int16(shape, 0.01),
        false => Operand::int8(shape, quant(draw)),
    };
    Draft::unary(Op::ArgMax(ArgMax {}), input, Operand::uint8(shape.with_c(1)), |x| oracle::argmax(&x))
        .by_rows()
        // Two hundred and fifty-six channels of few values cannot all differ.
        .feature(Feature::Ties, shape.c >= 100)
}
