//! What is compared with what: ids counted from 0, overlaps per frame, and only boxes that count.

use super::OVERLAP;
use crate::assign::{fixed, heaviest};
use crate::data::mot::{BBox, Row, Truth};
use std::collections::BTreeMap;

/// The class that is tracked.
const PEDESTRIAN: u8 = 1;
/// The last class of MOT16 and its successors.
const LAST_CLASS: u8 = 13;
/// Classes that a tracker may take for a pedestrian without being wrong: person on a vehicle, static person,
/// distractor, reflection.
const DISTRACTORS: [u8; 4] = [2, 7, 8, 12];
/// In MOT20, vehicles without motor are one, too.
const VEHICLE_WITHOUT_MOTOR: u8 = 6;

/// The boxes of one frame.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// Number of each person, from 0.
    pub truth: Vec<usize>,
    /// Number of each track, from 0.
    pub tracks: Vec<usize>,
    overlaps: Vec<f64>,
}

impl Pairs {
    /// Intersection over union of a box of ground truth and one of the tracker, by their place in the frame.
    pub fn overlap(&self, truth: usize, track: usize) -> f64 {
        self.overlaps[truth * self.tracks.len() + track]
    }

    /// The assignment with the largest sum of `score`.
    pub(super) fn heaviest(&self, score: impl Fn(usize, usize) -> f64) -> Vec<(usize, usize)> {
        heaviest(self.truth.len(), self.tracks.len(), |truth, track| fixed(score(truth, track)))
    }
}

/// A sequence ready to be measured.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Every frame, those without boxes included.
    pub frames: Vec<Pairs>,
    /// Number of people who count.
    pub truth_ids: usize,
    /// Number of tracks of which a box counts.
    pub track_ids: usize,
}

/// A class that the benchmark does not have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{sequence}: frame {frame} of the ground truth has class {class}, expected 1 to {LAST_CLASS}")]
pub struct BadClass {
    /// Name of the sequence.
    pub sequence: String,
    /// Frame, from 1.
    pub frame: usize,
    /// The class.
    pub class: u8,
}

/// Prepares frames 1 to `frames` of the sequence `name`; rows of other frames are left out.
///
/// Without classes (MOT15), rows of ground truth that do not count are removed. With them (MOT16, MOT17, MOT20), the
/// tracker's boxes are first matched with all ground truth, whatever its class; those matched with a distractor are
/// removed, then all ground truth but pedestrians that count.
///
/// # Errors
/// A class that the benchmark does not have.
pub fn prepare(name: &str, frames: usize, truth: &[Truth], rows: &[Row]) -> Result<Prepared, BadClass> {
    let mut people: Vec<Vec<&Truth>> = vec![Vec::new(); frames];
    for row in truth.iter().filter(|row| (1..=frames).contains(&row.frame)) {
        people[row.frame - 1].push(row);
    }
    let mut tracks: Vec<Vec<&Row>> = vec![Vec::new(); frames];
    for row in rows.iter().filter(|row| (1..=frames).contains(&row.frame)) {
        tracks[row.frame - 1].push(row);
    }
    let mot20 = name.starts_with("MOT20");
    for (people, tracks) in people.iter_mut().zip(&mut tracks) {
        if !tracks.is_empty() {
            let unknown = |row: &&&Truth| row.class.is_some_and(|c| !(1..=LAST_CLASS).contains(&c));
            if let Some(&&Truth { frame, class: Some(class), .. }) = people.iter().find(unknown) {
                return Err(BadClass { sequence: name.into(), frame, class });
            }
            let distractor = |row: &Truth| {
                let among =
                    |class: u8| DISTRACTORS.contains(&class) || (mot20 && class == VEHICLE_WITHOUT_MOTOR);
                row.class.is_some_and(among)
            };
            remove_distracted(people, tracks, distractor);
        }
        people.retain(|row| row.counts && row.class.is_none_or(|class| class == PEDESTRIAN));
    }
    let (mut truth_ids, mut track_ids) = (BTreeMap::new(), BTreeMap::new());
    let pairs = people
        .iter()
        .zip(&tracks)
        .map(|(people, tracks)| Pairs {
            truth: people.iter().map(|row| number(&mut truth_ids, row.id)).collect(),
            tracks: tracks.iter().map(|row| number(&mut track_ids, row.id)).collect(),
            overlaps: overlaps(people, tracks),
        })
        .collect();
    Ok(Prepared { frames: pairs, truth_ids: truth_ids.len(), track_ids: track_ids.len() })
}

/// Removes the tracker's boxes that are matched with a distractor.
fn remove_distracted(people: &[&Truth], tracks: &mut Vec<&Row>, distractor: impl Fn(&Truth) -> bool) {
    if !people.iter().any(|row| distractor(row)) {
        return;
    }
    let overlaps = overlaps(people, tracks);
    let score = |person: usize, track: usize| {
        let overlap = overlaps[person * tracks.len() + track];
        if overlap < OVERLAP - f64::EPSILON { 0.0 } else { overlap }
    };
    let pairs = heaviest(people.len(), tracks.len(), |person, track| fixed(score(person, track)));
    let removed: Vec<usize> = pairs
        .into_iter()
        .filter(|&(person, track)| score(person, track) > f64::EPSILON && distractor(people[person]))
        .map(|(_, track)| track)
        .collect();
    let mut at = 0;
    tracks.retain(|_| {
        at += 1;
        !removed.contains(&(at - 1))
    });
}

fn overlaps(people: &[&Truth], tracks: &[&Row]) -> Vec<f64> {
    let boxes: Vec<BBox> = tracks.iter().map(|row| row.bbox).collect();
    people.iter().flat_map(|person| boxes.iter().map(|bbox| person.bbox.iou(bbox))).collect()
}

/// The place of `id` among those met so far.
fn number(known: &mut BTreeMap<u32, usize>, id: u32) -> usize {
    let next = known.len();
    *known.entry(id).or_insert(next)
}
