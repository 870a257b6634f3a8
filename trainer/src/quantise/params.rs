//! The numbers of quantisation: scales and zero points of activations, scales of weights, integer biases.
//!
//! Lowering and fake quantisation both call these functions; no other place computes a scale.

use crate::ops::{Activation, Op};
use dunlin::quant::{Clamp, Clamp16, QParams};

/// Largest magnitude of an int8 weight: symmetric, so that −128 is not used.
pub const WEIGHT_MAX: f32 = 127.0;
/// Largest product of an activation less its zero point and a weight, as the runtime's parser counts it.
const LARGEST_PRODUCT: u64 = 255 * 128;
/// Largest product of a 16-bit activation and a weight.
const LARGEST_WIDE_PRODUCT: u64 = 1 << 22;
/// Largest 64-bit sum that the runtime accepts.
const WIDE_SUM: u64 = (1 << 47) - 1;

/// Scale and zero point of an activation in `lo ..= hi`, widened to hold 0, which is exactly representable.
///
/// A range of nothing but zero gets the scale 1/128.
pub fn activation(lo: f32, hi: f32) -> QParams {
    let (lo, hi) = (f64::from(lo.min(0.0)), f64::from(hi.max(0.0)));
    let scale = ((hi - lo) / 255.0) as f32;
    if scale < f32::MIN_POSITIVE {
        return QParams { scale: 1.0 / 128.0, zero_point: 0 };
    }
    let zero = (-128.0 - lo / f64::from(scale)).round();
    QParams { scale, zero_point: zero.clamp(-128.0, 127.0) as i16 }
}

/// Scale of a 16-bit value in `lo ..= hi`: the smallest power of two that holds it.
///
/// A range of nothing but zero gets the scale 2^-15.
pub fn wide_activation(lo: f32, hi: f32) -> QParams {
    let largest = f64::from(lo.abs().max(hi.abs()));
    let power = (largest / 32_767.0).log2().ceil().max(-28.0);
    let scale = if power.is_finite() && largest > 0.0 { power.exp2() as f32 } else { 1.0 / 32_768.0 };
    QParams { scale, zero_point: 0 }
}

/// Scale of a 16-bit activation in `lo ..= hi`, which has no zero point.
///
/// A range of nothing but zero gets the scale 1/32768.
pub fn activation16(lo: f32, hi: f32) -> QParams {
    let scale = lo.abs().max(hi.abs()) / 32_767.0;
    QParams { scale: if scale < f32::MIN_POSITIVE { 1.0 / 32_768.0 } else { scale }, zero_point: 0 }
}

/// Smallest and largest real value that 16 bits with this scale hold.
pub fn wide_limits(q: QParams) -> (f32, f32) {
    (q.scale * -32_768.0, q.scale * 32_767.0)
}

/// Smallest and largest real value that int8 with these parameters holds.
pub fn limits(q: QParams) -> (f32, f32) {
    let real = |v: i16| q.scale * f32::from(v - q.zero_point);
    (real(-128), real(127))
}

/// The fused activation in quantised values of an output with parameters `q`.
pub fn clamp(activation: Activation, q: QParams) -> Clamp {
    let (lo, hi) = activation.bounds();
    // `as` saturates, so an infinite bound becomes the end of the range.
    let quantised = |v: f32| {
        let steps = (v / q.scale).round() as i32;
        steps.saturating_add(i32::from(q.zero_point)).clamp(-128, 127) as i8
    };
    Clamp { min: quantised(lo), max: quantised(hi) }
}

/// As [`clamp`], for an int16 output.
pub fn clamp16(activation: Activation, q: QParams) -> Clamp16 {
    let (lo, hi) = activation.bounds();
    let quantised = |v: f32| {
        let steps = (v / q.scale).round() as i32;
        steps.saturating_add(i32::from(q.zero_point)).clamp(-32_768, 32_767) as i16
    };
    Clamp16 { min: quantised(lo), max: quantised(hi) }
}

/// Where the output channel of an operator's weights is: `true` for the last axis (depthwise), `false` for the
/// first; `None` for operators without weights.
pub fn channel_last(op: &Op) -> Option<bool> {
    match op {
        Op::DepthwiseConv2d(_) => Some(true),
        Op::Conv2d(_) | Op::TransposeConv2d(_) | Op::Dense(_) => Some(false),
        _ => None,
    }
}

/// Most products that one output of an operator sums, with `inputs` input channels; 0 without weights.
///
/// A pixel of a transpose convolution is reached by one tap of each stride's worth of the kernel.
pub fn taps(op: &Op, inputs: u32) -> u64 {
    let inputs = u64::from(inputs);
    match op {
        Op::Conv2d(o) => o.window.taps() as u64 * inputs,
        Op::DepthwiseConv2d(o) => o.window.taps() as u64,
        Op::TransposeConv2d(o) => {
            let w = &o.window;
            let reach = |kernel: u16, stride: u16| u64::from(kernel.div_ceil(stride.max(1)));
            reach(w.kernel_h, w.stride_h) * reach(w.kernel_w, w.stride_w) * inputs
        }
        Op::Dense(_) => inputs,
        _ => 0,
    }
}

/// Output channel of weight `i` out of `count`.
pub fn channel_of(i: usize, count: usize, channels: usize, channel_last: bool) -> usize {
    if channel_last { i % channels } else { i / (count / channels) }
}

/// Scale of each output channel's weights: the largest magnitude over 127.
///
/// It is enlarged where the bias, in units of input scale times weight scale, would not fit its 32 bits next
/// to a sum of `taps` products; a channel of zeros gets the scale that suits its bias.
pub fn weight_scales(
    weights: &[f32],
    bias: Option<&[f32]>,
    channels: usize,
    channel_last: bool,
    input_scale: f32,
    taps: u64,
) -> Vec<f32> {
    scales_with_room(weights, bias, channels, channel_last, input_scale, bias_room(taps))
}

/// As [`weight_scales`], for 64-bit sums of 16-bit activations.
pub fn wide_weight_scales(
    weights: &[f32],
    bias: Option<&[f32]>,
    channels: usize,
    channel_last: bool,
    input_scale: f32,
    taps: u64,
) -> Vec<f32> {
    let room = WIDE_SUM.saturating_sub(taps.saturating_mul(LARGEST_WIDE_PRODUCT));
    scales_with_room(weights, bias, channels, channel_last, input_scale, room)
}

fn scales_with_room(
    weights: &[f32],
    bias: Option<&[f32]>,
    channels: usize,
    channel_last: bool,
    input_scale: f32,
    room: u64,
) -> Vec<f32> {
    let mut largest = vec![0.0f32; channels];
    for (i, w) in weights.iter().enumerate() {
        let slot = &mut largest[channel_of(i, weights.len(), channels, channel_last)];
        *slot = slot.max(w.abs());
    }
    let room = room.max(1) as f64 * 0.5;
    let scale = |(c, max): (usize, f32)| {
        let bias = bias.map_or(0.0, |b| f64::from(b[c]).abs());
        let floor = bias / (f64::from(input_scale) * room);
        let scale = f64::from(max / WEIGHT_MAX).max(floor) as f32;
        if scale < f32::MIN_POSITIVE { 1.0 } else { scale }
    };
    largest.into_iter().enumerate().map(scale).collect()
}

/// Largest magnitude of an integer bias next to a sum of `taps` products; 0 where the sum alone is too long.
pub fn bias_room(taps: u64) -> u64 {
    (i32::MAX as u64).saturating_sub(taps.saturating_mul(LARGEST_PRODUCT))
}

/// Most products of 16-bit activations that a 64-bit sum holds.
pub fn longest_wide_sum() -> u64 {
    WIDE_SUM / LARGEST_WIDE_PRODUCT
}

/// Most products that a 32-bit sum holds.
pub fn longest_sum() -> u64 {
    i32::MAX as u64 / LARGEST_PRODUCT
}

/// The int8 weight nearest to `w`.
pub fn weight(w: f32, scale: f32) -> i8 {
    (w / scale).round().clamp(-WEIGHT_MAX, WEIGHT_MAX) as i8
}

/// The 32-bit bias nearest to `b`, saturated.
pub fn bias(b: f32, input_scale: f32, weight_scale: f32) -> i32 {
    (f64::from(b) / (f64::from(input_scale) * f64::from(weight_scale))).round() as i32
}

/// The 64-bit bias nearest to `b`, saturated.
pub fn wide_bias(b: f32, input_scale: f32, weight_scale: f32) -> i64 {
    (f64::from(b) / (f64::from(input_scale) * f64::from(weight_scale))).round() as i64
}

/// Factor of one output channel of a pinned layer, as the reference computes it: in f64, but for fully connected
/// layers with one scale and for the uint8 scheme, which multiply input and weight scale in f32.
pub fn product_of_scales(input: f32, weight: f32, output: f32, in_f32: bool) -> f64 {
    let product = if in_f32 { f64::from(input * weight) } else { f64::from(input) * f64::from(weight) };
    product / f64::from(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_exact_and_the_ends_are_reached() {
        for (lo, hi) in [(-1.0f32, 2.0f32), (0.0, 6.0), (-3.0, 0.0), (0.5, 4.0), (-2.0, -1.0), (-1e-3, 7.7)] {
            let q = activation(lo, hi);
            assert_eq!(q.dequantize(q.quantize(0.0)), 0.0);
            let (low, high) = limits(q);
            assert!(low <= lo.min(0.0) + q.scale / 2.0 + 1e-6 && high >= hi.max(0.0) - q.scale / 2.0 - 1e-6);
        }
        assert_eq!(activation(0.0, 6.0).zero_point, -128);
        assert_eq!(activation(-6.0, 0.0).zero_point, 127);
        assert_eq!(activation(0.0, 0.0), QParams { scale: 1.0 / 128.0, zero_point: 0 });
    }

    #[test]
    fn activations_become_clamps() {
        let q = QParams { scale: 0.05, zero_point: -20 };
        assert_eq!(clamp(Activation::None, q), Clamp::FULL);
        assert_eq!(clamp(Activation::Relu, q), Clamp { min: -20, max: 127 });
        assert_eq!(clamp(Activation::Relu6, q), Clamp { min: -20, max: 100 });
        assert_eq!(clamp(Activation::Clamp { lo: -1.0, hi: 99.0 }, q), Clamp { min: -40, max: 127 });
        assert_eq!(clamp(Activation::Clamp { lo: 50.0, hi: 99.0 }, q), Clamp { min: 127, max: 127 });
    }

    #[test]
    fn weights_are_symmetric_per_channel() {
        let scales = weight_scales(&[1.27, -0.5, 0.0, 0.0], None, 2, false, 1.0, 2);
        assert_eq!(weight(1.27, scales[0]), 127);
        assert_eq!(weight(-1.27, scales[0]), -127);
        assert_eq!(scales[1], 1.0);
        let last = weight_scales(&[1.0, 2.0, -4.0, 0.5], None, 2, true, 1.0, 2);
        assert_eq!(last, [4.0 / 127.0, 2.0 / 127.0]);
    }

    #[test]
    fn a_bias_always_fits_next_to_the_sum() {
        let taps = 60_000;
        for b in [1e6f32, -3e8, 5.0] {
            let scale = weight_scales(&[1e-6, 0.0], Some(&[b, b]), 2, false, 0.01, taps)[0];
            assert!(u64::from(bias(b, 0.01, scale).unsigned_abs()) <= bias_room(taps));
        }
        assert_eq!(longest_sum(), 65_793);
    }

    #[test]
    fn wide_values_are_symmetric_and_their_biases_fit() {
        assert_eq!(activation16(-2.0, 1.0), QParams { scale: 2.0 / 32_767.0, zero_point: 0 });
        assert_eq!(activation16(0.0, 0.0).scale, 1.0 / 32_768.0);
        let q = QParams { scale: 0.001, zero_point: 0 };
        assert_eq!(clamp16(Activation::Relu6, q), Clamp16 { min: 0, max: 6000 });
        assert_eq!(clamp16(Activation::None, q), Clamp16::FULL);
        let taps = longest_wide_sum() - 1;
        let scale = wide_weight_scales(&[1e-6], Some(&[3e8]), 1, false, 1e-5, taps)[0];
        assert!(wide_bias(3e8, 1e-5, scale).unsigned_abs() + taps * LARGEST_WIDE_PRODUCT <= WIDE_SUM);
    }
}
