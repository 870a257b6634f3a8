//! Depthwise convolution, row by row or two rows at a time.

use super::copy::fill;
use super::gather::{self, Strip, strip};
use super::part::{MAX_PITCH, Part};
use crate::isa::Geometry;
use crate::isa::mve::depthwise::{MARGIN, column, columns, plain, reach};
use crate::isa::mve::tile::Tile;

/// The output rows from `first` on, as many as `out` holds.
pub(in crate::isa::mve) fn depthwise(
    t: &Tile<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    let row_len = g.width * t.n;
    let room = scratch.len().saturating_sub(MARGIN) / column(g);
    if !Part::quick(t) || row_len > MAX_PITCH || room < reach(g) || row_len == 0 {
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
    fill(g.fill, head);
    gather::weave(&rows, g.fill, inside * c, rest);
    fill(g.fill, &mut rest[inside * column(g)..][..behind * column(g)]);
}
