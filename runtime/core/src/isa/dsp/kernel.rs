//! Layers with packed weights on the device.
#![allow(unsafe_code, reason = "calls of the inner loops, whose bounds are checked before")]

use super::asm::{
    self, DEPTHWISE_ROUND, DEPTHWISE_STEP, ROW_ROUND, ROW_STEP, Row, TILE_ROUND, TILE_STEP, Tile,
};
use super::elementwise::limit;
pub(super) use super::elementwise::{accumulate, add, dot, dots, max, portable, project};
use super::full::{EXACT, FAST, Full, HEADER, PAIR, channel};
use super::gather::{Source, gather_rows};
use super::{Reduction, TILE, depthwise};
use crate::isa::Geometry;
use core::ptr;

/// Taps for which the sum of channel b stays below 2^23.
const SEGMENT: usize = 512;

/// Words at the start of `bytes`, `None` where there is no room for them.
fn words(bytes: &mut [i8], count: usize) -> Option<&mut [u32]> {
    let at = bytes.as_ptr().align_offset(4);
    let bytes = bytes.get_mut(at..)?.get_mut(..4 * count)?;
    bytemuck::try_cast_slice_mut(bytes).ok()
}

/// All pixels from `first` to `count`, three at a time: `gather` puts the values of three pixels into the scratch.
///
/// The last three overlap those before where the count is no multiple of three; `count >= first + 3`.
fn tiles(
    layer: &Full<'_>,
    n: usize,
    pixels: core::ops::Range<usize>,
    out: &mut [i8],
    scratch: &mut [u32],
    mut gather: impl FnMut(usize, &mut [u32]),
) {
    let mut at = pixels.start;
    while at < pixels.end {
        let start = at.min(pixels.end - TILE);
        gather(start, scratch);
        let Some(out) = out.get_mut(start * n..(start + TILE) * n) else { return };
        tile(layer, n, n, out, scratch);
        at += TILE;
    }
}

/// One tile; with step 0 all three pixels have the outputs of the third.
fn tile(layer: &Full<'_>, n: usize, step: usize, out: &mut [i8], scratch: &[u32]) {
    let rounds = layer.words.div_ceil(TILE_ROUND);
    let fits = n > 0
        && layer.words > 0
        && out.len() >= 2 * step + n
        && scratch.len() >= TILE * layer.words
        && layer.weights.len() >= n.div_ceil(2) * layer.words
        && layer.constants.len() >= HEADER + n.div_ceil(2) * PAIR;
    if !fits {
        return;
    }
    let mut arguments = Tile {
        zeros: [0; 6],
        entry: (TILE_ROUND * rounds - layer.words) / 2 * TILE_STEP,
        x: scratch.as_ptr(),
        weights: layer.weights.as_ptr(),
        rounds,
        constants: layer.constants[HEADER..].as_ptr(),
        before: out.as_mut_ptr().wrapping_sub(1),
        n,
        step,
    };
    // SAFETY: the lengths were just compared with what the kernel reads and writes; `words` is even.
    unsafe { asm::tile(&mut arguments) };
}

/// All channels of one row of `k` values.
fn row(p: &Reduction<'_>, layer: &Full<'_>, x: &[i8], out: &mut [i8]) {
    let (k, n) = (x.len(), out.len());
    let fits = n > 0
        && layer.words == k.div_ceil(4) * 2
        && layer.weights.len() >= n.div_ceil(2) * layer.words
        && layer.constants.len() >= HEADER + n.div_ceil(2) * PAIR;
    if !fits {
        return;
    }
    let arguments = |x: &[i8], from: usize| {
        let fours = x.len() / 4;
        let (whole, rest) = x.split_at(4 * fours);
        let mut tail = [0u8; 4];
        tail.iter_mut().zip(rest).for_each(|(tail, &x)| *tail = x as u8);
        Row {
            zeros: [0; 6],
            stride: 4 * layer.words,
            n,
            entry: if fours == 0 { ROW_ROUND } else { fours.wrapping_neg() % ROW_ROUND } * ROW_STEP,
            x: whole.as_ptr(),
            weights: layer.weights[from / 2..].as_ptr(),
            end: whole.as_ptr_range().end,
            tail: u32::from_le_bytes(tail),
            has_tail: usize::from(!rest.is_empty()),
            raw: ptr::null_mut(),
            constants: layer.constants[HEADER..].as_ptr(),
            out: ptr::null_mut(),
        }
    };
    if layer.grade() == FAST {
        let mut arguments = Row { out: out.as_mut_ptr(), ..arguments(x, 0) };
        // SAFETY: the lengths were compared; `words` covers all fours and the tail.
        unsafe { asm::row(&mut arguments) };
        return;
    }
    for (three, out) in out.chunks_mut(6).enumerate() {
        let mut sums = [0i32; 6];
        for (segment, x) in x.chunks(SEGMENT).enumerate() {
            let mut raw = [0i32; 6];
            let skipped = three * 6 * layer.words + segment * SEGMENT;
            let n = out.len();
            let mut arguments = Row { n, raw: &mut raw, ..arguments(x, skipped) };
            // SAFETY: as above, for the pairs from this one on and the taps from this segment on.
            unsafe { asm::row(&mut arguments) };
            for (sums, raw) in sums.chunks_exact_mut(2).zip(raw.chunks_exact(2)) {
                sums[0] = sums[0].wrapping_add(raw[0]);
                sums[1] = sums[1].wrapping_add(raw[1].wrapping_sub(raw[0]) >> 8);
            }
        }
        for (i, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            let (bias, factor) = channel(layer.constants, three * 6 + i);
            *out = p.scale(factor, bias.wrapping_add(sum));
        }
    }
}

/// Rows that are done: all or none.
pub(super) fn matmul(
    p: &Reduction<'_>,
    layer: &Full<'_>,
    rows: &[i8],
    out: &mut [i8],
    scratch: &mut [i8],
) -> usize {
    let (k, n) = (layer.taps.len, p.n);
    if !matches!(layer.grade(), FAST | EXACT) || k == 0 || n == 0 {
        return 0;
    }
    if rows.len() == k {
        row(p, layer, rows, &mut out[..n]);
        limit(p.clamp, out);
        return 1;
    }
    let count = (rows.len() / k).min(out.len() / n);
    let gather = |first: usize, scratch: &mut [u32]| gather_rows(rows, k, first, scratch);
    let mut done = 0;
    if layer.grade() == FAST && count >= TILE {
        let needed = TILE * layer.words;
        if let Some(scratch) = words(scratch, needed) {
            tiles(layer, n, 0..count, out, scratch, gather);
            done = count;
        } else if let Some(front) = out.len().checked_sub(4 * needed + 3).map(|bytes| bytes / n)
            && front >= TILE
        {
            // The end of the output serves as scratch until its turn comes.
            let (out, rest) = out.split_at_mut(front * n);
            if let Some(scratch) = words(rest, needed) {
                tiles(layer, n, 0..front, out, scratch, gather);
                done = front;
            }
        }
    }
    for (x, out) in rows.chunks_exact(k).zip(out.chunks_exact_mut(n)).skip(done) {
        row(p, layer, x, out);
    }
    limit(p.clamp, out);
    count
}

/// Pixels that are done: all or none.
pub(super) fn conv(
    p: &Reduction<'_>,
    layer: &Full<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) -> usize {
    let n = p.n;
    if layer.grade() != FAST || n == 0 || layer.taps.len == 0 {
        return 0;
    }
    let (count, needed) = (out.len() / n, TILE * layer.words);
    let mut source = Source::new(g, image, layer.taps, first);
    if let Some(scratch) = words(scratch, needed) {
        if count >= TILE {
            tiles(layer, n, 0..count, out, scratch, |at, scratch| source.blocks(first + at, scratch));
        } else {
            for (i, out) in out.chunks_exact_mut(n).enumerate() {
                source.pixel(g.pixel(first + i), TILE - 1, scratch);
                tile(layer, n, 0, out, scratch);
            }
        }
    } else {
        let Some(patch) = scratch.get_mut(..layer.taps.total()) else { return 0 };
        if !layer.taps.len.is_multiple_of(4) {
            return 0;
        }
        // The end of the output serves as scratch until its turn comes; then one pixel after another is a row.
        let front = out.len().saturating_sub(4 * needed + 3) / n;
        let front = if front < TILE { 0 } else { front };
        let (tiled, rest) = out.split_at_mut(front * n);
        if let (true, Some(scratch)) = (front > 0, words(rest, needed)) {
            tiles(layer, n, 0..front, tiled, scratch, |at, scratch| source.blocks(first + at, scratch));
        }
        for (i, out) in rest.chunks_exact_mut(n).enumerate() {
            g.patch(image, first + front + i, patch);
            row(p, layer, patch, out);
        }
    }
    limit(p.clamp, out);
    count
}

/// Most taps of a window whose pixels at the border the kernel computes.
const TAPS: usize = 51;

/// Channels that are done: all whole fours, or none.
pub(super) fn depthwise(
    p: &Reduction<'_>,
    constants: &[i32],
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
) -> usize {
    let (w, c) = (&g.window, p.n);
    let (fours, len, taps) = (c / 4, depthwise::four(w), depthwise::taps(w));
    let pixels = g.input.h as usize * g.input.w as usize;
    let fits = constants.len() == depthwise::packed(w, c).constants && image.len() >= pixels * c;
    if constants[0] != FAST || fours == 0 || taps > TAPS || !fits {
        return 0;
    }
    let end = HEADER + fours * len;
    let parts = constants[HEADER..end].as_ptr_range();
    let fill: &[i8] = bytemuck::cast_slice(&constants[constants.len() - c.div_ceil(4)..]);
    // Columns of the output whose windows are inside of the image, and taps that reach so far.
    let (left, stride) = (usize::from(w.pad.left), usize::from(w.stride_w));
    let reach = (usize::from(w.kernel_w) - 1) * usize::from(w.dilation_w);
    let inside_from = left.div_ceil(stride).min(g.width);
    let inside_to = (g.input.w as usize + left).checked_sub(reach + 1).map_or(0, |last| last / stride + 1);
    let inside_to = inside_to.clamp(inside_from, g.width);
    let tall = (usize::from(w.kernel_h) - 1) * usize::from(w.dilation_h);
    let square = w.kernel_h == 3 && w.kernel_w == 3;
    let (row, column) = (g.input.w as usize * c, usize::from(w.dilation_w) * c);
    let mut table = [fill.as_ptr(); TAPS];
    for (i, out) in out.chunks_exact_mut(g.width * c).enumerate() {
        let oy = first + i;
        let y = (oy * usize::from(w.stride_h)).checked_sub(w.pad.top.into());
        let y = y.filter(|y| y + tall < g.input.h as usize && square && inside_from < inside_to);
        let inside = if y.is_some() { inside_from..inside_to } else { 0..0 };
        if let Some(y) = y {
            let x = &image[y * row + (inside.start * stride - left) * c..];
            let mut arguments = asm::Depthwise3 {
                x: x.as_ptr(),
                row: usize::from(w.dilation_h) * row,
                column,
                constants: parts.start,
                end: parts.end,
                advance: (stride * c).wrapping_sub(4 * fours),
                skip: c - 4 * fours,
                out: out[inside.start * c..].as_mut_ptr(),
                count: inside.len(),
            };
            // SAFETY: rows `y` to `y + tall` and the columns of all these windows are inside of the image, whose
            // length was compared; `out` is a whole row.
            unsafe { asm::depthwise3(&mut arguments) };
        }
        for ox in (0..g.width).filter(|ox| !inside.contains(ox)) {
            table[..taps].fill(fill.as_ptr());
            let y = (oy * usize::from(w.stride_h)).wrapping_sub(w.pad.top.into());
            let x = (ox * stride).wrapping_sub(left);
            let mut t = 0;
            for ky in 0..usize::from(w.kernel_h) {
                let y = y.wrapping_add(ky * usize::from(w.dilation_h));
                let Some(image) = image.get(y.wrapping_mul(row)..).filter(|_| y < g.input.h as usize) else {
                    t += usize::from(w.kernel_w);
                    continue;
                };
                for kx in 0..usize::from(w.kernel_w) {
                    let x = x.wrapping_add(kx * usize::from(w.dilation_w));
                    if x < g.input.w as usize
                        && let Some(pointer) = table.get_mut(depthwise::place(w, t))
                    {
                        *pointer = image[x * c..].as_ptr();
                    }
                    t += 1;
                }
            }
            let rounds = taps.div_ceil(DEPTHWISE_ROUND);
            let mut arguments = asm::Depthwise {
                taps: table.as_ptr(),
                constants: parts.start,
                out: out[ox * c..][..c].as_mut_ptr(),
                end: parts.end,
                rounds,
                entry: (DEPTHWISE_ROUND * rounds - taps) * DEPTHWISE_STEP,
            };
            // SAFETY: every tap and the fill have `c` values, `out` too; `taps` pointers fit the table.
            unsafe { asm::depthwise(&mut arguments) };
        }
    }
    for out in out.chunks_exact_mut(c) {
        limit(p.clamp, &mut out[..4 * fours]);
    }
    4 * fours
}
