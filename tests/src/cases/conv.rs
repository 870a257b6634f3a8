//! Convolution.

use super::layer::{Drawn, geometry, layer, window, window_features};
use super::{Draft, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::ops::{Conv2d, Op};
use dunlin::shape::{Pad, Shape, Window};

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let rows = draw.chance(25);
    let n = if rows { 1 } else { draw.pick(&[1, 1, 2, 3]) };
    let shape = Shape::new(n, if rows { 1 } else { draw.size(1, 7) }, draw.size(1, 8), draw.big(9));
    let pointwise = rows || draw.chance(20);
    let window = match pointwise {
        true => Window::square(1, 1).padded(Pad::NONE),
        false => window(draw, [shape.h, shape.w], true, true),
    };
    let channels = if pointwise && draw.chance(40) { shape.c } else { draw.big(9) };
    let taps = window.taps() * shape.c as usize;
    let (input, scores) = (quant(draw), quant(draw));
    let zeros = [input.zero_point, scores.zero_point];
    let Drawn { filter, layer, labels, data, mut features } =
        layer(draw, channels, taps * channels as usize, taps, zeros, true);
    features.extend(window_features(&window));
    let (h, w) = window.output(shape.h, shape.w).expect("the window was drawn to fit");
    let out = shape.with_hw(h, w).with_c(channels);
    let output = match labels {
        None => Operand::int8(out, scores),
        Some(_) => Operand::uint8(out.with_c(1)),
    };
    let g = geometry(&window);
    let op = Op::Conv2d(Conv2d { window, filter, labels });
    let mut draft = Draft::unary(op, Operand::int8(shape, input), output, move |x| {
        // Bounded rows: a pointwise convolution has as many rows out as in.
        let w = if pointwise { x.size[2] } else { w as usize };
        let y = oracle::conv2d(&x, &g, &layer, [n as usize, h as usize, w, channels as usize]);
        if labels.is_some() { oracle::argmax(&y) } else { y }
    });
    draft.by_rows = pointwise;
    draft.features = features;
    draft.with_data(data)
}
