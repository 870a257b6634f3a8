//! Detections as the nodes of one graph, tracks through them, and velocities along the tracks.

use crate::data::mot::{BBox, Detection, Row};

/// Least detections of which a velocity is made.
const LEAST: usize = 3;
/// Probabilities are kept this far from 0 and 1, so that none is certain.
const SURE: f64 = 0.001;

/// A detection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Frame, from 1.
    pub(super) frame: usize,
    pub(super) bbox: BBox,
    pub(super) score: f64,
    /// Logarithm of the odds that it is a person.
    pub(super) log_odds: f64,
}

impl Node {
    pub(super) fn at(&self) -> [f64; 2] {
        self.bbox.centre()
    }
}

/// All detections in the order of time, and where each frame begins.
#[derive(Clone, Debug)]
pub(super) struct Nodes {
    pub(super) all: Vec<Node>,
    /// Place of each frame's first node; one more than there are frames.
    begins: Vec<usize>,
}

impl Nodes {
    /// Nodes of the frames' detections; what is no box or has a lower score than `least` is left out.
    ///
    /// Scores are probabilities where none of the sequence is outside of 0 to 1; otherwise they are taken for log-odds.
    pub(super) fn new(frames: &[Vec<Detection>], least: Option<f64>) -> Self {
        let fine = |d: &&Detection| d.bbox.is_box() && d.score.is_finite();
        let probable = frames.iter().flatten().filter(fine).all(|d| (0.0..=1.0).contains(&d.score));
        let most = ((1.0 - SURE) / SURE).ln();
        let mut all = Vec::new();
        let mut begins = vec![0];
        for (i, detections) in frames.iter().enumerate() {
            let good = |d: &&Detection| fine(d) && least.is_none_or(|least| d.score >= least);
            all.extend(detections.iter().filter(good).map(|&Detection { bbox, score }| {
                let odds = if probable { (score / (1.0 - score)).ln() } else { score };
                Node { frame: i + 1, bbox, score, log_odds: odds.clamp(-most, most) }
            }));
            begins.push(all.len());
        }
        Self { all, begins }
    }

    /// Number of frames.
    pub(super) fn frames(&self) -> usize {
        self.begins.len() - 1
    }

    /// Nodes of frame `frame`, from 1.
    pub(super) fn of_frame(&self, frame: usize) -> std::ops::Range<usize> {
        self.begins[frame - 1]..self.begins[frame]
    }
}

/// Tracks through nodes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tracks {
    /// Nodes of each track, in the order of time.
    pub(super) list: Vec<Vec<usize>>,
    /// Track of each node.
    pub(super) of: Vec<Option<usize>>,
}

/// Pixels a second along x and y.
pub(super) type Velocity = [f64; 2];

/// What the tracks say of a node's velocity: from the nodes up to it, and from it on. `None` where they are too few.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Motion {
    pub(super) before: Option<Velocity>,
    pub(super) after: Option<Velocity>,
}

impl Tracks {
    pub(super) fn new(nodes: &Nodes, list: Vec<Vec<usize>>) -> Self {
        let mut of = vec![None; nodes.all.len()];
        for (track, members) in list.iter().enumerate() {
            members.iter().for_each(|&node| of[node] = Some(track));
        }
        Self { list, of }
    }

    /// Node of `track` in `frame`.
    pub(super) fn node(&self, nodes: &Nodes, track: usize, frame: usize) -> Option<usize> {
        let members = &self.list[track];
        let place = members.binary_search_by_key(&frame, |&node| nodes.all[node].frame).ok()?;
        Some(members[place])
    }

    /// Motion of every node, seen over `memory` seconds to either side.
    pub(super) fn motion(&self, nodes: &Nodes, memory: f64, frame_rate: f64) -> Vec<Motion> {
        let mut motion = vec![Motion::default(); nodes.all.len()];
        let reach = (memory * frame_rate).round().max(LEAST as f64 - 1.0) as usize;
        for members in &self.list {
            for (place, &node) in members.iter().enumerate() {
                let frame = nodes.all[node].frame;
                let near = |other: &&usize| nodes.all[**other].frame.abs_diff(frame) <= reach;
                let before = members[..=place].iter().rev().take_while(near);
                let after = members[place..].iter().take_while(near);
                motion[node] = Motion {
                    before: slope(before.map(|&n| &nodes.all[n]), frame_rate),
                    after: slope(after.map(|&n| &nodes.all[n]), frame_rate),
                };
            }
        }
        motion
    }

    /// Rows of the tracks; gaps of at most `fill` frames are filled along straight lines. Ids count from 1.
    pub(super) fn rows(&self, nodes: &Nodes, fill: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        for (track, members) in self.list.iter().enumerate() {
            let id = track as u32 + 1;
            let row = |node: &Node| Row { frame: node.frame, id, bbox: node.bbox, score: node.score };
            for pair in members.windows(2) {
                let (a, b) = (&nodes.all[pair[0]], &nodes.all[pair[1]]);
                rows.push(row(a));
                if b.frame - a.frame - 1 > fill {
                    continue;
                }
                for frame in a.frame + 1..b.frame {
                    let part = (frame - a.frame) as f64 / (b.frame - a.frame) as f64;
                    let mix = |a: f64, b: f64| a + (b - a) * part;
                    let bbox = BBox {
                        x: mix(a.bbox.x, b.bbox.x),
                        y: mix(a.bbox.y, b.bbox.y),
                        w: mix(a.bbox.w, b.bbox.w),
                        h: mix(a.bbox.h, b.bbox.h),
                    };
                    rows.push(Row { frame, id, bbox, score: mix(a.score, b.score) });
                }
            }
            rows.extend(members.last().map(|&last| row(&nodes.all[last])));
        }
        rows
    }
}

/// Slope of the least squares line through the nodes' centres over time.
fn slope<'n>(nodes: impl Iterator<Item = &'n Node>, frame_rate: f64) -> Option<Velocity> {
    let points: Vec<(f64, [f64; 2])> = nodes.map(|n| (n.frame as f64 / frame_rate, n.at())).collect();
    if points.len() < LEAST {
        return None;
    }
    let count = points.len() as f64;
    let time = points.iter().map(|p| p.0).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|p| (p.0 - time).powi(2)).sum();
    let along = |axis: usize| points.iter().map(|p| (p.0 - time) * p.1[axis]).sum::<f64>() / spread;
    Some([along(0), along(1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(x: f64, score: f64) -> Detection {
        Detection { bbox: BBox { x, y: 0.0, w: 10.0, h: 20.0 }, score }
    }

    #[test]
    fn probabilities_become_log_odds_and_other_scores_stay() {
        let odds = |scores: &[f64]| {
            let frames = vec![scores.iter().map(|&s| detection(0.0, s)).collect()];
            Nodes::new(&frames, None).all.iter().map(|n| n.log_odds).collect::<Vec<_>>()
        };
        assert_eq!(odds(&[0.5, 1.0]), [0.0, (0.999f64 / 0.001).ln()]);
        assert_eq!(odds(&[-2.0, 0.5, 30.0]), [-2.0, 0.5, (0.999f64 / 0.001).ln()]);
    }

    #[test]
    fn weak_detections_and_empty_boxes_are_left_out() {
        let flat = Detection { bbox: BBox { x: 0.0, y: 0.0, w: 0.0, h: 2.0 }, score: 0.9 };
        let nodes = Nodes::new(&[vec![detection(1.0, 0.3), detection(2.0, 0.5), flat], vec![]], Some(0.5));
        assert_eq!((nodes.all.len(), nodes.frames(), nodes.of_frame(2)), (1, 2, 1..1));
    }

    #[test]
    fn gaps_are_filled_along_a_line_up_to_a_length() {
        let frames = vec![vec![detection(0.0, 1.0)], vec![], vec![], vec![detection(30.0, 1.0)]];
        let nodes = Nodes::new(&frames, None);
        let tracks = Tracks::new(&nodes, vec![vec![0, 1]]);
        let xs = |fill| tracks.rows(&nodes, fill).iter().map(|row| row.bbox.x).collect::<Vec<_>>();
        assert_eq!(xs(2), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(xs(1), [0.0, 30.0]);
    }

    #[test]
    fn velocities_are_slopes_of_what_lies_on_one_side() {
        // Four frames at 10 pixels a frame, then four at 20.
        let x = |f: usize| if f < 4 { 10.0 * f as f64 } else { 30.0 + 20.0 * (f - 3) as f64 };
        let frames: Vec<Vec<Detection>> = (0..8).map(|f| vec![detection(x(f), 1.0)]).collect();
        let nodes = Nodes::new(&frames, None);
        let motion = Tracks::new(&nodes, vec![(0..8).collect()]).motion(&nodes, 0.3, 10.0);
        let rounded = |v: Option<Velocity>| v.map(|v| (v[0].round(), v[1].round()));
        assert_eq!(rounded(motion[3].before), Some((100.0, 0.0)));
        assert_eq!(rounded(motion[3].after), Some((200.0, 0.0)));
        assert_eq!(rounded(motion[1].before), None);
        assert_eq!(rounded(motion[6].after), None);
    }
}
