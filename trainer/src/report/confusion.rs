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
    // Long names under narrow columns need several lines.
    let widths: Vec<u32> = names.iter().map(|s| font::width(s, size)).collect();
    let line = lines(&widths, cell);
    let bottom = 32 + 22 * (1 + line.iter().max().copied().unwrap_or(0)).max(2);
    let overhang = widths.last().map_or(0, |w| w.saturating_sub(cell) / 2);
    let width = (left + cell * n as u32 + overhang + 24).max(font::width(title, 18.0) + 40);
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
    for (p, name) in names.iter().enumerate() {
        let centre = left + cell * p as u32 + cell / 2;
        let x = centre as i32 - font::width(name, size) as i32 / 2;
        let y = top + cell * n as u32 + 8 + 22 * line[p];
        font::draw(&mut picture, (x, y as i32), size, INK, name);
    }
    picture
}

/// The line of each name centred under its column, from 0: the first in which it does not touch the name before.
fn lines(widths: &[u32], cell: u32) -> Vec<u32> {
    const GAP: i64 = 4;
    let mut ends: Vec<i64> = Vec::new();
    let line = |(column, width): (usize, &u32)| {
        let start = i64::from(cell) * column as i64 - i64::from(*width) / 2;
        let free = ends.iter().position(|end| end + GAP <= start).unwrap_or(ends.len());
        let end = start + i64::from(*width);
        if free == ends.len() {
            ends.push(end)
        } else {
            ends[free] = end
        }
        free as u32
    };
    widths.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_touch_go_to_lines_of_their_own() {
        assert_eq!(lines(&[20, 48, 40], 52), [0, 0, 0]);
        assert_eq!(lines(&[90, 90, 90, 10], 52), [0, 1, 0, 1]);
        assert_eq!(lines(&[150, 150, 150, 150], 52), [0, 1, 2, 0]);
    }
}
