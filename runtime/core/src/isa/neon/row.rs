//! One row by all channels: fully connected layers of one sample, and dot products.
#![allow(unsafe_code, reason = "vectors are loaded from slices of 16 bytes")]

use super::base::Base;
use super::dot::{Dot, sdot};
use super::requant::{Factors, Narrow};
use crate::isa::{Isa, Reduction, Scalar};
use core::arch::aarch64::*;

/// Sums of products of 16 taps with those of some channels, and sums of these weights.
pub(crate) trait Sum16 {
    /// `sums[c] += x . w[c]`, as four partial sums; `totals[c] += w[c] . ones` too where `TOTAL`.
    ///
    /// # Safety
    /// The core has the instructions.
    unsafe fn add<const C: usize, const TOTAL: bool>(
        x: int8x16_t,
        w: [int8x16_t; C],
        sums: &mut [int32x4_t; C],
        totals: &mut [int32x4_t; C],
    );
}

impl Sum16 for Base {
    #[inline(always)]
    unsafe fn add<const C: usize, const TOTAL: bool>(
        x: int8x16_t,
        w: [int8x16_t; C],
        sums: &mut [int32x4_t; C],
        totals: &mut [int32x4_t; C],
    ) {
        // SAFETY: every core of this architecture has Neon.
        unsafe {
            for c in 0..C {
                sums[c] = vpadalq_s16(sums[c], vmull_s8(vget_low_s8(w[c]), vget_low_s8(x)));
                sums[c] = vpadalq_s16(sums[c], vmull_high_s8(w[c], x));
                if TOTAL {
                    totals[c] = vpadalq_s16(totals[c], vpaddlq_s8(w[c]));
                }
            }
        }
    }
}

impl Sum16 for Dot {
    #[inline(always)]
    unsafe fn add<const C: usize, const TOTAL: bool>(
        x: int8x16_t,
        w: [int8x16_t; C],
        sums: &mut [int32x4_t; C],
        totals: &mut [int32x4_t; C],
    ) {
        // SAFETY: the caller's.
        unsafe {
            for c in 0..C {
                sums[c] = sdot(sums[c], w[c], x);
                if TOTAL {
                    totals[c] = sdot(totals[c], w[c], vdupq_n_s8(1));
                }
            }
        }
    }
}

/// The last taps of a row, zeros behind them.
#[inline(always)]
fn padded(x: &[i8]) -> [i8; 16] {
    let mut taps = [0; 16];
    taps[..x.len()].copy_from_slice(x);
    taps
}

#[inline(always)]
fn load(x: &[i8; 16]) -> int8x16_t {
    // SAFETY: 16 bytes are there.
    unsafe { vld1q_s8(x.as_ptr()) }
}

/// Products of `x` with `C` rows of weights that follow each other, as four partial sums each, and sums of the weights.
#[inline(always)]
fn rows<S: Sum16, const C: usize, const TOTAL: bool>(
    x: &[i8],
    weights: &[i8],
) -> ([int32x4_t; C], [int32x4_t; C]) {
    let k = x.len();
    let rows: [&[i8]; C] = core::array::from_fn(|c| &weights[c * k..(c + 1) * k]);
    // SAFETY: zeros; tiers are chosen only on cores that have them.
    unsafe {
        let (mut sums, mut totals) = ([vdupq_n_s32(0); C], [vdupq_n_s32(0); C]);
        let (blocks, rest) = x.as_chunks::<16>();
        for (i, x) in blocks.iter().enumerate() {
            // Every row has as many blocks as `x`.
            let w = core::array::from_fn(|c| vld1q_s8(rows[c].as_ptr().add(16 * i)));
            S::add::<C, TOTAL>(load(x), w, &mut sums, &mut totals);
        }
        if !rest.is_empty() {
            let w = core::array::from_fn(|c| load(&padded(&rows[c][k - rest.len()..])));
            S::add::<C, TOTAL>(load(&padded(rest)), w, &mut sums, &mut totals);
        }
        (sums, totals)
    }
}

/// One row by all channels, without a weight zero point.
pub(super) fn row<S: Sum16>(p: &Reduction<'_>, x: &[i8], out: &mut [i8]) {
    let k = x.len();
    let narrow = Narrow::new(p.output_zero, p.clamp);
    let (blocks, rest) = out.as_chunks_mut::<4>();
    for (block, out) in blocks.iter_mut().enumerate() {
        let c = 4 * block;
        let (sums, totals) = rows::<S, 4, true>(x, &p.weights[c * k..]);
        let bias = &p.channels.bias[c..c + 4];
        // SAFETY: four biases are there, and room for four results.
        unsafe {
            let [sums, totals] =
                [sums, totals].map(|[a, b, c, d]| vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
            let sums = vmlsq_n_s32(vaddq_s32(vld1q_s32(bias.as_ptr()), sums), totals, p.input_zero);
            let scaled = Factors::load(&p.channels, c).apply(sums);
            let four = vreinterpret_s32_s8(narrow.apply(scaled, scaled));
            *out = vget_lane_s32::<0>(four).to_ne_bytes().map(|b| b as i8);
        }
    }
    let first = 4 * blocks.len();
    for (c, out) in (first..).zip(rest) {
        *out = p.finish(c, dot::<S>(x, &p.weights[c * k..(c + 1) * k], p.input_zero, 0));
    }
}

/// [`Isa::dot`].
pub(super) fn dot<S: Sum16>(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
    if weight_zero != 0 || x.len() < 16 || w.len() < x.len() {
        return Scalar::dot(x, w, input_zero, weight_zero);
    }
    let ([sums], [totals]) = rows::<S, 1, true>(x, w);
    // SAFETY: every core of this architecture has Neon.
    unsafe { vaddvq_s32(vmlsq_n_s32(sums, totals, input_zero)) }
}
