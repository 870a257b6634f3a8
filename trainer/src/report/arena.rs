//! The arena as a picture: which tensor holds which bytes while each node runs.

use super::canvas::{FAINT, GRID, INK, PAPER, fill};
use super::facts::Facts;
use super::font;
use image::RgbImage;
use std::fmt::Write;

/// Signs of tensors in the text picture, by id.
const SIGNS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn sign(tensor: Option<usize>) -> char {
    tensor.map_or('#', |t| char::from(SIGNS[t % SIGNS.len()]))
}

fn row_name(facts: &Facts, time: usize) -> String {
    match time.checked_sub(1).map(|i| facts.nodes.get(i)) {
        None => "input".into(),
        Some(None) => "output".into(),
        Some(Some(node)) => format!("{:>3} {}", node.index, node.op),
    }
}

/// One line per node, the offset from left to right in `width` cells; each tensor has a sign, `#` is working
/// memory, `·` is free.
pub fn text(facts: &Facts, width: usize) -> String {
    let arena = facts.totals.arena_bytes as u64;
    let width = width.max(8) as u64;
    let mut out = String::new();
    let cell = arena.div_ceil(width).max(1);
    let _ =
        writeln!(out, "arena {arena} bytes, one cell is {cell} bytes; 0-9a-zA-Z tensors, # working memory");
    for time in 0..=facts.nodes.len() + 1 {
        let used = facts.in_use(time);
        let _ = write!(out, "{:<26}|", row_name(facts, time));
        for i in 0..arena.div_ceil(cell) {
            let here = i * cell..(i + 1) * cell;
            let overlap =
                |r: &std::ops::Range<u64>| r.end.min(here.end).saturating_sub(r.start.max(here.start));
            // Of a tensor and the one that takes its place, the later is shown.
            let most = used.iter().filter(|(_, r)| overlap(r) > 0).max_by_key(|(t, r)| (overlap(r), *t));
            out.push(most.map_or('·', |(t, _)| sign(*t)));
        }
        out.push_str("|\n");
    }
    out
}

/// Colours that neighbours in time can be told apart by.
fn colour(tensor: usize) -> [u8; 3] {
    const COLOURS: [[u8; 3]; 10] = [
        [78, 121, 167],
        [242, 142, 43],
        [89, 161, 79],
        [176, 122, 161],
        [118, 183, 178],
        [225, 87, 89],
        [237, 201, 72],
        [156, 117, 95],
        [255, 157, 167],
        [140, 160, 190],
    ];
    COLOURS[tensor % COLOURS.len()]
}

/// The arena over time: nodes from left to right, offsets from bottom to top, a box per tensor with its id.
pub fn picture(facts: &Facts) -> RgbImage {
    const LEFT: u32 = 84;
    const TOP: u32 = 44;
    const BOTTOM: u32 = 48;
    const HEIGHT: u32 = 420;
    let times = facts.nodes.len() as u32 + 2;
    let step = (960 / times).clamp(10, 48);
    let arena = facts.totals.arena_bytes.max(1) as u64;
    let y_of = |byte: u64| TOP + HEIGHT - (byte * u64::from(HEIGHT) / arena) as u32;
    let title = format!(
        "{}: arena {} bytes, {} of them in use at node {}",
        facts.name, arena, facts.totals.largest_live_bytes, facts.totals.largest_live_node
    );
    let caption = "node; boxes are tensors with their ids, black is working memory; offset upwards, bytes";
    let inside = (times * step).max(font::width(&title, 16.0)).max(font::width(caption, 13.0));
    let mut picture = RgbImage::from_pixel(LEFT + inside + 24, TOP + HEIGHT + BOTTOM, PAPER);
    font::draw(&mut picture, (LEFT as i32, 12), 16.0, INK, &title);
    for i in 0..=4u64 {
        let byte = arena * i / 4;
        let y = y_of(byte);
        fill(&mut picture, (LEFT, y), (times * step, 1), GRID);
        let label = byte.to_string();
        let x = LEFT - 10 - font::width(&label, 13.0);
        font::draw(&mut picture, (x as i32, y as i32 - 8), 13.0, FAINT, &label);
    }
    for t in facts.tensors.iter().filter(|t| t.memory == "arena") {
        let (top, bottom) = (y_of(u64::from(t.offset) + u64::from(t.bytes)), y_of(u64::from(t.offset)));
        let (x, columns) = (LEFT + t.first as u32 * step, (t.last - t.first + 1) as u32);
        let size = (columns * step, (bottom - top).max(1));
        fill(&mut picture, (x, top), size, [255; 3]);
        fill(&mut picture, (x, top), (size.0 - 1, size.1.max(2) - 1), colour(t.index));
        let label = t.index.to_string();
        if size.1 >= 14 && size.0 > font::width(&label, 13.0) + 4 {
            font::draw(&mut picture, (x as i32 + 4, top as i32), 13.0, [255; 3], &label);
        }
    }
    for n in facts.nodes.iter().filter(|n| n.scratch_bytes > 0) {
        let end = u64::from(n.scratch_offset) + u64::from(n.scratch_bytes);
        let (top, bottom) = (y_of(end), y_of(u64::from(n.scratch_offset)));
        let x = LEFT + (n.index as u32 + 1) * step;
        fill(&mut picture, (x, top), (step - 1, (bottom - top).max(2)), INK);
    }
    let every = 28u32.div_ceil(step).max(1);
    for n in facts.nodes.iter().filter(|n| (n.index as u32).is_multiple_of(every)) {
        let x = LEFT + (n.index as u32 + 1) * step;
        font::draw(&mut picture, (x as i32, (TOP + HEIGHT + 6) as i32), 13.0, FAINT, &n.index.to_string());
    }
    font::draw(&mut picture, (LEFT as i32, (TOP + HEIGHT + 24) as i32), 13.0, FAINT, caption);
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right margin is free: nothing is cut off, however few nodes there are.
    #[test]
    fn the_title_of_a_small_program_fits() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cliffwalking-q/cliffwalking-q.dun");
        let facts = Facts::read(&std::fs::read(path).unwrap()).unwrap();
        let picture = picture(&facts);
        let margin = picture.width() - 8..picture.width();
        assert!(margin.into_iter().all(|x| (0..picture.height()).all(|y| *picture.get_pixel(x, y) == PAPER)));
    }
}
