//! Depthwise convolution.

use super::pack::LANES;
use super::tile::Tile;
use crate::isa::Geometry;

/// Plain
pub(super) fn depthwise(
    t: &Tile<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    let c = g.input.c as usize;
    let width = usize::from(g.window.kernel_w);
    let patch = &mut scratch[..g.window.taps() * c];
    for (i, out) in out.chunks_exact_mut(t.n).enumerate() {
        g.patch(image, first * g.width + i, patch);
        for (ch, out) in out.iter_mut().enumerate() {
            let weights = &t.weights[ch * LANES..][..LANES];
            let sum = patch[ch..].iter().step_by(c).enumerate().fold(0i32, |sum, (tap, &x)| {
                let w = weights[tap % width * 4 + tap / width];
                sum.wrapping_add(i32::from(x) * i32::from(w))
            });
            *out = t.finish(ch, sum);
        }
    }
}
