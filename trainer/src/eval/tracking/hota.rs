//! HOTA: detection and association accuracy at 19 overlaps.

use super::Prepared;
use std::array;

/// Number of overlaps.
pub const ALPHAS: usize = 19;

/// The least overlap of a match at place `at`: 0.05, 0.10, … 0.95.
fn alpha(at: usize) -> f64 {
    0.05 + 0.05 * at as f64
}

/// Sums behind HOTA (J. Luiten et al., "HOTA: a higher order metric for evaluating multi-object tracking", 2021), for
/// each overlap.
#[derive(Clone, Debug, PartialEq)]
pub struct Hota {
    /// Sums at overlaps of 0.05, 0.10, … 0.95.
    pub at: [HotaSums; ALPHAS],
}

/// Sums at one overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HotaSums {
    /// Matches.
    pub true_positives: usize,
    /// Boxes of ground truth without match.
    pub misses: usize,
    /// Boxes of the tracker without match.
    pub false_positives: usize,
    /// Sum of the matches' overlaps.
    pub overlap: f64,
    /// Sum over matches of how well the two tracks agree: common matches over frames of either.
    pub association: f64,
    /// The same over frames of the person.
    pub association_recall: f64,
    /// The same over frames of the track.
    pub association_precision: f64,
}

impl Default for Hota {
    fn default() -> Self {
        Self { at: [HotaSums::default(); ALPHAS] }
    }
}

impl Hota {
    pub(super) fn of(data: &Prepared) -> Self {
        let columns = data.track_ids;
        let mut truth_frames = vec![0usize; data.truth_ids];
        let mut track_frames = vec![0usize; columns];
        let mut potential = vec![0.0; data.truth_ids * columns];
        for frame in &data.frames {
            frame.truth.iter().for_each(|&id| truth_frames[id] += 1);
            frame.tracks.iter().for_each(|&id| track_frames[id] += 1);
            let (rows, cols) = (0..frame.truth.len(), 0..frame.tracks.len());
            let row_sums: Vec<f64> =
                rows.clone().map(|i| cols.clone().map(|j| frame.overlap(i, j)).sum()).collect();
            let column_sums: Vec<f64> =
                cols.clone().map(|j| rows.clone().map(|i| frame.overlap(i, j)).sum()).collect();
            for i in rows {
                for j in cols.clone() {
                    let overlap = frame.overlap(i, j);
                    let all = row_sums[i] + column_sums[j] - overlap;
                    if all > f64::EPSILON {
                        potential[frame.truth[i] * columns + frame.tracks[j]] += overlap / all;
                    }
                }
            }
        }
        let alignment = |truth: usize, track: usize| {
            let common = potential[truth * columns + track];
            common / (truth_frames[truth] as f64 + track_frames[track] as f64 - common)
        };

        let mut hota = Self::default();
        let mut common: [Vec<u32>; ALPHAS] = array::from_fn(|_| vec![0; data.truth_ids * columns]);
        for frame in &data.frames {
            let pairs =
                frame.heaviest(|i, j| alignment(frame.truth[i], frame.tracks[j]) * frame.overlap(i, j));
            for (at, sums) in hota.at.iter_mut().enumerate() {
                let mut matches = 0;
                for &(i, j) in &pairs {
                    let overlap = frame.overlap(i, j);
                    if overlap >= alpha(at) - f64::EPSILON {
                        matches += 1;
                        sums.overlap += overlap;
                        common[at][frame.truth[i] * columns + frame.tracks[j]] += 1;
                    }
                }
                sums.true_positives += matches;
                sums.misses += frame.truth.len() - matches;
                sums.false_positives += frame.tracks.len() - matches;
            }
        }
        for (sums, common) in hota.at.iter_mut().zip(&common) {
            for (pair, &count) in common.iter().enumerate().filter(|(_, count)| **count > 0) {
                let (truth, track) = (truth_frames[pair / columns], track_frames[pair % columns]);
                let squared = f64::from(count) * f64::from(count);
                sums.association += squared / (truth + track - count as usize) as f64;
                sums.association_recall += squared / truth as f64;
                sums.association_precision += squared / track as f64;
            }
        }
        hota
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (a, b) in self.at.iter_mut().zip(&other.at) {
            a.true_positives += b.true_positives;
            a.misses += b.misses;
            a.false_positives += b.false_positives;
            a.overlap += b.overlap;
            a.association += b.association;
            a.association_recall += b.association_recall;
            a.association_precision += b.association_precision;
        }
    }

    /// Mean of a figure over the overlaps.
    pub fn mean(&self, figure: impl Fn(&HotaSums) -> f64) -> f64 {
        self.at.iter().map(figure).sum::<f64>() / ALPHAS as f64
    }
}

impl HotaSums {
    fn over(&self, sum: f64, of: usize) -> f64 {
        super::ratio(sum, of)
    }

    /// Geometric mean of detection and association accuracy.
    pub fn hota(&self) -> f64 {
        (self.det_a() * self.ass_a()).sqrt()
    }

    /// The same with detection recall in place of accuracy.
    pub fn rhota(&self) -> f64 {
        (self.det_re() * self.ass_a()).sqrt()
    }

    /// Detection accuracy: matches over all boxes of either side.
    pub fn det_a(&self) -> f64 {
        self.over(self.true_positives as f64, self.true_positives + self.misses + self.false_positives)
    }

    /// Detection recall.
    pub fn det_re(&self) -> f64 {
        self.over(self.true_positives as f64, self.true_positives + self.misses)
    }

    /// Detection precision.
    pub fn det_pr(&self) -> f64 {
        self.over(self.true_positives as f64, self.true_positives + self.false_positives)
    }

    /// Association accuracy: mean over matches.
    pub fn ass_a(&self) -> f64 {
        self.over(self.association, self.true_positives)
    }

    /// Association recall.
    pub fn ass_re(&self) -> f64 {
        self.over(self.association_recall, self.true_positives)
    }

    /// Association precision.
    pub fn ass_pr(&self) -> f64 {
        self.over(self.association_precision, self.true_positives)
    }

    /// Localisation accuracy: mean overlap of matches, 1 where there is none.
    pub fn loc_a(&self) -> f64 {
        self.overlap.max(1e-10) / (self.true_positives as f64).max(1e-10)
    }
}
