//! The rounding rule, four sums at a time.
#![allow(unsafe_code, reason = "loads and stores of vectors")]

use super::super::tile::Finish;
use crate::isa::Channels;
use crate::quant::{Clamp, Requant};
use core::arch::aarch64::*;

/// Factors of four channels.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    multiplier: int32x4_t,
    left: int32x4_t,
    right: int32x4_t,
}

impl Factors {
    /// One factor for all.
    #[inline(always)]
    pub(super) fn splat(factor: Requant) -> Self {
        let shift = i32::from(factor.shift);
        // SAFETY: every core of this architecture has Neon.
        unsafe {
            Self {
                multiplier: vdupq_n_s32(factor.multiplier),
                left: vdupq_n_s32(shift.max(0)),
                right: vdupq_n_s32(shift.min(0)),
            }
        }
    }

    /// The factors of the four channels from `c` on.
    #[inline(always)]
    pub(super) fn load(channels: &Channels<'_>, c: usize) -> Self {
        let (multiplier, shift) = (&channels.multiplier[c..c + 4], &channels.shift[c..c + 4]);
        let shift = i32::from_ne_bytes([shift[0], shift[1], shift[2], shift[3]].map(|s| s as u8));
        // SAFETY: as above; four multipliers are there.
        unsafe {
            let shift = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(shift)));
            let (shift, zero) = (vmovl_s16(vget_low_s16(shift)), vdupq_n_s32(0));
            Self {
                multiplier: vld1q_s32(multiplier.as_ptr()),
                left: vmaxq_s32(shift, zero),
                right: vminq_s32(shift, zero),
            }
        }
    }

    /// Those of channels `4 * i` on of a panel.
    #[inline(always)]
    pub(super) fn of(finish: &Finish, i: usize) -> Self {
        let at = |values: &[i32]| {
            let four = &values[4 * i..4 * i + 4];
            // SAFETY: as above.
            unsafe { vld1q_s32(four.as_ptr()) }
        };
        Self { multiplier: at(&finish.multiplier), left: at(&finish.left), right: at(&finish.right) }
    }

    /// [`Requant::apply`].
    ///
    /// The product of any `x` with a multiplier below 2^31 lies above -2^31, so one can be taken off a negative one: this
    /// makes of `srshl`, which rounds half up, a shift that rounds half away from zero. Shifts by 0 round nothing.
    #[inline(always)]
    pub(super) fn apply(&self, x: int32x4_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe {
            let product = vqrdmulhq_s32(vshlq_s32(x, self.left), self.multiplier);
            let product = vsraq_n_s32::<31>(product, vandq_s32(product, self.right));
            vrshlq_s32(product, self.right)
        }
    }

    /// [`Factors::apply`] where all shifts are to the right by at least 1.
    #[inline(always)]
    pub(super) fn apply_plain(&self, x: int32x4_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe {
            let product = vqrdmulhq_s32(x, self.multiplier);
            vrshlq_s32(vsraq_n_s32::<31>(product, product), self.right)
        }
    }
}

/// Zero point and range of an output.
#[derive(Clone, Copy)]
pub(super) struct Narrow {
    zero: int32x4_t,
    zero16: int16x8_t,
    min: int8x8_t,
    max: int8x8_t,
    min16: int16x8_t,
    max16: int16x8_t,
    /// The range is that of int8.
    pub(super) full: bool,
}

impl Narrow {
    #[inline(always)]
    pub(super) fn new(zero: i32, clamp: Clamp) -> Self {
        // SAFETY: every core of this architecture has Neon.
        unsafe {
            Self {
                zero: vdupq_n_s32(zero),
                zero16: vdupq_n_s16(zero as i16),
                min: vdup_n_s8(clamp.min),
                max: vdup_n_s8(clamp.max),
                min16: vdupq_n_s16(i16::from(clamp.min)),
                max16: vdupq_n_s16(i16::from(clamp.max)),
                full: clamp == Clamp::FULL,
            }
        }
    }

    #[inline(always)]
    pub(super) fn of(finish: &Finish) -> Self {
        Self::new(finish.output_zero, Clamp { min: finish.min, max: finish.max })
    }

    /// Eight outputs. The zero point is added in 32 bits, where it wraps as the rule has it.
    #[inline(always)]
    pub(super) fn apply(&self, low: int32x4_t, high: int32x4_t) -> int8x8_t {
        // SAFETY: as above.
        unsafe {
            let (low, high) = (vaddq_s32(low, self.zero), vaddq_s32(high, self.zero));
            let x = vqmovn_s16(vqmovn_high_s32(vqmovn_s32(low), high));
            vmin_s8(vmax_s8(x, self.min), self.max)
        }
    }

    /// The same of values below 2^30, whose sum with the zero point cannot wrap: it may saturate at 16 bits.
    #[inline(always)]
    pub(super) fn apply_plain(&self, low: int32x4_t, high: int32x4_t) -> int8x8_t {
        // SAFETY: as above.
        unsafe {
            let x = vqmovn_high_s32(vqmovn_s32(low), high);
            let x = vqmovn_s16(vqaddq_s16(x, self.zero16));
            vmin_s8(vmax_s8(x, self.min), self.max)
        }
    }

    /// [`Narrow::apply_plain`] of twice eight values: both are clamped in 16 bits, so that one permutation narrows them, or,
    /// where the range is full, by the narrowing itself. `FULL` says that it is.
    #[inline(always)]
    pub(super) fn pair_plain<const FULL: bool>(
        &self,
        first: [int32x4_t; 2],
        second: [int32x4_t; 2],
    ) -> int8x16_t {
        // SAFETY: as above.
        unsafe {
            let a = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(first[0]), first[1]), self.zero16);
            let b = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(second[0]), second[1]), self.zero16);
            if FULL {
                return vqmovn_high_s16(vqmovn_s16(a), b);
            }
            let a = vminq_s16(vmaxq_s16(a, self.min16), self.max16);
            let b = vminq_s16(vmaxq_s16(b, self.min16), self.max16);
            vuzp1q_s8(vreinterpretq_s8_s16(a), vreinterpretq_s8_s16(b))
        }
    }
}
