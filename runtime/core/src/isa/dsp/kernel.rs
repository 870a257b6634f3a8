//! Layers with packed weights on the device: what the tiles read is gathered here.
#![allow(unsafe_code, reason = "calls of the inner loops, whose bounds are checked before")]

use super::asm::{
    self, DEPTHWISE_ROUND, DEPTHWISE_STEP, Gather, ROW_ROUND, ROW_STEP, Row, TILE_ROUND, TILE_STEP, Tile,
};
use super::elementwise::limit;
pub(super) use super::elementwise::{accumulate, add, dot, dots, max, portable};
use super::full::{EXACT, FAST, Full, HEADER, PAIR, channel, run_words};
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

/// The tap pairs of three rows of `k` values from row `first` on.
fn gather_rows(rows: &[i8], k: usize, first: usize, scratch: &mut [u32]) {
    let Some(x) = rows.get(first * k..) else { return };
    if !gather(x, k, k, 1, 0, scratch) {
        for slot in 0..TILE {
            place(&x[slot * k..][..k], 0, k, 0, slot, scratch);
        }
    }
}

/// The tap pairs of `runs` runs of `len` values, which begin `step` apart, at each of three pixels, `pixel` apart. False
/// where that would read beyond `x`: then nothing is done.
fn gather(x: &[i8], pixel: usize, len: usize, runs: usize, step: usize, scratch: &mut [u32]) -> bool {
    // Weights of the taps that fill the last four up are zero.
    let single = len % 4 == 1;
    let fours = if single { len / 4 } else { len.div_ceil(4) };
    let read = 4 * fours + usize::from(single);
    if runs == 0
        || x.len() < 2 * pixel + (runs - 1) * step + read
        || scratch.len() < TILE * run_words(len) * runs
    {
        return false;
    }
    let arguments = Gather {
        x: x.as_ptr(),
        pixel,
        out: scratch.as_mut_ptr(),
        fours,
        single: single.into(),
        runs,
        next: step.wrapping_sub(read),
    };
    // SAFETY: the last value that is read and the words were compared with the lengths.
    unsafe { asm::gather(&arguments) };
    true
}

/// A run of one pixel: taps `left..right` are `values`, the others `fill`.
fn place(values: &[i8], left: usize, len: usize, fill: i8, slot: usize, scratch: &mut [u32]) {
    let right = left + values.len();
    if len.is_multiple_of(4) && left.is_multiple_of(4) && right.is_multiple_of(4) {
        let pair = fill_pair(fill);
        let (before, rest) = scratch.split_at_mut(TILE * left / 2);
        let (inside, after) = rest.split_at_mut(TILE * values.len() / 2);
        for words in before.chunks_exact_mut(TILE).chain(after.chunks_exact_mut(TILE)) {
            words[slot] = pair;
        }
        for (words, four) in inside.chunks_exact_mut(2 * TILE).zip(values.chunks_exact(4)) {
            let bytes = u32::from_le_bytes([four[0], four[1], four[2], four[3]].map(|x| x as u8));
            words[slot] = sxtb16(bytes);
            words[TILE + slot] = sxtb16(bytes.rotate_right(8));
        }
        return;
    }
    let fill_bytes = u32::from_le_bytes([fill as u8; 4]);
    if len == 4 {
        // Bytes of the fill, then of the values.
        let mut bytes = [fill; 4];
        bytes[left..right].copy_from_slice(values);
        let bytes = u32::from_le_bytes(bytes.map(|x| x as u8));
        scratch[slot] = sxtb16(bytes);
        scratch[TILE + slot] = sxtb16(bytes.rotate_right(8));
        return;
    }
    let mut words = scratch.iter_mut().skip(slot).step_by(TILE);
    for first in (0..len).step_by(4) {
        let bytes = if first >= right || first + 4 <= left {
            fill_bytes
        } else if let (true, Some(&[a, b, c, d])) =
            (first >= left, values.get(first.wrapping_sub(left)..).and_then(|v| v.first_chunk()))
        {
            u32::from_le_bytes([a, b, c, d].map(|x| x as u8))
        } else {
            let tap = |j: usize| values.get(j.wrapping_sub(left)).copied().unwrap_or(fill) as u8;
            u32::from_le_bytes([first, first + 1, first + 2, first + 3].map(tap))
        };
        let Some(word) = words.next() else { return };
        *word = sxtb16(bytes);
        if len - first > 1 {
            let Some(word) = words.next() else { return };
            *word = sxtb16(bytes.rotate_right(8));
        }
    }
}

/// The image of a convolution, seen by its windows.
struct Source<'a> {
    g: &'a Geometry,
    image: &'a [i8],
    /// Values of a run, and pieces of a row of the window that are runs.
    len: usize,
    pieces: usize,
    /// The next pixel.
    next: (usize, usize),
}

impl Source<'_> {
    /// Row and column of the window's first tap at output pixel `(oy, ox)`.
    fn origin(&self, (oy, ox): (usize, usize)) -> (isize, isize) {
        let w = &self.g.window;
        let at =
            |out: usize, stride: u16, before: u16| (out * usize::from(stride)) as isize - before as isize;
        (at(oy, w.stride_h, w.pad.top), at(ox, w.stride_w, w.pad.left))
    }

    /// Three pixels from this one on.
    fn block(&self, pixel: (usize, usize), scratch: &mut [u32]) {
        let (w, input) = (&self.g.window, &self.g.input);
        let (width, height, c) = (input.w as usize, input.h as usize, input.c as usize);
        let (oy, ox) = pixel;
        let (y, x) = self.origin(pixel);
        let stride = usize::from(w.stride_w);
        let inside = self.pieces == 1
            && ox + TILE <= self.g.width
            && x >= 0
            && x as usize + usize::from(w.kernel_w) + (TILE - 1) * stride <= width;
        let (rows, dilation) = (usize::from(w.kernel_h), usize::from(w.dilation_h));
        if inside {
            let step = dilation * width * c;
            let run = TILE * run_words(self.len);
            let mut ky = 0;
            while ky < rows {
                let y = y + (ky * dilation) as isize;
                // All rows from here that are inside.
                let count = if y < 0 || y as usize >= height {
                    0
                } else if dilation == 1 {
                    (height - y as usize).min(rows - ky)
                } else {
                    1
                };
                let Some(scratch) = scratch.get_mut(ky * run..) else { return };
                if count == 0 {
                    let Some(scratch) = scratch.get_mut(..run) else { return };
                    scratch.fill(fill_pair(self.g.fill));
                    ky += 1;
                    continue;
                }
                let at = (y as usize * width + x as usize) * c;
                let Some(image) = self.image.get(at..) else { return };
                if !gather(image, stride * c, self.len, count, step, scratch) {
                    break;
                }
                ky += count;
            }
            if ky >= rows {
                return;
            }
        }
        let (mut oy, mut ox) = (oy, ox);
        for slot in 0..TILE {
            self.pixel((oy, ox), slot, scratch);
            ox += 1;
            if ox == self.g.width {
                (oy, ox) = (oy + 1, 0);
            }
        }
    }

    /// One pixel, in one of the three places.
    fn pixel(&self, pixel: (usize, usize), slot: usize, scratch: &mut [u32]) {
        let (w, input) = (&self.g.window, &self.g.input);
        let (width, height, c) = (input.w as usize, input.h as usize, input.c as usize);
        let (y, x) = self.origin(pixel);
        let columns = self.len / c;
        let (run, rows, dilation) = (TILE * run_words(self.len), w.kernel_h.into(), w.dilation_h.into());
        for piece in 0..self.pieces {
            let x = x + (piece * usize::from(w.dilation_w)) as isize;
            let left = (-x).clamp(0, columns as isize);
            let right = (width as isize - x).clamp(left, columns as isize);
            let count = (right - left) as usize * c;
            // Where the run is beside the image, the column is not one of it: nothing is read.
            let column = (x + left).max(0) as usize * c;
            let left = (left as usize * c).min(self.len - count);
            let runs = scratch.chunks_exact_mut(run).skip(piece).step_by(self.pieces);
            let mut y = y as usize;
            for scratch in runs.take(rows) {
                let at = y.wrapping_mul(width * c).wrapping_add(column);
                let values = if y < height { self.image.get(at..at + count).unwrap_or(&[]) } else { &[] };
                place(values, left, self.len, self.g.fill, slot, scratch);
                y = y.wrapping_add(dilation);
            }
        }
    }

    /// Three pixels from `first` on, which is most often the one behind the three before.
    fn blocks(&mut self, first: usize, scratch: &mut [u32]) {
        let (mut oy, mut ox) = self.next;
        if oy * self.g.width + ox != first {
            (oy, ox) = self.g.pixel(first);
        }
        self.block((oy, ox), scratch);
        ox += TILE;
        while ox >= self.g.width {
            (oy, ox) = (oy + 1, ox - self.g.width);
        }
        self.next = (oy, ox);
    }
}

/// A value in both halves of a word.
fn fill_pair(fill: i8) -> u32 {
    let half = u32::from(i16::from(fill) as u16);
    half << 16 | half
}

/// The first and the third byte with their signs.
fn sxtb16(bytes: u32) -> u32 {
    let pair;
    // SAFETY: an instruction on registers.
    unsafe {
        core::arch::asm!("sxtb16 {}, {}", out(reg) pair, in(reg) bytes, options(pure, nomem, nostack, preserves_flags));
    }
    pair
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
    let pieces = layer.taps.runs / usize::from(g.window.kernel_h);
    let mut source = Source { g, image, len: layer.taps.len, pieces, next: g.pixel(first) };
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
