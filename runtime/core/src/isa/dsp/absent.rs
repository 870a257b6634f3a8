//! In place of the kernels on hosts: plain Rust computes every output.

use super::Reduction;
use super::full::Full;
use crate::isa::{Geometry, Isa, Scalar, Source, SumParams};

/// Rows that are done: none.
pub(super) fn matmul(_: &Reduction<'_>, _: &Full<'_>, _: &[i8], _: &mut [i8], _: &mut [i8]) -> usize {
    0
}

/// Pixels that are done: none.
pub(super) fn conv(
    _: &Reduction<'_>,
    _: &Full<'_>,
    _: &Geometry,
    _: &[i8],
    _: usize,
    _: &mut [i8],
    _: &mut [i8],
) -> usize {
    0
}

/// Channels that are done: none.
pub(super) fn depthwise(
    _: &Reduction<'_>,
    _: &[i32],
    _: &Geometry,
    _: &[i8],
    _: usize,
    _: &mut [i8],
) -> usize {
    0
}

pub(super) fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    Scalar::add(p, a, b, out);
}

pub(super) fn accumulate(row: &[i8], sums: &mut [i32]) {
    Scalar::accumulate(row, sums);
}

pub(super) fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
    Scalar::dot(x, w, input_zero, weight_zero)
}

pub(super) fn dots(x: &[i8], w: &[i8], input_zero: i32, sums: &mut [i32]) {
    Scalar::dots(x, w, input_zero, sums);
}

pub(super) fn portable(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
    Scalar::matmul(p, k, rows, out, scratch);
}

pub(super) fn max(row: &[i8], out: &mut [i8]) {
    Scalar::max(row, out);
}
