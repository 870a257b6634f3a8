//! How the tracker works, and what it leaves out.

use crate::assign::Rounding;
use crate::maths::clip;
use crate::motion::Noise;

/// How the tracker works. Lengths are in heights of people, times in seconds or frames as they say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Frames a second.
    pub rate: f32,
    /// Width and height of the picture in pixels; without, no box is outside. In one without area every box is.
    pub picture: Option<[f32; 2]>,
    /// Frames between a frame and its rows.
    pub latency: u32,
    /// Detections of a lower score are left out.
    pub min_score: f32,
    /// A track may begin with this score.
    pub birth_score: f32,
    /// Edges join a track and a detection that overlaps with its predicted box by more than this.
    pub gate: f32,
    /// Nearest tracks of a detection that get an edge, at most 16.
    pub neighbours: usize,
    /// A track is given up after so many seconds without a detection,
    pub gap_seconds: f32,
    /// so many frames,
    pub gap_frames: u32,
    /// or so many frames for each of its detections.
    pub gap_per_hit: u32,
    /// How people move.
    pub noise: Noise,
    /// Weight of the network's edge logit; the logit of the overlap has weight 1.
    pub edge_weight: f32,
    /// Edges with a logit above this may become links; what is above it is what a link is worth.
    pub edge_threshold: f32,
    /// Tracks with a mean logit of being a person above this are given out.
    pub node_threshold: f32,
    /// Boxes of this score and more are given out; others carry a track over a gap, which is filled in.
    pub sure_score: f32,
    /// Detections of that score that a track needs.
    pub min_hits: u32,
    /// Longest gap, in frames, that is filled in.
    pub interpolate: u32,
    /// How edges become links.
    pub rounding: Rounding,
}

impl Settings {
    /// The settings that the network of the repository was trained with, for a recording of this rate and size.
    pub const fn new(rate: f32, picture: Option<[f32; 2]>) -> Self {
        Self {
            rate,
            picture,
            latency: 10,
            min_score: 0.7,
            birth_score: 0.0,
            gate: 0.05,
            neighbours: 4,
            gap_seconds: 2.0,
            gap_frames: 40,
            gap_per_hit: 1,
            noise: Noise { process: 0.25, measurement: 0.06, velocity: 0.8 },
            edge_weight: 0.5,
            edge_threshold: -3.0,
            node_threshold: 0.0,
            sure_score: 0.9,
            min_hits: 3,
            interpolate: 10,
            rounding: Rounding::Exact,
        }
    }

    pub(crate) fn longest_gap(&self) -> u32 {
        let frames = clip(self.gap_seconds * self.rate, 2.0, self.gap_frames as f32);
        frames as u32
    }
}

/// What was left out, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames taken.
    pub frames: u32,
    /// Frames that were given again.
    pub repeated: u32,
    /// Frames that went back: the tracker began anew.
    pub restarted: u32,
    /// Boxes or scores that are not finite, boxes of no area, beyond any picture or outside of this one.
    pub invalid: u32,
    /// Detections of too low a score.
    pub unsure: u32,
    /// Boxes that were there twice.
    pub duplicates: u32,
    /// Detections beyond the capacity.
    pub crowded: u32,
    /// Edges beyond the capacity.
    pub edges: u32,
    /// Tracks that could not begin because there was no room.
    pub unborn: u32,
}
