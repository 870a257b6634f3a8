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
    /// Without the head: one record for each group.
    pub(super) constants: &'a [i32],
    /// No factor shifts left.
    pub(super) quick: bool,
    pub(super) zero: i32,
    pub(super) clamp: Clamp,
}

impl<'a> Tile<'a> {
    /// `p`, whose constants are packed, with `taps` bytes of weights for each channel. `None` where they are too short.
    pub(super) fn new(p: &Reduction<'a>, taps: usize) -> Option<Self> {
        let (head, constants) = p.packed?.split_at_checked(HEAD)?;
        let (groups, group) = (p.n.div_ceil(GROUP), taps * GROUP);
        Some(Self {
            n: p.n,
            group,
            weights: p.weights.get(..groups * group)?,
            constants: constants.get(..groups * RECORD)?,
            quick: head[0] == 1,
            zero: p.output_zero,
            clamp: p.clamp,
        })
    }

    /// Bytes that one output reads.
    pub(super) fn taps(&self) -> usize {
        self.group / GROUP
    }

    /// The tile of the channels from those of group `first` on, `n` of them.
    pub(super) fn channels(&self, first: usize, n: usize) -> Self {
        Self {
            n,
            weights: &self.weights[first * self.group..][..n.div_ceil(GROUP) * self.group],
            constants: &self.constants[first * RECORD..][..n.div_ceil(GROUP) * RECORD],
            ..*self
        }
    }

    /// The output of channel `c` for its sum without bias.
    pub(super) fn finish(&self, c: usize, sum: i32) -> i8 {
        let record = &self.constants[c / GROUP * RECORD..][..RECORD];
        let lane = c % GROUP;
        let factor = Requant { multiplier: record[GROUP + lane], shift: record[2 * GROUP + lane] as i8 };
        let scaled = factor.apply(record[lane].wrapping_add(sum));
        self.clamp.apply(scaled.wrapping_add(self.zero))
    }

    /// Whether negative sums end at the smallest value, however they are rounded, and no other value is clamped.
    pub(super) fn rectifies(&self) -> bool {
        self.clamp == Clamp::FULL && self.zero <= i32::from(Clamp::FULL.min)
    }

    /// One row after the other, in plain Rust.
    fn plain(&self, x: &[i8], step: usize, out: &mut [i8]) {
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

    /// As many rows as `out`, `[m, n]`, holds. Row `i` is the [`Tile::taps`] bytes of `x` from `i * step` on.
    #[cfg(not(all(target_arch = "arm", target_os = "none", feature = "isa-mve")))]
    pub(super) fn rows(&self, x: &[i8], step: usize, out: &mut [i8]) {
        self.plain(x, step, out);
    }

    /// As many rows as `out`, `[m, n]`, holds. Row `i` is the [`Tile::taps`] bytes of `x` from `i * step` on.
    #[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-mve"))]
    pub(super) fn rows(&self, x: &[i8], step: usize, out: &mut [i8]) {
        use super::gemm::{MAX_PITCH, pairs, row};
        let m = out.len() / self.n;
        if !self.quick || self.n > MAX_PITCH {
            return self.plain(x, step, out);
        }
        let whole = self.n / GROUP;
        let rest = self.n % GROUP;
        match m {
            0 => {}
            1 => {
                // Eight channels at a time; what remains is computed with the four before it.
                let eight = self.n / (2 * GROUP) * (2 * GROUP);
                if eight > 0 {
                    row(&self.channels(0, eight), x, out);
                }
                let groups = self.n.div_ceil(GROUP);
                if eight < self.n && groups > 1 {
                    let mut tail = [0; 2 * GROUP];
                    let first = groups - 2;
                    row(&self.channels(first, 2 * GROUP), x, &mut tail);
                    out[first * GROUP..].copy_from_slice(&tail[..self.n - first * GROUP]);
                } else if groups == 1 {
                    pairs(self, x, 0, 1, out, (self.n, 0));
                }
            }
            _ => {
                let part = |x: &[i8], count: usize, out: &mut [i8]| {
                    if whole > 0 {
                        pairs(&self.channels(0, whole * GROUP), x, step, count, out, (self.n, self.n));
                    }
                    if rest > 0 {
                        let out = &mut out[whole * GROUP..];
                        pairs(&self.channels(whole, rest), x, step, count, out, (self.n, self.n));
                    }
                };
                part(x, m / 2, out);
                if m % 2 == 1 {
                    // The last two again, so that the last has a partner.
                    part(&x[(m - 2) * step..], 1, &mut out[(m - 2) * self.n..]);
                }
            }
        }
    }
}
