//! Logarithm of the softmax, and division by the norm.

use super::{Draft, Feature, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::fixed::log_softmax_constants;
use dunlin::format::DataSection;
use dunlin::ops::{L2Normalize, LogSoftmax, Op};
use dunlin::quant::QParams;
use dunlin::shape::Shape;

pub(super) fn log_softmax(draw: &mut Draw<'_>) -> Draft {
    let many = draw.chance(10);
    let (n, h) = if draw.chance(30) && !many { (2, 2) } else { (1, 1) };
    let channels = if many { draw.pick(&[300, 700, 4095]) } else { draw.size(1, 40) };
    let shape = Shape::new(n, h, if many { 1 } else { draw.size(1, 4) }, channels);
    let mut input = quant(draw);
    input.scale = draw.pick(&[0.05, 0.2, 1.0 / 256.0, 1.0, 4.0, 31.0, 1e-6]);
    let scale = f64::from(input.scale);
    let constants = log_softmax_constants(scale).expect("the scales above are large enough");
    let mut data = DataSection::new();
    let op = Op::LogSoftmax(LogSoftmax {
        exp: data.push(&constants.exp),
        difference: data.push(&constants.difference),
        reverse: constants.reverse,
        radius: constants.radius,
    });
    let output = Operand::int8(shape, QParams { scale: 1.0 / 16.0, zero_point: 127 });
    Draft::unary(op, Operand::int8(shape, input), output, move |x| oracle::log_softmax(&x, scale))
        .with_data(data)
        .by_rows()
        .feature(Feature::ManyChannels, channels > 256)
}

pub(super) fn l2_normalize(draw: &mut Draw<'_>) -> Draft {
    let many = draw.chance(10);
    let channels = if many { draw.pick(&[300, 33_025]) } else { draw.size(1, 40) };
    let (n, h) = if draw.chance(30) && !many { (2, 2) } else { (1, 1) };
    let shape = Shape::new(n, h, if many { 1 } else { draw.size(1, 4) }, channels);
    let input = quant(draw);
    let zero = i64::from(input.zero_point);
    let output = Operand::int8(shape, QParams { scale: 1.0 / 128.0, zero_point: 0 });
    let value_first = draw.chance(40);
    let op = Op::L2Normalize(L2Normalize { value_first });
    let input = Operand::int8(shape, input);
    Draft::unary(op, input, output, move |x| oracle::l2_normalize(&x, zero, value_first)).by_rows()
}
