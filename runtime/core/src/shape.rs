//! Shapes, windows and padding: the one place where output sizes are computed.
//!
//! Every tensor is rank 4 and laid out NHWC, channel innermost. A vector is `1,1,1,C`, a sequence or a
//! set of rows `1,1,W,C`. All functions are `const`, total (no overflow, no division by zero) and are
//! shared by the trainer's graph, the parser and the kernels.

use serde::{Deserialize, Serialize};

/// Largest number of elements a tensor may have. It keeps every index and every byte offset, also
/// those of 32-bit elements, inside 31 bits on a 32-bit core.
pub const MAX_ELEMENTS: u32 = 1 << 28;

/// Size of a tensor, NHWC, channel innermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    /// Samples; the runtime runs one, so this is free for the depth of a volume.
    pub n: u32,
    /// Rows of an image; attention heads.
    pub h: u32,
    /// Columns of an image; time of a sequence; rows of a set.
    pub w: u32,
    /// Channels (features).
    pub c: u32,
}

impl Shape {
    /// A shape from its four sizes, in NHWC order.
    pub const fn new(n: u32, h: u32, w: u32, c: u32) -> Self {
        Self { n, h, w, c }
    }

    /// One image of `h` x `w` pixels with `c` channels.
    pub const fn image(h: u32, w: u32, c: u32) -> Self {
        Self::new(1, h, w, c)
    }

    /// A vector of `c` features.
    pub const fn vector(c: u32) -> Self {
        Self::new(1, 1, 1, c)
    }

    /// A sequence or set: `rows` rows of `c` features.
    pub const fn rows(rows: u32, c: u32) -> Self {
        Self::new(1, 1, rows, c)
    }

    /// Number of elements, or `None` where a size is zero or the product exceeds [`MAX_ELEMENTS`].
    pub const fn checked_elements(&self) -> Option<u32> {
        let dims = [self.n, self.h, self.w, self.c];
        let mut total: u64 = 1;
        let mut i = 0;
        while i < dims.len() {
            // total <= 2^28 and a dimension < 2^32, so the product fits u64.
            total *= dims[i] as u64;
            if total == 0 || total > MAX_ELEMENTS as u64 {
                return None;
            }
            i += 1;
        }
        Some(total as u32)
    }

    /// Number of elements of a shape known to be valid (see [`Shape::checked_elements`]).
    pub const fn elements(&self) -> usize {
        self.n as usize * self.h as usize * self.w as usize * self.c as usize
    }

    /// Number of pixels (or rows): all but the channel axis.
    pub const fn pixels(&self) -> usize {
        self.n as usize * self.h as usize * self.w as usize
    }

    /// The same shape with another number of channels.
    pub const fn with_c(self, c: u32) -> Self {
        Self { c, ..self }
    }

    /// The same shape with another height and width.
    pub const fn with_hw(self, h: u32, w: u32) -> Self {
        Self { h, w, ..self }
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}x{}x{}x{}", self.n, self.h, self.w, self.c)
    }
}

/// Rows or columns that lie outside of the input on each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pad {
    /// Rows above the first row.
    pub top: u16,
    /// Rows below the last row.
    pub bottom: u16,
    /// Columns left of the first column.
    pub left: u16,
    /// Columns right of the last column.
    pub right: u16,
}

impl Pad {
    /// No padding.
    pub const NONE: Self = Self { top: 0, bottom: 0, left: 0, right: 0 };

    /// The same padding on all four sides.
    pub const fn all(p: u16) -> Self {
        Self { top: p, bottom: p, left: p, right: p }
    }

    /// True where nothing is padded.
    pub const fn is_none(&self) -> bool {
        self.top == 0 && self.bottom == 0 && self.left == 0 && self.right == 0
    }
}

/// How a person asks for padding; [`Window::resolve`] turns it into rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Padding {
    /// Output size is `ceil(input / stride)`; the odd row or column goes to the bottom or right.
    Same,
    /// No padding.
    Valid,
    /// As given.
    Explicit(Pad),
}

/// A sliding window over height and width with its padding resolved to rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// Rows of the window.
    pub kernel_h: u16,
    /// Columns of the window.
    pub kernel_w: u16,
    /// Rows between two window positions.
    pub stride_h: u16,
    /// Columns between two window positions.
    pub stride_w: u16,
    /// Rows between two taps of one window.
    pub dilation_h: u16,
    /// Columns between two taps of one window.
    pub dilation_w: u16,
    /// Padding around the input.
    pub pad: Pad,
}

impl Window {
    /// A square window with the same stride on both axes, undilated, unpadded.
    pub const fn square(kernel: u16, stride: u16) -> Self {
        Self {
            kernel_h: kernel,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            dilation_h: 1,
            dilation_w: 1,
            pad: Pad::NONE,
        }
    }

    /// The same window with another dilation on both axes.
    pub const fn dilated(self, dilation: u16) -> Self {
        Self { dilation_h: dilation, dilation_w: dilation, ..self }
    }

    /// The same window with this padding.
    pub const fn padded(self, pad: Pad) -> Self {
        Self { pad, ..self }
    }

    /// The window with `padding` resolved for an input of `input_h` x `input_w`.
    ///
    /// `None` where a size, stride or dilation is zero or a resolved padding exceeds 16 bits.
    pub const fn resolve(self, padding: Padding, input_h: u32, input_w: u32) -> Option<Self> {
        let pad = match padding {
            Padding::Valid => Pad::NONE,
            Padding::Explicit(pad) => pad,
            Padding::Same => {
                let v = same_padding(input_h, self.kernel_h, self.stride_h, self.dilation_h);
                let h = same_padding(input_w, self.kernel_w, self.stride_w, self.dilation_w);
                match (v, h) {
                    (Some((top, bottom)), Some((left, right))) => Pad { top, bottom, left, right },
                    _ => return None,
                }
            }
        };
        Some(Self { pad, ..self })
    }

    /// Height and width of the output of this window over `input_h` x `input_w`.
    ///
    /// `None` where the window does not fit once, or a size, stride or dilation is zero.
    pub const fn output(&self, input_h: u32, input_w: u32) -> Option<(u32, u32)> {
        let p = &self.pad;
        let h = axis_output(input_h, p.top, p.bottom, self.kernel_h, self.stride_h, self.dilation_h);
        let w = axis_output(input_w, p.left, p.right, self.kernel_w, self.stride_w, self.dilation_w);
        match (h, w) {
            (Some(h), Some(w)) => Some((h, w)),
            _ => None,
        }
    }

    /// Number of taps in one window.
    pub const fn taps(&self) -> usize {
        self.kernel_h as usize * self.kernel_w as usize
    }

    /// True where the window is one pixel read with stride 1 and no padding: a product of matrices.
    pub const fn is_pointwise(&self) -> bool {
        self.kernel_h == 1
            && self.kernel_w == 1
            && self.stride_h == 1
            && self.stride_w == 1
            && self.pad.is_none()
    }
}

/// Rows that a window with `kernel` taps covers at this dilation.
const fn effective(kernel: u16, dilation: u16) -> u64 {
    (kernel as u64 - 1) * dilation as u64 + 1
}

const fn same_padding(input: u32, kernel: u16, stride: u16, dilation: u16) -> Option<(u16, u16)> {
    if input == 0 || kernel == 0 || stride == 0 || dilation == 0 {
        return None;
    }
    let output = (input as u64).div_ceil(stride as u64);
    let needed = (output - 1) * stride as u64 + effective(kernel, dilation);
    let total = needed.saturating_sub(input as u64);
    let before = total / 2;
    let after = total - before;
    if after > u16::MAX as u64 {
        return None;
    }
    Some((before as u16, after as u16))
}

const fn axis_output(
    input: u32,
    before: u16,
    after: u16,
    kernel: u16,
    stride: u16,
    dilation: u16,
) -> Option<u32> {
    if input == 0 || kernel == 0 || stride == 0 || dilation == 0 {
        return None;
    }
    let padded = input as u64 + before as u64 + after as u64;
    let effective = effective(kernel, dilation);
    if padded < effective {
        return None;
    }
    // At most 2^32 + 2^17, over a stride of at least one; MAX_ELEMENTS bounds the result later.
    let out = (padded - effective) / stride as u64 + 1;
    if out > u32::MAX as u64 { None } else { Some(out as u32) }
}

/// Smallest size that, convolved with this window axis, gives `input`: the natural output of a
/// transpose convolution, `(input - 1) * stride + kernel - before - after`.
pub const fn transpose_output(input: u32, kernel: u16, stride: u16, before: u16, after: u16) -> Option<u32> {
    if input == 0 || kernel == 0 || stride == 0 {
        return None;
    }
    let full = (input as u64 - 1) * stride as u64 + kernel as u64;
    let cut = before as u64 + after as u64;
    if full <= cut || full - cut > u32::MAX as u64 {
        return None;
    }
    Some((full - cut) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_gives_ceil_of_input_over_stride() {
        for input in 1..40u32 {
            for kernel in 1..8u16 {
                for stride in 1..5u16 {
                    for dilation in 1..4u16 {
                        let w = Window::square(kernel, stride).dilated(dilation);
                        let w = w.resolve(Padding::Same, input, input).unwrap();
                        let expected = input.div_ceil(u32::from(stride));
                        assert_eq!(w.output(input, input), Some((expected, expected)));
                        assert!(w.pad.bottom - w.pad.top <= 1);
                    }
                }
            }
        }
    }

    #[test]
    fn windows_that_do_not_fit_have_no_output() {
        assert_eq!(Window::square(4, 1).output(3, 9), None);
        assert_eq!(Window::square(0, 1).output(3, 3), None);
        assert_eq!(Window::square(1, 0).output(3, 3), None);
        assert_eq!(Window::square(1, 1).dilated(0).output(3, 3), None);
        assert_eq!(Window::square(3, 1).output(3, 4), Some((1, 2)));
    }

    #[test]
    fn absurd_shapes_have_no_element_count() {
        assert_eq!(Shape::image(u32::MAX, u32::MAX, u32::MAX).checked_elements(), None);
        assert_eq!(Shape::image(0, 1, 1).checked_elements(), None);
        assert_eq!(Shape::image(120, 160, 3).checked_elements(), Some(57_600));
    }

    #[test]
    fn transpose_output_inverts_the_window() {
        assert_eq!(transpose_output(5, 4, 2, 1, 1), Some(10));
        assert_eq!(transpose_output(1, 1, 1, 1, 0), None);
    }
}
