//! Products of rows with packed weights, requantised: the same result from plain Rust and from Helium.

use super::pack::{GROUP, HEAD, LANES, RECORD};
use crate::isa::Reduction;
use crate::quant::{Clamp, Requant};

/// A packed layer with its output format.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    /// Output channels.
    pub(super) n: usize,
    /// Bytes of weights of one group.
    pub(super) group: usize,
    pub(super) weights: &'a [i8],
    /// The head and one record for each group.
    pub(super) constants: &'a [i32],
    pub(super) zero: i32,
    pub(super) clamp: Clamp,
}

impl<'a> Tile<'a> {
    /// `p`, whose constants are packed, with `taps` bytes of weights for each channel. `None` where they are too short.
    pub(super) fn new(p: &Reduction<'a>, taps: usize) -> Option<Self> {
        let (groups, group) = (p.n.div_ceil(GROUP), taps * GROUP);
        Some(Self {
            n: p.n,
            group,
            weights: p.weights.get(..groups * group)?,
            constants: p.packed?.get(..HEAD + groups * RECORD)?,
            zero: p.output_zero,
            clamp: p.clamp,
        })
    }

    /// Bytes that one output reads.
    pub(super) fn taps(&self) -> usize {
        self.group / GROUP
    }

    /// The output of channel `c` for its sum without bias.
    pub(super) fn finish(&self, c: usize, sum: i32) -> i8 {
        let record = &self.constants[HEAD + c / GROUP * RECORD..][..RECORD];
        let lane = c % GROUP;
        let factor = Requant { multiplier: record[GROUP + lane], shift: record[2 * GROUP + lane] as i8 };
        let scaled = factor.apply(record[lane].wrapping_add(sum));
        self.clamp.apply(scaled.wrapping_add(self.zero))
    }

    /// As many rows as `out`, `[m, n]`, holds, in plain Rust. Row `i` is the [`Tile::taps`] bytes of `x` from `i * step` on.
    pub(super) fn plain(&self, x: &[i8], step: usize, out: &mut [i8]) {
        for (i, out) in out.chunks_exact_mut(self.n).enumerate() {
            let row = &x[i * step..][..self.taps()];
            for (c, out) in out.iter_mut().enumerate() {
                let weights = &self.weights[c / GROUP * self.group..][..self.group];
                let weights = weights.chunks_exact(LANES).skip(c % GROUP).step_by(GROUP);
                let sum = row.chunks_exact(LANES).zip(weights).fold(0i32, |sum, (x, w)| {
                    x.iter().zip(w).fold(sum, |sum, (&x, &w)| sum.wrapping_add(i32::from(x) * i32::from(w)))
                });
                *out = self.finish(c, sum);
            }
        }
    }
}
