//! Instruction sets: one file each, all with the same bits.
//!
//! A kernel here is a **whole inner loop over slices** and knows no operator: a Helium register cannot
//! cross two `asm!` blocks, so nothing smaller can be a seam. Every method states lengths; callers keep
//! them and kernels may rely on them only through slices. [`scalar`] is the definition of each result.

pub(crate) mod scalar;
mod wide;

pub(crate) use wide::{Biases, RectifyParams, SigmoidParams, SoftmaxParams, WideReduction};

use crate::fixed16::{SIGMOID_ENTRIES, TABLE_ENTRIES};
use crate::quant::{Clamp, Requant};

/// Instruction set that a session runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum IsaKind {
    /// Plain Rust, on every core.
    Scalar,
}

impl IsaKind {
    /// The instruction set that sessions of this build use on this core.
    pub const fn native() -> Self {
        Self::Scalar
    }

    /// Name as printed in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => <scalar::Scalar as Isa>::NAME,
        }
    }

    /// Patches that a convolution gathers before it multiplies, on this instruction set.
    pub(crate) const fn patches(self) -> usize {
        match self {
            Self::Scalar => <scalar::Scalar as Isa>::PATCHES,
        }
    }
}

/// Per-channel constants of a reduction; all three have one entry per output channel.
#[derive(Clone, Copy)]
pub(crate) struct Channels<'a> {
    pub(crate) bias: &'a [i32],
    pub(crate) multiplier: &'a [i32],
    pub(crate) shift: &'a [i8],
}

impl Channels<'_> {
    /// Factor of channel `c`.
    #[inline(always)]
    pub(crate) fn requant(&self, c: usize) -> Requant {
        Requant { multiplier: self.multiplier[c], shift: self.shift[c] }
    }
}

/// Constants of a multiply-accumulate kernel.
#[derive(Clone, Copy)]
pub(crate) struct Reduction<'a> {
    /// Weights, layout as the kernel says.
    pub(crate) weights: &'a [i8],
    pub(crate) channels: Channels<'a>,
    pub(crate) input_zero: i32,
    pub(crate) weight_zero: i32,
    pub(crate) output_zero: i32,
    pub(crate) clamp: Clamp,
}

impl Reduction<'_> {
    /// The output of channel `c` for its accumulated sum (bias not yet added).
    #[inline(always)]
    pub(crate) fn finish(&self, c: usize, sum: i32) -> i8 {
        let scaled = self.channels.requant(c).apply(self.channels.bias[c].wrapping_add(sum));
        self.clamp.apply(scaled.wrapping_add(self.output_zero))
    }
}

/// Constants of a requantised sum of two tensors (TensorFlow Lite's int8 `ADD`).
#[derive(Clone, Copy)]
pub(crate) struct SumParams {
    pub(crate) zero: [i32; 2],
    pub(crate) scale: [Requant; 2],
    pub(crate) left_shift: u32,
    pub(crate) output: Requant,
    pub(crate) output_zero: i32,
    pub(crate) clamp: Clamp,
}

/// Constants of a requantised product of two tensors (TensorFlow Lite's int8 `MUL`).
#[derive(Clone, Copy)]
pub(crate) struct ProductParams {
    pub(crate) zero: [i32; 2],
    pub(crate) output: Requant,
    pub(crate) output_zero: i32,
    pub(crate) clamp: Clamp,
}

/// Constants of a change of scale.
#[derive(Clone, Copy)]
pub(crate) struct RescaleParams {
    pub(crate) input_zero: i32,
    pub(crate) scale: Requant,
    pub(crate) output_zero: i32,
}

/// First operand of an elementwise kernel.
pub(crate) enum Source<'a, T = i8> {
    /// The operand stands in the output already and is overwritten.
    InPlace,
    /// The operand, as long as the output.
    From(&'a [T]),
}

/// The kernels. Implementations must give the bits of [`scalar::Scalar`].
///
/// Those of 16-bit values have a default in plain Rust, which is their definition: an instruction set
/// overrides those that it can do faster.
pub(crate) trait Isa {
    /// Name as printed in reports.
    const NAME: &'static str;
    /// Rows that [`Isa::matmul`] likes to get at once.
    const PATCHES: usize;

    /// `out[m, n] = finish(n, sum_k (rows[m, k] - input_zero) * (weights[n, k] - weight_zero))`.
    ///
    /// `rows` is `[m, k]`, weights `[n, k]`, `out` `[m, n]`; `k > 0`, `n` is the number of channels.
    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8]);

    /// `sum_k (x[k] - input_zero) * (w[k] - weight_zero)`; `x` and `w` have the same length.
    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32;

    /// One pixel of a depthwise convolution: `patch` is `[taps, c]`, weights `[taps, c * multiplier]`,
    /// `out` `[c * multiplier]`; output channel `i` reads input channel `i / multiplier`.
    fn depthwise(p: &Reduction<'_>, c: usize, patch: &[i8], out: &mut [i8]);

    /// `out[i] = max(out[i], row[i])`.
    fn max(row: &[i8], out: &mut [i8]);

    /// `sum[i] += row[i]`.
    fn accumulate(row: &[i8], sum: &mut [i32]);

    /// Requantised sum. `b` is as long as `out`, or has one value for all.
    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]);

    /// Requantised product. `b` is as long as `out`, or has one value for all.
    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]);

    /// `out[i] = table[a[i] + 128]`.
    fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]);

    /// Change of scale and zero point.
    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]);

    /// Softmax of one row with scale 1/256 and zero point -128, `exp` as made by
    /// [`fixed::softmax_table`](crate::fixed). Row and `out` have the same length, at most 4,096.
    fn softmax(exp: &[i32], row: &[i8], out: &mut [i8]);

    /// [`Isa::matmul`] of 16-bit rows, which have no zero point:
    /// `out[m, n] = finish(n, sum_k rows[m, k] * (weights[n, k] - weight_zero))`.
    fn matmul16(p: &WideReduction<'_>, k: usize, rows: &[i16], out: &mut [i16]) {
        for (row, out) in rows.chunks_exact(k).zip(out.chunks_exact_mut(p.multiplier.len())) {
            for (c, (weights, out)) in p.weights.chunks_exact(k).zip(out).enumerate() {
                *out = p.finish(c, Self::dot16(row, weights, p.weight_zero));
            }
        }
    }

    /// `sum_k x[k] * (w[k] - weight_zero)`, exact; `x` and `w` have the same length, at most 2^28.
    fn dot16(x: &[i16], w: &[i8], weight_zero: i32) -> i64 {
        wide::dot(x, w, weight_zero)
    }

    /// [`Isa::depthwise`] of 16-bit values.
    fn depthwise16(p: &WideReduction<'_>, c: usize, patch: &[i16], out: &mut [i16]) {
        wide::depthwise(p, c, patch, out);
    }

    /// `out[i] = max(out[i], row[i])`.
    fn max16(row: &[i16], out: &mut [i16]) {
        out.iter_mut().zip(row).for_each(|(out, &x)| *out = (*out).max(x));
    }

    /// `sum[i] += row[i]`.
    fn accumulate16(row: &[i16], sum: &mut [i32]) {
        sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum = sum.wrapping_add(i32::from(x)));
    }

    /// Softmax of one row with scale 1/32768. Row and `out` have the same length, at most 65,536.
    fn softmax16(p: &SoftmaxParams<'_>, row: &[i16], out: &mut [i16]) {
        wide::softmax(p, row, out);
    }

    /// [`Isa::softmax`] with results of scale 1/65,536 and zero point -32,768.
    fn softmax_to16(exp: &[i32], row: &[i8], out: &mut [i16]) {
        wide::softmax_to16(exp, row, out);
    }

    /// Interpolated table ([`fixed16::interpolate`](crate::fixed16)).
    fn lookup16(table: &[i16; TABLE_ENTRIES], a: Source<'_, i16>, out: &mut [i16]) {
        wide::unary(a, out, |x| crate::fixed16::interpolate(table, x));
    }

    /// Logistic function with scale 1/32768.
    fn logistic16(p: &SigmoidParams, table: &[u16; SIGMOID_ENTRIES], a: Source<'_, i16>, out: &mut [i16]) {
        wide::unary(a, out, |x| crate::fixed16::logistic(table, p.argument(x)));
    }

    /// Hyperbolic tangent with scale 1/32768.
    fn tanh16(p: &SigmoidParams, table: &[u16; SIGMOID_ENTRIES], a: Source<'_, i16>, out: &mut [i16]) {
        wide::unary(a, out, |x| crate::fixed16::tanh(table, p.argument(x)));
    }

    /// One factor for positive, another for negative values, then the activation.
    fn rectify16(p: &RectifyParams, a: Source<'_, i16>, out: &mut [i16]) {
        wide::unary(a, out, |x| p.apply(x));
    }
}

/// Index of the largest entry, the first of equals; `row` is not empty.
pub(crate) fn argmax<T: Copy + Ord>(row: &[T]) -> usize {
    let mut best = 0;
    for (i, &value) in row.iter().enumerate() {
        if value > row[best] {
            best = i;
        }
    }
    best
}
