//! Kernels over elements, 16 at a time.
#![allow(unsafe_code, reason = "vectors are loaded from and stored to arrays of 16 bytes")]

use super::requant::{Factors, Narrow};
use crate::fixed;
use crate::isa::{ProductParams, RescaleParams, Source, SumParams};
use crate::quant::{Clamp, Requant};
use core::arch::aarch64::*;

#[inline(always)]
fn load(x: &[i8; 16]) -> int8x16_t {
    // SAFETY: 16 bytes are there, and every core of this architecture has Neon.
    unsafe { vld1q_s8(x.as_ptr()) }
}

#[inline(always)]
fn store(x: int8x16_t, out: &mut [i8; 16]) {
    // SAFETY: 16 bytes are there.
    unsafe { vst1q_s8(out.as_mut_ptr(), x) }
}

/// Applies `f` to elements that lie in `out`, a block of 16 with its number at a time.
#[inline(always)]
fn in_place(out: &mut [i8], f: impl Fn(int8x16_t, usize) -> int8x16_t) {
    let (blocks, rest) = out.as_chunks_mut::<16>();
    let count = blocks.len();
    for (i, block) in blocks.iter_mut().enumerate() {
        store(f(load(block), i), block);
    }
    if !rest.is_empty() {
        let mut block = [0; 16];
        block[..rest.len()].copy_from_slice(rest);
        let result = f(load(&block), count);
        store(result, &mut block);
        rest.copy_from_slice(&block[..rest.len()]);
    }
}

#[inline(always)]
fn unary(a: Source<'_>, out: &mut [i8], f: impl Fn(int8x16_t, usize) -> int8x16_t) {
    let Source::From(a) = a else { return in_place(out, f) };
    let (sources, last) = a.as_chunks::<16>();
    let (blocks, rest) = out.as_chunks_mut::<16>();
    for (i, (block, source)) in blocks.iter_mut().zip(sources).enumerate() {
        store(f(load(source), i), block);
    }
    rest.copy_from_slice(&last[..rest.len()]);
    in_place(rest, |x, _| f(x, sources.len()));
}

#[inline(always)]
fn binary(a: Source<'_>, b: &[i8], out: &mut [i8], f: impl Fn(int8x16_t, int8x16_t) -> int8x16_t) {
    if let &[b] = b {
        // SAFETY: every core of this architecture has Neon.
        let b = unsafe { vdupq_n_s8(b) };
        return unary(a, out, |a, _| f(a, b));
    }
    let (blocks, rest) = b.as_chunks::<16>();
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    unary(a, out, |a, i| f(a, load(blocks.get(i).unwrap_or(&last))));
}

/// `f` of both halves of 16 values less their zero point.
#[inline(always)]
fn halves(x: int8x16_t, zero: int8x8_t, f: impl Fn(int16x8_t) -> int8x8_t) -> int8x16_t {
    // SAFETY: every core of this architecture has Neon.
    unsafe {
        let low = vsubl_s8(vget_low_s8(x), zero);
        let high = vsubl_high_s8(x, vcombine_s8(zero, zero));
        vcombine_s8(f(low), f(high))
    }
}

/// A factor, and whether all shifts are to the right.
#[derive(Clone, Copy)]
struct Scale {
    factors: Factors,
    plain: bool,
}

impl Scale {
    #[inline(always)]
    fn new(factor: Requant) -> Self {
        Self { factors: Factors::splat(factor), plain: factor.shift < 0 }
    }

    /// Eight outputs of eight sums.
    #[inline(always)]
    fn finish(&self, narrow: &Narrow, low: int32x4_t, high: int32x4_t) -> int8x8_t {
        if self.plain {
            narrow.apply_plain(self.factors.apply_plain(low), self.factors.apply_plain(high))
        } else {
            narrow.apply(self.factors.apply(low), self.factors.apply(high))
        }
    }
}

/// One operand of a sum.
#[derive(Clone, Copy)]
struct Addend {
    zero: int8x8_t,
    left: int32x4_t,
    scale: Scale,
    /// The factor is one half and values are shifted left, so that nothing is rounded: `left` has the factor in it.
    half: bool,
}

impl Addend {
    #[inline(always)]
    fn new(p: &SumParams, i: usize) -> Self {
        let half =
            p.scale[i] == Requant { multiplier: 1 << 30, shift: 0 } && (1..=22).contains(&p.left_shift);
        let left = p.left_shift as i32 - i32::from(half);
        // SAFETY: every core of this architecture has Neon.
        let (zero, left) = unsafe { (vdup_n_s8(p.zero[i] as i8), vdupq_n_s32(left)) };
        Self { zero, left, scale: Scale::new(p.scale[i]), half }
    }

    /// Four values of eight, the zero point taken off.
    #[inline(always)]
    fn apply(&self, x: int32x4_t) -> int32x4_t {
        // SAFETY: every core of this architecture has Neon.
        let x = unsafe { vshlq_s32(x, self.left) };
        match (self.half, self.scale.plain) {
            (true, _) => x,
            (false, true) => self.scale.factors.apply_plain(x),
            (false, false) => self.scale.factors.apply(x),
        }
    }
}

pub(super) fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    let (first, second) = (Addend::new(p, 0), Addend::new(p, 1));
    let (output, narrow) = (Scale::new(p.output), Narrow::new(p.output_zero, p.clamp));
    let eight = |a: int8x8_t, b: int8x8_t| {
        // SAFETY: every core of this architecture has Neon.
        unsafe {
            let (a, b) = (vsubl_s8(a, first.zero), vsubl_s8(b, second.zero));
            let sum =
                |a: int16x4_t, b: int16x4_t| vaddq_s32(first.apply(vmovl_s16(a)), second.apply(vmovl_s16(b)));
            let low = sum(vget_low_s16(a), vget_low_s16(b));
            let high = sum(vget_high_s16(a), vget_high_s16(b));
            output.finish(&narrow, low, high)
        }
    };
    // SAFETY: as above.
    binary(a, b, out, |a, b| unsafe {
        vcombine_s8(eight(vget_low_s8(a), vget_low_s8(b)), eight(vget_high_s8(a), vget_high_s8(b)))
    });
}

pub(super) fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    // SAFETY: every core of this architecture has Neon.
    let zero = p.zero.map(|zero| unsafe { vdup_n_s8(zero as i8) });
    let (output, narrow) = (Scale::new(p.output), Narrow::new(p.output_zero, p.clamp));
    let eight = |a: int8x8_t, b: int8x8_t| {
        // SAFETY: as above.
        unsafe {
            let (a, b) = (vsubl_s8(a, zero[0]), vsubl_s8(b, zero[1]));
            output.finish(&narrow, vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b))
        }
    };
    // SAFETY: as above.
    binary(a, b, out, |a, b| unsafe {
        vcombine_s8(eight(vget_low_s8(a), vget_low_s8(b)), eight(vget_high_s8(a), vget_high_s8(b)))
    });
}

pub(super) fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
    let (scale, narrow) = (Scale::new(p.scale), Narrow::new(p.output_zero, Clamp::FULL));
    // SAFETY: every core of this architecture has Neon.
    let zero = unsafe { vdup_n_s8(p.input_zero as i8) };
    unary(a, out, |x, _| {
        halves(x, zero, |x| {
            // SAFETY: as above.
            let (low, high) = unsafe { (vmovl_s16(vget_low_s16(x)), vmovl_high_s16(x)) };
            scale.finish(&narrow, low, high)
        })
    });
}

/// Four lookups of 64 entries each: an index beyond a part leaves what the part before has found.
pub(super) fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
    let parts = table.as_chunks::<64>().0;
    // SAFETY: 64 entries are at every pointer.
    unsafe {
        let quarter = |i: usize| {
            let at = |j: usize| vld1q_s8(parts[i].as_ptr().add(16 * j));
            int8x16x4_t(at(0), at(1), at(2), at(3))
        };
        let quarters = [quarter(0), quarter(1), quarter(2), quarter(3)];
        unary(a, out, |x, _| {
            let index = veorq_u8(vreinterpretq_u8_s8(x), vdupq_n_u8(0x80));
            let next = |by: u8| vsubq_u8(index, vdupq_n_u8(by));
            let found = vqtbl4q_s8(quarters[0], index);
            let found = vqtbx4q_s8(found, quarters[1], next(64));
            let found = vqtbx4q_s8(found, quarters[2], next(128));
            vqtbx4q_s8(found, quarters[3], next(192))
        });
    }
}

pub(super) fn max(row: &[i8], out: &mut [i8]) {
    // SAFETY: every core of this architecture has Neon.
    binary(Source::InPlace, row, out, |a, b| unsafe { vmaxq_s8(a, b) });
}

pub(super) fn accumulate(row: &[i8], sum: &mut [i32]) {
    let (rows, rest) = row.as_chunks::<8>();
    let (sums, last) = sum.as_chunks_mut::<8>();
    for (sum, x) in sums.iter_mut().zip(rows) {
        // SAFETY: eight values are at every pointer.
        unsafe {
            let x = vmovl_s8(vld1_s8(x.as_ptr()));
            let at = sum.as_mut_ptr();
            vst1q_s32(at, vaddw_s16(vld1q_s32(at), vget_low_s16(x)));
            vst1q_s32(at.add(4), vaddw_high_s16(vld1q_s32(at.add(4)), x));
        }
    }
    last.iter_mut().zip(rest).for_each(|(sum, &x)| *sum = sum.wrapping_add(i32::from(x)));
}

pub(super) fn softmax(exp: &[i32], row: &[i8], out: &mut [i8]) {
    let max = row.iter().copied().fold(i8::MIN, i8::max);
    let entry = |x: i8| exp[usize::from(max.abs_diff(x))];
    let sum = row.iter().fold(0i32, |sum, &x| sum.wrapping_add(fixed::to_accumulator(entry(x))));
    let (scale, bits) = fixed::reciprocal(sum);
    // 31 fraction bits of the product, less the 8 of a result in 1/256.
    let shift = bits + 31 - 8;
    if shift > 31 {
        // Every product is below one half.
        return out.fill(i8::MIN);
    }
    let factors = Factors::splat(Requant { multiplier: scale, shift: -(shift as i8) });
    let narrow = Narrow::new(i32::from(i8::MIN), Clamp::FULL);
    let eight = |x: &[i8; 8]| {
        let entries = x.map(entry);
        let mut results = [0; 8];
        // SAFETY: eight entries and results are there.
        unsafe {
            let [low, high] = [0, 4].map(|i| factors.apply_plain(vld1q_s32(entries.as_ptr().add(i))));
            vst1_s8(results.as_mut_ptr(), narrow.apply_plain(low, high));
        }
        results
    };
    let (blocks, rest) = row.as_chunks::<8>();
    let (outs, last) = out.as_chunks_mut::<8>();
    outs.iter_mut().zip(blocks).for_each(|(out, x)| *out = eight(x));
    if !rest.is_empty() {
        let mut block = [max; 8];
        block[..rest.len()].copy_from_slice(rest);
        last.copy_from_slice(&eight(&block)[..rest.len()]);
    }
}
