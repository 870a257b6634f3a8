//! Plain Rust: the definition of every kernel's result, written to be read.

use super::{Isa, ProductParams, RescaleParams, Source, SumParams};
use crate::fixed;
use crate::quant::Clamp;

/// The portable instruction set.
pub(crate) struct Scalar;

impl Isa for Scalar {
    const NAME: &'static str = "scalar";

    #[inline(always)]
    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        // The parser bounds the reduction, so the sum cannot overflow; `wrapping` keeps it branch-free.
        let pairs = x.iter().zip(w).map(|(&x, &w)| (i32::from(x) - input_zero, i32::from(w)));
        if weight_zero == 0 {
            pairs.fold(0i32, |sum, (x, w)| sum.wrapping_add(x * w))
        } else {
            pairs.fold(0i32, |sum, (x, w)| sum.wrapping_add(x * (w - weight_zero)))
        }
    }

    fn max(row: &[i8], out: &mut [i8]) {
        for (out, &x) in out.iter_mut().zip(row) {
            *out = (*out).max(x);
        }
    }

    fn accumulate(row: &[i8], sum: &mut [i32]) {
        for (sum, &x) in sum.iter_mut().zip(row) {
            *sum = sum.wrapping_add(i32::from(x));
        }
    }

    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        let scaled =
            |x: i8, i: usize| p.scale[i].apply((i32::from(x) - p.zero[i]).wrapping_shl(p.left_shift));
        binary(a, b, out, |a, b| {
            let sum = scaled(a, 0).wrapping_add(scaled(b, 1));
            p.clamp.apply(p.output.apply(sum).wrapping_add(p.output_zero))
        });
    }

    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        binary(a, b, out, |a, b| {
            let product = (i32::from(a) - p.zero[0]) * (i32::from(b) - p.zero[1]);
            p.clamp.apply(p.output.apply(product).wrapping_add(p.output_zero))
        });
    }

    fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
        unary(a, out, |x| table[usize::from(x as u8 ^ 0x80)]);
    }

    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
        unary(a, out, |x| {
            Clamp::FULL.apply(p.scale.apply(i32::from(x) - p.input_zero).wrapping_add(p.output_zero))
        });
    }

    fn softmax(exp: &[i32], row: &[i8], out: &mut [i8]) {
        let max = row.iter().copied().fold(i8::MIN, i8::max);
        let entry = |x: i8| exp[usize::from(max.abs_diff(x))];
        let sum = row.iter().fold(0i32, |sum, &x| sum.wrapping_add(fixed::to_accumulator(entry(x))));
        let sum = fixed::reciprocal(sum);
        for (out, &x) in out.iter_mut().zip(row) {
            *out = Clamp::FULL.apply(fixed::share(entry(x), sum).wrapping_add(i32::from(i8::MIN)));
        }
    }
}

fn unary(a: Source<'_>, out: &mut [i8], f: impl Fn(i8) -> i8) {
    match a {
        Source::InPlace => out.iter_mut().for_each(|x| *x = f(*x)),
        Source::From(a) => out.iter_mut().zip(a).for_each(|(out, &x)| *out = f(x)),
    }
}

fn binary(a: Source<'_>, b: &[i8], out: &mut [i8], f: impl Fn(i8, i8) -> i8) {
    match *b {
        [b] => unary(a, out, |a| f(a, b)),
        _ => match a {
            Source::InPlace => out.iter_mut().zip(b).for_each(|(x, &b)| *x = f(*x, b)),
            Source::From(a) => {
                out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (&a, &b))| *out = f(a, b));
            }
        },
    }
}
