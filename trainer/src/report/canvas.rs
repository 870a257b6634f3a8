//! Filled boxes, and the colours that all pictures share.

use image::{Rgb, RgbImage};

/// Background.
pub(super) const PAPER: Rgb<u8> = Rgb([250, 250, 248]);
/// Text.
pub(super) const INK: [u8; 3] = [30, 32, 36];
/// Secondary text and frames.
pub(super) const FAINT: [u8; 3] = [110, 112, 118];
/// Lines behind a chart.
pub(super) const GRID: [u8; 3] = [222, 222, 220];

/// Fills the box at `(x, y)` of size `(w, h)`; what lies outside of the picture is cut.
pub(super) fn fill(picture: &mut RgbImage, (x, y): (u32, u32), (w, h): (u32, u32), colour: [u8; 3]) {
    let colour = Rgb(colour);
    for py in y..(y.saturating_add(h)).min(picture.height()) {
        for px in x..(x.saturating_add(w)).min(picture.width()) {
            picture.put_pixel(px, py, colour);
        }
    }
}
