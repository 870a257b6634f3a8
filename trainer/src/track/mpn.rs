//! The message passing tracker: the very code of the device, with the network in int8 on the runtime or in float.

use super::{Scene, Tracker};
use crate::data::mot::{BBox, Detection, Row};
use crate::exec::{self, Device, Mode, NoTap, Weights};
use crate::graph::{Graph, ValueId};
use crate::quantise::{Int8Runner, RunnerError};
use crate::train::task::Feed;
use dunlin_track::{EDGE_FEATURES, Int8, NODE_FEATURES, Network, Rect, Settings, Standard, Tracked};

/// The network of a message passing tracker.
#[derive(Clone)]
pub enum Solver {
    /// A `.dun` file, run by the runtime.
    Int8(Vec<u8>),
    /// A float graph with its weights; its outputs are edge and node logits.
    Float(Box<Graph>),
}

/// The settings of the tracker for a scene.
pub fn settings(scene: Scene) -> Settings {
    Settings::new(scene.frame_rate as f32, Some([scene.width as f32, scene.height as f32]))
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
    Float(FloatNetwork),
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
    pub fn new(solver: &Solver, settings: Settings) -> Result<Self, RunnerError> {
        let net = match solver {
            Solver::Int8(file) => Net::Int8(Int8Runner::new(file)?),
            Solver::Float(graph) => Net::Float(FloatNetwork::new((**graph).clone())),
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
            Net::Float(net) => self.tracker.step(net, frame, &detections, &mut out),
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
