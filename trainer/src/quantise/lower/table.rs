//! Tables of functions of one int8 value.
//!
//! Where TensorFlow Lite defines the operator, each entry is computed with its reference arithmetic; any other
//! function is evaluated in f64 and rounded half away from zero.

mod fixed;

use crate::graph::Scheme;
use crate::ops::{Activation, UnaryFn};
use crate::quantise::params;
use dunlin::quant::{QParams, Requant, rounding_shift_right};
use fixed::{Argument, HardSwish, InverseRoot};

/// The output for each input −128 ..= 127. `pinned` is the scheme of an imported model whose bytes must be kept.
pub(super) fn fill(function: UnaryFn, input: QParams, output: QParams, pinned: Option<Scheme>) -> [i8; 256] {
    let zero = i32::from(input.zero_point);
    let entry = entry(function, input, output, pinned);
    std::array::from_fn(|i| entry(i as i32 - 128 - zero).clamp(-128, 127) as i8)
}

/// The output, not yet limited to int8, for an input less its zero point.
/// A change of scale in f32, as the uint8 `CONCATENATION` of the reference makes it. The reference's integers are
/// those of int8 plus 128.
pub(super) fn rescaled(input: QParams, output: QParams) -> [i8; 256] {
    let scale = input.scale * (1.0 / output.scale);
    let bias = -f32::from(input.zero_point + 128) * scale;
    std::array::from_fn(|q| {
        let rounded = (q as f32 * scale + bias).round() as i32;
        let value = rounded.saturating_add(i32::from(output.zero_point) + 128).clamp(0, 255);
        (value - 128) as i8
    })
}

type Entry = Box<dyn Fn(i32) -> i32>;

fn entry(function: UnaryFn, input: QParams, output: QParams, pinned: Option<Scheme>) -> Entry {
    let uint8 = pinned == Some(Scheme::Uint8);
    let int8 = pinned == Some(Scheme::Int8);
    let zero = i32::from(output.zero_point);
    match function {
        UnaryFn::Relu => clamped(Activation::Relu, ratio(input, output, uint8), output),
        // TensorFlow Lite for Microcontrollers takes the scale of the output to be that of the input.
        UnaryFn::Relu6 if int8 => {
            let six = (6.0 / input.scale).round() as i32;
            let zero = i32::from(input.zero_point);
            Box::new(move |x| x.clamp(0, six) + zero)
        }
        UnaryFn::Relu6 => clamped(Activation::Relu6, ratio(input, output, uint8), output),
        UnaryFn::Clamp { lo, hi } => {
            clamped(Activation::Clamp { lo, hi }, ratio(input, output, true), output)
        }
        UnaryFn::LeakyRelu { alpha } => leaky_relu(alpha, input, output, uint8),
        UnaryFn::Abs => {
            let factor = ratio(input, output, uint8);
            Box::new(move |x| factor.apply(x.abs()).saturating_add(zero))
        }
        UnaryFn::Sigmoid if uint8 => in_f32(|x| 1.0 / (1.0 + exp(-x)), input, output),
        UnaryFn::Sigmoid => {
            let argument = Argument::new(input.scale);
            Box::new(move |x| {
                argument.saturating(x, |q4| rounding_shift_right(dunlin::fixed::logistic(q4), 23) - 128)
            })
        }
        UnaryFn::Tanh if uint8 => in_f32(|x| f64::from(x).tanh() as f32, input, output),
        UnaryFn::Tanh => {
            let argument = Argument::new(input.scale);
            Box::new(move |x| argument.saturating(x, |q4| rounding_shift_right(dunlin::fixed::tanh(q4), 24)))
        }
        UnaryFn::HardSwish => match HardSwish::new(input, output) {
            Some(swish) => Box::new(move |x| swish.apply(x)),
            None => exact(function, input, output),
        },
        UnaryFn::Elu { alpha } => {
            in_f32(move |x| if x < 0.0 { alpha * (exp(x) - 1.0) } else { x }, input, output)
        }
        UnaryFn::Gelu => {
            let phi = |x: f32| libm::erfc(f64::from(x * -std::f32::consts::FRAC_1_SQRT_2)) as f32;
            in_f32(move |x| 0.5 * x * phi(x), input, output)
        }
        UnaryFn::GeluTanh => in_f32(gelu_tanh, input, output),
        UnaryFn::Exp => in_f32(exp, input, output),
        UnaryFn::Log => {
            let least = (-128.0 - f32::from(output.zero_point)) * output.scale;
            in_f32(move |x| if x <= 0.0 { least } else { f64::from(x).ln() as f32 }, input, output)
        }
        // Toward zero, as the reference has it.
        UnaryFn::Sqrt => Box::new(move |x| {
            let root = (input.scale * x.max(0) as f32).sqrt();
            ((root / output.scale) as i32).saturating_add(zero)
        }),
        UnaryFn::Rsqrt => {
            let root = InverseRoot::new(input, output);
            Box::new(move |x| root.apply(x))
        }
        // The reference changes the sign of the stored value, whatever its zero point.
        UnaryFn::Neg if int8 => {
            let zero = i32::from(input.zero_point);
            Box::new(move |x| i32::from(((x + zero) as i8).wrapping_neg()))
        }
        _ => exact(function, input, output),
    }
}

/// A factor with which every input but zero saturates: for scales whose ratio is 2^30 or more.
const LARGEST: Requant = Requant { multiplier: 1 << 30, shift: 23 };

/// Input scale over output scale, divided in f32 or f64.
fn ratio(input: QParams, output: QParams, in_f32: bool) -> Requant {
    let (a, b) = (input.scale, output.scale);
    requant(if in_f32 { f64::from(a / b) } else { f64::from(a) / f64::from(b) })
}

fn requant(real: f64) -> Requant {
    Requant::from_real(real).unwrap_or(LARGEST)
}

/// The function in f64, rounded half away from zero.
fn exact(function: UnaryFn, input: QParams, output: QParams) -> Entry {
    Box::new(move |x| {
        let y = function.eval(f64::from(input.scale) * f64::from(x));
        // `as` saturates, and makes the zero point of what is not a number.
        ((y / f64::from(output.scale)).round() as i32).saturating_add(i32::from(output.zero_point))
    })
}

/// The function in f32 with the reference's order of roundings: its product with the inverse output scale is
/// rounded half away from zero.
fn in_f32(function: impl Fn(f32) -> f32 + 'static, input: QParams, output: QParams) -> Entry {
    let inverse = 1.0 / output.scale;
    let zero = f32::from(output.zero_point);
    Box::new(move |x| ((function(input.scale * x as f32) * inverse).round() + zero) as i32)
}

/// `exp` in f32, rounded once.
fn exp(x: f32) -> f32 {
    f64::from(x).exp() as f32
}

fn gelu_tanh(x: f32) -> f32 {
    // sqrt(2 / pi).
    const FACTOR: f32 = 0.797_884_6;
    let inner = FACTOR * (x + 0.044_715 * x * x * x);
    0.5 * x * (1.0 + f64::from(inner).tanh() as f32)
}

/// Requantisation with a clamp.
fn clamped(activation: Activation, factor: Requant, output: QParams) -> Entry {
    let clamp = params::clamp(activation, output);
    Box::new(move |x| i32::from(clamp.apply(factor.apply(x).saturating_add(i32::from(output.zero_point)))))
}

fn leaky_relu(alpha: f32, input: QParams, output: QParams, in_f32: bool) -> Entry {
    let positive = ratio(input, output, in_f32);
    let slope = if in_f32 {
        f64::from(input.scale * alpha / output.scale)
    } else {
        f64::from(input.scale) * f64::from(alpha) / f64::from(output.scale)
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantise::points::{TANH_OUTPUT, UNIT_OUTPUT};

    /// The reference's arithmetic is within one step of the exact function.
    const STEPS: i32 = 1;

    fn close_to_exact(function: UnaryFn, input: QParams, output: QParams) {
        let table = fill(function, input, output, None);
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
        let table = fill(UnaryFn::Relu, q, q, None);
        assert!((0..256).all(|i| i32::from(table[i]) == (i as i32 - 128).max(-28)));
    }

    /// Function, scheme, input, output, first defined entry and all entries of one line of `reference.txt`.
    fn reference(line: &str) -> (UnaryFn, Scheme, QParams, QParams, usize, Vec<i8>) {
        let fields: Vec<&str> = line.split(';').map(str::trim).collect();
        let words: Vec<&str> = fields[0].split(' ').collect();
        let real = |i: usize| words[i].parse::<f32>().unwrap();
        let function = match words[0] {
            "Sigmoid" => UnaryFn::Sigmoid,
            "Tanh" => UnaryFn::Tanh,
            "Relu" => UnaryFn::Relu,
            "Relu6" => UnaryFn::Relu6,
            "Clamp" => UnaryFn::Clamp { lo: real(1), hi: real(2) },
            "HardSwish" => UnaryFn::HardSwish,
            "LeakyRelu" => UnaryFn::LeakyRelu { alpha: real(1) },
            "Elu" => UnaryFn::Elu { alpha: real(1) },
            "Gelu" => UnaryFn::Gelu,
            "GeluTanh" => UnaryFn::GeluTanh,
            "Abs" => UnaryFn::Abs,
            "Neg" => UnaryFn::Neg,
            "Sqrt" => UnaryFn::Sqrt,
            "Rsqrt" => UnaryFn::Rsqrt,
            "Exp" => UnaryFn::Exp,
            "Log" => UnaryFn::Log,
            other => panic!("{other}"),
        };
        let scheme = if fields[1] == "uint8" { Scheme::Uint8 } else { Scheme::Int8 };
        let quant = |field: &str| {
            let (bits, zero) = field.split_once(' ').unwrap();
            let scale = f32::from_bits(u32::from_str_radix(bits, 16).unwrap());
            QParams { scale, zero_point: zero.parse().unwrap() }
        };
        let byte = |i: usize| u8::from_str_radix(&fields[5][2 * i..2 * i + 2], 16).unwrap() as i8;
        let first = fields[4].parse().unwrap();
        (function, scheme, quant(fields[2]), quant(fields[3]), first, (0..256).map(byte).collect())
    }

    #[test]
    fn tables_of_imported_models_are_those_of_the_reference() {
        let lines = include_str!("table/reference.txt").lines().filter(|line| !line.starts_with('#'));
        let mut wrong = Vec::new();
        let mut count = 0;
        for line in lines {
            let (function, scheme, input, output, first, expected) = reference(line);
            let table = fill(function, input, output, Some(scheme));
            count += 1;
            if let Some(i) = (first..256).find(|&i| table[i] != expected[i]) {
                wrong.push(format!(
                    "{function:?} {scheme:?} {input:?} {output:?} at {i}: {} instead of {}",
                    table[i], expected[i]
                ));
            }
        }
        assert!(wrong.is_empty(), "{} of {count} tables: {wrong:#?}", wrong.len());
        assert!(count >= 70, "{count} tables");
    }
}
