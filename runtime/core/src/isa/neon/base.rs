//! Blocks of 4 channels by 4 pixels on every core: `smull`, `smlal2`, `sadalp`.
//!
//! Two products fit 16 bits as long as no weight is -128; panels with one are summed after each product.
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds the driver proves")]

use super::requant::{Factors, Narrow};
use crate::isa::Reduction;
use crate::isa::tile::{Finish, PIXELS, Rows, Runs, Tile};
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
        let mut sums = Sums::default();
        let mut steps = panel.as_chunks_mut::<64>().0.iter_mut();
        for run in 0..rows.runs.count {
            for (step, out) in (0..rows.runs.steps).zip(&mut steps) {
                for (c, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                    *out = rows.step::<16>(c, run, step);
                    sums.add(c, out);
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
            match (pixels, finish.extreme) {
                (4, false) => block::<4, false>(panel, finish, x, offsets, runs, out, row),
                (4, true) => block::<4, true>(panel, finish, x, offsets, runs, out, row),
                (2, _) => block::<2, true>(panel, finish, x, offsets, runs, out, row),
                _ => block::<1, true>(panel, finish, x, offsets, runs, out, row),
            }
        }
    }

    fn row(p: &Reduction<'_>, x: &[i8], out: &mut [i8]) {
        super::row::row::<Self>(p, x, out);
    }
}

/// Sums of the weights of up to eight channels, and whether one is -128.
pub(super) struct Sums([int32x4_t; 8], int8x16_t);

impl Default for Sums {
    fn default() -> Self {
        // SAFETY: every core of this architecture has Neon.
        unsafe { Self([vdupq_n_s32(0); 8], vdupq_n_s8(0)) }
    }
}

impl Sums {
    #[inline(always)]
    pub(super) fn add(&mut self, c: usize, weights: &[i8; 16]) {
        // SAFETY: 16 bytes are there.
        unsafe {
            let w = vld1q_s8(weights.as_ptr());
            self.0[c] = vpadalq_s16(self.0[c], vpaddlq_s8(w));
            self.1 = vminq_s8(self.1, w);
        }
    }

    pub(super) fn fold(&self, finish: &mut Finish) {
        for (c, &sum) in self.0.iter().enumerate() {
            // SAFETY: every core of this architecture has Neon.
            finish.fold(c, unsafe { vaddvq_s32(sum) });
        }
        // SAFETY: as above.
        finish.extreme = unsafe { vminvq_s8(self.1) } == i8::MIN;
    }
}

/// # Safety
/// That of [`Tile::block`].
unsafe fn block<const P: usize, const EXTREME: bool>(
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
        let mut sums = [[vdupq_n_s32(0); 4]; P];
        let mut x: [*const i8; P] = core::array::from_fn(|i| x.add(offsets[i]));
        for _ in 0..runs.count {
            for step in 0..runs.steps {
                let taps: [int8x16_t; P] = core::array::from_fn(|i| vld1q_s8(x[i].add(16 * step)));
                for c in 0..4 {
                    let weights = vld1q_s8(w.add(16 * c));
                    let mut products: [int16x8_t; P] =
                        core::array::from_fn(|i| vmull_s8(vget_low_s8(weights), vget_low_s8(taps[i])));
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
            x.iter_mut().for_each(|x| *x = x.add(runs.stride));
        }
        let bias = vld1q_s32(finish.bias.as_ptr());
        let totals: [int32x4_t; P] = core::array::from_fn(|i| {
            let [a, b, c, d] = sums[i];
            vaddq_s32(bias, vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)))
        });
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
