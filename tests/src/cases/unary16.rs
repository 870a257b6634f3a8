//! Functions of one 16-bit value.

use super::{Draft, Feature, Operand, clamp16, requant_to};
use crate::draw::Draw;
use crate::oracle::{self, Grid};
use dunlin::fixed16::{SIGMOID_ENTRIES, SigmoidScale, TABLE_ENTRIES, sigmoid_table, table};
use dunlin::format::DataSection;
use dunlin::ops::{Logistic16, Lut16, Op, Rectify16, Rsqrt16, Tanh16};
use dunlin::quant::Clamp16;
use dunlin::shape::Shape;

/// Scale of outputs in -1 to 1.
const UNIT: f32 = 1.0 / 32768.0;

fn shape(draw: &mut Draw<'_>) -> Shape {
    let (n, h) = if draw.chance(30) { (2, 3) } else { (1, 1) };
    Shape::new(n, h, draw.size(1, 7), draw.size(1, 9))
}

fn draft(op: Op, shape: Shape, scales: [f32; 2], oracle: impl Fn(Grid) -> Grid + 'static) -> Draft {
    Draft::unary(op, Operand::int16(shape, scales[0]), Operand::int16(shape, scales[1]), oracle).by_rows()
}

pub(super) fn rectify(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    let (positive, negative) = (requant_to(draw, 0, 30), requant_to(draw, 0, 30));
    let (flip, clamp) = ([draw.chance(20), draw.chance(40)], clamp16(draw));
    let op = Op::Rectify16(Rectify16 { scale: [positive.0, negative.0], flip, clamp });
    let range = [i64::from(clamp.min), i64::from(clamp.max)];
    let output = draw.pick(&[0.01, 0.02]);
    let mut draft =
        draft(op, shape, [0.01, output], move |x| oracle::rectify(&x, [positive.1, negative.1], flip, range));
    draft.features = [positive.2, negative.2].into_iter().flatten().collect();
    draft.feature(Feature::Activation, clamp != Clamp16::FULL)
}

/// Scaling and table of a sigmoid: mostly the reference's, sometimes any.
fn sigmoid(draw: &mut Draw<'_>, of: fn(f32) -> Option<SigmoidScale>) -> (SigmoidScale, Vec<u16>, f32) {
    let scale = draw.pick(&[1.0 / 4096.0, 1.0 / 2048.0, 0.001, 0.0003, UNIT, 0.01, 2.5, 40.0]);
    let mut scaling = of(scale).expect("a positive scale");
    let mut table = sigmoid_table().to_vec();
    if draw.chance(20) {
        scaling.multiplier = draw.range(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
        scaling.shift = draw.size(0, 31) as u8;
    }
    if draw.chance(15) {
        table = draw.words(SIGMOID_ENTRIES).into_iter().map(|v| v as u16).collect();
    }
    (scaling, table, if draw.chance(50) { scale } else { UNIT })
}

pub(super) fn logistic(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    let (SigmoidScale { multiplier, shift }, table, scale) = sigmoid(draw, SigmoidScale::logistic);
    let mut data = DataSection::new();
    let op = Op::Logistic16(Logistic16 { multiplier, shift, table: data.push(&table) });
    let table: Vec<i64> = table.into_iter().map(i64::from).collect();
    draft(op, shape, [scale, UNIT], move |x| {
        oracle::logistic16(&x, &table, i64::from(multiplier), u32::from(shift))
    })
    .with_data(data)
}

pub(super) fn tanh(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    let (SigmoidScale { multiplier, shift }, table, scale) = sigmoid(draw, SigmoidScale::tanh);
    let mut data = DataSection::new();
    let op = Op::Tanh16(Tanh16 { multiplier, shift, table: data.push(&table) });
    let table: Vec<i64> = table.into_iter().map(i64::from).collect();
    draft(op, shape, [scale, UNIT], move |x| {
        oracle::tanh16(&x, &table, i64::from(multiplier), u32::from(shift))
    })
    .with_data(data)
}

pub(super) fn lut(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    let table = match draw.chance(50) {
        true => table(0.001, 0, 0.002, |x| (x * 0.3).sin() * 60.0).to_vec(),
        false => draw.words(TABLE_ENTRIES),
    };
    let output = draw.pick(&[0.001, 0.002]);
    let mut data = DataSection::new();
    let op = Op::Lut16(Lut16 { table: data.push(&table) });
    let table: Vec<i64> = table.into_iter().map(i64::from).collect();
    draft(op, shape, [0.001, output], move |x| oracle::interpolate(&x, &table)).with_data(data)
}

pub(super) fn rsqrt(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    // Roots of 16-bit values have 13 to 20 bits.
    let (scale, factor, feature) = requant_to(draw, -5, 30);
    let output = draw.pick(&[0.01, 0.02]);
    let op = Op::Rsqrt16(Rsqrt16 { scale });
    let mut draft = draft(op, shape, [0.01, output], move |x| oracle::rsqrt16(&x, factor));
    draft.features = feature.into_iter().collect();
    draft
}
