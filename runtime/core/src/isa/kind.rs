//! Which instruction sets and targets there are, and how one is chosen.

#[cfg(target_arch = "x86_64")]
use super::avx2;
#[cfg(any(feature = "isa-dsp", feature = "encode"))]
use super::dsp;
#[cfg(any(feature = "isa-mve", feature = "encode"))]
use super::mve;
#[cfg(target_arch = "aarch64")]
use super::neon;
use super::{Geometry, Isa, Layer, PackedLen, Taps};
#[cfg(feature = "encode")]
use super::{Packed, Reduction};
use crate::quant::Requant;

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
pub(crate) use every_isa;
pub(crate) use on_isa;

/// The only instruction set of a microcontroller's build.
#[cfg(all(feature = "isa-mve", not(any(feature = "std", feature = "encode"))))]
pub(crate) type Native = super::Mve;
/// The only instruction set of a microcontroller's build.
#[cfg(all(feature = "isa-dsp", not(feature = "isa-mve"), not(any(feature = "std", feature = "encode"))))]
pub(crate) type Native = super::Dsp;
/// The only instruction set of a microcontroller's build.
#[cfg(not(any(feature = "isa-dsp", feature = "isa-mve", feature = "std", feature = "encode")))]
pub(crate) type Native = super::Scalar;

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
        every_isa!(self, I => I::conv_scratch(taps, n, pixels))
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
