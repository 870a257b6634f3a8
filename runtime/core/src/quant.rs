//! Quantisation parameters and THE rounding rule.
//!
//! A real value is `scale * (q - zero_point)`. Every product of scales is applied as a [`Requant`]: a
//! Q31 multiplier and a power of two, rounded as TensorFlow Lite's reference kernels round (a doubling
//! high multiply that rounds half up, then a right shift that rounds half away from zero). No other
//! place in the runtime rounds a product of scales.

use serde::{Deserialize, Serialize};

/// Scale and zero point of a tensor: `real = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QParams {
    /// Real value of one step; positive and finite.
    pub scale: f32,
    /// Integer that stands for zero; inside the range of the tensor's type.
    pub zero_point: i16,
}

impl QParams {
    /// Parameters for a tensor without quantisation (labels, floats).
    pub const UNIT: Self = Self { scale: 1.0, zero_point: 0 };

    /// The nearest int8 value to `real`, half away from zero, saturated; NaN gives the zero point.
    pub fn quantize(&self, real: f32) -> i8 {
        // `as` saturates and maps NaN to 0, so no input reaches undefined territory.
        let steps = libm::roundf(real / self.scale) as i32;
        clamp_i8(steps.saturating_add(i32::from(self.zero_point)), i8::MIN, i8::MAX)
    }

    /// The real value of `q`.
    pub fn dequantize(&self, q: i8) -> f32 {
        self.scale * (i32::from(q) - i32::from(self.zero_point)) as f32
    }
}

/// Range of a fused activation, in quantised values of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Clamp {
    /// Smallest output value.
    pub min: i8,
    /// Largest output value.
    pub max: i8,
}

impl Clamp {
    /// The whole range of int8: no activation.
    pub const FULL: Self = Self { min: i8::MIN, max: i8::MAX };

    /// `value` limited to this range.
    #[inline(always)]
    pub const fn apply(&self, value: i32) -> i8 {
        clamp_i8(value, self.min, self.max)
    }
}

#[inline(always)]
const fn clamp_i8(value: i32, min: i8, max: i8) -> i8 {
    if value < min as i32 {
        min
    } else if value > max as i32 {
        max
    } else {
        value as i8
    }
}

/// Range of a fused activation of 16-bit values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Clamp16 {
    /// Smallest output value.
    pub min: i16,
    /// Largest output value.
    pub max: i16,
}

impl Clamp16 {
    /// The whole range of int16: no activation.
    pub const FULL: Self = Self { min: i16::MIN, max: i16::MAX };

    /// `value` limited to this range.
    #[inline(always)]
    pub const fn apply(&self, value: i32) -> i16 {
        if value < self.min as i32 {
            self.min
        } else if value > self.max as i32 {
            self.max
        } else {
            value as i16
        }
    }
}

/// A positive real factor as `multiplier * 2^(shift - 31)`.
///
/// The multiplier is 0 (a factor too small to matter) or in `[2^30, 2^31)`; the shift is in `[-31, 30]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Requant {
    /// Q31 mantissa, 0 or in `[2^30, 2^31)`.
    pub multiplier: i32,
    /// Power of two, in `[-31, 30]`; positive shifts are applied before the multiply.
    pub shift: i8,
}

impl Requant {
    /// The factor 0.
    pub const ZERO: Self = Self { multiplier: 0, shift: 0 };

    /// True where multiplier and shift lie in the documented ranges.
    pub const fn is_valid(&self) -> bool {
        (self.multiplier == 0 || self.multiplier >= 1 << 30) && self.shift >= -31 && self.shift <= 30
    }

    /// The factor nearest to `real`, or `None` where it is negative, not finite or at least `2^30`.
    ///
    /// A factor below `2^-32` becomes 0, as in the reference's `QuantizeMultiplier`.
    pub fn from_real(real: f64) -> Option<Self> {
        if real.is_nan() || real < 0.0 || real >= (1u64 << 30) as f64 {
            return None;
        }
        if real == 0.0 {
            return Some(Self::ZERO);
        }
        let (mantissa, mut exponent) = libm::frexp(real);
        let mut q31 = libm::round(mantissa * (1u64 << 31) as f64) as i64;
        if q31 == 1 << 31 {
            q31 /= 2;
            exponent += 1;
        }
        if exponent < -31 {
            return Some(Self::ZERO);
        }
        // exponent <= 30 by the bound on `real`, but rounding up may have reached 31.
        (exponent <= 30).then_some(Self { multiplier: q31 as i32, shift: exponent as i8 })
    }

    /// The real factor that this stands for.
    pub fn to_real(self) -> f64 {
        libm::ldexp(f64::from(self.multiplier), i32::from(self.shift) - 31)
    }

    /// `x` times the factor, rounded by the rule of this module.
    ///
    /// A left shift that overflows 32 bits wraps; the quantiser chooses scales for which it cannot.
    #[inline(always)]
    pub const fn apply(&self, x: i32) -> i32 {
        let (left, right) = if self.shift > 0 { (self.shift as u32, 0) } else { (0, -(self.shift as i32)) };
        // [`doubling_high_mul`]; no multiplier is negative, so nothing saturates.
        let product = ((x.wrapping_shl(left) as i64 * self.multiplier as i64 + (1 << 30)) >> 31) as i32;
        rounding_shift_right(product, right as u32)
    }

    /// The factor divided by a number of elements, for a mean, as the reference computes it: the multiplier is shifted left
    /// as far as the number allows, then divided, truncating. It need not be in `[2^30, 2^31)` any more.
    ///
    /// `None` for no elements.
    pub const fn over(self, elements: u32) -> Option<Self> {
        let Some(bits) = elements.checked_ilog2() else { return None };
        let room = 31 + self.shift as i32;
        let bits = if (bits as i32) < room { bits as i32 } else { room };
        let multiplier = ((self.multiplier as i64) << bits) / elements as i64;
        // The quotient does not exceed the multiplier, and the shift is at least -31.
        Some(Self { multiplier: multiplier as i32, shift: self.shift - bits as i8 })
    }

    /// Largest shift of a factor of 64-bit sums.
    pub const WIDE_SHIFT: i8 = 14;

    /// True where [`Requant::apply_wide`] is defined: in range, and a shift of at most
    /// [`Requant::WIDE_SHIFT`]. (The reference asserts at most 7 in its debug builds.)
    pub const fn is_valid_wide(&self) -> bool {
        self.is_valid() && self.shift <= Self::WIDE_SHIFT
    }

    /// A 64-bit sum times the factor, by the rule of 16-bit activations: the multiplier is reduced to 15
    /// bits, the product rounded once, half up, and its low 32 bits taken.
    ///
    /// Exact for sums below 2^47 in magnitude and factors that are valid for it.
    #[inline(always)]
    pub const fn apply_wide(&self, x: i64) -> i32 {
        let reduced =
            if self.multiplier < 0x7fff_0000 { (self.multiplier + (1 << 15)) >> 16 } else { 0x7fff };
        let shift = (15 - self.shift as i32) as u32;
        (x.wrapping_mul(reduced as i64).wrapping_add(1i64.wrapping_shl(shift.wrapping_sub(1))))
            .wrapping_shr(shift) as i32
    }
}

/// `(a * b) / 2^31`, rounded half up; saturates in the one case that overflows, `-2^31 * -2^31`.
#[inline(always)]
pub const fn doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// `x / 2^exponent` rounded half away from zero; `exponent` in `0..=31`.
#[inline(always)]
pub const fn rounding_shift_right(x: i32, exponent: u32) -> i32 {
    let exponent = exponent & 31;
    let mask = ((1u32 << exponent) - 1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1) + (x < 0) as i32;
    (x >> exponent) + (remainder > threshold) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_up_in_the_multiply_and_away_from_zero_in_the_shift() {
        assert_eq!(doubling_high_mul(1, 1 << 30), 1);
        assert_eq!(doubling_high_mul(-1, 1 << 30), 0);
        assert_eq!(doubling_high_mul(i32::MIN, i32::MIN), i32::MAX);
        assert_eq!(rounding_shift_right(3, 1), 2);
        assert_eq!(rounding_shift_right(-3, 1), -2);
        assert_eq!(rounding_shift_right(-1, 31), 0);
        assert_eq!(rounding_shift_right(i32::MIN, 31), -1);
        assert_eq!(rounding_shift_right(i32::MAX, 0), i32::MAX);
    }

    #[test]
    fn factors_survive_the_round_trip() {
        for real in [1.0, 0.5, 0.75, 1e-3, 123.456, 1e-9] {
            let r = Requant::from_real(real).unwrap();
            assert!(r.is_valid());
            assert!((r.to_real() / real - 1.0).abs() < 1e-9, "{real}");
        }
        assert_eq!(Requant::from_real(1e-12), Some(Requant::ZERO));
        assert_eq!(Requant::from_real(-1.0), None);
        assert_eq!(Requant::from_real(f64::NAN), None);
        assert_eq!(Requant::from_real(1e12), None);
        assert_eq!(Requant::from_real(1.0).unwrap().apply(-77), -77);
    }

    #[test]
    fn wide_sums_are_rounded_once_and_half_up() {
        let half = Requant { multiplier: 1 << 30, shift: 0 };
        assert_eq!((half.apply_wide(3), half.apply_wide(-3), half.apply_wide(-1)), (2, -1, 0));
        // A multiplier at the top of its range is reduced to 32,767, not to 32,768.
        let nearly_one = Requant { multiplier: i32::MAX, shift: 0 };
        assert_eq!(nearly_one.apply_wide(1 << 20), (1 << 20) - 32);
        let large = Requant { multiplier: 1 << 30, shift: Requant::WIDE_SHIFT };
        assert_eq!((large.is_valid_wide(), large.apply_wide(-5)), (true, -5 << 13));
        assert!(!Requant { shift: Requant::WIDE_SHIFT + 1, ..large }.is_valid_wide());
        let small = Requant { multiplier: 1 << 30, shift: -31 };
        assert_eq!(small.apply_wide(1 << 46), 1 << 14);
    }

    #[test]
    fn quantising_saturates_and_survives_nan() {
        let q = QParams { scale: 0.5, zero_point: -3 };
        assert_eq!(q.quantize(1.0), -1);
        assert_eq!(q.quantize(f32::INFINITY), 127);
        assert_eq!(q.quantize(f32::NEG_INFINITY), -128);
        assert_eq!(q.quantize(f32::NAN), -3);
        assert_eq!(q.dequantize(-1), 1.0);
    }
}
