//! Weights and constants of a layer, for the runtime and for the oracle.

use super::{Feature, clamp, requant};
use crate::draw::Draw;
use crate::oracle::{Factor, Layer, Summing};
use dunlin::format::DataSection;
use dunlin::ops::{Filter, LabelScores};
use dunlin::shape::{Pad, Window};

/// A layer in both forms.
pub(super) struct Drawn {
    pub(super) filter: Filter,
    pub(super) layer: Layer,
    pub(super) labels: Option<LabelScores>,
    pub(super) data: DataSection,
    pub(super) features: Vec<Feature>,
}

/// Draws a layer of `channels` outputs that each sum `taps` of `weights` weights. `zeros` are the zero points
/// of input and output; with a fused argmax the second is that of the scores.
pub(super) fn layer(
    draw: &mut Draw<'_>,
    channels: u32,
    weights: usize,
    taps: usize,
    zeros: [i16; 2],
    may_label: bool,
) -> Drawn {
    let weight_zero = if draw.chance(15) { draw.pick(&[3, -128, 127, -7]) } else { 0i8 };
    let values = draw.bytes(weights);
    let product = if weight_zero == 0 { 255 * 128 } else { 255 * 255 };
    let room = i64::from(i32::MAX) - taps as i64 * product;
    // The usual magnitude of the sum: the product of two spread-out values times the root of their number.
    let bits = 12 + i64::from(usize::BITS - taps.leading_zeros()) / 2;
    let mut features = Vec::new();
    let (mut bias, mut multiplier, mut shift, mut factor) = (vec![], vec![], vec![], Vec::<Factor>::new());
    let shared = draw.chance(30).then(|| requant(draw, bits));
    for _ in 0..channels {
        bias.push(match draw.range(0, 14) {
            5 => room,
            6 => -room,
            _ => draw.range(-20_000, 20_000),
        });
        let (r, f, feature) = shared.unwrap_or_else(|| requant(draw, bits));
        multiplier.push(r.multiplier);
        shift.push(r.shift);
        factor.push(f);
        features.extend(feature);
    }
    let clamp = clamp(draw);
    let labels = (may_label && draw.chance(25))
        .then_some(LabelScores { channels: channels as u16, zero_point: zeros[1] as i8 });
    let mut data = DataSection::new();
    let filter = Filter {
        weights: data.push(&values),
        bias: data.push(&bias.iter().map(|&b| b as i32).collect::<Vec<_>>()),
        multiplier: data.push(&multiplier),
        shift: data.push(&shift),
        weight_zero,
        clamp,
    };
    let present = [
        (Feature::WeightZero, weight_zero != 0),
        (Feature::FusedArgMax, labels.is_some()),
        (Feature::Activation, clamp != dunlin::quant::Clamp::FULL),
    ];
    features.extend(present.iter().filter(|p| p.1).map(|p| p.0));
    let layer = Layer {
        weights: values.iter().map(|&w| i64::from(w)).collect(),
        bias,
        factor,
        input_zero: i64::from(zeros[0]),
        weight_zero: i64::from(weight_zero),
        output_zero: i64::from(zeros[1]),
        range: [i64::from(clamp.min), i64::from(clamp.max)],
        summing: Summing::Exact32,
    };
    Drawn { filter, layer, labels, data, features }
}

/// Draws a window that fits an image of `h` x `w` at least once; `free` paddings may exceed its reach.
pub(super) fn window(draw: &mut Draw<'_>, [h, w]: [u32; 2], free: bool, may_dilate: bool) -> Window {
    let dilations = if may_dilate && draw.chance(30) { [draw.size(1, 3), draw.size(1, 3)] } else { [1, 1] };
    let mut axis = |size: u32, dilation: u32| {
        let kernel = draw.size(1, 4);
        let stride = draw.size(1, 3);
        let reach = (kernel - 1) * dilation;
        let most = if free && draw.chance(20) { reach + 4 } else { reach };
        let (mut before, after) = if free || dilation == 1 {
            (draw.size(0, most.min(6)), draw.size(0, most.min(6)))
        } else {
            (0, 0)
        };
        let missing = (reach + 1).saturating_sub(size + before + after);
        before += missing;
        [kernel, stride, dilation, before, after].map(|v| v as u16)
    };
    let [kernel_h, stride_h, dilation_h, top, bottom] = axis(h, dilations[0]);
    let [kernel_w, stride_w, dilation_w, left, right] = axis(w, dilations[1]);
    let pad = Pad { top, bottom, left, right };
    Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad }
}

/// The window as the oracle takes it.
pub(super) fn geometry(w: &Window) -> crate::oracle::Geometry {
    crate::oracle::Geometry {
        kernel: [w.kernel_h, w.kernel_w].map(usize::from),
        stride: [w.stride_h, w.stride_w].map(usize::from),
        dilation: [w.dilation_h, w.dilation_w].map(usize::from),
        before: [w.pad.top, w.pad.left].map(usize::from),
    }
}

/// What a window exercises.
pub(super) fn window_features(w: &Window) -> Vec<Feature> {
    let wide =
        |before: u16, after: u16, kernel: u16, dilation: u16| before.max(after) > (kernel - 1) * dilation;
    let present = [
        (Feature::Dilated, w.dilation_h > 1 || w.dilation_w > 1),
        (Feature::Strided, w.stride_h > 1 || w.stride_w > 1),
        (Feature::Padded, !w.pad.is_none()),
        (
            Feature::WidePadding,
            wide(w.pad.top, w.pad.bottom, w.kernel_h, w.dilation_h)
                || wide(w.pad.left, w.pad.right, w.kernel_w, w.dilation_w),
        ),
    ];
    present.iter().filter(|p| p.1).map(|p| p.0).collect()
}
