//! Convolutions by way of patches: what an instruction set has until it has its own.

use super::{Geometry, Isa, Reduction};

/// Product with portable weights, a dot product at a time.
pub(super) fn matmul<I: Isa + ?Sized>(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8]) {
    for (row, out) in rows.chunks_exact(k).zip(out.chunks_exact_mut(p.n)) {
        for (c, (weights, out)) in p.weights.chunks_exact(k).zip(out).enumerate() {
            *out = p.finish(c, I::dot(row, weights, p.input_zero, p.weight_zero));
        }
    }
}

/// Gathers one patch after another and multiplies it.
pub(super) fn conv<I: Isa + ?Sized>(
    p: &Reduction<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    let (patch, rest) = scratch.split_at_mut(g.taps().total());
    for (i, out) in out.chunks_exact_mut(p.n).enumerate() {
        g.patch(image, first + i, patch);
        I::matmul(p, patch.len(), patch, out, rest);
    }
}

/// Gathers one patch after another.
pub(super) fn depthwise(
    p: &Reduction<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    let c = g.input.c as usize;
    let patch = &mut scratch[..g.window.taps() * c];
    for (i, out) in out.chunks_exact_mut(p.n).enumerate() {
        g.patch(image, first * g.width + i, patch);
        pixel(p, c, patch, out);
    }
}

/// One pixel of a depthwise convolution: `patch` is `[taps, c]`.
fn pixel(p: &Reduction<'_>, c: usize, patch: &[i8], out: &mut [i8]) {
    let channels = out.len();
    let multiplier = channels / c;
    for (i, out) in out.iter_mut().enumerate() {
        let taps = patch[i / multiplier..].iter().step_by(c);
        let weights = p.weights[i..].iter().step_by(channels);
        let sum = taps.zip(weights).fold(0i32, |sum, (&x, &w)| {
            sum.wrapping_add((i32::from(x) - p.input_zero) * (i32::from(w) - p.weight_zero))
        });
        *out = p.finish(i, sum);
    }
}
