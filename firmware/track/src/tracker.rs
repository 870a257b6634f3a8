//! The tracker: frame in, final rows out.

use crate::assign::{Candidate, NONE, round};
use crate::camera::{self, Seen};
use crate::features::{EDGE_FEATURES, NODE_FEATURES, of_detection, of_edge, of_track, prior};
use crate::graph::{Edge, Fresh, Gate, Past, Rivals, edges};
use crate::maths::{clip, ln};
use crate::motion::Motion;
use crate::settings::{Counts, Settings};
use crate::track::{Sight, Track};
use crate::{Detection, Tracked};
use heapless::Vec;

/// A network as the tracker uses it: `begin`, then every node and edge, then `run`, then the logits.
pub trait Network {
    /// A graph of so many nodes, at least one, and edges begins.
    fn begin(&mut self, nodes: usize, edges: usize);
    /// Features of node `at`.
    fn node(&mut self, at: usize, features: &[f32; NODE_FEATURES]);
    /// Features of edge `at`.
    fn edge(&mut self, at: usize, features: &[f32; EDGE_FEATURES]);
    /// Runs: edge `i` leads from node `from[i]`, a track, to node `to[i]`, a detection.
    fn run(&mut self, from: &[u16], to: &[u16]);
    /// Logit of edge `at` being a link.
    fn edge_logit(&self, at: usize) -> f32;
    /// Logit of node `at` being a person.
    fn node_logit(&self, at: usize) -> f32;
    /// Told before `begin` what each node is, in their order: for those who collect examples.
    fn view(&mut self, node: Viewed) {
        let _ = node;
    }
}

/// What a node of the graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewed {
    /// Frame of the detection.
    pub frame: u32,
    /// Its number in the frame as it was given to the tracker.
    pub detection: u16,
    /// Number of the track, of all tracks ever begun; `None` for a detection of the new frame.
    pub track: Option<u32>,
}

/// Coordinates and sides beyond this many pixels, and sides below that many, are no picture's. What is computed with
/// others is finite.
const FARTHEST: f32 = 1e6;
const SMALLEST: f32 = 1e-3;

/// Limit of a logit: also of one that is not a number, which counts as the lower.
const SUREST: f32 = 100.0;

/// One more, as long as there is room: a device that runs for months counts more than 32 bits hold.
fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

/// The tracker of the firmware: 64 detections a frame, 1,024 edges, 128 tracks, a latency of up to 10 frames.
pub type Standard = Tracker<128, 64, 1024, 22>;

/// A tracker of up to `TRACKS` tracks and `DETECTIONS` detections a frame, with up to `EDGES` edges between them; it keeps
/// the last `HISTORY` detections of each track, at least one more than twice the latency.
pub struct Tracker<const TRACKS: usize, const DETECTIONS: usize, const EDGES: usize, const HISTORY: usize> {
    settings: Settings,
    tracks: Vec<Track<HISTORY>, TRACKS>,
    edges: Vec<Edge, EDGES>,
    candidates: Vec<Candidate, EDGES>,
    from: Vec<u16, EDGES>,
    to: Vec<u16, EDGES>,
    /// What the camera has moved.
    camera: [f32; 2],
    /// The last frame taken.
    now: Option<u32>,
    /// The next frame to be given out: one more than a frame number can be after the last.
    due: u64,
    next_id: u32,
    next_serial: u32,
    /// Nodes of the last graph.
    nodes: usize,
    counts: Counts,
}

impl<const TRACKS: usize, const DETECTIONS: usize, const EDGES: usize, const HISTORY: usize>
    Tracker<TRACKS, DETECTIONS, EDGES, HISTORY>
{
    /// Edges that a graph can have.
    pub const EDGES: usize = EDGES;
    /// Nodes that a graph can have.
    pub const NODES: usize = TRACKS + DETECTIONS;

    const FITS: () = {
        assert!(TRACKS + DETECTIONS < NONE as usize, "node numbers have 16 bits");
        assert!(EDGES < NONE as usize, "edge numbers have 16 bits");
        assert!(TRACKS > 0 && DETECTIONS > 0 && EDGES > 0 && HISTORY > 1);
    };
    /// Longest latency for which a track remembers enough.
    const LATENCY: u32 = (HISTORY as u32 - 1) / 2;

    /// A tracker that has seen nothing. A rate that is no positive number becomes 1, and a latency beyond what `HISTORY`
    /// allows the longest that it allows.
    pub const fn new(mut settings: Settings) -> Self {
        let () = Self::FITS;
        if !(settings.rate > 0.0 && settings.rate.is_finite()) {
            settings.rate = 1.0;
        }
        if settings.latency > Self::LATENCY {
            settings.latency = Self::LATENCY;
        }
        Self {
            settings,
            tracks: Vec::new(),
            edges: Vec::new(),
            candidates: Vec::new(),
            from: Vec::new(),
            to: Vec::new(),
            camera: [0.0; 2],
            now: None,
            due: 0,
            next_id: 1,
            next_serial: 0,
            nodes: 0,
            counts: Counts {
                frames: 0,
                repeated: 0,
                restarted: 0,
                invalid: 0,
                unsure: 0,
                duplicates: 0,
                crowded: 0,
                edges: 0,
                unborn: 0,
            },
        }
    }

    /// How it works.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What was left out so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Tracks that may go on.
    pub fn live(&self) -> usize {
        self.tracks.iter().filter(|t| t.live).count()
    }

    /// Nodes and edges of the graph of the last step; 0 where it built none.
    pub fn graph_size(&self) -> [usize; 2] {
        [self.nodes, self.edges.len()]
    }

    /// Takes the detections of frame `frame` and gives out the rows that have become final, in order of their frames.
    pub fn step(
        &mut self,
        network: &mut impl Network,
        frame: u32,
        detections: &[Detection],
        out: &mut impl FnMut(Tracked),
    ) {
        self.nodes = 0;
        self.edges.clear();
        match self.now {
            None => self.due = u64::from(frame),
            Some(now) if frame == now => {
                count(&mut self.counts.repeated);
                return;
            }
            Some(now) if frame < now => {
                self.finish(out);
                count(&mut self.counts.restarted);
                self.due = u64::from(frame);
            }
            Some(now) => self.skip(now, frame, out),
        }
        self.now = Some(frame);
        count(&mut self.counts.frames);
        self.age(frame);
        let mut fresh: Vec<(Fresh, u16), DETECTIONS> = Vec::new();
        self.admit(detections, &mut fresh);
        if !fresh.is_empty() {
            self.link(network, frame, &mut fresh);
        }
        self.give_out(frame, out);
    }

    /// Gives out everything that is still open, and forgets all tracks.
    pub fn finish(&mut self, out: &mut impl FnMut(Tracked)) {
        if let Some(now) = self.now.take() {
            self.give_out_to(u64::from(now) + 1, out);
        }
        self.tracks.clear();
        self.edges.clear();
        self.camera = [0.0; 2];
    }

    /// The frames between `now` and `frame` had no detections. Once all tracks have ended nothing is left to be done.
    fn skip(&mut self, now: u32, frame: u32, out: &mut impl FnMut(Tracked)) {
        for between in now + 1..frame {
            if self.tracks.is_empty() {
                break;
            }
            self.age(between);
            self.give_out(between, out);
        }
        if self.tracks.is_empty() {
            // No track has rows in the frames that are left out.
            self.due = u64::from(frame.saturating_sub(self.settings.latency)).max(self.due);
        }
    }

    /// Ends tracks that have not been seen for too long, and forgets those of which everything is given out.
    fn age(&mut self, frame: u32) {
        let settings = self.settings;
        for track in self.tracks.iter_mut().filter(|t| t.live) {
            let gap = frame - track.last().frame;
            let patience = settings.gap_per_hit.saturating_mul(track.hits).min(settings.longest_gap());
            track.live = gap <= patience;
        }
        self.tracks.retain(|t| t.live || frame - t.last().frame <= settings.latency + 1);
    }

    /// The detections that are taken, each with its number among those given.
    fn admit(&mut self, detections: &[Detection], fresh: &mut Vec<(Fresh, u16), DETECTIONS>) {
        for (number, detection) in detections.iter().enumerate() {
            let b = detection.bounds;
            let sane = [b.x, b.y].iter().all(|v| -FARTHEST <= *v && *v <= FARTHEST)
                && [b.w, b.h].iter().all(|v| SMALLEST <= *v && *v <= FARTHEST);
            let inside = self.settings.picture.is_none_or(|[width, height]| {
                b.x < width && b.y < height && b.x + b.w > 0.0 && b.y + b.h > 0.0
            });
            if !detection.score.is_finite() || !sane || !inside {
                count(&mut self.counts.invalid);
                continue;
            }
            if detection.score < self.settings.min_score {
                count(&mut self.counts.unsure);
                continue;
            }
            let score = clip(detection.score, 0.0, 1.0);
            let new = Fresh { bounds: b, score, centre: b.centre(), log_height: ln(b.h) };
            let number = number.min(usize::from(NONE)) as u16;
            if let Some((old, place)) = fresh.iter_mut().find(|(old, _)| old.bounds == b) {
                count(&mut self.counts.duplicates);
                if old.score < score {
                    (*old, *place) = (new, number);
                }
                continue;
            }
            if let Err(rejected) = fresh.push((new, number)) {
                count(&mut self.counts.crowded);
                let least = fresh.iter_mut().min_by(|a, b| a.0.score.total_cmp(&b.0.score));
                if let Some(least) = least.filter(|least| least.0.score < rejected.0.score) {
                    *least = rejected;
                }
            }
        }
    }

    /// Links the detections of a frame to tracks, or begins tracks with them.
    fn link(&mut self, network: &mut impl Network, frame: u32, fresh: &mut Vec<(Fresh, u16), DETECTIONS>) {
        let settings = self.settings;
        for (detection, _) in fresh.iter_mut() {
            detection.centre = [0, 1].map(|i| detection.centre[i] - self.camera[i]);
        }
        let mut past: Vec<Past, TRACKS> = Vec::new();
        for (slot, track) in self.tracks.iter().enumerate().filter(|(_, t)| t.live) {
            let last = track.last();
            let frames = frame - last.frame;
            // There are no more live tracks than tracks.
            let _ = past.push(Past {
                slot: slot as u16,
                predicted: track.motion.predicted(frames as f32 / settings.rate),
                centre: track.centre,
                size: track.motion.size,
                log_height: ln(track.motion.size[1]),
                last: last.bounds,
                frames,
            });
        }
        self.follow_camera(&past, fresh);
        let mut plain: Vec<Fresh, DETECTIONS> = Vec::new();
        plain.extend(fresh.iter().map(|(detection, _)| *detection));
        let gate = Gate { iou: settings.gate, ratio: 0.7, neighbours: settings.neighbours };
        let lost = edges(&past, &plain, gate, &mut self.edges);
        self.counts.edges = self.counts.edges.saturating_add(lost);

        for track in past.iter().map(|p| &self.tracks[usize::from(p.slot)]) {
            network.view(Viewed {
                frame: track.last().frame,
                detection: track.detection,
                track: Some(track.serial),
            });
        }
        for (_, number) in fresh.iter() {
            network.view(Viewed { frame, detection: *number, track: None });
        }
        self.ask(network, frame, &past, &plain);
        self.candidates.clear();
        for (at, edge) in self.edges.iter().enumerate() {
            let told = clip(network.edge_logit(at), -SUREST, SUREST);
            let logit = prior(edge.overlap) + settings.edge_weight * told;
            let worth = logit - settings.edge_threshold;
            let _ = self.candidates.push(Candidate { track: edge.past, detection: edge.fresh, worth });
        }
        let mut links = [NONE; DETECTIONS];
        round::<TRACKS, DETECTIONS>(settings.rounding, &self.candidates, &mut links[..plain.len()]);
        for (j, ((detection, number), link)) in fresh.iter().zip(links).enumerate() {
            let logit = clip(network.node_logit(past.len() + j), -SUREST, SUREST);
            let sure = detection.score >= settings.sure_score;
            let sight = Sight { frame, bounds: detection.bounds, logit, sure };
            match past.get(usize::from(link)) {
                Some(past) => self.go_on(usize::from(past.slot), detection, *number, sight),
                None if detection.score >= settings.birth_score => self.begin(detection, *number, sight),
                None => {}
            }
        }
    }

    /// Takes the camera's motion out of the detections.
    fn follow_camera(&mut self, past: &[Past], fresh: &mut Vec<(Fresh, u16), DETECTIONS>) {
        /// Tracks that were seen so many frames ago still say where the camera is.
        const RECENT: u32 = 2;
        let mut tracks: Vec<Seen, TRACKS> = Vec::new();
        for p in past.iter().filter(|p| p.frames <= RECENT) {
            let _ = tracks.push(Seen { centre: p.predicted, height: p.size[1], log_height: p.log_height });
        }
        let mut seen: Vec<Seen, DETECTIONS> = Vec::new();
        for (d, _) in fresh.iter() {
            let _ = seen.push(Seen { centre: d.centre, height: d.bounds.h, log_height: d.log_height });
        }
        let shift = camera::shift::<TRACKS>(&tracks, &seen);
        for (i, shift) in shift.into_iter().enumerate() {
            self.camera[i] += shift;
            fresh.iter_mut().for_each(|(d, _)| d.centre[i] -= shift);
        }
    }

    /// Builds the graph in the network and runs it.
    fn ask(&mut self, network: &mut impl Network, frame: u32, past: &[Past], fresh: &[Fresh]) {
        let settings = self.settings;
        let mut at_track = [Rivals::NONE; TRACKS];
        let mut at_detection = [Rivals::NONE; DETECTIONS];
        for (i, edge) in self.edges.iter().enumerate() {
            at_track[usize::from(edge.past)].take(i as u16, edge.cost);
            at_detection[usize::from(edge.fresh)].take(i as u16, edge.cost);
        }
        self.nodes = past.len() + fresh.len();
        network.begin(self.nodes, self.edges.len());
        for (at, p) in past.iter().enumerate() {
            network.node(at, &of_track(&self.tracks[usize::from(p.slot)], frame, settings.rate));
        }
        for (at, detection) in fresh.iter().enumerate() {
            network.node(past.len() + at, &of_detection(detection.score));
        }
        self.from.clear();
        self.to.clear();
        for (i, edge) in self.edges.iter().enumerate() {
            let (track, detection) = (usize::from(edge.past), usize::from(edge.fresh));
            let p = &past[track];
            let margins = [
                at_detection[detection].margin(i as u16, edge.cost),
                at_track[track].margin(i as u16, edge.cost),
            ];
            let seconds = p.frames as f32 / settings.rate;
            let motion = &self.tracks[usize::from(p.slot)].motion;
            let variance = motion.predicted_variance(seconds, &settings.noise);
            let (rate, noise) = (settings.rate, &settings.noise);
            let features = of_edge(p, variance, &fresh[detection], edge.overlap, margins, rate, noise);
            network.edge(i, &features);
            let _ = self.from.push(edge.past);
            let _ = self.to.push(past.len() as u16 + edge.fresh);
        }
        network.run(&self.from, &self.to);
    }

    fn go_on(&mut self, slot: usize, detection: &Fresh, number: u16, sight: Sight) {
        let settings = self.settings;
        let Some(track) = self.tracks.get_mut(slot) else { return };
        let seconds = (sight.frame - track.last().frame) as f32 / settings.rate;
        track.motion.update(detection.centre, &detection.bounds, seconds, &settings.noise);
        track.centre = detection.centre;
        track.last_score = detection.score;
        track.score_sum += detection.score;
        track.least_score =
            if detection.score < track.least_score { detection.score } else { track.least_score };
        track.hits = track.hits.saturating_add(1);
        track.sure = track.sure.saturating_add(u32::from(sight.sure));
        track.detection = number;
        track.see(sight);
    }

    fn begin(&mut self, detection: &Fresh, number: u16, sight: Sight) {
        let mut track = Track {
            id: 0,
            serial: self.next_serial,
            motion: Motion::new(detection.centre, &detection.bounds, &self.settings.noise),
            centre: detection.centre,
            last_score: detection.score,
            score_sum: detection.score,
            least_score: detection.score,
            first_frame: sight.frame,
            hits: 1,
            sure: u32::from(sight.sure),
            detection: number,
            sights: heapless::Deque::new(),
            live: true,
        };
        track.see(sight);
        match self.tracks.push(track) {
            Ok(()) => self.next_serial = self.next_serial.wrapping_add(1),
            Err(_) => count(&mut self.counts.unborn),
        }
    }

    /// Gives out the rows of all frames that are due when `now` is the newest.
    fn give_out(&mut self, now: u32, out: &mut impl FnMut(Tracked)) {
        self.give_out_to((u64::from(now) + 1).saturating_sub(u64::from(self.settings.latency)), out);
    }

    /// Gives out the rows of all frames below `end` that have not been given out.
    fn give_out_to(&mut self, end: u64, out: &mut impl FnMut(Tracked)) {
        while self.due < end {
            // Below the end, which is one more than a frame number at most.
            self.rows(self.due as u32, out);
            self.due += 1;
        }
    }

    /// The rows of frame `frame`.
    fn rows(&mut self, frame: u32, out: &mut impl FnMut(Tracked)) {
        let settings = self.settings;
        for track in &mut self.tracks {
            if track.sure < settings.min_hits {
                continue;
            }
            let Some((bounds, interpolated)) = track.at(frame, settings.interpolate) else { continue };
            if track.logit(frame.saturating_sub(settings.latency)) < settings.node_threshold {
                continue;
            }
            if track.id == 0 {
                track.id = self.next_id;
                // After four thousand million tracks they begin again; 0 is no id.
                self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            }
            out(Tracked { frame, id: track.id, bounds, interpolated });
        }
    }
}
