//! Tracks as an animated picture: boxes in the colour of their track, its number, and where it has been.

use super::canvas::{FAINT, GRID, PAPER};
use super::font::{self, mix};
use crate::data::mot::{Info, Row};
use crate::data::palette;
use gif::{Encoder, Frame, Repeat};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::{Color, RGBColor};
use std::collections::HashMap;
use std::io::Write;

/// Colours of tracks; neighbours in number are far apart in hue.
const COLOURS: usize = 24;
/// Distance of two neighbours in the palette; has no divisor in common with their number.
const STRIDE: usize = 7;
/// Seconds after which a trail has faded.
const TRAIL: f64 = 2.0;
/// Steps in which it does, so that a picture has few colours.
const FADES: usize = 6;
/// Height of a number's text.
const TEXT: f32 = 12.0;
/// Distance of the lines on a canvas without frames.
const CELL: u32 = 40;
/// Part of black in the colours of tracks on such a canvas, so that bright ones can be seen.
const DARKER: f32 = 0.25;
/// Shades of a colour in the palette of such canvases, from the canvas to the colour.
const SHADES: usize = 10;

/// Which frames are drawn, and how large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// The first, from 1.
    pub first: usize,
    /// Each so-manieth after it, at least 1.
    pub every: usize,
    /// As many at most.
    pub most: usize,
    /// Largest width in pixels; smaller sequences keep theirs.
    pub width: u32,
}

impl Cut {
    /// Frames to be drawn of a sequence of `frames` frames.
    pub fn frames(&self, frames: usize) -> impl ExactSizeIterator<Item = usize> + use<> {
        let count = (frames + 1).saturating_sub(self.first).div_ceil(self.every).min(self.most);
        let Self { first, every, .. } = *self;
        (0..count).map(move |i| first + i * every)
    }
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum FilmError {
    /// The cut leaves nothing.
    #[error("no frame to draw: the sequence has {frames}, the first to be drawn is {first}")]
    Empty {
        /// Frames of the sequence.
        frames: usize,
        /// The first to be drawn.
        first: usize,
    },
    /// A frame that is there but is no picture.
    #[error("{path}: {source}")]
    Image {
        /// The frame.
        path: std::path::PathBuf,
        /// Why.
        source: image::ImageError,
    },
    /// Not writable.
    #[error(transparent)]
    Write(#[from] gif::EncodingError),
}

/// Draws rows of one sequence.
#[derive(Debug)]
pub struct Film<'a> {
    info: &'a Info,
    size: (u32, u32),
    scale: f64,
    palette: Vec<[u8; 3]>,
    frames: Vec<Vec<&'a Row>>,
    /// Row of a track in a frame.
    known: HashMap<(u32, usize), &'a Row>,
}

impl<'a> Film<'a> {
    /// Of `rows` of the sequence that `info` describes, at most `width` pixels wide.
    pub fn new(info: &'a Info, rows: &'a [Row], width: u32) -> Self {
        let scale = f64::from(width.clamp(1, info.width)) / f64::from(info.width);
        let sized = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        let mut frames = vec![Vec::new(); info.frames];
        let mut known = HashMap::new();
        for row in rows.iter().filter(|row| (1..=info.frames).contains(&row.frame)) {
            frames[row.frame - 1].push(row);
            known.insert((row.id, row.frame), row);
        }
        Self {
            info,
            size: (sized(info.width), sized(info.height)),
            scale,
            palette: palette(COLOURS),
            frames,
            known,
        }
    }

    /// The picture of frame `frame`, from 1.
    ///
    /// # Errors
    /// A frame's file that is there but is no picture.
    pub fn frame(&self, frame: usize) -> Result<RgbImage, FilmError> {
        let (mut picture, ground) = self.background(frame)?;
        let rows = &self.frames[frame - 1];
        {
            let (width, height) = self.size;
            let mut canvas = BitMapBackend::with_buffer(&mut picture, (width, height));
            for row in rows {
                self.trail(&mut canvas, row, ground);
            }
            for row in rows {
                let (x, y) = self.place(row.bbox.x, row.bbox.y);
                let (right, bottom) = self.place(row.bbox.x + row.bbox.w, row.bbox.y + row.bbox.h);
                for inset in 0..2 {
                    let corners = ((x + inset, y + inset), (right - inset, bottom - inset));
                    canvas
                        .draw_rect(corners.0, corners.1, &self.colour(row.id, 1.0, ground), false)
                        .expect("a picture in memory takes all");
                }
            }
        }
        let mut picture = RgbImage::from_raw(self.size.0, self.size.1, picture).expect("the size is kept");
        for row in rows {
            let (x, y) = self.place(row.bbox.x, row.bbox.y);
            let at = (x + 3, if y < TEXT as i32 + 2 { y + 2 } else { y - TEXT as i32 - 3 });
            font::draw(&mut picture, at, TEXT, self.base(row.id, ground), &row.id.to_string());
        }
        let text = format!("{}  frame {frame}/{}", self.info.name, self.info.frames);
        let at = (6, self.size.1 as i32 - 20);
        if ground.is_some() {
            font::draw(&mut picture, at, TEXT + 2.0, FAINT, &text);
        } else {
            font::draw(&mut picture, (at.0 + 1, at.1 + 1), TEXT + 2.0, [0; 3], &text);
            font::draw(&mut picture, at, TEXT + 2.0, [255; 3], &text);
        }
        Ok(picture)
    }

    /// The frame's picture, or a canvas and its colour where there is none.
    fn background(&self, frame: usize) -> Result<(Vec<u8>, Option<[u8; 3]>), FilmError> {
        let path = self.info.image(frame);
        let (width, height) = self.size;
        if path.is_file() {
            let photo = image::open(&path).map_err(|source| FilmError::Image { path, source })?;
            let photo = imageops::resize(&photo.to_rgb8(), width, height, FilterType::Triangle);
            return Ok((photo.into_raw(), None));
        }
        let canvas = RgbImage::from_fn(width, height, |x, y| {
            if x % CELL == CELL / 2 || y % CELL == CELL / 2 { Rgb(mix(PAPER.0, GRID, 0.4)) } else { PAPER }
        });
        Ok((canvas.into_raw(), Some(PAPER.0)))
    }

    /// Where the track's feet have been: a line that fades with age.
    fn trail(&self, canvas: &mut BitMapBackend<'_>, row: &Row, ground: Option<[u8; 3]>) {
        let reach = (TRAIL * self.info.frame_rate).round().max(1.0) as usize;
        let foot = |row: &Row| self.place(row.bbox.x + row.bbox.w / 2.0, row.bbox.y + row.bbox.h);
        let mut last = foot(row);
        let oldest = row.frame.saturating_sub(reach).max(1);
        for frame in (oldest..row.frame).rev() {
            let Some(before) = self.known.get(&(row.id, frame)) else { continue };
            let age = (row.frame - frame) * FADES / (reach + 1);
            let strength = 1.0 - age as f32 / FADES as f32;
            let next = foot(before);
            for shift in 0..2 {
                canvas
                    .draw_line(
                        (last.0, last.1 - shift),
                        (next.0, next.1 - shift),
                        &self.colour(row.id, strength, ground),
                    )
                    .expect("a picture in memory takes all");
            }
            last = next;
        }
    }

    fn base(&self, id: u32, ground: Option<[u8; 3]>) -> [u8; 3] {
        let colour = self.palette[id as usize % COLOURS * STRIDE % COLOURS];
        if ground.is_some() { mix(colour, [0; 3], DARKER) } else { colour }
    }

    /// Colour of a track; mixed with a plain ground, transparent over a photograph.
    fn colour(&self, id: u32, strength: f32, ground: Option<[u8; 3]>) -> plotters::style::RGBAColor {
        let base = self.base(id, ground);
        let [r, g, b] = ground.map_or(base, |ground| mix(ground, base, strength));
        let alpha = if ground.is_some() { 1.0 } else { f64::from(strength) };
        RGBColor(r, g, b).mix(alpha)
    }

    /// Pixel of a point of the sequence.
    fn place(&self, x: f64, y: f64) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    /// Writes the frames of `cut` as an endless GIF at the pace of the sequence; `step` is called after each frame.
    ///
    /// # Errors
    /// A cut without frames, frames that are no pictures, a file that cannot be written.
    pub fn write(&self, cut: &Cut, out: impl Write, mut step: impl FnMut()) -> Result<(), FilmError> {
        let frames = cut.frames(self.info.frames);
        if frames.len() == 0 {
            return Err(FilmError::Empty { frames: self.info.frames, first: cut.first });
        }
        let (width, height) = (self.size.0 as u16, self.size.1 as u16);
        let mut indexed = Indexed::new(&self.palette);
        let mut encoder = Encoder::new(out, width, height, &indexed.colours.concat())?;
        encoder.set_repeat(Repeat::Infinite)?;
        let hundredths = 100.0 * cut.every as f64 / self.info.frame_rate;
        // Viewers slow down below two hundredths of a second.
        let delay = hundredths.round().clamp(2.0, 1000.0) as u16;
        for frame in frames {
            let picture = self.frame(frame)?;
            let mut drawn = if self.info.image(frame).is_file() {
                Frame::from_rgb_speed(width, height, picture.as_raw(), 20)
            } else {
                let pixels: Vec<u8> = picture.pixels().map(|pixel| indexed.nearest(pixel.0)).collect();
                Frame::from_indexed_pixels(width, height, pixels, None)
            };
            drawn.delay = delay;
            encoder.write_frame(&drawn)?;
            step();
        }
        Ok(())
    }
}

/// The palette of all frames without photograph.
struct Indexed {
    colours: Vec<[u8; 3]>,
    known: HashMap<[u8; 3], u8>,
}

impl Indexed {
    /// The canvas, its lines, its text, and shades of the tracks' colours.
    fn new(tracks: &[[u8; 3]]) -> Self {
        let mut colours = vec![PAPER.0, mix(PAPER.0, GRID, 0.4)];
        let darker = tracks.iter().map(|&colour| mix(colour, [0; 3], DARKER));
        for colour in darker.chain([FAINT]) {
            colours.extend((1..=SHADES).map(|s| mix(PAPER.0, colour, s as f32 / SHADES as f32)));
        }
        Self { colours, known: HashMap::new() }
    }

    /// Number of the colour that is next to this one.
    fn nearest(&mut self, colour: [u8; 3]) -> u8 {
        let colours = &self.colours;
        *self.known.entry(colour).or_insert_with(|| {
            let far = |other: &[u8; 3]| -> u32 {
                colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
            };
            let nearest = (0..colours.len()).min_by_key(|&i| far(&colours[i]));
            u8::try_from(nearest.unwrap_or(0)).expect("a palette has 256 colours at most")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::mot::BBox;

    fn info() -> Info {
        Info {
            name: "walk".into(),
            frames: 20,
            frame_rate: 10.0,
            width: 200,
            height: 100,
            images: "nowhere".into(),
            ending: ".jpg".into(),
        }
    }

    fn rows() -> Vec<Row> {
        let bbox = |frame: usize| BBox { x: 4.0 * frame as f64, y: 30.0, w: 20.0, h: 40.0 };
        (1..=20).map(|frame| Row { frame, id: 3, bbox: bbox(frame), score: 1.0 }).collect()
    }

    #[test]
    fn a_cut_stays_in_the_sequence() {
        let cut = Cut { first: 3, every: 5, most: 100, width: 640 };
        assert_eq!(cut.frames(20).collect::<Vec<_>>(), [3, 8, 13, 18]);
        assert_eq!(Cut { most: 2, ..cut }.frames(20).collect::<Vec<_>>(), [3, 8]);
        assert_eq!(Cut { first: 21, ..cut }.frames(20).len(), 0);
    }

    #[test]
    fn boxes_are_where_they_belong_and_trails_fade() {
        let (info, rows) = (info(), rows());
        let film = Film::new(&info, &rows, 640);
        let picture = film.frame(15).expect("no file is needed");
        assert_eq!(picture.dimensions(), (200, 100));
        let colour = Rgb(film.base(3, Some(PAPER.0)));
        assert_eq!(*picture.get_pixel(60, 50), colour);
        assert_eq!(*picture.get_pixel(80, 50), colour);
        // The feet of frame 14 are fresh, those of frame 2 nearly gone.
        let away = |x| picture.get_pixel(x, 70).0.iter().zip(PAPER.0).map(|(a, b)| a.abs_diff(b)).max();
        assert!(away(67) > away(20) && away(20) > Some(0));
    }

    #[test]
    fn a_gif_has_the_frames_of_the_cut() {
        let (info, rows) = (info(), rows());
        let mut bytes = Vec::new();
        let cut = Cut { first: 1, every: 3, most: 5, width: 100 };
        let mut steps = 0;
        Film::new(&info, &rows, cut.width).write(&cut, &mut bytes, || steps += 1).expect("memory takes all");
        let mut decoder = gif::DecodeOptions::new().read_info(bytes.as_slice()).expect("a GIF");
        assert_eq!((decoder.width(), decoder.height()), (100, 50));
        let mut delays = Vec::new();
        while let Some(frame) = decoder.read_next_frame().expect("a GIF") {
            delays.push(frame.delay);
        }
        assert_eq!((delays, steps), (vec![30; 5], 5));
    }
}
