//! What operators on 16-bit activations share: filters with wide sums, casts, the unit scale.

use super::Operands;
use crate::error::NodeFault;
use crate::format::{Blob, DType, Tensor};
use crate::isa::{Biases, WideReduction};
use crate::quant::Clamp16;
use serde::{Deserialize, Serialize};

/// Width of a sum, and with it its rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Accumulator {
    /// i32 biases; the sum wraps in 32 bits and is rounded as int8 sums are. The reference's choice for
    /// convolutions and fully connected layers with a bias of 32 bits.
    Bits32,
    /// i64 biases; the sum is exact and rounded once ([`Requant::apply_wide`](crate::quant::Requant)).
    Bits64,
}

/// 8-bit weights and per-channel constants of a layer with 16-bit activations, all in the data section.
///
/// The output of channel `c` is `sum(x * (w - weight_zero)) + bias`, requantised with `multiplier[c]` and
/// `shift[c]`, then limited to `clamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WideFilter {
    /// i8 weights; the operator says in which order.
    pub weights: Blob,
    /// i32 or i64 per output channel, as `accumulator` says, in units of input scale times weight scale.
    pub bias: Blob,
    /// i32 per output channel.
    pub multiplier: Blob,
    /// i8 per output channel; at most 14 with a 64-bit accumulator.
    pub shift: Blob,
    /// Zero point of the weights.
    pub weight_zero: i8,
    /// Width of the sum.
    pub accumulator: Accumulator,
    /// Fused activation.
    pub clamp: Clamp16,
}

/// 64-bit sums stay below this: a reduced multiplier of 15 bits times the sum fits 64 bits.
const SUM_LIMIT: u64 = 1 << 47;

/// Largest magnitude of one product of a 16-bit value and a weight less its zero point.
const fn largest_product(weight_zero: i8) -> u64 {
    if weight_zero == 0 { 1 << 22 } else { 255 << 15 }
}

impl WideFilter {
    /// The constants, in the order of the fields.
    #[cfg(feature = "encode")]
    pub(super) fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.weights, &mut self.bias, &mut self.multiplier, &mut self.shift]
    }

    /// Proves that all constants are there and in range for `channels` outputs that each sum `taps`
    /// products out of `weights` weights, and that a 64-bit sum stays in range.
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
        let reduction = self.reduction(cx, channels, weights)?;
        let product = largest_product(self.weight_zero);
        for c in 0..channels as usize {
            let requant = reduction.requant(c);
            let (valid, bias) = match reduction.bias {
                Biases::Narrow(_) => (requant.is_valid(), None),
                Biases::Wide(bias) => (requant.is_valid_wide(), Some(bias[c])),
            };
            if !valid {
                return Err(NodeFault::Requant { channel: c as u32 });
            }
            let room = bias.map(|b| (SUM_LIMIT - 1).saturating_sub(b.unsigned_abs()));
            if let Some(room) = room.filter(|&room| taps.saturating_mul(product) > room) {
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
    ) -> Result<WideReduction<'a>, NodeFault> {
        let n = u64::from(channels);
        Ok(WideReduction {
            weights: constants(cx, self.weights, weights)?,
            weight_zero: i32::from(self.weight_zero),
            bias: match self.accumulator {
                Accumulator::Bits32 => Biases::Narrow(constants(cx, self.bias, n)?),
                Accumulator::Bits64 => Biases::Wide(constants(cx, self.bias, n)?),
            },
            multiplier: constants(cx, self.multiplier, n)?,
            shift: constants(cx, self.shift, n)?,
            clamp: self.clamp,
        })
    }
}

/// `count` constants of a plain type.
pub(super) fn constants<'a, T: bytemuck::AnyBitPattern>(
    cx: &Operands<'a>,
    blob: Blob,
    count: u64,
) -> Result<&'a [T], NodeFault> {
    let bytes = cx.constant(blob, count.saturating_mul(size_of::<T>() as u64))?;
    bytemuck::try_cast_slice(bytes)
        .map_err(|_| NodeFault::Constant { offset: blob.0, len: bytes.len() as u32 })
}

/// Checks an elementwise operator from 16 bits to 16 bits and returns its output.
pub(super) fn elementwise<'a>(cx: &Operands<'a>) -> Result<&'a Tensor, NodeFault> {
    cx.arity(1, 1)?;
    cx.rows_follow()?;
    let input = cx.typed(0, DType::I16)?;
    cx.expect(0, DType::I16, input.shape)
}

/// Requires output 0 to have a scale within 0.1 % of 1/32,768, as the reference does.
pub(super) fn unit_scale(cx: &Operands<'_>) -> Result<(), NodeFault> {
    let near = (0.999..=1.001).contains(&(cx.output(0).quant.scale * 32768.0));
    if near { Ok(()) } else { Err(NodeFault::Quantisation(cx.outputs[0])) }
}

/// The 16-bit values of a tensor. No bytes are no values, wherever they are.
pub(super) fn words(bytes: &[u8]) -> Option<&[i16]> {
    values(bytes)
}

/// [`words`] to be written.
pub(super) fn words_mut(bytes: &mut [u8]) -> Option<&mut [i16]> {
    values_mut(bytes)
}

/// The values of a tensor or of working memory. No bytes are no values, wherever they are.
pub(super) fn values<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> Option<&[T]> {
    if bytes.is_empty() { Some(&[]) } else { bytemuck::try_cast_slice(bytes).ok() }
}

/// [`values`] to be written. A file may reserve more working memory than is needed: bytes at its end that make no
/// whole value are left alone.
pub(super) fn values_mut<T: bytemuck::Pod>(bytes: &mut [u8]) -> Option<&mut [T]> {
    let whole = bytes.len() - bytes.len() % size_of::<T>();
    let bytes = bytes.get_mut(..whole)?;
    if bytes.is_empty() { Some(&mut []) } else { bytemuck::try_cast_slice_mut(bytes).ok() }
}
