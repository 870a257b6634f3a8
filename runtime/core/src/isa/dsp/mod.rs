//! DSP extension of Armv7E-M and Armv8-M.

#[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-dsp"))]
mod asm;
mod depthwise;
#[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-dsp"))]
mod elementwise;
mod full;
#[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-dsp"))]
mod gather;
#[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-dsp"))]
mod kernel;
#[cfg(not(all(target_arch = "arm", target_os = "none", feature = "isa-dsp")))]
#[path = "absent.rs"]
mod kernel;

use super::{Geometry, Isa, Layer, PackedLen, Reduction, Source, SumParams, Taps, generic};
use crate::quant::Requant;
use crate::shape::Window;

/// Cortex-M4, M7, M33.
pub(crate) struct Dsp;

/// Pixels that a tile computes at once.
const TILE: usize = 3;

/// Bytes of a tile's values as halfwords.
const fn tile_bytes(taps: Taps) -> usize {
    full::words(taps).saturating_mul(4 * TILE)
}

/// Bytes of working memory for `outputs` bytes of results of such tiles: none where the end of the results, which is
/// written last, serves as such.
const fn tiles_scratch(taps: Taps, outputs: usize) -> usize {
    let bytes = tile_bytes(taps);
    if outputs / 8 > bytes { 0 } else { bytes }
}

impl Isa for Dsp {
    const NAME: &'static str = "dsp";

    fn conv_scratch(taps: Taps, n: usize, pixels: usize) -> usize {
        let tiles = tiles_scratch(taps, pixels.saturating_mul(n));
        // Without, the last pixels are gathered as bytes, which lie as their halfwords where runs are whole fours.
        if tiles == 0 && taps.len.is_multiple_of(4) { taps.total() } else { tile_bytes(taps) }
    }

    fn rows_scratch(taps: Taps, n: usize, rows: usize) -> usize {
        if rows < TILE { 0 } else { tiles_scratch(taps, rows.saturating_mul(n)) }
    }

    // Inlined, so that a program with packed models alone links no kernel of portable ones.
    #[inline(always)]
    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
        match p.packed {
            Some(constants) => full::matmul(p, constants, k, rows, out, scratch),
            None => kernel::portable(p, k, rows, out, scratch),
        }
    }

    #[inline(always)]
    fn conv(p: &Reduction<'_>, g: &Geometry, image: &[i8], first: usize, out: &mut [i8], scratch: &mut [i8]) {
        match p.packed {
            Some(constants) => full::conv(p, constants, g, image, first, out, scratch),
            None => generic::conv::<Self>(p, g, image, first, out, scratch),
        }
    }

    #[cfg(all(target_arch = "arm", target_os = "none", feature = "isa-dsp"))]
    fn project(x: &[i8], w: &[i8], zero: i32, bias: Option<&[i32]>, factor: Requant, out: &mut [i16]) {
        kernel::project(x, w, zero, bias, factor, out);
    }

    fn depthwise_scratch(g: &Geometry, multiplier: usize) -> usize {
        match g.input.c {
            1 => tile_bytes(g.taps()),
            _ if multiplier == 1 => 0,
            c => g.window.taps() * c as usize,
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
        let c = g.input.c as usize;
        match p.packed {
            Some(constants) if c == 1 => full::conv(p, constants, g, image, first * g.width, out, scratch),
            Some(constants) => depthwise::rows(p, constants, g, image, first, out),
            None if scratch.len() < g.window.taps() * c => depthwise::portable(p, g, image, first, out),
            None => generic::depthwise(p, g, image, first, out, scratch),
        }
    }

    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        kernel::dot(x, w, input_zero, weight_zero)
    }

    fn dots(x: &[i8], w: &[i8], input_zero: i32, sums: &mut [i32]) {
        kernel::dots(x, w, input_zero, sums);
    }

    fn max(row: &[i8], out: &mut [i8]) {
        kernel::max(row, out);
    }

    fn accumulate(rows: &[i8], sum: &mut [i32]) {
        kernel::accumulate(rows, sum);
    }

    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        kernel::add(p, a, b, out);
    }
}

/// How a layer is packed.
enum Layout {
    /// As one whose outputs read all taps.
    Full { taps: Taps, n: usize },
    /// By fours of channels.
    Depthwise { window: Window, c: usize },
}

fn layout(layer: &Layer) -> Option<Layout> {
    match *layer {
        Layer::Full { taps, n } => Some(Layout::Full { taps, n }),
        // All outputs read the one channel there is.
        Layer::Depthwise { window, c: 1, multiplier } => {
            Some(Layout::Full { taps: Taps::of_window(&window, 1), n: multiplier })
        }
        Layer::Depthwise { window, c, multiplier: 1 } => Some(Layout::Depthwise { window, c }),
        Layer::Depthwise { .. } | Layer::Transposed { .. } => None,
    }
}

/// Lengths of the packed constants of a layer, `None` where the layer keeps its portable form.
pub(super) fn packed(layer: &Layer) -> Option<PackedLen> {
    Some(match layout(layer)? {
        Layout::Full { taps, n } => full::packed(taps, n),
        Layout::Depthwise { window, c } => depthwise::packed(&window, c),
    })
}

/// Bias and factor of channel `c` of a packed layer.
pub(super) fn channel(layer: &Layer, constants: &[i32], c: usize) -> (i32, Requant) {
    match layout(layer) {
        Some(Layout::Full { .. }) => full::channel(constants, c),
        Some(Layout::Depthwise { window, .. }) => depthwise::channel(&window, constants, c),
        None => (0, Requant::ZERO),
    }
}

/// The weights and channel constants of `p`, packed, where [`packed`] has their lengths.
#[cfg(feature = "encode")]
pub(super) fn pack(layer: &Layer, p: &Reduction<'_>) -> super::Packed {
    match layout(layer) {
        Some(Layout::Full { taps, .. }) => full::pack(taps, matches!(layer, Layer::Depthwise { .. }), p),
        Some(Layout::Depthwise { window, .. }) => depthwise::pack(&window, p),
        None => super::Packed { weights: alloc::vec::Vec::new(), constants: alloc::vec::Vec::new() },
    }
}
