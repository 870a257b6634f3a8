//! [`Ranges`]: what each value of a graph reaches, observed on calibration samples.

use super::observe::{Method, Seen};
use super::points::QuantPoints;
use super::{QuantiseError, params};
use crate::exec::{self, Mode, Tap, Tensor, Weights};
use crate::graph::{Graph, ValueId};
use dunlin::quant::QParams;
use serde::{Deserialize, Serialize};

/// Real values from `lo` to `hi`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Smallest.
    pub lo: f32,
    /// Largest.
    pub hi: f32,
}

impl Range {
    /// No value at all; the neutral element of [`Range::union`].
    pub const EMPTY: Self = Self { lo: f32::INFINITY, hi: f32::NEG_INFINITY };

    /// From the smallest to the largest of `values`. NaN makes both ends NaN, so that it is noticed.
    pub fn of(values: &[f32]) -> Self {
        values.iter().fold(Self::EMPTY, |r, &v| {
            if v.is_nan() { Self { lo: v, hi: v } } else { r.union(Self { lo: v, hi: v }) }
        })
    }

    /// The smallest range that holds both.
    pub fn union(self, other: Self) -> Self {
        // `f32::min` would drop a NaN, which must stay visible.
        let low = |a: f32, b: f32| if a.is_nan() || a < b { a } else { b };
        let high = |a: f32, b: f32| if a.is_nan() || a > b { a } else { b };
        Self { lo: low(self.lo, other.lo), hi: high(self.hi, other.hi) }
    }

    /// `part` of this range and the rest of `new`.
    pub fn blend(self, new: Self, part: f32) -> Self {
        let mix = |old: f32, new: f32| part * old + (1.0 - part) * new;
        Self { lo: mix(self.lo, new.lo), hi: mix(self.hi, new.hi) }
    }

    /// Whether both ends are numbers.
    pub fn is_finite(self) -> bool {
        self.lo.is_finite() && self.hi.is_finite()
    }
}

/// Scales of all values of one graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    points: QuantPoints,
    /// Per group; `None` before anything was seen.
    pub(super) groups: Vec<Option<Range>>,
}

impl Ranges {
    /// Nothing seen yet, but the input's range where the graph's metadata scales pixels: it follows exactly
    /// from the raw values 0 and 255.
    pub fn new(graph: &Graph) -> Self {
        let points = QuantPoints::new(graph);
        let mut groups = vec![None; points.groups.len()];
        if let (Some(scaling), [input]) = (&graph.meta.input, graph.inputs.as_slice())
            && let Some(group) = points.group(*input)
            && points.groups[group].sources == [*input]
        {
            let ends = (0..scaling.mean.len()).flat_map(|c| [scaling.apply(0.0, c), scaling.apply(255.0, c)]);
            groups[group] = Some(Range::of(&ends.collect::<Vec<_>>()));
        }
        Self { points, groups }
    }

    /// The quantisation points of the graph.
    pub fn points(&self) -> &QuantPoints {
        &self.points
    }

    /// Range of the group of a value.
    pub fn range(&self, value: ValueId) -> Option<Range> {
        self.points.group(value).and_then(|g| self.groups[g])
    }

    /// Scale and zero point of a value: those it was imported with, else those of its range.
    ///
    /// # Errors
    /// The value is not quantised, or its range is unknown or not finite.
    pub fn qparams(&self, graph: &Graph, value: ValueId) -> Result<QParams, QuantiseError> {
        let error = |found: String| QuantiseError::Range { value: graph.value(value).name.clone(), found };
        if let Some(pin) = graph.value(value).pin {
            return Ok(pin.quant);
        }
        let group = self.points.group(value).ok_or_else(|| error("a value that is not real".into()))?;
        if let Some(fixed) = self.points.groups[group].fixed {
            return Ok(fixed);
        }
        match self.groups[group] {
            Some(range) if range.is_finite() && self.points.groups[group].wide => {
                Ok(params::wide_activation(range.lo, range.hi))
            }
            Some(range) if range.is_finite() => Ok(params::activation(range.lo, range.hi)),
            Some(range) => Err(error(format!("{} to {}", range.lo, range.hi))),
            None => Err(error("no sample".into())),
        }
    }

    /// Whether the range of this group is observed, rather than dictated or known from the input scaling.
    fn observed(&self, group: usize, known: &[Option<Range>]) -> bool {
        self.points.groups[group].fixed.is_none() && known[group].is_none()
    }

    /// Moves the ranges towards what one batch reached: `momentum` of the old stays. For training with fake
    /// quantisation; `batch` has one entry per group.
    pub(super) fn follow(&mut self, batch: &[Range], momentum: f32) {
        for (range, new) in self.groups.iter_mut().zip(batch) {
            if new.is_finite() {
                *range = Some(range.map_or(*new, |old| old.blend(*new, momentum)));
            }
        }
    }
}

/// Runs the float graph over `batches` and chooses the ranges. A batch holds one tensor per input, NHWC, and after them may
/// hold the content of each persistent tensor, which else is zero at the start of every batch.
///
/// # Errors
/// Inputs that do not fit the graph.
pub fn calibrate(
    graph: &Graph,
    weights: &Weights,
    batches: &[Vec<Tensor<4>>],
    method: Method,
) -> Result<Ranges, QuantiseError> {
    let mut ranges = Ranges::new(graph);
    let known = ranges.groups.clone();
    let wanted: Vec<bool> = (0..known.len()).map(|g| ranges.observed(g, &known)).collect();
    let momentum = if let Method::MovingAverage { momentum } = method { momentum } else { 0.0 };
    let mut watch = Watch {
        points: ranges.points.clone(),
        wanted,
        seen: vec![Seen::new(); known.len()],
        batch: vec![Range::EMPTY; known.len()],
        counting: false,
    };
    let want = everything(graph);
    for batch in batches {
        watch.batch.fill(Range::EMPTY);
        exec::run(graph, weights, batch, &want, Mode::Evaluate, &mut watch)?;
        for (seen, batch) in watch.seen.iter_mut().zip(&watch.batch) {
            if batch.lo <= batch.hi || batch.lo.is_nan() {
                seen.extremes(*batch, momentum);
            }
        }
    }
    if method.needs_histogram() {
        watch.counting = true;
        for batch in batches {
            exec::run(graph, weights, batch, &want, Mode::Evaluate, &mut watch)?;
        }
    }
    for (group, seen) in watch.seen.iter().enumerate() {
        let reached = seen.range.lo <= seen.range.hi || seen.range.lo.is_nan();
        if watch.wanted[group] && reached {
            ranges.groups[group] =
                Some(if seen.range.is_finite() { seen.choose(method) } else { seen.range });
        }
    }
    Ok(ranges)
}

/// What must be computed so that every node runs.
fn everything(graph: &Graph) -> Vec<ValueId> {
    graph.nodes.iter().filter_map(|n| n.outputs.first().copied()).collect()
}

struct Watch {
    points: QuantPoints,
    wanted: Vec<bool>,
    seen: Vec<Seen>,
    batch: Vec<Range>,
    counting: bool,
}

impl Tap for Watch {
    fn value(&mut self, id: ValueId, tensor: Tensor<4>) -> Tensor<4> {
        if let Some(group) = self.points.group(id)
            && self.wanted[group]
            && self.points.is_source(id)
        {
            let values: Vec<f32> = tensor.clone().into_data().try_into_vec().expect("activations are f32");
            if self.counting {
                self.seen[group].count(&values);
            } else {
                self.batch[group] = self.batch[group].union(Range::of(&values));
            }
        }
        tensor
    }
}
