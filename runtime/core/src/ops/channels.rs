//! Constants that all weighted operators share: weights, per-channel bias, multiplier and shift.

use super::Operands;
use crate::error::NodeFault;
use crate::format::{Blob, DType, Tensor};
use crate::isa::{Channels, Reduction};
use crate::quant::{Clamp, Requant};
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// Weights and per-channel constants of a convolution or fully connected layer, all in the data section.
///
/// The real output of channel `c` is `sum(x * w) + bias`, requantised with `multiplier[c]` and
/// `shift[c]` (see [`Requant`]), then the output's zero point, then `clamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Filter {
    /// i8 weights; the operator says in which order.
    pub weights: Blob,
    /// i32 per output channel, in units of input scale times weight scale.
    pub bias: Blob,
    /// i32 per output channel.
    pub multiplier: Blob,
    /// i8 per output channel.
    pub shift: Blob,
    /// Zero point of the weights: 0, except in imported models of the older uint8 scheme.
    pub weight_zero: i8,
    /// Fused activation.
    pub clamp: Clamp,
}

/// Scores that are reduced to a label before they are stored: the operator's output is the u8 index of
/// the largest channel (the first of equals), and the scores never exist at full resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LabelScores {
    /// Number of channels before the reduction, at most 256.
    pub channels: u16,
    /// Zero point of the scores.
    pub zero_point: i8,
}

/// Largest magnitude of one product: (x - zero) spans 255, a weight 128 or, with a zero point, 255.
const fn largest_product(weight_zero: i8) -> u64 {
    if weight_zero == 0 { 255 * 128 } else { 255 * 255 }
}

impl Filter {
    /// Proves that all constants are there and in range for `channels` outputs that each sum `taps`
    /// products out of `weights` weights, and that the accumulator cannot overflow.
    pub(super) fn check(
        &self,
        cx: &Operands<'_>,
        channels: u32,
        weights: u64,
        taps: u64,
    ) -> Result<(), NodeFault> {
        if self.clamp.min > self.clamp.max {
            return Err(NodeFault::Attribute);
        }
        cx.constant(self.weights, weights)?;
        let reduction = self.reduction(cx, channels, weights, 0, 0)?;
        let product = largest_product(self.weight_zero);
        for c in 0..channels as usize {
            if !reduction.channels.requant(c).is_valid() {
                return Err(NodeFault::Requant { channel: c as u32 });
            }
            let room =
                i32::MAX as u64 - u64::from(reduction.channels.bias[c].unsigned_abs()).min(i32::MAX as u64);
            if taps.saturating_mul(product) > room {
                return Err(NodeFault::Reduction {
                    found: u32::try_from(taps).unwrap_or(u32::MAX),
                    limit: (room / product) as u32,
                });
            }
        }
        Ok(())
    }

    /// The constants as a kernel takes them.
    pub(super) fn reduction<'a>(
        &self,
        cx: &Operands<'a>,
        channels: u32,
        weights: u64,
        input_zero: i16,
        output_zero: i16,
    ) -> Result<Reduction<'a>, NodeFault> {
        let n = u64::from(channels);
        let words = |blob: Blob| {
            let bytes = cx.constant(blob, 4 * n)?;
            bytemuck::try_cast_slice(bytes)
                .map_err(|_| NodeFault::Constant { offset: blob.0, len: bytes.len() as u32 })
        };
        Ok(Reduction {
            weights: bytemuck::cast_slice(cx.constant(self.weights, weights)?),
            channels: Channels {
                bias: words(self.bias)?,
                multiplier: words(self.multiplier)?,
                shift: bytemuck::cast_slice(cx.constant(self.shift, n)?),
            },
            input_zero: i32::from(input_zero),
            weight_zero: i32::from(self.weight_zero),
            output_zero: i32::from(output_zero),
            clamp: self.clamp,
        })
    }
}

/// Checks the output of an operator that may be fused with argmax: `scores` is its shape before.
///
/// Returns the number of channels and their zero point.
pub(super) fn scored_output(
    cx: &Operands<'_>,
    labels: Option<LabelScores>,
    scores: Shape,
) -> Result<(), NodeFault> {
    match labels {
        None => cx.expect(0, DType::I8, scores).map(|_| ()),
        Some(labels) => {
            if u32::from(labels.channels) != scores.c || !(1..=256).contains(&labels.channels) {
                return Err(NodeFault::Attribute);
            }
            cx.expect(0, DType::U8, scores.with_c(1)).map(|_| ())
        }
    }
}

/// Channels and zero point of the scores of an operator that may be fused with argmax.
pub(super) fn score_format(labels: Option<LabelScores>, output: &Tensor) -> (u32, i16) {
    match labels {
        None => (output.shape.c, output.quant.zero_point),
        Some(labels) => (u32::from(labels.channels), i16::from(labels.zero_point)),
    }
}

/// Requires a factor in range.
pub(super) fn check_requant(requant: Requant) -> Result<(), NodeFault> {
    if requant.is_valid() { Ok(()) } else { Err(NodeFault::Requant { channel: 0 }) }
}
