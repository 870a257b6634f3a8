//! Helium: Cortex-M55, M85.

mod conv;
mod copy;
mod depthwise;
#[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-mve"))]
#[allow(unsafe_code, reason = "Helium registers cannot leave an assembly block")]
mod gemm;
mod pack;
mod tile;

#[cfg(feature = "encode")]
pub(super) use pack::pack;
pub(super) use pack::{channel, packed};

use super::{
    Geometry, Isa, Layer, ProductParams, Reduction, RescaleParams, Scalar, Source, SumParams, Taps, generic,
};
use pack::{LANES, padded};
use tile::Tile;

/// Cortex-M55, M85.
pub(crate) struct Mve;

impl Isa for Mve {
    const NAME: &'static str = "mve";
    const PATCHES: usize = 1;

    fn conv_scratch(taps: Taps, _: usize) -> usize {
        conv::conv_scratch(taps)
    }

    fn rows_scratch(taps: Taps, _: usize, _: usize) -> usize {
        conv::rows_scratch(taps.total())
    }

    fn depthwise_scratch(g: &Geometry, multiplier: usize) -> usize {
        let layer = Layer::Depthwise { window: g.window, c: g.input.c as usize, multiplier };
        match pack::computed(&layer) {
            Layer::Full { taps, .. } => conv::conv_scratch(taps),
            _ => g.window.taps() * g.input.c as usize,
        }
    }

    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
        match Tile::new(p, padded(k)) {
            Some(tile) => conv::rows(&tile, k, rows, k, out, scratch),
            None => Scalar::matmul(p, k, rows, out, scratch),
        }
    }

    fn conv(p: &Reduction<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8], scratch: &mut [i8]) {
        match Tile::new(p, padded(g.taps().total())) {
            Some(tile) => conv::conv(&tile, g, image, first, out, scratch),
            None => generic::conv::<Self>(p, g, image, first, out, scratch),
        }
    }

    fn depthwise(
        p: &Reduction<'_>,
        g: &Geometry,
        image: &[i8],
        first: usize,
        out: &mut [i8],
        scratch: &mut [i8],
    ) {
        let full = g.input.c == 1;
        let taps = if full { padded(g.window.taps()) } else { LANES };
        match Tile::new(p, taps) {
            Some(tile) if full => conv::conv(&tile, g, image, first * g.width, out, scratch),
            Some(tile) => depthwise::depthwise(&tile, g, image, first, out, scratch),
            None => generic::depthwise(p, g, image, first, out, scratch),
        }
    }

    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        Scalar::dot(x, w, input_zero, weight_zero)
    }

    fn max(row: &[i8], out: &mut [i8]) {
        Scalar::max(row, out);
    }

    fn accumulate(row: &[i8], sum: &mut [i32]) {
        Scalar::accumulate(row, sum);
    }

    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::add(p, a, b, out);
    }

    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::mul(p, a, b, out);
    }

    fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
        Scalar::lookup(table, a, out);
    }

    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
        Scalar::rescale(p, a, out);
    }

    fn softmax(exp: &[i32], row: &[i8], out: &mut [i8]) {
        Scalar::softmax(exp, row, out);
    }
}
