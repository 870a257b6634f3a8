//! The kernels in plain Rust, for hosts that run files of this target.

use super::conv::Windows;
use super::tile::Tile;
use crate::fixed16::SIGMOID_ENTRIES;
use crate::isa::{Isa, ProductParams, RescaleParams, Scalar, SigmoidParams, Source, SumParams};
use crate::quant::Requant;

pub(super) use super::depthwise::plain as depthwise;

/// As many rows as `out`, `[m, n]`, holds. Row `i` is the [`Tile::taps`] bytes of `x` from `i * step` on.
pub(super) fn rows(t: &Tile<'_>, x: &[i8], step: usize, out: &mut [i8]) {
    t.plain(x, step, out);
}

/// Copies `count` pieces of `len` bytes, `from_pitch` apart in `from`, to pieces `pitch` apart in `to`.
pub(super) fn copy_pieces(
    from: &[i8],
    from_pitch: usize,
    len: usize,
    count: usize,
    to: &mut [i8],
    pitch: usize,
) {
    for i in 0..count {
        to[i * pitch..][..len].copy_from_slice(&from[i * from_pitch..][..len]);
    }
}

/// Copies the runs of some windows.
pub(super) fn copy_windows(w: &Windows, from: &[i8], to: &mut [i8]) {
    for i in 0..w.count {
        for run in 0..w.runs {
            let source = &from[i * w.step + run * w.pitch..][..w.len];
            to[i * w.to_step + run * w.to_pitch..][..w.len].copy_from_slice(source);
        }
    }
}

/// Fills all of `to`.
pub(super) fn fill(value: i8, to: &mut [i8]) {
    to.fill(value);
}

pub(super) fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
    Scalar::dot(x, w, input_zero, weight_zero)
}

pub(super) fn max_rows(rows: &[i8], out: &mut [i8]) {
    Scalar::max_rows(rows, out);
}

pub(super) fn accumulate_rows(rows: &[i8], sum: &mut [i32]) {
    Scalar::accumulate_rows(rows, sum);
}

pub(super) fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    Scalar::add(p, a, b, out);
}

pub(super) fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    Scalar::mul(p, a, b, out);
}

pub(super) fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
    Scalar::lookup(table, a, out);
}

pub(super) fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
    Scalar::rescale(p, a, out);
}

pub(super) fn project(x: &[i8], w: &[i8], zero: i32, bias: Option<&[i32]>, factor: Requant, out: &mut [i16]) {
    Scalar::project(x, w, zero, bias, factor, out);
}

pub(super) fn logistic16(
    p: &SigmoidParams,
    table: &[u16; SIGMOID_ENTRIES],
    a: Source<'_, i16>,
    out: &mut [i16],
) {
    Scalar::logistic16(p, table, a, out);
}

pub(super) fn tanh16(p: &SigmoidParams, table: &[u16; SIGMOID_ENTRIES], a: Source<'_, i16>, out: &mut [i16]) {
    Scalar::tanh16(p, table, a, out);
}
