//! Numbers in which a system is computed.

use core::ops::{Add, Div, Mul, Neg, Sub};

/// A number with sine and cosine.
pub trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The number nearest to a constant.
    fn of(constant: f64) -> Self;

    /// Sine and cosine of an angle in radians.
    fn sin_cos(self) -> (Self, Self);
}

/// Exact to the last bit or two, equal on all hosts.
impl Real for f64 {
    #[inline]
    fn of(constant: f64) -> Self {
        constant
    }

    #[inline]
    fn sin_cos(self) -> (Self, Self) {
        libm::sincos(self)
    }
}

/// Approximate: both are off by at most 0.0011 within a turn about zero.
impl Real for f32 {
    #[inline]
    fn of(constant: f64) -> Self {
        constant as f32
    }

    #[inline]
    fn sin_cos(self) -> (Self, Self) {
        // By path: as a method it would be another function wherever there is `std`.
        (micromath::F32Ext::sin(self), micromath::F32Ext::cos(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approximate_sines_are_as_far_off_as_stated() {
        let mut worst = 0.0_f64;
        for i in -3142..=3142 {
            let angle = i as f32 * 0.001;
            let ((sin, cos), exact) = (Real::sin_cos(angle), libm::sincos(f64::from(angle)));
            worst = worst.max((f64::from(sin) - exact.0).abs()).max((f64::from(cos) - exact.1).abs());
        }
        assert!(worst < 0.0011, "{worst}");
    }
}
