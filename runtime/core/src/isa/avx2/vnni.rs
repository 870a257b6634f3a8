//! Blocks of 16 channels by 8 pixels on AVX-512 VNNI: `vpdpbusd` sums four products of an unsigned by a signed byte, so
//! taps are kept with 128 added, and the bias has it taken off.
#![allow(clippy::needless_range_loop, reason = "registers are numbered")]
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds the driver proves")]

use super::tile::{self, Pairs};
use crate::isa::Reduction;
use crate::isa::tile::{Finish, Place, Rows, Tile};
use core::arch::x86_64::*;

pub(crate) struct Quads;

impl Tile for Quads {
    type Tap = u8;
    type Weight = i8;
    const CHANNELS: usize = 16;
    const BLOCK: usize = 8;
    const STEP: usize = 4;
    const FEWEST: usize = 4;
    const IN_PLACE: bool = false;

    fn taps(x: &[i8], _: i32, taps: &mut [u8]) {
        taps.iter_mut().zip(x).for_each(|(tap, &x)| *tap = x as u8 ^ 0x80);
    }

    /// For every 4 taps: those of channel 0, of channel 1, …
    fn pack(rows: &Rows<'_>, panel: &mut [i8], finish: &mut Finish) {
        for c in 0..rows.channels {
            let mut sum = 0;
            for run in 0..rows.runs.count {
                let row = rows.run(c, run);
                sum += row.iter().map(|&w| i32::from(w)).sum::<i32>();
                let steps = panel[run * rows.runs.steps * 64..].chunks_exact_mut(64);
                for (four, out) in row.chunks(4).zip(steps) {
                    out[4 * c..][..four.len()].copy_from_slice(four);
                }
            }
            finish.fold(c, sum);
            finish.bias[c] = finish.bias[c].wrapping_sub(128i32.wrapping_mul(sum));
        }
    }

    unsafe fn block(panels: *const i8, finishes: &[Finish], place: &Place<u8>, pixels: usize, out: *mut i8) {
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
        Pairs::row(p, x, out);
    }
}

/// # Safety
/// That of [`Tile::block`].
#[target_feature(enable = "avx2,avx512f,avx512vnni")]
unsafe fn block<const P: usize>(mut w: *const i8, finishes: &[Finish], place: &Place<u8>, mut out: *mut i8) {
    let runs = place.runs;
    // SAFETY: the caller keeps every step of every run and the rows of `out` in bounds; the panels are as
    // long as all their steps.
    unsafe {
        for finish in finishes {
            let mut sums = [_mm512_loadu_si512(finish.bias.as_ptr().cast()); P];
            let mut run = place.taps;
            for _ in 0..runs.count {
                let mut x = [run; P];
                for i in 0..P {
                    x[i] = run.add(place.offsets[i]);
                }
                for step in 0..runs.steps {
                    let weights = _mm512_loadu_si512(w.cast());
                    for i in 0..P {
                        let four = _mm512_set1_epi32(x[i].add(4 * step).cast::<i32>().read_unaligned());
                        sums[i] = _mm512_dpbusd_epi32(sums[i], four, weights);
                    }
                    w = w.add(64);
                }
                run = run.add(runs.stride);
            }
            let mut halves = [[_mm256_setzero_si256(); 2]; P];
            for i in 0..P {
                halves[i] = [_mm512_castsi512_si256(sums[i]), _mm512_extracti64x4_epi64::<1>(sums[i])];
            }
            tile::finished(finish, &halves, out, place.row);
            out = out.add(16);
        }
    }
}
