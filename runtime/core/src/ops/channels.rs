//! Constants that all weighted operators share: weights, per-channel bias, multiplier and shift.

use super::Operands;
use crate::error::NodeFault;
use crate::format::{Blob, DType, Tensor};
use crate::isa::{Channels, Layer, PackedLen, Reduction};
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
    /// The constants, in the order of the fields.
    #[cfg(feature = "encode")]
    pub(super) fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.weights, &mut self.bias, &mut self.multiplier, &mut self.shift]
    }

    /// Proves that the data section can hold this many weights, so that sizes of the layer fit every core's `usize`.
    pub(super) fn room(&self, cx: &Operands<'_>, weights: u64) -> Result<(), NodeFault> {
        cx.constant(self.weights, weights).map(|_| ())
    }

    /// Proves that all constants are there and in range for `layer`, and that the accumulator cannot overflow.
    pub(super) fn check(&self, cx: &Operands<'_>, layer: &Layer) -> Result<(), NodeFault> {
        if self.clamp.min > self.clamp.max {
            return Err(NodeFault::Attribute);
        }
        let reduction = self.reduction(cx, layer, 0, 0)?;
        let (product, taps) = (largest_product(self.weight_zero), layer.taps() as u64);
        // What the products may leave for a bias; where they leave nothing, not even the bias 0 fits.
        let limit = (i32::MAX as u64).checked_sub(taps.saturating_mul(product));
        let limit = limit.map(|limit| limit as u32);
        let found = |c: usize, bias: i32, factor: Requant| {
            if !factor.is_valid() {
                return NodeFault::Requant { channel: c as u32 };
            }
            let room = i32::MAX as u64 - u64::from(bias.unsigned_abs()).min(i32::MAX as u64);
            NodeFault::Reduction {
                found: u32::try_from(taps).unwrap_or(u32::MAX),
                limit: (room / product) as u32,
            }
        };
        let fits = |bias: i32, factor: Requant| {
            factor.is_valid() && limit.is_some_and(|limit| bias.unsigned_abs() <= limit)
        };
        match reduction.packed {
            Some(constants) => {
                for c in 0..reduction.n {
                    let (bias, factor) = cx.target.channel(layer, constants, c);
                    if !fits(bias, factor) {
                        return Err(found(c, bias, factor));
                    }
                }
            }
            None => {
                let Channels { bias, multiplier, shift } = reduction.channels;
                for (c, ((&bias, &multiplier), &shift)) in bias.iter().zip(multiplier).zip(shift).enumerate()
                {
                    let factor = Requant { multiplier, shift };
                    if !fits(bias, factor) {
                        return Err(found(c, bias, factor));
                    }
                }
            }
        }
        Ok(())
    }

    /// Lengths of the packed constants, `None` where they are portable.
    fn packed(&self, cx: &Operands<'_>, layer: &Layer) -> Option<PackedLen> {
        if self.weight_zero == 0 { cx.target.packed(layer) } else { None }
    }

    /// Whether the constants are packed.
    #[cfg(feature = "encode")]
    pub(super) fn is_packed(&self, cx: &Operands<'_>, layer: &Layer) -> bool {
        self.packed(cx, layer).is_some()
    }

    /// The constants as a kernel takes them.
    pub(crate) fn reduction<'a>(
        &self,
        cx: &Operands<'a>,
        layer: &Layer,
        input_zero: i16,
        output_zero: i16,
    ) -> Result<Reduction<'a>, NodeFault> {
        let n = layer.channels();
        let words = |blob: Blob, count: usize| {
            let bytes = cx.constant(blob, 4 * count as u64)?;
            bytemuck::try_cast_slice(bytes)
                .map_err(|_| NodeFault::Constant { offset: blob.0, len: bytes.len() as u32 })
        };
        let packed = self.packed(cx, layer);
        let (weights, channels, packed) = match packed {
            Some(len) => (len.weights, Channels::NONE, Some(words(self.bias, len.constants)?)),
            None => {
                let channels = Channels {
                    bias: words(self.bias, n)?,
                    multiplier: words(self.multiplier, n)?,
                    shift: bytemuck::cast_slice(cx.constant(self.shift, n as u64)?),
                };
                (layer.weights(), channels, None)
            }
        };
        Ok(Reduction {
            n,
            weights: bytemuck::cast_slice(cx.constant(self.weights, weights as u64)?),
            channels,
            packed,
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
