//! Layer normalisation.

use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::fixed::inverse_root64;
use crate::format::{Blob, DType};
use crate::isa::Isa;
use crate::quant::{Clamp, Requant};
use serde::{Deserialize, Serialize};

/// Every pixel or row less the mean of its channels, over their standard deviation, times `gamma` plus `beta` (Ba et al.
/// 2016), int8.
///
/// Input and output `[n, h, w, c]` with at most 4,096 channels; rows may be bounded. Mean and variance are exact: with
/// `d = c·q − Σq`, which the zero point leaves alone, and `S = c·Σq² − (Σq)² + epsilon` the normalised value is `d / √S`. It
/// has [`fraction`] bits of fraction, a magnitude of at most `√(c − 1)`, and so 16 bits; the 32-bit accumulator
/// `normalised · gamma + beta` cannot overflow. `docs/numerics.md` derives the bound of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LayerNorm {
    /// i16 per channel, not −32,768.
    pub gamma: Blob,
    /// i32 per channel in units of normalised value times `gamma`, at most 2^30 in magnitude.
    pub beta: Blob,
    /// `c² · ε` in squares of the input's steps, at most 2^62.
    pub epsilon: u64,
    /// Accumulator to steps of the output.
    pub scale: Requant,
}

/// Most channels: nine bits of fraction are left to each normalised value.
const CHANNELS: u32 = 4096;
/// Largest magnitude of a bias: half of the accumulator.
const LARGEST_BETA: u32 = 1 << 30;
/// Largest epsilon, so that no sum of squares overflows.
const LARGEST_EPSILON: u64 = 1 << 62;

/// Bits of fraction of a normalised value of so many channels: `√c · 2^fraction` is at most 2^15.
pub const fn fraction(channels: u32) -> u32 {
    let bits = u32::BITS - channels.saturating_sub(1).leading_zeros();
    15 - bits.div_ceil(2)
}

/// What is the same for a whole row.
struct Row {
    channels: i32,
    sum: i32,
    /// The inverse root, with so many bits of fraction more than a normalised value has.
    root: u32,
    shift: u32,
}

impl Row {
    fn new(x: &[i8], epsilon: u64) -> Self {
        let (mut sum, mut squares) = (0i32, 0u32);
        for &q in x {
            sum += i32::from(q);
            squares += i32::from(q).pow(2) as u32;
        }
        let channels = x.len() as u32;
        let spread = u64::from(squares) * u64::from(channels) - (i64::from(sum) * i64::from(sum)) as u64;
        let (root, pairs) = inverse_root64(spread + epsilon);
        // At least 17: pairs is at most 31 and the fraction at most 15.
        Self { channels: channels as i32, sum, root, shift: 63 - fraction(channels) - pairs }
    }

    /// A value less the mean over the deviation, with [`fraction`] bits of fraction.
    #[inline(always)]
    fn normalise(&self, q: i8) -> i32 {
        let exact = i64::from(i32::from(q) * self.channels - self.sum) * i64::from(self.root);
        let rounded = (exact + (1i64 << (self.shift - 1))) >> self.shift;
        (rounded as i32).clamp(-i32::from(i16::MAX), i32::from(i16::MAX))
    }
}

impl Operator for LayerNorm {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.gamma, &mut self.beta]
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I8)?;
        cx.expect(0, DType::I8, input.shape)?;
        let channels = input.shape.c;
        if channels > CHANNELS {
            return Err(NodeFault::Reduction { found: channels, limit: CHANNELS });
        }
        if self.epsilon > LARGEST_EPSILON {
            return Err(NodeFault::Attribute);
        }
        if !self.scale.is_valid() {
            return Err(NodeFault::Requant { channel: 0 });
        }
        let gamma: &[i16] = bytemuck::cast_slice(cx.constant(self.gamma, 2 * u64::from(channels))?);
        let beta: &[i32] = bytemuck::cast_slice(cx.constant(self.beta, 4 * u64::from(channels))?);
        let outside = |i: usize, found: u32| NodeFault::Index { at: i as u32, found };
        if let Some(i) = gamma.iter().position(|&g| g == i16::MIN) {
            return Err(outside(i, i16::MIN as u32));
        }
        match beta.iter().position(|b| b.unsigned_abs() > LARGEST_BETA) {
            Some(i) => Err(outside(i, beta.get(i).map_or(0, |&b| b as u32))),
            None => Ok(()),
        }
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let shape = io.input_shape(0);
        let zero = i32::from(io.operands.output(0).quant.zero_point);
        let gamma = io.operands.constant(self.gamma, 2 * u64::from(shape.c)).ok()?;
        let beta = io.operands.constant(self.beta, 4 * u64::from(shape.c)).ok()?;
        let (gamma, beta): (&[i16], &[i32]) = (bytemuck::cast_slice(gamma), bytemuck::cast_slice(beta));
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        for (x, y) in x.chunks_exact(gamma.len()).zip(y.chunks_exact_mut(gamma.len())) {
            let row = Row::new(x, self.epsilon);
            for (((y, &q), &gamma), &beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                let value = self.scale.apply(row.normalise(q) * i32::from(gamma) + beta);
                *y = Clamp::FULL.apply(value.wrapping_add(zero));
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, fraction};

    /// Half a unit for the rounding, and for what root and quotient cut off: 2^-31 of at most 2^15.
    const BOUND: f64 = 0.5001;

    #[test]
    fn normalised_values_are_exact_to_half_a_unit() {
        let mut state = 1u64;
        let mut draw = move |limit: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i64 % (2 * limit + 1) - limit
        };
        let mut buffer = [0i8; 4096];
        for channels in [1usize, 2, 3, 4, 5, 32, 33, 255, 1024, 4096] {
            for spread in [0, 1, 7, 127] {
                for epsilon in [0u64, 1, 1_000, 1 << 40] {
                    let x = &mut buffer[..channels];
                    let mean = draw(127 - spread);
                    x.iter_mut().for_each(|q| *q = (mean + draw(spread)) as i8);
                    // One value far from the others is as large as any can be.
                    x[0] = if spread == 1 { i8::MIN } else { x[0] };
                    let row = Row::new(x, epsilon);
                    let c = channels as f64;
                    let mean = x.iter().map(|&q| f64::from(q)).sum::<f64>() / c;
                    let squares: f64 = x.iter().map(|&q| (f64::from(q) - mean) * (f64::from(q) - mean)).sum();
                    let deviation = libm::sqrt((squares / c + epsilon as f64 / (c * c)).max(1.0 / (c * c)));
                    let unit = f64::from(1u32 << fraction(channels as u32));
                    for &q in x.iter() {
                        let exact = (f64::from(q) - mean) / deviation * unit;
                        let error = f64::from(row.normalise(q)) - exact;
                        assert!(error.abs() <= BOUND, "{q} of {channels}: off by {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_normalised_value_has_16_bits() {
        for channels in 1..=4096u32 {
            let largest = u64::from(channels) << (2 * fraction(channels));
            assert!(largest <= 1 << 30, "{channels}");
            assert!(channels == 1 || largest > 1 << 27, "{channels} wastes more than a bit and a half");
        }
        assert_eq!([1, 2, 4, 5, 16, 32, 4096].map(fraction), [15, 14, 14, 13, 13, 12, 9]);
    }
}
