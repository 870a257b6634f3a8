//! The assignment problem: which row goes with which column so that the sum of weights is largest.

mod sparse;

pub use sparse::heaviest_sparse;

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

/// Steps of [`fixed`] in 1.
const STEPS: f64 = (1u64 << 40) as f64;

/// A weight as a whole number of 2⁻⁴⁰, so that sums are exact: an optimum is one, whatever the order of additions.
/// Weights may have magnitudes up to 2²⁰, of which a problem of a thousand rows can be made.
pub fn fixed(weight: f64) -> i64 {
    (weight * STEPS).round() as i64
}

/// Pairs of row and column, each in one pair at most and as many pairs as rows or columns, whichever are fewer, that
/// have the largest sum of `weight` (H. W. Kuhn 1955, J. Munkres 1957), in the order of rows.
///
/// Absolute weights times the number of rows must fit `i64`.
pub fn heaviest(rows: usize, columns: usize, weight: impl Fn(usize, usize) -> i64) -> Vec<(usize, usize)> {
    if rows == 0 || columns == 0 {
        return Vec::new();
    }
    if rows > columns {
        let turned = Matrix::from_fn(columns, rows, |(column, row)| weight(row, column));
        let (_, row_of) = kuhn_munkres(&turned);
        let mut pairs: Vec<_> = row_of.into_iter().enumerate().map(|(column, row)| (row, column)).collect();
        pairs.sort_unstable();
        return pairs;
    }
    let (_, column_of) = kuhn_munkres(&Matrix::from_fn(rows, columns, |(row, column)| weight(row, column)));
    column_of.into_iter().enumerate().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    /// Largest sum by trying every assignment of the rows from `row` on to columns that `free` has.
    fn tried(weights: &[Vec<i64>], row: usize, free: &mut Vec<bool>, left: usize) -> i64 {
        if left == 0 {
            return 0;
        }
        let mut best = i64::MIN;
        if weights.len() - row > left {
            best = tried(weights, row + 1, free, left);
        }
        for column in 0..free.len() {
            if free[column] {
                free[column] = false;
                best = best.max(weights[row][column] + tried(weights, row + 1, free, left - 1));
                free[column] = true;
            }
        }
        best
    }

    #[test]
    fn sums_are_the_largest_there_are_wide_and_tall() {
        let mut rng = Pcg64::seed_from_u64(5);
        for (rows, columns) in [(1, 1), (2, 5), (5, 2), (4, 4), (3, 6), (6, 3)] {
            for _ in 0..50 {
                let weights: Vec<Vec<i64>> =
                    (0..rows).map(|_| (0..columns).map(|_| rng.random_range(-20..60)).collect()).collect();
                let pairs = heaviest(rows, columns, |r, c| weights[r][c]);
                let sum: i64 = pairs.iter().map(|&(r, c)| weights[r][c]).sum();
                assert_eq!(pairs.len(), rows.min(columns));
                assert!(pairs.is_sorted_by(|a, b| a.0 < b.0));
                assert_eq!(sum, tried(&weights, 0, &mut vec![true; columns], rows.min(columns)));
            }
        }
        assert_eq!(heaviest(0, 3, |_, _| 1), []);
        assert_eq!(heaviest(3, 0, |_, _| 1), []);
    }

    #[test]
    fn near_ties_are_decided_exactly() {
        let weights = [[1000.0, 999.5], [0.5 + 1e-9, 0.0]];
        assert_eq!(heaviest(2, 2, |r, c| fixed(weights[r][c])), [(0, 1), (1, 0)]);
    }
}
