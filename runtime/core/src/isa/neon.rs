//! Neon of 64-bit Arm cores, three tiers.

use super::{Isa, ProductParams, Reduction, RescaleParams, Scalar, Source, SumParams};

/// Every core.
pub(crate) struct Neon;

impl Isa for Neon {
    const NAME: &'static str = "neon";
    const PATCHES: usize = 1;

    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
        Scalar::matmul(p, k, rows, out, scratch);
    }

    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        Scalar::dot(x, w, input_zero, weight_zero)
    }

    fn max(row: &[i8], out: &mut [i8]) {
        Scalar::max(row, out);
    }

    fn accumulate(row: &[i8], sum: &mut [i32]) {
        Scalar::accumulate(row, sum);
    }

    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::add(p, a, b, out);
    }

    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::mul(p, a, b, out);
    }

    fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
        Scalar::lookup(table, a, out);
    }

    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
        Scalar::rescale(p, a, out);
    }

    fn softmax(exp: &[i32], row: &[i8], out: &mut [i8]) {
        Scalar::softmax(exp, row, out);
    }
}

/// Cores with dot products.
pub(crate) struct NeonDot;

impl Isa for NeonDot {
    const NAME: &'static str = "neon-dotprod";
    const PATCHES: usize = 1;

    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
        Scalar::matmul(p, k, rows, out, scratch);
    }

    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        Scalar::dot(x, w, input_zero, weight_zero)
    }

    fn max(row: &[i8], out: &mut [i8]) {
        Scalar::max(row, out);
    }

    fn accumulate(row: &[i8], sum: &mut [i32]) {
        Scalar::accumulate(row, sum);
    }

    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::add(p, a, b, out);
    }

    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::mul(p, a, b, out);
    }

    fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
        Scalar::lookup(table, a, out);
    }

    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
        Scalar::rescale(p, a, out);
    }

    fn softmax(exp: &[i32], row: &[i8], out: &mut [i8]) {
        Scalar::softmax(exp, row, out);
    }
}

/// Cores with matrix products.
pub(crate) struct NeonI8mm;

impl Isa for NeonI8mm {
    const NAME: &'static str = "neon-i8mm";
    const PATCHES: usize = 1;

    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
        Scalar::matmul(p, k, rows, out, scratch);
    }

    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        Scalar::dot(x, w, input_zero, weight_zero)
    }

    fn max(row: &[i8], out: &mut [i8]) {
        Scalar::max(row, out);
    }

    fn accumulate(row: &[i8], sum: &mut [i32]) {
        Scalar::accumulate(row, sum);
    }

    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::add(p, a, b, out);
    }

    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::mul(p, a, b, out);
    }

    fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
        Scalar::lookup(table, a, out);
    }

    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
        Scalar::rescale(p, a, out);
    }

    fn softmax(exp: &[i32], row: &[i8], out: &mut [i8]) {
        Scalar::softmax(exp, row, out);
    }
}

/// The best tier of this core.
pub(super) fn detect() -> super::IsaKind {
    super::IsaKind::Neon
}
