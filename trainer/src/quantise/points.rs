//! Which values are quantised, and which share one scale and zero point.

use crate::graph::{Graph, Node, ValueId};
use crate::ops::{DType, Op, ReduceFn, UnaryFn};
use dunlin::ops::Aggregation;
use dunlin::quant::QParams;

/// Values that share one scale and zero point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// All values of the group.
    pub members: Vec<ValueId>,
    /// Those that are computed: network inputs and outputs of operators that requantise. The others hold
    /// only values of these, means of them, or zero.
    pub sources: Vec<ValueId>,
    /// Scale and zero point where the operator dictates them.
    pub fixed: Option<QParams>,
    /// Values of 16 bits, whose scale is a power of two: what a recurrent operator remembers.
    pub wide: bool,
}

/// The quantisation points of a graph. Every float value is one: a value that only a fused activation would
/// read does not exist after fusion.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantPoints {
    /// The groups, in the order in which the network first writes them.
    pub groups: Vec<Group>,
    of: Vec<Option<usize>>,
    source: Vec<bool>,
}

/// What softmax and the logistic function write: 0 to 255/256.
pub(super) const UNIT_OUTPUT: QParams = QParams { scale: 1.0 / 256.0, zero_point: -128 };
/// What the hyperbolic tangent writes: −1 to 127/128.
pub(super) const TANH_OUTPUT: QParams = QParams { scale: 1.0 / 128.0, zero_point: 0 };

/// What a logarithm of the softmax writes: −255/16 to 0.
pub(super) const LOGARITHM_OUTPUT: QParams = QParams { scale: 1.0 / 16.0, zero_point: 127 };
/// What a division by the norm writes: −1 to 127/128.
pub(super) const NORM_OUTPUT: QParams = QParams { scale: 1.0 / 128.0, zero_point: 0 };

/// Scale and zero point that the reference fixes for the output of an operator.
fn dictated(op: &Op) -> Option<QParams> {
    match op {
        Op::Softmax(_) | Op::SegmentSoftmax(_) => Some(UNIT_OUTPUT),
        Op::LogSoftmax(_) => Some(LOGARITHM_OUTPUT),
        Op::L2Normalize(_) => Some(NORM_OUTPUT),
        Op::Unary(o) => match o.function {
            UnaryFn::Sigmoid => Some(UNIT_OUTPUT),
            UnaryFn::Tanh => Some(TANH_OUTPUT),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the first output has the scale and zero point of the float inputs.
fn shares(op: &Op) -> bool {
    match op {
        Op::MaxPool(_)
        | Op::MaxPoolIndices(_)
        | Op::MaxUnpool(_)
        | Op::AvgPool(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Reshape(_)
        | Op::Slice(_)
        | Op::Transpose(_)
        | Op::StridedSlice(_)
        | Op::Gather(_)
        | Op::Tile(_)
        | Op::DepthToSpace(_)
        | Op::SpaceToDepth(_)
        | Op::SpaceToBatch(_)
        | Op::BatchToSpace(_)
        | Op::Resize(_)
        | Op::Identity(_)
        | Op::Dropout(_)
        | Op::GatherRows(_)
        | Op::MinMax(_) => true,
        Op::ScatterReduce(o) => o.aggregation == Aggregation::Max,
        Op::Reduce(o) => matches!(o.function, ReduceFn::Max | ReduceFn::Min),
        Op::Conv2d(_)
        | Op::DepthwiseConv2d(_)
        | Op::TransposeConv2d(_)
        | Op::Dense(_)
        | Op::Add(_)
        | Op::Mul(_)
        | Op::Sub(_)
        | Op::Div(_)
        | Op::SquaredDifference(_)
        | Op::PRelu(_)
        | Op::Softmax(_)
        | Op::BatchNorm(_)
        | Op::Unary(_)
        | Op::LogSoftmax(_)
        | Op::L2Normalize(_)
        | Op::ArgExtreme(_)
        | Op::ArgMax(_)
        | Op::Constant(_)
        | Op::Requantize(_)
        | Op::Reinterpret(_)
        | Op::Lstm(_)
        | Op::Svdf(_)
        | Op::SegmentSoftmax(_)
        | Op::LayerNorm(_)
        | Op::BatchMatMul(_) => false,
    }
}

impl QuantPoints {
    /// The quantisation points of `graph`.
    ///
    /// A concatenation of values with dictated and with free scales joins only the free ones; lowering
    /// requantises the others.
    pub fn new(graph: &Graph) -> Self {
        let mut sets = Sets::new(graph.values.len());
        let mut source = vec![false; graph.values.len()];
        for v in graph.inputs.iter().chain(graph.states.iter().map(|s| &s.read)) {
            source[v.0] = true;
        }
        for (i, pin) in graph.values.iter().enumerate().filter_map(|(i, v)| Some((i, v.pin?))) {
            sets.fixed[i] = Some(pin.quant);
        }
        for node in &graph.nodes {
            let y = node.outputs[0];
            if graph.value(y).dtype != DType::Float {
                continue;
            }
            if let Some((same, wide)) = remembered(node) {
                node.outputs.iter().for_each(|v| source[v.0] = true);
                same.windows(2).for_each(|pair| sets.join(pair[0].0, pair[1].0));
                wide.windows(2).for_each(|pair| sets.join(pair[0].0, pair[1].0));
                let root = sets.find(wide[0].0);
                sets.wide[root] = true;
                continue;
            }
            if !shares(&node.op) {
                source[y.0] = true;
                let root = sets.find(y.0);
                sets.fixed[root] = sets.fixed[root].or(dictated(&node.op));
                continue;
            }
            for x in joined(graph, node, &mut sets) {
                sets.join(x.0, y.0);
            }
        }
        // What a persistent tensor is given must have its scale.
        for state in &graph.states {
            if sets.fixed(state.read) == sets.fixed(state.write) || graph.value(state.write).pin.is_none() {
                sets.join(state.read.0, state.write.0);
            }
        }
        let mut points = Self { groups: Vec::new(), of: vec![None; graph.values.len()], source };
        let mut index = vec![None; graph.values.len()];
        let given = graph.inputs.iter().chain(graph.states.iter().map(|s| &s.read));
        let written = given.chain(graph.nodes.iter().flat_map(|n| &n.outputs));
        for &v in written.filter(|v| graph.value(**v).dtype == DType::Float) {
            let root = sets.find(v.0);
            let group = *index[root].get_or_insert_with(|| {
                points.groups.push(Group {
                    fixed: sets.fixed[root],
                    wide: sets.wide[root],
                    ..Group::default()
                });
                points.groups.len() - 1
            });
            points.of[v.0] = Some(group);
            points.groups[group].members.push(v);
            if points.source[v.0] {
                points.groups[group].sources.push(v);
            }
        }
        points
    }

    /// Index of the group of a value; `None` for labels and positions.
    pub fn group(&self, value: ValueId) -> Option<usize> {
        self.of[value.0]
    }

    /// Whether the value has 16 bits (see [`Group::wide`]).
    pub fn is_wide(&self, value: ValueId) -> bool {
        self.of[value.0].is_some_and(|group| self.groups[group].wide)
    }

    /// Whether the value is computed anew (see [`Group::sources`]).
    pub fn is_source(&self, value: ValueId) -> bool {
        self.source[value.0]
    }
}

/// Of a recurrent node the values that share the scale of its output, and those that share a 16-bit scale.
fn remembered(node: &Node) -> Option<(Vec<ValueId>, Vec<ValueId>)> {
    let of = |outputs: &[usize], input: usize| {
        let outputs = outputs.iter().map(|&i| node.outputs[i]);
        outputs.chain(node.inputs.get(input).copied()).collect()
    };
    match &node.op {
        Op::Lstm(_) => Some((of(&[0, 1], 1), of(&[2, 3], 2))),
        Op::Svdf(_) => Some((vec![node.outputs[0]], of(&[1, 2], 1))),
        _ => None,
    }
}

/// The inputs of a sharing node whose group its output joins.
fn joined(graph: &Graph, node: &Node, sets: &mut Sets) -> Vec<ValueId> {
    let floats: Vec<ValueId> =
        node.inputs.iter().copied().filter(|v| graph.value(*v).dtype == DType::Float).collect();
    let first = sets.fixed(floats[0]);
    let own = node.outputs[0];
    if graph.value(own).pin.is_some() {
        let target = sets.fixed(own);
        return floats.into_iter().filter(|v| sets.fixed(*v).is_none() || sets.fixed(*v) == target).collect();
    }
    if floats.iter().all(|v| sets.fixed(*v) == first) {
        return floats;
    }
    floats.into_iter().filter(|v| sets.fixed(*v).is_none()).collect()
}

/// Disjoint sets of values.
struct Sets {
    parent: Vec<usize>,
    fixed: Vec<Option<QParams>>,
    wide: Vec<bool>,
}

impl Sets {
    fn new(count: usize) -> Self {
        Self { parent: (0..count).collect(), fixed: vec![None; count], wide: vec![false; count] }
    }

    fn find(&mut self, mut v: usize) -> usize {
        while self.parent[v] != v {
            self.parent[v] = self.parent[self.parent[v]];
            v = self.parent[v];
        }
        v
    }

    /// Scale and zero point that the set of a value has already.
    fn fixed(&mut self, v: ValueId) -> Option<QParams> {
        let root = self.find(v.0);
        self.fixed[root]
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        if a != b {
            self.fixed[a] = self.fixed[a].or(self.fixed[b]);
            self.wide[a] |= self.wide[b];
            self.parent[b] = a;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::*;
    use dunlin::shape::{Shape, Window};

    #[test]
    fn pools_unpools_and_concatenations_share_and_weights_do_not() {
        let mut g = Graph::new("test");
        let x = g.add_input("x", Shape::image(8, 8, 3)).unwrap();
        let conv =
            Conv2d { out_channels: 3, window: Window::square(1, 1), bias: false, fused: Activation::None };
        let a = g.push("a", conv.clone(), &[x]).unwrap()[0];
        let p = g.push("p", MaxPoolIndices { window: Window::square(2, 2) }, &[a]).unwrap();
        let b = g.push("b", conv, &[p[0]]).unwrap()[0];
        let u = g
            .push("u", MaxUnpool { window: Window::square(2, 2), out_h: 8, out_w: 8 }, &[b, p[1]])
            .unwrap()[0];
        let c = g.push("c", Concat { axis: Axis::C }, &[u, a]).unwrap()[0];
        let l = g.push("l", ArgMax, &[c]).unwrap()[0];
        g.add_output(l);
        let points = QuantPoints::new(&g);
        assert_eq!(points.groups.len(), 2);
        assert_eq!(points.groups[0].members, [x]);
        assert_eq!(points.groups[1].members, [a, p[0], b, u, c]);
        assert_eq!(points.groups[1].sources, [a, b]);
        assert_eq!(points.group(p[1]), None);
        assert_eq!(points.group(l), None);
    }

    #[test]
    fn dictated_scales_stay_apart_from_free_ones() {
        let mut g = Graph::new("test");
        let x = g.add_input("x", Shape::vector(4)).unwrap();
        let s = g.push("s", Softmax { beta: 1.0 }, &[x]).unwrap()[0];
        let r = g.push("r", Reshape { shape: Shape::image(2, 1, 2) }, &[s]).unwrap()[0];
        let c = g.push("c", Concat { axis: Axis::C }, &[x, s]).unwrap()[0];
        let t = g.push("t", Unary { function: UnaryFn::Sigmoid }, &[x]).unwrap()[0];
        let d = g.push("d", Concat { axis: Axis::C }, &[s, t]).unwrap()[0];
        g.add_output(c);
        let points = QuantPoints::new(&g);
        assert_eq!(points.group(x), points.group(c));
        assert_ne!(points.group(s), points.group(c));
        assert_eq!(points.group(s), points.group(r));
        assert_eq!(points.group(d), points.group(t));
        assert_eq!(points.groups[points.group(d).unwrap()].fixed, Some(UNIT_OUTPUT));
    }
}
