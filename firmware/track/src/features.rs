//! What the network is told: of nodes, and of edges. Every feature is bounded, so that eight bits do.

use crate::graph::{Fresh, Past};
use crate::maths::{clip, ln, sqrt};
use crate::motion::Noise;
use crate::rect::Rect;
use crate::track::Track;

/// Features of a node.
pub const NODE_FEATURES: usize = 9;
/// Features of an edge.
pub const EDGE_FEATURES: usize = 16;
/// The feature of an edge that is the overlap of the predicted box and the detection.
pub const OVERLAP: usize = 4;

/// What an overlap says of a link by itself: a logit, to which the network's is added, in training as on the device.
pub fn prior(overlap: f32) -> f32 {
    let overlap = clip(overlap, 0.02, 0.98);
    ln(overlap / (1.0 - overlap))
}

/// How sure a score is: 0 for none, about 1 for 0.999.
fn sureness(score: f32) -> f32 {
    -ln(1.001 - clip(score, 0.0, 1.0)) / 7.0
}

/// Frames over which a track's recall is told.
const RECENT: u32 = 10;

/// A track: how sure its last detection is, all of them on average and the least; how often it was seen; in which part of
/// the last frames; for how long it has not been, in frames and seconds.
pub(crate) fn of_track<const H: usize>(track: &Track<H>, now: u32, rate: f32) -> [f32; NODE_FEATURES] {
    let gap = (now - track.last().frame) as f32;
    [
        sureness(track.last_score),
        sureness(track.score_sum / track.hits as f32),
        sureness(track.least_score),
        clip(track.hits as f32, 0.0, 20.0) / 20.0,
        clip(track.recall(now, RECENT), 0.0, 1.0),
        clip(gap / 10.0, 0.0, 2.0),
        clip(gap / rate, 0.0, 2.0),
        1.0,
        0.0,
    ]
}

/// A detection of the new frame: a track of one.
pub(crate) fn of_detection(score: f32) -> [f32; NODE_FEATURES] {
    let sure = sureness(score);
    [sure, sure, sure, 1.0 / 20.0, 0.0, 0.0, 0.0, 0.0, 1.0]
}

/// How a track and a detection lie to each other, in their mean height.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    height: f32,
    /// From where the track should be.
    offset: [f32; 2],
    /// From where it was.
    raw: [f32; 2],
    pub(crate) distance: f32,
    pub(crate) raw_distance: f32,
}

impl Pair {
    pub(crate) fn new(track: &Past, detection: &Fresh) -> Self {
        let height = 0.5 * (detection.bounds.h + track.size[1]);
        let offset = [0, 1].map(|i| (detection.centre[i] - track.predicted[i]) / height);
        let raw = [0, 1].map(|i| (detection.centre[i] - track.centre[i]) / height);
        let length = |v: [f32; 2]| sqrt(v[0] * v[0] + v[1] * v[1]);
        Self { height, offset, raw, distance: length(offset), raw_distance: length(raw) }
    }
}

/// An edge: where the detection is from where the track should be and from where it was, how the sizes compare, how much
/// the boxes overlap, the time between, the distance in standard deviations and from where it was, and how much worse the rivals at both ends
/// are.
pub(crate) fn of_edge(
    track: &Past,
    variance: f32,
    detection: &Fresh,
    overlap: f32,
    margins: [f32; 2],
    rate: f32,
    noise: &Noise,
) -> [f32; EDGE_FEATURES] {
    let pair = Pair::new(track, detection);
    let seconds = track.frames as f32 / rate;
    let measured = noise.measurement * pair.height;
    let deviation = sqrt(variance + measured * measured);
    let here = Rect::around(detection.centre, detection.bounds.w, detection.bounds.h);
    let two = |x: f32| clip(x, -2.0, 2.0);
    let ratio = |x: f32| clip(x, -1.0, 1.0);
    [
        two(pair.offset[0]),
        two(pair.offset[1]),
        2.0 * ratio(detection.log_height - track.log_height),
        ratio(ln(detection.bounds.w / track.size[0])),
        overlap,
        two(pair.raw[0]),
        two(pair.raw[1]),
        2.0 * ratio(ln(detection.bounds.h / track.last.h)),
        Rect::around(track.centre, track.last.w, track.last.h).iou(&here),
        clip(track.frames as f32 / 10.0, 0.0, 2.0),
        clip(seconds, 0.0, 2.0),
        clip(pair.distance * pair.height / deviation / 4.0, 0.0, 2.0),
        clip(pair.raw_distance, 0.0, 2.0),
        ratio(margins[0]),
        ratio(margins[1]),
        if track.frames == 1 { 1.0 } else { 0.0 },
    ]
}
