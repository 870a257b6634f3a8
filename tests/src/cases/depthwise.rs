//! Depthwise convolution.

use super::layer::{Drawn, geometry, layer, window, window_features};
use super::{Draft, Feature, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::ops::{DepthwiseConv2d, Op};
use dunlin::shape::{Pad, Shape, Window};

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let n = draw.pick(&[1, 1, 2]);
    let shape = Shape::new(n, draw.size(1, 7), draw.size(1, 8), draw.big(6));
    // One that may work in place, or any.
    let (window, multiplier) = match draw.pick(&[0, 0, 0, 1, 2]) {
        0 => (window(draw, [shape.h, shape.w], true, true), draw.pick(&[1, 1, 2, 3])),
        half => (Window::square(2 * half + 1, 1).padded(Pad::all(half)), 1),
    };
    let channels = shape.c * u32::from(multiplier);
    let (input, output) = (quant(draw), quant(draw));
    let zeros = [input.zero_point, output.zero_point];
    let taps = window.taps();
    let Drawn { filter, layer, data, mut features, .. } =
        layer(draw, channels, taps * channels as usize, taps, zeros, false);
    features.extend(window_features(&window));
    let (h, w) = window.output(shape.h, shape.w).expect("the window was drawn to fit");
    let g = geometry(&window);
    let op = Op::DepthwiseConv2d(DepthwiseConv2d { window, filter, multiplier });
    let output = Operand::int8(shape.with_hw(h, w).with_c(channels), output);
    let mut draft = Draft::unary(op, Operand::int8(shape, input), output, move |x| {
        oracle::depthwise_conv2d(&x, &g, &layer, [n, h, w, channels].map(|d| d as usize))
    });
    draft.features = features;
    draft.with_data(data).feature(Feature::DepthMultiplier, multiplier > 1)
}
