//! Concatenation.

use super::{Draft, Operand, quant};
use crate::draw::Draw;
use crate::oracle::{self, Grid};
use dunlin::ops::{Axis, Concat, Op};
use dunlin::quant::QParams;
use dunlin::shape::Shape;

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let by_rows = draw.chance(30);
    let axis = if by_rows { 3 } else { draw.range(0, 3) as usize };
    let base = match by_rows {
        true => [1, 1, draw.size(1, 5), draw.size(1, 5)],
        false => [draw.size(1, 2), draw.size(1, 4), draw.size(1, 4), draw.size(1, 5)],
    };
    let count = draw.pick(&[2, 2, 3, 1, 5]);
    // Positions and labels are joined as activations are.
    let (signed, quant) = if draw.chance(75) { (true, quant(draw)) } else { (false, QParams::UNIT) };
    let operand = |s: [u32; 4]| {
        let shape = Shape::new(s[0], s[1], s[2], s[3]);
        if signed { Operand::int8(shape, quant) } else { Operand::uint8(shape) }
    };
    let sizes: Vec<[u32; 4]> = (0..count)
        .map(|i| {
            let mut size = base;
            if i > 0 {
                size[axis] = draw.size(1, 5);
            }
            size
        })
        .collect();
    let mut total = base;
    total[axis] = sizes.iter().map(|s| s[axis]).sum();
    let op = Op::Concat(Concat { axis: [Axis::N, Axis::H, Axis::W, Axis::C][axis] });
    let inputs = sizes.iter().map(|&s| operand(s)).collect();
    let mut draft = Draft::new(op, inputs, vec![operand(total)], move |bytes, counts| {
        let rows = counts[0];
        let grids: Vec<Grid> = sizes
            .iter()
            .zip(bytes)
            .map(|(&s, bytes)| {
                let mut size = s.map(|d| d as usize);
                if by_rows {
                    size[2] = rows as usize;
                }
                if signed { Grid::from_i8(size, bytes) } else { Grid::from_u8(size, bytes) }
            })
            .collect();
        vec![oracle::concat(&grids, axis).to_bytes()]
    });
    draft.by_rows = by_rows;
    draft
}
