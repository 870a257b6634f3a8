//! Image rows with their padding written out.

use crate::isa::Geometry;
use crate::shape::Window;

/// Lengths of a strip, in taps.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    /// A row: from the first column that the first pixel reads to the last that the last one reads.
    pub(super) row: usize,
    /// A row of the image.
    pub(super) image_row: usize,
    /// Taps behind the last row, for loads of whole vectors.
    pub(super) slack: usize,
}

impl Strip {
    /// `None` where a row is longer than memory.
    pub(super) fn new(g: &Geometry, slack: usize) -> Option<Self> {
        let (w, c) = (&g.window, g.input.c as usize);
        let columns = g.width.checked_sub(1)? * usize::from(w.stride_w) + reach(w.kernel_w, w.dilation_w);
        Some(Self { row: columns.checked_mul(c)?, image_row: g.input.w as usize * c, slack })
    }

    /// Taps for `rows` output rows.
    pub(super) fn len(&self, w: &Window, rows: usize) -> usize {
        ((rows - 1) * usize::from(w.stride_h) + reach(w.kernel_h, w.dilation_h)) * self.row + self.slack
    }

    /// Most output rows that fit `capacity` taps, 0 where not even one does.
    pub(super) fn rows(&self, w: &Window, capacity: usize) -> usize {
        if self.row > capacity || self.len(w, 1) > capacity {
            return 0;
        }
        1 + (capacity - self.len(w, 1)) / (usize::from(w.stride_h) * self.row)
    }

    /// Copies the image rows that output rows from `first` on read, by way of `taps`; `fill` is what padding reads.
    pub(super) fn fill<T: Copy>(
        &self,
        g: &Geometry,
        image: &[i8],
        first: usize,
        fill: T,
        taps: impl Fn(&[i8], &mut [T]),
        strip: &mut [T],
    ) {
        let (c, w) = (g.input.c as usize, &g.window);
        let left = (usize::from(w.pad.left) * c).min(self.row);
        let inside = self.image_row.min(self.row - left);
        for (y, strip) in strip.chunks_exact_mut(self.row).enumerate() {
            let y = (first * usize::from(w.stride_h) + y).checked_sub(usize::from(w.pad.top));
            let line = y.and_then(|y| image.get(y * self.image_row..)?.get(..self.image_row));
            let Some(line) = line else {
                strip.fill(fill);
                continue;
            };
            strip[..left].fill(fill);
            taps(&line[..inside], &mut strip[left..left + inside]);
            strip[left + inside..].fill(fill);
        }
    }
}

/// Positions from the first to the last tap of an axis, both included.
fn reach(kernel: u16, dilation: u16) -> usize {
    (usize::from(kernel) - 1) * usize::from(dilation) + 1
}
