//! A generator of street scenes with exact masks, for use where no data is given.
//!
//! A scene is painted from far to near, colour and label together, so that the mask is right by construction:
//! sky, buildings, trees, pavement and road in perspective, then poles with signs, fences, cars, pedestrians and
//! cyclists whose size and foot line follow from one distance. Light, colours and noise vary.

use super::{Examples, Split};
use dunlin::shape::Shape;
use rand::Rng;
use rand_pcg::Pcg64;

/// Names and colours of the classes; the same list as CamVid's eleven.
pub const CLASSES: [(&str, [u8; 3]); 11] = [
    ("sky", [128, 128, 128]),
    ("building", [128, 0, 0]),
    ("pole", [192, 192, 128]),
    ("road", [128, 64, 128]),
    ("pavement", [60, 40, 222]),
    ("tree", [128, 128, 0]),
    ("sign_symbol", [192, 128, 128]),
    ("fence", [64, 64, 128]),
    ("car", [64, 0, 128]),
    ("pedestrian", [64, 64, 0]),
    ("bicyclist", [0, 128, 192]),
];

/// Licence of the scenes.
pub const LICENCE: &str = "generated, free of rights";

const SKY: u8 = 0;
const BUILDING: u8 = 1;
const POLE: u8 = 2;
const ROAD: u8 = 3;
const PAVEMENT: u8 = 4;
const TREE: u8 = 5;
const SIGN: u8 = 6;
const FENCE: u8 = 7;
const CAR: u8 = 8;
const PEDESTRIAN: u8 = 9;
const BICYCLIST: u8 = 10;

/// `train` and `val` scenes of `h x w` pixels, at least 16 x 16. Every scene follows from `seed` and its number
/// alone, and the two parts share none.
pub fn generate(seed: u64, h: u32, w: u32, train: usize, val: usize) -> Split {
    let part = |name: &str, first: usize, count: usize| {
        let scenes = (first..first + count).map(|i| scene(seed, i as u64, h.max(16), w.max(16)));
        let (images, labels) = scenes.unzip();
        Examples {
            name: name.into(),
            shape: Shape::image(h.max(16), w.max(16), 3),
            label_shape: Shape::image(h.max(16), w.max(16), 1),
            classes: CLASSES.iter().map(|(name, _)| (*name).to_string()).collect(),
            palette: CLASSES.iter().map(|(_, colour)| *colour).collect(),
            ignore: None,
            licence: LICENCE.into(),
            images,
            reals: Vec::new(),
            labels,
        }
    };
    Split { train: part("train", 0, train), val: part("val", train, val) }
}

/// One scene: RGB pixels and labels.
pub fn scene(seed: u64, number: u64, h: u32, w: u32) -> (Box<[u8]>, Box<[u8]>) {
    let mut rng = Pcg64::new(u128::from(seed), u128::from(number));
    let mut canvas = Canvas {
        w: w as f32,
        h: h as f32,
        columns: w as usize,
        pixels: vec![[0.0; 3]; (h * w) as usize],
        labels: vec![SKY; (h * w) as usize],
    };
    let horizon = between(&mut rng, 0.35, 0.5);
    let centre = between(&mut rng, 0.4, 0.6);
    canvas.sky(&mut rng, horizon);
    canvas.buildings(&mut rng, horizon);
    canvas.ground(&mut rng, horizon, centre);
    canvas.objects(&mut rng, horizon, centre);
    let light = between(&mut rng, 0.7, 1.15);
    let tint = [between(&mut rng, 0.93, 1.07), 1.0, between(&mut rng, 0.93, 1.07)];
    let noise = between(&mut rng, 2.0, 8.0);
    let mut image = Vec::with_capacity(canvas.pixels.len() * 3);
    for pixel in &canvas.pixels {
        for (value, tint) in pixel.iter().zip(tint) {
            let n = noise * crate::graph::normal(&mut rng) as f32;
            image.push((value * light * tint + n).clamp(0.0, 255.0) as u8);
        }
    }
    (image.into(), canvas.labels.into())
}

fn between(rng: &mut Pcg64, lo: f32, hi: f32) -> f32 {
    lo + (hi - lo) * rng.random::<f32>()
}

fn around(rng: &mut Pcg64, colour: [f32; 3], spread: f32) -> [f32; 3] {
    colour.map(|c| c + between(rng, -spread, spread))
}

/// Colours and labels; positions are parts of width and height.
struct Canvas {
    w: f32,
    h: f32,
    columns: usize,
    pixels: Vec<[f32; 3]>,
    labels: Vec<u8>,
}

impl Canvas {
    /// Paints the pixels of a box for which `inside` holds, given the position within the box in 0..1. A box
    /// that lies between pixel centres still covers one.
    fn paint(
        &mut self,
        [x0, y0, x1, y1]: [f32; 4],
        label: u8,
        colour: impl Fn(f32, f32) -> [f32; 3],
        inside: impl Fn(f32, f32) -> bool,
    ) {
        let span = |lo: f32, hi: f32, size: f32| {
            let first = (lo * size).round().clamp(0.0, size);
            let end = (hi * size).round().max(first + 1.0).clamp(0.0, size);
            (first as usize, end as usize)
        };
        let (left, right) = span(x0, x1, self.w);
        let (top, bottom) = span(y0, y1, self.h);
        for y in top..bottom {
            for x in left..right {
                let u = (((x as f32 + 0.5) / self.w - x0) / (x1 - x0).max(1e-6)).clamp(0.0, 1.0);
                let v = (((y as f32 + 0.5) / self.h - y0) / (y1 - y0).max(1e-6)).clamp(0.0, 1.0);
                if inside(u, v) {
                    self.pixels[y * self.columns + x] = colour(u, v);
                    self.labels[y * self.columns + x] = label;
                }
            }
        }
    }

    fn sky(&mut self, rng: &mut Pcg64, horizon: f32) {
        let top = around(rng, [120.0, 160.0, 220.0], 40.0);
        let bottom = around(rng, [205.0, 215.0, 230.0], 25.0);
        let mix = |_: f32, v: f32| std::array::from_fn(|i| top[i] * (1.0 - v) + bottom[i] * v);
        self.paint([0.0, 0.0, 1.0, horizon + 0.05], SKY, mix, |_, _| true);
    }

    fn buildings(&mut self, rng: &mut Pcg64, horizon: f32) {
        let mut x = -0.05;
        while x < 1.0 {
            let width = between(rng, 0.08, 0.25);
            // Streets are open in the middle, so buildings there are far away and low.
            let aside = ((x + width / 2.0 - 0.5).abs() * 2.0).min(1.0);
            let height = between(rng, 0.05, 0.12) + aside * between(rng, 0.1, 0.35);
            let kind = rng.random::<f32>();
            let foot = horizon + 0.04;
            if kind < 0.65 {
                let base = [[150.0, 110.0, 90.0], [170.0, 165.0, 150.0], [110.0, 110.0, 120.0]];
                let material = rng.random_range(0..3);
                let wall = around(rng, base[material], 25.0);
                let windows = between(rng, 3.0, 7.0);
                let colour = move |u: f32, v: f32| {
                    let pane = (u * windows).fract() > 0.45 && (v * windows * 1.3).fract() > 0.45;
                    if pane { wall.map(|c| c * 0.55) } else { wall }
                };
                self.paint([x, foot - height, x + width, foot], BUILDING, colour, |_, _| true);
            } else if kind < 0.92 {
                self.tree(rng, x + width / 2.0, foot, height * 0.9);
            }
            x += width * between(rng, 0.75, 1.05);
        }
    }

    fn tree(&mut self, rng: &mut Pcg64, x: f32, foot: f32, height: f32) {
        let leaf = around(rng, [60.0, 100.0, 45.0], 25.0);
        let half = height * between(rng, 0.35, 0.5) * self.h / self.w;
        let frequency = between(rng, 9.0, 15.0);
        let colour = move |u: f32, v: f32| {
            let shade = 1.0 + 0.25 * ((u * frequency).sin() * (v * frequency).cos());
            leaf.map(|c| c * shade)
        };
        let crown = |u: f32, v: f32| (2.0 * u - 1.0).powi(2) + (2.0 * v - 1.0).powi(2) < 1.0;
        let trunk = half * 0.15;
        let bark = leaf.map(|c| c * 0.6);
        self.paint([x - trunk, foot - height * 0.4, x + trunk, foot], TREE, move |_, _| bark, |_, _| true);
        self.paint([x - half, foot - height, x + half, foot - height * 0.25], TREE, colour, crown);
    }

    fn ground(&mut self, rng: &mut Pcg64, horizon: f32, centre: f32) {
        let stone = around(rng, [150.0, 145.0, 140.0], 15.0);
        let slab = between(rng, 8.0, 14.0);
        let pavement = move |u: f32, v: f32| {
            let joint = ((u * slab).fract() < 0.1) || ((v * v * slab).fract() < 0.1);
            stone.map(|c| if joint { c * 0.85 } else { c })
        };
        self.paint([0.0, horizon, 1.0, 1.0], PAVEMENT, pavement, |_, _| true);
        let tar = around(rng, [95.0, 95.0, 100.0], 15.0);
        let near = between(rng, 0.38, 0.55);
        let far = 0.04;
        let dash = between(rng, 4.0, 7.0);
        let half_at = move |v: f32| far + (near - far) * v;
        let road = move |u: f32, v: f32| {
            let across = (u - centre) / half_at(v);
            let marked = across.abs() < 0.03 && (dash * v.max(0.02).ln()).rem_euclid(1.0) < 0.5;
            if marked { [225.0; 3] } else { tar.map(|c| c * (0.9 + 0.1 * v)) }
        };
        let inside = move |u: f32, v: f32| (u - centre).abs() < half_at(v);
        self.paint([0.0, horizon, 1.0, 1.0], ROAD, road, inside);
    }

    /// Objects from far to near. `distance` 1 stands at the lower edge, 0 at the horizon.
    fn objects(&mut self, rng: &mut Pcg64, horizon: f32, centre: f32) {
        let count = rng.random_range(7..14);
        let mut nearness: Vec<f32> = (0..count).map(|_| between(rng, 0.05, 0.8)).collect();
        nearness.sort_by(f32::total_cmp);
        for near in nearness {
            let foot = horizon + (1.0 - horizon) * near;
            let size = 0.05 + 0.55 * near;
            let side = if rng.random::<bool>() { 1.0 } else { -1.0 };
            let kerb = 0.04 + 0.42 * near;
            let lane = centre + side * kerb * between(rng, 0.2, 0.75);
            let walk = centre + side * (kerb + between(rng, 0.03, 0.2));
            match rng.random_range(0..10) {
                0..=3 => self.car(rng, lane, foot, size),
                4 | 5 => self.person(rng, walk, foot, size * 0.75),
                6 => self.cyclist(rng, lane, foot, size * 0.75),
                7 => self.pole(rng, walk, foot, size * 1.5),
                8 => self.fence(rng, walk, side, foot, size * 0.4),
                _ => self.tree(rng, walk + side * 0.05, foot, size * 1.2),
            }
        }
    }

    fn car(&mut self, rng: &mut Pcg64, x: f32, foot: f32, size: f32) {
        let base = [[180.0, 30.0, 30.0], [40.0, 60.0, 150.0], [220.0, 220.0, 225.0], [40.0, 40.0, 45.0]];
        let lacquer = rng.random_range(0..4);
        let paint = around(rng, base[lacquer], 20.0);
        let half = size * 0.42 * self.h / self.w;
        let height = size * 0.6;
        let colour = move |u: f32, v: f32| {
            let glass = v < 0.42 && v > 0.1 && (u - 0.5).abs() < 0.3;
            let wheel = v > 0.75 && (u - 0.5).abs() > 0.25 && (u - 0.5).abs() < 0.42;
            if glass {
                [70.0, 90.0, 100.0]
            } else if wheel {
                [25.0; 3]
            } else {
                paint
            }
        };
        let inside = |u: f32, v: f32| v > 0.45 || (u - 0.5).abs() < 0.28 + 0.3 * v;
        self.paint([x - half, foot - height, x + half, foot], CAR, colour, inside);
    }

    fn person(&mut self, rng: &mut Pcg64, x: f32, foot: f32, size: f32) {
        let coat = around(rng, [110.0, 70.0, 80.0], 60.0);
        let legs = around(rng, [50.0, 50.0, 70.0], 25.0);
        let half = size * 0.16 * self.h / self.w;
        let colour = move |_: f32, v: f32| {
            if v < 0.18 {
                [215.0, 170.0, 140.0]
            } else if v < 0.58 {
                coat
            } else {
                legs
            }
        };
        let inside = |u: f32, v: f32| v > 0.18 || (u - 0.5).abs() < 0.3;
        self.paint([x - half, foot - size, x + half, foot], PEDESTRIAN, colour, inside);
    }

    fn cyclist(&mut self, rng: &mut Pcg64, x: f32, foot: f32, size: f32) {
        let shirt = around(rng, [200.0, 160.0, 40.0], 50.0);
        let half = size * 0.4 * self.h / self.w;
        let colour = move |_: f32, v: f32| {
            if v < 0.16 {
                [215.0, 170.0, 140.0]
            } else if v < 0.55 {
                shirt
            } else {
                [30.0, 30.0, 35.0]
            }
        };
        let wheel = |u: f32, v: f32, at: f32| {
            let d = ((u - at) / 0.24).powi(2) + ((v - 0.8) / 0.2).powi(2);
            d < 1.0 && d > 0.2
        };
        let inside = move |u: f32, v: f32| {
            let body = v < 0.62 && (u - 0.5).abs() < 0.2 && (v > 0.16 || (u - 0.5).abs() < 0.12);
            let frame = v > 0.55 && v < 0.75 && (u - 0.5).abs() < 0.3;
            body || frame || wheel(u, v, 0.25) || wheel(u, v, 0.75)
        };
        self.paint([x - half, foot - size, x + half, foot], BICYCLIST, colour, inside);
    }

    fn pole(&mut self, rng: &mut Pcg64, x: f32, foot: f32, size: f32) {
        let grey = around(rng, [130.0, 130.0, 125.0], 20.0);
        let half = (size * 0.012).max(0.4 / self.w);
        self.paint([x - half, foot - size, x + half, foot], POLE, move |_, _| grey, |_, _| true);
        if rng.random::<f32>() < 0.7 {
            let plate =
                [[200.0, 40.0, 40.0], [40.0, 80.0, 190.0], [230.0, 200.0, 40.0]][rng.random_range(0..3)];
            let r = size * 0.11;
            let rx = r * self.h / self.w;
            let top = foot - size;
            let disc = |u: f32, v: f32| (2.0 * u - 1.0).powi(2) + (2.0 * v - 1.0).powi(2) < 1.1;
            self.paint([x - rx, top - r, x + rx, top + r], SIGN, move |_, _| plate, disc);
        }
    }

    fn fence(&mut self, rng: &mut Pcg64, x: f32, side: f32, foot: f32, size: f32) {
        let wood = around(rng, [120.0, 95.0, 70.0], 25.0);
        let posts = between(rng, 5.0, 9.0);
        let length = size * 2.5 * side;
        let (x0, x1) = if length > 0.0 { (x, x + length) } else { (x + length, x) };
        let colour = move |u: f32, v: f32| {
            let gap = (u * posts).fract() > 0.6 && (v * 3.0).fract() > 0.5;
            if gap { wood.map(|c| c * 0.6) } else { wood }
        };
        self.paint([x0, foot - size, x1, foot], FENCE, colour, |_, _| true);
    }
}
