//! The rounding rule, eight sums at a time.

use crate::isa::Channels;
use crate::quant::{Clamp, Requant};
use core::arch::x86_64::*;

/// Factors of eight channels.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    multiplier: __m256i,
    left: __m256i,
    /// The shift to the right, at least 0; the bits that it drops; the largest remainder that is rounded down.
    right: __m256i,
    mask: __m256i,
    half: __m256i,
}

impl Factors {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(multiplier: __m256i, left: __m256i, right: __m256i) -> Self {
        let ones = _mm256_set1_epi32(-1);
        let mask = _mm256_xor_si256(_mm256_sllv_epi32(ones, right), ones);
        Self { multiplier, left, right, mask, half: _mm256_srli_epi32::<1>(mask) }
    }

    /// One factor for all.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn splat(factor: Requant) -> Self {
        let shift = i32::from(factor.shift);
        let (left, right) = (_mm256_set1_epi32(shift.max(0)), _mm256_set1_epi32(-shift.min(0)));
        Self::new(_mm256_set1_epi32(factor.multiplier), left, right)
    }

    /// The factors of the eight channels from `c` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn load(channels: &Channels<'_>, c: usize) -> Self {
        let mut shift = [0; 8];
        shift.iter_mut().zip(&channels.shift[c..c + 8]).for_each(|(to, &from)| *to = i32::from(from));
        let mut multiplier = [0; 8];
        multiplier.copy_from_slice(&channels.multiplier[c..c + 8]);
        Self::new(
            super::load(&multiplier),
            super::load(&shift.map(|s| s.max(0))),
            super::load(&shift.map(|s| -s.min(0))),
        )
    }

    /// Those of a panel; `right` is negative or zero.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn of(multiplier: &[i32; 8], left: &[i32; 8], right: &[i32; 8]) -> Self {
        let right = _mm256_sub_epi32(_mm256_setzero_si256(), super::load(right));
        Self::new(super::load(multiplier), super::load(left), right)
    }

    /// [`Requant::apply`].
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn apply(&self, x: __m256i) -> __m256i {
        let x = doubling_high_mul(_mm256_sllv_epi32(x, self.left), self.multiplier);
        let remainder = _mm256_and_si256(x, self.mask);
        let threshold = _mm256_sub_epi32(self.half, _mm256_srai_epi32::<31>(x));
        let up = _mm256_cmpgt_epi32(remainder, threshold);
        _mm256_sub_epi32(_mm256_srav_epi32(x, self.right), up)
    }
}

/// `(x * multiplier) / 2^31` rounded half up, for multipliers from 0 on.
#[inline]
#[target_feature(enable = "avx2")]
fn doubling_high_mul(x: __m256i, multiplier: __m256i) -> __m256i {
    let round = _mm256_set1_epi64x(1 << 30);
    let even = _mm256_add_epi64(_mm256_mul_epi32(x, multiplier), round);
    let (x, multiplier) = (_mm256_srli_epi64::<32>(x), _mm256_srli_epi64::<32>(multiplier));
    let odd = _mm256_add_epi64(_mm256_mul_epi32(x, multiplier), round);
    // Bits 31 to 62 of each product: in the low words of the even ones, in the high words of the odd ones.
    _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<31>(even), _mm256_slli_epi64::<1>(odd))
}

/// Zero point and range of an output.
#[derive(Clone, Copy)]
pub(super) struct Narrow {
    zero: __m256i,
    min: __m128i,
    max: __m128i,
}

impl Narrow {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(zero: i32, clamp: Clamp) -> Self {
        Self { zero: _mm256_set1_epi32(zero), min: _mm_set1_epi8(clamp.min), max: _mm_set1_epi8(clamp.max) }
    }

    /// Sixteen outputs. The zero point is added in 32 bits, where it wraps as the rule has it.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn apply(&self, low: __m256i, high: __m256i) -> __m128i {
        let words = |x: __m256i| {
            let x = _mm256_add_epi32(x, self.zero);
            _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x))
        };
        let bytes = _mm_packs_epi16(words(low), words(high));
        _mm_min_epi8(_mm_max_epi8(bytes, self.min), self.max)
    }
}
