//! Fixed-point arithmetic of the reference that a table takes over: hard swish, arguments of the logistic function
//! and of tanh, the inverse root.

use dunlin::fixed;
use dunlin::quant::{QParams, Requant, rounding_shift_right};

/// The reference's argument of logistic and tanh: Q4.27, or the side on which the function saturates.
pub(super) struct Argument {
    factor: Requant,
    radius: f64,
}

impl Argument {
    pub(super) fn new(scale: f32) -> Self {
        const INTEGER_BITS: i32 = 4;
        let real = f64::from(scale) * f64::from(1u32 << (31 - INTEGER_BITS));
        // At a scale of 8 or more the reference's radius is 0: every input saturates.
        let Some(factor) = Requant::from_real(real) else {
            return Self { factor: Requant::ZERO, radius: 0.0 };
        };
        let largest = f64::from((1 << INTEGER_BITS) - 1) * f64::from(1u32 << (31 - INTEGER_BITS));
        Self { factor, radius: (largest / libm::ldexp(1.0, i32::from(factor.shift))).floor() }
    }

    /// `f` of the argument, or the end of int8 that it saturates to.
    pub(super) fn saturating(&self, x: i32, f: impl Fn(i32) -> i32) -> i32 {
        match self.of(x) {
            Ok(q4) => f(q4),
            Err(true) => 127,
            Err(false) => -128,
        }
    }

    fn of(&self, x: i32) -> Result<i32, bool> {
        if f64::from(x) <= -self.radius {
            Err(false)
        } else if f64::from(x) >= self.radius {
            Err(true)
        } else {
            Ok(self.factor.apply(x))
        }
    }
}

/// The reference's 16-bit hard swish.
pub(super) struct HardSwish {
    output: Factor16,
    reluish: Factor16,
    output_zero: i32,
}

/// A factor with a 15-bit mantissa.
#[derive(Clone, Copy)]
struct Factor16 {
    mantissa: i16,
    exponent: i32,
}

impl Factor16 {
    fn new(real: f64) -> Option<Self> {
        let r = Requant::from_real(real)?;
        let mantissa = (i64::from(r.multiplier) + (1 << 15)).min(i64::from(i32::MAX)) >> 16;
        Some(Self { mantissa: mantissa.min(i64::from(i16::MAX)) as i16, exponent: i32::from(r.shift) })
    }
}

impl HardSwish {
    /// `None` where the output is so fine that the reference's arithmetic does not apply.
    pub(super) fn new(input: QParams, output: QParams) -> Option<Self> {
        const RELUISH_SCALE: f32 = 3.0 / 32768.0;
        // In f32, as the reference has it.
        let hires = input.scale / 128.0;
        let swish = Self {
            output: Factor16::new(f64::from(hires / output.scale))?,
            reluish: Factor16::new(f64::from(hires / RELUISH_SCALE))?,
            output_zero: i32::from(output.zero_point),
        };
        (swish.output.exponent <= 0 && swish.reluish.exponent < 16).then_some(swish)
    }

    pub(super) fn apply(&self, x: i32) -> i32 {
        let saturate = |v: i32| v.clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        let rounded = |a: i32, b: i16| {
            let product = a * i32::from(b);
            let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
            saturate((product + nudge) / (1 << 15))
        };
        let hires = x << 7;
        let preshift = rounded(hires, self.output.mantissa);
        let exponent = self.reluish.exponent;
        let mut reluish = hires;
        if exponent > 0 {
            reluish = saturate(reluish << (exponent - 1));
        }
        reluish = rounded(reluish, self.reluish.mantissa);
        if exponent > 0 {
            reluish = saturate(reluish << 1);
        } else {
            reluish = divided(reluish, -exponent);
        }
        let gate = (reluish + (1 << 15)) >> 1;
        let product = saturate(gate * preshift / (1 << 15));
        divided(product, -self.output.exponent) + self.output_zero
    }
}

/// A 16-bit `x / 2^exponent`, half away from zero; from 16 bits on the reference's mask of the remainder has run
/// over, and what is not negative becomes one.
fn divided(x: i32, exponent: i32) -> i32 {
    match exponent {
        ..16 => rounding_shift_right(x, exponent as u32),
        _ => (x >> exponent.min(31)) + i32::from(x >= 0),
    }
}

/// The reference's `1 / sqrt(x)` of an int8 value less its zero point; 127 where it is not positive, as for zero.
pub(super) struct InverseRoot {
    output: Requant,
    output_zero: i32,
}

impl InverseRoot {
    /// Bits by which the reference shifts its intermediate result to keep it an integer.
    const SHIFT: i8 = 20;

    pub(super) fn new(input: QParams, output: QParams) -> Self {
        let real = 1.0 / (f64::from(input.scale).sqrt() * f64::from(output.scale));
        let output_zero = i32::from(output.zero_point);
        Self { output: Requant::from_real(real).unwrap_or(super::LARGEST), output_zero }
    }

    pub(super) fn apply(&self, x: i32) -> i32 {
        if x <= 0 {
            return i32::from(i8::MAX);
        }
        let root = fixed::inverse_root(x);
        let steps = Requant { shift: root.shift + Self::SHIFT, ..root }.apply(1);
        match self.output.shift - Self::SHIFT {
            // Every product is below one half there.
            ..-31 => self.output_zero,
            shift => Requant { shift, ..self.output }.apply(steps).saturating_add(self.output_zero),
        }
    }
}
