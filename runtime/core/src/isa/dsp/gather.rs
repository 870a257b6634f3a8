//! What the tiles read, on the device: the values of three pixels as tap pairs.
#![allow(unsafe_code, reason = "calls of the inner loops, whose bounds are checked before")]

use super::TILE;
use super::asm::{self, Gather};
use super::full::run_words;
use crate::isa::{Geometry, Taps};

/// The tap pairs of three rows of `k` values from row `first` on.
pub(super) fn gather_rows(rows: &[i8], k: usize, first: usize, scratch: &mut [u32]) {
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
pub(super) struct Source<'a> {
    g: &'a Geometry,
    image: &'a [i8],
    /// Values of a run, and pieces of a row of the window that are runs.
    len: usize,
    pieces: usize,
    /// The next pixel.
    next: (usize, usize),
}

impl<'a> Source<'a> {
    /// For runs as `taps` has them, from output pixel `first` on.
    pub(super) fn new(g: &'a Geometry, image: &'a [i8], taps: Taps, first: usize) -> Self {
        let pieces = taps.runs / usize::from(g.window.kernel_h);
        Self { g, image, len: taps.len, pieces, next: g.pixel(first) }
    }

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
    pub(super) fn pixel(&self, pixel: (usize, usize), slot: usize, scratch: &mut [u32]) {
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
    pub(super) fn blocks(&mut self, first: usize, scratch: &mut [u32]) {
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
