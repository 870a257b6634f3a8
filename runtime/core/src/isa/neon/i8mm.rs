//! Blocks of 8 channels by 8 pixels on cores with matrix products: `smmla` multiplies 8 taps of two pixels by those of
//! two channels.
#![allow(clippy::needless_range_loop, reason = "registers are numbered")]
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds the driver proves; asm")]

use super::base::{each_step, store};
use super::dot::{self, Dot};
use crate::isa::Reduction;
use crate::isa::tile::{Finish, Place, Rows, Tile};
use core::arch::aarch64::*;
use core::arch::asm;

pub(crate) struct I8mm;

/// `sum[2 * i + j] += x[8 * i..][..8] . w[8 * j..][..8]`.
///
/// # Safety
/// The core has matrix products of int8.
#[inline(always)]
unsafe fn smmla(mut sum: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "smmla {sum:v}.4s, {x:v}.16b, {w:v}.16b",
            sum = inout(vreg) sum,
            x = in(vreg) x,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

impl Tile for I8mm {
    type Tap = i8;
    type Weight = i8;
    const CHANNELS: usize = 8;
    const BLOCK: usize = 8;
    const STEP: usize = 16;
    const FEWEST: usize = 4;
    const IN_PLACE: bool = true;

    fn taps(x: &[i8], _: i32, taps: &mut [i8]) {
        taps.copy_from_slice(x);
    }

    /// For every 8 of 16 taps: 8 taps of channel 0, of channel 1, …
    fn pack(rows: &Rows<'_>, panel: &mut [i8], finish: &mut Finish) {
        each_step::<8>(rows, finish, panel, |weights, out| {
            for pair in 0..4 {
                // SAFETY: every core of this architecture has Neon.
                unsafe {
                    let a = vreinterpretq_s64_s8(weights[2 * pair]);
                    let b = vreinterpretq_s64_s8(weights[2 * pair + 1]);
                    store(vreinterpretq_s8_s64(vzip1q_s64(a, b)), out, 16 * pair);
                    store(vreinterpretq_s8_s64(vzip2q_s64(a, b)), out, 64 + 16 * pair);
                }
            }
        });
    }

    unsafe fn block(panels: *const i8, finishes: &[Finish], place: &Place<i8>, pixels: usize, out: *mut i8) {
        // SAFETY: the caller's.
        unsafe {
            match pixels {
                8 => block::<8, 4>(panels, finishes, place, out),
                4 => block::<4, 2>(panels, finishes, place, out),
                2 => block::<2, 1>(panels, finishes, place, out),
                _ => block::<1, 1>(panels, finishes, place, out),
            }
        }
    }

    fn row(p: &Reduction<'_>, x: &[i8], out: &mut [i8]) {
        // One row has no use for matrices; every core with them has dot products.
        Dot::row(p, x, out);
    }
}

/// `PAIRS` pairs of pixels; where there is but one pixel, it is both of its pair.
///
/// # Safety
/// That of [`Tile::block`].
unsafe fn block<const P: usize, const PAIRS: usize>(
    mut w: *const i8,
    finishes: &[Finish],
    place: &Place<i8>,
    mut out: *mut i8,
) {
    let (runs, row) = (place.runs, place.row);
    // SAFETY: the caller keeps every step of every run and the rows of `out` in bounds; the panels are as
    // long as all their steps.
    unsafe {
        for finish in finishes {
            let mut sums = [[vdupq_n_s32(0); 4]; PAIRS];
            let mut run = place.taps;
            for _ in 0..runs.count {
                let mut x = [run; P];
                for i in 0..P {
                    x[i] = run.add(place.offsets[i]);
                }
                for step in 0..runs.steps {
                    let mut taps = [[vdupq_n_s8(0); 2]; PAIRS];
                    for i in 0..PAIRS {
                        let (a, b) = (vld1q_s8(x[2 * i].add(16 * step)), (2 * i + 1).min(P - 1));
                        let b = vreinterpretq_s64_s8(vld1q_s8(x[b].add(16 * step)));
                        let a = vreinterpretq_s64_s8(a);
                        taps[i] =
                            [vreinterpretq_s8_s64(vzip1q_s64(a, b)), vreinterpretq_s8_s64(vzip2q_s64(a, b))];
                    }
                    for half in 0..2 {
                        for c in 0..4 {
                            let weights = vld1q_s8(w.add(64 * half + 16 * c));
                            for i in 0..PAIRS {
                                sums[i][c] = smmla(sums[i][c], taps[i][half], weights);
                            }
                        }
                    }
                    w = w.add(128);
                }
                run = run.add(runs.stride);
            }
            let bias = [vld1q_s32(finish.bias.as_ptr()), vld1q_s32(finish.bias.as_ptr().add(4))];
            let mut totals = [bias; P];
            for i in 0..P {
                for half in 0..2 {
                    let a = vreinterpretq_s64_s32(sums[i / 2][2 * half]);
                    let b = vreinterpretq_s64_s32(sums[i / 2][2 * half + 1]);
                    let four = if i % 2 == 0 { vzip1q_s64(a, b) } else { vzip2q_s64(a, b) };
                    totals[i][half] = vaddq_s32(bias[half], vreinterpretq_s32_s64(four));
                }
            }
            dot::finished(finish, &totals, out, row);
            out = out.add(8);
        }
    }
}
