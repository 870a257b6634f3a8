//! Weights and constants of a few channels.

use super::Runs;
use crate::isa::Reduction;

/// Most channels of a panel.
pub(in crate::isa) const WIDTH: usize = 16;

/// Constants of the channels of a panel; those of channels that do not exist are zero.
#[derive(Clone, Copy, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Finish {
    pub(in crate::isa) bias: [i32; WIDTH],
    pub(in crate::isa) multiplier: [i32; WIDTH],
    /// Shift before the multiplication, at least 0.
    pub(in crate::isa) left: [i32; WIDTH],
    /// Shift after it, at most 0: negative to the right.
    pub(in crate::isa) right: [i32; WIDTH],
    pub(in crate::isa) input_zero: i32,
    pub(in crate::isa) output_zero: i32,
    pub(in crate::isa) min: i8,
    pub(in crate::isa) max: i8,
    /// Every channel of this panel, and of those of the same pass, is shifted to the right by at least 1.
    pub(in crate::isa) plain: bool,
    /// A weight of this panel, or of one of the same pass, may be -128.
    pub(in crate::isa) extreme: bool,
}

impl Finish {
    /// The constants of `count` channels from `first` on, the zero point not yet folded into the bias.
    pub(super) fn of(p: &Reduction<'_>, first: usize, count: usize) -> Self {
        let mut finish: Self = bytemuck::Zeroable::zeroed();
        let range = first..first + count;
        finish.bias[..count].copy_from_slice(&p.channels.bias[range.clone()]);
        finish.multiplier[..count].copy_from_slice(&p.channels.multiplier[range.clone()]);
        finish.plain = true;
        // Channels that do not exist are plain.
        finish.right = [-1; WIDTH];
        for (c, &shift) in p.channels.shift[range].iter().enumerate() {
            finish.left[c] = i32::from(shift).max(0);
            finish.right[c] = i32::from(shift).min(0);
            finish.plain &= shift < 0;
        }
        finish.input_zero = p.input_zero;
        finish.output_zero = p.output_zero;
        (finish.min, finish.max) = (p.clamp.min, p.clamp.max);
        finish
    }

    /// Takes the zero point off the bias of channel `c`, whose weights have this sum.
    #[inline(always)]
    pub(in crate::isa) fn fold(&mut self, c: usize, sum: i32) {
        self.bias[c] = self.bias[c].wrapping_sub(self.input_zero.wrapping_mul(sum));
    }
}

/// Weights of the channels of a panel as they are in the file.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// `[channels, runs, len]`.
    pub(in crate::isa) weights: &'a [i8],
    pub(in crate::isa) channels: usize,
    pub(in crate::isa) runs: Runs,
    /// Taps of a run without the padding of its last step.
    pub(in crate::isa) len: usize,
}

impl Rows<'_> {
    /// The weights of a run of channel `c`.
    #[inline(always)]
    pub(in crate::isa) fn run(&self, c: usize, run: usize) -> &[i8] {
        let start = (c * self.runs.count + run) * self.len;
        &self.weights[start..start + self.len]
    }
}
