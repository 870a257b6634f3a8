//! In place of the kernels on hosts: plain Rust computes every output.

use super::Reduction;
use super::full::Full;
use crate::isa::Geometry;

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
