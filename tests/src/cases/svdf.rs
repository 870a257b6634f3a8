//! Singular value decomposition filter.

use super::{Draft, Feature, Operand, clamp, quant, requant};
use crate::draw::Draw;
use crate::oracle::{Filters, Grid};
use dunlin::format::{DType, DataSection};
use dunlin::ops::{Op, Svdf};
use dunlin::quant::{Clamp, QParams};
use dunlin::shape::Shape;

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let n = if draw.chance(25) { draw.size(2, 3) } else { 1 };
    let input = Shape::new(n, 1, draw.size(1, 5), draw.size(1, 9));
    let (units, rank, memory) = (draw.size(1, 4), draw.size(1, 3), draw.size(1, 6));
    let filters = units * rank;
    let wide = !draw.chance(40);
    let (given, made) = (quant(draw), quant(draw));
    let kept = if wide { QParams { zero_point: 0, ..quant(draw) } } else { quant(draw) };
    let features = draw.bytes((filters * input.c) as usize);
    // Small weights in time are the usual ones; large ones wrap the sum.
    let time: Vec<i8> = draw.bytes((filters * memory) as usize);
    let stretch = if wide { draw.pick(&[1, 100, 255]) } else { 1 };
    let time: Vec<i16> = time.iter().map(|&t| i16::from(t) * stretch).collect();
    let bias: Vec<i32> = (0..units).map(|_| draw.range(-40_000, 40_000) as i32).collect();
    let (kept_bits, sum_bits) = if wide { (14, 22) } else { (7, 14) };
    let state = requant(draw, 13 - kept_bits + 7);
    let output = requant(draw, sum_bits);
    let clamp = clamp(draw);
    let mut data = DataSection::new();
    let op = Svdf {
        features: data.push(&features),
        time: match wide {
            true => data.push(&time),
            false => data.push(&time.iter().map(|&t| t as i8).collect::<Vec<_>>()),
        },
        bias: data.push(&bias),
        rank: rank as u16,
        state: state.0,
        output: output.0,
        clamp,
    };
    let filter = Filters {
        features: features.iter().map(|&w| i64::from(w)).collect(),
        time: time.iter().map(|&w| i64::from(w)).collect(),
        bias: bias.iter().map(|&b| i64::from(b)).collect(),
        factors: [state.1, output.1],
        zeros: [given, kept, made].map(|q| i64::from(q.zero_point)),
        state_range: if wide { [-32_768, 32_767] } else { [-128, 127] },
        range: [i64::from(clamp.min), i64::from(clamp.max)],
    };
    let dtype = if wide { DType::I16 } else { DType::I8 };
    let shape = Shape::new(n, 1, filters, memory);
    let inputs = vec![Operand::int8(input, given), Operand { dtype, ..Operand::int8(shape, kept) }.kept()];
    let outputs = vec![Operand::int8(input.with_c(units), made)];
    let oracle = move |bytes: &[Vec<u8>], counts: &[u32]| {
        let rows = counts[0];
        let x = Grid::from_i8([n as usize, 1, rows as usize, input.c as usize], &bytes[0]);
        let size = [n, 1, filters, memory].map(|d| d as usize);
        let state = if wide { Grid::from_i16(size, &bytes[1]) } else { Grid::from_i8(size, &bytes[1]) };
        let [y, state] = filter.run(&x, &state);
        vec![y.to_bytes(), if wide { state.to_i16_bytes() } else { state.to_bytes() }]
    };
    let mut draft = Draft::new(Op::Svdf(op), inputs, outputs, oracle).with_data(data).by_rows();
    draft.features = [state.2, output.2].into_iter().flatten().collect();
    draft.feature(Feature::Activation, clamp != Clamp::FULL)
}
