//! What detections and links cost.

use super::FlowParams;
use super::network::Network;
use super::nodes::{Motion, Node, Nodes};

/// Where a link's ends are expected: the later box from the earlier one on, and the earlier one from the later one back.
/// `None` where the velocity is not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected {
    pub(super) later: Option<[f64; 2]>,
    pub(super) earlier: Option<[f64; 2]>,
}

/// The costs of one sequence.
pub(super) struct Costs<'a> {
    params: &'a FlowParams,
    nodes: &'a Nodes,
    frame_rate: f64,
}

impl<'a> Costs<'a> {
    pub(super) fn new(params: &'a FlowParams, nodes: &'a Nodes, frame_rate: f64) -> Self {
        Self { params, nodes, frame_rate }
    }

    /// The network whose links expect what `expected` says of two nodes.
    ///
    /// A link that costs more than an end and a beginning is left out: no optimum has it.
    pub(super) fn network(&self, expected: impl Fn(usize, usize) -> Expected) -> Network {
        let nodes = self.nodes;
        let gap = self.params.gap.max(1);
        let mut links = Vec::new();
        for (from, node) in nodes.all.iter().enumerate() {
            for frame in node.frame + 1..=(node.frame + gap).min(nodes.frames()) {
                for to in nodes.of_frame(frame) {
                    let cost = self.link(node, &nodes.all[to], || expected(from, to));
                    if cost < 2.0 * self.params.ends {
                        links.push((from, to, cost));
                    }
                }
            }
        }
        let FlowParams { worth, trust, ends, .. } = *self.params;
        let detections = nodes.all.iter().map(|node| -worth - trust * node.log_odds).collect();
        Network { detections, entry: ends, exit: ends, links }
    }

    /// What is expected of people who keep their velocity.
    pub(super) fn steady(&self, motion: &[Motion], from: usize, to: usize) -> Expected {
        let (a, b) = (&self.nodes.all[from], &self.nodes.all[to]);
        let time = (b.frame - a.frame) as f64 / self.frame_rate;
        Expected {
            later: motion[from].before.map(|v| moved(a.at(), v, time)),
            earlier: motion[to].after.map(|v| moved(b.at(), v, -time)),
        }
    }

    fn link(&self, a: &Node, b: &Node, expected: impl FnOnce() -> Expected) -> f64 {
        let FlowParams { miss, size, .. } = *self.params;
        let frames = b.frame - a.frame;
        let time = frames as f64 / self.frame_rate;
        let growth = (b.bbox.h / a.bbox.h).ln().powi(2) / (size * size * (1.0 + time));
        let missed = miss * (frames - 1) as f64;
        if missed + surprise(growth) >= 2.0 * self.params.ends {
            return missed + surprise(growth);
        }
        let height = (a.bbox.h + b.bbox.h) / 2.0;
        let Expected { later, earlier } = expected();
        let forwards = self.deviation(later, a.at(), b.at(), height, time, growth);
        let backwards = self.deviation(earlier, b.at(), a.at(), height, time, growth);
        missed + (forwards + backwards) / 2.0
    }

    /// Negative logarithm of the likelihood of `found`, relative to its maximum one frame on where the velocity is known.
    fn deviation(
        &self,
        expected: Option<[f64; 2]>,
        start: [f64; 2],
        found: [f64; 2],
        height: f64,
        time: f64,
        growth: f64,
    ) -> f64 {
        let FlowParams { place, speed, turn, .. } = *self.params;
        let variance = |change: f64, time: f64| place * place + (change * time).powi(2);
        let least = variance(turn, 1.0 / self.frame_rate);
        let variance = variance(if expected.is_some() { turn } else { speed }, time);
        let from = expected.unwrap_or(start);
        let square = ((found[0] - from[0]).powi(2) + (found[1] - from[1]).powi(2)) / (height * height);
        surprise(square / variance + growth) + (variance / least).ln()
    }
}

/// Degrees of freedom of the distribution of places and heights: few, since some people run and some cameras turn.
const FREEDOM: f64 = 2.0;

/// Negative logarithm of Student's distribution in three dimensions, relative to its maximum, at a squared distance in
/// standard deviations.
fn surprise(square: f64) -> f64 {
    (FREEDOM + 3.0) / 2.0 * (square / FREEDOM).ln_1p()
}

/// `at` after `time` seconds with this velocity.
pub(super) fn moved(at: [f64; 2], velocity: [f64; 2], time: f64) -> [f64; 2] {
    [at[0] + velocity[0] * time, at[1] + velocity[1] * time]
}
