//! Helium: Cortex-M55, M85.
//!
//! [`pack`] says how layers lie in memory, [`conv`] and [`depthwise`] how the rows that a loop reads come about. The loops
//! themselves are `native`: assembly on these cores, plain Rust over the same layout elsewhere.

mod conv;
mod depthwise;
#[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-mve"))]
#[allow(unsafe_code, reason = "Helium registers cannot leave an assembly block")]
mod helium;
mod pack;
#[cfg(not(all(target_arch = "arm", target_os = "none", feature = "isa-mve")))]
mod plain;
mod tile;

#[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-mve"))]
use helium as native;
#[cfg(not(all(target_arch = "arm", target_os = "none", feature = "isa-mve")))]
use plain as native;

#[cfg(feature = "encode")]
pub(super) use pack::pack;
pub(super) use pack::{channel, packed};

use super::{
    Geometry, Isa, Layer, ProductParams, Reduction, RescaleParams, SigmoidParams, Source, SumParams, Taps,
    generic,
};
use crate::fixed16::SIGMOID_ENTRIES;
use crate::quant::Requant;
use pack::{LANES, padded};
use tile::Tile;

/// Cortex-M55, M85.
pub(crate) struct Mve;

// The parser has proved the lengths that a tile asks for.

fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
    match Tile::new(p, padded(k)) {
        Some(tile) if tile.taps() == k => native::rows(&tile, rows, k, out),
        Some(tile) => conv::rows(&tile, k, rows, k, out, scratch),
        None => {}
    }
}

fn full_conv(
    p: &Reduction<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    if let Some(tile) = Tile::new(p, padded(g.taps().total())) {
        conv::conv(&tile, g, image, first, out, scratch);
    }
}

impl Isa for Mve {
    const NAME: &'static str = "mve";

    fn conv_scratch(taps: Taps, _: usize, _: usize) -> usize {
        conv::conv_scratch(taps)
    }

    fn rows_scratch(taps: Taps, _: usize, _: usize) -> usize {
        conv::rows_scratch(taps.total())
    }

    fn depthwise_scratch(g: &Geometry, multiplier: usize) -> usize {
        let layer = Layer::Depthwise { window: g.window, c: g.input.c as usize, multiplier };
        match pack::computed(&layer) {
            Layer::Full { taps, .. } => conv::conv_scratch(taps),
            _ if pack::packed(&layer).is_some() => depthwise::scratch(g),
            _ => g.window.taps() * g.input.c as usize,
        }
    }

    // Inlined, so that a program with packed models alone links no kernel of portable ones.
    #[inline(always)]
    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
        match p.packed {
            Some(_) => matmul(p, k, rows, out, scratch),
            None => generic::matmul::<Self>(p, k, rows, out),
        }
    }

    #[inline(always)]
    fn conv(p: &Reduction<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8], scratch: &mut [i8]) {
        match p.packed {
            Some(_) => full_conv(p, g, image, first, out, scratch),
            None => generic::conv::<Self>(p, g, image, first, out, scratch),
        }
    }

    #[inline(always)]
    fn depthwise(
        p: &Reduction<'_>,
        g: &Geometry,
        image: &[i8],
        first: usize,
        out: &mut [i8],
        scratch: &mut [i8],
    ) {
        match p.packed {
            Some(_) if g.input.c == 1 => full_conv(p, g, image, first * g.width, out, scratch),
            Some(_) => {
                if let Some(tile) = Tile::new(p, LANES) {
                    native::depthwise(&tile, g, image, first, out, scratch);
                }
            }
            None => generic::depthwise(p, g, image, first, out, scratch),
        }
    }

    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        native::dot(x, w, input_zero, weight_zero)
    }

    fn max(row: &[i8], out: &mut [i8]) {
        native::max_rows(row, out);
    }

    fn max_rows(rows: &[i8], out: &mut [i8]) {
        native::max_rows(rows, out);
    }

    fn accumulate(row: &[i8], sum: &mut [i32]) {
        native::accumulate_rows(row, sum);
    }

    fn accumulate_rows(rows: &[i8], sum: &mut [i32]) {
        native::accumulate_rows(rows, sum);
    }

    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        native::add(p, a, b, out);
    }

    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        native::mul(p, a, b, out);
    }

    fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
        native::lookup(table, a, out);
    }

    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
        native::rescale(p, a, out);
    }

    fn project(x: &[i8], w: &[i8], zero: i32, bias: Option<&[i32]>, factor: Requant, out: &mut [i16]) {
        native::project(x, w, zero, bias, factor, out);
    }

    fn logistic16(p: &SigmoidParams, table: &[u16; SIGMOID_ENTRIES], a: Source<'_, i16>, out: &mut [i16]) {
        native::logistic16(p, table, a, out);
    }

    fn tanh16(p: &SigmoidParams, table: &[u16; SIGMOID_ENTRIES], a: Source<'_, i16>, out: &mut [i16]) {
        native::tanh16(p, table, a, out);
    }
}
