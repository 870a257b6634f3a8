//! People who walk through a picture, as a detector sees them: the same ones every time.

use crate::draw::Draw;
use dunlin_emulator::tracking::Frame;
use dunlin_track::{Detection, Rect};

/// Width and height of the picture.
pub const PICTURE: [f32; 2] = [1920.0, 1080.0];

/// A number between `lo` and `hi`.
fn between(draw: &mut Draw<'_>, lo: f32, hi: f32) -> f32 {
    lo + (hi - lo) * draw.range(0, 1000) as f32 / 1000.0
}

/// A person on the way: centre of the feet, velocity in pixels a frame, height.
struct Walker {
    feet: [f32; 2],
    velocity: f32,
    height: f32,
}

impl Walker {
    /// The box, with the noise of a detector.
    fn seen(&self, draw: &mut Draw<'_>) -> Detection {
        let noise = 0.02 * self.height;
        let [x, y] = self.feet.map(|v| v + between(draw, -noise, noise));
        let (w, h) = (0.4 * self.height, self.height * between(draw, 0.97, 1.03));
        let score = between(draw, 0.91, 0.999);
        Detection { bounds: Rect { x: x - 0.5 * w, y: y - h, w, h }, score }
    }

    /// One frame later; at the edge of the picture they turn round.
    fn step(&mut self) {
        self.feet[0] += self.velocity;
        if (self.feet[0] < 0.0) == (self.velocity < 0.0) && !(0.0..PICTURE[0]).contains(&self.feet[0]) {
            self.velocity = -self.velocity;
        }
    }
}

/// `people` who walk across the picture to both sides, each seen in each of `frames` frames, ten a second.
pub fn walking(people: usize, frames: u32) -> Vec<Frame> {
    let mut draw = Draw::seeded(people as u64);
    let mut walkers: Vec<Walker> = (0..people)
        .map(|i| {
            // The nearer, the larger and the lower in the picture.
            let height = between(&mut draw, 100.0, 300.0);
            let feet = [between(&mut draw, 0.0, PICTURE[0]), 400.0 + 2.0 * height];
            let pace = between(&mut draw, 0.04, 0.1) * height;
            Walker { feet, velocity: if i % 2 == 0 { pace } else { -pace }, height }
        })
        .collect();
    let frame = |number| {
        let detections = walkers.iter().map(|walker| walker.seen(&mut draw)).collect();
        walkers.iter_mut().for_each(Walker::step);
        Frame { number, detections }
    };
    (1..=frames).map(frame).collect()
}

/// `people` who stand so close to each other that any track may go on with any of them.
pub fn crowd(people: usize, frames: u32) -> Vec<Frame> {
    let mut draw = Draw::seeded(1);
    let frame = |number| {
        let place = |draw: &mut Draw<'_>| [900.0, 800.0].map(|v| v + between(draw, -20.0, 20.0));
        let walker = |draw: &mut Draw<'_>| Walker { feet: place(draw), velocity: 0.0, height: 200.0 };
        let detections = (0..people).map(|_| walker(&mut draw).seen(&mut draw)).collect();
        Frame { number, detections }
    };
    (1..=frames).map(frame).collect()
}

/// Everything that a tracker must survive, in one recording: people who cross, frames without anybody, frames left out, more
/// people than there is room for, boxes that are none, boxes twice, frames again and frames that go back.
pub fn trouble() -> Vec<Frame> {
    let bad = |x: f32, w: f32, score: f32| Detection { bounds: Rect { x, y: 100.0, w, h: 90.0 }, score };
    let mut frames = walking(12, 40);
    for (at, frame) in frames.iter_mut().enumerate() {
        match at {
            // Nobody is seen, for shorter and for longer than is filled in.
            10..13 | 18..32 => frame.detections.clear(),
            5 => frame.detections.extend([f32::NAN, f32::INFINITY].map(|x| bad(x, 40.0, 0.9))),
            6 => frame.detections.extend([bad(10.0, 0.0, 0.9), bad(10.0, -5.0, 0.9), bad(-90.0, 40.0, 0.9)]),
            7 => {
                frame.detections.extend([bad(9.0, 40.0, f32::NAN), bad(9.0, 40.0, 0.1), bad(9.0, 40.0, 7.0)])
            }
            8 => frame.detections.extend_from_within(..6),
            _ => {}
        }
    }
    let again = frames[15].clone();
    frames.insert(16, again);
    // A few frames left out, and so many that all tracks end.
    frames.iter_mut().skip(36).for_each(|frame| frame.number += 3);
    let mut crowd = walking(90, 16);
    crowd.iter_mut().for_each(|frame| frame.number += 500);
    frames.extend(crowd);
    // Back to the beginning: a new recording.
    frames.extend(walking(20, 30));
    frames
}
