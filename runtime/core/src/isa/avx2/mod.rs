//! AVX2.

use super::{Isa, ProductParams, Reduction, RescaleParams, Scalar, Source, SumParams};

/// x86-64 with AVX2.
pub(crate) struct Avx2;

impl Isa for Avx2 {
    const NAME: &'static str = "avx2";
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

/// Whether this core has AVX2.
pub(super) fn has() -> bool {
    #[cfg(feature = "std")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(feature = "std"))]
    false
}

/// The best instruction set of this core.
pub(super) fn detect() -> super::IsaKind {
    super::IsaKind::Scalar
}
