//! Fully connected layer.

use super::layer::{Drawn, layer};
use super::{Draft, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::ops::{Dense, Op};
use dunlin::shape::Shape;

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let (n, h) = if draw.chance(25) { (2, 3) } else { (1, 1) };
    let shape = Shape::new(n, h, draw.size(1, 6), draw.pick(&[1, 5, 16, 33, 100, 640]));
    let channels = draw.big(12);
    let (input, output) = (quant(draw), quant(draw));
    let taps = shape.c as usize;
    let zeros = [input.zero_point, output.zero_point];
    let Drawn { filter, layer, data, features, .. } =
        layer(draw, channels, taps * channels as usize, taps, zeros, false);
    let op = Op::Dense(Dense { filter });
    let output = Operand::int8(shape.with_c(channels), output);
    let mut draft = Draft::unary(op, Operand::int8(shape, input), output, move |x| {
        oracle::dense(&x, &layer, channels as usize)
    });
    draft.features = features;
    draft.with_data(data).by_rows()
}
