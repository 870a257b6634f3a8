//! x86-64 with AVX2, and with AVX-512 VNNI: hosts, on which large sets are evaluated.

mod depthwise;
mod elementwise;
mod requant;
mod row;
mod tile;
mod vnni;

use super::tile as driver;
use super::{Geometry, Isa, IsaKind, ProductParams, Reduction, RescaleParams, Source, SumParams};
use core::arch::x86_64::*;
use core::marker::PhantomData;
use driver::Tile;

/// What differs from tier to tier.
pub(crate) trait Tier: Tile {
    const NAME: &'static str;
}

impl Tier for tile::Pairs {
    const NAME: &'static str = "avx2";
}

impl Tier for vnni::Quads {
    const NAME: &'static str = "avx512-vnni";
}

/// AVX2, with the products of one tier.
pub(crate) struct Tiered<T>(PhantomData<T>);

/// x86-64 with AVX2.
pub(crate) type Avx2 = Tiered<tile::Pairs>;
/// x86-64 with AVX-512 VNNI.
pub(crate) type Vnni = Tiered<vnni::Quads>;

/// Calls a function of a core with AVX2.
macro_rules! avx2 {
    ($call:expr) => {{
        #[allow(unsafe_code, reason = "the feature was detected")]
        // SAFETY: sessions and tests choose the instruction set only on cores that have it.
        unsafe {
            $call
        }
    }};
}

impl<T: Tier> Isa for Tiered<T> {
    const NAME: &'static str = T::NAME;

    fn with_room<R>(run: impl FnOnce(&mut [i8]) -> R) -> R {
        driver::with_room(run)
    }

    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], _: &mut [i8]) {
        driver::matmul::<T>(p, k, rows, out);
    }

    fn conv(p: &Reduction<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8], scratch: &mut [i8]) {
        driver::conv::<Self, T>(p, g, image, first, out, scratch);
    }

    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        avx2!(row::dot(x, w, input_zero, weight_zero))
    }

    fn depthwise(
        p: &Reduction<'_>,
        g: &Geometry,
        image: &[i8],
        first: usize,
        out: &mut [i8],
        scratch: &mut [i8],
    ) {
        driver::depthwise(p, g, image, first, out, scratch, |p, c, band, out| {
            avx2!(depthwise::channels(p, c, band, out));
        });
    }

    fn max(row: &[i8], out: &mut [i8]) {
        avx2!(elementwise::max(row, out));
    }

    fn accumulate(row: &[i8], sum: &mut [i32]) {
        avx2!(elementwise::accumulate(row, sum));
    }

    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        avx2!(elementwise::add(p, a, b, out));
    }

    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        avx2!(elementwise::mul(p, a, b, out));
    }

    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
        avx2!(elementwise::rescale(p, a, out));
    }
}

#[inline]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code, reason = "a load")]
fn load(x: &[i32; 8]) -> __m256i {
    // SAFETY: eight words are there.
    unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code, reason = "a load")]
fn sign_extended(x: &[i8; 16]) -> __m256i {
    // SAFETY: 16 bytes are there.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(x.as_ptr().cast()) })
}

/// The best instruction set of this core.
pub(super) fn detect() -> IsaKind {
    [IsaKind::Vnni, IsaKind::Avx2].into_iter().find(|&kind| has(kind)).unwrap_or(IsaKind::Scalar)
}

/// Whether this core has a tier, as far as the feature `std` lets us ask.
pub(super) fn has(kind: IsaKind) -> bool {
    #[cfg(feature = "std")]
    let (avx2, vnni) = (
        std::arch::is_x86_feature_detected!("avx2"),
        std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vnni"),
    );
    #[cfg(not(feature = "std"))]
    let (avx2, vnni) = (false, false);
    match kind {
        IsaKind::Avx2 => avx2,
        IsaKind::Vnni => avx2 && vnni,
        _ => false,
    }
}

#[cfg(test)]
crate::isa::conformance::conforms!(on_avx2, super::Avx2, Avx2);
#[cfg(test)]
crate::isa::conformance::conforms!(on_vnni, super::Vnni, Vnni);
