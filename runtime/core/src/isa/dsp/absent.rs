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

pub(super) fn max(row: &[i8], out: &mut [i8]) {
    Scalar::max(row, out);
}
