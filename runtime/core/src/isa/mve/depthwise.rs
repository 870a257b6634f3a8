//! Depthwise convolution of one output channel per input channel.
//!
//! Four rows of the input are woven into words: one word for each column and channel, a byte for each row. A window of a
//! channel is then up to four words, which one gather fetches. With a stride of one, the same words serve two rows of
//! the output: shifted by a byte they are the next row's.

use super::pack::LANES;
use super::tile::Tile;
use crate::isa::Geometry;

/// Bytes that are woven at once: the band may be written this far beyond its end.
const MARGIN: usize = 64;
/// Most bytes of scratch, where two outputs can do with as much.
const BAND: usize = 4096;

/// Bytes of scratch.
pub(super) fn scratch(g: &Geometry) -> usize {
    let two = columns(g, 2).saturating_mul(column(g)).saturating_add(MARGIN);
    let all = columns(g, g.width).saturating_mul(column(g)).saturating_add(MARGIN);
    all.min(BAND.max(two))
}

/// Bytes of a column of the band.
fn column(g: &Geometry) -> usize {
    (g.input.c as usize).saturating_mul(4)
}

/// Columns that `count` outputs read.
fn columns(g: &Geometry, count: usize) -> usize {
    let w = &g.window;
    (count - 1).saturating_mul(w.stride_w.into()).saturating_add(reach(g))
}

/// Columns that one output reads.
fn reach(g: &Geometry) -> usize {
    usize::from(g.window.kernel_w - 1) * usize::from(g.window.dilation_w) + 1
}

/// The output rows from `first` on, as many as `out` holds.
#[cfg(not(all(target_arch = "arm", target_os = "none", feature = "isa-mve")))]
pub(super) fn depthwise(
    t: &Tile<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    plain(t, g, image, first, out, scratch);
}

/// The output rows from `first` on, as many as `out` holds.
#[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-mve"))]
pub(super) fn depthwise(
    t: &Tile<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    use super::gather::{MAX_PITCH, Strip, strip};
    let row_len = g.width * t.n;
    let room = scratch.len().saturating_sub(MARGIN) / column(g);
    if !t.quick || row_len > MAX_PITCH || room < reach(g) || row_len == 0 {
        return plain(t, g, image, first, out, scratch);
    }
    let w = &g.window;
    let most = ((room - reach(g)) / usize::from(w.stride_w) + 1).min(g.width);
    let rows = out.len() / row_len;
    let twins = w.stride_h == 1 && w.dilation_h == 1 && w.kernel_h <= 3 && rows > 1;
    let mut row = 0;
    while row < rows {
        // The last of an odd number of rows is computed with the one before it again.
        let at = if twins { row.min(rows - 2) } else { row };
        let mut from = 0;
        while from < g.width {
            let count = most.min(g.width - from);
            weave(g, image, (first + at, from), count, twins, scratch);
            let place = at * row_len + from * t.n;
            let end = place + (count - 1) * t.n + t.n + if twins { row_len } else { 0 };
            let strip_of = Strip {
                step: usize::from(w.stride_w) * column(g),
                tap: usize::from(w.dilation_w) * column(g),
                taps: w.kernel_w.into(),
                count,
                twin: if twins { Some(row_len) } else { None },
            };
            strip(t, &strip_of, scratch, &mut out[place..end]);
            from += count;
        }
        row += if twins { 2 } else { 1 };
    }
}

/// Weaves the columns that `count` outputs from output `(oy, ox)` on read.
#[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-mve"))]
fn weave(g: &Geometry, image: &[i8], (oy, ox): (usize, usize), count: usize, twins: bool, band: &mut [i8]) {
    let w = &g.window;
    let (c, width) = (g.input.c as usize, g.input.w as usize);
    let columns = columns(g, count);
    let (start, left) = (ox * usize::from(w.stride_w), usize::from(w.pad.left));
    // Columns before the image, in it, and behind it.
    let before = left.saturating_sub(start).min(columns);
    let first = (start + before).saturating_sub(left);
    let inside = width.saturating_sub(first).min(columns - before);
    let behind = columns - before - inside;
    let used = usize::from(w.kernel_h) + usize::from(twins);
    let top = usize::from(w.pad.top);
    let rows: [Option<&[i8]>; 4] = core::array::from_fn(|ky| {
        // Rows that no weight looks at may be any.
        let ky = ky.min(used - 1);
        let y = (oy * usize::from(w.stride_h) + ky * usize::from(w.dilation_h)).checked_sub(top);
        let y = y.filter(|&y| y < g.input.h as usize && inside > 0)?;
        Some(&image[(y * width + first) * c..][..inside * c])
    });
    let (head, rest) = band.split_at_mut(before * column(g));
    super::copy::fill(g.fill, head);
    super::gather::weave(&rows, g.fill, inside * c, rest);
    super::copy::fill(g.fill, &mut rest[inside * column(g)..][..behind * column(g)]);
}

/// One output after the other, in plain Rust.
fn plain(t: &Tile<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8], scratch: &mut [i8]) {
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
