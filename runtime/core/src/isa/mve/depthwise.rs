//! Depthwise convolution of one output channel per input channel.
//!
//! Four rows of the input are woven into words: one word for each column and channel, a byte for each row. A window of a
//! channel is then up to four words, which one gather fetches. With a stride of one, the same words serve two rows of
//! the output: shifted by a byte they are the next row's.

use super::pack::LANES;
use super::tile::Tile;
use crate::isa::Geometry;

/// Bytes that are woven at once: the band may be written this far beyond its end.
pub(super) const MARGIN: usize = 64;
/// Most bytes of scratch, where two outputs can do with as much.
const BAND: usize = 4096;

/// Bytes of scratch.
pub(super) fn scratch(g: &Geometry) -> usize {
    let two = columns(g, 2).saturating_mul(column(g)).saturating_add(MARGIN);
    let all = columns(g, g.width).saturating_mul(column(g)).saturating_add(MARGIN);
    all.min(BAND.max(two))
}

/// Bytes of a column of the band.
pub(super) fn column(g: &Geometry) -> usize {
    (g.input.c as usize).saturating_mul(4)
}

/// Columns that `count` outputs read.
pub(super) fn columns(g: &Geometry, count: usize) -> usize {
    let w = &g.window;
    (count - 1).saturating_mul(w.stride_w.into()).saturating_add(reach(g))
}

/// Columns that one output reads.
pub(super) fn reach(g: &Geometry) -> usize {
    usize::from(g.window.kernel_w - 1) * usize::from(g.window.dilation_w) + 1
}

/// The output rows from `first` on, as many as `out` holds, in plain Rust.
pub(super) fn plain(
    t: &Tile<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    let c = g.input.c as usize;
    let width = usize::from(g.window.kernel_w);
    let Some(patch) = scratch.get_mut(..g.window.taps() * c) else { return };
    for (i, out) in out.chunks_exact_mut(t.n).enumerate() {
        g.patch(image, first * g.width + i, patch);
        for (ch, out) in out.iter_mut().enumerate() {
            let weights = &t.weights[ch * LANES..][..LANES];
            let sum = patch[ch..].iter().step_by(c).enumerate().fold(0i32, |sum, (tap, &x)| {
                let w = weights[tap % width * 4 + tap / width];
                sum.wrapping_add(i32::from(x) * i32::from(w))
            });
            *out = t.finish(ch, sum);
        }
    }
}
