//! Seeded augmentation: one affine map for flip, scale, rotation and shift, and a change of colour.

use super::Examples;
use crate::graph::{InputScaling, normal};
use rand::Rng;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

/// Ranges from which every example draws anew in every epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Mirror left and right with probability one half.
    pub flip: bool,
    /// Smallest and largest magnification, drawn log-uniformly; the crop lies anywhere inside the picture.
    pub scale: [f32; 2],
    /// Largest change of the aspect ratio, as a factor: 1.0 is none.
    pub aspect: f32,
    /// Largest rotation either way, degrees.
    pub rotate: f32,
    /// Largest shift either way, as a part of the picture's size.
    pub shift: f32,
    /// Largest relative change of brightness.
    pub brightness: f32,
    /// Largest relative change of contrast.
    pub contrast: f32,
    /// Largest relative change of saturation (colour pictures only).
    pub saturation: f32,
    /// Standard deviation of noise on every pixel, of 255.
    pub noise: f32,
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            flip: false,
            scale: [1.0, 1.0],
            aspect: 1.0,
            rotate: 0.0,
            shift: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            noise: 0.0,
        }
    }
}

/// Appends example `index`, scaled (real values: as they are) but not augmented, to `input` (NHWC) and `labels`.
pub fn plain(
    set: &Examples,
    index: usize,
    scaling: &InputScaling,
    input: &mut Vec<f32>,
    labels: &mut Vec<u8>,
) {
    let c = set.shape.c as usize;
    labels.extend_from_slice(&set.labels[index]);
    if let Some(values) = set.reals.get(index) {
        input.extend_from_slice(values);
        return;
    }
    input.extend(set.images[index].iter().enumerate().map(|(i, &v)| scaling.apply(f32::from(v), i % c)));
}

/// Output pixel to source position: `source = m · (output − centre) + origin`.
struct Affine {
    m: [f32; 4],
    origin: [f32; 2],
    centre: [f32; 2],
}

impl Affine {
    fn draw(augment: &Augment, w: f32, h: f32, rng: &mut Pcg64) -> Self {
        let uniform = |rng: &mut Pcg64, lo: f32, hi: f32| lo + (hi - lo) * rng.random::<f32>();
        let [lo, hi] = augment.scale;
        let scale = uniform(rng, lo.ln(), hi.ln()).exp();
        let stretch = uniform(rng, -1.0, 1.0) * augment.aspect.ln() / 2.0;
        let (sx, sy) = (1.0 / (scale * stretch.exp()), 1.0 / (scale * (-stretch).exp()));
        let mirror = if augment.flip && rng.random::<bool>() { -1.0 } else { 1.0 };
        let angle = uniform(rng, -1.0, 1.0) * augment.rotate.to_radians();
        let (sin, cos) = angle.sin_cos();
        let m = [mirror * cos * sx, -sin * sy, mirror * sin * sx, cos * sy];
        let centre = [(w - 1.0) / 2.0, (h - 1.0) / 2.0];
        // A magnified crop may lie anywhere inside; a reduced picture anywhere inside its frame.
        let free = |rng: &mut Pcg64, size: f32, s: f32| uniform(rng, -0.5, 0.5) * size * (1.0 - s).abs();
        let dx = free(rng, w, sx) + uniform(rng, -1.0, 1.0) * augment.shift * w;
        let dy = free(rng, h, sy) + uniform(rng, -1.0, 1.0) * augment.shift * h;
        Self { m, origin: [centre[0] + dx, centre[1] + dy], centre }
    }

    fn source(&self, x: usize, y: usize) -> (f32, f32) {
        let (dx, dy) = (x as f32 - self.centre[0], y as f32 - self.centre[1]);
        let [a, b, c, d] = self.m;
        (a * dx + b * dy + self.origin[0], c * dx + d * dy + self.origin[1])
    }
}

/// Appends example `index`, augmented with `rng` and scaled, to `input` (NHWC) and `labels`.
///
/// Outside of the picture the input is 0 after scaling for segmentation and black otherwise; labels there are
/// the ignored class, or where there is none those of the nearest pixel. Real values are taken as they are.
pub fn augmented(
    set: &Examples,
    index: usize,
    augment: &Augment,
    scaling: &InputScaling,
    rng: &mut Pcg64,
    input: &mut Vec<f32>,
    labels: &mut Vec<u8>,
) {
    if !set.reals.is_empty() {
        return plain(set, index, scaling, input, labels);
    }
    let (h, w, c) = (set.shape.h as usize, set.shape.w as usize, set.shape.c as usize);
    let map = Affine::draw(augment, w as f32, h as f32, rng);
    let colour = Colour::draw(augment, rng);
    let image = &set.images[index];
    let segmentation = set.is_segmentation();
    let mut pixel = vec![0.0f32; c];
    for y in 0..h {
        for x in 0..w {
            let (sx, sy) = map.source(x, y);
            let inside = sx > -0.5 && sy > -0.5 && sx < w as f32 - 0.5 && sy < h as f32 - 0.5;
            if inside {
                bilinear(image, (h, w, c), sx, sy, &mut pixel);
                colour.apply(&mut pixel);
                if augment.noise > 0.0 {
                    pixel.iter_mut().for_each(|p| *p += augment.noise * normal(rng) as f32);
                }
                input.extend(pixel.iter().enumerate().map(|(i, &v)| scaling.apply(v.clamp(0.0, 255.0), i)));
            } else if segmentation {
                input.extend(std::iter::repeat_n(0.0, c));
            } else {
                input.extend((0..c).map(|i| scaling.apply(0.0, i)));
            }
            if segmentation {
                let (nx, ny) = (sx.round().clamp(0.0, w as f32 - 1.0), sy.round().clamp(0.0, h as f32 - 1.0));
                let label = set.labels[index][ny as usize * w + nx as usize];
                labels.push(if inside { label } else { set.ignore.unwrap_or(label) });
            }
        }
    }
    if !segmentation {
        labels.extend_from_slice(&set.labels[index]);
    }
}

fn bilinear(image: &[u8], (h, w, c): (usize, usize, usize), x: f32, y: f32, pixel: &mut [f32]) {
    let (x, y) = (x.clamp(0.0, w as f32 - 1.0), y.clamp(0.0, h as f32 - 1.0));
    let (x0, y0) = (x as usize, y as usize);
    let (x1, y1) = ((x0 + 1).min(w - 1), (y0 + 1).min(h - 1));
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    for (i, p) in pixel.iter_mut().enumerate() {
        let at = |y: usize, x: usize| f32::from(image[(y * w + x) * c + i]);
        let top = at(y0, x0) * (1.0 - fx) + at(y0, x1) * fx;
        let bottom = at(y1, x0) * (1.0 - fx) + at(y1, x1) * fx;
        *p = top * (1.0 - fy) + bottom * fy;
    }
}

struct Colour {
    brightness: f32,
    contrast: f32,
    saturation: f32,
}

impl Colour {
    fn draw(augment: &Augment, rng: &mut Pcg64) -> Self {
        let mut factor = |range: f32| 1.0 + range * (2.0 * rng.random::<f32>() - 1.0);
        Self {
            brightness: factor(augment.brightness),
            contrast: factor(augment.contrast),
            saturation: factor(augment.saturation),
        }
    }

    fn apply(&self, pixel: &mut [f32]) {
        let grey = pixel.iter().sum::<f32>() / pixel.len() as f32;
        for p in pixel {
            let saturated = grey + (*p - grey) * self.saturation;
            *p = ((saturated - 127.5) * self.contrast + 127.5) * self.brightness;
        }
    }
}
