//! Softmax.

use super::{Draft, Feature, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::fixed::softmax_table;
use dunlin::format::DataSection;
use dunlin::ops::{Op, Softmax};
use dunlin::quant::QParams;
use dunlin::shape::Shape;

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let many = draw.chance(10);
    let (n, h) = if draw.chance(30) && !many { (2, 2) } else { (1, 1) };
    let channels = if many { draw.pick(&[300, 700, 1500, 4096]) } else { draw.size(1, 40) };
    let shape = Shape::new(n, h, if many { 1 } else { draw.size(1, 4) }, channels);
    let mut input = quant(draw);
    input.scale = draw.pick(&[0.05, 0.2, 1.0 / 256.0, 1.0, 4.0, 31.0, 1e-6]);
    let beta = draw.pick(&[1.0, 1.0, 0.5, 3.0]);
    let scale = f64::from(input.scale);
    let table = softmax_table(scale, beta).expect("the scales above are positive");
    let mut data = DataSection::new();
    let op = Op::Softmax(Softmax { exp: data.push(&table) });
    let output = Operand::int8(shape, QParams { scale: 1.0 / 256.0, zero_point: -128 });
    Draft::unary(op, Operand::int8(shape, input), output, move |x| oracle::softmax(&x, scale, beta, 8))
        .with_data(data)
        .by_rows()
        .feature(Feature::ManyChannels, channels > 256)
}
