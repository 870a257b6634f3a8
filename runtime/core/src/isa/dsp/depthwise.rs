//! Depthwise convolutions with one output a channel: the packed layout.
//!
//! Channels go in fours. Constants are a word that is [`FAST`] or not, three of padding, and for each four: twice the
//! biases, for each tap the weights of channels 0 and 2, then 1 and 3, as halfwords and twice their value, and for each
//! channel multiplier, rounding and shift as in [`full`](super::full). The last words are the input's zero point
//! once for each channel: what taps in the padding read. Everything lies with the constants; there are no weights.

use super::full::{FAST, HEADER, scaled};
use super::{Reduction, kernel};
use crate::isa::{Geometry, PackedLen};
use crate::quant::Requant;
use crate::shape::Window;

/// Taps in the layout: a multiple of three.
pub(super) const fn taps(window: &Window) -> usize {
    window.taps().saturating_add(2) / 3 * 3
}

/// Words of four channels.
pub(super) const fn four(window: &Window) -> usize {
    taps(window).saturating_mul(2).saturating_add(16)
}

/// Where tap `t`, counted by rows, is in the layout. The row of a window of 3x3 begins with its middle.
pub(super) const fn place(window: &Window, t: usize) -> usize {
    if window.kernel_h == 3 && window.kernel_w == 3 { t / 3 * 3 + (t + 2) % 3 } else { t }
}

pub(super) fn packed(window: &Window, c: usize) -> PackedLen {
    let fours = c.div_ceil(4);
    let constants = four(window).saturating_add(1).saturating_mul(fours).saturating_add(HEADER);
    PackedLen { weights: 0, constants }
}

/// Constants of the four of channel `c`, and the first of multiplier, rounding and shift.
fn parts<'a>(window: &Window, constants: &'a [i32], c: usize) -> (&'a [i32], usize) {
    let len = four(window);
    (&constants[HEADER + c / 4 * len..][..len], len - 12 + c % 4 * 3)
}

/// Bias and factor of channel `c`.
pub(super) fn channel(window: &Window, constants: &[i32], c: usize) -> (i32, Requant) {
    let (four, at) = parts(window, constants, c);
    let (bias, multiplier, shift) = (four[c % 4], four[at], four[at + 2]);
    let (bias, shift) = if constants[0] == FAST { (bias / 2, shift.wrapping_neg()) } else { (bias, shift) };
    // A shift beyond 8 bits is none that is valid.
    (bias, Requant { multiplier, shift: i8::try_from(shift).unwrap_or(i8::MAX) })
}

/// Word of a tap of a channel in the constants of its four, and halfword.
const fn weight(place: usize, c: usize) -> (usize, usize) {
    (4 + 2 * place + c % 2, c % 4 / 2)
}

/// Output rows from `first` on, packed.
pub(super) fn rows(
    p: &Reduction<'_>,
    constants: &[i32],
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
) {
    let Some(constants) = constants.get(..packed(&g.window, p.n).constants) else { return };
    let done = kernel::depthwise(p, constants, g, image, first, out);
    if done < p.n {
        plain(p, constants, g, image, first, out, done);
    }
}

/// Channels from `from` on in plain Rust.
fn plain(
    p: &Reduction<'_>,
    constants: &[i32],
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    from: usize,
) {
    let (fast, c) = (constants[0] == FAST, p.n);
    let zero = if fast { 0 } else { p.input_zero };
    for (i, out) in out.chunks_exact_mut(c).enumerate() {
        let pixel = g.pixel(first * g.width + i);
        for (channel, out) in out.iter_mut().enumerate().skip(from) {
            let (four, at) = parts(&g.window, constants, channel);
            let (bias, factor) = self::channel(&g.window, constants, channel);
            let mut sum = bias;
            g.for_each_tap(pixel, |t, at| {
                let x =
                    at.and_then(|at| image.get(at * c + channel)).map_or(i32::from(g.fill), |&x| x.into());
                let (word, half) = weight(place(&g.window, t), channel);
                let w = i32::from((four[word] >> (16 * half)) as i16 / 2);
                sum = sum.wrapping_add((x - zero).wrapping_mul(w));
            });
            *out = if fast { p.clamp.apply(scaled(sum, factor, four[at + 1])) } else { p.scale(factor, sum) };
        }
    }
}

/// Output rows from `first` on with portable weights, without working memory.
pub(super) fn portable(p: &Reduction<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8]) {
    let c = g.input.c as usize;
    let multiplier = p.n / c;
    for (i, out) in out.chunks_exact_mut(p.n).enumerate() {
        let pixel = g.pixel(first * g.width + i);
        for (channel, out) in out.iter_mut().enumerate() {
            let mut sum = 0i32;
            g.for_each_tap(pixel, |t, at| {
                let x = at.and_then(|at| image.get(at * c + channel / multiplier));
                let x = x.map_or(0, |&x| i32::from(x) - p.input_zero);
                sum = sum.wrapping_add(x * (i32::from(p.weights[t * p.n + channel]) - p.weight_zero));
            });
            *out = p.finish(channel, sum);
        }
    }
}

#[cfg(feature = "encode")]
pub(super) use host::pack;

#[cfg(feature = "encode")]
mod host {
    use super::super::full::Channel;
    use super::*;
    use crate::isa::Packed;
    use alloc::vec;
    use alloc::vec::Vec;

    pub(in super::super) fn pack(window: &Window, p: &Reduction<'_>) -> Packed {
        let (c, k, len) = (p.n, window.taps(), four(window));
        let weights = |channel: usize| p.weights[channel..].iter().step_by(c).take(k).copied();
        let channels: Vec<Channel> =
            (0..c).map(|channel| Channel::new(p, channel, weights(channel))).collect();
        // With these bounds the parser's proof holds too.
        let fast = channels.iter().all(Channel::scales) && 255 * 128 * (k as u64) < 1 << 30;
        let mut constants = vec![0; packed(window, c).constants];
        if fast {
            constants[0] = FAST;
        }
        for (channel, constant) in channels.iter().enumerate() {
            let four = &mut constants[HEADER + channel / 4 * len..][..len];
            let factor = p.channels.requant(channel);
            let [bias, multiplier, rounding, shift] = if fast {
                constant.scaling(p.output_zero)
            } else {
                [p.channels.bias[channel], factor.multiplier, 0, factor.shift.into()]
            };
            four[channel % 4] = bias;
            four[len - 12 + channel % 4 * 3..][..3].copy_from_slice(&[multiplier, rounding, shift]);
            for (t, w) in weights(channel).enumerate() {
                let (word, half) = weight(place(window, t), channel);
                four[word] |= i32::from((2 * i16::from(w)) as u16) << (16 * half);
            }
        }
        let fill = i32::from_le_bytes([p.input_zero as u8; 4]);
        let end = constants.len() - c.div_ceil(4);
        constants[end..].fill(fill);
        Packed { weights: Vec::new(), constants }
    }
}
