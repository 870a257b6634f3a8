//! Examples: the graphs that the tracker meets as it runs, with what should have been said of them.

use super::augment::normal;
use super::people::{Frame, Recording};
use crate::track::mpn::{FloatNetwork, on_device};
use dunlin_track::{EDGE_FEATURES, NODE_FEATURES, Network, OVERLAP, Settings, Standard, Viewed, prior};
use rand_pcg::Pcg64;
use std::collections::HashMap;

/// A graph with the answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Example {
    pub(super) nodes: Vec<f32>,
    pub(super) edges: Vec<f32>,
    pub(super) from: Vec<u16>,
    pub(super) to: Vec<u16>,
    /// Of each edge: logit of the overlap, which the tracker adds; 1 for a link; weight in the loss.
    pub(super) links: Vec<[f32; 3]>,
    /// Of each node: 1 for a person; weight in the loss.
    pub(super) people: Vec<[f32; 2]>,
}

/// Detections of a track that say who it is.
const MEMORY: usize = 10;

/// Weight of an edge to an older track of a person whom a newer one shows too.
const OLDER: f32 = 0.3;

/// Who a track is.
#[derive(Clone, Debug, Default)]
struct Known {
    frame: u32,
    ids: Vec<u32>,
    near: Option<u32>,
}

impl Known {
    /// The person that most of the last detections show, of equals the newest.
    fn id(&self) -> Option<u32> {
        let count = |id: &u32| self.ids.iter().filter(|other| *other == id).count();
        let mut best: Option<(u32, usize)> = None;
        for id in self.ids.iter().rev() {
            if best.is_none_or(|(_, most)| count(id) > most) {
                best = Some((*id, count(id)));
            }
        }
        best.map(|(id, _)| id)
    }
}

/// A network that notes the graphs it is given, and answers by another, or by the overlap alone, with some noise.
struct Recorder<'a> {
    net: Option<&'a mut FloatNetwork>,
    frames: &'a [Frame],
    noise: f32,
    rng: &'a mut Pcg64,
    viewed: Vec<Viewed>,
    known: HashMap<u32, Known>,
    example: Example,
    shaken: Vec<f32>,
    found: Vec<Example>,
}

impl Recorder<'_> {
    fn person(&self, viewed: &Viewed) -> &super::people::Person {
        // Frames of a run count from 1.
        &self.frames[viewed.frame as usize - 1].people[usize::from(viewed.detection)]
    }

    /// Identity and nearest person of a node.
    fn who(&self, node: usize) -> (Option<u32>, Option<u32>) {
        let viewed = &self.viewed[node];
        match viewed.track {
            Some(track) => self.known.get(&track).map_or((None, None), |k| (k.id(), k.near)),
            None => {
                let person = self.person(viewed);
                (person.id, person.near)
            }
        }
    }

    /// Labels and weights of all edges and nodes.
    fn label(&mut self) {
        let of =
            |example: &Example, edge: usize, feature: usize| example.edges[edge * EDGE_FEATURES + feature];
        let mut links = Vec::new();
        for edge in 0..self.example.from.len() {
            let [from, to] = [self.example.from[edge], self.example.to[edge]].map(usize::from);
            let ((track, near), (detection, beside)) = (self.who(from), self.who(to));
            let link = track.is_some() && track == detection;
            // Who nearly shows the other's person may be right or wrong.
            let unclear = (track.is_none() && detection.is_none())
                || (detection.is_none() && track == beside)
                || (track.is_none() && detection == near);
            let weight = if unclear { 0.0 } else { 1.0 };
            links.push([prior(of(&self.example, edge, OVERLAP)), f32::from(u8::from(link)), weight]);
        }
        // Of several tracks of one person only the newest goes on.
        for edge in 0..links.len() {
            let last = |e: usize| self.viewed[usize::from(self.example.from[e])].frame;
            let same = |e: &usize| self.example.to[*e] == self.example.to[edge] && links[*e][1] == 1.0;
            let newest = (0..links.len()).filter(same).map(last).max();
            if let (1.0, Some(newest)) = (links[edge][1], newest) {
                let first = (0..links.len()).filter(same).find(|&e| last(e) == newest);
                if first != Some(edge) {
                    links[edge][1] = 0.5;
                    links[edge][2] = if last(edge) == newest { 0.0 } else { OLDER };
                }
            }
        }
        links.iter_mut().filter(|l| l[1] == 0.5).for_each(|l| l[1] = 0.0);
        self.example.links = links;
        self.example.people = self
            .viewed
            .iter()
            .map(|v| match v.track {
                Some(_) => [0.0; 2],
                None => [f32::from(u8::from(self.person(v).counts)), 1.0],
            })
            .collect();
    }
}

impl Network for Recorder<'_> {
    fn view(&mut self, node: Viewed) {
        if let Some(track) = node.track {
            let (id, near) = (self.person(&node).id, self.person(&node).near);
            let known = self.known.entry(track).or_default();
            if known.frame != node.frame {
                known.frame = node.frame;
                known.near = near;
                known.ids.extend(id);
                let extra = known.ids.len().saturating_sub(MEMORY);
                known.ids.drain(..extra);
            }
        }
        self.viewed.push(node);
    }

    fn begin(&mut self, nodes: usize, edges: usize) {
        self.example.nodes = vec![0.0; nodes * NODE_FEATURES];
        self.example.edges = vec![0.0; edges * EDGE_FEATURES];
        if let Some(net) = &mut self.net {
            net.begin(nodes, edges);
        }
    }

    fn node(&mut self, at: usize, features: &[f32; NODE_FEATURES]) {
        self.example.nodes[at * NODE_FEATURES..][..NODE_FEATURES].copy_from_slice(features);
        if let Some(net) = &mut self.net {
            net.node(at, features);
        }
    }

    fn edge(&mut self, at: usize, features: &[f32; EDGE_FEATURES]) {
        self.example.edges[at * EDGE_FEATURES..][..EDGE_FEATURES].copy_from_slice(features);
        if let Some(net) = &mut self.net {
            net.edge(at, features);
        }
    }

    fn run(&mut self, from: &[u16], to: &[u16]) {
        self.example.from = from.to_vec();
        self.example.to = to.to_vec();
        if let Some(net) = &mut self.net {
            net.run(from, to);
        }
        self.label();
        self.shaken = from.iter().map(|_| self.noise * normal(self.rng) as f32).collect();
        self.found.push(std::mem::take(&mut self.example));
        self.viewed.clear();
    }

    fn edge_logit(&self, at: usize) -> f32 {
        self.net.as_ref().map_or(0.0, |net| net.edge_logit(at)) + self.shaken[at]
    }

    fn node_logit(&self, at: usize) -> f32 {
        self.net.as_ref().map_or(0.0, |net| net.node_logit(at))
    }
}

/// Runs the tracker over `recording` and returns every graph that it met. Without a network it goes by overlap alone.
pub(super) fn collect(
    recording: &Recording,
    net: Option<&mut FloatNetwork>,
    noise: f32,
    rng: &mut Pcg64,
) -> Vec<Example> {
    let mut tracker = Box::new(Standard::new(Settings::new(recording.rate as f32, None)));
    let mut recorder = Recorder {
        net,
        frames: &recording.frames,
        noise,
        rng,
        viewed: Vec::new(),
        known: HashMap::new(),
        example: Example::default(),
        shaken: Vec::new(),
        found: Vec::new(),
    };
    for (at, frame) in recording.frames.iter().enumerate() {
        let detections: Vec<_> = frame.people.iter().map(|p| on_device(&p.detection)).collect();
        tracker.step(&mut recorder, at as u32 + 1, &detections, &mut |_| {});
    }
    recorder.found
}
