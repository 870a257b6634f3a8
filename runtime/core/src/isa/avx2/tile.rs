//! Blocks of 16 channels by 4 pixels on AVX2: products of pairs of taps in 16 bits, `vpmaddwd`, which is exact.
#![allow(clippy::needless_range_loop, reason = "registers are numbered")]
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds the driver proves")]

use super::requant::{Factors, Narrow};
use crate::isa::Reduction;
use crate::isa::tile::{Finish, Place, Rows, Tile};
use crate::quant::Clamp;
use core::arch::x86_64::*;

pub(crate) struct Pairs;

impl Tile for Pairs {
    type Tap = i16;
    type Weight = i16;
    const CHANNELS: usize = 16;
    const BLOCK: usize = 4;
    const STEP: usize = 2;
    const FEWEST: usize = 4;
    const IN_PLACE: bool = false;

    fn taps(x: &[i8], zero: i32, taps: &mut [i16]) {
        taps.iter_mut().zip(x).for_each(|(tap, &x)| *tap = i16::from(x) - zero as i16);
    }

    /// For every 2 taps: those of channel 0, of channel 1, …
    fn pack(rows: &Rows<'_>, panel: &mut [i16], _: &mut Finish) {
        for run in 0..rows.runs.count {
            let steps = panel[run * rows.runs.steps * 32..].chunks_exact_mut(32).take(rows.runs.steps);
            for (step, out) in steps.enumerate() {
                for c in 0..rows.channels {
                    let pair = &rows.run(c, run)[2 * step..];
                    out[2 * c] = i16::from(pair[0]);
                    out[2 * c + 1] = pair.get(1).map_or(0, |&w| i16::from(w));
                }
            }
        }
    }

    unsafe fn block(
        panels: *const i16,
        finishes: &[Finish],
        place: &Place<i16>,
        pixels: usize,
        out: *mut i8,
    ) {
        // SAFETY: the caller's.
        unsafe {
            match pixels {
                4 => block::<4>(panels, finishes, place, out),
                2 => block::<2>(panels, finishes, place, out),
                _ => block::<1>(panels, finishes, place, out),
            }
        }
    }

    fn row(p: &Reduction<'_>, x: &[i8], out: &mut [i8]) {
        // SAFETY: the instruction set is chosen only on cores that have it.
        unsafe { super::row::row(p, x, out) };
    }
}

/// # Safety
/// That of [`Tile::block`].
#[target_feature(enable = "avx2")]
unsafe fn block<const P: usize>(
    mut w: *const i16,
    finishes: &[Finish],
    place: &Place<i16>,
    mut out: *mut i8,
) {
    let runs = place.runs;
    // SAFETY: the caller keeps every step of every run and the rows of `out` in bounds; the panels are as
    // long as all their steps.
    unsafe {
        for finish in finishes {
            let mut sums = [bias(finish); P];
            let mut run = place.taps;
            for _ in 0..runs.count {
                let mut x = [run; P];
                for i in 0..P {
                    x[i] = run.add(place.offsets[i]);
                }
                for step in 0..runs.steps {
                    let low = _mm256_loadu_si256(w.cast());
                    let high = _mm256_loadu_si256(w.add(16).cast());
                    for i in 0..P {
                        let pair = _mm256_set1_epi32(x[i].add(2 * step).cast::<i32>().read_unaligned());
                        sums[i][0] = _mm256_add_epi32(sums[i][0], _mm256_madd_epi16(low, pair));
                        sums[i][1] = _mm256_add_epi32(sums[i][1], _mm256_madd_epi16(high, pair));
                    }
                    w = w.add(32);
                }
                run = run.add(runs.stride);
            }
            finished(finish, &sums, out, place.row);
            out = out.add(16);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn bias(finish: &Finish) -> [__m256i; 2] {
    let halves = finish.bias.as_chunks::<8>().0;
    [super::load(&halves[0]), super::load(&halves[1])]
}

/// Finishes and stores sums of 16 channels with their bias.
///
/// # Safety
/// Sixteen bytes can be written at each row of `out`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn finished<const P: usize>(
    finish: &Finish,
    sums: &[[__m256i; 2]; P],
    out: *mut i8,
    row: usize,
) {
    let half = |i: usize| {
        let [multiplier, left, right] =
            [&finish.multiplier, &finish.left, &finish.right].map(|all| &all.as_chunks::<8>().0[i]);
        Factors::of(multiplier, left, right)
    };
    let factors = [half(0), half(1)];
    let narrow = Narrow::new(finish.output_zero, Clamp { min: finish.min, max: finish.max });
    for (i, sums) in sums.iter().enumerate() {
        let bytes = narrow.apply(factors[0].apply(sums[0]), factors[1].apply(sums[1]));
        // SAFETY: the caller's.
        unsafe { _mm_storeu_si128(out.add(i * row).cast(), bytes) };
    }
}
