//! Neon of 64-bit Arm cores, three tiers.

mod base;
mod depthwise;
mod dot;
mod elementwise;
mod i8mm;
mod requant;
mod row;

use super::tile::{self, Tile};
use super::{Geometry, Isa, IsaKind, ProductParams, Reduction, RescaleParams, Source, SumParams};
use base::Base;
use core::marker::PhantomData;
use dot::Dot;
use i8mm::I8mm;
use row::Sum16;

/// What differs from tier to tier.
pub(crate) trait Tier {
    const NAME: &'static str;
    /// Products of many rows.
    type Tile: Tile;
    /// Products of one row.
    type Row: Sum16;
}

impl Tier for Base {
    const NAME: &'static str = "neon";
    type Tile = Self;
    type Row = Self;
}

impl Tier for Dot {
    const NAME: &'static str = "neon-dotprod";
    type Tile = Self;
    type Row = Self;
}

impl Tier for I8mm {
    const NAME: &'static str = "neon-i8mm";
    type Tile = Self;
    type Row = Dot;
}

/// Neon of one tier.
pub(crate) struct Tiered<T>(PhantomData<T>);

/// Every core.
pub(crate) type Neon = Tiered<Base>;
/// Cores with dot products.
pub(crate) type NeonDot = Tiered<Dot>;
/// Cores with matrix products, which have dot products too.
pub(crate) type NeonI8mm = Tiered<I8mm>;

impl<T: Tier> Isa for Tiered<T> {
    const NAME: &'static str = T::NAME;

    fn with_room<R>(run: impl FnOnce(&mut [i8]) -> R) -> R {
        tile::with_room(run)
    }

    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], _: &mut [i8]) {
        tile::matmul::<T::Tile>(p, k, rows, out);
    }

    fn conv(p: &Reduction<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8], scratch: &mut [i8]) {
        tile::conv::<Self, T::Tile>(p, g, image, first, out, scratch);
    }

    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        row::dot::<T::Row>(x, w, input_zero, weight_zero)
    }

    fn depthwise(
        p: &Reduction<'_>,
        g: &Geometry,
        image: &[i8],
        first: usize,
        out: &mut [i8],
        scratch: &mut [i8],
    ) {
        tile::depthwise(p, g, image, first, out, scratch, depthwise::channels);
    }

    fn max(row: &[i8], out: &mut [i8]) {
        elementwise::max(row, out);
    }

    fn accumulate(row: &[i8], sum: &mut [i32]) {
        elementwise::accumulate(row, sum);
    }

    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        elementwise::add(p, a, b, out);
    }

    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        elementwise::mul(p, a, b, out);
    }

    fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
        elementwise::lookup(table, a, out);
    }

    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
        elementwise::rescale(p, a, out);
    }

    fn softmax(exp: &[i32], row: &[i8], out: &mut [i8]) {
        elementwise::softmax(exp, row, out);
    }
}

/// The best tier of this core. Without the operating system's word, which is what `std` asks, the baseline.
pub(super) fn detect() -> IsaKind {
    [IsaKind::NeonI8mm, IsaKind::NeonDot].into_iter().find(|&kind| has(kind)).unwrap_or(IsaKind::Neon)
}

/// Whether this core has a tier.
pub(super) fn has(kind: IsaKind) -> bool {
    #[cfg(feature = "std")]
    let (dot, matrix) =
        (std::arch::is_aarch64_feature_detected!("dotprod"), std::arch::is_aarch64_feature_detected!("i8mm"));
    #[cfg(not(feature = "std"))]
    let (dot, matrix) = (false, false);
    match kind {
        IsaKind::Neon => true,
        IsaKind::NeonDot => dot,
        IsaKind::NeonI8mm => dot && matrix,
        _ => false,
    }
}

#[cfg(test)]
crate::isa::conformance::conforms!(neon, super::Neon, Neon);
#[cfg(test)]
crate::isa::conformance::conforms!(neon_dot, super::NeonDot, NeonDot);
#[cfg(test)]
crate::isa::conformance::conforms!(neon_i8mm, super::NeonI8mm, NeonI8mm);
