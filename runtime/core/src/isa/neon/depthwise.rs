//! Depthwise convolutions: 8 or 16 channels at a time, the padding written out in a strip.
#![allow(clippy::needless_range_loop, reason = "registers are numbered")]
#![allow(unsafe_code, reason = "vectors are loaded through pointers whose bounds are asserted")]

use super::requant::{Factors, Narrow};
use crate::isa::Reduction;
use crate::isa::tile::Band;
use core::arch::aarch64::*;

/// All channels of a band. The last block begins where it ends with the last channel.
pub(super) fn channels(p: &Reduction<'_>, c: usize, band: &Band<'_>, out: &mut [i8]) {
    let wide = if p.n >= 16 { 16 } else { 8 };
    for first in (0..p.n).step_by(wide) {
        let first = first.min(p.n - wide);
        match (c == 1, wide, band.offsets.len()) {
            (true, 16, _) => block::<2, 0, true>(p, band, first, out),
            (true, ..) => block::<1, 0, true>(p, band, first, out),
            (false, 16, 9) => block::<2, 9, false>(p, band, first, out),
            (false, _, 9) => block::<1, 9, false>(p, band, first, out),
            (false, 16, _) => block::<2, 0, false>(p, band, first, out),
            (false, ..) => block::<1, 0, false>(p, band, first, out),
        }
    }
}

/// `8 * H` values.
type Bytes<const H: usize> = [int8x8_t; H];

/// # Safety
/// `8 * H` bytes are at `x`.
#[inline(always)]
unsafe fn load<const H: usize>(x: *const i8) -> Bytes<H> {
    // SAFETY: the caller's.
    unsafe {
        if H == 2 {
            let x = vld1q_s8(x);
            core::array::from_fn(|h| if h == 0 { vget_low_s8(x) } else { vget_high_s8(x) })
        } else {
            core::array::from_fn(|h| vld1_s8(x.add(8 * h)))
        }
    }
}

/// The channels from `first` on, `8 * H` of them. With `T` taps where that is not 0; one input channel for all where
/// `ONE`.
fn block<const H: usize, const T: usize, const ONE: bool>(
    p: &Reduction<'_>,
    band: &Band<'_>,
    first: usize,
    out: &mut [i8],
) {
    let count = if T > 0 { T } else { band.offsets.len() };
    let offsets = &band.offsets[..count];
    let weights = &p.weights[first..];
    let pixels = out.len() / p.n;
    if pixels == 0 || count == 0 {
        return;
    }
    let rows = pixels / band.width;
    let channel = if ONE { 0 } else { first };
    let width = if ONE { 1 } else { 8 * H };
    let reach = offsets.iter().copied().max().unwrap_or(0);
    let end = (rows - 1) * band.row + (band.width - 1) * band.step + reach + channel + width;
    assert!(end <= band.taps.len() && rows * band.width == pixels);
    assert!((count - 1) * p.n + 8 * H <= weights.len() && first + 8 * H <= p.n);
    // SAFETY: the assertions bound the taps of the last pixel, all others lie before them, and the weights of the last
    // tap; channels end within `n`, so outputs within their pixel.
    unsafe {
        let weight = |tap: usize| load::<H>(weights.as_ptr().add(tap * p.n));
        let (mut bias, mut least) = ([[vdupq_n_s32(0); 2]; H], vdup_n_s8(0));
        for tap in 0..count {
            for (sum, w) in bias.iter_mut().zip(weight(tap)) {
                least = vmin_s8(least, w);
                let w = vmovl_s8(w);
                *sum = [vaddw_s16(sum[0], vget_low_s16(w)), vaddw_high_s16(sum[1], w)];
            }
        }
        let extreme = vminv_s8(least) == i8::MIN;
        let mut factors = [[Factors::load(&p.channels, first); 2]; H];
        let mut plain = true;
        for (h, (bias, factors)) in bias.iter_mut().zip(&mut factors).enumerate() {
            for (i, (bias, factors)) in bias.iter_mut().zip(factors).enumerate() {
                let c = first + 8 * h + 4 * i;
                let constant = &p.channels.bias[c..c + 4];
                *bias = vmlsq_n_s32(vld1q_s32(constant.as_ptr()), *bias, p.input_zero);
                *factors = Factors::load(&p.channels, c);
                plain &= p.channels.shift[c..c + 4].iter().all(|&s| s < 0);
            }
        }
        let narrow = Narrow::new(p.output_zero, p.clamp);
        let kept: [Bytes<H>; T] = core::array::from_fn(weight);
        let kept_offsets: [usize; T] = core::array::from_fn(|tap| offsets[tap]);
        let w = |tap: usize| if T > 0 { kept[tap] } else { weight(tap) };
        let mut out = out.as_mut_ptr().add(first);
        for y in 0..rows {
            let mut x = band.taps.as_ptr().add(y * band.row + channel);
            for _ in 0..band.width {
                let value = |tap: usize| {
                    let x = x.add(if T > 0 { kept_offsets[tap] } else { *offsets.get_unchecked(tap) });
                    if ONE { [vld1_dup_s8(x); H] } else { load::<H>(x) }
                };
                let mut sums = bias;
                let mut tap = 0;
                while tap + 2 <= count && !extreme {
                    let (a, b) = ((value(tap), w(tap)), (value(tap + 1), w(tap + 1)));
                    for h in 0..H {
                        // Two products without a weight of -128 fit 16 bits.
                        let products = vmlal_s8(vmull_s8(a.0[h], a.1[h]), b.0[h], b.1[h]);
                        sums[h][0] = vaddw_s16(sums[h][0], vget_low_s16(products));
                        sums[h][1] = vaddw_high_s16(sums[h][1], products);
                    }
                    tap += 2;
                }
                while tap < count {
                    let (x, w) = (value(tap), w(tap));
                    for h in 0..H {
                        let products = vmull_s8(x[h], w[h]);
                        sums[h][0] = vaddw_s16(sums[h][0], vget_low_s16(products));
                        sums[h][1] = vaddw_high_s16(sums[h][1], products);
                    }
                    tap += 1;
                }
                for h in 0..H {
                    let ([low, high], factors) = (sums[h], &factors[h]);
                    let eight = if plain {
                        narrow.apply_plain(factors[0].apply_plain(low), factors[1].apply_plain(high))
                    } else {
                        narrow.apply(factors[0].apply(low), factors[1].apply(high))
                    };
                    vst1_s8(out.add(8 * h), eight);
                }
                x = x.add(band.step);
                out = out.add(p.n);
            }
        }
    }
}
