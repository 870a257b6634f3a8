//! One row by all channels: fully connected layers of one sample, and dot products.

use super::{requant, sign_extended};
use crate::isa::{Isa, Reduction, Scalar};
use core::arch::x86_64::*;

/// The last taps of a row, zeros behind them.
#[inline]
fn padded(x: &[i8]) -> [i8; 16] {
    let mut taps = [0; 16];
    taps[..x.len()].copy_from_slice(x);
    taps
}

/// Products of `x`, less the zero point, with `C` rows of weights that follow each other, as eight partial sums each.
#[inline]
#[target_feature(enable = "avx2")]
fn sums<const C: usize>(x: &[i8], weights: &[i8], zero: i32) -> [__m256i; C] {
    let k = x.len();
    let zero = _mm256_set1_epi16(zero as i16);
    let mut sums = [_mm256_setzero_si256(); C];
    let mut rows = [[].as_slice(); C];
    rows.iter_mut().zip(weights.chunks_exact(k.max(1))).for_each(|(row, w)| *row = w);
    let (blocks, rest) = x.as_chunks::<16>();
    for (i, x) in blocks.iter().enumerate() {
        let x = _mm256_sub_epi16(sign_extended(x), zero);
        for c in 0..C {
            let w = sign_extended(&rows[c].as_chunks::<16>().0[i]);
            sums[c] = _mm256_add_epi32(sums[c], _mm256_madd_epi16(x, w));
        }
    }
    if !rest.is_empty() {
        // What is behind the row is multiplied by weights of zero.
        let x = _mm256_sub_epi16(sign_extended(&padded(rest)), zero);
        for c in 0..C {
            let w = sign_extended(&padded(&rows[c][k - rest.len()..]));
            sums[c] = _mm256_add_epi32(sums[c], _mm256_madd_epi16(x, w));
        }
    }
    sums
}

/// The sum of eight values.
#[inline]
#[target_feature(enable = "avx2")]
fn total(x: __m256i) -> i32 {
    let x = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    let x = _mm_add_epi32(x, _mm_shuffle_epi32::<0b00_00_11_10>(x));
    _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32::<0b00_00_00_01>(x)))
}

/// One row by all channels, without a weight zero point.
#[target_feature(enable = "avx2")]
pub(super) fn row(p: &Reduction<'_>, x: &[i8], out: &mut [i8]) {
    let k = x.len();
    let narrow = requant::Narrow::new(p.output_zero, p.clamp);
    let (blocks, rest) = out.as_chunks_mut::<8>();
    for (block, out) in blocks.iter_mut().enumerate() {
        let c = 8 * block;
        let mut totals = [0; 8];
        for half in 0..2 {
            let four = sums::<4>(x, &p.weights[(c + 4 * half) * k..], p.input_zero);
            for (total_of, sums) in totals[4 * half..].iter_mut().zip(four) {
                *total_of = total(sums);
            }
        }
        totals.iter_mut().zip(&p.channels.bias[c..c + 8]).for_each(|(t, &b)| *t = t.wrapping_add(b));
        let scaled = requant::Factors::load(&p.channels, c).apply(super::load(&totals));
        let bytes = _mm_cvtsi128_si64(narrow.apply(scaled, scaled)).to_ne_bytes();
        *out = bytes.map(|b| b as i8);
    }
    let first = 8 * blocks.len();
    for (c, out) in (first..).zip(rest) {
        *out = p.finish(c, total(sums::<1>(x, &p.weights[c * k..], p.input_zero)[0]));
    }
}

/// [`Isa::dot`].
#[target_feature(enable = "avx2")]
pub(super) fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
    if weight_zero != 0 || x.len() < 16 || w.len() < x.len() {
        return Scalar::dot(x, w, input_zero, weight_zero);
    }
    total(sums::<1>(x, w, input_zero)[0])
}
