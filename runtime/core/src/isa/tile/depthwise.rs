//! Depthwise convolutions with the padding written out in a strip.

use super::{Buffer, STRIP, Strip};
use crate::isa::{Geometry, Reduction, generic};

/// Most taps of a window.
const TAPS: usize = 128;

/// Fewest channels.
pub(in crate::isa) const CHANNELS: usize = 8;

/// One band of output rows.
pub(in crate::isa) struct Band<'a> {
    pub(in crate::isa) taps: &'a [i8],
    /// Where the taps of the first pixel are.
    pub(in crate::isa) offsets: &'a [usize],
    /// Pixels of an output row; taps from one to the next and from row to row.
    pub(in crate::isa) width: usize,
    pub(in crate::isa) step: usize,
    pub(in crate::isa) row: usize,
}

/// [`Isa::depthwise`](crate::isa::Isa::depthwise), band by band.
///
/// `channels(p, c, band, out)` computes all channels of a band; it is called only for [`CHANNELS`] channels or more, from one input channel each or all from one.
pub(in crate::isa) fn depthwise(
    p: &Reduction<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
    channels: impl Fn(&Reduction<'_>, usize, &Band<'_>, &mut [i8]),
) {
    let (c, w) = (g.input.c as usize, &g.window);
    let count = w.taps();
    let suits = p.weight_zero == 0 && (p.n == c || c == 1) && p.n >= CHANNELS && count <= TAPS;
    let strip = if suits { Strip::new(g, 0) } else { None };
    let Some((strip, band)) = strip.map(|s| (s, s.rows(w, STRIP))).filter(|&(_, band)| band > 0) else {
        return generic::depthwise(p, g, image, first, out, scratch);
    };
    let rows = out.len() / (g.width * p.n);
    let row = if w.pad.is_none() { strip.image_row } else { strip.row };
    let mut offsets = [0; TAPS];
    let kernel_w = usize::from(w.kernel_w);
    for (tap, offset) in offsets[..count].iter_mut().enumerate() {
        let (y, x) = (tap / kernel_w, tap % kernel_w);
        *offset = y * usize::from(w.dilation_h) * row + x * usize::from(w.dilation_w) * c;
    }
    let (step, row) = (usize::from(w.stride_w) * c, usize::from(w.stride_h) * row);
    let offsets = &offsets[..count];
    if w.pad.is_none() {
        let taps = &image[first * row..];
        return channels(p, c, &Band { taps, offsets, width: g.width, step, row }, out);
    }
    let band = band.min(rows);
    let mut memory = Buffer::<i8, STRIP>::new();
    let memory = memory.zeroed(if band > 0 { strip.len(w, band) } else { 0 });
    for (first, out) in (first..first + rows).step_by(band.max(1)).zip(out.chunks_mut(band * g.width * p.n)) {
        strip.fill(g, image, first, g.fill, |x, taps| taps.copy_from_slice(x), memory);
        channels(p, c, &Band { taps: memory, offsets, width: g.width, step, row }, out);
    }
}
