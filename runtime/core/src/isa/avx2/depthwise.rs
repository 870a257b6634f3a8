//! Depthwise convolutions: 8 or 16 channels at a time, two taps to a `vpmaddwd`.
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds are asserted")]

use super::requant::{Factors, Narrow};
use crate::isa::Reduction;
use crate::isa::tile::Band;
use core::arch::x86_64::*;

/// Most pairs of taps.
const PAIRS: usize = 64;

/// All channels of a band. The last block begins where it ends with the last channel.
#[target_feature(enable = "avx2")]
pub(super) fn channels(p: &Reduction<'_>, c: usize, band: &Band<'_>, out: &mut [i8]) {
    let wide = if p.n >= 16 { 16 } else { 8 };
    for first in (0..p.n).step_by(wide) {
        let first = first.min(p.n - wide);
        match (c == 1, wide) {
            (true, 16) => block::<2, true>(p, band, first, out),
            (true, _) => block::<1, true>(p, band, first, out),
            (false, 16) => block::<2, false>(p, band, first, out),
            (false, _) => block::<1, false>(p, band, first, out),
        }
    }
}

/// Values of `8 * H` channels at two taps, in pairs.
///
/// # Safety
/// `8 * H` bytes are at both pointers.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn pairs<const H: usize>(a: *const i8, b: *const i8) -> [__m256i; H] {
    let mut pairs = [_mm256_setzero_si256(); H];
    for (h, pairs) in pairs.iter_mut().enumerate() {
        // SAFETY: the caller's.
        let (a, b) = unsafe { (_mm_loadl_epi64(a.add(8 * h).cast()), _mm_loadl_epi64(b.add(8 * h).cast())) };
        *pairs = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b));
    }
    pairs
}

/// The channels from `first` on, `8 * H` of them; one input channel for all where `ONE`.
#[target_feature(enable = "avx2")]
fn block<const H: usize, const ONE: bool>(p: &Reduction<'_>, band: &Band<'_>, first: usize, out: &mut [i8]) {
    let (offsets, count) = (band.offsets, band.offsets.len());
    let weights = &p.weights[first..];
    let pixels = out.len() / p.n;
    if pixels == 0 || count == 0 {
        return;
    }
    let rows = pixels / band.width;
    let channel = if ONE { 0 } else { first };
    let width = if ONE { 1 } else { 8 * H };
    let reach = offsets.iter().copied().max().unwrap_or(0);
    let end = (rows - 1) * band.row + (band.width - 1) * band.step + reach + channel + width;
    assert!(end <= band.taps.len() && rows * band.width == pixels && count <= 2 * PAIRS);
    assert!((count - 1) * p.n + 8 * H <= weights.len() && first + 8 * H <= p.n);
    // An odd last tap is read twice, the second time by weights of zero.
    let second = |pair: usize| (2 * pair + 1).min(count - 1);
    let mut kept = [[_mm256_setzero_si256(); H]; PAIRS];
    let kept = &mut kept[..count.div_ceil(2)];
    let zeros = [0i8; 16];
    let mut sums = [_mm256_setzero_si256(); H];
    for (pair, w) in kept.iter_mut().enumerate() {
        let odd = 2 * pair + 1 == count;
        // SAFETY: weights of the last tap end within the slice; zeros are 16.
        *w = unsafe {
            let at = |tap: usize| weights.as_ptr().add(tap * p.n);
            pairs::<H>(at(2 * pair), if odd { zeros.as_ptr() } else { at(2 * pair + 1) })
        };
        for (sum, w) in sums.iter_mut().zip(w) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(*w, _mm256_set1_epi16(1)));
        }
    }
    let mut bias = sums;
    let mut factors = [Factors::load(&p.channels, first); H];
    for h in 0..H {
        let c = first + 8 * h;
        let mut constants = [0; 8];
        constants.copy_from_slice(&p.channels.bias[c..c + 8]);
        let zero = _mm256_mullo_epi32(sums[h], _mm256_set1_epi32(p.input_zero));
        bias[h] = _mm256_sub_epi32(super::load(&constants), zero);
        factors[h] = Factors::load(&p.channels, c);
    }
    let narrow = Narrow::new(p.output_zero, p.clamp);
    // SAFETY: the assertions bound the taps of the last pixel, all others lie before them; channels end within `n`, so
    // outputs within their pixel.
    unsafe {
        let mut out = out.as_mut_ptr().add(first);
        for y in 0..rows {
            let mut x = band.taps.as_ptr().add(y * band.row + channel);
            for _ in 0..band.width {
                let mut sums = bias;
                for (pair, w) in kept.iter().enumerate() {
                    let at = |tap: usize| x.add(*offsets.get_unchecked(tap));
                    let (a, b) = (at(2 * pair), at(second(pair)));
                    let values = if ONE {
                        let pair = i32::from(*a) & 0xffff | i32::from(*b) << 16;
                        [_mm256_set1_epi32(pair); H]
                    } else {
                        pairs::<H>(a, b)
                    };
                    for h in 0..H {
                        sums[h] = _mm256_add_epi32(sums[h], _mm256_madd_epi16(values[h], w[h]));
                    }
                }
                let scaled = |h: usize| factors[h].apply(sums[h]);
                if H == 2 {
                    _mm_storeu_si128(out.cast(), narrow.apply(scaled(0), scaled(1)));
                } else {
                    let low = scaled(0);
                    _mm_storel_epi64(out.cast(), narrow.apply(low, low));
                }
                x = x.add(band.step);
                out = out.add(p.n);
            }
        }
    }
}
