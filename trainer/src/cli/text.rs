//! Plain tables and numbers.

use comfy_table::{CellAlignment, Table, presets};
use dunlin_trainer::report::artifact::Artifact;

/// A table without lines whose columns are two spaces apart; columns named in `right` are aligned to the right.
pub(super) fn table(head: &[&str], right: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// A name without what a converter has fused into it, which follows after semicolons.
pub(super) fn short(name: &str) -> String {
    name.split(';').next().unwrap_or_default().to_string()
}

/// `1234567` as `1,234,567`.
pub(super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// The command that is running, as one would type it into a shell.
pub(super) fn command_line() -> String {
    let words = std::env::args().skip(1).map(|word| quoted(&word));
    std::iter::once("dunlin".to_string()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it back: in quotes where it has more than letters, digits and the signs of paths.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Prints what a model weighs, and its files; `at` says for which sizes its work is.
pub(super) fn print_size(artifact: &Artifact, at: &str) {
    let t = &artifact.facts.totals;
    println!("weights    {} bytes", number(t.weight_bytes));
    let (arena, live) = (number(t.arena_bytes as u64), number(t.largest_live_bytes));
    println!("arena      {arena} bytes, largest live set {live}");
    println!("work       {} MACs{at}", number(t.macs));
    for file in &artifact.files {
        println!("wrote {}", file.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(12_345_678), "12,345,678");
    }

    #[test]
    fn words_with_spaces_or_signs_of_the_shell_are_quoted() {
        assert_eq!(quoted("runs/a-b_c.dun"), "runs/a-b_c.dun");
        assert_eq!(quoted("a head=x y"), "'a head=x y'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
