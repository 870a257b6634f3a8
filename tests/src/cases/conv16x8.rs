//! Convolutions and the fully connected layer with 16-bit activations.

use super::layer::{geometry, window, window_features};
use super::{Draft, Feature, Operand, clamp16, requant_to};
use crate::draw::Draw;
use crate::oracle::{self, Factor, Layer, Summing};
use dunlin::format::DataSection;
use dunlin::ops::{
    Accumulator, Conv2d16x8, Dense16x8, DepthwiseConv2d16x8, Op, TransposeConv2d16x8, WideFilter,
};
use dunlin::quant::{Clamp16, Requant};
use dunlin::shape::{Pad, Shape, Window};

/// A layer in both forms.
struct Drawn {
    filter: WideFilter,
    layer: Layer,
    data: DataSection,
    features: Vec<Feature>,
}

/// Draws a layer of `channels` outputs that each sum `taps` of `weights` weights.
fn layer(draw: &mut Draw<'_>, channels: u32, weights: usize, taps: usize) -> Drawn {
    let narrow = draw.chance(30);
    let weight_zero = if draw.chance(15) { draw.pick(&[3, -128, 127, -7]) } else { 0i8 };
    let values = draw.bytes(weights);
    let product: i64 = if weight_zero == 0 { 1 << 22 } else { 255 << 15 };
    let room = if narrow { i64::from(i32::MAX) } else { (1 << 47) - 1 - taps as i64 * product };
    // The usual magnitude of the sum: the product of two spread-out values times the root of their number.
    let bits = 20 + i64::from(usize::BITS - taps.leading_zeros()) / 2;
    let factor = |draw: &mut Draw<'_>| requant_to(draw, 15 - bits, if narrow { 30 } else { 14 });
    let shared = draw.chance(30).then(|| factor(draw));
    let (mut bias, mut requants, mut factors, mut features) = (vec![], vec![], Vec::<Factor>::new(), vec![]);
    for _ in 0..channels {
        bias.push(match draw.range(0, 6) {
            5 => room,
            6 => -room,
            _ => draw.range(-5_000_000, 5_000_000),
        });
        let (r, f, feature): (Requant, _, _) = shared.unwrap_or_else(|| factor(draw));
        requants.push(r);
        factors.push(f);
        features.extend(feature);
    }
    let clamp = clamp16(draw);
    let mut data = DataSection::new();
    let filter = WideFilter {
        weights: data.push(&values),
        bias: match narrow {
            true => data.push(&bias.iter().map(|&b| b as i32).collect::<Vec<_>>()),
            false => data.push(&bias),
        },
        multiplier: data.push(&requants.iter().map(|r| r.multiplier).collect::<Vec<_>>()),
        shift: data.push(&requants.iter().map(|r| r.shift).collect::<Vec<_>>()),
        weight_zero,
        accumulator: if narrow { Accumulator::Bits32 } else { Accumulator::Bits64 },
        clamp,
    };
    let present = [
        (Feature::WeightZero, weight_zero != 0),
        (Feature::NarrowSum, narrow),
        (Feature::Activation, clamp != Clamp16::FULL),
    ];
    features.extend(present.iter().filter(|p| p.1).map(|p| p.0));
    let layer = Layer {
        weights: values.iter().map(|&w| i64::from(w)).collect(),
        bias,
        factor: factors,
        input_zero: 0,
        weight_zero: i64::from(weight_zero),
        output_zero: 0,
        range: [i64::from(clamp.min), i64::from(clamp.max)],
        summing: if narrow { Summing::Wrapping32 } else { Summing::Exact64 },
    };
    Drawn { filter, layer, data, features }
}

fn size(shape: Shape) -> [usize; 4] {
    [shape.n, shape.h, shape.w, shape.c].map(|d| d as usize)
}

pub(super) fn conv(draw: &mut Draw<'_>) -> Draft {
    let rows = draw.chance(25);
    let n = if rows { 1 } else { draw.pick(&[1, 1, 2, 3]) };
    let shape = Shape::new(n, if rows { 1 } else { draw.size(1, 7) }, draw.size(1, 8), draw.size(1, 9));
    let pointwise = rows || draw.chance(20);
    let window = match pointwise {
        true => Window::square(1, 1).padded(Pad::NONE),
        false => window(draw, [shape.h, shape.w], true, true),
    };
    let channels = draw.size(1, 9);
    let taps = window.taps() * shape.c as usize;
    let Drawn { filter, layer, data, mut features } = layer(draw, channels, taps * channels as usize, taps);
    features.extend(window_features(&window));
    let (h, w) = window.output(shape.h, shape.w).expect("the window was drawn to fit");
    let out = shape.with_hw(h, w).with_c(channels);
    let g = geometry(&window);
    let op = Op::Conv2d16x8(Conv2d16x8 { window, filter });
    let mut draft = Draft::unary(op, Operand::int16(shape, 0.01), Operand::int16(out, 0.02), move |x| {
        // Bounded rows: a pointwise convolution has as many rows out as in.
        let w = if pointwise { x.size[2] } else { w as usize };
        oracle::conv2d(&x, &g, &layer, [n as usize, h as usize, w, channels as usize])
    });
    draft.by_rows = pointwise;
    draft.features = features;
    draft.with_data(data)
}

pub(super) fn depthwise(draw: &mut Draw<'_>) -> Draft {
    let n = draw.pick(&[1, 1, 2]);
    let shape = Shape::new(n, draw.size(1, 7), draw.size(1, 8), draw.size(1, 6));
    let window = window(draw, [shape.h, shape.w], true, true);
    let multiplier = draw.pick(&[1, 1, 2, 3]);
    let channels = shape.c * u32::from(multiplier);
    let taps = window.taps();
    let Drawn { filter, layer, data, mut features } = layer(draw, channels, taps * channels as usize, taps);
    features.extend(window_features(&window));
    let (h, w) = window.output(shape.h, shape.w).expect("the window was drawn to fit");
    let out = shape.with_hw(h, w).with_c(channels);
    let g = geometry(&window);
    let op = Op::DepthwiseConv2d16x8(DepthwiseConv2d16x8 { window, filter, multiplier });
    let mut draft = Draft::unary(op, Operand::int16(shape, 0.01), Operand::int16(out, 0.02), move |x| {
        oracle::depthwise_conv2d(&x, &g, &layer, size(out))
    });
    draft.features = features;
    draft.with_data(data).feature(Feature::DepthMultiplier, multiplier > 1)
}

pub(super) fn transpose_conv(draw: &mut Draw<'_>) -> Draft {
    let n = draw.pick(&[1, 1, 2]);
    let shape = Shape::new(n, draw.size(1, 5), draw.size(1, 5), draw.size(1, 6));
    let mut axis = |size: u32| {
        let (kernel, stride, cut) = (draw.size(1, 5), draw.size(1, 4), draw.size(0, 3));
        let full = (size - 1) * stride + kernel;
        // The size of the output is the file's to choose: smaller or larger than the kernel's reach.
        let out = (i64::from(full) - i64::from(cut) + draw.range(-2, 2)).max(1) as u32;
        ([kernel, stride, cut].map(|v| v as u16), out)
    };
    let (([kernel_h, stride_h, top], output_h), ([kernel_w, stride_w, left], output_w)) =
        (axis(shape.h), axis(shape.w));
    let pad = Pad { top, bottom: 0, left, right: 0 };
    let window = Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h: 1, dilation_w: 1, pad };
    let channels = draw.size(1, 6);
    let taps = window.taps() * shape.c as usize;
    let Drawn { filter, layer, data, mut features } = layer(draw, channels, taps * channels as usize, taps);
    features.extend(window_features(&window));
    let out = shape.with_hw(output_h, output_w).with_c(channels);
    let g = geometry(&window);
    let op = Op::TransposeConv2d16x8(TransposeConv2d16x8 { window, output_h, output_w, filter });
    let mut draft = Draft::unary(op, Operand::int16(shape, 0.01), Operand::int16(out, 0.02), move |x| {
        oracle::transpose_conv2d(&x, &g, &layer, size(out))
    });
    draft.features = features;
    draft.with_data(data)
}

pub(super) fn dense(draw: &mut Draw<'_>) -> Draft {
    let (n, h) = if draw.chance(25) { (2, 3) } else { (1, 1) };
    let shape = Shape::new(n, h, draw.size(1, 6), draw.pick(&[1, 5, 16, 129, 300]));
    let channels = draw.size(1, 12);
    let taps = shape.c as usize;
    let Drawn { filter, layer, data, features } = layer(draw, channels, taps * channels as usize, taps);
    let op = Op::Dense16x8(Dense16x8 { filter });
    let output = Operand::int16(shape.with_c(channels), 0.02);
    let mut draft = Draft::unary(op, Operand::int16(shape, 0.01), output, move |x| {
        oracle::dense(&x, &layer, channels as usize)
    });
    draft.features = features;
    draft.with_data(data).by_rows()
}
