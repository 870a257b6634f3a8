//! Kernels over elements, 16 at a time.
#![allow(unsafe_code, reason = "vectors are loaded from and stored to slices through pointers")]

use super::requant::{Factors, Narrow};
use crate::isa::{ProductParams, RescaleParams, Source, SumParams};
use crate::quant::Clamp;
use core::arch::x86_64::*;

/// Applies `f` to 16 elements of each operand at a time; those of the last block that do not exist are 0.
///
/// There is one place where `f` is called, so that it becomes part of the loop: the last block is a round of its own.
#[inline]
#[target_feature(enable = "avx2")]
fn binary(a: Source<'_>, b: &[i8], out: &mut [i8], f: impl Fn(__m128i, __m128i) -> __m128i) {
    let (len, whole) = (out.len(), out.len() / 16);
    let splat = [b.first().copied().unwrap_or(0); 16];
    let one = b.len() == 1;
    let (mut last, mut last_b) = ([0i8; 16], splat);
    let rest = 16 * whole..len;
    let mut first = out.as_ptr();
    match a {
        Source::InPlace => last[..rest.len()].copy_from_slice(&out[rest.clone()]),
        Source::From(a) => {
            last[..rest.len()].copy_from_slice(&a[rest.clone()]);
            first = a.as_ptr();
        }
    }
    if !one {
        last_b[..rest.len()].copy_from_slice(&b[rest.clone()]);
    }
    let (second, step) = if one { (splat.as_ptr(), 0) } else { (b.as_ptr(), 16) };
    let blocks = [
        (first, second, out.as_mut_ptr(), whole),
        (last.as_ptr(), last_b.as_ptr(), last.as_mut_ptr(), usize::from(!rest.is_empty())),
    ];
    for (mut first, mut second, mut to, count) in blocks {
        for _ in 0..count {
            // SAFETY: `whole` times 16 bytes are in the output and, as the slices of their rest have shown, in the
            // operands; each of the last blocks has 16.
            unsafe {
                let (a, b) = (_mm_loadu_si128(first.cast()), _mm_loadu_si128(second.cast()));
                _mm_storeu_si128(to.cast(), f(a, b));
                (first, second, to) = (first.add(16), second.add(step), to.add(16));
            }
        }
    }
    out[rest.clone()].copy_from_slice(&last[..rest.len()]);
}

/// Sixteen values less their zero point, eight to a vector.
#[inline]
#[target_feature(enable = "avx2")]
fn widened(x: __m128i, zero: __m256i) -> [__m256i; 2] {
    [
        _mm256_sub_epi32(_mm256_cvtepi8_epi32(x), zero),
        _mm256_sub_epi32(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(x, x)), zero),
    ]
}

#[target_feature(enable = "avx2")]
pub(super) fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    let zeros = [_mm256_set1_epi32(p.zero[0]), _mm256_set1_epi32(p.zero[1])];
    let scale = [Factors::splat(p.scale[0]), Factors::splat(p.scale[1])];
    let (output, narrow) = (Factors::splat(p.output), Narrow::new(p.output_zero, p.clamp));
    let left = _mm_cvtsi32_si128(p.left_shift as i32);
    binary(a, b, out, |a, b| {
        let (a, b) = (widened(a, zeros[0]), widened(b, zeros[1]));
        let half = |i: usize| {
            let a = scale[0].apply(_mm256_sll_epi32(a[i], left));
            let b = scale[1].apply(_mm256_sll_epi32(b[i], left));
            output.apply(_mm256_add_epi32(a, b))
        };
        narrow.apply(half(0), half(1))
    });
}

#[target_feature(enable = "avx2")]
pub(super) fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    let zeros = [_mm256_set1_epi32(p.zero[0]), _mm256_set1_epi32(p.zero[1])];
    let (output, narrow) = (Factors::splat(p.output), Narrow::new(p.output_zero, p.clamp));
    binary(a, b, out, |a, b| {
        let (a, b) = (widened(a, zeros[0]), widened(b, zeros[1]));
        let half = |i: usize| output.apply(_mm256_mullo_epi32(a[i], b[i]));
        narrow.apply(half(0), half(1))
    });
}

#[target_feature(enable = "avx2")]
pub(super) fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
    let zero = _mm256_set1_epi32(p.input_zero);
    let (scale, narrow) = (Factors::splat(p.scale), Narrow::new(p.output_zero, Clamp::FULL));
    binary(a, &[0], out, |a, _| {
        let [low, high] = widened(a, zero);
        narrow.apply(scale.apply(low), scale.apply(high))
    });
}

#[target_feature(enable = "avx2")]
pub(super) fn max(row: &[i8], out: &mut [i8]) {
    if row.len() == out.len() {
        binary(Source::InPlace, row, out, |a, b| _mm_max_epi8(a, b));
    }
}

/// The compiler's own vectors are good here.
#[target_feature(enable = "avx2")]
pub(super) fn accumulate(row: &[i8], sum: &mut [i32]) {
    sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum = sum.wrapping_add(i32::from(x)));
}
