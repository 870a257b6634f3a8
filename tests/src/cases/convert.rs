//! Changes of scale and type.

use super::{Draft, Feature, Operand, quant, requant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::ops::{Dequantize, Op, Quantize, Requantize};
use dunlin::shape::Shape;

fn shape(draw: &mut Draw<'_>) -> Shape {
    let (n, h) = if draw.chance(30) { (2, 3) } else { (1, 1) };
    Shape::new(n, h, draw.size(1, 7), draw.size(1, 9))
}

pub(super) fn requantize(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    let input = quant(draw);
    let output = if draw.chance(50) { input } else { quant(draw) };
    let (scale, factor, feature) = requant(draw, 7);
    let zeros = [i64::from(input.zero_point), i64::from(output.zero_point)];
    let op = Op::Requantize(Requantize { scale });
    let mut draft = Draft::unary(op, Operand::int8(shape, input), Operand::int8(shape, output), move |x| {
        oracle::requantize(&x, zeros[0], factor, zeros[1])
    });
    draft.features.extend(feature);
    draft.by_rows()
}

pub(super) fn quantize(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    let output = quant(draw);
    let mut input = Operand::real(shape);
    // The values of the runs are spread over steps of this size.
    input.quant.scale = output.scale;
    let zero = i64::from(output.zero_point);
    Draft::new(Op::Quantize(Quantize {}), vec![input], vec![Operand::int8(shape, output)], move |bytes, _| {
        let reals = bytes[0].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        vec![reals.map(|real| oracle::quantize(real, output.scale, zero) as u8).collect()]
    })
    .by_rows()
    .feature(Feature::OddReal, true)
}

pub(super) fn dequantize(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    let input = quant(draw);
    let zero = i64::from(input.zero_point);
    let op = Op::Dequantize(Dequantize {});
    Draft::new(op, vec![Operand::int8(shape, input)], vec![Operand::real(shape)], move |bytes, _| {
        let real = |&b: &u8| oracle::dequantize(i64::from(b as i8), input.scale, zero).to_le_bytes();
        vec![bytes[0].iter().flat_map(real).collect()]
    })
    .by_rows()
}
