//! The range of scores of which only the largest counts.

use super::params;
use super::ranges::{Range, Ranges};
use crate::graph::ValueId;
use crate::ops::largest;

/// Halvings of the range that are tried, in half steps.
const TRIED: i32 = 24;

impl Ranges {
    /// Narrows the range of `value` to the part that loses least when the largest of each row of `width` scores is chosen after rounding:
    /// the mean, over the rows of `scores`, of the best score less the chosen one. Scores beyond the range count as its ends, which
    /// hides how bad an action is, or how good; what it gives is resolution where scores are close. Of equal parts the widest is taken.
    pub fn narrow_to_choices(&mut self, value: ValueId, scores: &[f32], width: usize) {
        let Some(group) = self.points().group(value) else { return };
        let Some(whole) = self.groups[group].filter(|r| r.is_finite()) else { return };
        let part = |k: i32| {
            let factor = 0.5f32.powf(k as f32 / 2.0);
            Range { lo: whole.lo * factor, hi: whole.hi * factor }
        };
        let mut best = (f64::INFINITY, whole);
        for range in (0..=TRIED).map(part) {
            let loss = lost(range, scores, width);
            if loss < best.0 {
                best = (loss, range);
            }
        }
        self.groups[group] = Some(best.1);
    }
}

/// Mean loss of choosing by scores rounded to 8 bits.
fn lost(range: Range, scores: &[f32], width: usize) -> f64 {
    let q = params::activation(range.lo, range.hi);
    let mut sum = 0.0;
    for row in scores.chunks_exact(width) {
        let rounded: Vec<i8> = row.iter().map(|&score| q.quantize(score)).collect();
        sum += f64::from(row[largest(row)] - row[largest(&rounded)]);
    }
    sum / (scores.len() / width).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_scores_need_a_range_of_their_own() {
        // A rare danger sets the range; everywhere else the second action is better by a little.
        let mut scores = [0.0, 0.01].repeat(1000);
        scores.extend([5.0, -9.0]);
        let whole = Range { lo: -9.0, hi: 5.0 };
        let narrow = Range { lo: -0.9, hi: 0.5 };
        assert!(lost(whole, &scores, 2) > 0.009);
        assert_eq!(lost(narrow, &scores, 2), 0.0);
    }

    #[test]
    fn scores_that_are_all_beyond_the_range_cannot_be_told_apart() {
        let scores = [3.0, 4.0, 2.0, 5.0];
        assert_eq!(lost(Range { lo: -1.0, hi: 1.0 }, &scores, 2), 2.0);
        assert_eq!(lost(Range { lo: 0.0, hi: 5.0 }, &scores, 2), 0.0);
    }
}
