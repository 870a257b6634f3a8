//! Who is who: detections with the people of the ground truth that they show.

use crate::assign::{fixed, heaviest};
use crate::data::mot::{Detection, Sequence, Truth};

/// A detection and what the ground truth says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Person {
    pub(super) detection: Detection,
    /// The person that it shows, of those that do not count too; `None` for a false alarm.
    pub(super) id: Option<u32>,
    /// The person that it overlaps most with, however little it shows of them.
    pub(super) near: Option<u32>,
    /// It shows a person who counts.
    pub(super) counts: bool,
}

/// One frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Frame {
    pub(super) people: Vec<Person>,
}

/// A sequence to learn from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recording {
    /// Frames a second.
    pub(super) rate: f64,
    /// Width of the picture in pixels.
    pub(super) width: f64,
    pub(super) frames: Vec<Frame>,
}

/// Overlap of a detection with the person that it shows, as of the benchmark.
const MATCH: f64 = 0.5;
/// Overlap that still says who it may be.
const NEAR: f64 = 0.3;
/// Overlap of a detection that the assignment left over with a person that nobody shows.
const LEFT_OVER: f64 = 0.35;

impl Recording {
    /// Matches the detections of `sequence` with its ground truth; without, nothing counts.
    pub(super) fn new(sequence: &Sequence) -> Self {
        let mut truth: Vec<Vec<&Truth>> = vec![Vec::new(); sequence.info.frames];
        for row in sequence.truth.iter().flatten() {
            if let Some(frame) = row.frame.checked_sub(1).and_then(|i| truth.get_mut(i)) {
                frame.push(row);
            }
        }
        let frames = sequence.detections.iter().zip(&truth).map(|(d, t)| Frame { people: matched(d, t) });
        Self { rate: sequence.info.frame_rate, width: sequence.info.width.into(), frames: frames.collect() }
    }
}

/// Pairs of detection and person that overlap enough, as many and as good as possible.
fn pairs(detections: &[Detection], truth: &[&Truth]) -> Vec<(usize, usize)> {
    let overlap = |d: usize, t: usize| detections[d].bbox.iou(&truth[t].bbox);
    let weight = |d, t| fixed(if overlap(d, t) >= MATCH { overlap(d, t) } else { 0.0 });
    let all = heaviest(detections.len(), truth.len(), weight);
    all.into_iter().filter(|&(d, t)| overlap(d, t) >= MATCH).collect()
}

fn matched(detections: &[Detection], truth: &[&Truth]) -> Vec<Person> {
    let person = |detection: &Detection| {
        let best = truth.iter().map(|t| (t.id, detection.bbox.iou(&t.bbox)));
        let best = best.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|b| b.1 >= NEAR);
        let known = Person { detection: *detection, id: None, near: best.map(|b| b.0), counts: false };
        (known, best.map_or(0.0, |b| b.1))
    };
    let (mut people, best): (Vec<Person>, Vec<f64>) = detections.iter().map(person).unzip();
    for (d, t) in pairs(detections, truth) {
        people[d].id = Some(truth[t].id);
    }
    let mut order: Vec<usize> = (0..people.len()).collect();
    order.sort_by(|&a, &b| best[b].total_cmp(&best[a]));
    for i in order {
        let free = people[i].near.filter(|_| people[i].id.is_none() && best[i] >= LEFT_OVER);
        if let Some(id) = free.filter(|id| people.iter().all(|p| p.id != Some(*id))) {
            people[i].id = Some(id);
        }
    }
    let counting: Vec<&Truth> = truth.iter().copied().filter(|t| t.counts).collect();
    for (d, _) in pairs(detections, &counting) {
        people[d].counts = true;
    }
    people
}
