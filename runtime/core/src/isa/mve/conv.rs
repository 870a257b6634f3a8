//! Convolutions: how the rows of [`Tile::rows`] come about.

use super::copy::{copy_pieces, fill_pieces};
use super::pack::{TapOrder, padded};
use super::tile::Tile;
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
    let inside = x.len().checked_sub(taps).map_or(0, |room| if step == 0 { m } else { room / step + 1 });
    let inside = inside.min(m);
    let (direct, rest) = out.split_at_mut(inside * t.n);
    t.rows(x, step, direct);
    for (i, out) in rest.chunks_exact_mut(t.n).enumerate() {
        let Some(patch) = scratch.get_mut(..taps) else { return };
        patch[..k].copy_from_slice(&x[(inside + i) * step..][..k]);
        t.rows(patch, 0, out);
    }
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
    let most = match (in_place, TapOrder::of(g.taps())) {
        (true, _) => g.width,
        (_, TapOrder::Columns) => columns_for(g, scratch.len()),
        (_, TapOrder::Rows) => return patches(t, g, image, first, out, scratch),
    };
    if most == 0 {
        return;
    }
    // Blocks of equal width.
    let most = g.width.div_ceil(g.width.div_ceil(most));
    let (mut at, mut out) = (first, out);
    while !out.is_empty() {
        let (oy, ox) = g.pixel(at);
        let count = (most - ox % most).min(g.width - ox).min(out.len() / t.n);
        let (block, rest) = out.split_at_mut(count * t.n);
        if in_place {
            let (c, width) = (g.input.c as usize, g.input.w as usize);
            let (stride_h, stride_w) = (usize::from(w.stride_h), usize::from(w.stride_w));
            let x = &image[(oy * stride_h * width + ox * stride_w) * c..];
            rows(t, c, x, stride_w * c, block, scratch);
        } else {
            let step = usize::from(w.stride_w) * usize::from(w.kernel_h) * g.input.c as usize;
            band(g, image, (oy, ox), count, scratch);
            t.rows(scratch, step, block);
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

/// Copies the columns that `count` windows from output pixel `(oy, ox)` on read, `[column][kernel row][channel]`.
fn band(g: &Geometry, image: &[i8], (oy, ox): (usize, usize), count: usize, scratch: &mut [i8]) {
    let w = &g.window;
    let (c, width, kernel_h) = (g.input.c as usize, g.input.w as usize, usize::from(w.kernel_h));
    let columns = (count - 1) * usize::from(w.stride_w) + usize::from(w.kernel_w);
    let (start, left) = (ox * usize::from(w.stride_w), usize::from(w.pad.left));
    // Columns before the image, in it, and behind it.
    let before = left.saturating_sub(start).min(columns);
    let first = (start + before).saturating_sub(left);
    let inside = width.saturating_sub(first).min(columns - before);
    let pitch = kernel_h * c;
    for ky in 0..kernel_h {
        let row = &mut scratch[ky * c..];
        let y = (oy * usize::from(w.stride_h) + ky * usize::from(w.dilation_h)).checked_sub(w.pad.top.into());
        match y.filter(|&y| y < g.input.h as usize) {
            Some(y) if inside > 0 => {
                fill_pieces(g.fill, c, before, row, pitch);
                let source = &image[(y * width + first) * c..];
                copy_pieces(source, c, c, inside, &mut row[before * pitch..], pitch);
                let behind = columns - before - inside;
                if behind > 0 {
                    fill_pieces(g.fill, c, behind, &mut row[(before + inside) * pitch..], pitch);
                }
            }
            _ => fill_pieces(g.fill, c, columns, row, pitch),
        }
    }
}

/// Copies as many patches as there is room for, then multiplies them.
fn patches(t: &Tile<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8], scratch: &mut [i8]) {
    let (k, taps) = (g.taps().total(), t.taps());
    let count = scratch.len() / taps;
    if count == 0 {
        return;
    }
    for (block, out) in out.chunks_mut(count * t.n).enumerate() {
        for (i, patch) in scratch.chunks_exact_mut(taps).take(out.len() / t.n).enumerate() {
            g.patch(image, first + block * count + i, &mut patch[..k]);
        }
        t.rows(scratch, taps, out);
    }
}
