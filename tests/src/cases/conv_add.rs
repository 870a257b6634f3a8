//! Convolution and sum in one.

use super::layer::{Drawn, geometry, layer, window, window_features};
use super::{Draft, Feature, Operand, clamp, quant, requant};
use crate::draw::Draw;
use crate::oracle::{self, Alignment, Grid, Sum};
use dunlin::ops::{Add, Conv2d, Conv2dAdd, Op};
use dunlin::quant::Clamp;
use dunlin::shape::{Shape, Window};

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let shape = Shape::new(draw.pick(&[1, 1, 2]), draw.size(1, 7), draw.size(1, 8), draw.size(1, 9));
    let window = match draw.chance(30) {
        true => Window::square(1, 1),
        false => window(draw, [shape.h, shape.w], true, true),
    };
    let channels = draw.size(1, 9);
    let taps = window.taps() * shape.c as usize;
    let (input, other) = (quant(draw), quant(draw));
    let output = if draw.chance(50) { other } else { quant(draw) };
    let middle = quant(draw).zero_point;
    let Drawn { filter, layer, data, mut features, .. } =
        layer(draw, channels, taps * channels as usize, taps, [input.zero_point, middle], false);
    features.extend(window_features(&window));
    let (h, w) = window.output(shape.h, shape.w).expect("the window was drawn to fit");
    let out = shape.with_hw(h, w).with_c(channels);

    let clamp = clamp(draw);
    let left_shift = draw.pick(&[20, 20, 20, 22, 0]);
    let (a, b, scale) = (requant(draw, 6), requant(draw, 6), requant(draw, 7 + i64::from(left_shift)));
    features.extend([a.2, b.2, scale.2].into_iter().flatten());
    let zero = [i64::from(other.zero_point), i64::from(middle)];
    let sum = Sum {
        aligned: Alignment { zero, inputs: [a.1, b.1], left_shift: u32::from(left_shift) },
        output: scale.1,
        output_zero: i64::from(output.zero_point),
        range: [i64::from(clamp.min), i64::from(clamp.max)],
    };
    let add = Add { inputs: [a.0, b.0], output: scale.0, left_shift, clamp };
    let conv = Conv2d { window, filter, labels: None };
    let op = Op::Conv2dAdd(Conv2dAdd { conv, zero_point: middle as i8, add });
    let g = geometry(&window);
    let size = |s: Shape| [s.n, s.h, s.w, s.c].map(|d| d as usize);
    let inputs = vec![Operand::int8(out, other), Operand::int8(shape, input)];
    let mut draft = Draft::new(op, inputs, vec![Operand::int8(out, output)], move |bytes, _| {
        let x = Grid::from_i8(size(shape), &bytes[1]);
        let result = oracle::conv2d(&x, &g, &layer, size(out));
        vec![oracle::add(&Grid::from_i8(size(out), &bytes[0]), &result, &sum).to_bytes()]
    });
    draft.features = features;
    draft.with_data(data).feature(Feature::Activation, clamp != Clamp::FULL)
}
