//! The arena as a picture: one line a node, offsets from left to right.

use super::Plan;
use std::fmt::Write;

/// Characters for the width of the arena.
const WIDTH: usize = 64;

impl Plan {
    /// The arena over time, for people. A letter is a buffer, `#` working memory, `.` free.
    pub fn picture(&self) -> String {
        let mut text = String::new();
        let ratio = f64::from(self.arena) / f64::from(self.live.max(1));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "arena {} B, largest live set {} B (ratio {ratio:.3}), state {} B, {} tensors in place",
            self.arena, self.live, self.state, self.taken
        );
        let name = |n: usize| format!("{} {}", self.graph.nodes[n].name, self.graph.nodes[n].op.name());
        let column = (0..self.graph.nodes.len()).map(|n| name(n).len()).max().unwrap_or(0).clamp(4, 40);
        let _ = writeln!(text, "{:<column$} 0{:>width$}  live", "node", self.arena, width = WIDTH - 1);
        for n in 0..self.graph.nodes.len() {
            let (line, live) = self.line(n + 1);
            let mut label = name(n);
            label.truncate(label.char_indices().nth(column).map_or(label.len(), |(at, _)| at));
            let _ = writeln!(text, "{label:<column$} {line}  {live}");
        }
        text
    }

    /// The arena at one time, and the bytes alive then.
    fn line(&self, time: usize) -> (String, u32) {
        let mut line = vec!['.'; WIDTH];
        let mut live = 0;
        let scale = |offset: u32| offset as usize * WIDTH / (self.arena.max(1) as usize);
        for (i, (buffer, &offset)) in self.buffers.iter().zip(&self.offsets).enumerate() {
            if time < buffer.first || time > buffer.last {
                continue;
            }
            live += buffer.bytes;
            let letter = if buffer.scratch.is_some() { '#' } else { letter(i) };
            let end = scale(offset + buffer.bytes).max(scale(offset) + 1).min(WIDTH);
            line[scale(offset).min(WIDTH - 1)..end].fill(letter);
        }
        (line.into_iter().collect(), live)
    }
}

fn letter(i: usize) -> char {
    const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char::from(LETTERS[i % LETTERS.len()])
}
