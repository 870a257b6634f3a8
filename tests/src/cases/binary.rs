//! Elementwise operators of two tensors.

use super::{Draft, Feature, Operand, clamp, quant, requant};
use crate::draw::Draw;
use crate::oracle::{self, Alignment, Grid, Product, Sum};
use dunlin::format::DType;
use dunlin::ops::{Add, Add16, Div, MinMax, Mul, Mul16, Op, PRelu, SquaredDifference, Sub, Sub16};
use dunlin::quant::{Clamp, Clamp16, QParams, Requant};
use dunlin::shape::Shape;

/// Operands and output before the operator is known.
struct Pair {
    shapes: [Shape; 3],
    quants: [QParams; 3],
    types: [DType; 2],
    features: Vec<Feature>,
}

/// Scale and zero point of a tensor of this type.
fn quant_of(dtype: DType, draw: &mut Draw<'_>) -> QParams {
    let q = quant(draw);
    if dtype == DType::I8 { q } else { QParams { zero_point: 0, ..q } }
}

/// The values in `bytes`.
fn grid(dtype: DType, size: [usize; 4], bytes: &[u8]) -> Grid {
    match dtype {
        DType::I8 => Grid::from_i8(size, bytes),
        DType::I16 => Grid::from_i16(size, bytes),
        _ => Grid::from_i32(size, bytes),
    }
}

fn range_of(dtype: DType) -> [i64; 2] {
    match dtype {
        DType::I8 => [-128, 127],
        DType::I16 => [-32_768, 32_767],
        _ => [i64::from(i32::MIN), i64::from(i32::MAX)],
    }
}

impl Pair {
    fn draw(draw: &mut Draw<'_>, first: DType, second: DType) -> Self {
        let (n, h) = if draw.chance(40) { (draw.size(1, 2), draw.size(1, 3)) } else { (1, 1) };
        let shape = Shape::new(n, h, draw.size(1, 6), draw.size(1, 9));
        let keep = |size: u32, draw: &mut Draw<'_>| if draw.chance(50) { size } else { 1 };
        let part = |draw: &mut Draw<'_>| {
            Shape::new(keep(n, draw), keep(h, draw), keep(shape.w, draw), keep(shape.c, draw))
        };
        let mut shapes = [shape, shape, shape];
        match draw.range(0, 9) {
            0..=4 => {}
            5..=7 => shapes[1] = part(draw),
            8 => shapes[0] = part(draw),
            _ => shapes = [part(draw), part(draw), shape],
        }
        // Where both have one element of an axis, so has the output.
        let larger = |f: fn(Shape) -> u32| f(shapes[0]).max(f(shapes[1]));
        shapes[2] = Shape::new(larger(|s| s.n), larger(|s| s.h), larger(|s| s.w), larger(|s| s.c));
        let input = quant_of(first, draw);
        // An accumulator that is updated in place has one scale for input and output.
        let output = if draw.chance(50) { input } else { quant_of(first, draw) };
        let mut quants = [input, quant_of(second, draw), output];
        if first == second && draw.chance(30) {
            quants[1] = quants[0];
        }
        Self { shapes, quants, types: [first, second], features: Vec::new() }
    }

    fn zeros(&self) -> [i64; 2] {
        [0, 1].map(|i| i64::from(self.quants[i].zero_point))
    }

    fn output_zero(&self) -> i64 {
        i64::from(self.quants[2].zero_point)
    }

    /// Draws the constants of a sum, for inputs that have so many bits and are shifted by one of these.
    fn sum(
        &mut self,
        draw: &mut Draw<'_>,
        bits: i64,
        shifts: &[i64],
        range: [i64; 2],
    ) -> ([Requant; 3], u8, Sum) {
        let left_shift = draw.pick(shifts);
        let (a, b) = (requant(draw, 6), requant(draw, 6));
        let output = requant(draw, bits + left_shift);
        self.features.extend([a.2, b.2, output.2].into_iter().flatten());
        let aligned = Alignment { zero: self.zeros(), inputs: [a.1, b.1], left_shift: left_shift as u32 };
        let sum = Sum { aligned, output: output.1, output_zero: self.output_zero(), range };
        ([a.0, b.0, output.0], left_shift as u8, sum)
    }

    fn product(&mut self, draw: &mut Draw<'_>, bits: i64, range: [i64; 2]) -> (Requant, Product) {
        let (output, factor, feature) = requant(draw, bits);
        self.features.extend(feature);
        let p = Product { zero: self.zeros(), output: factor, output_zero: self.output_zero(), range };
        (output, p)
    }

    fn draft(self, op: Op, oracle: impl Fn(&Grid, &Grid) -> Grid + 'static) -> Draft {
        let Self { shapes, quants, types, features } = self;
        let operand = |i: usize, dtype: DType| Operand { dtype, ..Operand::int8(shapes[i], quants[i]) };
        let inputs = vec![operand(0, types[0]), operand(1, types[1])];
        let mut draft = Draft::new(op, inputs, vec![operand(2, types[0])], move |bytes, counts| {
            let rows = counts[0];
            let size = |s: Shape| {
                // Bounded operands have as many rows as the first, or one row for all.
                let w = if s.w == shapes[0].w { rows } else { s.w };
                [s.n, s.h, w, s.c].map(|d| d as usize)
            };
            let input = |i: usize| grid(types[i], size(shapes[i]), &bytes[i]);
            let y = oracle(&input(0), &input(1));
            vec![match types[0] {
                DType::I8 => y.to_bytes(),
                DType::I16 => y.to_i16_bytes(),
                _ => y.to_i32_bytes(),
            }]
        });
        draft.may_repeat = shapes[0] == shapes[1] && quants[0] == quants[1] && types[0] == types[1];
        draft.features = features;
        draft.by_rows = shapes[2].n == 1 && shapes[2].h == 1 && shapes[0].w == shapes[2].w;
        draft
            .feature(Feature::Broadcast, shapes[1] != shapes[2])
            .feature(Feature::BroadcastFirst, shapes[0] != shapes[2])
    }
}

fn clamp16(draw: &mut Draw<'_>) -> Clamp16 {
    let Clamp { min, max } = clamp(draw);
    let end = |value: i8, end: i8, full: i16| if value == end { full } else { i16::from(value) * 200 };
    Clamp16 { min: end(min, i8::MIN, i16::MIN), max: end(max, i8::MAX, i16::MAX) }
}

pub(super) fn add(draw: &mut Draw<'_>) -> Draft {
    let mut pair = Pair::draw(draw, DType::I8, DType::I8);
    let clamp = clamp(draw);
    let ([a, b, output], left_shift, p) = pair.sum(draw, 7, &[20, 20, 20, 22, 0, 7], of(clamp));
    let op = Op::Add(Add { inputs: [a, b], output, left_shift, clamp });
    pair.draft(op, move |a, b| oracle::add(a, b, &p)).feature(Feature::Activation, clamp != Clamp::FULL)
}

fn of(clamp: Clamp) -> [i64; 2] {
    [i64::from(clamp.min), i64::from(clamp.max)]
}

fn of16(clamp: Clamp16) -> [i64; 2] {
    [i64::from(clamp.min), i64::from(clamp.max)]
}

pub(super) fn sub(draw: &mut Draw<'_>) -> Draft {
    let mut pair = Pair::draw(draw, DType::I8, DType::I8);
    let clamp = clamp(draw);
    let ([a, b, output], left_shift, p) = pair.sum(draw, 7, &[20, 20, 20, 22, 0, 7], of(clamp));
    let op = Op::Sub(Sub { inputs: [a, b], output, left_shift, clamp });
    pair.draft(op, move |a, b| oracle::sub(a, b, &p)).feature(Feature::Activation, clamp != Clamp::FULL)
}

pub(super) fn mul(draw: &mut Draw<'_>) -> Draft {
    let mut pair = Pair::draw(draw, DType::I8, DType::I8);
    let clamp = clamp(draw);
    let (output, p) = pair.product(draw, 13, of(clamp));
    let op = Op::Mul(Mul { output, clamp });
    pair.draft(op, move |a, b| oracle::mul(a, b, &p)).feature(Feature::Activation, clamp != Clamp::FULL)
}

pub(super) fn div(draw: &mut Draw<'_>) -> Draft {
    let mut pair = Pair::draw(draw, DType::I8, DType::I8);
    let clamp = clamp(draw);
    let bits = draw.pick(&[0, 2, 5]);
    let (output, p) = pair.product(draw, bits, of(clamp));
    let modular = draw.chance(50);
    let op = Op::Div(Div { output, clamp, modular });
    pair.draft(op, move |a, b| oracle::divide(a, b, &p, modular))
        .feature(Feature::Activation, clamp != Clamp::FULL)
}

pub(super) fn min_max(draw: &mut Draw<'_>) -> Draft {
    let dtype = draw.pick(&[DType::I8, DType::I8, DType::I16, DType::I32]);
    let pair = Pair::draw(draw, dtype, dtype);
    let largest = draw.chance(50);
    pair.draft(Op::MinMax(MinMax { largest }), move |a, b| oracle::min_max(a, b, largest))
}

pub(super) fn squared_difference(draw: &mut Draw<'_>) -> Draft {
    let wide = draw.chance(40);
    let (dtype, shifts) = if wide { (DType::I16, [0, 0, 0, 15]) } else { (DType::I8, [7, 7, 7, 22]) };
    let mut pair = Pair::draw(draw, dtype, dtype);
    let bits = if wide { 22 } else { 21 };
    let ([a, b, output], left_shift, p) = pair.sum(draw, bits, &shifts, range_of(dtype));
    let op = Op::SquaredDifference(SquaredDifference { inputs: [a, b], output, left_shift });
    pair.draft(op, move |a, b| oracle::squared_difference(a, b, &p))
}

pub(super) fn prelu(draw: &mut Draw<'_>) -> Draft {
    let wide = draw.chance(40);
    let dtype = if wide { DType::I16 } else { DType::I8 };
    let mut pair = Pair::draw(draw, dtype, DType::I8);
    let (positive, p) = pair.product(draw, if wide { 7 } else { 6 }, range_of(dtype));
    let (negative, factor, feature) = requant(draw, 13);
    pair.features.extend(feature);
    let op = Op::PRelu(PRelu { positive, negative });
    pair.draft(op, move |x, slope| oracle::prelu(x, slope, &p, factor))
}

pub(super) fn add16(draw: &mut Draw<'_>) -> Draft {
    let mut pair = Pair::draw(draw, DType::I16, DType::I16);
    let clamp = clamp16(draw);
    let ([a, b, output], left_shift, p) = pair.sum(draw, 7, &[15, 15, 15, 0, 9], of16(clamp));
    let op = Op::Add16(Add16 { inputs: [a, b], output, left_shift, clamp });
    pair.draft(op, move |a, b| oracle::add(a, b, &p)).feature(Feature::Activation, clamp != Clamp16::FULL)
}

pub(super) fn sub16(draw: &mut Draw<'_>) -> Draft {
    let mut pair = Pair::draw(draw, DType::I16, DType::I16);
    let clamp = clamp16(draw);
    let ([a, b, output], left_shift, p) = pair.sum(draw, 7, &[15, 15, 15, 0, 9], of16(clamp));
    let op = Op::Sub16(Sub16 { inputs: [a, b], output, left_shift, clamp });
    pair.draft(op, move |a, b| oracle::sub(a, b, &p)).feature(Feature::Activation, clamp != Clamp16::FULL)
}

pub(super) fn mul16(draw: &mut Draw<'_>) -> Draft {
    let mut pair = Pair::draw(draw, DType::I16, DType::I16);
    let clamp = clamp16(draw);
    let (output, p) = pair.product(draw, 22, of16(clamp));
    let op = Op::Mul16(Mul16 { output, clamp });
    pair.draft(op, move |a, b| oracle::mul(a, b, &p)).feature(Feature::Activation, clamp != Clamp16::FULL)
}
