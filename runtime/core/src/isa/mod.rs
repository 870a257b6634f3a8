//! Instruction sets: one file each, all with the same bits.
//!
//! A kernel here is a **whole inner loop over slices** and knows no operator: a Helium register cannot
//! cross two `asm!` blocks, so nothing smaller can be a seam. Every method states lengths; callers keep
//! them and kernels may rely on them only through slices. [`scalar`] is the definition of each result.
//!
//! Weights come in two forms. *Portable* ones are row-major and every instruction set takes them. *Packed* ones are
//! ordered on the host for one [`Target`], together with the constants of each channel; which layers are packed, and
//! how long the parts are, follows from the layer alone ([`Layer`]).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(test)]
mod conformance;
#[cfg(any(feature = "isa-dsp", feature = "encode"))]
mod dsp;
mod generic;
mod kind;
pub(crate) mod layer;
#[cfg(any(feature = "isa-mve", feature = "encode"))]
mod mve;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod parallel;
pub(crate) mod scalar;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod tile;
mod wide;
pub(crate) mod window;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::{Avx2, Vnni};
#[cfg(any(feature = "isa-dsp", feature = "encode"))]
pub(crate) use dsp::Dsp;
#[cfg(not(any(feature = "std", feature = "encode")))]
pub(crate) use kind::Native;
#[cfg_attr(
    not(any(feature = "std", feature = "encode")),
    expect(unused_imports, reason = "only kernels of hosts choose")
)]
pub(crate) use kind::every_isa;
pub(crate) use kind::on_isa;
pub use kind::{IsaKind, Target};
#[cfg(feature = "encode")]
pub(crate) use layer::Packed;
pub(crate) use layer::{Layer, PackedLen};
#[cfg(any(feature = "isa-mve", feature = "encode"))]
pub(crate) use mve::Mve;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::{Neon, NeonDot, NeonI8mm};
pub(crate) use scalar::Scalar;
pub(crate) use wide::{Biases, RectifyParams, SigmoidParams, SoftmaxParams, WideReduction};
pub(crate) use window::{Geometry, Taps};

use crate::fixed16::{SIGMOID_ENTRIES, TABLE_ENTRIES};
use crate::quant::{Clamp, Clamp16, Requant};

/// Per-channel constants of a reduction; all three have one entry per output channel.
#[derive(Clone, Copy)]
pub(crate) struct Channels<'a> {
    pub(crate) bias: &'a [i32],
    pub(crate) multiplier: &'a [i32],
    pub(crate) shift: &'a [i8],
}

impl Channels<'_> {
    /// Where constants are packed.
    pub(crate) const NONE: Self = Channels { bias: &[], multiplier: &[], shift: &[] };

    /// Factor of channel `c`.
    #[inline(always)]
    pub(crate) fn requant(&self, c: usize) -> Requant {
        Requant { multiplier: self.multiplier[c], shift: self.shift[c] }
    }
}

/// Constants of a multiply-accumulate kernel.
#[derive(Clone, Copy)]
pub(crate) struct Reduction<'a> {
    /// Output channels.
    pub(crate) n: usize,
    /// Weights: packed for the instruction set where `packed` is there, else as the kernel says.
    pub(crate) weights: &'a [i8],
    /// Empty where `packed` is there.
    pub(crate) channels: Channels<'a>,
    /// Constants of the channels as the target has them.
    pub(crate) packed: Option<&'a [i32]>,
    pub(crate) input_zero: i32,
    /// 0 where `packed` is there.
    pub(crate) weight_zero: i32,
    pub(crate) output_zero: i32,
    pub(crate) clamp: Clamp,
}

impl Reduction<'_> {
    /// The output of channel `c` for its accumulated sum (bias not yet added).
    #[inline(always)]
    pub(crate) fn finish(&self, c: usize, sum: i32) -> i8 {
        self.scale(self.channels.requant(c), self.channels.bias[c].wrapping_add(sum))
    }

    /// The output for a sum with its bias.
    #[inline(always)]
    pub(crate) fn scale(&self, factor: Requant, sum: i32) -> i8 {
        self.clamp.apply(factor.apply(sum).wrapping_add(self.output_zero))
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
/// Every method has a default, which is its definition: an instruction set overrides those that it can do faster. The
/// elementwise ones are defined by `Scalar`, which therefore has all of them.
///
/// `scratch` is as long as the function `…_scratch` says for this instruction set *or shorter*, because a portable
/// file is planned for other instruction sets too and an old one for none: kernels look at its length and do with less. In a
/// file that is packed for this instruction set it is long enough. It begins at a 16-byte boundary.
pub(crate) trait Isa {
    /// Name as printed in reports.
    const NAME: &'static str;

    /// Bytes that [`Isa::conv`] likes to have where it computes so many pixels at once; at least one patch.
    fn conv_scratch(taps: Taps, n: usize, pixels: usize) -> usize {
        let _ = (n, pixels);
        taps.total()
    }

    /// Bytes that [`Isa::matmul`] likes to have for a network whose product has `rows` rows.
    fn rows_scratch(taps: Taps, n: usize, rows: usize) -> usize {
        let _ = (taps, n, rows);
        0
    }

    /// Bytes that [`Isa::depthwise`] likes to have; at least one patch.
    fn depthwise_scratch(g: &Geometry, multiplier: usize) -> usize {
        let _ = multiplier;
        g.window.taps() * g.input.c as usize
    }

    /// Calls `run` with memory apart from the arena, for results that stand for a moment: none on a microcontroller, some
    /// on a core with a large stack, where a layer in few large pieces is faster than in many small ones.
    #[inline(always)]
    fn with_room<R>(run: impl FnOnce(&mut [i8]) -> R) -> R {
        run(&mut [])
    }

    /// `out[m, n] = finish(n, sum_k (rows[m, k] - input_zero) * (weights[n, k] - weight_zero))`.
    ///
    /// `rows` is `[m, k]`, portable weights `[n, k]`, `out` `[m, n]`; `k > 0`. Packed weights are those of
    /// `Layer::Full` with one run.
    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
        let _ = scratch;
        generic::matmul::<Self>(p, k, rows, out);
    }

    /// Convolution of one image: the output pixels from `first` on, row by row, as many as `out`, `[m, n]`, holds.
    ///
    /// Portable weights are `[n, kernel_h, kernel_w, c]`; packed ones those of `Layer::Full`.
    fn conv(p: &Reduction<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8], scratch: &mut [i8]) {
        generic::conv::<Self>(p, g, image, first, out, scratch);
    }

    /// `sum_k (x[k] - input_zero) * (w[k] - weight_zero)`; `x` and `w` have the same length.
    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        Scalar::dot(x, w, input_zero, weight_zero)
    }

    /// `sums[i] = sum_k (x[k] - input_zero) * w[i, k]`; `w` is `[sums, x]`, `x` is not empty.
    fn dots(x: &[i8], w: &[i8], input_zero: i32, sums: &mut [i32]) {
        for (sum, w) in sums.iter_mut().zip(w.chunks_exact(x.len())) {
            *sum = Self::dot(x, w, input_zero, 0);
        }
    }

    /// `out[n] = saturated(factor * (bias[n] + sum_k (x[k] - zero) * w[n, k]))` in 16 bits; without biases, added to what
    /// `out` holds, saturated again. `w` is `[n, k]`, `out` and `bias` `[n]`; `k > 0`.
    fn project(x: &[i8], w: &[i8], zero: i32, bias: Option<&[i32]>, factor: Requant, out: &mut [i16]) {
        const ROWS: usize = 4;
        let k = x.len();
        for (block, (w, out)) in w.chunks(ROWS * k).zip(out.chunks_mut(ROWS)).enumerate() {
            let mut sums = [0; ROWS];
            Self::dots(x, w, zero, &mut sums[..out.len()]);
            for (i, (out, &sum)) in out.iter_mut().zip(&sums).enumerate() {
                let bias_of = bias.map_or(0, |bias| bias[block * ROWS + i]);
                let value = Clamp16::FULL.apply(factor.apply(sum.wrapping_add(bias_of)));
                *out = if bias.is_some() { value } else { out.saturating_add(value) };
            }
        }
    }

    /// Depthwise convolution of one image: the output rows from `first` on, as many as `out`, `[h, w, n]`, holds.
    ///
    /// Portable weights are `[kernel_h, kernel_w, n]`; packed ones those of `Layer::Depthwise`. Output channel `i`
    /// reads input channel `i / (n / c)`.
    fn depthwise(
        p: &Reduction<'_>,
        g: &Geometry,
        image: &[i8],
        first: usize,
        out: &mut [i8],
        scratch: &mut [i8],
    ) {
        generic::depthwise(p, g, image, first, out, scratch);
    }

    /// `out[i] = max(out[i], row[i])`.
    fn max(row: &[i8], out: &mut [i8]) {
        Scalar::max(row, out);
    }

    /// [`Isa::max`] of each row of `rows`, `[k, n]`.
    fn max_rows(rows: &[i8], out: &mut [i8]) {
        rows.chunks_exact(out.len()).for_each(|row| Self::max(row, out));
    }

    /// `sum[i] += row[i]`.
    fn accumulate(row: &[i8], sum: &mut [i32]) {
        Scalar::accumulate(row, sum);
    }

    /// [`Isa::accumulate`] of each row of `rows`, `[k, n]`.
    fn accumulate_rows(rows: &[i8], sum: &mut [i32]) {
        rows.chunks_exact(sum.len()).for_each(|row| Self::accumulate(row, sum));
    }

    /// Requantised sum. `b` is as long as `out`, or has one value for all.
    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::add(p, a, b, out);
    }

    /// Requantised product. `b` is as long as `out`, or has one value for all.
    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::mul(p, a, b, out);
    }

    /// `out[i] = table[a[i] + 128]`.
    fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
        Scalar::lookup(table, a, out);
    }

    /// Change of scale and zero point.
    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
        Scalar::rescale(p, a, out);
    }

    /// Softmax of one row with scale 1/256 and zero point -128, `exp` as made by
    /// [`fixed::softmax_table`](crate::fixed). Row and `out` have the same length, at most 4,096.
    fn softmax(exp: &[i32], row: &[i8], out: &mut [i8]) {
        Scalar::softmax(exp, row, out);
    }

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
