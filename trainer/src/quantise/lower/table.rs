//! Tables of functions of one int8 value.
//!
//! Where TensorFlow Lite defines the operator, each entry is computed with its reference arithmetic; any other
//! function is evaluated in f64 and rounded half away from zero.

use crate::ops::{Activation, UnaryFn};
use crate::quantise::params;
use dunlin::fixed;
use dunlin::quant::{QParams, Requant, rounding_shift_right};

/// The output for each input −128 ..= 127.
pub(super) fn fill(function: UnaryFn, input: QParams, output: QParams) -> [i8; 256] {
    let entry: Box<dyn Fn(i32) -> i32> = match function {
        UnaryFn::Relu => clamped(Activation::Relu, input, output),
        UnaryFn::Relu6 => clamped(Activation::Relu6, input, output),
        UnaryFn::Clamp { lo, hi } => clamped(Activation::Clamp { lo, hi }, input, output),
        UnaryFn::LeakyRelu { alpha } => leaky_relu(alpha, input, output),
        UnaryFn::Abs => {
            let factor = ratio(input, output);
            Box::new(move |x| factor.apply(x.abs()) + i32::from(output.zero_point))
        }
        UnaryFn::Sigmoid => {
            let argument = Argument::new(input.scale);
            Box::new(move |x| {
                argument.saturating(x, |q4| rounding_shift_right(fixed::logistic(q4), 23) - 128)
            })
        }
        UnaryFn::Tanh => {
            let argument = Argument::new(input.scale);
            Box::new(move |x| argument.saturating(x, |q4| rounding_shift_right(fixed::tanh(q4), 24)))
        }
        UnaryFn::HardSwish => match HardSwish::new(input, output) {
            Some(swish) => Box::new(move |x| swish.apply(x)),
            None => exact(function, input, output),
        },
        UnaryFn::Elu { .. } | UnaryFn::Gelu | UnaryFn::Exp | UnaryFn::Neg => exact(function, input, output),
    };
    let zero = i32::from(input.zero_point);
    std::array::from_fn(|i| entry(i as i32 - 128 - zero).clamp(-128, 127) as i8)
}

type Entry = Box<dyn Fn(i32) -> i32>;

/// Input scale over output scale. A ratio of 2^30 or more saturates every input but zero either way.
fn ratio(input: QParams, output: QParams) -> Requant {
    requant(f64::from(input.scale) / f64::from(output.scale))
}

fn requant(real: f64) -> Requant {
    Requant::from_real(real).unwrap_or(Requant { multiplier: 1 << 30, shift: 23 })
}

/// The function in f64, rounded half away from zero.
fn exact(function: UnaryFn, input: QParams, output: QParams) -> Entry {
    Box::new(move |x| {
        let y = function.eval(f64::from(input.scale) * f64::from(x));
        // `as` saturates, and NaN cannot arise from a finite argument of these functions.
        ((y / f64::from(output.scale)).round() as i32).saturating_add(i32::from(output.zero_point))
    })
}

/// Requantisation with a clamp.
fn clamped(activation: Activation, input: QParams, output: QParams) -> Entry {
    let factor = ratio(input, output);
    let clamp = params::clamp(activation, output);
    Box::new(move |x| i32::from(clamp.apply(factor.apply(x).saturating_add(i32::from(output.zero_point)))))
}

fn leaky_relu(alpha: f32, input: QParams, output: QParams) -> Entry {
    let real = f64::from(input.scale) / f64::from(output.scale);
    let positive = requant(real);
    let slope = real * f64::from(alpha);
    let negative = requant(slope.abs());
    Box::new(move |x| {
        let scaled = match (x >= 0, slope < 0.0) {
            (true, _) => positive.apply(x),
            (false, false) => negative.apply(x),
            (false, true) => negative.apply(-x),
        };
        scaled.saturating_add(i32::from(output.zero_point))
    })
}

/// The reference's argument of logistic and tanh: Q4.27, or the side on which the function saturates.
struct Argument {
    factor: Requant,
    radius: f64,
}

impl Argument {
    fn new(scale: f32) -> Self {
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
    fn saturating(&self, x: i32, f: impl Fn(i32) -> i32) -> i32 {
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
struct HardSwish {
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
    fn new(input: QParams, output: QParams) -> Option<Self> {
        const RELUISH_SCALE: f64 = 3.0 / 32768.0;
        let hires = f64::from(input.scale) / 128.0;
        let swish = Self {
            output: Factor16::new(hires / f64::from(output.scale))?,
            reluish: Factor16::new(hires / RELUISH_SCALE)?,
            output_zero: i32::from(output.zero_point),
        };
        (swish.output.exponent <= 0 && swish.reluish.exponent < 16).then_some(swish)
    }

    fn apply(&self, x: i32) -> i32 {
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
            reluish = rounding_shift_right(reluish, (-exponent) as u32);
        }
        let gate = (reluish + (1 << 15)) >> 1;
        let product = saturate(gate * preshift / (1 << 15));
        rounding_shift_right(product, (-self.output.exponent).min(31) as u32) + self.output_zero
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantise::points::{TANH_OUTPUT, UNIT_OUTPUT};

    /// The reference's arithmetic is within one step of the exact function.
    const STEPS: i32 = 1;

    fn close_to_exact(function: UnaryFn, input: QParams, output: QParams) {
        let table = fill(function, input, output);
        let ideal = exact(function, input, output);
        for (i, &got) in table.iter().enumerate() {
            let ideal = ideal(i as i32 - 128 - i32::from(input.zero_point)).clamp(-128, 127);
            assert!((i32::from(got) - ideal).abs() <= STEPS, "{function:?} at {i}: {got}, exact {ideal}");
        }
    }

    #[test]
    fn every_table_follows_its_function() {
        let input = QParams { scale: 0.047, zero_point: -11 };
        let output = QParams { scale: 0.031, zero_point: 5 };
        for function in [
            UnaryFn::Relu,
            UnaryFn::Relu6,
            UnaryFn::Clamp { lo: -0.7, hi: 1.3 },
            UnaryFn::LeakyRelu { alpha: 0.1 },
            UnaryFn::LeakyRelu { alpha: -0.3 },
            UnaryFn::HardSwish,
            UnaryFn::Elu { alpha: 1.0 },
            UnaryFn::Gelu,
            UnaryFn::Exp,
            UnaryFn::Abs,
            UnaryFn::Neg,
        ] {
            close_to_exact(function, input, output);
        }
        for scale in [0.004, 0.05, 0.3, 6.0] {
            let input = QParams { scale, zero_point: 3 };
            close_to_exact(UnaryFn::Sigmoid, input, UNIT_OUTPUT);
            close_to_exact(UnaryFn::Tanh, input, TANH_OUTPUT);
        }
    }

    #[test]
    fn a_relu_within_one_scale_is_a_plain_clamp() {
        let q = QParams { scale: 0.1, zero_point: -28 };
        let table = fill(UnaryFn::Relu, q, q);
        assert!((0..256).all(|i| i32::from(table[i]) == (i as i32 - 128).max(-28)));
    }
}
