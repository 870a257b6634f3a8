//! Simple drawings of environments: discs, thick lines and convex polygons with smooth edges, in the units of a world whose
//! vertical axis points up.
//!
//! A pixel is covered by how far its middle lies within a shape, from nothing half a pixel outside to all of it half a pixel
//! inside.

use image::{Rgb, RgbImage};

/// Red, green and blue.
pub type Colour = [u8; 3];

/// Paper.
pub const PAPER: Colour = [250, 250, 247];
/// Ground, tracks and walls.
pub const INK: Colour = [60, 60, 66];
/// What is less important.
pub const PALE: Colour = [196, 198, 204];
/// What moves, first.
pub const BLUE: Colour = [46, 108, 180];
/// What moves, second.
pub const ORANGE: Colour = [226, 128, 44];
/// Goals.
pub const GREEN: Colour = [62, 150, 84];
/// Dangers.
pub const RED: Colour = [200, 62, 54];

/// A picture of a world.
pub struct Canvas {
    picture: RgbImage,
    scale: f32,
    origin: [f32; 2],
}

impl Canvas {
    /// A blank picture of `size` pixels, `scale` of them a unit of the world, whose origin lies `origin` pixels right of and
    /// below the upper left corner.
    pub fn new(size: [u32; 2], scale: f32, origin: [f32; 2]) -> Self {
        Self { picture: RgbImage::from_pixel(size[0], size[1], Rgb(PAPER)), scale, origin }
    }

    /// The picture.
    pub fn finish(self) -> RgbImage {
        self.picture
    }

    /// A disc.
    pub fn disc(&mut self, centre: [f32; 2], radius: f32, colour: Colour) {
        self.line(centre, centre, 2.0 * radius, colour);
    }

    /// A line with round ends.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2], width: f32, colour: Colour) {
        let (from, to) = (self.pixels(from), self.pixels(to));
        let radius = width * self.scale / 2.0;
        let along = sub(to, from);
        let length = dot(along, along);
        self.fill(&[from, to], radius, colour, |point| {
            let off = sub(point, from);
            let share = if length > 0.0 { (dot(off, along) / length).clamp(0.0, 1.0) } else { 0.0 };
            let rest = sub(off, [along[0] * share, along[1] * share]);
            libm::sqrtf(dot(rest, rest)) - radius
        });
    }

    /// Lines from point to point.
    pub fn path(&mut self, points: &[[f32; 2]], width: f32, colour: Colour) {
        points.windows(2).for_each(|ends| self.line(ends[0], ends[1], width, colour));
    }

    /// An upright rectangle between two opposite corners.
    pub fn rectangle(&mut self, one: [f32; 2], other: [f32; 2], colour: Colour) {
        self.polygon(&[one, [other[0], one[1]], other, [one[0], other[1]]], colour);
    }

    /// A convex polygon, in either sense of rotation.
    pub fn polygon(&mut self, corners: &[[f32; 2]], colour: Colour) {
        let corners: Vec<[f32; 2]> = corners.iter().map(|&corner| self.pixels(corner)).collect();
        let edges = || corners.iter().zip(corners.iter().cycle().skip(1));
        let area: f32 = edges().map(|(a, b)| a[0] * b[1] - a[1] * b[0]).sum();
        let outward: Vec<([f32; 2], [f32; 2])> = edges()
            .filter(|(a, b)| a != b)
            .map(|(&a, &b)| {
                let along = sub(b, a);
                let unit = area.signum() / libm::sqrtf(dot(along, along));
                (a, [along[1] * unit, -along[0] * unit])
            })
            .collect();
        self.fill(&corners, 0.0, colour, |point| {
            outward.iter().map(|&(corner, normal)| dot(sub(point, corner), normal)).fold(f32::MIN, f32::max)
        });
    }

    fn pixels(&self, point: [f32; 2]) -> [f32; 2] {
        [self.origin[0] + point[0] * self.scale, self.origin[1] - point[1] * self.scale]
    }

    /// Paints a shape within `margin` of the box around `points`; `distance` is how far a point lies outside of it, in pixels.
    fn fill(&mut self, points: &[[f32; 2]], margin: f32, colour: Colour, distance: impl Fn([f32; 2]) -> f32) {
        let (width, height) = self.picture.dimensions();
        // Casts saturate: what lies outside of the picture gives an empty range.
        let range = |axis: usize, size: u32| {
            let low = points.iter().map(|p| p[axis]).fold(f32::MAX, f32::min) - margin - 1.0;
            let high = points.iter().map(|p| p[axis]).fold(f32::MIN, f32::max) + margin + 2.0;
            low as u32..(high as u32).min(size)
        };
        for y in range(1, height) {
            for x in range(0, width) {
                let cover = (0.5 - distance([x as f32 + 0.5, y as f32 + 0.5])).clamp(0.0, 1.0);
                for (old, new) in self.picture.get_pixel_mut(x, y).0.iter_mut().zip(colour) {
                    *old = (f32::from(*old) + cover * (f32::from(new) - f32::from(*old)) + 0.5) as u8;
                }
            }
        }
    }
}

/// A picture of characters, in the units of a world whose vertical axis points up.
pub struct TextCanvas {
    rows: Vec<Vec<char>>,
    low: [f32; 2],
    cell: [f32; 2],
}

impl TextCanvas {
    /// A blank picture of `size` characters of the part of the world between two corners.
    pub fn new(size: [usize; 2], low: [f32; 2], high: [f32; 2]) -> Self {
        let cell = [(high[0] - low[0]) / size[0] as f32, (high[1] - low[1]) / size[1] as f32];
        Self { rows: vec![vec![' '; size[0]]; size[1]], low, cell }
    }

    /// A character; nothing outside of the picture.
    pub fn put(&mut self, at: [f32; 2], what: char) {
        let [x, y] = [0, 1].map(|axis| libm::floorf((at[axis] - self.low[axis]) / self.cell[axis]));
        if x >= 0.0 && y >= 0.0 && (y as usize) < self.rows.len() && (x as usize) < self.rows[0].len() {
            let row = self.rows.len() - 1 - y as usize;
            self.rows[row][x as usize] = what;
        }
    }

    /// A line of one character.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2], what: char) {
        let along = sub(to, from);
        let cells = (along[0] / self.cell[0]).abs().max((along[1] / self.cell[1]).abs());
        let pieces = libm::ceilf(2.0 * cells).max(1.0) as u32;
        for piece in 0..=pieces {
            let share = piece as f32 / pieces as f32;
            self.put([from[0] + along[0] * share, from[1] + along[1] * share], what);
        }
    }

    /// Its lines, from the top, without the blanks at their ends.
    pub fn finish(self) -> String {
        let lines = self.rows.iter().map(|row| row.iter().collect::<String>());
        lines.map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

fn sub(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [a[0] - b[0], a[1] - b[1]]
}

fn dot(a: [f32; 2], b: [f32; 2]) -> f32 {
    a[0] * b[0] + a[1] * b[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much of the picture is painted, in pixels.
    fn painted(picture: &RgbImage) -> f32 {
        let share = |pixel: &Rgb<u8>| (f32::from(PAPER[0]) - f32::from(pixel.0[0])) / f32::from(PAPER[0]);
        picture.pixels().map(share).sum()
    }

    const BLACK: Colour = [0, 0, 0];

    #[test]
    fn shapes_have_their_area() {
        let draw = |shape: fn(&mut Canvas)| {
            let mut canvas = Canvas::new([100, 80], 10.0, [50.0, 40.0]);
            shape(&mut canvas);
            painted(&canvas.finish())
        };
        let near = |found: f32, area: f32| assert!((found - area).abs() < 0.02 * area, "{found} for {area}");
        near(draw(|c| c.disc([0.3, 0.1], 2.0, BLACK)), 400.0 * std::f32::consts::PI);
        near(draw(|c| c.line([-2.0, 1.0], [2.0, -2.0], 1.0, BLACK)), 500.0 + 25.0 * std::f32::consts::PI);
        near(draw(|c| c.rectangle([-1.23, 1.0], [2.0, -2.04], BLACK)), 323.0 * 3.04);
        near(draw(|c| c.polygon(&[[0.0, 0.0], [3.0, 0.0], [0.0, 2.0]], BLACK)), 300.0);
        near(draw(|c| c.polygon(&[[0.0, 0.0], [0.0, 2.0], [3.0, 0.0]], BLACK)), 300.0);
        assert_eq!(draw(|c| c.disc([70.0, 0.0], 2.0, BLACK)), 0.0);
        assert_eq!(draw(|c| c.disc([0.0, -70.0], 2.0, BLACK)), 0.0);
    }

    #[test]
    fn up_is_up() {
        let mut canvas = Canvas::new([10, 10], 1.0, [5.0, 5.0]);
        canvas.rectangle([0.0, 0.0], [5.0, 5.0], BLACK);
        let picture = canvas.finish();
        assert_eq!(picture.get_pixel(7, 2).0, BLACK);
        assert_eq!([picture.get_pixel(7, 7).0, picture.get_pixel(2, 2).0], [PAPER; 2]);
        let mut text = TextCanvas::new([6, 3], [-3.0, 0.0], [3.0, 3.0]);
        text.line([-2.5, 0.5], [-0.5, 2.5], '/');
        text.put([2.5, 0.5], 'x');
        text.put([3.5, 0.5], 'y');
        text.put([0.5, -0.5], 'y');
        assert_eq!(text.finish(), "  /\n /\n/    x\n");
    }
}
