//! SORT (A. Bewley et al., "Simple online and realtime tracking", 2016): a Kalman filter for each track, assignment of
//! detections by overlap.
//!
//! The state is centre, area and aspect of the box and the velocities of the first three. In SORT's model no two of
//! centre x, centre y, area and aspect depend on each other, so that the 7-state filter is three filters with a value
//! and its velocity and one of a constant, without any approximation.

use super::Tracker;
use crate::assign::{fixed, heaviest};
use crate::data::mot::{BBox, Detection, Row};
use serde::{Deserialize, Serialize};

/// Parameters of SORT; the default is the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SortParams {
    /// Detections with a lower score are left out; none where there is no such bound.
    pub score: Option<f64>,
    /// A track ends after more frames than this without a detection.
    pub max_age: usize,
    /// A track is reported from so many detections in a row on; in the first frames of a sequence at once.
    pub min_hits: usize,
    /// Least overlap of prediction and detection.
    pub iou: f64,
}

impl Default for SortParams {
    fn default() -> Self {
        Self { score: None, max_age: 1, min_hits: 3, iou: 0.3 }
    }
}

/// SORT over one sequence.
#[derive(Clone, Debug)]
pub struct Sort {
    params: SortParams,
    tracks: Vec<Track>,
    frame: usize,
    next_id: u32,
}

impl Sort {
    /// Before the first frame.
    pub fn new(params: SortParams) -> Self {
        Self { params, tracks: Vec::new(), frame: 0, next_id: 1 }
    }
}

impl Tracker for Sort {
    fn push(&mut self, detections: &[Detection]) -> Vec<Row> {
        let SortParams { score, max_age, min_hits, iou } = self.params;
        self.frame += 1;
        self.tracks.iter_mut().for_each(Track::predict);
        self.tracks.retain(|track| track.bbox().is_box());

        let found: Vec<&Detection> = detections
            .iter()
            .filter(|d| score.is_none_or(|least| d.score >= least) && d.bbox.is_box())
            .collect();
        let predicted: Vec<BBox> = self.tracks.iter().map(Track::bbox).collect();
        let overlap = |d: usize, t: usize| found[d].bbox.iou(&predicted[t]);
        let mut free = vec![true; found.len()];
        for (d, t) in heaviest(found.len(), predicted.len(), |d, t| fixed(overlap(d, t))) {
            if overlap(d, t) >= iou {
                self.tracks[t].update(found[d]);
                free[d] = false;
            }
        }
        for (detection, _) in found.iter().zip(&free).filter(|(_, free)| **free) {
            self.tracks.push(Track::new(self.next_id, detection));
            self.next_id += 1;
        }
        let frame = self.frame;
        let shown = |track: &&Track| track.missed == 0 && (track.streak >= min_hits || frame <= min_hits);
        let row = |track: &Track| Row { frame, id: track.id, bbox: track.bbox(), score: track.score };
        let rows = self.tracks.iter().filter(shown).map(row).collect();
        self.tracks.retain(|track| track.missed <= max_age);
        rows
    }

    fn finish(&mut self) -> Vec<Row> {
        Vec::new()
    }

    fn latency(&self) -> Option<usize> {
        Some(0)
    }
}

#[derive(Clone, Debug)]
struct Track {
    id: u32,
    x: Filter,
    y: Filter,
    area: Filter,
    aspect: Filter,
    score: f64,
    /// Frames since the last detection.
    missed: usize,
    /// Detections in a row after the first.
    streak: usize,
}

impl Track {
    fn new(id: u32, detection: &Detection) -> Self {
        let [x, y, area, aspect] = measured(&detection.bbox);
        Self {
            id,
            x: Filter::moving(x, 1.0, 0.01),
            y: Filter::moving(y, 1.0, 0.01),
            area: Filter::moving(area, 10.0, 0.0001),
            aspect: Filter::constant(aspect, 10.0),
            score: detection.score,
            missed: 0,
            streak: 0,
        }
    }

    fn predict(&mut self) {
        if self.area.value + self.area.velocity <= 0.0 {
            self.area.velocity = 0.0;
        }
        for filter in [&mut self.x, &mut self.y, &mut self.area, &mut self.aspect] {
            filter.predict();
        }
        if self.missed > 0 {
            self.streak = 0;
        }
        self.missed += 1;
    }

    fn update(&mut self, detection: &Detection) {
        let filters = [&mut self.x, &mut self.y, &mut self.area, &mut self.aspect];
        filters.into_iter().zip(measured(&detection.bbox)).for_each(|(filter, z)| filter.update(z));
        self.score = detection.score;
        self.missed = 0;
        self.streak += 1;
    }

    fn bbox(&self) -> BBox {
        let w = (self.area.value * self.aspect.value).sqrt();
        let h = self.area.value / w;
        BBox { x: self.x.value - w / 2.0, y: self.y.value - h / 2.0, w, h }
    }
}

/// Centre, area and aspect (width over height) of a box.
fn measured(bbox: &BBox) -> [f64; 4] {
    let [x, y] = bbox.centre();
    [x, y, bbox.w * bbox.h, bbox.w / bbox.h]
}

/// Kalman filter of a value and its velocity per frame.
#[derive(Clone, Debug)]
struct Filter {
    value: f64,
    velocity: f64,
    /// Variance of the value, covariance, variance of the velocity.
    p: [f64; 3],
    /// Growth of the velocity's variance in a frame.
    drift: f64,
    /// Variance of a measurement.
    noise: f64,
}

impl Filter {
    /// Of a value whose velocity is not known yet.
    fn moving(value: f64, noise: f64, drift: f64) -> Self {
        Self { value, velocity: 0.0, p: [10.0, 0.0, 10_000.0], drift, noise }
    }

    /// Of a value that does not move.
    fn constant(value: f64, noise: f64) -> Self {
        Self { value, velocity: 0.0, p: [10.0, 0.0, 0.0], drift: 0.0, noise }
    }

    fn predict(&mut self) {
        let [value, both, velocity] = self.p;
        self.value += self.velocity;
        self.p = [value + 2.0 * both + velocity + 1.0, both + velocity, velocity + self.drift];
    }

    fn update(&mut self, measured: f64) {
        let [value, both, velocity] = self.p;
        let all = value + self.noise;
        let (gain, velocity_gain) = (value / all, both / all);
        let error = measured - self.value;
        self.value += gain * error;
        self.velocity += velocity_gain * error;
        self.p = [(1.0 - gain) * value, (1.0 - gain) * both, velocity - velocity_gain * both];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::run;

    fn walker(frame: usize) -> Detection {
        Detection { bbox: BBox { x: 10.0 + 4.0 * frame as f64, y: 20.0, w: 30.0, h: 60.0 }, score: 0.9 }
    }

    #[test]
    fn a_gap_within_max_age_is_bridged_and_a_longer_one_is_not() {
        let seen = |frame: usize| !(8..11).contains(&frame);
        let frames: Vec<Vec<Detection>> =
            (1..20).map(|f| if seen(f) { vec![walker(f)] } else { Vec::new() }).collect();
        let ids = |max_age| {
            let rows = run(&mut Sort::new(SortParams { max_age, ..SortParams::default() }), &frames);
            assert!(rows.iter().all(|row| seen(row.frame)));
            rows.iter().map(|row| row.id).max()
        };
        assert_eq!(ids(3), Some(1));
        assert_eq!(ids(2), Some(2));
    }

    #[test]
    fn the_filter_follows_a_steady_walk() {
        let frames: Vec<Vec<Detection>> = (1..30).map(|f| vec![walker(f)]).collect();
        let rows = run(&mut Sort::new(SortParams::default()), &frames);
        assert_eq!(rows.len(), 29);
        assert!(rows[28].bbox.iou(&walker(29).bbox) > 0.99);
    }

    #[test]
    fn what_is_no_box_is_left_out() {
        let bad = Detection { bbox: BBox { x: f64::NAN, y: 0.0, w: 1.0, h: 1.0 }, score: 1.0 };
        let flat = Detection { bbox: BBox { x: 0.0, y: 0.0, w: 1.0, h: 0.0 }, score: 1.0 };
        assert_eq!(Sort::new(SortParams::default()).push(&[bad, flat]), []);
    }
}
