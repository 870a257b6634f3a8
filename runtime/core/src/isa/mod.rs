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

#[cfg(feature = "encode")]
pub(crate) use layer::Packed;
pub(crate) use layer::{Layer, PackedLen};
pub(crate) use wide::{Biases, RectifyParams, SigmoidParams, SoftmaxParams, WideReduction};
pub(crate) use window::{Geometry, Taps};

use crate::fixed16::{SIGMOID_ENTRIES, TABLE_ENTRIES};
use crate::quant::{Clamp, Clamp16, Requant};

/// Instruction set that a session runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum IsaKind {
    /// Plain Rust, on every core.
    Scalar,
    /// DSP extension of Armv7E-M and Armv8-M: Cortex-M4, M7, M33.
    Dsp,
    /// Helium: Cortex-M55, M85.
    Mve,
    /// Neon of every 64-bit Arm core: Cortex-A53, A72.
    Neon,
    /// Neon with dot products: Cortex-A76.
    NeonDot,
    /// Neon with matrix products of int8.
    NeonI8mm,
    /// AVX2 of x86-64.
    Avx2,
    /// AVX-512 VNNI of x86-64.
    Vnni,
}

/// Core that the constants of a file are packed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Target {
    /// Every core.
    Portable,
    /// Cores with the DSP extension.
    CortexM4,
    /// Cores with Helium.
    CortexM55,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 3] = [Self::Portable, Self::CortexM4, Self::CortexM55];

    /// The number in the header of a file.
    pub const fn number(self) -> u8 {
        match self {
            Self::Portable => 0,
            Self::CortexM4 => 1,
            Self::CortexM55 => 2,
        }
    }

    /// The target with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.number() == number)
    }

    /// Name as a person types it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::CortexM4 => "cortex-m4",
            Self::CortexM55 => "cortex-m55",
        }
    }

    /// Instruction sets that a file of this target is planned for: working memory is the most that one of them likes to
    /// have. Those of larger cores make do with it.
    #[cfg(feature = "encode")]
    pub const fn planned(self) -> &'static [IsaKind] {
        match self {
            Self::Portable => &[IsaKind::Scalar, IsaKind::Dsp, IsaKind::Mve],
            Self::CortexM4 => &[IsaKind::Dsp],
            Self::CortexM55 => &[IsaKind::Mve],
        }
    }

    /// The instruction set that runs files of this target in this build, if there is one.
    ///
    /// A host that writes files runs those of every target: with the same layouts, in plain Rust.
    pub fn isa(self) -> Option<IsaKind> {
        self.runs_here().then(|| match self {
            Self::Portable => IsaKind::native(),
            Self::CortexM4 => IsaKind::Dsp,
            Self::CortexM55 => IsaKind::Mve,
        })
    }

    /// Whether this build has an instruction set that runs files of this target.
    pub const fn runs_here(self) -> bool {
        match self {
            Self::Portable => true,
            Self::CortexM4 => cfg!(any(feature = "isa-dsp", feature = "encode")),
            Self::CortexM55 => cfg!(any(feature = "isa-mve", feature = "encode")),
        }
    }

    /// Bias and factor of channel `c` of a packed layer.
    pub(crate) fn channel(self, layer: &Layer, constants: &[i32], c: usize) -> (i32, Requant) {
        match self {
            #[cfg(any(feature = "isa-dsp", feature = "encode"))]
            Self::CortexM4 => dsp::channel(layer, constants, c),
            #[cfg(any(feature = "isa-mve", feature = "encode"))]
            Self::CortexM55 => mve::channel(layer, constants, c),
            // Nothing is packed.
            _ => {
                let _ = (layer, constants, c);
                (0, Requant::ZERO)
            }
        }
    }

    /// The weights and channel constants of `p`, which are portable, packed; `None` where the layer keeps its form.
    #[cfg(feature = "encode")]
    pub(crate) fn pack(self, layer: &Layer, p: &Reduction<'_>) -> Option<Packed> {
        self.packed(layer)?;
        match self {
            Self::Portable => None,
            Self::CortexM4 => Some(dsp::pack(layer, p)),
            Self::CortexM55 => Some(mve::pack(layer, p)),
        }
    }

    /// Lengths of the packed constants of a layer, `None` where the layer keeps its portable form.
    pub(crate) fn packed(self, layer: &Layer) -> Option<PackedLen> {
        match self {
            #[cfg(any(feature = "isa-dsp", feature = "encode"))]
            Self::CortexM4 => dsp::packed(layer),
            #[cfg(any(feature = "isa-mve", feature = "encode"))]
            Self::CortexM55 => mve::packed(layer),
            _ => {
                let _ = layer;
                None
            }
        }
    }
}

/// Evaluates an expression with `$isa` as the type of the instruction set `$kind`; one that this build does not have
/// runs as plain Rust, which has the same bits.
macro_rules! every_isa {
    ($kind:expr, $isa:ident => $value:expr) => {
        match $kind {
            #[cfg(any(feature = "isa-dsp", feature = "encode"))]
            $crate::isa::IsaKind::Dsp => {
                type $isa = $crate::isa::Dsp;
                $value
            }
            #[cfg(any(feature = "isa-mve", feature = "encode"))]
            $crate::isa::IsaKind::Mve => {
                type $isa = $crate::isa::Mve;
                $value
            }
            #[cfg(target_arch = "aarch64")]
            $crate::isa::IsaKind::Neon => {
                type $isa = $crate::isa::Neon;
                $value
            }
            #[cfg(target_arch = "aarch64")]
            $crate::isa::IsaKind::NeonDot => {
                type $isa = $crate::isa::NeonDot;
                $value
            }
            #[cfg(target_arch = "aarch64")]
            $crate::isa::IsaKind::NeonI8mm => {
                type $isa = $crate::isa::NeonI8mm;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            $crate::isa::IsaKind::Avx2 => {
                type $isa = $crate::isa::Avx2;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            $crate::isa::IsaKind::Vnni => {
                type $isa = $crate::isa::Vnni;
                $value
            }
            _ => {
                type $isa = $crate::isa::Scalar;
                $value
            }
        }
    };
}

/// As `every_isa`, for kernels: a microcontroller's build has one instruction set and links no other.
macro_rules! on_isa {
    ($kind:expr, $isa:ident => $value:expr) => {{
        #[cfg(any(feature = "std", feature = "encode"))]
        let done = $crate::isa::every_isa!($kind, $isa => $value);
        #[cfg(not(any(feature = "std", feature = "encode")))]
        let done = {
            type $isa = $crate::isa::Native;
            let _ = $kind;
            $value
        };
        done
    }};
}
#[cfg_attr(
    not(any(feature = "std", feature = "encode")),
    expect(unused_imports, reason = "only kernels of hosts choose")
)]
pub(crate) use every_isa;
pub(crate) use on_isa;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::{Avx2, Vnni};
#[cfg(any(feature = "isa-dsp", feature = "encode"))]
pub(crate) use dsp::Dsp;
#[cfg(any(feature = "isa-mve", feature = "encode"))]
pub(crate) use mve::Mve;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::{Neon, NeonDot, NeonI8mm};
pub(crate) use scalar::Scalar;

/// The only instruction set of a microcontroller's build.
#[cfg(all(feature = "isa-mve", not(any(feature = "std", feature = "encode"))))]
pub(crate) type Native = Mve;
/// The only instruction set of a microcontroller's build.
#[cfg(all(feature = "isa-dsp", not(feature = "isa-mve"), not(any(feature = "std", feature = "encode"))))]
pub(crate) type Native = Dsp;
/// The only instruction set of a microcontroller's build.
#[cfg(not(any(feature = "isa-dsp", feature = "isa-mve", feature = "std", feature = "encode")))]
pub(crate) type Native = Scalar;

impl IsaKind {
    /// The instruction set that sessions of this build use on this core for portable files.
    pub fn native() -> Self {
        #[cfg(target_arch = "aarch64")]
        return neon::detect();
        #[cfg(target_arch = "x86_64")]
        return avx2::detect();
        #[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
        if cfg!(any(feature = "std", feature = "encode")) {
            Self::Scalar
        } else if cfg!(feature = "isa-mve") {
            Self::Mve
        } else if cfg!(feature = "isa-dsp") {
            Self::Dsp
        } else {
            Self::Scalar
        }
    }

    /// Whether this build and this core have the instruction set.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => {
                cfg!(any(feature = "std", feature = "encode"))
                    || !cfg!(any(feature = "isa-dsp", feature = "isa-mve"))
            }
            Self::Dsp => cfg!(any(feature = "isa-dsp", feature = "encode")),
            Self::Mve => cfg!(any(feature = "isa-mve", feature = "encode")),
            #[cfg(target_arch = "aarch64")]
            Self::Neon | Self::NeonDot | Self::NeonI8mm => neon::has(self),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::Vnni => avx2::has(self),
            #[allow(unreachable_patterns, reason = "no architecture has all")]
            _ => false,
        }
    }

    /// Every instruction set, from the plainest on.
    pub const ALL: [Self; 8] = [
        Self::Scalar,
        Self::Dsp,
        Self::Mve,
        Self::Neon,
        Self::NeonDot,
        Self::NeonI8mm,
        Self::Avx2,
        Self::Vnni,
    ];

    /// Name as printed in reports.
    pub const fn name(self) -> &'static str {
        every_isa!(self, I => <I as Isa>::NAME)
    }

    /// Bytes of working memory that a convolution of so many output pixels at once likes to have.
    pub(crate) fn conv_scratch(self, taps: Taps, n: usize, pixels: usize) -> usize {
        every_isa!(self, I => I::image_scratch(taps, n, pixels))
    }

    /// Bytes of working memory that a product with `rows` rows likes to have.
    pub(crate) fn rows_scratch(self, taps: Taps, n: usize, rows: usize) -> usize {
        every_isa!(self, I => I::rows_scratch(taps, n, rows))
    }

    /// Bytes of working memory that a depthwise convolution likes to have.
    pub(crate) fn depthwise_scratch(self, g: &Geometry, multiplier: usize) -> usize {
        every_isa!(self, I => I::depthwise_scratch(g, multiplier))
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
/// Those with a default are defined by it: an instruction set overrides those that it can do faster.
///
/// `scratch` is as long as the function `…_scratch` says for this instruction set *or shorter*, because a portable
/// file is planned for other instruction sets too and an old one for none: kernels look at its length and do with less. In a
/// file that is packed for this instruction set it is long enough. It begins at a 16-byte boundary.
pub(crate) trait Isa {
    /// Name as printed in reports.
    const NAME: &'static str;
    /// Rows that [`Isa::matmul`] likes to get at once.
    const PATCHES: usize;

    /// Bytes that [`Isa::conv`] likes to have; at least one patch.
    fn conv_scratch(taps: Taps, n: usize) -> usize {
        let _ = n;
        taps.total() * Self::PATCHES
    }

    /// [`Isa::conv_scratch`] where the output has so many pixels.
    fn image_scratch(taps: Taps, n: usize, pixels: usize) -> usize {
        let _ = pixels;
        Self::conv_scratch(taps, n)
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
    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]);

    /// Convolution of one image: the output pixels from `first` on, row by row, as many as `out`, `[m, n]`, holds.
    ///
    /// Portable weights are `[n, kernel_h, kernel_w, c]`; packed ones those of `Layer::Full`.
    fn conv(p: &Reduction<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8], scratch: &mut [i8]) {
        generic::conv::<Self>(p, g, image, first, out, scratch);
    }

    /// `sum_k (x[k] - input_zero) * (w[k] - weight_zero)`; `x` and `w` have the same length.
    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32;

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
    fn max(row: &[i8], out: &mut [i8]);

    /// [`Isa::max`] of each row of `rows`, `[k, n]`.
    fn max_rows(rows: &[i8], out: &mut [i8]) {
        rows.chunks_exact(out.len()).for_each(|row| Self::max(row, out));
    }

    /// `sum[i] += row[i]`.
    fn accumulate(row: &[i8], sum: &mut [i32]);

    /// [`Isa::accumulate`] of each row of `rows`, `[k, n]`.
    fn accumulate_rows(rows: &[i8], sum: &mut [i32]) {
        rows.chunks_exact(sum.len()).for_each(|row| Self::accumulate(row, sum));
    }

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
