//! Softmax with 16-bit results.

use super::{Draft, Feature, Operand, quant};
use crate::draw::Draw;
use crate::oracle::{self, Factor};
use dunlin::fixed::softmax_table;
use dunlin::fixed16::{softmax_scale, softmax_tables};
use dunlin::format::DataSection;
use dunlin::ops::{Op, Softmax16, SoftmaxTo16};
use dunlin::quant::QParams;
use dunlin::shape::Shape;

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let many = draw.chance(10);
    let (n, h) = if draw.chance(30) && !many { (2, 2) } else { (1, 1) };
    let channels = if many { draw.pick(&[300, 4096, 1 << 16]) } else { draw.size(1, 40) };
    let shape = Shape::new(n, h, if many { 1 } else { draw.size(1, 4) }, channels);
    let scale = draw.pick(&[10.0 / 65536.0, 0.001, 0.01, 1.0, 4.0, 1e-6, 3e-5]);
    let beta = draw.pick(&[1.0, 1.0, 0.5, 3.0]);
    let factor = softmax_scale(f64::from(scale), beta).expect("the scales above are positive");
    let [exp, reciprocal] = softmax_tables();
    let mut data = DataSection::new();
    let op = Softmax16 { scale: factor, exp: data.push(&exp), reciprocal: data.push(&reciprocal) };
    let factor = Factor { multiplier: i64::from(factor.multiplier), shift: i64::from(factor.shift) };
    let [exp, reciprocal] = [exp, reciprocal].map(|t| t.map(i64::from));
    let output = Operand::int16(shape, 1.0 / 32768.0);
    Draft::unary(Op::Softmax16(op), Operand::int16(shape, scale), output, move |x| {
        oracle::softmax16(&x, factor, &exp, &reciprocal)
    })
    .with_data(data)
    .by_rows()
    .feature(Feature::ManyChannels, channels > 256)
}

pub(super) fn from_int8(draw: &mut Draw<'_>) -> Draft {
    let (n, h) = if draw.chance(30) { (2, 2) } else { (1, 1) };
    let shape = Shape::new(n, h, draw.size(1, 4), draw.size(1, 40));
    let scale: f32 = draw.pick(&[0.05, 0.2, 1.0 / 256.0, 1.0, 4.0, 31.0, 1e-6]);
    let input = QParams { scale, ..quant(draw) };
    let beta = draw.pick(&[1.0, 1.0, 0.5, 3.0]);
    let scale = f64::from(scale);
    let table = softmax_table(scale, beta).expect("the scales above are positive");
    let mut data = DataSection::new();
    let op = Op::SoftmaxTo16(SoftmaxTo16 { exp: data.push(&table) });
    let unit = QParams { scale: 1.0 / 65536.0, zero_point: i16::MIN };
    let output = Operand { quant: unit, ..Operand::int16(shape, 1.0) };
    Draft::unary(op, Operand::int8(shape, input), output, move |x| oracle::softmax(&x, scale, beta, 16))
        .with_data(data)
        .by_rows()
}
