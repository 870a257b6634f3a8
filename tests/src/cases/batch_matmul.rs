//! Matricess of matrices.

use super::{Draft, Feature, Operand, quant, requant};
use crate::draw::Draw;
use crate::oracle::{Grid, Matrices, batch_matmul};
use dunlin::format::DType;
use dunlin::ops::{BatchMatMul, BatchMatMul16, Op};
use dunlin::quant::{QParams, Requant};
use dunlin::shape::Shape;

fn draft(draw: &mut Draw<'_>, wide: bool) -> Draft {
    let [m, k, c] = [(); 3].map(|()| draw.size(1, 6));
    let (n, h) = if draw.chance(60) { (draw.size(1, 3), draw.size(1, 3)) } else { (1, 1) };
    let keep = |size: u32, draw: &mut Draw<'_>| if draw.chance(70) { size } else { 1 };
    let batches = [(); 2].map(|()| (keep(n, draw), keep(h, draw)));
    let transpose = [draw.chance(40), draw.chance(50)];
    let shape = |i: usize, rows: u32, columns: u32| {
        let [w, c] = if transpose[i] { [columns, rows] } else { [rows, columns] };
        Shape::new(batches[i].0, batches[i].1, w, c)
    };
    let shapes = [shape(0, m, k), shape(1, k, c)];
    let result = Shape::new(batches[0].0.max(batches[1].0), batches[0].1.max(batches[1].1), m, c);
    let mut quants = [(); 3].map(|()| quant(draw));
    if wide {
        quants = quants.map(|q| QParams { zero_point: 0, ..q });
    }
    // Matricess of 16 bits are some 2^28, of which 15 are kept.
    let (mut output, mut factor, feature) = requant(draw, if wide { 20 } else { 13 });
    if wide {
        output.shift = output.shift.min(Requant::WIDE_SHIFT);
        factor.shift = i64::from(output.shift);
    }
    let [zero_a, zero_b, output_zero] = quants.map(|q| i64::from(q.zero_point));
    let p = Matrices { transpose, zeros: [zero_a, zero_b], factor, output_zero, wide };
    let [transpose_a, transpose_b] = transpose;
    let op = match wide {
        true => Op::BatchMatMul16(BatchMatMul16 { output, transpose_a, transpose_b }),
        false => Op::BatchMatMul(BatchMatMul { output, transpose_a, transpose_b }),
    };
    let dtype = if wide { DType::I16 } else { DType::I8 };
    let operand = |shape: Shape, quant: QParams| Operand { dtype, ..Operand::int8(shape, quant) };
    let inputs = vec![operand(shapes[0], quants[0]), operand(shapes[1], quants[1])];
    let oracle = move |bytes: &[Vec<u8>], _: &[u32]| {
        let value = |i: usize| {
            let Shape { n, h, w, c } = shapes[i];
            let size = [n, h, w, c].map(|d| d as usize);
            if wide { Grid::from_i16(size, &bytes[i]) } else { Grid::from_i8(size, &bytes[i]) }
        };
        let y = batch_matmul(&value(0), &value(1), &p);
        vec![if wide { y.to_i16_bytes() } else { y.to_bytes() }]
    };
    let mut draft = Draft::new(op, inputs, vec![operand(result, quants[2])], oracle);
    draft.features.extend(feature);
    draft.may_repeat = shapes[0] == shapes[1] && quants[0] == quants[1];
    draft.feature(Feature::Broadcast, batches[0] != batches[1])
}

pub(super) fn int8(draw: &mut Draw<'_>) -> Draft {
    draft(draw, false)
}

pub(super) fn int16(draw: &mut Draw<'_>) -> Draft {
    draft(draw, true)
}
