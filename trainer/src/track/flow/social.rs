//! Social forces and groups (L. Leal-Taixé, G. Pons-Moll, B. Rosenhahn, "Everybody needs somebody: modeling social and
//! grouping behavior on a linear programming multiple people tracker", 2011).
//!
//! The paper works on a ground plane in metres. Here there is no calibration, so everything is in the image plane,
//! and the height of the person is the unit of length. As there, a pass without velocities comes first; its tracks give
//! velocities and groups, these change where people are expected and so the costs of links, and the flow is solved
//! again, until the tracks do not change or the passes are used up.
//!
//! * Constant velocity: as in the plain tracker.
//! * Avoidance: everybody of the frame who does not belong to the same group pushes a person away from where both would
//!   be after [`SocialParams::ahead`] seconds, with an acceleration that falls exponentially with the distance.
//! * Groups: two tracks are in a group while they are together for a time, near each other, and their distance
//!   stays the same. A member is expected to move with the mean velocity of the group; and where the group is seen
//!   at the other end of a link, to be there at the same distance from it as at this end.

use super::FlowParams;
use super::cost::{Expected, moved};
use super::nodes::{Motion, Nodes, Tracks, Velocity};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Seconds for which an acceleration lasts at most.
const LASTS: f64 = 1.0;

/// Parameters of the social tracker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SocialParams {
    /// What it shares with the plain tracker.
    pub flow: FlowParams,
    /// Acceleration by somebody in the same place, in heights a second squared.
    pub push: f64,
    /// Distance at which the acceleration is e times as small, in heights.
    pub range: f64,
    /// How far people look ahead, in seconds.
    pub ahead: f64,
    /// Part of the group in a member's expected place, 0 to 1.
    pub grouping: f64,
    /// Largest mean distance of two members of a group, in heights.
    pub near: f64,
    /// Largest standard deviation of their distance along x and along y, in heights.
    pub steady: f64,
    /// Seconds together at least.
    pub together: f64,
}

impl Default for SocialParams {
    fn default() -> Self {
        Self {
            flow: FlowParams { passes: 5, ..FlowParams::default() },
            push: 0.3,
            range: 0.3,
            ahead: 0.5,
            grouping: 0.4,
            near: 1.0,
            steady: 0.2,
            together: 1.0,
        }
    }
}

/// What people do in view of each other, as of one pass.
pub(super) struct Social<'a> {
    params: &'a SocialParams,
    nodes: &'a Nodes,
    tracks: &'a Tracks,
    motion: &'a [Motion],
    frame_rate: f64,
    /// Tracks in a group with each track.
    groups: Vec<Vec<usize>>,
    /// Expected velocity and acceleration of each node, forwards and backwards in time.
    forwards: Vec<Option<Course>>,
    backwards: Vec<Option<Course>>,
}

#[derive(Clone, Copy, Debug)]
struct Course {
    velocity: Velocity,
    acceleration: [f64; 2],
}

impl<'a> Social<'a> {
    pub(super) fn new(
        params: &'a SocialParams,
        nodes: &'a Nodes,
        tracks: &'a Tracks,
        motion: &'a [Motion],
        frame_rate: f64,
    ) -> Self {
        let groups = groups(params, nodes, tracks, frame_rate);
        let mut social = Self {
            params,
            nodes,
            tracks,
            motion,
            frame_rate,
            groups,
            forwards: Vec::new(),
            backwards: Vec::new(),
        };
        let courses = |later: bool| (0..nodes.all.len()).map(|node| social.course(node, later)).collect();
        (social.forwards, social.backwards) = (courses(true), courses(false));
        social
    }

    /// Where the ends of a link are expected.
    pub(super) fn expected(&self, from: usize, to: usize) -> Expected {
        let frames = self.nodes.all[to].frame - self.nodes.all[from].frame;
        let time = frames as f64 / self.frame_rate;
        Expected {
            later: self.forwards[from].map(|course| self.place(from, to, course, time)),
            earlier: self.backwards[to].map(|course| self.place(to, from, course, -time)),
        }
    }

    /// Place of `node` after `time` seconds, in the frame of `other`.
    fn place(&self, node: usize, other: usize, course: Course, time: f64) -> [f64; 2] {
        let start = self.nodes.all[node].at();
        let lasting = time.abs().min(LASTS);
        let pushed = lasting * lasting / 2.0 + lasting * (time.abs() - lasting);
        let alone = moved(moved(start, course.velocity, time), course.acceleration, pushed);
        let seen = self.beside(node, self.nodes.all[other].frame);
        seen.map_or(alone, |place| {
            let part = self.params.grouping;
            [0, 1].map(|axis| alone[axis] + part * (place[axis] - alone[axis]))
        })
    }

    /// Where `node` would be in `frame` at the same distance from its group; `None` where none of it is seen in both.
    fn beside(&self, node: usize, frame: usize) -> Option<[f64; 2]> {
        let track = self.tracks.of[node]?;
        let start = self.nodes.all[node].at();
        let here = self.nodes.all[node].frame;
        let mut sum = [0.0; 2];
        let mut count = 0.0;
        for &member in &self.groups[track] {
            let ends =
                (self.tracks.node(self.nodes, member, here), self.tracks.node(self.nodes, member, frame));
            if let (Some(a), Some(b)) = ends {
                let (a, b) = (self.nodes.all[a].at(), self.nodes.all[b].at());
                sum = [0, 1].map(|axis| sum[axis] + start[axis] + b[axis] - a[axis]);
                count += 1.0;
            }
        }
        (count > 0.0).then(|| sum.map(|s| s / count))
    }

    /// Velocity of `node`, forwards or backwards in time.
    fn velocity(&self, node: usize, later: bool) -> Option<Velocity> {
        if later { self.motion[node].before } else { self.motion[node].after }
    }

    fn course(&self, node: usize, later: bool) -> Option<Course> {
        let own = self.velocity(node, later)?;
        let track = self.tracks.of[node]?;
        let SocialParams { push, range, ahead, grouping, .. } = *self.params;
        let me = &self.nodes.all[node];
        let sign = if later { 1.0 } else { -1.0 };
        let mine = moved(me.at(), own, sign * ahead);
        let (mut sum, mut members) = (own, 1.0);
        let mut acceleration = [0.0; 2];
        for other in self.nodes.of_frame(me.frame).filter(|&other| other != node) {
            let (Some(others_track), Some(velocity)) = (self.tracks.of[other], self.velocity(other, later))
            else {
                continue;
            };
            if self.groups[track].contains(&others_track) {
                sum = [sum[0] + velocity[0], sum[1] + velocity[1]];
                members += 1.0;
                continue;
            }
            let them = &self.nodes.all[other];
            let theirs = moved(them.at(), velocity, sign * ahead);
            let height = (me.bbox.h + them.bbox.h) / 2.0;
            let away = [0, 1].map(|axis| (mine[axis] - theirs[axis]) / height);
            let distance = away[0].hypot(away[1]);
            // Boxes of people at different distances from the camera overlap without their meeting.
            let alike = (me.bbox.h / them.bbox.h).ln().abs() < 0.25;
            if distance > 1e-6 && alike {
                let force = push * (-distance / range).exp() * height / distance;
                acceleration = [0, 1].map(|axis| acceleration[axis] + force * away[axis]);
            }
        }
        let velocity = [0, 1].map(|axis| own[axis] + grouping * (sum[axis] / members - own[axis]));
        Some(Course { velocity, acceleration })
    }
}

/// Sums over the frames in which two tracks are together.
#[derive(Clone, Copy, Default)]
struct Together {
    frames: f64,
    sum: [f64; 2],
    squares: [f64; 2],
    distance: f64,
}

/// For each track the tracks that are in a group with it.
fn groups(params: &SocialParams, nodes: &Nodes, tracks: &Tracks, frame_rate: f64) -> Vec<Vec<usize>> {
    let mut pairs: HashMap<(usize, usize), Together> = HashMap::new();
    for frame in 1..=nodes.frames() {
        for a in nodes.of_frame(frame) {
            for b in nodes.of_frame(frame) {
                let (Some(first), Some(second)) = (tracks.of[a], tracks.of[b]) else { continue };
                if first >= second {
                    continue;
                }
                let (a, b) = (&nodes.all[a], &nodes.all[b]);
                let height = (a.bbox.h + b.bbox.h) / 2.0;
                let between = [0, 1].map(|axis| (b.at()[axis] - a.at()[axis]) / height);
                let pair = pairs.entry((first, second)).or_default();
                pair.frames += 1.0;
                pair.distance += between[0].hypot(between[1]);
                for axis in [0, 1] {
                    pair.sum[axis] += between[axis];
                    pair.squares[axis] += between[axis] * between[axis];
                }
            }
        }
    }
    let mut groups = vec![Vec::new(); tracks.list.len()];
    for ((first, second), pair) in pairs {
        let variance =
            |axis: usize| pair.squares[axis] / pair.frames - (pair.sum[axis] / pair.frames).powi(2);
        let together = pair.frames >= params.together * frame_rate
            && pair.distance <= params.near * pair.frames
            && (0..2).all(|axis| variance(axis) <= params.steady * params.steady);
        if together {
            groups[first].push(second);
            groups[second].push(first);
        }
    }
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::mot::{BBox, Detection};

    const RATE: f64 = 10.0;

    /// Boxes 40 wide and 100 high around the centres that `at` gives for each frame from 1 on; all as one track each.
    fn scene(frames: usize, people: &[&dyn Fn(f64) -> [f64; 2]]) -> (Nodes, Tracks) {
        let detection = |[x, y]: [f64; 2]| Detection {
            bbox: BBox { x: x - 20.0, y: y - 50.0, w: 40.0, h: 100.0 },
            score: 0.9,
        };
        let frames: Vec<Vec<Detection>> =
            (1..=frames).map(|f| people.iter().map(|at| detection(at(f as f64))).collect()).collect();
        let nodes = Nodes::new(&frames, None);
        let list =
            (0..people.len()).map(|p| (0..frames.len()).map(|f| f * people.len() + p).collect()).collect();
        let tracks = Tracks::new(&nodes, list);
        (nodes, tracks)
    }

    #[test]
    fn those_who_walk_together_are_a_group_and_others_are_not() {
        let (nodes, tracks) = scene(
            20,
            &[&|t| [100.0 + 5.0 * t, 200.0], &|t| [150.0 + 5.0 * t, 200.0], &|t| [300.0 - 5.0 * t, 200.0]],
        );
        let groups = groups(&SocialParams::default(), &nodes, &tracks, RATE);
        assert_eq!(groups, [vec![1], vec![0], vec![]]);
        let brief = SocialParams { together: 2.1, ..SocialParams::default() };
        assert!(super::groups(&brief, &nodes, &tracks, RATE).iter().all(Vec::is_empty));
    }

    #[test]
    fn a_member_is_expected_at_the_groups_side() {
        // The second turns round after frame 20; the first, lost there, is expected to turn with it.
        let turned = |t: f64| if t < 20.0 { 5.0 * t } else { 200.0 - 5.0 * t };
        let (nodes, mut tracks) =
            scene(30, &[&|t| [100.0 + 5.0 * t, 200.0], &|t| [150.0 + turned(t), 200.0]]);
        tracks = Tracks::new(&nodes, vec![tracks.list[0][..20].to_vec(), tracks.list[1].clone()]);
        let motion = tracks.motion(&nodes, 1.0, RATE);
        let place = |grouping: f64| {
            let params = SocialParams { grouping, push: 0.0, ..SocialParams::default() };
            let social = Social::new(&params, &nodes, &tracks, &motion, RATE);
            social.expected(2 * 19, 2 * 29).later.expect("twenty detections have a velocity")[0]
        };
        assert!((place(0.0) - (200.0 + 50.0)).abs() < 1e-6, "{}", place(0.0));
        assert!((place(1.0) - (200.0 - 50.0)).abs() < 1e-6, "{}", place(1.0));
    }

    #[test]
    fn people_who_would_meet_are_pushed_apart() {
        let (nodes, tracks) = scene(10, &[&|t| [100.0 + 5.0 * t, 195.0], &|t| [210.0 - 5.0 * t, 205.0]]);
        let motion = tracks.motion(&nodes, 1.0, RATE);
        let params = SocialParams { ahead: 0.0, ..SocialParams::default() };
        let social = Social::new(&params, &nodes, &tracks, &motion, RATE);
        let [first, second] = [18, 19].map(|node| social.forwards[node].expect("a velocity").acceleration);
        assert!(first[0] < 0.0 && first[1] < 0.0, "{first:?}");
        assert_eq!(first, second.map(|a| -a));
        let strength = first[0].hypot(first[1]) / 100.0;
        let distance = f64::hypot(10.0, 10.0) / 100.0;
        assert!((strength - params.push * (-distance / params.range).exp()).abs() < 1e-9);
    }
}
