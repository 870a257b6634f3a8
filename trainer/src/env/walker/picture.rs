//! The walker drawn, the hip in the middle: the far leg orange, the near one blue, and a mark on the ground at each metre.

use image::RgbImage;

use super::body::{Directions, FOOT};
use super::contact::World;
use crate::env::draw::{BLUE, Canvas, INK, ORANGE, PALE, TextCanvas};

/// Pixels of a picture, and of a metre.
const SIZE: [u32; 2] = [400, 176];
const SCALE: f32 = 128.0;
/// Pixels of the ground's surface from the lower edge.
const GROUND: f32 = 20.0;

/// Where hip, top, knees and feet are, with the hip at x = 0.
fn joints(world: &World) -> [[f32; 2]; 6] {
    let at = Directions::new(&world.position);
    [4, 5, 2, 3, FOOT[0], FOOT[1]].map(|point| {
        let (x, z) = at.reach(&world.position, &world.body.arms(point).0);
        [(x - world.position[0]) as f32, z as f32]
    })
}

/// A picture of the walker.
pub(super) fn draw(world: &World) -> RgbImage {
    let [hip, top, left_knee, right_knee, left_foot, right_foot] = joints(world);
    let mut canvas = Canvas::new(SIZE, SCALE, [SIZE[0] as f32 / 2.0, SIZE[1] as f32 - GROUND]);
    let half = SIZE[0] as f32 / 2.0 / SCALE;
    canvas.rectangle([-half, 0.0], [half, -GROUND / SCALE], PALE);
    let here = world.position[0];
    let reach = f64::from(half) + 1.0;
    for metre in (here - reach) as i64..=(here + reach) as i64 {
        let x = (metre as f64 - here) as f32;
        // Each fifth mark is longer.
        let depth = if metre % 5 == 0 { 0.12 } else { 0.05 };
        canvas.rectangle([x - 0.01, 0.0], [x + 0.01, -depth], INK);
    }
    let width = |point: usize| 2.0 * world.body.radius[point] as f32;
    let mut leg = |knee, foot, colour| canvas.path(&[hip, knee, foot], width(FOOT[0]), colour);
    leg(left_knee, left_foot, ORANGE);
    leg(right_knee, right_foot, BLUE);
    canvas.line(hip, top, width(5), INK);
    canvas.finish()
}

/// The walker in characters.
pub(super) fn text(world: &World) -> String {
    let [hip, top, left_knee, right_knee, left_foot, right_foot] = joints(world);
    let mut canvas = TextCanvas::new([60, 20], [-1.5, -0.05], [1.5, 1.15]);
    canvas.line([-1.5, -0.02], [1.5, -0.02], '=');
    for (knee, foot, what) in [(left_knee, left_foot, 'l'), (right_knee, right_foot, 'r')] {
        canvas.line(hip, knee, what);
        canvas.line(knee, foot, what);
    }
    canvas.line(hip, top, '#');
    canvas.finish()
}
