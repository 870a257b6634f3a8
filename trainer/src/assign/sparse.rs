//! Matchings of the largest weight where most pairs are impossible.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The column of each row in a matching with the largest sum of weights. Rows and columns may stay alone, so that a pair
/// of no positive weight is never in it. `pairs` are row, column and weight; other pairs are impossible.
///
/// Rows come in one after the other along a shortest augmenting path (J. Edmonds, R. M. Karp 1972), which ends at a free
/// column or at a row that had better stay alone. Potentials keep reduced costs at 0 or above, so that Dijkstra's search
/// finds the path, and it ends near the new row where pairs join what is near: the time of one row depends on its
/// neighbourhood and not on the number of rows. The dense solver of [`super::heaviest`] takes the third power of it.
///
/// # Panics
/// A row or column beyond `rows` and `columns`.
pub fn heaviest_sparse(rows: usize, columns: usize, pairs: &[(usize, usize, i64)]) -> Vec<Option<usize>> {
    let mut of_row: Vec<Vec<(usize, i64)>> = vec![Vec::new(); rows];
    for &(row, column, weight) in pairs.iter().filter(|pair| pair.2 > 0) {
        of_row[row].push((column, -weight));
    }
    let mut search = Search {
        row_potential: vec![0; rows],
        column_potential: vec![0; columns],
        row_of: vec![None; columns],
        column_of: vec![None; rows],
        distance: vec![i64::MAX; columns],
        from: vec![0; columns],
        of_row,
    };
    (0..rows).for_each(|row| search.insert(row));
    search.column_of
}

struct Search {
    /// Columns of each row with their costs, the weights below 0.
    of_row: Vec<Vec<(usize, i64)>>,
    row_potential: Vec<i64>,
    column_potential: Vec<i64>,
    row_of: Vec<Option<usize>>,
    column_of: Vec<Option<usize>>,
    /// Distance of each column from the new row, `i64::MAX` where it is not known; between searches everywhere.
    distance: Vec<i64>,
    /// Row before each column on its shortest path.
    from: Vec<usize>,
}

impl Search {
    fn insert(&mut self, new: usize) {
        let reduced = self.of_row[new].iter().map(|&(column, cost)| cost - self.column_potential[column]);
        // Staying alone costs 0.
        self.row_potential[new] = reduced.min().unwrap_or(0).min(0);

        let mut queue = BinaryHeap::new();
        let mut reached = Vec::new();
        let mut scanned = Vec::new();
        let (mut row, mut distance) = (new, 0);
        // Where the path ends as far as is known: at a row that stays alone.
        let (mut end, mut alone) = (i64::MAX, new);
        let free = loop {
            scanned.push((row, distance));
            let staying = distance - self.row_potential[row];
            if staying < end {
                (end, alone) = (staying, row);
            }
            for &(column, cost) in &self.of_row[row] {
                let there = distance + cost - self.row_potential[row] - self.column_potential[column];
                if there < self.distance[column] && there < end {
                    if self.distance[column] == i64::MAX {
                        reached.push(column);
                    }
                    self.distance[column] = there;
                    self.from[column] = row;
                    queue.push(Reverse((there, column)));
                }
            }
            let next = loop {
                match queue.pop() {
                    Some(Reverse((there, column))) if there < end => {
                        if there == self.distance[column] {
                            break Some((there, column));
                        }
                    }
                    _ => break None,
                }
            };
            let Some((there, column)) = next else { break None };
            match self.row_of[column] {
                None => {
                    end = there;
                    break Some(column);
                }
                Some(owner) => (row, distance) = (owner, there),
            }
        };
        for &(row, distance) in &scanned {
            self.row_potential[row] += end - distance;
        }
        for &column in &reached {
            if self.distance[column] < end {
                self.column_potential[column] -= end - self.distance[column];
            }
            self.distance[column] = i64::MAX;
        }
        self.augment(new, free, alone);
    }

    /// Gives the pairs on the path to the column `free`, or to the row `alone`, to their new owners.
    fn augment(&mut self, new: usize, free: Option<usize>, alone: usize) {
        let mut column = match free {
            Some(column) => column,
            None => match self.column_of[alone].take() {
                Some(column) => column,
                None => return,
            },
        };
        loop {
            let row = self.from[column];
            self.row_of[column] = Some(row);
            let before = self.column_of[row].replace(column);
            match before {
                Some(before) if row != new => column = before,
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    /// Largest sum over the rows from `row` on, by trying.
    fn tried(pairs: &[(usize, usize, i64)], row: usize, rows: usize, used: &mut Vec<bool>) -> i64 {
        if row == rows {
            return 0;
        }
        let mut best = tried(pairs, row + 1, rows, used);
        for &(_, column, weight) in pairs.iter().filter(|pair| pair.0 == row) {
            if !used[column] {
                used[column] = true;
                best = best.max(weight + tried(pairs, row + 1, rows, used));
                used[column] = false;
            }
        }
        best
    }

    #[test]
    fn sums_are_the_largest_there_are() {
        let mut rng = Pcg64::seed_from_u64(11);
        for _ in 0..2000 {
            let (rows, columns) = (rng.random_range(0..7), rng.random_range(0..7));
            let density = rng.random::<f64>();
            let mut pairs = Vec::new();
            for row in 0..rows {
                for column in 0..columns {
                    if rng.random::<f64>() < density {
                        pairs.push((row, column, rng.random_range(-5..30)));
                    }
                }
            }
            let found = heaviest_sparse(rows, columns, &pairs);
            let weight = |(row, column): (usize, &Option<usize>)| {
                let column = (*column)?;
                let pair = pairs.iter().find(|pair| (pair.0, pair.1) == (row, column));
                Some(pair.expect("only possible pairs are matched").2)
            };
            let sum: i64 = found.iter().enumerate().filter_map(weight).sum();
            assert_eq!(sum, tried(&pairs, 0, rows, &mut vec![false; columns]), "{pairs:?}");
            let mut columns: Vec<usize> = found.into_iter().flatten().collect();
            columns.sort_unstable();
            assert!(columns.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn large_problems_agree_with_the_dense_solver() {
        let mut rng = Pcg64::seed_from_u64(12);
        let count = 120;
        let weights: Vec<Vec<i64>> = (0..count)
            .map(|i: usize| {
                (0..count).map(|j| if i.abs_diff(j) < 6 { rng.random_range(1..1000) } else { 0 }).collect()
            })
            .collect();
        let pairs: Vec<(usize, usize, i64)> = (0..count)
            .flat_map(|i| (0..count).map(move |j| (i, j)))
            .map(|(i, j)| (i, j, weights[i][j]))
            .collect();
        let sparse: i64 = heaviest_sparse(count, count, &pairs)
            .into_iter()
            .enumerate()
            .filter_map(|(i, j)| Some(weights[i][j?]))
            .sum();
        let dense: i64 = super::super::heaviest(count, count, |i, j| weights[i][j])
            .into_iter()
            .map(|(i, j)| weights[i][j])
            .sum();
        assert_eq!(sparse, dense);
    }
}
