//! Text in pictures: one embedded typeface (Hack, OFL/MIT), so that a machine without fonts draws the same.

use ab_glyph::{Font, FontRef, Glyph, ScaleFont, point};
use epaint_default_fonts::HACK_REGULAR;
use image::{Rgb, RgbImage};
use std::sync::OnceLock;

/// Name under which [`register`] makes the typeface known to `plotters`.
pub(super) const FAMILY: &str = "hack";

fn font() -> &'static FontRef<'static> {
    static FONT: OnceLock<FontRef<'static>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(HACK_REGULAR).expect("the embedded font is a font"))
}

/// Makes the typeface known to `plotters`; more than once does no harm.
pub(super) fn register() {
    // Refused only where the bytes are no font, which `font` would have found.
    let _ = plotters::style::register_font(FAMILY, plotters::style::FontStyle::Normal, HACK_REGULAR);
}

/// Glyphs of `text` with their baseline at y = 0, and the pen's position after the last.
fn layout(text: &str, size: f32) -> (Vec<Glyph>, f32) {
    let scaled = font().as_scaled(size);
    let mut pen = 0.0;
    let glyphs = text
        .chars()
        .map(|c| {
            let id = scaled.glyph_id(c);
            let glyph = id.with_scale_and_position(size, point(pen, 0.0));
            pen += scaled.h_advance(id);
            glyph
        })
        .collect();
    (glyphs, pen)
}

/// Width of `text` in pixels at `size` pixels of height.
pub(super) fn width(text: &str, size: f32) -> u32 {
    layout(text, size).1.ceil() as u32
}

/// Draws `text` with its upper left corner at `(x, y)`; what lies outside of the picture is cut.
pub(super) fn draw(picture: &mut RgbImage, (x, y): (i32, i32), size: f32, colour: [u8; 3], text: &str) {
    let ascent = font().as_scaled(size).ascent();
    for glyph in layout(text, size).0 {
        let Some(outline) = font().outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        outline.draw(|gx, gy, coverage| {
            let px = x + bounds.min.x as i32 + gx as i32;
            let py = y + (bounds.min.y + ascent).round() as i32 + gy as i32;
            let inside =
                px >= 0 && py >= 0 && (px as u32) < picture.width() && (py as u32) < picture.height();
            if inside {
                let pixel = picture.get_pixel_mut(px as u32, py as u32);
                *pixel = Rgb(mix(pixel.0, colour, coverage.min(1.0)));
            }
        });
    }
}

/// `a` with the part `t` (0 to 1) of `b`.
pub(super) fn mix(a: [u8; 3], b: [u8; 3], t: f32) -> [u8; 3] {
    let blend = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * t).round() as u8;
    [blend(a[0], b[0]), blend(a[1], b[1]), blend(a[2], b[2])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_leaves_ink_inside_its_width_only() {
        let mut picture = RgbImage::from_pixel(200, 30, Rgb([255; 3]));
        draw(&mut picture, (10, 5), 16.0, [0; 3], "road");
        let inked = |x: u32| (0..30).any(|y| picture.get_pixel(x, y)[0] < 128);
        let end = 10 + width("road", 16.0);
        assert!((10..end).any(inked));
        assert!(!(end + 1..200).any(inked));
    }

    #[test]
    fn text_beyond_the_edge_is_cut() {
        let mut picture = RgbImage::new(8, 8);
        draw(&mut picture, (-20, -6), 16.0, [255; 3], "a long text that leaves on every side");
        assert_eq!(picture.dimensions(), (8, 8));
    }
}
