//! Operators of graphs, from their definitions in `docs/numerics.md`.

use super::reduce::divided;
use super::{Factor, Grid, finish, rescale};
use std::collections::BTreeMap;

/// How rows with one index become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest of each channel.
    Max,
}

/// Rows of `parts` side by side: of each the rows that its list names, or all in order. `None` stands for zero.
pub fn gather_rows(parts: &[(Grid, Option<Vec<i64>>)], rows: usize) -> Vec<Option<i64>> {
    let mut out = Vec::new();
    for row in 0..rows {
        for (part, list) in parts {
            let from = list.as_ref().map_or(row, |list| list[row] as usize);
            for c in 0..part.size[3] {
                out.push((from < part.size[2]).then(|| part.at([0, 0, from, c])));
            }
        }
    }
    out
}

/// Row `j` is the sum, mean or maximum of the rows of `x` whose entry is `j`; zero where there is none.
pub fn scatter_reduce(
    x: &Grid,
    list: &[i64],
    rows: usize,
    together: Together,
    zeros: [i64; 2],
    factor: Factor,
) -> Grid {
    Grid::build([1, 1, rows, x.size[3]], |[_, _, row, c]| {
        let mine: Vec<i64> =
            (0..list.len()).filter(|&i| list[i] == row as i64).map(|i| x.at([0, 0, i, c])).collect();
        let Some(&largest) = mine.iter().max() else { return zeros[1] };
        let sum: i64 = mine.iter().map(|v| v - zeros[0]).sum();
        let factor = match together {
            Together::Max => return largest,
            Together::Sum => factor,
            Together::Mean => divided(factor, mine.len() as i64),
        };
        finish(rescale(sum, factor), zeros[1], [-128, 127])
    })
}

/// Softmax over all rows with one entry, by channel; entries from `segments` on give -128.
pub fn segment_softmax(x: &Grid, list: &[i64], segments: usize, input_scale: f64) -> Grid {
    let mut groups: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (row, &index) in list.iter().enumerate().filter(|(_, i)| **i < segments as i64) {
        groups.entry(index).or_default().push(row);
    }
    let mut out = Grid::build(x.size, |_| -128);
    for rows in groups.values() {
        for c in 0..x.size[3] {
            let line = Grid::build([1, 1, 1, rows.len()], |[_, _, _, i]| x.at([0, 0, rows[i], c]));
            let soft = super::softmax(&line, input_scale, 1.0, 8);
            for (i, &row) in rows.iter().enumerate() {
                let at = out.index([0, 0, row, c]);
                out.data[at] = soft.data[i];
            }
        }
    }
    out
}
