//! Blocks of 8 channels by 8 pixels on cores with dot products: `sdot` by element, so that nothing is summed across a
//! register. The intrinsic is unstable; vectors may cross `asm!` on this architecture, so one instruction is all that is
//! written in it.
#![allow(clippy::needless_range_loop, reason = "registers are numbered")]
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds the driver proves; asm")]

use super::base::{each_step, store};
use super::requant::{Factors, Narrow};
use crate::isa::Reduction;
use crate::isa::tile::{Finish, Place, Rows, Tile};
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
        each_step::<8>(rows, finish, panel, |weights, out| {
            for half in 0..2 {
                let four = &weights[4 * half..];
                for (group, four) in transposed([four[0], four[1], four[2], four[3]]).into_iter().enumerate()
                {
                    store(four, out, 32 * group + 16 * half);
                }
            }
        });
    }

    unsafe fn block(panels: *const i8, finishes: &[Finish], place: &Place<i8>, pixels: usize, out: *mut i8) {
        // SAFETY: the caller's.
        unsafe {
            match pixels {
                8 => block::<8>(panels, finishes, place, out),
                4 => block::<4>(panels, finishes, place, out),
                2 => block::<2>(panels, finishes, place, out),
                _ => block::<1>(panels, finishes, place, out),
            }
        }
    }

    fn row(p: &Reduction<'_>, x: &[i8], out: &mut [i8]) {
        super::row::row::<Self>(p, x, out);
    }
}

/// The matrix of 4 x 4 words, transposed.
#[inline(always)]
fn transposed(rows: [int8x16_t; 4]) -> [int8x16_t; 4] {
    // SAFETY: every core of this architecture has Neon.
    unsafe {
        let [a, b, c, d] = [
            vreinterpretq_s32_s8(rows[0]),
            vreinterpretq_s32_s8(rows[1]),
            vreinterpretq_s32_s8(rows[2]),
            vreinterpretq_s32_s8(rows[3]),
        ];
        let (ac, bd) = ((vzip1q_s32(a, c), vzip2q_s32(a, c)), (vzip1q_s32(b, d), vzip2q_s32(b, d)));
        [
            vreinterpretq_s8_s32(vzip1q_s32(ac.0, bd.0)),
            vreinterpretq_s8_s32(vzip2q_s32(ac.0, bd.0)),
            vreinterpretq_s8_s32(vzip1q_s32(ac.1, bd.1)),
            vreinterpretq_s8_s32(vzip2q_s32(ac.1, bd.1)),
        ]
    }
}

/// # Safety
/// That of [`Tile::block`].
unsafe fn block<const P: usize>(mut w: *const i8, finishes: &[Finish], place: &Place<i8>, mut out: *mut i8) {
    let (runs, row) = (place.runs, place.row);
    // SAFETY: the caller keeps every step of every run and the rows of `out` in bounds; the panels are as
    // long as all their steps.
    unsafe {
        for finish in finishes {
            let bias = [vld1q_s32(finish.bias.as_ptr()), vld1q_s32(finish.bias.as_ptr().add(4))];
            let mut sums = [bias; P];
            let mut run = place.taps;
            for _ in 0..runs.count {
                let mut x = [run; P];
                for i in 0..P {
                    x[i] = run.add(place.offsets[i]);
                }
                for step in 0..runs.steps {
                    let mut taps = [vdupq_n_s8(0); P];
                    for i in 0..P {
                        taps[i] = vld1q_s8(x[i].add(16 * step));
                    }
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
                run = run.add(runs.stride);
            }
            finished(finish, &sums, out, row);
            out = out.add(8);
        }
    }
}

/// Finishes and stores sums of 8 channels with their bias.
///
/// # Safety
/// Eight bytes can be written at each row of `out`.
#[inline(always)]
pub(super) unsafe fn finished<const P: usize>(
    finish: &Finish,
    sums: &[[int32x4_t; 2]; P],
    out: *mut i8,
    row: usize,
) {
    let (factors, narrow) = ([Factors::of(finish, 0), Factors::of(finish, 1)], Narrow::of(finish));
    // SAFETY: the caller's.
    unsafe {
        if !finish.plain {
            for (i, &[low, high]) in sums.iter().enumerate() {
                vst1_s8(out.add(i * row), narrow.apply(factors[0].apply(low), factors[1].apply(high)));
            }
            return;
        }
        match narrow.full {
            true => plain::<P, true>(&factors, &narrow, sums, out, row),
            false => plain::<P, false>(&factors, &narrow, sums, out, row),
        }
    }
}

/// [`finished`] where all shifts are to the right, for a range that is full or not.
///
/// # Safety
/// As for [`finished`].
#[inline(always)]
unsafe fn plain<const P: usize, const FULL: bool>(
    factors: &[Factors; 2],
    narrow: &Narrow,
    sums: &[[int32x4_t; 2]; P],
    out: *mut i8,
    row: usize,
) {
    for i in (0..P).step_by(2) {
        let next = (i + 1).min(P - 1);
        let first = [factors[0].apply_plain(sums[i][0]), factors[1].apply_plain(sums[i][1])];
        let second = [factors[0].apply_plain(sums[next][0]), factors[1].apply_plain(sums[next][1])];
        let bytes = narrow.pair_plain::<FULL>(first, second);
        // SAFETY: the caller's.
        unsafe {
            vst1_s8(out.add(i * row), vget_low_s8(bytes));
            if i + 1 < P {
                vst1_s8(out.add(next * row), vget_high_s8(bytes));
            }
        }
    }
}
