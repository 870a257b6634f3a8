//! Fake quantisation: the float executor rounds where the integer program will (Jacob et al. 2018).
//!
//! [`FakeQuant`] is made for a graph after [`crate::passes::optimise`]; [`FakeQuant::tap`] goes into the executor
//! or the training loop. Every float value is clamped and rounded with the scale and zero point that lowering
//! would give it, weights per channel, biases to the grid of the 32-bit bias. Rounding passes gradients
//! straight through (Bengio et al. 2013); beyond the range they are zero.

use super::points::QuantPoints;
use super::ranges::{Range, Ranges};
use super::{QuantiseError, params};
use crate::exec::{Tap, Tensor, TensorData};
use crate::graph::{Graph, NodeId, ParamId, ValueId};
use dunlin::quant::QParams;
use std::sync::{Arc, Mutex, PoisonError};

/// Scales of one graph for training with fake quantisation; clones share their ranges.
#[derive(Clone)]
pub struct FakeQuant {
    layers: Arc<Vec<Option<Layer>>>,
    shared: Arc<Mutex<Shared>>,
}

/// What is fixed about a node with weights.
#[derive(Clone, Copy)]
struct Layer {
    input: ValueId,
    weight: ParamId,
    channel_last: bool,
    taps: u64,
}

struct Shared {
    ranges: Ranges,
    /// Parameters of each group, from the ranges.
    groups: Vec<QParams>,
    follow: Option<Follow>,
}

/// Moving ranges while training starts.
struct Follow {
    momentum: f32,
    /// Forward passes that make one step.
    passes: usize,
    steps: usize,
    seen: Vec<Range>,
    taken: usize,
}

impl FakeQuant {
    /// Fake quantisation of `graph` with fixed `ranges`.
    ///
    /// # Errors
    /// A value without a finite range.
    pub fn new(graph: &Graph, ranges: &Ranges) -> Result<Self, QuantiseError> {
        let layer = |node: &crate::graph::Node| {
            let channel_last = params::channel_last(&node.op)?;
            let weight = node.params[0];
            let taps = params::taps(&node.op, graph.shape(node.inputs[0]).c);
            Some(Layer { input: node.inputs[0], weight, channel_last, taps })
        };
        let layers = graph.nodes.iter().map(layer).collect();
        let mut groups = Vec::new();
        for group in &ranges.points().groups {
            groups.push(ranges.qparams(graph, group.members[0])?);
        }
        let shared = Shared { ranges: ranges.clone(), groups, follow: None };
        Ok(Self { layers: Arc::new(layers), shared: Arc::new(Mutex::new(shared)) })
    }

    /// Lets the ranges follow the training passes of the first `steps` steps by a moving average that keeps
    /// `momentum` of the old, then freezes them. `passes` is the number of shares into which a batch is split:
    /// ranges change between steps only, so that threads do not matter.
    pub fn following(self, momentum: f32, steps: usize, passes: usize) -> Self {
        self.with(|shared| {
            let seen = vec![Range::EMPTY; shared.groups.len()];
            shared.follow = Some(Follow { momentum, passes: passes.max(1), steps, seen, taken: 0 });
        });
        self
    }

    fn with<T>(&self, f: impl FnOnce(&mut Shared) -> T) -> T {
        // A panic elsewhere leaves the ranges as they were: whole values are written.
        f(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ranges as they are now, for lowering.
    pub fn ranges(&self) -> Ranges {
        self.with(|shared| shared.ranges.clone())
    }

    /// A tap for one forward pass, or for several that evaluate.
    pub fn tap(&self) -> FakeTap {
        let (groups, points, following) = self.with(|shared| {
            let following = shared.follow.as_ref().is_some_and(|f| f.steps > 0);
            (shared.groups.clone(), shared.ranges.points().clone(), following)
        });
        let seen = following.then(|| vec![Range::EMPTY; groups.len()]);
        FakeTap { owner: self.clone(), groups, points, seen, trained: false, weights: Vec::new() }
    }
}

impl Shared {
    fn take(&mut self, seen: &[Range]) {
        let Some(follow) = self.follow.as_mut().filter(|f| f.steps > 0) else { return };
        for (all, new) in follow.seen.iter_mut().zip(seen) {
            *all = all.union(*new);
        }
        follow.taken += 1;
        if follow.taken < follow.passes {
            return;
        }
        let known = self.ranges.groups.clone();
        self.ranges.follow(&follow.seen, follow.momentum);
        follow.taken = 0;
        follow.steps -= 1;
        follow.seen.fill(Range::EMPTY);
        for (group, q) in self.groups.iter_mut().enumerate() {
            let points = &self.ranges.points().groups[group];
            if let (None, Some(range)) = (points.fixed, self.ranges.groups[group]) {
                let scale = if points.wide { params::wide_activation } else { params::activation };
                *q = scale(range.lo, range.hi);
            } else {
                self.ranges.groups[group] = known[group];
            }
        }
    }
}

/// The tap of [`FakeQuant`].
pub struct FakeTap {
    owner: FakeQuant,
    groups: Vec<QParams>,
    points: QuantPoints,
    /// Extremes of this pass per group, while ranges follow.
    seen: Option<Vec<Range>>,
    trained: bool,
    /// Weights of the node whose bias comes next: a bias too large for them enlarges their scale, which
    /// decides the grid of the bias (a channel of zero weights has no other).
    weights: Vec<f32>,
}

impl Drop for FakeTap {
    fn drop(&mut self) {
        if let Some(seen) = self.seen.take().filter(|_| self.trained) {
            self.owner.with(|shared| shared.take(&seen));
        }
    }
}

impl Tap for FakeTap {
    fn value(&mut self, id: ValueId, tensor: Tensor<4>) -> Tensor<4> {
        let Some(group) = self.points.group(id) else { return tensor };
        if tensor.is_autodiff()
            && self.points.is_source(id)
            && let Some(seen) = &mut self.seen
        {
            self.trained = true;
            let inner = tensor.clone().inner();
            let ends =
                Range { lo: inner.clone().min().into_scalar::<f32>(), hi: inner.max().into_scalar::<f32>() };
            seen[group] = seen[group].union(ends);
        }
        let q = self.groups[group];
        let wide = self.points.groups[group].wide;
        let (lo, hi) = if wide { params::wide_limits(q) } else { params::limits(q) };
        let clamped = tensor.clamp(lo, hi);
        let rounded = clamped.clone().div_scalar(q.scale).round().mul_scalar(q.scale);
        straight_through(clamped, rounded)
    }

    fn param(&mut self, node: NodeId, id: ParamId, tensor: Tensor<4>) -> Tensor<4> {
        let layers = Arc::clone(&self.owner.layers);
        let Some(layer) = layers[node.0] else { return tensor };
        let Some(group) = self.points.group(layer.input) else { return tensor };
        let input = self.groups[group].scale;
        let dims = tensor.dims();
        let plain = if tensor.is_autodiff() { tensor.clone().inner() } else { tensor.clone() };
        let values: Vec<f32> = plain.into_data().try_into_vec().expect("parameters are f32");
        let is_weight = id == layer.weight;
        let channels = if layer.channel_last || !is_weight { dims[3] } else { dims[0] };
        let of = |weights: &[f32], bias: Option<&[f32]>| {
            params::weight_scales(weights, bias, channels, layer.channel_last, input, layer.taps)
        };
        let scales = if is_weight {
            let scales = of(&values, None);
            self.weights = values;
            let shape = if layer.channel_last { [1, 1, 1, channels] } else { [channels, 1, 1, 1] };
            constant(scales, shape, &tensor)
        } else {
            let grid = of(&self.weights, Some(&values)).iter().map(|s| s * input).collect();
            constant(grid, [1, 1, 1, channels], &tensor)
        };
        let rounded = tensor.clone().div(scales.clone()).round().mul(scales);
        straight_through(tensor, rounded)
    }
}

/// `rounded` in the forward pass, the gradient of `x` in the backward pass.
fn straight_through(x: Tensor<4>, rounded: Tensor<4>) -> Tensor<4> {
    if x.is_autodiff() { x.clone() + (rounded - x).detach() } else { rounded }
}

/// A constant on the device of `like`.
fn constant(values: Vec<f32>, shape: [usize; 4], like: &Tensor<4>) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), &like.device())
}
