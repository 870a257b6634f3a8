//! What a packed layout depends on.

use super::Taps;
use crate::shape::Window;

/// A layer whose weights a target may pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// Each of `n` outputs reads all taps: convolution, fully connected layer.
    Full { taps: Taps, n: usize },
    /// Each of `c * multiplier` outputs reads one channel.
    Depthwise { window: Window, c: usize, multiplier: usize },
    /// Transpose convolution, which no target packs: `taps` is the most products of one output.
    Transposed { n: usize, weights: usize, taps: usize },
}

impl Layer {
    /// Output channels.
    pub(crate) fn channels(&self) -> usize {
        match *self {
            Self::Full { n, .. } | Self::Transposed { n, .. } => n,
            Self::Depthwise { c, multiplier, .. } => c * multiplier,
        }
    }

    /// Products per output.
    pub(crate) fn taps(&self) -> usize {
        match self {
            Self::Full { taps, .. } => taps.total(),
            Self::Depthwise { window, .. } => window.taps(),
            Self::Transposed { taps, .. } => *taps,
        }
    }

    /// Portable weights.
    pub(crate) fn weights(&self) -> usize {
        match *self {
            Self::Transposed { weights, .. } => weights,
            _ => self.channels() * self.taps(),
        }
    }
}

/// Lengths of the packed parts of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedLen {
    /// Bytes of weights.
    pub(crate) weights: usize,
    /// Words of channel constants.
    pub(crate) constants: usize,
}

/// Packed parts of a layer.
#[cfg(feature = "encode")]
pub(crate) struct Packed {
    pub(crate) weights: alloc::vec::Vec<i8>,
    pub(crate) constants: alloc::vec::Vec<i32>,
}
