//! Trackers: detections in, tracks out, all behind [`Tracker`], so that each can be compared on the same detections.
//!
//! A tracker is given frame after frame and answers with the rows that have become final. SORT answers at once; a tracker
//! in a sliding window answers some frames later; the flow trackers, which look at the whole sequence, at its end.

pub mod flow;
pub mod mpn;
pub mod sort;
pub mod tune;

use crate::data::mot::{Detection, Info, Row, Sequence};
use flow::{Flow, FlowParams, SocialParams};
use mpn::{Mpn, MpnParams, Solver};
use serde::{Deserialize, Serialize};
use sort::{Sort, SortParams};

/// Turns detections into tracks.
pub trait Tracker {
    /// The next frame's detections, which may be none; frames count from 1. Returns rows that are final: no later call
    /// changes them, or returns a row of the same frame and id.
    fn push(&mut self, detections: &[Detection]) -> Vec<Row>;

    /// After the last frame: all rows that are still open.
    fn finish(&mut self) -> Vec<Row>;

    /// Frames for which a row may be held back; `None` where it may be the whole sequence.
    fn latency(&self) -> Option<usize>;
}

/// What a tracker knows of a sequence besides its detections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scene {
    /// Frames a second.
    pub frame_rate: f64,
    /// Width of a frame in pixels.
    pub width: f64,
    /// Height of a frame in pixels.
    pub height: f64,
}

impl From<&Info> for Scene {
    fn from(info: &Info) -> Self {
        Self { frame_rate: info.frame_rate, width: info.width.into(), height: info.height.into() }
    }
}

/// A tracker and its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tracker", rename_all = "lowercase")]
pub enum Settings {
    /// Kalman filter and assignment, frame by frame.
    Sort(SortParams),
    /// Minimum-cost flow through all detections.
    Flow(FlowParams),
    /// The same with social forces and groups.
    Social(SocialParams),
    /// Message passing network in a sliding window, that of the repository.
    Mpn(MpnParams),
}

impl Settings {
    /// The tracker for one sequence.
    pub fn tracker(&self, scene: Scene) -> Box<dyn Tracker> {
        match *self {
            Self::Sort(params) => Box::new(Sort::new(params)),
            Self::Flow(params) => Box::new(Flow::plain(params, scene)),
            Self::Social(params) => Box::new(Flow::social(params, scene)),
            Self::Mpn(params) => Box::new(
                Mpn::new(&Solver::built_in(), params.settings(scene))
                    .expect("a test runs the built-in network"),
            ),
        }
    }

    /// Rows of a whole sequence, by frame.
    pub fn track(&self, sequence: &Sequence) -> Vec<Row> {
        run(&mut *self.tracker(Scene::from(&sequence.info)), &sequence.detections)
    }
}

/// Rows of a tracker over all frames, by frame and id.
pub fn run(tracker: &mut dyn Tracker, frames: &[Vec<Detection>]) -> Vec<Row> {
    let mut rows: Vec<Row> = frames.iter().flat_map(|detections| tracker.push(detections)).collect();
    rows.extend(tracker.finish());
    rows.sort_by_key(|row| (row.frame, row.id));
    rows
}
