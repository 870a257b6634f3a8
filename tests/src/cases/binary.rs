//! Sum and product.

use super::{Draft, Feature, Operand, clamp, quant, requant};
use crate::draw::Draw;
use crate::oracle::{self, Grid, Sum};
use dunlin::format::DType;
use dunlin::ops::{Add, Mul, Op};
use dunlin::quant::{Clamp, QParams};
use dunlin::shape::Shape;

struct Pair {
    shapes: [Shape; 2],
    quants: [QParams; 3],
    clamp: Clamp,
}

impl Pair {
    fn draw(draw: &mut Draw<'_>) -> Self {
        let (n, h) = if draw.chance(40) { (draw.size(1, 2), draw.size(1, 3)) } else { (1, 1) };
        let shape = Shape::new(n, h, draw.size(1, 6), draw.size(1, 9));
        let mut other = shape;
        if draw.chance(40) {
            let keep = |size: u32, draw: &mut Draw<'_>| if draw.chance(50) { size } else { 1 };
            other = Shape::new(keep(n, draw), keep(h, draw), keep(shape.w, draw), keep(shape.c, draw));
        }
        let first = quant(draw);
        // An accumulator that is updated in place has one scale for input and output.
        let output = if draw.chance(50) { first } else { quant(draw) };
        Self { shapes: [shape, other], quants: [first, quant(draw), output], clamp: clamp(draw) }
    }

    fn zeros(&self) -> [i64; 3] {
        self.quants.map(|q| i64::from(q.zero_point))
    }

    fn range(&self) -> [i64; 2] {
        [i64::from(self.clamp.min), i64::from(self.clamp.max)]
    }

    fn draft(self, op: Op, features: Vec<Feature>, oracle: impl Fn(&Grid, &Grid) -> Grid + 'static) -> Draft {
        let Self { shapes, quants, clamp } = self;
        let inputs = vec![Operand::int8(shapes[0], quants[0]), Operand::int8(shapes[1], quants[1])];
        let output = Operand { dtype: DType::I8, ..Operand::int8(shapes[0], quants[2]) };
        let mut draft = Draft::new(op, inputs, vec![output], move |bytes, rows| {
            let size = |s: Shape| {
                // The second operand has the count of the first, or one row for all.
                let w = if s.w == shapes[0].w { rows } else { s.w };
                [s.n, s.h, w, s.c].map(|d| d as usize)
            };
            let (a, b) =
                (Grid::from_i8(size(shapes[0]), &bytes[0]), Grid::from_i8(size(shapes[1]), &bytes[1]));
            vec![oracle(&a, &b).to_bytes()]
        });
        draft.may_repeat = shapes[0] == shapes[1] && quants[0] == quants[1];
        draft.features = features;
        draft
            .by_rows()
            .feature(Feature::Broadcast, shapes[0] != shapes[1])
            .feature(Feature::Activation, clamp != Clamp::FULL)
    }
}

pub(super) fn add(draw: &mut Draw<'_>) -> Draft {
    let mut pair = Pair::draw(draw);
    if draw.chance(30) {
        pair.quants[1] = pair.quants[0];
    }
    let left_shift = draw.pick(&[20, 20, 20, 22, 0, 7]);
    let bits = 7 + left_shift;
    let drawn = [requant(draw, 6), requant(draw, 6), requant(draw, bits)];
    let features = drawn.iter().filter_map(|d| d.2).collect();
    let [zero_a, zero_b, output_zero] = pair.zeros();
    let p = Sum {
        zero: [zero_a, zero_b],
        inputs: [drawn[0].1, drawn[1].1],
        left_shift: left_shift as u32,
        output: drawn[2].1,
        output_zero,
        range: pair.range(),
    };
    let op = Op::Add(Add {
        inputs: [drawn[0].0, drawn[1].0],
        output: drawn[2].0,
        left_shift: left_shift as u8,
        clamp: pair.clamp,
    });
    pair.draft(op, features, move |a, b| oracle::add(a, b, &p))
}

pub(super) fn mul(draw: &mut Draw<'_>) -> Draft {
    let mut pair = Pair::draw(draw);
    if draw.chance(30) {
        pair.quants[1] = pair.quants[0];
    }
    let (output, factor, feature) = requant(draw, 13);
    let op = Op::Mul(Mul { output, clamp: pair.clamp });
    let ([zero_a, zero_b, output_zero], range) = (pair.zeros(), pair.range());
    pair.draft(op, feature.into_iter().collect(), move |a, b| {
        oracle::mul(a, b, [zero_a, zero_b], factor, output_zero, range)
    })
}
