//! Multi-object tracking on a device: a message passing network in a sliding window, without allocation.
//!
//! After Brasó and Leal-Taixé, "Learning a Neural Solver for Multiple Object Tracking" (CVPR 2020), made to run frame by
//! frame. In each frame a graph is built whose nodes are the last detection of every live track and the detections of the
//! new frame; edges join a track and a detection that can be one person. The network passes messages along them and says of
//! every edge whether it is a link and of every detection whether it is a person. The edges are rounded to links
//! ([`Rounding`]), and what became of a track is given out [`Settings::latency`] frames later, when its next detections
//! have told whether it is one, with gaps filled in between.
//!
//! [`Tracker`] is the whole of it; [`Network`] is how it asks the network, which may run in int8 through a session
//! ([`Int8`]), or otherwise on a host. The same code runs on host and board, with the same bits.
//!
//! | what comes in | what happens |
//! |---|---|
//! | a frame without detections, a frame left out | tracks grow older, what is due is given out |
//! | the frame of the last call again | nothing, counted in [`Counts::repeated`] |
//! | an earlier frame | a new recording: everything is given out, all tracks end, ids go on, counted |
//! | a box that is not finite, or of no area, or wholly outside of the picture | left out, counted in [`Counts::invalid`] |
//! | a coordinate or side above 1,000,000 pixels, a side below 0.001 | the same |
//! | a score that is not finite, a score below [`Settings::min_score`] | left out, counted |
//! | the same box twice | the better score counts, the other is left out, counted |
//! | more detections than there is room for | the best scores are taken, the rest is left out, counted |
//! | more tracks than there is room for | those that are there stay; a detection that would begin one is left out, counted |
//! | more edges than there is room for | the first detections keep theirs, the rest is left out, counted |
//! | a logit that is not a number | the least, -100 |
#![no_std]
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod assign;
mod camera;
mod features;
mod graph;
mod int8;
mod maths;
mod motion;
mod rect;
mod settings;
mod track;
mod tracker;

pub use assign::Rounding;
pub use features::{EDGE_FEATURES, NODE_FEATURES, OVERLAP, prior};
pub use int8::{Int8, Int8Error};
pub use motion::Noise;
pub use rect::Rect;
pub use settings::{Counts, Settings};
pub use tracker::{Network, Standard, Tracker, Viewed};

/// A person as a detector sees one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Where.
    pub bounds: Rect,
    /// How sure the detector is, 0 to 1.
    pub score: f32,
}

/// A person of a track, final.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracked {
    /// Frame.
    pub frame: u32,
    /// The track, from 1.
    pub id: u32,
    /// Where.
    pub bounds: Rect,
    /// Not detected in this frame, but before and after it.
    pub interpolated: bool,
}
