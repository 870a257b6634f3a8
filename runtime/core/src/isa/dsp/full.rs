//! Layers whose outputs read all taps: the packed layout and its kernels.
//!
//! Channels go in pairs (a, b) and taps in pairs: a word of weights holds `256 * b + a` of two taps as two signed
//! halfwords. `SXTB16` of it gives a alone, so one load and one unpacking serve four products: sums of the word are
//! `256 * sum_b + sum_a`. Four consecutive values x0 to x3 are read as the words (x0, x2) and (x1, x3), which `SXTB16`
//! makes of four bytes, and the weights lie in that order.
//!
//! Weights are `[pairs][words]`, a run of [`Taps`] takes [`run_words`]. Constants are a word that says which kernel
//! may run, three of padding, and eight a pair.

use super::Reduction;
use super::kernel;
use crate::isa::{PackedLen, Taps};
use crate::quant::Requant;

/// Sums of the layer need nothing but the fast kernels: see [`grade`].
pub(super) const FAST: i32 = 2;
/// Sums come from the kernel for single rows, a segment of the taps at once, and are scaled in plain Rust. The input's
/// zero point is part of the bias, as in fast layers.
pub(super) const EXACT: i32 = 1;
/// Neither: the bias is the portable one.
const PLAIN: i32 = 0;

/// Words before the constants of the pairs.
pub(super) const HEADER: usize = 4;
/// Words of constants of a pair: twice each bias, then multiplier, rounding and shift of each channel. Rounding is half a
/// unit plus the output's zero point, both before the shift. In layers that are not fast the biases are single and
/// the rounding is unused.
pub(super) const PAIR: usize = 8;

/// Words of a run of `len` taps.
pub(super) const fn run_words(len: usize) -> usize {
    len / 4 * 2 + [0, 1, 2, 2][len % 4]
}

/// Words of a channel pair.
pub(super) const fn words(taps: Taps) -> usize {
    taps.runs.saturating_mul(run_words(taps.len)).saturating_add(1) / 2 * 2
}

/// Word and halfword of tap `j` of a run.
pub(super) const fn place(j: usize) -> (usize, usize) {
    (j / 4 * 2 + j % 2, j % 4 / 2)
}

pub(super) fn packed(taps: Taps, n: usize) -> PackedLen {
    let pairs = n.div_ceil(2);
    PackedLen {
        weights: words(taps).saturating_mul(pairs).saturating_mul(4),
        constants: pairs.saturating_mul(PAIR).saturating_add(HEADER),
    }
}

/// Bias and factor of channel `c`.
pub(super) fn channel(constants: &[i32], c: usize) -> (i32, Requant) {
    let pair = &constants[HEADER + c / 2 * PAIR..][..PAIR];
    let (bias, multiplier, shift) = match c % 2 {
        0 => (pair[0], pair[2], pair[4]),
        _ => (pair[1], pair[5], pair[7]),
    };
    let (bias, shift) = if constants[0] == FAST { (bias / 2, shift.wrapping_neg()) } else { (bias, shift) };
    // A shift beyond 8 bits is none that is valid.
    (bias, Requant { multiplier, shift: i8::try_from(shift).unwrap_or(i8::MAX) })
}

/// Weight of a tap of channel `b` (else a) in its halfword.
fn decode(half: i16, b: bool) -> i32 {
    let low = half as i8;
    if b { i32::from(((i32::from(half) - i32::from(low)) >> 8) as i8) } else { low.into() }
}

/// Packed constants and weights of a layer.
#[derive(Clone, Copy)]
pub(super) struct Full<'a> {
    pub(super) taps: Taps,
    /// Words of a pair.
    pub(super) words: usize,
    pub(super) weights: &'a [u32],
    pub(super) constants: &'a [i32],
}

impl<'a> Full<'a> {
    /// `None` where the parts are shorter than the layer's, which the parser rules out.
    pub(super) fn new(p: &Reduction<'a>, constants: &'a [i32], taps: Taps) -> Option<Self> {
        let len = packed(taps, p.n);
        let weights = bytemuck::try_cast_slice(p.weights.get(..len.weights)?).ok()?;
        Some(Self { taps, words: words(taps), weights, constants: constants.get(..len.constants)? })
    }

    pub(super) fn grade(&self) -> i32 {
        self.constants[0]
    }

    /// One output pixel in plain Rust: what the kernels compute, for layers of every grade.
    pub(super) fn pixel(&self, p: &Reduction<'_>, patch: &[i8], out: &mut [i8]) {
        let zero = if self.grade() == PLAIN { p.input_zero } else { 0 };
        let (len, run_words) = (self.taps.len, run_words(self.taps.len));
        for (c, out) in out.iter_mut().enumerate() {
            let weights = &self.weights[c / 2 * self.words..][..self.words];
            let (bias, factor) = channel(self.constants, c);
            let mut sum = bias;
            for (run, patch) in patch.chunks_exact(len).enumerate() {
                for (j, &x) in patch.iter().enumerate() {
                    let (word, half) = place(j);
                    let half = (weights[run * run_words + word] >> (16 * half)) as i16;
                    let product = (i32::from(x) - zero).wrapping_mul(decode(half, c % 2 == 1));
                    sum = sum.wrapping_add(product);
                }
            }
            *out = if self.grade() == FAST {
                let rounding = self.constants[HEADER + c / 2 * PAIR + 3 + c % 2 * 3];
                p.clamp.apply(scaled(sum, factor, rounding))
            } else {
                p.scale(factor, sum)
            };
        }
    }
}

/// Output of a fast layer, not yet limited.
pub(super) fn scaled(sum: i32, factor: Requant, rounding: i32) -> i32 {
    let doubled = sum.wrapping_mul(2);
    let high = ((i64::from(doubled) * i64::from(factor.multiplier) + (1 << 31)) >> 32) as i32;
    high.wrapping_add(rounding).wrapping_add(doubled >> 31).wrapping_shr(factor.shift.unsigned_abs().into())
}

/// Matrix product with packed weights.
pub(super) fn matmul(
    p: &Reduction<'_>,
    constants: &[i32],
    k: usize,
    rows: &[i8],
    out: &mut [i8],
    scratch: &mut [i8],
) {
    let Some(layer) = Full::new(p, constants, Taps::row(k)) else { return };
    let done = kernel::matmul(p, &layer, rows, out, scratch);
    for (row, out) in rows.chunks_exact(k).zip(out.chunks_exact_mut(p.n)).skip(done) {
        layer.pixel(p, row, out);
    }
}

/// Convolution with packed weights.
pub(super) fn conv(
    p: &Reduction<'_>,
    constants: &[i32],
    g: &crate::isa::Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    let Some(layer) = Full::new(p, constants, g.taps()) else { return };
    let done = kernel::conv(p, &layer, g, image, first, out, scratch);
    let Some(patch) = scratch.get_mut(..layer.taps.total()) else { return };
    for (i, out) in out.chunks_exact_mut(p.n).enumerate().skip(done) {
        g.patch(image, first + i, patch);
        layer.pixel(p, patch, out);
    }
}

#[cfg(feature = "encode")]
pub(super) use host::{Channel, pack};

#[cfg(feature = "encode")]
mod host {
    use super::*;
    use crate::isa::Packed;
    use alloc::vec;
    use alloc::vec::Vec;

    /// Largest sum of channel b that is a difference of two wrapped sums.
    const DIFFERENCE: i64 = 1 << 23;

    /// What is known of a channel.
    pub(in super::super) struct Channel {
        /// With the input's zero point.
        bias: i64,
        factor: Requant,
        /// Sum of the weights' magnitudes.
        weights: i64,
        /// The one output of a channel whose weights are 0.
        constant: i8,
    }

    impl Channel {
        /// Channel `c` of a portable layer, with these weights.
        pub(in super::super) fn new(p: &Reduction<'_>, c: usize, weights: impl Iterator<Item = i8>) -> Self {
            let (sum, magnitudes) = weights
                .fold((0, 0), |(sum, magnitudes), w| (sum + i64::from(w), magnitudes + i64::from(w).abs()));
            Self {
                bias: i64::from(p.channels.bias[c]) - i64::from(p.input_zero) * sum,
                factor: p.channels.requant(c),
                weights: magnitudes,
                constant: p.finish(c, 0),
            }
        }

        /// Largest magnitude of any sum of products of values of 8 bits.
        fn reach(&self) -> i64 {
            self.bias.abs() + 128 * self.weights
        }

        /// Whether the kernels may scale sums: twice a sum, and the largest rounding term plus the quotient, have 32 bits.
        pub(in super::super) fn scales(&self) -> bool {
            let factor = self.factor.multiplier == 0 || (-22..=-1).contains(&self.factor.shift);
            self.weights == 0 || factor && self.reach() < 1 << 30
        }

        /// Twice the bias, multiplier, rounding and shift for kernels that scale.
        pub(in super::super) fn scaling(&self, output_zero: i32) -> [i32; 4] {
            if self.weights == 0 {
                return [0, 0, 1 + 2 * i32::from(self.constant), 1];
            }
            let Requant { multiplier, shift } = self.factor;
            let shift = if multiplier == 0 { 1 } else { -i32::from(shift) };
            [2 * self.bias as i32, multiplier, (1 << (shift - 1)) + (output_zero << shift), shift]
        }
    }

    /// The fastest kernels that are exact for these channels of `taps` products.
    fn grade(channels: &[Channel], rows: &[&[i8]], taps: usize) -> i32 {
        // -128 of b and a negative weight of a leave 16 bits together.
        let clash = |pair: &[&[i8]]| match pair {
            [a, b] => a.iter().zip(*b).any(|(&a, &b)| b == -128 && a < 0),
            _ => false,
        };
        let proof = 255 * 128 * taps as i64;
        if rows.chunks(2).any(clash) {
            return PLAIN;
        }
        let apart = channels.chunks(2).filter_map(|pair| pair.get(1)).all(|b| 128 * b.weights < DIFFERENCE);
        // With these bounds the parser's proof holds too.
        if apart && proof < 1 << 30 && channels.iter().all(Channel::scales) {
            return FAST;
        }
        let proven = |c: &Channel| c.reach().max(c.bias.abs() + proof) <= i64::from(i32::MAX);
        if channels.iter().all(proven) { EXACT } else { PLAIN }
    }

    /// `columns`: weights are `[k, n]`, as a depthwise convolution of one channel has them.
    pub(in super::super) fn pack(taps: Taps, columns: bool, p: &Reduction<'_>) -> Packed {
        let k = taps.total();
        let turned: Vec<i8> = (0..p.n * k).map(|i| p.weights[i % k * p.n + i / k]).collect();
        let weights = if columns { &turned } else { p.weights };
        let rows: Vec<&[i8]> = weights.chunks_exact(k).take(p.n).collect();
        let channels: Vec<Channel> =
            rows.iter().enumerate().map(|(c, row)| Channel::new(p, c, row.iter().copied())).collect();
        let grade = grade(&channels, &rows, k);
        let len = packed(taps, p.n);
        let mut constants = vec![0; len.constants];
        constants[0] = grade;
        for (c, channel) in channels.iter().enumerate() {
            let pair = &mut constants[HEADER + c / 2 * PAIR..][..PAIR];
            let b = c % 2;
            let (bias, factor) = if grade == FAST {
                let [bias, factor @ ..] = channel.scaling(p.output_zero);
                (bias, factor)
            } else {
                let Requant { multiplier, shift } = channel.factor;
                let bias = if grade == PLAIN { p.channels.bias[c] } else { channel.bias as i32 };
                (bias, [multiplier, 0, shift.into()])
            };
            pair[b] = bias;
            pair[2 + 3 * b..][..3].copy_from_slice(&factor);
        }
        let run_words = run_words(taps.len);
        let mut halves = vec![0i16; len.weights / 2];
        for (c, row) in rows.iter().enumerate() {
            let pair = &mut halves[c / 2 * words(taps) * 2..];
            for (run, row) in row.chunks_exact(taps.len).enumerate() {
                for (j, &w) in row.iter().enumerate() {
                    let (word, half) = place(j);
                    let place = &mut pair[2 * (run * run_words + word) + half];
                    *place = place.wrapping_add(i16::from(w).wrapping_mul([1, 256][c % 2]));
                }
            }
        }
        let weights = halves.iter().flat_map(|half| half.to_le_bytes()).map(|byte| byte as i8).collect();
        Packed { weights, constants }
    }
}
