//! How well tracks follow people: CLEAR MOT, identity and HOTA, as TrackEval (J. Luiten, A. Hoffhues, 2020) computes
//! them for the MOTChallenge, preparation of the data included.
//!
//! All are sums over frames and sequences, and ratios of those sums: [`Metrics`] holds the sums, so that the metrics of
//! a set of sequences ("overall") are those of the sequences added up. Ratios are 0 to 1 here.

mod clear;
mod hota;
mod identity;
mod prepare;

pub use clear::Clear;
pub use hota::{ALPHAS, Hota, HotaSums};
pub use identity::Identity;
pub use prepare::{BadClass, Pairs, Prepared, prepare};

use crate::data::mot::{Row, Truth};
use serde::Serialize;
use std::iter::Sum;

/// Least overlap that counts as a match in CLEAR MOT and identity metrics.
const OVERLAP: f64 = 0.5;

/// Sums of one sequence or of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// CLEAR MOT (K. Bernardin, R. Stiefelhagen 2008).
    pub clear: Clear,
    /// Identity (E. Ristani et al. 2016).
    pub identity: Identity,
    /// HOTA (J. Luiten et al. 2021).
    pub hota: Hota,
    /// Boxes of ground truth that count.
    pub truth_boxes: usize,
    /// People who count.
    pub truth_ids: usize,
    /// Boxes of the tracker that count.
    pub boxes: usize,
    /// Tracks of which a box counts.
    pub ids: usize,
}

impl Metrics {
    /// Metrics of `rows` against `truth` over frames 1 to `frames` of the sequence `name`.
    ///
    /// # Errors
    /// A class in the ground truth that the benchmark does not have.
    pub fn of(name: &str, frames: usize, truth: &[Truth], rows: &[Row]) -> Result<Self, BadClass> {
        let data = prepare(name, frames, truth, rows)?;
        Ok(Self {
            clear: Clear::of(&data),
            identity: Identity::of(&data),
            hota: Hota::of(&data),
            truth_boxes: data.frames.iter().map(|f| f.truth.len()).sum(),
            truth_ids: data.truth_ids,
            boxes: data.frames.iter().map(|f| f.tracks.len()).sum(),
            ids: data.track_ids,
        })
    }

    /// The customary figures: ratios in percent, counts as they are.
    pub fn summary(&self) -> Summary {
        let Self { clear, identity, hota, .. } = self;
        let percent = |ratio: f64| 100.0 * ratio;
        Summary {
            mota: percent(clear.mota()),
            motp: percent(clear.motp()),
            idf1: percent(identity.idf1()),
            idr: percent(identity.idr()),
            idp: percent(identity.idp()),
            hota: percent(hota.mean(HotaSums::hota)),
            deta: percent(hota.mean(HotaSums::det_a)),
            assa: percent(hota.mean(HotaSums::ass_a)),
            detre: percent(hota.mean(HotaSums::det_re)),
            detpr: percent(hota.mean(HotaSums::det_pr)),
            assre: percent(hota.mean(HotaSums::ass_re)),
            asspr: percent(hota.mean(HotaSums::ass_pr)),
            loca: percent(hota.mean(HotaSums::loc_a)),
            recall: percent(clear.recall()),
            precision: percent(clear.precision()),
            idsw: clear.id_switches,
            mt: clear.mostly_tracked,
            pt: clear.partly_tracked,
            ml: clear.mostly_lost,
            frag: clear.fragmentations,
            fp: clear.false_positives,
            fn_: clear.misses,
            idtp: identity.true_positives,
            idfn: identity.misses,
            idfp: identity.false_positives,
            truth_boxes: self.truth_boxes,
            truth_ids: self.truth_ids,
            boxes: self.boxes,
            ids: self.ids,
        }
    }
}

impl<'m> Sum<&'m Metrics> for Metrics {
    fn sum<I: Iterator<Item = &'m Metrics>>(parts: I) -> Self {
        let mut total = Self::default();
        for part in parts {
            total.clear.add(&part.clear);
            total.identity.add(&part.identity);
            total.hota.add(&part.hota);
            total.truth_boxes += part.truth_boxes;
            total.truth_ids += part.truth_ids;
            total.boxes += part.boxes;
            total.ids += part.ids;
        }
        total
    }
}

/// The figures of a table; ratios are in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// 1 - (misses + false positives + identity switches) / boxes of ground truth; may be negative.
    pub mota: f64,
    /// Mean overlap of matches.
    pub motp: f64,
    /// Harmonic mean of `idr` and `idp`.
    pub idf1: f64,
    /// Part of the ground truth's boxes with the right identity.
    pub idr: f64,
    /// Part of the tracker's boxes with the right identity.
    pub idp: f64,
    /// Geometric mean of detection and association accuracy, mean over overlaps of 0.05 to 0.95.
    pub hota: f64,
    /// Detection accuracy.
    pub deta: f64,
    /// Association accuracy.
    pub assa: f64,
    /// Detection recall.
    pub detre: f64,
    /// Detection precision.
    pub detpr: f64,
    /// Association recall.
    pub assre: f64,
    /// Association precision.
    pub asspr: f64,
    /// Localisation accuracy.
    pub loca: f64,
    /// Part of the ground truth's boxes that are matched.
    pub recall: f64,
    /// Part of the tracker's boxes that are matched.
    pub precision: f64,
    /// Identity switches.
    pub idsw: usize,
    /// People tracked in more than 80 % of their frames.
    pub mt: usize,
    /// People between `mt` and `ml`.
    pub pt: usize,
    /// People tracked in less than 20 % of their frames.
    pub ml: usize,
    /// Times that a person who had been tracked is tracked again.
    pub frag: usize,
    /// Boxes of the tracker without match.
    pub fp: usize,
    /// Boxes of ground truth without match.
    #[serde(rename = "fn")]
    pub fn_: usize,
    /// Boxes whose identity is right.
    pub idtp: usize,
    /// Boxes of ground truth whose identity is not found.
    pub idfn: usize,
    /// Boxes of the tracker whose identity is wrong.
    pub idfp: usize,
    /// Boxes of ground truth that count.
    pub truth_boxes: usize,
    /// People who count.
    pub truth_ids: usize,
    /// Boxes of the tracker that count.
    pub boxes: usize,
    /// Tracks of which a box counts.
    pub ids: usize,
}

/// `a / b`, with 1 in place of a smaller `b`.
fn ratio(a: f64, b: usize) -> f64 {
    a / b.max(1) as f64
}
