//! Products on cores with wide registers, stacks of a large machine and portable weights.
//!
//! A [`Tile`] multiplies a few pixels by a few channels and finishes the outputs. Around it stands one driver: it orders
//! the weights of some channels into *panels*, once per call, and copies the image into a *strip*, once per band of
//! output rows, with its padding written out; so the tile's loop knows no border. A window of `r` rows is `r` runs of
//! taps in the strip. Where runs are so short that padding each to the tile's step would waste work, the windows of a few
//! pixels are gathered into one run each.
//!
//! All of this lives on the stack: 168 kB at most with the feature `std`, a quarter of it without.

mod conv;
mod depthwise;
mod panel;
mod strip;

pub(super) use conv::{conv, matmul};
pub(super) use depthwise::{Band, depthwise};
pub(super) use panel::WIDTH;
pub(crate) use panel::{Finish, Rows};
use strip::Strip;

use core::mem::MaybeUninit;

/// How the taps of one output lie in memory, in steps of [`Tile::STEP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Runs {
    /// Pieces of contiguous taps.
    pub(super) count: usize,
    /// Steps of each.
    pub(super) steps: usize,
    /// Taps from the start of one to that of the next.
    pub(super) stride: usize,
}

impl Runs {
    /// Steps of all pieces.
    pub(super) fn total(&self) -> usize {
        self.count * self.steps
    }
}

/// Where the taps of a block are, and how far apart the outputs of its pixels.
pub(crate) struct Place<T> {
    pub(super) taps: *const T,
    pub(super) offsets: [usize; PIXELS],
    pub(super) runs: Runs,
    pub(super) row: usize,
}

/// Most pixels of a block.
pub(crate) const PIXELS: usize = 8;

/// A register block: what one core multiplies at once.
#[allow(unsafe_code, reason = "a block reads and writes through pointers")]
pub(crate) trait Tile {
    /// A value of the input in the strip.
    type Tap: bytemuck::Pod;
    /// An element of a panel.
    type Weight: bytemuck::Pod;
    /// Channels of a panel, at most [`WIDTH`].
    const CHANNELS: usize;
    /// Pixels of the largest block: 4 or 8.
    const BLOCK: usize;
    /// Taps that the loop takes at once.
    const STEP: usize;
    /// Fewest rows for which panels pay.
    const FEWEST: usize;
    /// Whether taps are the input's own bytes, so that an image without padding needs no strip. Panels then fold the
    /// zero point into the bias.
    const IN_PLACE: bool;

    /// The taps of `x`, as many; with the zero point taken off where taps are wide enough.
    fn taps(x: &[i8], zero: i32, taps: &mut [Self::Tap]);

    /// Orders the weights of a panel, whose length is steps times [`Tile::STEP`] times [`Tile::CHANNELS`], and completes
    /// `finish`.
    fn pack(rows: &Rows<'_>, panel: &mut [Self::Weight], finish: &mut Finish);

    /// `out[i * row + c]` for every channel `c` of some panels, [`Tile::CHANNELS`] each, that follow each other, and as
    /// many `i` as `pixels` says, which is a power of two up to [`Tile::BLOCK`].
    ///
    /// # Safety
    /// The core has the instructions. Each panel is as long as the runs say, and there are as many as `finishes`; every run
    /// of every offset, whole steps, lies inside the memory behind the taps; every output inside that behind `out`.
    unsafe fn block(
        panels: *const Self::Weight,
        finishes: &[Finish],
        place: &Place<Self::Tap>,
        pixels: usize,
        out: *mut i8,
    );

    /// One row by all channels, weights as they are in the file: `x` is `[k]`, `weights` `[n, k]`.
    fn row(p: &super::Reduction<'_>, x: &[i8], out: &mut [i8]);
}

/// Memory on the stack, of which only what is used costs anything.
pub(super) struct Buffer<T, const N: usize>(MaybeUninit<Aligned<[T; N]>>);

#[repr(C, align(64))]
struct Aligned<T>(T);

impl<T: bytemuck::Zeroable, const N: usize> Buffer<T, N> {
    pub(super) const fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    /// The first `len` elements, zero.
    #[inline(always)]
    #[allow(unsafe_code, reason = "memory that is not used is not written")]
    pub(super) fn zeroed(&mut self, len: usize) -> &mut [T] {
        assert!(len <= N, "{len} of {N} elements");
        let first: *mut T = self.0.as_mut_ptr().cast();
        // SAFETY: `len` elements fit, all-zero bytes are values of the type, and `self` is borrowed for as long.
        unsafe {
            first.write_bytes(0, len);
            core::slice::from_raw_parts_mut(first, len)
        }
    }
}

/// [`Isa::with_room`](super::Isa::with_room).
pub(super) fn with_room<R>(run: impl FnOnce(&mut [i8]) -> R) -> R {
    run(Buffer::<i8, ROOM>::new().zeroed(ROOM))
}

/// A quarter of the memory where nothing is known of the stack.
const SHARE: usize = if cfg!(feature = "std") { 1 } else { 4 };
/// Taps of a strip.
pub(super) const STRIP: usize = 32 * 1024 / SHARE;
/// Bytes of results that stand for a moment.
const ROOM: usize = 16 * 1024 / SHARE;
/// Taps of gathered windows.
pub(super) const PATCHES: usize = 16 * 1024 / SHARE;
/// Weights of the panels of one pass.
pub(super) const PANELS: usize = 48 * 1024 / SHARE;
/// Weights behind the last panel that a tile may read and must not use.
pub(crate) const SLACK: usize = 16;
/// Panels of one pass.
pub(super) const PANEL_COUNT: usize = 32 / SHARE;
