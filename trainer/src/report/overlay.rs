//! Label maps over photographs, with a legend.

use super::canvas::{FAINT, INK, PAPER, fill};
use super::font::{self, mix};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

/// Part of the class colour over the photograph.
const ALPHA: f32 = 0.55;
/// Least width of an enlarged label map.
const READABLE: u32 = 640;
/// Height of legend text.
const TEXT: f32 = 17.0;
/// Distance between two legend lines.
const LINE: u32 = 26;
/// Free space around the legend.
const MARGIN: u32 = 16;
/// Colour of labels that stand for no class.
const VOID: [u8; 3] = [0, 0, 0];

/// Names and colours of the classes.
#[derive(Clone, Copy, Debug)]
pub struct Classes<'a> {
    /// Name of each class.
    pub names: &'a [String],
    /// Colour of each class, RGB; as many as names.
    pub palette: &'a [[u8; 3]],
}

impl Classes<'_> {
    fn colour(&self, label: u8) -> [u8; 3] {
        self.palette.get(usize::from(label)).copied().unwrap_or(VOID)
    }
}

/// A map of one label per pixel, row by row.
#[derive(Clone, Copy, Debug)]
pub struct LabelMap<'a> {
    /// Labels, `width * height` of them.
    pub labels: &'a [u8],
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl LabelMap<'_> {
    fn at(&self, x: u32, y: u32) -> u8 {
        self.labels.get((y * self.width + x) as usize).copied().unwrap_or(u8::MAX)
    }

    /// Integer factor by which [`overlay`] enlarges this map: the least that makes it 640 pixels wide.
    pub fn factor(&self) -> u32 {
        READABLE.div_ceil(self.width.max(1)).clamp(1, 16)
    }

    /// Pixels of each label that occurs, by label.
    fn shares(&self) -> Vec<(u8, usize)> {
        let mut counts = [0usize; 256];
        self.labels.iter().for_each(|&l| counts[usize::from(l)] += 1);
        (0..=255u8).map(|l| (l, counts[usize::from(l)])).filter(|(_, n)| *n > 0).collect()
    }
}

/// The photograph at `width x height`: small ones keep their pixels, larger ones are sampled finely.
fn fit(photo: &RgbImage, width: u32, height: u32) -> RgbImage {
    let filter = if photo.width() <= width / 2 { FilterType::Nearest } else { FilterType::Triangle };
    imageops::resize(photo, width, height, filter)
}

/// The photograph under the coloured label map, both enlarged to `factor` times the map; a border runs
/// between two classes.
pub fn blend(photo: &RgbImage, map: &LabelMap<'_>, classes: &Classes<'_>, factor: u32) -> RgbImage {
    let mut picture = fit(photo, map.width * factor, map.height * factor);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let (mx, my) = (x / factor, y / factor);
        let label = map.at(mx, my);
        let colour = classes.colour(label);
        let right = x % factor == factor - 1 && mx + 1 < map.width && map.at(mx + 1, my) != label;
        let below = y % factor == factor - 1 && my + 1 < map.height && map.at(mx, my + 1) != label;
        let border = factor > 1 && (right || below);
        *pixel = Rgb(if border { [255; 3] } else { mix(pixel.0, colour, ALPHA) });
    }
    picture
}

/// The label map in its plain colours, enlarged by `factor`.
fn plain(map: &LabelMap<'_>, classes: &Classes<'_>, factor: u32) -> RgbImage {
    RgbImage::from_fn(map.width * factor, map.height * factor, |x, y| {
        Rgb(classes.colour(map.at(x / factor, y / factor)))
    })
}

/// A swatch with a thin frame.
fn swatch(picture: &mut RgbImage, x: u32, y: u32, colour: [u8; 3]) {
    fill(picture, (x, y), (18, 18), FAINT);
    fill(picture, (x + 1, y + 1), (16, 16), colour);
}

fn name_of(classes: &Classes<'_>, label: u8) -> String {
    classes.names.get(usize::from(label)).cloned().unwrap_or_else(|| format!("label {label}"))
}

/// The segmentation over the photograph, and to its right a legend of the classes that occur with their
/// shares of the pixels.
pub fn overlay(photo: &RgbImage, map: &LabelMap<'_>, classes: &Classes<'_>) -> RgbImage {
    let factor = map.factor();
    let body = blend(photo, map, classes, factor);
    let mut shares = map.shares();
    shares.sort_by_key(|&(label, count)| (std::cmp::Reverse(count), label));
    let total = map.labels.len().max(1) as f64;
    let lines: Vec<(u8, String, String)> = shares
        .iter()
        .map(|&(l, n)| (l, name_of(classes, l), format!("{:.1} %", 100.0 * n as f64 / total)))
        .collect();
    let names = lines.iter().map(|(_, n, _)| font::width(n, TEXT)).max().unwrap_or(0);
    let column = font::width("100.0 %", TEXT);
    let panel = MARGIN + 28 + names + 20 + column + MARGIN;
    let height = body.height().max(2 * MARGIN + LINE * lines.len() as u32);
    let mut picture = RgbImage::from_pixel(body.width() + panel, height, PAPER);
    imageops::replace(&mut picture, &body, 0, 0);
    let left = body.width() + MARGIN;
    for (i, (label, name, share)) in lines.iter().enumerate() {
        let y = MARGIN + LINE * i as u32;
        swatch(&mut picture, left, y, classes.colour(*label));
        font::draw(&mut picture, ((left + 28) as i32, y as i32), TEXT, INK, name);
        let x = picture.width() - MARGIN - font::width(share, TEXT);
        font::draw(&mut picture, (x as i32, y as i32), TEXT, FAINT, share);
    }
    picture
}

/// One row of [`side_by_side`]: a photograph and label maps of the same size.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The photograph.
    pub photo: &'a RgbImage,
    /// Label maps, one per title after the first.
    pub maps: Vec<LabelMap<'a>>,
}

/// Photographs beside label maps in plain colours, under `titles`, with a legend of all classes below.
///
/// All maps have the same size; a row shorter than the titles leaves its last cells empty.
pub fn side_by_side(titles: &[&str], rows: &[Row<'_>], classes: &Classes<'_>, factor: u32) -> RgbImage {
    let (w, h) = rows
        .iter()
        .flat_map(|r| &r.maps)
        .map(|m| (m.width * factor, m.height * factor))
        .next()
        .unwrap_or((1, 1));
    let gap = 8;
    let columns = titles.len() as u32;
    let width = gap + columns * (w + gap);
    let mut legend: Vec<Vec<(usize, u32)>> = vec![Vec::new()];
    let mut x = MARGIN;
    for (i, name) in classes.names.iter().enumerate() {
        let needed = 26 + font::width(name, TEXT) + 24;
        if x + needed > width && legend.last().is_some_and(|line| !line.is_empty()) {
            legend.push(Vec::new());
            x = MARGIN;
        }
        if let Some(line) = legend.last_mut() {
            line.push((i, x));
        }
        x += needed;
    }
    let head = LINE + 6;
    let body = rows.len() as u32 * (h + gap);
    let height = head + body + MARGIN + LINE * legend.len() as u32;
    let mut picture = RgbImage::from_pixel(width, height, PAPER);
    for (i, title) in titles.iter().enumerate() {
        let x = gap + i as u32 * (w + gap);
        let x = x + w.saturating_sub(font::width(title, TEXT)) / 2;
        font::draw(&mut picture, (x as i32, 8), TEXT, INK, title);
    }
    for (r, row) in rows.iter().enumerate() {
        let y = i64::from(head + r as u32 * (h + gap));
        let photo = fit(row.photo, w, h);
        imageops::replace(&mut picture, &photo, i64::from(gap), y);
        for (i, map) in row.maps.iter().enumerate() {
            let cell = plain(map, classes, factor);
            imageops::replace(&mut picture, &cell, i64::from(gap + (i as u32 + 1) * (w + gap)), y);
        }
    }
    for (l, line) in legend.iter().enumerate() {
        let y = head + body + MARGIN / 2 + LINE * l as u32;
        for &(i, x) in line {
            swatch(&mut picture, x, y, classes.palette.get(i).copied().unwrap_or(VOID));
            font::draw(&mut picture, ((x + 26) as i32, y as i32), TEXT, INK, &classes.names[i]);
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> (Vec<String>, Vec<[u8; 3]>) {
        (vec!["road".into(), "sky".into()], vec![[128, 64, 128], [70, 130, 180]])
    }

    #[test]
    fn each_label_pixel_becomes_a_block_of_its_colour() {
        let (names, palette) = classes();
        let classes = Classes { names: &names, palette: &palette };
        let labels = [0, 1, 0, 0];
        let map = LabelMap { labels: &labels, width: 2, height: 2 };
        let photo = RgbImage::from_pixel(2, 2, Rgb([100; 3]));
        let picture = blend(&photo, &map, &classes, 4);
        assert_eq!(picture.dimensions(), (8, 8));
        assert_eq!(*picture.get_pixel(1, 1), Rgb(mix([100; 3], palette[0], ALPHA)));
        assert_eq!(*picture.get_pixel(5, 1), Rgb(mix([100; 3], palette[1], ALPHA)));
        // The last column of the left block borders on another class; the lower blocks are one class.
        assert_eq!(*picture.get_pixel(3, 1), Rgb([255; 3]));
        assert_ne!(*picture.get_pixel(3, 6), Rgb([255; 3]));
    }

    #[test]
    fn a_label_without_class_is_named_and_does_not_panic() {
        let (names, palette) = classes();
        let classes = Classes { names: &names, palette: &palette };
        let labels = [7; 4];
        let map = LabelMap { labels: &labels, width: 2, height: 2 };
        let picture = overlay(&RgbImage::new(2, 2), &map, &classes);
        assert!(picture.width() > 2 * map.factor());
        assert_eq!(name_of(&classes, 7), "label 7");
    }
}
