//! The graph of a frame: which track may go on with which detection.

use crate::features::Pair;
use crate::rect::Rect;
use heapless::Vec;

/// Nearest tracks of a detection that are kept at most, whatever the settings say.
pub(crate) const MOST_NEIGHBOURS: usize = 16;

/// A track as the new frame sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    /// Its place among all tracks.
    pub(crate) slot: u16,
    /// Where it should be now.
    pub(crate) predicted: [f32; 2],
    /// Where it was last.
    pub(crate) centre: [f32; 2],
    /// Smoothed width and height.
    pub(crate) size: [f32; 2],
    /// Logarithm of the smoothed height.
    pub(crate) log_height: f32,
    /// The last box.
    pub(crate) last: Rect,
    /// Frames since.
    pub(crate) frames: u32,
}

impl Past {
    /// Intersection over union of the predicted box and a detection.
    fn overlap(&self, detection: &Fresh) -> f32 {
        let here = Rect::around(detection.centre, detection.bounds.w, detection.bounds.h);
        Rect::around(self.predicted, self.size[0], self.size[1]).iou(&here)
    }
}

/// A detection of the new frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fresh {
    pub(crate) bounds: Rect,
    pub(crate) score: f32,
    /// As far as the camera stood still.
    pub(crate) centre: [f32; 2],
    pub(crate) log_height: f32,
}

/// A track and a detection that may be one person.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    /// Number among the tracks of the graph.
    pub(crate) past: u16,
    /// Number among the detections.
    pub(crate) fresh: u16,
    /// Distance of the two; the smaller the nearer.
    pub(crate) cost: f32,
    /// Intersection over union of the predicted box and the detection.
    pub(crate) overlap: f32,
}

/// Which pairs become edges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// Least intersection over union with the predicted box.
    pub(crate) iou: f32,
    /// Largest logarithm of the ratio of the heights.
    pub(crate) ratio: f32,
    /// Nearest tracks of each detection that are kept.
    pub(crate) neighbours: usize,
}

/// The edges, detection by detection, the nearest track first; returns how many there was no room for.
pub(crate) fn edges<const EDGES: usize>(
    past: &[Past],
    fresh: &[Fresh],
    gate: Gate,
    edges: &mut Vec<Edge, EDGES>,
) -> u32 {
    edges.clear();
    let most = gate.neighbours.min(MOST_NEIGHBOURS);
    let mut lost = 0;
    for (j, detection) in fresh.iter().enumerate() {
        let mut near: Vec<Edge, { MOST_NEIGHBOURS + 1 }> = Vec::new();
        for (i, track) in past.iter().enumerate() {
            let ratio = detection.log_height - track.log_height;
            if !(-gate.ratio < ratio && ratio < gate.ratio) {
                continue;
            }
            let overlap = track.overlap(detection);
            if overlap <= gate.iou {
                continue;
            }
            let pair = Pair::new(track, detection);
            let nearest = if pair.distance < pair.raw_distance { pair.distance } else { pair.raw_distance };
            let cost = nearest + 0.5 * if ratio < 0.0 { -ratio } else { ratio };
            // The first of equals stays in front.
            let at = near.iter().position(|e| cost < e.cost).unwrap_or(near.len());
            if at < most {
                // There is room for one more than is kept.
                let _ = near.insert(at, Edge { past: i as u16, fresh: j as u16, cost, overlap });
                near.truncate(most);
            }
        }
        for edge in near {
            lost += u32::from(edges.push(edge).is_err());
        }
    }
    lost
}

/// The two smallest costs at each end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rivals {
    best: f32,
    second: f32,
    of: u16,
}

/// Cost of an edge that is not there.
const ABSENT: f32 = 4.0;

impl Rivals {
    pub(crate) const NONE: Self = Self { best: ABSENT, second: ABSENT, of: u16::MAX };

    pub(crate) fn take(&mut self, edge: u16, cost: f32) {
        let cost = if cost < ABSENT { cost } else { ABSENT };
        if cost < self.best {
            (self.second, self.best, self.of) = (self.best, cost, edge);
        } else if cost < self.second {
            self.second = cost;
        }
    }

    /// How much worse the best other edge is than this one.
    pub(crate) fn margin(&self, edge: u16, cost: f32) -> f32 {
        let other = if self.of == edge { self.second } else { self.best };
        other - if cost < ABSENT { cost } else { ABSENT }
    }
}
