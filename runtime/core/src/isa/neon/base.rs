//! Blocks of 4 channels by 4 pixels on every core: `smull`, `smlal2`, `sadalp`.
//!
//! Two products fit 16 bits as long as no weight is -128; panels with one are summed after each product.
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds the driver proves")]

use super::requant::{Factors, Narrow};
use crate::isa::Reduction;
use crate::isa::tile::{Finish, Place, Rows, Tile};
use core::arch::aarch64::*;

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

    unsafe fn block(panel: *const i8, finish: &Finish, place: &Place<i8>, pixels: usize, out: *mut i8) {
        // SAFETY: the caller's.
        unsafe {
            match (pixels, finish.extreme) {
                (4, false) => block::<4, false>(panel, finish, place, out),
                (4, true) => block::<4, true>(panel, finish, place, out),
                (2, _) => block::<2, true>(panel, finish, place, out),
                _ => block::<1, true>(panel, finish, place, out),
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
        // Channels that do not exist repeat the last one, and are made zero.
        let mut channels = [[].as_slice(); C];
        for (c, channel) in channels.iter_mut().enumerate() {
            *channel = rows.run(c.min(rows.channels - 1), run);
        }
        for (step, out) in (0..rows.runs.steps).zip(&mut steps) {
            let mut weights = [zero; C];
            for c in 0..C {
                weights[c] = load(channels[c], 16 * step);
                // SAFETY: as above.
                unsafe {
                    weights[c] = if c < rows.channels { weights[c] } else { zero };
                    sums[c] = vpadalq_s16(sums[c], vpaddlq_s8(weights[c]));
                    least = vminq_s8(least, weights[c]);
                }
            }
            place(weights, out);
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

/// # Safety
/// That of [`Tile::block`].
unsafe fn block<const P: usize, const EXTREME: bool>(
    mut w: *const i8,
    finish: &Finish,
    place: &Place<i8>,
    out: *mut i8,
) {
    let (runs, row) = (place.runs, place.row);
    // SAFETY: the caller keeps every step of every run and the rows of `out` in bounds; the panel is as long as all steps.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); 4]; P];
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
                for c in 0..4 {
                    let weights = vld1q_s8(w.add(16 * c));
                    let mut products = [vdupq_n_s16(0); P];
                    for i in 0..P {
                        products[i] = vmull_s8(vget_low_s8(weights), vget_low_s8(taps[i]));
                    }
                    for i in 0..P {
                        if EXTREME {
                            sums[i][c] = vpadalq_s16(sums[i][c], products[i]);
                            products[i] = vmull_high_s8(weights, taps[i]);
                        } else {
                            products[i] = vmlal_high_s8(products[i], weights, taps[i]);
                        }
                    }
                    for i in 0..P {
                        sums[i][c] = vpadalq_s16(sums[i][c], products[i]);
                    }
                }
                w = w.add(64);
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
    }
}
