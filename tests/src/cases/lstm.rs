//! Long short-term memory.

use super::{Draft, Feature, Operand, quant, requant};
use crate::draw::Draw;
use crate::oracle::{Factor, Gate, Grid, Memory};
use dunlin::fixed16::sigmoid_table;
use dunlin::format::{DType, DataSection};
use dunlin::ops::{CellFunction, Lstm, Lstm16x8, LstmCell, Op};
use dunlin::quant::{QParams, Requant};
use dunlin::shape::Shape;

/// A factor for sums of about `2^bits` that leaves about `2^kept`; wide factors have small shifts.
fn factor(draw: &mut Draw<'_>, bits: i64, kept: i64, wide: bool) -> (Requant, Factor, Option<Feature>) {
    let (mut requant, mut factor, feature) = requant(draw, bits - kept + 7);
    if wide {
        requant.shift = requant.shift.min(Requant::WIDE_SHIFT);
        factor.shift = i64::from(requant.shift);
    }
    (requant, factor, feature)
}

fn cell(
    draw: &mut Draw<'_>,
    wide: bool,
    inputs: u32,
    units: u32,
    zeros: [i64; 2],
) -> (LstmCell, Memory, DataSection, Vec<Feature>) {
    let (i, u) = (inputs as usize, units as usize);
    let mut features = Vec::new();
    let mut factors = Vec::new();
    let mut add = |drawn: (Requant, Factor, Option<Feature>)| {
        features.extend(drawn.2);
        factors.extend([drawn.0.multiplier, i32::from(drawn.0.shift)]);
        drawn.1
    };
    // Weights of about 2^6, inputs of about 2^7 or 2^14.
    let product = if wide { 20 } else { 13 };
    let mut gates = Vec::new();
    let (mut weights, mut recurrent, mut bias) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..4 {
        let (w, r) = (draw.bytes(i * u), draw.bytes(u * u));
        let room = (1i64 << 47) - (i64::from(inputs) << 22);
        let b: Vec<i64> = (0..u)
            .map(|_| match draw.range(0, 9) {
                9 if wide => draw.pick(&[room, -room]),
                9 => (i64::from(i32::MAX) - i64::from(inputs) * 255 * 128) * draw.pick(&[1, -1]),
                _ => draw.range(-40_000, 40_000) * if wide { 128 } else { 1 },
            })
            .collect();
        let pair = [(); 2].map(|()| add(factor(draw, product, 13, wide)));
        let long = |values: &[i8]| values.iter().map(|&v| i64::from(v)).collect();
        gates.push(Gate { weights: long(&w), recurrent: long(&r), bias: b.clone(), factors: pair });
        weights.extend(w);
        recurrent.extend(r);
        bias.extend(b);
    }
    // Forget gate and cell have 2^15 and some 2^13, the squashed products 2^30; activations 2^7 or 2^15.
    let last = [(28, 13), (30, 13), (30, if wide { 15 } else { 7 })];
    let last = last.map(|(bits, kept)| add(factor(draw, bits, kept, false)));
    let power = draw.pick(&[-12, -11, -13, -15, -9, 2, -28]);
    let clip = draw.chance(40).then(|| draw.pick(&[10_000, 32_767, 0, 1_000]));
    let tanh = !draw.chance(20);
    let mut data = DataSection::new();
    let bias_blob = match wide {
        true => data.push(&bias),
        false => data.push(&bias.iter().map(|&b| b as i32).collect::<Vec<_>>()),
    };
    let cell = LstmCell {
        weights: data.push(&weights),
        recurrent: data.push(&recurrent),
        bias: bias_blob,
        factors: data.push(&factors),
        sigmoid: data.push(&sigmoid_table()),
        cell_gate: if tanh { CellFunction::Tanh } else { CellFunction::Logistic },
        cell_power: power,
        cell_clip: clip,
        reset: draw.chance(30),
    };
    let memory = Memory {
        gates: gates.try_into().expect("four gates"),
        factors: last,
        table: sigmoid_table().map(i64::from).to_vec(),
        tanh,
        power: i64::from(power),
        clip: clip.map(i64::from),
        zeros,
        range: if wide { [-32_768, 32_767] } else { [-128, 127] },
        wide,
    };
    (cell, memory, data, features)
}

fn draft(draw: &mut Draw<'_>, wide: bool) -> Draft {
    let n = if draw.chance(25) { draw.size(2, 3) } else { 1 };
    let input = Shape::new(n, 1, draw.size(1, 5), draw.size(1, 9));
    let units = draw.size(1, 6);
    let (mut given, mut kept) = (quant(draw), quant(draw));
    if wide {
        [given, kept] = [given, kept].map(|q| QParams { zero_point: 0, ..q });
    }
    let zeros = [given, kept].map(|q| i64::from(q.zero_point));
    let (cell, memory, data, features) = cell(draw, wide, input.c, units, zeros);
    let dtype = if wide { DType::I16 } else { DType::I8 };
    let operand = |shape: Shape, quant: QParams| Operand { dtype, ..Operand::int8(shape, quant) };
    let state = Shape::new(n, 1, 1, units);
    let operands =
        vec![operand(input, given), operand(state, kept).kept(), Operand::int16(state, 1.0 / 4096.0).kept()];
    let output = operand(input.with_c(units), kept);
    let op = if wide { Op::Lstm16x8(Lstm16x8 { cell }) } else { Op::Lstm(Lstm { cell }) };
    let oracle = move |bytes: &[Vec<u8>], counts: &[u32]| {
        let rows = counts[0];
        let size = [n as usize, 1, 1, units as usize];
        let values = |size: [usize; 4], bytes: &[u8]| {
            if wide { Grid::from_i16(size, bytes) } else { Grid::from_i8(size, bytes) }
        };
        let bytes_of = |grid: &Grid| if wide { grid.to_i16_bytes() } else { grid.to_bytes() };
        let x = values([n as usize, 1, rows as usize, input.c as usize], &bytes[0]);
        let (mut hidden, mut state) = (values(size, &bytes[1]), Grid::from_i16(size, &bytes[2]));
        if cell.reset {
            hidden.data.fill(zeros[1]);
            state.data.fill(0);
        }
        let [y, hidden, state] = memory.run(&x, &hidden, &state);
        vec![bytes_of(&y), bytes_of(&hidden), state.to_i16_bytes()]
    };
    let mut draft = Draft::new(op, operands, vec![output], oracle).with_data(data).by_rows();
    draft.features = features;
    draft
}

pub(super) fn int8(draw: &mut Draw<'_>) -> Draft {
    draft(draw, false)
}

pub(super) fn int16(draw: &mut Draw<'_>) -> Draft {
    draft(draw, true)
}
