//! Boards as text and as pictures. Where a cell is in several channels, the last of them is shown.

use super::board::{Board, SIDE};
use super::{Channel, Game};
use image::{Rgb, RgbImage};

/// Pixels of a cell with its gap.
const CELL: u32 = 16;
/// Pixels between two cells.
const GAP: u32 = 1;
/// Between cells.
const FRAME: Rgb<u8> = Rgb([24, 24, 30]);
/// A cell in no channel.
const NOTHING: Rgb<u8> = Rgb([6, 6, 10]);

fn shown<G: Game>(boards: &[Board], row: usize, column: usize) -> Option<&'static Channel> {
    let last = (0..G::CHANNELS.len()).rev().find(|&channel| boards[channel].has(row, column))?;
    Some(&G::CHANNELS[last])
}

/// A line of name, frame and score, then the rows, with the channels beside them.
pub(super) fn text<G: Game>(boards: &[Board], frames: u32, score: u32) -> String {
    let mut text = format!("{}  frame {frames}  score {score}\n", G::NAME);
    for row in 0..SIDE {
        text.extend((0..SIDE).map(|column| shown::<G>(boards, row, column).map_or('.', |c| c.symbol)));
        if let Some(channel) = G::CHANNELS.get(row) {
            text.push_str(&format!("   {} {}", channel.symbol, channel.name));
        }
        text.push('\n');
    }
    text
}

/// Cells of 16 pixels in the colours of their channels, with a gap between them.
pub(super) fn picture<G: Game>(boards: &[Board]) -> RgbImage {
    let side = SIDE as u32 * CELL + GAP;
    RgbImage::from_fn(side, side, |x, y| {
        if x % CELL < GAP || y % CELL < GAP {
            return FRAME;
        }
        let (row, column) = ((y / CELL) as usize, (x / CELL) as usize);
        shown::<G>(boards, row, column).map_or(NOTHING, |channel| Rgb(channel.colour))
    })
}
