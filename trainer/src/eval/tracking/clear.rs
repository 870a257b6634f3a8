//! CLEAR MOT: misses, false positives, identity switches.

use super::{OVERLAP, Prepared, ratio};

/// Weight of a match of the frame before, so that it is kept wherever the overlap allows.
const KEEP: f64 = 1000.0;

/// Sums behind MOTA and its relatives (K. Bernardin, R. Stiefelhagen, "Evaluating multiple object tracking
/// performance", 2008).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clear {
    /// Frames.
    pub frames: usize,
    /// Matches.
    pub true_positives: usize,
    /// Boxes of ground truth without match.
    pub misses: usize,
    /// Boxes of the tracker without match.
    pub false_positives: usize,
    /// Matches with another track than the person's last one.
    pub id_switches: usize,
    /// People matched in more than 80 % of their frames.
    pub mostly_tracked: usize,
    /// People matched in 20 to 80 % of their frames.
    pub partly_tracked: usize,
    /// People matched in less than 20 % of their frames.
    pub mostly_lost: usize,
    /// Matches after a frame without, beyond each person's first.
    pub fragmentations: usize,
    /// Sum of the matches' overlaps.
    pub overlap: f64,
}

/// What is known of a person.
#[derive(Clone, Default)]
struct Person {
    frames: usize,
    matched: usize,
    beginnings: usize,
    last: Option<usize>,
    /// Track in the last frame that was compared; none where there was no match.
    now: Option<usize>,
}

impl Clear {
    pub(super) fn of(data: &Prepared) -> Self {
        let mut sums = Self { frames: data.frames.len(), ..Self::default() };
        let mut people = vec![Person::default(); data.truth_ids];
        for frame in &data.frames {
            frame.truth.iter().for_each(|&id| people[id].frames += 1);
            if frame.truth.is_empty() || frame.tracks.is_empty() {
                sums.misses += frame.truth.len();
                sums.false_positives += frame.tracks.len();
                continue;
            }
            let score = |truth: usize, track: usize| {
                let overlap = frame.overlap(truth, track);
                let kept = people[frame.truth[truth]].now == Some(frame.tracks[track]);
                let bonus = if kept { KEEP } else { 0.0 };
                if overlap < OVERLAP - f64::EPSILON { 0.0 } else { bonus + overlap }
            };
            let mut pairs = frame.heaviest(score);
            pairs.retain(|&(truth, track)| score(truth, track) > f64::EPSILON);
            let mut before = vec![None; people.len()];
            for (person, before) in people.iter_mut().zip(&mut before) {
                *before = person.now.take();
            }
            for &(truth, track) in &pairs {
                let (id, track_id) = (frame.truth[truth], frame.tracks[track]);
                let person = &mut people[id];
                sums.id_switches += usize::from(person.last.is_some_and(|last| last != track_id));
                person.beginnings += usize::from(before[id].is_none());
                person.matched += 1;
                (person.last, person.now) = (Some(track_id), Some(track_id));
                sums.overlap += frame.overlap(truth, track);
            }
            sums.true_positives += pairs.len();
            sums.misses += frame.truth.len() - pairs.len();
            sums.false_positives += frame.tracks.len() - pairs.len();
        }
        for person in &people {
            let part = person.matched as f64 / person.frames as f64;
            if part > 0.8 {
                sums.mostly_tracked += 1;
            } else if part >= 0.2 {
                sums.partly_tracked += 1;
            } else {
                sums.mostly_lost += 1;
            }
            sums.fragmentations += person.beginnings.saturating_sub(1);
        }
        sums
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.true_positives += other.true_positives;
        self.misses += other.misses;
        self.false_positives += other.false_positives;
        self.id_switches += other.id_switches;
        self.mostly_tracked += other.mostly_tracked;
        self.partly_tracked += other.partly_tracked;
        self.mostly_lost += other.mostly_lost;
        self.fragmentations += other.fragmentations;
        self.overlap += other.overlap;
    }

    /// Boxes of ground truth.
    fn truth(&self) -> usize {
        self.true_positives + self.misses
    }

    /// Multiple object tracking accuracy; may be negative.
    pub fn mota(&self) -> f64 {
        let right = self.true_positives as f64 - self.false_positives as f64 - self.id_switches as f64;
        ratio(right, self.truth())
    }

    /// MOTA without identity switches.
    pub fn moda(&self) -> f64 {
        ratio(self.true_positives as f64 - self.false_positives as f64, self.truth())
    }

    /// MOTA with the logarithm of the identity switches.
    pub fn motal(&self) -> f64 {
        let switches = if self.id_switches > 0 { (self.id_switches as f64).log10() } else { 0.0 };
        ratio(self.true_positives as f64 - self.false_positives as f64 - switches, self.truth())
    }

    /// MOTA with overlaps in place of matches.
    pub fn smota(&self) -> f64 {
        ratio(self.overlap - self.false_positives as f64 - self.id_switches as f64, self.truth())
    }

    /// Multiple object tracking precision: mean overlap of matches.
    pub fn motp(&self) -> f64 {
        ratio(self.overlap, self.true_positives)
    }

    /// Part of the ground truth's boxes that are matched.
    pub fn recall(&self) -> f64 {
        ratio(self.true_positives as f64, self.truth())
    }

    /// Part of the tracker's boxes that are matched.
    pub fn precision(&self) -> f64 {
        ratio(self.true_positives as f64, self.true_positives + self.false_positives)
    }
}
