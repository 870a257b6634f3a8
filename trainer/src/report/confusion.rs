//! Confusion matrices.

use super::canvas::{FAINT, INK, PAPER, fill};
use super::font::{self, mix};
use image::RgbImage;

/// Colour of a cell that holds its whole row.
const FULL: [u8; 3] = [33, 84, 158];
/// Colour of an empty cell.
const EMPTY: [u8; 3] = [238, 240, 242];

/// A row per true class, a column per predicted class; each cell is its part of the row in percent.
///
/// `count(truth, predicted)` gives the pairs. Rows without any pair stay empty.
pub fn picture(title: &str, names: &[String], count: impl Fn(usize, usize) -> u64) -> RgbImage {
    let n = names.len();
    let (cell, size) = (52u32, 14.0);
    let names_width = names.iter().map(|s| font::width(s, size)).max().unwrap_or(0);
    let left = names_width + 28;
    let top = 76u32;
    // A long name under a narrow column needs the space of several lines: they alternate between two.
    let bottom = 76u32;
    let width = (left + cell * n as u32 + 24).max(font::width(title, 18.0) + 40);
    let mut picture = RgbImage::from_pixel(width, top + cell * n as u32 + bottom, PAPER);
    font::draw(&mut picture, (16, 14), 18.0, INK, title);
    font::draw(&mut picture, (16, 44), size, FAINT, "rows: true class; columns: predicted; % of the row");
    for (t, name) in names.iter().enumerate() {
        let row: u64 = (0..n).map(|p| count(t, p)).sum();
        let y = top + cell * t as u32;
        let x = left - 12 - font::width(name, size);
        font::draw(&mut picture, (x as i32, (y + cell / 2 - 8) as i32), size, INK, name);
        for p in 0..n {
            let x = left + cell * p as u32;
            let part = if row == 0 { 0.0 } else { count(t, p) as f32 / row as f32 };
            // The square root shows rare confusions that a linear scale would hide.
            let colour = mix(EMPTY, FULL, part.sqrt());
            fill(&mut picture, (x, y), (cell - 1, cell - 1), colour);
            if row > 0 && part >= 0.0005 {
                let text = if part == 1.0 { "100".into() } else { format!("{:.1}", 100.0 * part) };
                let ink = if part > 0.2 { [255; 3] } else { INK };
                let tx = x + (cell - font::width(&text, size)) / 2;
                font::draw(&mut picture, (tx as i32, (y + cell / 2 - 8) as i32), size, ink, &text);
            }
        }
    }
    let crowded = names_width + 4 > cell;
    for (p, name) in names.iter().enumerate() {
        let centre = left + cell * p as u32 + cell / 2;
        let x = centre as i32 - font::width(name, size) as i32 / 2;
        let line = if crowded { p as u32 % 2 } else { 0 };
        let y = top + cell * n as u32 + 8 + 22 * line;
        font::draw(&mut picture, (x, y as i32), size, INK, name);
    }
    picture
}
