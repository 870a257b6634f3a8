//! Transpose convolution.

use super::layer::{Drawn, geometry, layer, window_features};
use super::{Draft, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::ops::{Op, TransposeConv2d};
use dunlin::shape::{Pad, Shape, Window};

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let n = draw.pick(&[1, 1, 2]);
    let shape = Shape::new(n, draw.size(1, 5), draw.size(1, 5), draw.size(1, 6));
    let (kernel_h, kernel_w) = (draw.size(1, 5) as u16, draw.size(1, 5) as u16);
    let (stride_h, stride_w) = (draw.size(1, 4) as u16, draw.size(1, 4) as u16);
    let (top, left) = (draw.size(0, 3) as u16, draw.size(0, 3) as u16);
    // The size of the output is the file's to choose: smaller or larger than the kernel's reach.
    let out = |size: u32, kernel: u16, stride: u16, cut: u16, draw: &mut Draw<'_>| {
        let full = (size - 1) * u32::from(stride) + u32::from(kernel);
        (full as i64 - i64::from(cut) + draw.range(-2, 2)).max(1) as u32
    };
    let h = out(shape.h, kernel_h, stride_h, top, draw);
    let w = out(shape.w, kernel_w, stride_w, left, draw);
    let pad = Pad { top, bottom: 0, left, right: 0 };
    let window = Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h: 1, dilation_w: 1, pad };
    let channels = draw.size(1, 6);
    let (input, scores) = (quant(draw), quant(draw));
    let zeros = [input.zero_point, scores.zero_point];
    let taps = window.taps() * shape.c as usize;
    let Drawn { filter, layer, labels, data, mut features } =
        layer(draw, channels, taps * channels as usize, taps, zeros, true);
    features.extend(window_features(&window));
    let out = shape.with_hw(h, w).with_c(channels);
    let output = match labels {
        None => Operand::int8(out, scores),
        Some(_) => Operand::uint8(out.with_c(1)),
    };
    let g = geometry(&window);
    let op = Op::TransposeConv2d(TransposeConv2d { window, output_h: h, output_w: w, filter, labels });
    let mut draft = Draft::unary(op, Operand::int8(shape, input), output, move |x| {
        let y = oracle::transpose_conv2d(&x, &g, &layer, [n, h, w, channels].map(|d| d as usize));
        if labels.is_some() { oracle::argmax(&y) } else { y }
    });
    draft.features = features;
    draft.with_data(data)
}
