//! Packed layers of Helium.
//!
//! Output channels go in groups of four, the last padded with channels of zeros. Constants are a head of four words,
//! of which the first is 1 where no factor shifts left ([`Head::quick`]), then for each group four biases, four
//! multipliers and four shifts, so that one vector load serves four channels. The input's zero point is folded into the
//! biases: the sums are those of the values as they stand in memory, and padding reads the zero point.
//!
//! Weights of [`Layer::Full`] are, for each group and each sixteen taps, those of its four channels: one pointer walks
//! through all. Taps are padded with zeros to a multiple of sixteen; they come in the order of [`TapOrder`].
//!
//! Weights of [`Layer::Depthwise`] are sixteen bytes for each channel: a word for each column of the window, a byte for each row.

use super::super::{Layer, PackedLen, Taps};
#[cfg(feature = "encode")]
use crate::isa::{Packed, Reduction};
use crate::quant::Requant;
#[cfg(feature = "encode")]
use alloc::{vec, vec::Vec};

/// Channels of a group.
pub(super) const GROUP: usize = 4;
/// Taps that one instruction multiplies.
pub(super) const LANES: usize = 16;
/// Words of the head of the constants.
pub(super) const HEAD: usize = 4;
/// Words of the constants of one group.
pub(super) const RECORD: usize = 3 * GROUP;

/// Order of the taps of a patch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TapOrder {
    /// Row by row, as in memory.
    Rows,
    /// Column by column: windows that overlap share their columns, so that a band of columns holds all of them.
    Columns,
}

/// Channels from which on copying single pixels is cheap.
const COLUMNS_FROM: usize = 8;

impl TapOrder {
    /// The order for these taps.
    pub(super) const fn of(taps: Taps) -> Self {
        if taps.pixels > 1 && taps.len / taps.pixels >= COLUMNS_FROM { Self::Columns } else { Self::Rows }
    }

    /// Where tap `i` of the row-major order stands.
    #[cfg(feature = "encode")]
    fn place(self, taps: Taps, i: usize) -> usize {
        match self {
            Self::Rows => i,
            Self::Columns => {
                let c = taps.len / taps.pixels;
                let (row, rest) = (i / taps.len, i % taps.len);
                (rest / c * taps.runs + row) * c + rest % c
            }
        }
    }
}

/// Bytes of the taps of one channel.
pub(super) const fn padded(taps: usize) -> usize {
    taps.saturating_add(LANES - 1) / LANES * LANES
}

/// Whether a window's channel fits sixteen bytes.
const fn fits(kernel_h: u16, kernel_w: u16) -> bool {
    kernel_h <= 4 && kernel_w <= 4
}

/// The layer as it is computed: a depthwise convolution of one channel is a full one.
pub(super) fn computed(layer: &Layer) -> Layer {
    match *layer {
        Layer::Depthwise { window, c: 1, multiplier } => {
            Layer::Full { taps: Taps::of_window(&window, 1), n: multiplier }
        }
        other => other,
    }
}

/// Lengths of the packed constants of a layer, `None` where the layer keeps its portable form.
pub(in crate::isa) fn packed(layer: &Layer) -> Option<PackedLen> {
    let (n, taps) = match *layer {
        Layer::Full { taps, n } => (n, padded(taps.total())),
        Layer::Depthwise { window, c: 1, multiplier } => (multiplier, padded(window.taps())),
        Layer::Depthwise { window, c, multiplier: 1 } if fits(window.kernel_h, window.kernel_w) => (c, LANES),
        _ => return None,
    };
    let groups = n.div_ceil(GROUP);
    Some(PackedLen {
        weights: groups.saturating_mul(GROUP).saturating_mul(taps),
        constants: groups.saturating_mul(RECORD).saturating_add(HEAD),
    })
}

/// Bias and factor of channel `c` of a packed layer.
///
/// The bias of the file contains the zero point; what is given back leaves out as much as the zero point can add, so
/// that the parser's proof, which counts it among the products, holds for the sums of the kernel.
pub(in crate::isa) fn channel(layer: &Layer, constants: &[i32], c: usize) -> (i32, Requant) {
    let record = &constants[HEAD + c / GROUP * RECORD..][..RECORD];
    let lane = c % GROUP;
    let folded = (layer.taps() as u64).saturating_mul(128 * 128);
    let bias = u64::from(record[lane].unsigned_abs()).saturating_sub(folded);
    let (multiplier, shift) = (record[GROUP + lane], record[2 * GROUP + lane]);
    let shift = i8::try_from(shift).unwrap_or(i8::MIN);
    (i32::try_from(bias).unwrap_or(i32::MAX), Requant { multiplier, shift })
}

/// The weights and channel constants of `p`, packed.
#[cfg(feature = "encode")]
pub(in crate::isa) fn pack(layer: &Layer, p: &Reduction<'_>) -> Packed {
    let (n, taps) = (layer.channels(), layer.taps());
    let groups = n.div_ceil(GROUP);
    let mut constants = vec![0; HEAD + groups * RECORD];
    constants[0] = i32::from(p.channels.shift.iter().all(|&s| s <= 0));
    let weight = |c: usize, tap: usize| match computed(layer) {
        Layer::Depthwise { .. } => p.weights[tap * n + c],
        // One channel in: portable weights are `[taps, n]`.
        Layer::Full { .. } if matches!(layer, Layer::Depthwise { .. }) => p.weights[tap * n + c],
        _ => p.weights[c * taps + tap],
    };
    for c in 0..n {
        let record = &mut constants[HEAD + c / GROUP * RECORD..][..RECORD];
        let lane = c % GROUP;
        let sum = (0..taps).fold(0i32, |sum, tap| sum.wrapping_add(weight(c, tap).into()));
        record[lane] = p.channels.bias[c].wrapping_sub(p.input_zero.wrapping_mul(sum));
        record[GROUP + lane] = p.channels.multiplier[c];
        record[2 * GROUP + lane] = p.channels.shift[c].into();
    }
    let mut weights: Vec<i8> = Vec::new();
    match computed(layer) {
        Layer::Full { taps: shape, .. } => {
            let order = TapOrder::of(shape);
            let k = padded(taps);
            weights.resize(groups * GROUP * k, 0);
            for c in 0..n {
                for tap in 0..taps {
                    let at = order.place(shape, tap);
                    let block = c / GROUP * (k / LANES) + at / LANES;
                    weights[(block * GROUP + c % GROUP) * LANES + at % LANES] = weight(c, tap);
                }
            }
        }
        Layer::Depthwise { window, .. } => {
            weights.resize(groups * GROUP * LANES, 0);
            let width = usize::from(window.kernel_w);
            for c in 0..n {
                for tap in 0..taps {
                    weights[c * LANES + tap % width * 4 + tap / width] = weight(c, tap);
                }
            }
        }
        Layer::Transposed { .. } => {}
    }
    Packed { weights, constants }
}
