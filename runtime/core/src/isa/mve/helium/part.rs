//! Channels of a packed layer, as the loops take them.

use crate::isa::mve::pack::{GROUP, HEAD, RECORD};
use crate::isa::mve::tile::Tile;
use crate::quant::Clamp;

/// Largest distance of two outputs that are stored together, in bytes: offsets of the store are 16 bits.
pub(super) const MAX_PITCH: usize = 65_000;

/// Some channels of a layer: whole groups, or the last.
pub(super) struct Part<'a> {
    /// Output channels.
    pub(super) n: usize,
    /// Bytes of weights of one group.
    pub(super) group: usize,
    pub(super) weights: &'a [i8],
    /// A record for each group.
    pub(super) constants: &'a [i32],
    pub(super) zero: i32,
    pub(super) clamp: Clamp,
}

impl<'a> Part<'a> {
    /// Whether the loops can requantise the layer: no factor shifts left.
    pub(super) fn quick(t: &Tile<'_>) -> bool {
        t.constants.first() == Some(&1)
    }

    /// `n` channels of `t`, from those of group `first` on.
    pub(super) fn of(t: &Tile<'a>, first: usize, n: usize) -> Self {
        let groups = n.div_ceil(GROUP);
        Self {
            n,
            group: t.group,
            weights: &t.weights[first * t.group..][..groups * t.group],
            constants: &t.constants[HEAD + first * RECORD..][..groups * RECORD],
            zero: t.zero,
            clamp: t.clamp,
        }
    }

    /// Bytes that one output reads.
    pub(super) fn taps(&self) -> usize {
        self.group / GROUP
    }

    /// Whether negative sums end at the smallest value, however they are rounded, and no other value is clamped.
    pub(super) fn rectifies(&self) -> bool {
        self.clamp == Clamp::FULL && self.zero <= i32::from(Clamp::FULL.min)
    }
}
