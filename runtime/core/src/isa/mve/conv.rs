//! Convolutions: how the rows of [`Tile::rows`] come about.

use super::native::{copy_pieces, copy_windows as copy_runs, fill, rows as multiply};
use super::pack::{LANES, TapOrder, padded};
use super::tile::Tile;
use crate::isa::window::axis;
use crate::isa::{Geometry, Taps};

/// Bytes of scratch for a product whose rows have `k` values: a row that is read beyond the end of its tensor is copied.
pub(super) const fn rows_scratch(k: usize) -> usize {
    if padded(k) == k { 0 } else { padded(k) }
}

/// Bytes of scratch for a convolution.
pub(super) fn conv_scratch(taps: Taps) -> usize {
    let patches = padded(taps.total()).saturating_mul(4);
    match TapOrder::of(taps) {
        TapOrder::Columns => patches,
        // Small patches: enough of them to be worth the call.
        TapOrder::Rows => patches.max(1024),
    }
}

/// As many rows of `k` values as `out` has, row `i` at `i * step` of `x`.
pub(super) fn rows(t: &Tile<'_>, k: usize, x: &[i8], step: usize, out: &mut [i8], scratch: &mut [i8]) {
    let m = out.len() / t.n;
    let taps = t.taps();
    // Rows that may be read in whole blocks of taps.
    let inside =
        x.len().checked_sub(taps).map_or(0, |room| room.checked_div(step).map_or(m, |steps| steps + 1));
    let inside = inside.min(m);
    let (direct, rest) = out.split_at_mut(inside * t.n);
    multiply(t, x, step, direct);
    for (i, out) in rest.chunks_exact_mut(t.n).enumerate() {
        let Some(patch) = scratch.get_mut(..taps) else { return };
        patch[..k].copy_from_slice(&x[(inside + i) * step..][..k]);
        multiply(t, patch, 0, out);
    }
}

/// How a convolution's rows come about.
#[derive(Clone, Copy)]
enum Way {
    /// They stand in the image.
    InPlace,
    /// They overlap in a band of columns.
    Columns,
    /// They are copied from a band of rows.
    Rows,
}

/// Convolution of one image: the output pixels from `first` on, as many as `out` holds.
pub(super) fn conv(
    t: &Tile<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    let w = &g.window;
    let in_place = w.kernel_h == 1 && w.kernel_w == 1 && w.pad.is_none();
    let (way, most) = match TapOrder::of(g.taps()) {
        _ if in_place => (Way::InPlace, g.width),
        TapOrder::Columns => (Way::Columns, columns_for(g, scratch.len())),
        TapOrder::Rows => (Way::Rows, patches_for(t, g, scratch.len())),
    };
    if most == 0 {
        return one_by_one(t, g, image, first, out, scratch);
    }
    // Blocks of equal width.
    let most = g.width.div_ceil(g.width.div_ceil(most));
    let (mut at, mut out) = (first, out);
    while !out.is_empty() {
        let (oy, ox) = g.pixel(at);
        let count = (most - ox % most).min(g.width - ox).min(out.len() / t.n);
        let (block, rest) = out.split_at_mut(count * t.n);
        match way {
            Way::InPlace => {
                let (c, width) = (g.input.c as usize, g.input.w as usize);
                let (stride_h, stride_w) = (usize::from(w.stride_h), usize::from(w.stride_w));
                let x = &image[(oy * stride_h * width + ox * stride_w) * c..];
                rows(t, c, x, stride_w * c, block, scratch);
            }
            Way::Columns => {
                let step = usize::from(w.stride_w) * usize::from(w.kernel_h) * g.input.c as usize;
                columns(g, image, (oy, ox), count, scratch);
                multiply(t, scratch, step, block);
            }
            Way::Rows => {
                let (patches, band) = scratch.split_at_mut(count * t.taps());
                copy_windows(t, g, image, (oy, ox), count, band, patches);
                multiply(t, patches, t.taps(), block);
            }
        }
        out = rest;
        at += count;
    }
}

/// Outputs whose columns fit this much scratch.
fn columns_for(g: &Geometry, scratch: usize) -> usize {
    let w = &g.window;
    let column = usize::from(w.kernel_h) * g.input.c as usize;
    let total = g.taps().total();
    // The last patch is read in whole blocks of taps.
    let room = scratch.saturating_sub(padded(total) - total) / column;
    room.checked_sub(usize::from(w.kernel_w)).map_or(0, |room| room / usize::from(w.stride_w) + 1)
}

/// The part of the columns and kernel rows of some windows that lies in the image.
struct Inside {
    /// Columns of the windows, and those of them that lie before the image and in it.
    columns: usize,
    before: usize,
    inside: usize,
    /// First of the columns inside.
    x: usize,
    /// Kernel rows above the image and in it, and the image row of the first inside.
    above: usize,
    rows: usize,
    y: usize,
}

impl Inside {
    /// Of `count` windows from output pixel `(oy, ox)` on.
    fn of(g: &Geometry, (oy, ox): (usize, usize), count: usize) -> Self {
        let w = &g.window;
        let columns = (count - 1) * usize::from(w.stride_w) + usize::from(w.kernel_w);
        let (start, left) = (ox * usize::from(w.stride_w), usize::from(w.pad.left));
        let before = left.saturating_sub(start).min(columns);
        let x = (start + before).saturating_sub(left);
        let inside = (g.input.w as usize).saturating_sub(x).min(columns - before);
        let rows = axis(oy, g.input.h as usize, w.kernel_h, w.stride_h, w.dilation_h, w.pad.top);
        let (above, y) = (rows.taps.start, rows.first);
        Self { columns, before, inside, x, above, rows: rows.taps.len(), y }
    }

    /// Whether some taps lie outside.
    fn padded(&self, g: &Geometry) -> bool {
        self.rows < g.window.kernel_h.into() || self.inside < self.columns
    }
}

/// Copies the columns that `count` windows from output pixel `at` on read, `[column][kernel row][channel]`.
fn columns(g: &Geometry, image: &[i8], at: (usize, usize), count: usize, scratch: &mut [i8]) {
    let (c, kernel_h) = (g.input.c as usize, usize::from(g.window.kernel_h));
    let part = Inside::of(g, at, count);
    let pitch = kernel_h * c;
    if part.padded(g) {
        fill(g.fill, &mut scratch[..part.columns * pitch]);
    }
    if part.inside == 0 {
        return;
    }
    for ky in 0..part.rows {
        let y = part.y + ky * usize::from(g.window.dilation_h);
        let source = &image[(y * g.input.w as usize + part.x) * c..];
        let to = &mut scratch[part.before * pitch + (part.above + ky) * c..];
        copy_pieces(source, c, c, part.inside, to, pitch);
    }
}

/// Outputs whose patches, and the rows that they are copied from, fit this much scratch; none where columns are dilated.
fn patches_for(t: &Tile<'_>, g: &Geometry, scratch: usize) -> usize {
    let w = &g.window;
    let column = usize::from(w.kernel_h) * g.input.c as usize;
    let step = usize::from(w.stride_w) * column;
    if w.dilation_w > 1 || g.input.c as usize * usize::from(w.kernel_w) != g.taps().len {
        return 0;
    }
    (scratch + step).saturating_sub(usize::from(w.kernel_w) * column) / (t.taps() + step)
}

/// Windows that are copied: `count` times `runs` runs of `len` bytes, at most 16.
#[repr(C)]
pub(super) struct Windows {
    /// From one window to the next.
    pub(super) step: usize,
    /// From one run to the next.
    pub(super) pitch: usize,
    pub(super) runs: usize,
    /// From one copied window to the next.
    pub(super) to_step: usize,
    pub(super) count: usize,
    pub(super) len: usize,
    /// From one copied run to the next.
    pub(super) to_pitch: usize,
}

/// Copies the windows of `count` outputs from output pixel `at` on, by way of the rows that they lie in, padded.
fn copy_windows(
    t: &Tile<'_>,
    g: &Geometry,
    image: &[i8],
    at: (usize, usize),
    count: usize,
    band: &mut [i8],
    patches: &mut [i8],
) {
    let w = &g.window;
    let (c, taps) = (g.input.c as usize, g.taps());
    let part = Inside::of(g, at, count);
    let pitch = part.columns * c;
    let band = &mut band[..taps.runs * pitch];
    if part.padded(g) {
        fill(g.fill, band);
    }
    if part.inside > 0 && part.rows > 0 {
        let row = g.input.w as usize * c;
        let from = &image[part.y * row + part.x * c..];
        let to = &mut band[part.above * pitch + part.before * c..];
        copy_pieces(from, row * usize::from(w.dilation_h), part.inside * c, part.rows, to, pitch);
    }
    let step = usize::from(w.stride_w) * c;
    for start in (0..taps.len).step_by(LANES) {
        let windows = Windows {
            step,
            pitch,
            runs: taps.runs,
            to_step: t.taps(),
            count,
            len: LANES.min(taps.len - start),
            to_pitch: taps.len,
        };
        copy_runs(&windows, &band[start..], &mut patches[start..]);
    }
}

/// Copies one window after another.
fn one_by_one(t: &Tile<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8], scratch: &mut [i8]) {
    let Some(patch) = scratch.get_mut(..t.taps()) else { return };
    for (i, out) in out.chunks_exact_mut(t.n).enumerate() {
        g.patch(image, first + i, &mut patch[..g.taps().total()]);
        multiply(t, patch, 0, out);
    }
}
