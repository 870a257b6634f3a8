//! Blocks of 8 channels by 8 pixels on cores with matrix products: `smmla` multiplies 8 taps of two pixels by those of
//! two channels.
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds the driver proves; asm")]

use super::base::Sums;
use super::dot::{self, Dot};
use crate::isa::Reduction;
use crate::isa::tile::{Finish, PIXELS, Rows, Runs, Tile};
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
        let mut sums = Sums::default();
        let mut steps = panel.as_chunks_mut::<128>().0.iter_mut();
        for run in 0..rows.runs.count {
            for (step, out) in (0..rows.runs.steps).zip(&mut steps) {
                for c in 0..8 {
                    let weights = rows.step::<16>(c, run, step);
                    sums.add(c, &weights);
                    out[8 * c..][..8].copy_from_slice(&weights[..8]);
                    out[64 + 8 * c..][..8].copy_from_slice(&weights[8..]);
                }
            }
        }
        sums.fold(finish);
    }

    unsafe fn block(
        panel: &[i8],
        finish: &Finish,
        x: *const i8,
        offsets: &[usize; PIXELS],
        pixels: usize,
        runs: Runs,
        out: *mut i8,
        row: usize,
    ) {
        // SAFETY: the caller's.
        unsafe {
            match pixels {
                8 => block::<8, 4>(panel, finish, x, offsets, runs, out, row),
                4 => block::<4, 2>(panel, finish, x, offsets, runs, out, row),
                2 => block::<2, 1>(panel, finish, x, offsets, runs, out, row),
                _ => block::<1, 1>(panel, finish, x, offsets, runs, out, row),
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
    panel: &[i8],
    finish: &Finish,
    x: *const i8,
    offsets: &[usize; PIXELS],
    runs: Runs,
    out: *mut i8,
    row: usize,
) {
    let mut w = panel.as_ptr();
    // SAFETY: the caller keeps every step of every run and the rows of `out` in bounds; the panel is as long as all steps.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); 4]; PAIRS];
        let mut x: [*const i8; P] = core::array::from_fn(|i| x.add(offsets[i]));
        for _ in 0..runs.count {
            for step in 0..runs.steps {
                let taps: [[int8x16_t; 2]; PAIRS] = core::array::from_fn(|i| {
                    let [a, b] = [2 * i, (2 * i + 1).min(P - 1)]
                        .map(|i| vreinterpretq_s64_s8(vld1q_s8(x[i].add(16 * step))));
                    [vzip1q_s64(a, b), vzip2q_s64(a, b)].map(|x| vreinterpretq_s8_s64(x))
                });
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
            x.iter_mut().for_each(|x| *x = x.add(runs.stride));
        }
        let bias = [vld1q_s32(finish.bias.as_ptr()), vld1q_s32(finish.bias.as_ptr().add(4))];
        let sums: [[int32x4_t; 2]; P] = core::array::from_fn(|i| {
            let sums = sums[i / 2].map(|sum| vreinterpretq_s64_s32(sum));
            core::array::from_fn(|half| {
                let [a, b] = [sums[2 * half], sums[2 * half + 1]];
                let four = if i % 2 == 0 { vzip1q_s64(a, b) } else { vzip2q_s64(a, b) };
                vaddq_s32(bias[half], vreinterpretq_s32_s64(four))
            })
        });
        dot::store(finish, &sums, out, row);
    }
}
