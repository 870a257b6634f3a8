//! Trackers that choose all tracks of a sequence at once, those of least cost.
//!
//! Costs are negative logarithms of likelihoods. A detection brings its worth and a part of its log-odds; beginning
//! and end of a track cost a fixed amount; a link costs how far the later box is from where the earlier one would have
//! gone, in standard deviations, the width of that distribution and a fixed amount for each frame missed between
//! them. Distances are in heights of the person and speeds in heights a second, so that parameters serve any image size,
//! distance and frame rate; gaps count in frames.
//!
//! The first pass expects that people stand, with a deviation that grows with their speed. Later passes take velocities
//! from the tracks of the pass before: from the earlier box forwards, from the later one backwards. The social tracker
//! bends these predictions, as [`social`] says.

mod cost;
pub mod network;
mod nodes;
pub mod social;

use super::{Scene, Tracker};
use crate::data::mot::{Detection, Row};
use cost::Costs;
use network::Network;
use nodes::{Nodes, Tracks};
use serde::{Deserialize, Serialize};
use social::Social;
pub use social::SocialParams;

/// Parameters of the minimum-cost flow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowParams {
    /// Detections with a lower score are left out; none where there is no such bound.
    pub score: Option<f64>,
    /// What a detection in a track is worth, whatever its score.
    pub worth: f64,
    /// What it is worth for each unit of its log-odds; below 1 because a false detection is often found again in the
    /// next frame.
    pub trust: f64,
    /// Cost of a track's beginning, and of its end.
    pub ends: f64,
    /// Cost of each frame without detection within a track.
    pub miss: f64,
    /// Longest link in frames; 1 bridges no missing detection.
    pub gap: usize,
    /// Standard deviation of a box's place, in heights.
    pub place: f64,
    /// Standard deviation of a person's speed where the velocity is not known, in heights a second.
    pub speed: f64,
    /// Standard deviation of the speed's change where the velocity is known, in heights a second.
    pub turn: f64,
    /// Standard deviation of the logarithm of the height.
    pub size: f64,
    /// Seconds of a track of which a velocity is made.
    pub memory: f64,
    /// Passes at most; the first knows no velocity.
    pub passes: usize,
    /// Gaps of at most so many frames within a track are filled along a straight line.
    pub fill: usize,
}

impl Default for FlowParams {
    fn default() -> Self {
        Self {
            score: Some(0.8),
            worth: 2.0,
            trust: 0.25,
            ends: 4.0,
            miss: 0.4,
            gap: 20,
            place: 0.08,
            speed: 1.5,
            turn: 0.5,
            size: 0.12,
            memory: 1.0,
            passes: 3,
            fill: 5,
        }
    }
}

/// A flow tracker over one sequence.
#[derive(Clone, Debug)]
pub struct Flow {
    params: FlowParams,
    social: Option<SocialParams>,
    scene: Scene,
    frames: Vec<Vec<Detection>>,
}

impl Flow {
    /// Tracks each person alone.
    pub fn plain(params: FlowParams, scene: Scene) -> Self {
        Self { params, social: None, scene, frames: Vec::new() }
    }

    /// Tracks people who mind each other.
    pub fn social(params: SocialParams, scene: Scene) -> Self {
        Self { params: params.flow, social: Some(params), scene, frames: Vec::new() }
    }

    fn solve(&self) -> Vec<Row> {
        let nodes = Nodes::new(&self.frames, self.params.score);
        let FlowParams { memory, passes, fill, .. } = self.params;
        let rate = self.scene.frame_rate;
        let costs = Costs::new(&self.params, &nodes, rate);
        let mut tracks = Tracks::new(&nodes, costs.network(|_, _| Default::default()).solve());
        for _ in 1..passes {
            let motion = tracks.motion(&nodes, memory, rate);
            let network: Network = match &self.social {
                None => costs.network(|from, to| costs.steady(&motion, from, to)),
                Some(params) => {
                    let social = Social::new(params, &nodes, &tracks, &motion, rate);
                    costs.network(|from, to| social.expected(from, to))
                }
            };
            let next = Tracks::new(&nodes, network.solve());
            if next == tracks {
                break;
            }
            tracks = next;
        }
        tracks.rows(&nodes, fill)
    }
}

impl Tracker for Flow {
    fn push(&mut self, detections: &[Detection]) -> Vec<Row> {
        self.frames.push(detections.to_vec());
        Vec::new()
    }

    fn finish(&mut self) -> Vec<Row> {
        self.solve()
    }

    fn latency(&self) -> Option<usize> {
        None
    }
}
