//! Table lookup.

use super::{Draft, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::format::DataSection;
use dunlin::ops::{Lut, Op};
use dunlin::shape::Shape;

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let (n, h) = if draw.chance(30) { (2, 3) } else { (1, 1) };
    let shape = Shape::new(n, h, draw.size(1, 7), draw.size(1, 9));
    let input = quant(draw);
    let output = if draw.chance(50) { input } else { quant(draw) };
    let table = draw.bytes(256);
    let mut data = DataSection::new();
    let op = Op::Lut(Lut { table: data.push(&table) });
    let table: Vec<i64> = table.into_iter().map(i64::from).collect();
    Draft::unary(op, Operand::int8(shape, input), Operand::int8(shape, output), move |x| {
        oracle::lookup(&x, &table)
    })
    .with_data(data)
    .by_rows()
}
