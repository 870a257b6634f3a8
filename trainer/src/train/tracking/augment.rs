//! Recordings for training: real ones changed at random, so that the tracker meets other cameras, rates and detectors.

use super::people::{Frame, Recording};
use rand::Rng;
use rand_pcg::Pcg64;
use std::collections::HashMap;

/// Frames of a changed recording at most.
const LONGEST: usize = 450;
/// Lowest rate to which frames are left out, a second.
const SLOWEST: f64 = 6.0;

/// A draw of the standard normal distribution (Box and Muller 1958).
pub(super) fn normal(rng: &mut Pcg64) -> f64 {
    let (u, v): (f64, f64) = (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random_range(0.0..1.0));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn pick<T: Copy>(rng: &mut Pcg64, of: &[T]) -> T {
    of[rng.random_range(0..of.len())]
}

/// A stretch of `recording` at a lower rate, perhaps backwards, mirrored, with detections left out for a moment or for a
/// while, boxes and scores shaken, and a camera that moves.
pub(super) fn changed(recording: &Recording, rng: &mut Pcg64) -> Recording {
    let step = if rng.random_bool(0.5) {
        1
    } else {
        let rate = recording.rate.max(SLOWEST + 1.0);
        let wanted = SLOWEST * (rate / SLOWEST).powf(rng.random());
        ((recording.rate / wanted).round() as usize).max(1)
    };
    let span = LONGEST * step;
    let start = rng.random_range(0..=recording.frames.len().saturating_sub(span));
    let offset = rng.random_range(0..step);
    let stretch = recording.frames.iter().skip(start).take(span).skip(offset).step_by(step);
    let mut frames: Vec<Frame> = stretch.cloned().collect();
    if rng.random_bool(0.5) {
        frames.reverse();
    }
    let rate = recording.rate / step as f64;
    let mut shake = Shake {
        mirror: rng.random_bool(0.5).then_some(recording.width),
        left_out: pick(rng, &[0.0, 0.05, 0.15]),
        jitter: pick(rng, &[0.0, 0.01, 0.03]),
        sureness: (0.15 * normal(rng)).exp(),
        hidden: HashMap::new(),
        longest: (1.5 * rate) as u32,
        camera: rng.random_bool(0.4).then(|| Camera {
            strength: rng.random_range(0.2..1.5) * 0.43 * median_height(&frames) / rate,
            velocity: [0.0; 2],
            place: [0.0; 2],
        }),
    };
    for frame in &mut frames {
        shake.frame(frame, rng);
    }
    Recording { rate, width: recording.width, frames }
}

fn median_height(frames: &[Frame]) -> f64 {
    let mut heights: Vec<f64> = frames.iter().flat_map(|f| &f.people).map(|p| p.detection.bbox.h).collect();
    heights.sort_by(f64::total_cmp);
    heights.get(heights.len() / 2).copied().unwrap_or(0.0)
}

struct Camera {
    strength: f64,
    velocity: [f64; 2],
    place: [f64; 2],
}

struct Shake {
    /// Width of the picture, where it is mirrored.
    mirror: Option<f64>,
    left_out: f64,
    jitter: f64,
    /// Power of what is missing to a score of 1.
    sureness: f64,
    /// Frames for which a person stays hidden.
    hidden: HashMap<u32, u32>,
    longest: u32,
    camera: Option<Camera>,
}

impl Shake {
    fn frame(&mut self, frame: &mut Frame, rng: &mut Pcg64) {
        /// Chance in a frame that a person is hidden from now on.
        const HIDES: f64 = 0.005;
        frame.people.retain(|person| {
            let mut keep = !rng.random_bool(self.left_out);
            if let Some(id) = person.id {
                let left = self.hidden.entry(id).or_insert(0);
                if *left > 0 {
                    *left -= 1;
                    keep = false;
                } else if rng.random_bool(HIDES) {
                    *left = rng.random_range(2..=self.longest.max(3));
                }
            }
            keep
        });
        if let Some(camera) = &mut self.camera {
            // Cameras turn more than they nod.
            for (i, share) in [1.0, 0.25].into_iter().enumerate() {
                camera.velocity[i] = 0.9 * camera.velocity[i] + normal(rng) * camera.strength * share;
                camera.place[i] += camera.velocity[i];
            }
        }
        for person in &mut frame.people {
            let b = &mut person.detection.bbox;
            if let Some(width) = self.mirror {
                b.x = width - b.x - b.w;
            }
            b.x += normal(rng) * self.jitter * b.h;
            b.y += normal(rng) * self.jitter * b.h;
            b.w *= (normal(rng) * self.jitter).exp();
            b.h *= (normal(rng) * self.jitter).exp();
            if let Some(camera) = &self.camera {
                b.x += camera.place[0];
                b.y += camera.place[1];
            }
            let score = &mut person.detection.score;
            *score = 1.0 - (1.0 - *score).powf(self.sureness).clamp(1e-6, 1.0);
        }
    }
}
