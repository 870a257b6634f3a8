//! Blocks of 8 channels by 8 pixels on cores with dot products: `sdot` by element, so that nothing is summed across a
//! register. The intrinsic is unstable; vectors may cross `asm!` on this architecture, so one instruction is all that is
//! written in it.
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds the driver proves; asm")]

use super::base::Sums;
use super::requant::{Factors, Narrow};
use crate::isa::Reduction;
use crate::isa::tile::{Finish, PIXELS, Rows, Runs, Tile};
use core::arch::aarch64::*;
use core::arch::asm;

pub(crate) struct Dot;

/// `sum[c] += w[4 * c..][..4] . x[4 * lane..][..4]`.
macro_rules! sdot_lane {
    ($sum:expr, $w:expr, $x:expr, $lane:literal) => {
        asm!(
            ".arch_extension dotprod",
            concat!("sdot {sum:v}.4s, {w:v}.16b, {x:v}.4b[", $lane, "]"),
            sum = inout(vreg) $sum,
            w = in(vreg) $w,
            x = in(vreg) $x,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
}

/// `sum[c] += w[4 * c..][..4] . x[4 * c..][..4]`.
///
/// # Safety
/// The core has dot products.
#[inline(always)]
pub(super) unsafe fn sdot(mut sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {w:v}.16b, {x:v}.16b",
            sum = inout(vreg) sum,
            w = in(vreg) w,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

impl Tile for Dot {
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

    /// For every 4 of 16 taps: 4 taps of channel 0, of channel 1, …
    fn pack(rows: &Rows<'_>, panel: &mut [i8], finish: &mut Finish) {
        let mut sums = Sums::default();
        let mut steps = panel.as_chunks_mut::<128>().0.iter_mut();
        for run in 0..rows.runs.count {
            for (step, out) in (0..rows.runs.steps).zip(&mut steps) {
                for half in 0..2 {
                    let rows: [[i8; 16]; 4] = core::array::from_fn(|c| {
                        let weights = rows.step::<16>(4 * half + c, run, step);
                        sums.add(4 * half + c, &weights);
                        weights
                    });
                    for (group, four) in transposed(&rows).into_iter().enumerate() {
                        out[32 * group + 16 * half..][..16].copy_from_slice(&four);
                    }
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
                8 => block::<8>(panel, finish, x, offsets, runs, out, row),
                4 => block::<4>(panel, finish, x, offsets, runs, out, row),
                2 => block::<2>(panel, finish, x, offsets, runs, out, row),
                _ => block::<1>(panel, finish, x, offsets, runs, out, row),
            }
        }
    }

    fn row(p: &Reduction<'_>, x: &[i8], out: &mut [i8]) {
        super::row::row::<Self>(p, x, out);
    }
}

/// The matrix of 4 x 4 words, transposed.
#[inline(always)]
fn transposed(rows: &[[i8; 16]; 4]) -> [[i8; 16]; 4] {
    // SAFETY: 16 bytes are at every pointer.
    unsafe {
        let [a, b, c, d]: [int32x4_t; 4] =
            core::array::from_fn(|i| vreinterpretq_s32_s8(vld1q_s8(rows[i].as_ptr())));
        let (ac, bd) = ((vzip1q_s32(a, c), vzip2q_s32(a, c)), (vzip1q_s32(b, d), vzip2q_s32(b, d)));
        let words =
            [vzip1q_s32(ac.0, bd.0), vzip2q_s32(ac.0, bd.0), vzip1q_s32(ac.1, bd.1), vzip2q_s32(ac.1, bd.1)];
        words.map(|words| {
            let mut bytes = [0; 16];
            vst1q_s8(bytes.as_mut_ptr(), vreinterpretq_s8_s32(words));
            bytes
        })
    }
}

/// # Safety
/// That of [`Tile::block`].
unsafe fn block<const P: usize>(
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
        let bias = [vld1q_s32(finish.bias.as_ptr()), vld1q_s32(finish.bias.as_ptr().add(4))];
        let mut sums = [bias; P];
        let mut x: [*const i8; P] = core::array::from_fn(|i| x.add(offsets[i]));
        for _ in 0..runs.count {
            for step in 0..runs.steps {
                let taps: [int8x16_t; P] = core::array::from_fn(|i| vld1q_s8(x[i].add(16 * step)));
                macro_rules! group {
                    ($lane:literal) => {
                        for half in 0..2 {
                            let weights = vld1q_s8(w.add(32 * $lane + 16 * half));
                            for i in 0..P {
                                sdot_lane!(sums[i][half], weights, taps[i], $lane);
                            }
                        }
                    };
                }
                group!(0);
                group!(1);
                group!(2);
                group!(3);
                w = w.add(128);
            }
            x.iter_mut().for_each(|x| *x = x.add(runs.stride));
        }
        store(finish, &sums, out, row);
    }
}

/// Finishes and stores sums of 8 channels with their bias.
///
/// # Safety
/// Eight bytes can be written at each row of `out`.
#[inline(always)]
pub(super) unsafe fn store<const P: usize>(
    finish: &Finish,
    sums: &[[int32x4_t; 2]; P],
    out: *mut i8,
    row: usize,
) {
    let (factors, narrow) = ([Factors::of(finish, 0), Factors::of(finish, 1)], Narrow::of(finish));
    let plain = finish.plain;
    for (i, &[low, high]) in sums.iter().enumerate() {
        let eight = if plain {
            narrow.apply_plain(factors[0].apply_plain(low), factors[1].apply_plain(high))
        } else {
            narrow.apply(factors[0].apply(low), factors[1].apply(high))
        };
        // SAFETY: the caller's.
        unsafe { vst1_s8(out.add(i * row), eight) };
    }
}
