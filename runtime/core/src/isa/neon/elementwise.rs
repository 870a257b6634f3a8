//! Kernels over elements, 16 at a time.
#![allow(unsafe_code, reason = "vectors are loaded from and stored to arrays of 16 bytes")]

use super::requant::{Factors, Narrow};
use crate::fixed;
use crate::isa::{ProductParams, RescaleParams, Source, SumParams};
use crate::quant::{Clamp, Requant};
use core::arch::aarch64::*;

/// Applies `f` to 16 elements of each operand at a time; those of the last block that do not exist are 0.
///
/// There is one place where `f` is called, so that it becomes part of the loop: the last block is a round of its own.
#[inline(always)]
fn binary(a: Source<'_>, b: &[i8], out: &mut [i8], f: impl Fn(int8x16_t, int8x16_t) -> int8x16_t) {
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
                vst1q_s8(to, f(vld1q_s8(first), vld1q_s8(second)));
                (first, second, to) = (first.add(16), second.add(step), to.add(16));
            }
        }
    }
    out[rest.clone()].copy_from_slice(&last[..rest.len()]);
}

#[inline(always)]
fn unary(a: Source<'_>, out: &mut [i8], f: impl Fn(int8x16_t) -> int8x16_t) {
    binary(a, &[0], out, |a, _| f(a));
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

/// How much of the rounding rule a factor needs.
const FULL: u8 = 0;
/// All shifts are to the right by at least 1.
const PLAIN: u8 = 1;
/// The factor is one half and values are shifted left, so that nothing is rounded: the left shift has it in it.
const HALF: u8 = 2;
/// Bits of a left shift that the widening of 16 bits does where the mode is not [`FULL`].
const WIDENED: i32 = 16;

/// One operand of a sum.
#[derive(Clone, Copy)]
struct Addend {
    zero: int8x8_t,
    left: int32x4_t,
    /// `left` less [`WIDENED`].
    left16: int16x8_t,
    factors: Factors,
    mode: u8,
}

impl Addend {
    #[inline(always)]
    fn new(p: &SumParams, i: usize) -> Self {
        let half =
            p.scale[i] == Requant { multiplier: 1 << 30, shift: 0 } && (17..=22).contains(&p.left_shift);
        let left = p.left_shift as i32 - i32::from(half);
        // SAFETY: every core of this architecture has Neon.
        let (zero, left, left16) = unsafe {
            (
                vdup_n_s8(p.zero[i] as i8),
                vdupq_n_s32(p.left_shift as i32),
                vdupq_n_s16((left - WIDENED) as i16),
            )
        };
        // A shift of 9 bits by up to 6 stays within 16.
        let plain = p.scale[i].shift < 0 && (16..=22).contains(&p.left_shift);
        let mode = if half { HALF } else { u8::from(plain) };
        Self { zero, left, left16, factors: Factors::splat(p.scale[i]), mode }
    }

    /// Eight values less the zero point, scaled.
    #[inline(always)]
    fn apply<const MODE: u8>(&self, x: int8x8_t) -> [int32x4_t; 2] {
        // SAFETY: every core of this architecture has Neon.
        unsafe {
            let x = vsubl_s8(x, self.zero);
            if MODE == FULL {
                let (low, high) = (vmovl_s16(vget_low_s16(x)), vmovl_high_s16(x));
                let (low, high) = (vshlq_s32(low, self.left), vshlq_s32(high, self.left));
                return [self.factors.apply(low), self.factors.apply(high)];
            }
            let (x, zero) = (vshlq_s16(x, self.left16), vdupq_n_s16(0));
            // On this architecture the second of two 16-bit lanes is the upper half of 32 bits.
            let low = vreinterpretq_s32_s16(vzip1q_s16(zero, x));
            let high = vreinterpretq_s32_s16(vzip2q_s16(zero, x));
            match MODE {
                PLAIN => [self.factors.apply_plain(low), self.factors.apply_plain(high)],
                _ => [low, high],
            }
        }
    }
}

/// Constants of a sum in registers.
#[derive(Clone, Copy)]
struct Sum {
    inputs: [Addend; 2],
    output: Scale,
    narrow: Narrow,
}

impl Sum {
    #[inline(always)]
    fn eight<const A: u8, const B: u8>(&self, a: int8x8_t, b: int8x8_t) -> [int32x4_t; 2] {
        let (a, b) = (self.inputs[0].apply::<A>(a), self.inputs[1].apply::<B>(b));
        let factors = &self.output.factors;
        // SAFETY: every core of this architecture has Neon.
        let (low, high) = unsafe { (vaddq_s32(a[0], b[0]), vaddq_s32(a[1], b[1])) };
        match A {
            FULL => [factors.apply(low), factors.apply(high)],
            _ => [factors.apply_plain(low), factors.apply_plain(high)],
        }
    }

    /// `A` and `B` are the modes of the operands; where `A` is not [`FULL`], the output's factor is plain.
    #[inline(always)]
    fn run<const A: u8, const B: u8>(&self, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        // SAFETY: every core of this architecture has Neon.
        binary(a, b, out, |a, b| unsafe {
            let low = self.eight::<A, B>(vget_low_s8(a), vget_low_s8(b));
            let high = self.eight::<A, B>(vget_high_s8(a), vget_high_s8(b));
            match A {
                FULL => {
                    let low = self.narrow.apply(low[0], low[1]);
                    vcombine_s8(low, self.narrow.apply(high[0], high[1]))
                }
                _ if self.narrow.full => self.narrow.pair_plain::<true>(low, high),
                _ => self.narrow.pair_plain::<false>(low, high),
            }
        });
    }
}

pub(super) fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    let sum = Sum {
        inputs: [Addend::new(p, 0), Addend::new(p, 1)],
        output: Scale::new(p.output),
        narrow: Narrow::new(p.output_zero, p.clamp),
    };
    match [sum.inputs[0].mode, sum.inputs[1].mode] {
        [PLAIN, PLAIN] if sum.output.plain => sum.run::<PLAIN, PLAIN>(a, b, out),
        [PLAIN, HALF] if sum.output.plain => sum.run::<PLAIN, HALF>(a, b, out),
        [HALF, PLAIN] if sum.output.plain => sum.run::<HALF, PLAIN>(a, b, out),
        [HALF, HALF] if sum.output.plain => sum.run::<HALF, HALF>(a, b, out),
        _ => sum.run::<FULL, FULL>(a, b, out),
    }
}

/// Constants of a product in registers.
#[derive(Clone, Copy)]
struct Product {
    zeros: [int8x8_t; 2],
    output: Scale,
    narrow: Narrow,
}

impl Product {
    #[inline(always)]
    fn eight(&self, a: int8x8_t, b: int8x8_t) -> int8x8_t {
        // SAFETY: every core of this architecture has Neon.
        unsafe {
            let (a, b) = (vsubl_s8(a, self.zeros[0]), vsubl_s8(b, self.zeros[1]));
            let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
            self.output.finish(&self.narrow, low, vmull_high_s16(a, b))
        }
    }
}

pub(super) fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    let product = Product {
        // SAFETY: every core of this architecture has Neon.
        zeros: p.zero.map(|zero| unsafe { vdup_n_s8(zero as i8) }),
        output: Scale::new(p.output),
        narrow: Narrow::new(p.output_zero, p.clamp),
    };
    // SAFETY: as above.
    binary(a, b, out, |a, b| unsafe {
        let low = product.eight(vget_low_s8(a), vget_low_s8(b));
        vcombine_s8(low, product.eight(vget_high_s8(a), vget_high_s8(b)))
    });
}

pub(super) fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
    let (scale, narrow) = (Scale::new(p.scale), Narrow::new(p.output_zero, Clamp::FULL));
    // SAFETY: every core of this architecture has Neon.
    let zero = unsafe { vdup_n_s8(p.input_zero as i8) };
    unary(a, out, |x| {
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
        unary(a, out, |x| {
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
    if row.len() == out.len() {
        // SAFETY: every core of this architecture has Neon.
        binary(Source::InPlace, row, out, |a, b| unsafe { vmaxq_s8(a, b) });
    }
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
