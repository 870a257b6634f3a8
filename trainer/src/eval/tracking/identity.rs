//! Identity metrics: each person is one track, each track one person.

use super::{OVERLAP, Prepared, ratio};
use crate::assign::heaviest;

/// Sums behind IDF1 (E. Ristani et al., "Performance measures and a data set for multi-target, multi-camera tracking",
/// 2016).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// Boxes whose identity is right.
    pub true_positives: usize,
    /// Boxes of ground truth whose identity is not found.
    pub misses: usize,
    /// Boxes of the tracker whose identity is wrong.
    pub false_positives: usize,
}

impl Identity {
    pub(super) fn of(data: &Prepared) -> Self {
        let mut common = vec![0i64; data.truth_ids * data.track_ids];
        let (mut truth, mut boxes) = (0, 0);
        for frame in &data.frames {
            truth += frame.truth.len();
            boxes += frame.tracks.len();
            for (i, id) in frame.truth.iter().enumerate() {
                for (j, track) in frame.tracks.iter().enumerate() {
                    common[id * data.track_ids + track] += i64::from(frame.overlap(i, j) >= OVERLAP);
                }
            }
        }
        // Fewest misses and false positives are most true positives, since the boxes of both sides are given.
        let weight = |truth: usize, track: usize| common[truth * data.track_ids + track];
        let pairs = heaviest(data.truth_ids, data.track_ids, weight);
        let right: i64 = pairs.into_iter().map(|(truth, track)| weight(truth, track)).sum();
        let true_positives = right as usize;
        Self { true_positives, misses: truth - true_positives, false_positives: boxes - true_positives }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.true_positives += other.true_positives;
        self.misses += other.misses;
        self.false_positives += other.false_positives;
    }

    /// Recall of identities.
    pub fn idr(&self) -> f64 {
        ratio(self.true_positives as f64, self.true_positives + self.misses)
    }

    /// Precision of identities.
    pub fn idp(&self) -> f64 {
        ratio(self.true_positives as f64, self.true_positives + self.false_positives)
    }

    /// Harmonic mean of recall and precision.
    pub fn idf1(&self) -> f64 {
        let all = 2 * self.true_positives + self.misses + self.false_positives;
        ratio(2.0 * self.true_positives as f64, all)
    }
}
