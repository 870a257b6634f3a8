//! Walking a window over an image.

use crate::shape::{Shape, Window};
use core::ops::Range;

/// A window over the pixels of one image.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) window: Window,
    /// Size of the input; its `n` does not matter.
    pub(crate) input: Shape,
    /// Columns of the output.
    pub(crate) width: usize,
    /// What a tap outside of the input reads: the zero point.
    pub(crate) fill: i8,
}

impl Geometry {
    /// `window` over an input of this size and zero point, for an output of `width` columns.
    pub(crate) fn new(window: Window, input: Shape, zero_point: i16, width: u32) -> Self {
        // The zero point of an int8 tensor.
        Self { window, input, width: width as usize, fill: zero_point as i8 }
    }

    /// Row and column of output pixel `i`, counted row by row.
    pub(crate) fn pixel(&self, i: usize) -> (usize, usize) {
        (i / self.width, i % self.width)
    }

    /// How the values that one output reads lie in memory.
    #[inline]
    pub(crate) fn taps(&self) -> Taps {
        Taps::of_window(&self.window, self.input.c)
    }

    /// Calls `tap` with the number of each tap of the window at output pixel `(oy, ox)` and the input pixel that it
    /// reads, `None` in the padding.
    #[cfg(any(feature = "isa-dsp", feature = "encode"))]
    pub(crate) fn for_each_tap(&self, (oy, ox): (usize, usize), mut tap: impl FnMut(usize, Option<usize>)) {
        let (w, width) = (&self.window, self.input.w as usize);
        let place = |out: usize, stride: u16, tap: u16, dilation: u16, before: u16, size: u32| {
            let at = out * usize::from(stride) + usize::from(tap) * usize::from(dilation);
            at.checked_sub(usize::from(before)).filter(|&at| at < size as usize)
        };
        let mut number = 0;
        for ky in 0..w.kernel_h {
            let y = place(oy, w.stride_h, ky, w.dilation_h, w.pad.top, self.input.h);
            for kx in 0..w.kernel_w {
                let x = place(ox, w.stride_w, kx, w.dilation_w, w.pad.left, self.input.w);
                tap(number, y.zip(x).map(|(y, x)| y * width + x));
                number += 1;
            }
        }
    }

    /// Copies the window at output pixel `i` into `patch`, `[kernel_h, kernel_w, c]`.
    pub(crate) fn patch(&self, image: &[i8], i: usize, patch: &mut [i8]) {
        im2col(&self.window, &self.input, image, self.pixel(i), self.fill, patch);
    }
}

/// The values that one output reads: `runs` pieces of `len` values that are contiguous in NHWC memory.
///
/// A row of a window is one piece; where the window is dilated along the width, each of its pixels is one. A
/// packed weight layout may pad each run, so runs are part of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taps {
    pub(crate) runs: usize,
    pub(crate) len: usize,
    /// Pixels of one run.
    pub(crate) pixels: usize,
}

impl Taps {
    /// A row of `len` values.
    pub(crate) const fn row(len: usize) -> Self {
        Self { runs: 1, len, pixels: 1 }
    }

    /// A window over `c` channels.
    pub(crate) const fn of_window(window: &Window, c: u32) -> Self {
        let (h, w, c) = (window.kernel_h as usize, window.kernel_w as usize, c as usize);
        if window.is_pointwise() || window.dilation_w == 1 {
            Self { runs: h, len: w * c, pixels: w }
        } else {
            Self { runs: h * w, len: c, pixels: 1 }
        }
    }

    /// Products per output.
    pub(crate) const fn total(self) -> usize {
        self.runs * self.len
    }
}

/// Taps of one window axis that lie inside the input, and the input index of the first of them.
pub(crate) struct Axis {
    pub(crate) taps: Range<usize>,
    pub(crate) first: usize,
}

/// The taps at output `out` of an axis with `kernel` taps, where input indices start at
/// `out * stride - before` and go up by `dilation`.
pub(crate) fn axis(out: usize, input: usize, kernel: u16, stride: u16, dilation: u16, before: u16) -> Axis {
    let (kernel, dilation) = (usize::from(kernel), usize::from(dilation));
    let start = out * usize::from(stride);
    let before = usize::from(before);
    // Taps left of the input: smallest t with start + t * dilation >= before.
    let skip = before.saturating_sub(start).div_ceil(dilation);
    // Taps right of the input: smallest t with start + t * dilation - before >= input.
    let end = (input + before).saturating_sub(start).div_ceil(dilation).min(kernel);
    let skip = skip.min(end);
    Axis { taps: skip..end, first: (start + skip * dilation).saturating_sub(before) }
}

/// Both axes of the window at one output pixel.
pub(crate) fn at(window: &Window, input: &Shape, oy: usize, ox: usize) -> (Axis, Axis) {
    let w = window;
    (
        axis(oy, input.h as usize, w.kernel_h, w.stride_h, w.dilation_h, w.pad.top),
        axis(ox, input.w as usize, w.kernel_w, w.stride_w, w.dilation_w, w.pad.left),
    )
}

/// Copies the window at one output pixel into `patch`, `[kernel_h, kernel_w, c]`; taps outside of the
/// input are `fill`. `image` is one sample of `input`.
pub(crate) fn im2col<T: Copy>(
    window: &Window,
    input: &Shape,
    image: &[T],
    (oy, ox): (usize, usize),
    fill: T,
    patch: &mut [T],
) {
    let (c, width) = (input.c as usize, input.w as usize);
    let (rows, columns) = at(window, input, oy, ox);
    let row_len = usize::from(window.kernel_w) * c;
    for (ky, patch) in patch.chunks_exact_mut(row_len).enumerate() {
        if !rows.taps.contains(&ky) {
            patch.fill(fill);
            continue;
        }
        let y = rows.first + (ky - rows.taps.start) * usize::from(window.dilation_h);
        let row = &image[y * width * c..][..width * c];
        let (left, right) = (columns.taps.start * c, columns.taps.end * c);
        patch[..left].fill(fill);
        patch[right..].fill(fill);
        if columns.taps.is_empty() {
            // The window lies beside the image; `first` is then no column of it.
            continue;
        }
        let inside = &mut patch[left..right];
        if window.dilation_w == 1 {
            inside.copy_from_slice(&row[columns.first * c..][..inside.len()]);
        } else {
            let step = usize::from(window.dilation_w) * c;
            for (tap, pixel) in inside.chunks_exact_mut(c).enumerate() {
                pixel.copy_from_slice(&row[columns.first * c + tap * step..][..c]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_window_beside_the_image_is_all_padding() {
        let pad = crate::shape::Pad { top: 0, bottom: 0, left: 0, right: 9 };
        let window = Window::square(1, 1).padded(pad);
        let mut patch = [0];
        im2col(&window, &Shape::image(1, 2, 1), &[5, 6], (0, 8), -7, &mut patch);
        assert_eq!(patch, [-7]);
    }

    #[test]
    fn an_axis_holds_exactly_the_taps_inside_the_input() {
        for input in 1..9usize {
            for kernel in 1..6u16 {
                for stride in 1..4u16 {
                    for dilation in 1..4u16 {
                        for before in 0..5u16 {
                            for out in 0..9usize {
                                let got = axis(out, input, kernel, stride, dilation, before);
                                let index = |t: usize| {
                                    (out * usize::from(stride) + t * usize::from(dilation)) as isize
                                        - before as isize
                                };
                                let inside: Vec<usize> = (0..usize::from(kernel))
                                    .filter(|&t| (0..input as isize).contains(&index(t)))
                                    .collect();
                                assert_eq!(got.taps.clone().collect::<Vec<_>>(), inside);
                                if let Some(&first) = inside.first() {
                                    assert_eq!(got.first as isize, index(first));
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
