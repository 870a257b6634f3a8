//! Logarithm of the softmax, division by the norm, and layer normalisation.

use super::{Draft, Feature, Operand, quant, requant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::fixed::log_softmax_constants;
use dunlin::format::DataSection;
use dunlin::ops::{L2Normalize, LayerNorm, LogSoftmax, Op};
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

pub(super) fn layer_norm(draw: &mut Draw<'_>) -> Draft {
    let many = draw.chance(10);
    let channels = if many { draw.pick(&[300, 1025, 4096]) } else { draw.size(1, 70) };
    let (n, h) = if draw.chance(30) && !many { (2, 2) } else { (1, 1) };
    let shape = Shape::new(n, h, if many { 1 } else { draw.size(1, 4) }, channels);
    let (input, output) = (quant(draw), quant(draw));
    let largest = draw.pick(&[32_767, 32_767, 300, 0]);
    let gamma: Vec<i16> = (0..channels).map(|_| draw.range(-largest, largest) as i16).collect();
    let largest = draw.pick(&[1 << 24, 1 << 30, 0]);
    let beta: Vec<i32> = (0..channels).map(|_| draw.range(-largest, largest) as i32).collect();
    // Of one square step per square channel, of none, of far more than any variance.
    let epsilon = draw.pick(&[u64::from(channels).pow(2), 0, 1, 1 << 40, 1 << 62]);
    // About 2^28 to int8.
    let (scale, factor, feature) = requant(draw, 28);
    let affine = oracle::Affine {
        gamma: gamma.iter().map(|&g| i64::from(g)).collect(),
        beta: beta.iter().map(|&b| i64::from(b)).collect(),
        epsilon: i128::from(epsilon),
        factor,
        zero: i64::from(output.zero_point),
    };
    let mut data = DataSection::new();
    let op = LayerNorm { gamma: data.push(&gamma), beta: data.push(&beta), epsilon, scale };
    let (input, output) = (Operand::int8(shape, input), Operand::int8(shape, output));
    let oracle = move |x: oracle::Grid| oracle::layer_norm(&x, &affine);
    let mut draft = Draft::unary(Op::LayerNorm(op), input, output, oracle).with_data(data).by_rows();
    draft.features.extend(feature);
    draft.feature(Feature::ManyChannels, channels > 256)
}
