//! Blocks of 4 channels by 4 pixels on every core: `smull`, `smlal2`, `sadalp`.
//!
//! Two products fit 16 bits as long as no weight is -128; panels with one are summed after each product.
#![allow(clippy::needless_range_loop, reason = "registers are numbered")]
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds the driver proves")]

use super::requant::{Factors, Narrow};
use crate::isa::Reduction;
use crate::isa::tile::{Finish, Place, Rows, SLACK, Tile};
use core::arch::aarch64::*;
use core::arch::asm;

pub(crate) struct Base;

impl Tile for Base {
    type Tap = i8;
    type Weight = i8;
    const CHANNELS: usize = 4;
    const BLOCK: usize = 4;
    const STEP: usize = 16;
    const FEWEST: usize = 4;
    const IN_PLACE: bool = true;

    fn taps(x: &[i8], _: i32, taps: &mut [i8]) {
        taps.copy_from_slice(x);
    }

    /// Steps of 16 taps of each channel.
    fn pack(rows: &Rows<'_>, panel: &mut [i8], finish: &mut Finish) {
        each_step::<4>(rows, finish, panel, |weights, out| {
            for c in 0..4 {
                store(weights[c], out, 16 * c);
            }
        });
    }

    unsafe fn block(panels: *const i8, finishes: &[Finish], place: &Place<i8>, pixels: usize, out: *mut i8) {
        // SAFETY: the caller's.
        unsafe {
            match (pixels, finishes.first().is_some_and(|finish| finish.extreme)) {
                (4, false) => block::<4, false>(panels, finishes, place, out),
                (4, true) => block::<4, true>(panels, finishes, place, out),
                (2, _) => block::<2, true>(panels, finishes, place, out),
                _ => block::<1, true>(panels, finishes, place, out),
            }
        }
    }

    fn row(p: &Reduction<'_>, x: &[i8], out: &mut [i8]) {
        super::row::row::<Self>(p, x, out);
    }
}

/// Stores a vector at byte `at`.
#[inline(always)]
pub(super) fn store(x: int8x16_t, out: &mut [i8], at: usize) {
    let out = &mut out[at..at + 16];
    // SAFETY: 16 bytes are there.
    unsafe { vst1q_s8(out.as_mut_ptr(), x) };
}

/// Calls `place` for every 16 taps of the `C` channels of a panel with their part of it, and folds the zero point.
#[inline(always)]
pub(super) fn each_step<const C: usize>(
    rows: &Rows<'_>,
    finish: &mut Finish,
    panel: &mut [i8],
    place: impl Fn([int8x16_t; C], &mut [i8]),
) {
    // SAFETY: every core of this architecture has Neon.
    let (zero, mut sums) = unsafe { (vdupq_n_s8(0), [vdupq_n_s32(0); C]) };
    let mut least = zero;
    let mut steps = panel.chunks_exact_mut(16 * C);
    for run in 0..rows.runs.count {
        let mut channels = [[].as_slice(); C];
        for (c, channel) in channels.iter_mut().enumerate().take(rows.channels) {
            *channel = rows.run(c, run);
        }
        // As a rule all channels exist and have whole steps.
        let whole = if rows.channels == C { rows.len / 16 } else { 0 };
        let mut add = |weights: [int8x16_t; C], out: &mut [i8]| {
            for c in 0..C {
                // SAFETY: every core of this architecture has Neon.
                unsafe {
                    sums[c] = vpadalq_s16(sums[c], vpaddlq_s8(weights[c]));
                    least = vminq_s8(least, weights[c]);
                }
            }
            place(weights, out);
        };
        for (step, out) in (0..whole).zip(&mut steps) {
            let mut weights = [zero; C];
            for c in 0..C {
                // SAFETY: every channel has `len` weights, so `whole` steps of 16.
                weights[c] = unsafe { vld1q_s8(channels[c].as_ptr().add(16 * step)) };
            }
            add(weights, out);
        }
        for (step, out) in (whole..rows.runs.steps).zip(&mut steps) {
            let mut weights = [zero; C];
            for c in 0..rows.channels.min(C) {
                weights[c] = load(channels[c], 16 * step);
            }
            add(weights, out);
        }
    }
    for (c, &sum) in sums.iter().enumerate() {
        // SAFETY: as above.
        finish.fold(c, unsafe { vaddvq_s32(sum) });
    }
    // SAFETY: as above.
    finish.extreme = unsafe { vminvq_s8(least) } == i8::MIN;
}

/// The 16 bytes from `at` on, zeros behind the last.
#[inline(always)]
fn load(row: &[i8], at: usize) -> int8x16_t {
    let mut bytes = [0; 16];
    let bytes = match row.get(at..at + 16) {
        Some(whole) => whole,
        None => {
            let rest = row.get(at..).unwrap_or(&[]);
            bytes[..rest.len()].copy_from_slice(rest);
            &bytes
        }
    };
    // SAFETY: 16 bytes are there.
    unsafe { vld1q_s8(bytes.as_ptr()) }
}

/// One channel of a step of [`steps`]: 12 vector instructions, with the loads of the next channel's weights between.
macro_rules! channel {
    ($w:literal, $next:literal, $at:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "smull {p0:v}.8h, {",
            $w,
            ":v}.8b, {x0:v}.8b\n",
            "ldr {g0}, [{w}, #",
            $at,
            "]\n",
            "smull {p1:v}.8h, {",
            $w,
            ":v}.8b, {x1:v}.8b\n",
            "ldr {g1}, [{w}, #",
            $at,
            " + 8]\n",
            "smull {p2:v}.8h, {",
            $w,
            ":v}.8b, {x2:v}.8b\n",
            "smull {p3:v}.8h, {",
            $w,
            ":v}.8b, {x3:v}.8b\n",
            "smlal2 {p0:v}.8h, {",
            $w,
            ":v}.16b, {x0:v}.16b\n",
            "fmov {",
            $next,
            ":d}, {g0}\n",
            "smlal2 {p1:v}.8h, {",
            $w,
            ":v}.16b, {x1:v}.16b\n",
            "smlal2 {p2:v}.8h, {",
            $w,
            ":v}.16b, {x2:v}.16b\n",
            "ins {",
            $next,
            ":v}.d[1], {g1}\n",
            "smlal2 {p3:v}.8h, {",
            $w,
            ":v}.16b, {x3:v}.16b\n",
            "sadalp {",
            $a,
            ":v}.4s, {p0:v}.8h\n",
            "sadalp {",
            $b,
            ":v}.4s, {p1:v}.8h\n",
            "sadalp {",
            $c,
            ":v}.4s, {p2:v}.8h\n",
            "sadalp {",
            $d,
            ":v}.4s, {p3:v}.8h\n",
        )
    };
}

/// `count` steps of 4 channels by 4 pixels; returns where the next weights are. No weight is -128.
///
/// A Cortex-A53 issues a load of 64 bits to a core register together with a vector instruction, but not a load of a vector:
/// so weights come by way of the core. The weights of a channel are loaded while those before are multiplied.
///
/// # Safety
/// `16 * count` bytes are at each of `x`, and [`SLACK`] more than `64 * count` at `w`.
#[inline(always)]
unsafe fn steps<const P: usize>(
    mut w: *const i8,
    x: [*const i8; 4],
    count: usize,
    sums: &mut [[int32x4_t; 4]; P],
) -> *const i8 {
    let [x0, x1, x2, x3] = x;
    // The driver has at least one step.
    let [mut s0, mut s1, mut s2, mut s3] = [sums[0], sums[1 % P], sums[2 % P], sums[3 % P]];
    const { assert!(SLACK >= 16) };
    // SAFETY: the caller's; the loop ends after `count` steps of 16 bytes of each pixel and 64 of weights, and reads the
    // 16 after them.
    unsafe {
        asm!(
            "ldr {w0:q}, [{w}]",
            "2:",
            "ldr {x0:q}, [{a0}], #16",
            "ldr {x1:q}, [{a1}], #16",
            "ldr {x2:q}, [{a2}], #16",
            "ldr {x3:q}, [{a3}], #16",
            "subs {count}, {count}, #1",
            channel!("w0", "w1", "16", "s00", "s10", "s20", "s30"),
            channel!("w1", "w0", "32", "s01", "s11", "s21", "s31"),
            channel!("w0", "w1", "48", "s02", "s12", "s22", "s32"),
            channel!("w1", "w0", "64", "s03", "s13", "s23", "s33"),
            "add {w}, {w}, #64",
            "b.ne 2b",
            w = inout(reg) w,
            count = inout(reg) count => _,
            a0 = inout(reg) x0 => _,
            a1 = inout(reg) x1 => _,
            a2 = inout(reg) x2 => _,
            a3 = inout(reg) x3 => _,
            g0 = out(reg) _,
            g1 = out(reg) _,
            w0 = out(vreg) _,
            w1 = out(vreg) _,
            x0 = out(vreg) _,
            x1 = out(vreg) _,
            x2 = out(vreg) _,
            x3 = out(vreg) _,
            p0 = out(vreg) _,
            p1 = out(vreg) _,
            p2 = out(vreg) _,
            p3 = out(vreg) _,
            s00 = inout(vreg) s0[0],
            s01 = inout(vreg) s0[1],
            s02 = inout(vreg) s0[2],
            s03 = inout(vreg) s0[3],
            s10 = inout(vreg) s1[0],
            s11 = inout(vreg) s1[1],
            s12 = inout(vreg) s1[2],
            s13 = inout(vreg) s1[3],
            s20 = inout(vreg) s2[0],
            s21 = inout(vreg) s2[1],
            s22 = inout(vreg) s2[2],
            s23 = inout(vreg) s2[3],
            s30 = inout(vreg) s3[0],
            s31 = inout(vreg) s3[1],
            s32 = inout(vreg) s3[2],
            s33 = inout(vreg) s3[3],
            options(readonly, nostack)
        );
    }
    (sums[0], sums[1 % P], sums[2 % P], sums[3 % P]) = (s0, s1, s2, s3);
    w
}

/// # Safety
/// That of [`Tile::block`].
unsafe fn block<const P: usize, const EXTREME: bool>(
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
            let mut sums = [[vdupq_n_s32(0); 4]; P];
            let mut run = place.taps;
            for _ in 0..runs.count {
                let mut x = [run; P];
                for i in 0..P {
                    x[i] = run.add(place.offsets[i]);
                }
                if P == 4 && !EXTREME {
                    w = steps(w, [x[0], x[1 % P], x[2 % P], x[3 % P]], runs.steps, &mut sums);
                } else {
                    for step in 0..runs.steps {
                        let mut taps = [vdupq_n_s8(0); P];
                        for i in 0..P {
                            taps[i] = vld1q_s8(x[i].add(16 * step));
                        }
                        for c in 0..4 {
                            let weights = vld1q_s8(w.add(16 * c));
                            for i in 0..P {
                                let low = vmull_s8(vget_low_s8(weights), vget_low_s8(taps[i]));
                                sums[i][c] = vpadalq_s16(sums[i][c], low);
                                sums[i][c] = vpadalq_s16(sums[i][c], vmull_high_s8(weights, taps[i]));
                            }
                        }
                        w = w.add(64);
                    }
                }
                run = run.add(runs.stride);
            }
            let bias = vld1q_s32(finish.bias.as_ptr());
            let mut totals = [bias; P];
            for i in 0..P {
                let [a, b, c, d] = sums[i];
                totals[i] = vaddq_s32(bias, vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
            }
            let (factors, narrow) = (Factors::of(finish, 0), Narrow::of(finish));
            for i in (0..P).step_by(2) {
                let pair = [totals[i], totals[(i + 1).min(P - 1)]];
                let four = if finish.plain {
                    let pair = pair.map(|sum| factors.apply_plain(sum));
                    narrow.apply_plain(pair[0], pair[1])
                } else {
                    let pair = pair.map(|sum| factors.apply(sum));
                    narrow.apply(pair[0], pair[1])
                };
                let four = vreinterpret_s32_s8(four);
                let out = out.add(i * row).cast::<i32>();
                out.write_unaligned(vget_lane_s32::<0>(four));
                if i + 1 < P {
                    out.byte_add(row).write_unaligned(vget_lane_s32::<1>(four));
                }
            }
            out = out.add(4);
        }
    }
}
