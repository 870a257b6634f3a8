//! The message passing tracker: the very code of the device, with the network in int8 on the runtime or in float.

use super::{Scene, Tracker};
use crate::data::mot::{BBox, Detection, Row, Sequence};
use crate::exec::{self, Device, Mode, NoTap, Weights};
use crate::graph::{Graph, ValueId};
use crate::quantise::{Int8Runner, RunnerError};
use crate::train::task::Feed;
use dunlin_track::{
    EDGE_FEATURES, Int8, NODE_FEATURES, Network, Rect, Rounding, Settings, Standard, Tracked,
};
use serde::{Deserialize, Serialize};

/// The network of a message passing tracker.
#[derive(Clone, Debug)]
pub enum Solver {
    /// A `.dun` file, run by the runtime.
    Int8(Vec<u8>),
    /// A float graph with its weights; its outputs are edge and node logits.
    Float(Box<Graph>),
}

impl Solver {
    /// The network of the repository, `models/mpn-mot15`, trained on all five sequences of its data.
    pub fn built_in() -> Self {
        Self::Int8(include_bytes!("../../../models/mpn-mot15/mpn-mot15.dun").to_vec())
    }
}

/// Parameters of the message passing tracker; [`dunlin_track::Settings`] says what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MpnParams {
    /// Detections of a lower score are left out.
    pub min_score: f32,
    /// Detections of this score and more are given out.
    pub sure_score: f32,
    /// Sure detections that a track needs.
    pub min_hits: u32,
    /// Frames between a frame and its rows, at most 10.
    pub latency: u32,
    /// Longest gap that is filled in, in frames.
    pub interpolate: u32,
    /// Overlap with the predicted box that an edge needs.
    pub gate: f32,
    /// Nearest tracks of a detection that get an edge, at most 16.
    pub neighbours: usize,
    /// A track is given up after so many seconds,
    pub gap_seconds: f32,
    /// so many frames,
    pub gap_frames: u32,
    /// or so many frames for each of its detections.
    pub gap_per_hit: u32,
    /// Weight of the network's edge logits beside the overlap.
    pub edge_weight: f32,
    /// Logit above which an edge may become a link.
    pub edge_threshold: f32,
    /// Mean logit of being a person that a track needs.
    pub node_threshold: f32,
    /// Round edges one after the other, the best first, instead of all together.
    pub greedy: bool,
}

impl Default for MpnParams {
    fn default() -> Self {
        let s = Settings::new(1.0, None);
        Self {
            min_score: s.min_score,
            sure_score: s.sure_score,
            min_hits: s.min_hits,
            latency: s.latency,
            interpolate: s.interpolate,
            gate: s.gate,
            neighbours: s.neighbours,
            gap_seconds: s.gap_seconds,
            gap_frames: s.gap_frames,
            gap_per_hit: s.gap_per_hit,
            edge_weight: s.edge_weight,
            edge_threshold: s.edge_threshold,
            node_threshold: s.node_threshold,
            greedy: false,
        }
    }
}

impl MpnParams {
    /// The settings of the tracker for a scene.
    pub fn settings(&self, scene: Scene) -> Settings {
        Settings {
            min_score: self.min_score,
            sure_score: self.sure_score,
            min_hits: self.min_hits,
            latency: self.latency,
            interpolate: self.interpolate,
            gate: self.gate,
            neighbours: self.neighbours,
            gap_seconds: self.gap_seconds,
            gap_frames: self.gap_frames,
            gap_per_hit: self.gap_per_hit,
            edge_weight: self.edge_weight,
            edge_threshold: self.edge_threshold,
            node_threshold: self.node_threshold,
            rounding: if self.greedy { Rounding::Greedy } else { Rounding::Exact },
            ..Settings::new(scene.frame_rate as f32, Some([scene.width as f32, scene.height as f32]))
        }
    }
}

/// Rows of a whole sequence, by frame.
///
/// # Errors
/// A file that the runtime refuses or that is no tracker.
pub fn track(solver: &Solver, params: &MpnParams, sequence: &Sequence) -> Result<Vec<Row>, SolverError> {
    let mut tracker = Mpn::new(solver, params.settings(Scene::from(&sequence.info)))?;
    Ok(super::run(&mut tracker, &sequence.detections))
}

/// Why a file cannot serve the tracker.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SolverError {
    /// The runtime refuses it.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// It is another network.
    #[error("{0}")]
    Interface(dunlin_track::Int8Error),
}

/// A detection as the device takes it.
pub fn on_device(detection: &Detection) -> dunlin_track::Detection {
    let BBox { x, y, w, h } = detection.bbox;
    let bounds = Rect { x: x as f32, y: y as f32, w: w as f32, h: h as f32 };
    dunlin_track::Detection { bounds, score: detection.score as f32 }
}

/// What the device gives out, as a row of a result file.
pub fn row(tracked: &Tracked) -> Row {
    let Rect { x, y, w, h } = tracked.bounds;
    let bbox = BBox { x: x.into(), y: y.into(), w: w.into(), h: h.into() };
    Row { frame: tracked.frame as usize, id: tracked.id, bbox, score: 1.0 }
}

enum Net {
    Int8(Int8Runner),
    Float(Box<FloatNetwork>),
}

/// A [`Tracker`] that runs [`dunlin_track::Standard`].
pub struct Mpn {
    tracker: Box<Standard>,
    net: Net,
    frame: u32,
}

impl Mpn {
    /// A tracker with these settings.
    ///
    /// # Errors
    /// A file that the runtime refuses or that is no tracker.
    pub fn new(solver: &Solver, settings: Settings) -> Result<Self, SolverError> {
        let net = match solver {
            Solver::Int8(file) => {
                let mut runner = Int8Runner::new(file)?;
                let (nodes, edges) = (Standard::NODES as u32, Standard::EDGES as u32);
                runner
                    .session(|session| Int8::new(session, nodes, edges).map(|_| ()))?
                    .map_err(SolverError::Interface)?;
                Net::Int8(runner)
            }
            Solver::Float(graph) => Net::Float(Box::new(FloatNetwork::new((**graph).clone()))),
        };
        Ok(Self { tracker: Box::new(Standard::new(settings)), net, frame: 0 })
    }

    /// The tracker inside.
    pub fn inner(&self) -> &Standard {
        &self.tracker
    }
}

impl Tracker for Mpn {
    fn push(&mut self, detections: &[Detection]) -> Vec<Row> {
        self.frame += 1;
        let detections: Vec<_> = detections.iter().map(on_device).collect();
        let mut rows = Vec::new();
        let (frame, mut out) = (self.frame, |tracked: Tracked| rows.push(row(&tracked)));
        match &mut self.net {
            Net::Float(net) => self.tracker.step(&mut **net, frame, &detections, &mut out),
            Net::Int8(runner) => {
                let tracker = &mut self.tracker;
                let step = runner.session(|session| {
                    let mut net = Int8::new(session, Standard::NODES as u32, Standard::EDGES as u32)?;
                    tracker.step(&mut net, frame, &detections, &mut out);
                    Ok::<(), dunlin_track::Int8Error>(())
                });
                // `Mpn::new` has tried both.
                debug_assert!(matches!(step, Ok(Ok(()))));
            }
        }
        rows
    }

    fn finish(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.tracker.finish(&mut |tracked| rows.push(row(&tracked)));
        rows
    }

    fn latency(&self) -> Option<usize> {
        Some(self.tracker.settings().latency as usize)
    }
}

/// The float network, run by the executor.
pub struct FloatNetwork {
    graph: Graph,
    weights: Weights,
    want: [ValueId; 2],
    nodes: Vec<f32>,
    edges: Vec<f32>,
    logits: [Vec<f32>; 2],
}

impl FloatNetwork {
    /// Of a graph whose two outputs are edge and node logits.
    ///
    /// # Panics
    /// The graph has fewer outputs.
    pub fn new(graph: Graph) -> Self {
        let weights = Weights::from_graph(&graph, &Device::flex());
        let want = [graph.outputs[0], graph.outputs[1]];
        Self { graph, weights, want, nodes: Vec::new(), edges: Vec::new(), logits: [Vec::new(), Vec::new()] }
    }
}

impl Network for FloatNetwork {
    fn begin(&mut self, nodes: usize, edges: usize) {
        self.nodes.clear();
        self.edges.clear();
        self.nodes.resize(nodes * NODE_FEATURES, 0.0);
        self.edges.resize(edges * EDGE_FEATURES, 0.0);
    }

    fn node(&mut self, at: usize, features: &[f32; NODE_FEATURES]) {
        self.nodes[at * NODE_FEATURES..][..NODE_FEATURES].copy_from_slice(features);
    }

    fn edge(&mut self, at: usize, features: &[f32; EDGE_FEATURES]) {
        self.edges[at * EDGE_FEATURES..][..EDGE_FEATURES].copy_from_slice(features);
    }

    fn run(&mut self, from: &[u16], to: &[u16]) {
        let list = |list: &[u16]| Feed::rows(list.iter().map(|&i| f32::from(i)).collect(), 1);
        let device = Device::flex();
        let feeds = [
            Feed::rows(self.nodes.clone(), NODE_FEATURES),
            Feed::rows(self.edges.clone(), EDGE_FEATURES),
            list(from),
            list(to),
        ];
        let inputs: Vec<_> = feeds.iter().map(|feed| feed.tensor(&device)).collect();
        let run = exec::run(&self.graph, &self.weights, &inputs, &self.want, Mode::Evaluate, &mut NoTap);
        let run = run.expect("the inputs are those of the network");
        self.logits =
            [0, 1].map(|i| run.values[i].float().into_data().try_into_vec().expect("logits are f32"));
    }

    fn edge_logit(&self, at: usize) -> f32 {
        self.logits[0][at]
    }

    fn node_logit(&self, at: usize) -> f32 {
        self.logits[1][at]
    }
}
