//! Text and picture of a skirmish.

use super::arena::{Arena, Kind, SIGHT, SIZE, Unit, length};
use image::{Rgb, RgbImage};

/// Pixels of a unit of length.
const SCALE: f32 = 12.0;
/// Pixels of a frame around the arena.
const FRAME: f32 = 6.0;
const GROUND: Rgb<u8> = Rgb([238, 236, 228]);
const FOG: Rgb<u8> = Rgb([206, 206, 204]);
const BAR: Rgb<u8> = Rgb([60, 62, 66]);
const SHOT: Rgb<u8> = Rgb([225, 160, 30]);
const SIDES: [Rgb<u8>; 2] = [Rgb([40, 96, 190]), Rgb([190, 52, 44])];

/// A map of characters: `R`, `G` own, `r`, `g` foes, in brackets where they are not seen; then a line for each unit.
pub(super) fn text(arena: &Arena) -> String {
    let cells = SIZE as usize;
    let mut map = vec![vec!['.'; 2 * cells]; cells];
    let mut lines = String::new();
    for (side, units) in arena.units().iter().enumerate() {
        for (i, unit) in units.iter().enumerate() {
            let letter = ['R', 'G', 'r', 'g'][2 * side + i];
            let seen = side == 0 || arena.in_sight(side, i);
            if unit.alive() {
                let row = (unit.y as usize).min(cells - 1);
                let column = ((unit.x * 2.0) as usize).min(2 * cells - 1);
                map[row][column] = letter;
            }
            let state = match (unit.alive(), unit.shot, seen) {
                (false, ..) => "dead",
                (_, true, _) => "shoots",
                (_, _, false) => "unseen",
                _ => "",
            };
            let &Unit { x, y, health, reload, .. } = unit;
            lines += &format!("{letter} {health:>3} hp  reload {reload}  at {x:4.1} {y:4.1}  {state}\n");
        }
    }
    let rows: String = map.into_iter().map(|row| row.into_iter().collect::<String>() + "\n").collect();
    format!("tick {}\n{rows}{lines}", arena.ticks())
}

/// The arena from above, what side 0 does not see in grey: own units blue, foes red, rangers round, guards square, hit points
/// as bars, a ring about who shoots.
pub(super) fn picture(arena: &Arena) -> RgbImage {
    let size = (SIZE * SCALE + 2.0 * FRAME) as u32;
    let own = &arena.units()[0];
    let mut picture = RgbImage::from_fn(size, size, |px, py| {
        let [x, y] = [px, py].map(|p| (p as f32 + 0.5 - FRAME) / SCALE);
        let lit = own.iter().any(|u| u.alive() && length([u.x - x, u.y - y]) <= SIGHT);
        if lit { GROUND } else { FOG }
    });
    for (side, units) in arena.units().iter().enumerate() {
        for (i, unit) in units.iter().enumerate().filter(|(_, unit)| unit.alive()) {
            let dim = side == 1 && !arena.in_sight(side, i);
            let colour = if dim { Rgb(SIDES[side].0.map(|c| c / 2 + 100)) } else { SIDES[side] };
            draw(&mut picture, unit, colour);
        }
    }
    picture
}

fn draw(picture: &mut RgbImage, unit: &Unit, colour: Rgb<u8>) {
    let [x, y] = [unit.x, unit.y].map(|v| v * SCALE + FRAME);
    let left = unit.health as f32 / unit.kind.health() as f32;
    for dy in -9i32..=9 {
        for dx in -9i32..=9 {
            let [fx, fy] = [dx as f32, dy as f32];
            let body = match unit.kind {
                Kind::Ranger => length([fx, fy]) <= 4.5,
                Kind::Guard => fx.abs().max(fy.abs()) <= 4.0,
            };
            let ring = unit.shot && (6.0..=7.0).contains(&length([fx, fy]));
            let bar = dy == -8 && dx.abs() <= 5;
            let colour = match (body, ring, bar) {
                (_, _, true) if fx + 5.0 <= left * 10.0 => colour,
                (_, _, true) => BAR,
                (true, ..) => colour,
                (_, true, _) => SHOT,
                _ => continue,
            };
            let [px, py] = [x + fx, y + fy].map(|v| v as i32);
            if let (Ok(px), Ok(py)) = (u32::try_from(px), u32::try_from(py))
                && px < picture.width()
                && py < picture.height()
            {
                picture.put_pixel(px, py, colour);
            }
        }
    }
}
