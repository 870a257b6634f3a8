//! Parameters found by search on training sequences, and trackers measured on sequences that took no part in it.
//!
//! The search goes from the middle of each parameter's list of values: parameter after parameter takes the value of
//! its list with the largest sum of MOTA and IDF1 over all training sequences together ("overall"), if that gains at
//! least [`GAIN`], in rounds, until a round changes nothing or [`ROUNDS`] are done. The flow takes over
//! the least score that SORT has found, which is the detector's matter more than the tracker's; the social tracker takes
//! over what this finds for the flow, with as many passes as it has itself, and searches its own parameters.

use super::Settings;
use super::flow::{FlowParams, SocialParams};
use super::mpn::{self, MpnParams, Solver};
use super::sort::SortParams;
use crate::data::mot::Sequence;
use crate::eval::tracking::{BadClass, Metrics};
use rayon::prelude::*;
use std::collections::HashMap;

/// Rounds of a search at most.
pub const ROUNDS: usize = 2;
/// What a value has to gain over the one that stands, in points of the [`objective`]: less may be chance.
pub const GAIN: f64 = 0.5;

/// A parameter: where it lies and the values to try.
struct Axis {
    set: fn(&mut Settings, f64),
    values: &'static [f64],
}

/// The value that a search maximises: MOTA + IDF1, in percent.
pub fn objective(metrics: &Metrics) -> f64 {
    100.0 * (metrics.clear.mota() + metrics.identity.idf1())
}

/// Metrics of `settings` on every sequence.
///
/// # Errors
/// A class in the ground truth that the benchmark does not have.
fn measure(settings: &Settings, solver: &Option<Solver>, sequence: &Sequence) -> Result<Metrics, BadClass> {
    let rows = match (settings, solver) {
        (Settings::Mpn(params), Some(solver)) => {
            mpn::track(solver, params, sequence).expect("the network has served the tracker before")
        }
        _ => settings.track(sequence),
    };
    let truth = sequence.truth.as_deref().unwrap_or_default();
    Metrics::of(&sequence.info.name, sequence.info.frames, truth, &rows)
}

/// Searches that share what they have measured.
pub struct Tuner<'s> {
    sequences: &'s [Sequence],
    known: HashMap<String, Vec<Metrics>>,
    step: Box<dyn FnMut(usize) + 's>,
    solver: Option<Solver>,
}

impl<'s> Tuner<'s> {
    /// Over these sequences, all with ground truth; `step` is told after each step how many settings were measured.
    pub fn new(sequences: &'s [Sequence], step: impl FnMut(usize) + 's) -> Self {
        Self { sequences, known: HashMap::new(), step: Box::new(step), solver: None }
    }

    /// With this network for the message passing tracker, which has served one before.
    pub fn with_solver(self, solver: Solver) -> Self {
        Self { solver: Some(solver), ..self }
    }

    /// The settings of `kind`'s tracker that are best on the sequences for which `training` is true.
    ///
    /// # Errors
    /// A class in the ground truth that the benchmark does not have.
    pub fn search(&mut self, kind: &Settings, training: &[bool]) -> Result<Settings, BadClass> {
        let mut kind = *kind;
        if let Settings::Flow(params) = &mut kind
            && let Settings::Sort(found) = self.search(&Settings::Sort(SortParams::default()), training)?
        {
            params.score = found.score;
        }
        if let Settings::Social(params) = &mut kind {
            let passes = params.flow.passes;
            if let Settings::Flow(found) = self.search(&Settings::Flow(params.flow), training)? {
                params.flow = FlowParams { passes, ..found };
            }
        }
        let axes = axes(&kind);
        let mut places: Vec<usize> = axes.iter().map(|axis| axis.values.len() / 2).collect();
        let at = |places: &[usize]| {
            let mut settings = kind;
            axes.iter().zip(places).for_each(|(axis, &place)| (axis.set)(&mut settings, axis.values[place]));
            settings
        };
        for _ in 0..ROUNDS {
            let before = places.clone();
            for axis in 0..axes.len() {
                let tried: Vec<Vec<usize>> = (0..axes[axis].values.len())
                    .map(|place| {
                        let mut places = places.clone();
                        places[axis] = place;
                        places
                    })
                    .collect();
                let settings: Vec<Settings> = tried.iter().map(|places| at(places)).collect();
                let scores = self.scores(&settings, training)?;
                let standing = places[axis];
                let best = (0..scores.len()).fold(standing, |a, b| if scores[b] > scores[a] { b } else { a });
                if scores[best] >= scores[standing] + GAIN {
                    places[axis] = best;
                }
            }
            if places == before {
                break;
            }
        }
        Ok(at(&places))
    }

    /// For each sequence the settings that are best on all others.
    ///
    /// # Errors
    /// A class in the ground truth that the benchmark does not have.
    pub fn leave_one_out(&mut self, kind: &Settings) -> Result<Vec<Settings>, BadClass> {
        (0..self.sequences.len())
            .map(|left_out| {
                let training: Vec<bool> = (0..self.sequences.len()).map(|i| i != left_out).collect();
                self.search(kind, &training)
            })
            .collect()
    }

    fn scores(&mut self, settings: &[Settings], training: &[bool]) -> Result<Vec<f64>, BadClass> {
        let key = |settings: &Settings| format!("{settings:?}");
        let new: Vec<&Settings> = settings.iter().filter(|s| !self.known.contains_key(&key(s))).collect();
        let pairs: Vec<(&Settings, &Sequence)> =
            new.iter().flat_map(|s| self.sequences.iter().map(move |q| (*s, q))).collect();
        let metrics: Vec<Metrics> =
            pairs.par_iter().map(|(s, q)| measure(s, &self.solver, q)).collect::<Result<_, BadClass>>()?;
        for (settings, metrics) in new.iter().zip(metrics.chunks(self.sequences.len().max(1))) {
            self.known.insert(key(settings), metrics.to_vec());
        }
        (self.step)(self.known.len());
        let overall = |settings: &Settings| {
            let metrics = self.known[&key(settings)].iter().zip(training);
            objective(&metrics.filter(|(_, training)| **training).map(|(m, _)| m).sum())
        };
        Ok(settings.iter().map(overall).collect())
    }
}

/// An axis of each named parameter that `$part` finds in the settings.
macro_rules! axes {
    ($part:ident: $($name:ident = |$value:ident| $of:expr, $values:expr);* $(;)?) => {
        vec![$(Axis {
            set: |settings, $value| {
                if let Some(part) = $part(settings) {
                    part.$name = $of;
                }
            },
            values: &$values,
        }),*]
    };
}

fn sort(settings: &mut Settings) -> Option<&mut SortParams> {
    match settings {
        Settings::Sort(params) => Some(params),
        Settings::Flow(_) | Settings::Social(_) | Settings::Mpn(_) => None,
    }
}

fn flow(settings: &mut Settings) -> Option<&mut FlowParams> {
    match settings {
        Settings::Flow(params) => Some(params),
        Settings::Sort(_) | Settings::Social(_) | Settings::Mpn(_) => None,
    }
}

fn social(settings: &mut Settings) -> Option<&mut SocialParams> {
    match settings {
        Settings::Social(params) => Some(params),
        Settings::Sort(_) | Settings::Flow(_) | Settings::Mpn(_) => None,
    }
}

fn mpn(settings: &mut Settings) -> Option<&mut MpnParams> {
    match settings {
        Settings::Mpn(params) => Some(params),
        Settings::Sort(_) | Settings::Flow(_) | Settings::Social(_) => None,
    }
}

fn axes(kind: &Settings) -> Vec<Axis> {
    match kind {
        Settings::Sort(_) => axes![sort:
            score = |v| Some(v), [0.0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
            max_age = |v| v as usize, [1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0];
            min_hits = |v| v as usize, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
            iou = |v| v, [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5];
        ],
        Settings::Flow(_) => axes![flow:
            ends = |v| v, [2.0, 3.0, 4.0, 5.0, 6.5];
            miss = |v| v, [0.1, 0.2, 0.4, 0.6, 0.9];
            gap = |v| v as usize, [10.0, 20.0, 30.0];
            speed = |v| v, [0.5, 1.0, 1.5, 2.0, 3.0];
            turn = |v| v, [0.2, 0.35, 0.5, 0.8, 1.2];
            fill = |v| v as usize, [2.0, 5.0, 30.0];
        ],
        Settings::Social(_) => axes![social:
            push = |v| v, [0.0, 0.15, 0.3, 0.6, 1.0];
            grouping = |v| v, [0.0, 0.2, 0.4, 0.6, 0.8];
            near = |v| v, [0.6, 1.0, 1.5];
        ],
        Settings::Mpn(_) => axes![mpn:
            min_score = |v| v as f32, [0.6, 0.7, 0.8];
            sure_score = |v| v as f32, [0.7, 0.8, 0.9, 0.95, 0.98];
            min_hits = |v| v as u32, [1.0, 2.0, 3.0, 4.0, 6.0];
            gap_per_hit = |v| v as u32, [1.0, 2.0, 4.0];
            gap_seconds = |v| v as f32, [1.0, 2.0, 3.0];
        ],
    }
}
