//! Lowering: every float operator to the runtime's operator with its integer constants.
//!
//! One file per family of operators. An operator whose inputs must share the scale of its output gets a
//! requantisation in front of an input that has another one.

mod elementwise;
mod graph;
mod movement;
mod norm;
mod recurrent;
mod shape;
mod state;
mod table;
mod weighted;
mod wide;

use super::points::UNIT_OUTPUT;
use super::qgraph::{QGraph, QNode, QTensor};
use super::{QuantiseError, Ranges, params};
use crate::graph::{Graph, Node, NodeId, Scheme, ValueId};
use crate::ops::{self, Op, ResizeMode};
use dunlin::format::{Blob, DType, OwnedMetadata, Scaling};
use dunlin::ops as int8;
use dunlin::ops::LabelScores;
use dunlin::quant::{QParams, Requant};

/// Choices of lowering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowerOptions {
    /// Store only the index of the largest class in the operator that computes the scores (convolution,
    /// transpose convolution, resize), so that the scores never exist at full resolution.
    pub fuse_argmax: bool,
    /// Type of the activations of values that are not pinned.
    pub precision: Precision,
}

/// Type of activations; weights have 8 bits either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 8 bits with a zero point.
    #[default]
    Int8,
    /// 16 bits without: more exact, and slower on most cores.
    Int16x8,
}

impl Default for LowerOptions {
    fn default() -> Self {
        Self { fuse_argmax: true, precision: Precision::Int8 }
    }
}

/// Turns `graph`, folded and fused, into an integer program with the scales of `ranges`.
///
/// # Errors
/// An operator that int8 does not have, a value without a range, constants that do not fit.
pub fn lower(graph: &Graph, ranges: &Ranges, options: LowerOptions) -> Result<QGraph, QuantiseError> {
    let widened = match options.precision {
        Precision::Int8 => None,
        Precision::Int16x8 => Some(wide::widened(graph, ranges)?),
    };
    let graph = widened.as_ref().unwrap_or(graph);
    let mut lowering = Lowering {
        graph,
        ranges,
        options,
        program: QGraph {
            dims: graph.dims.iter().map(|d| d.max).collect(),
            metadata: metadata(graph)?,
            ..QGraph::default()
        },
        tensors: vec![None; graph.values.len()],
    };
    for &input in &graph.inputs {
        let id = lowering.tensor(input)?;
        lowering.program.inputs.push(id);
    }
    for state in &graph.states {
        let id = lowering.tensor(state.read)?;
        lowering.program.tensors[usize::from(id)].persistent = true;
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        lowering.node(NodeId(index), node)?;
    }
    lowering.states()?;
    for &output in &graph.outputs {
        let id = lowering.tensor(output)?;
        lowering.program.outputs.push(id);
    }
    Ok(lowering.program)
}

fn metadata(graph: &Graph) -> Result<OwnedMetadata, QuantiseError> {
    let scaling = match &graph.meta.input {
        None => Scaling::NONE,
        Some(input) => {
            // The format keeps four entries, of which the last serves all further channels.
            let spread = |v: &[f32]| -> [f32; 4] {
                std::array::from_fn(|c| v.get(c).or(v.last()).copied().unwrap_or(0.0))
            };
            let beyond = |v: &[f32]| v.iter().skip(4).any(|x| *x != v[3]);
            if beyond(&input.mean) || beyond(&input.std) {
                return Err(QuantiseError::Unsupported {
                    node: graph.name.clone(),
                    op: "input",
                    reason: "channels from the fourth on must share one mean and deviation".into(),
                });
            }
            Scaling { factor: 1.0 / 255.0, mean: spread(&input.mean), std: spread(&input.std) }
        }
    };
    Ok(OwnedMetadata {
        name: graph.name.clone(),
        recipe: graph.meta.recipe.clone(),
        data_licence: graph.meta.data_licence.clone(),
        labels: graph.meta.classes.clone(),
        scaling,
    })
}

struct Lowering<'a> {
    graph: &'a Graph,
    ranges: &'a Ranges,
    options: LowerOptions,
    program: QGraph,
    /// The tensor of each value that has one yet.
    tensors: Vec<Option<u16>>,
}

impl Lowering<'_> {
    fn node(&mut self, id: NodeId, node: &Node) -> Result<(), QuantiseError> {
        if self.lower_wide(node)? {
            return Ok(());
        }
        match &node.op {
            Op::Conv2d(o) => self.conv(id, node, o),
            Op::DepthwiseConv2d(o) => self.depthwise(node, o),
            Op::TransposeConv2d(o) => self.transpose_conv(id, node, o),
            Op::Dense(o) => self.dense(node, o),
            Op::Add(o) => self.add(node, o.fused),
            Op::Sub(o) => self.sub(node, o.fused),
            Op::Mul(o) => self.mul(node, o.fused),
            Op::Div(o) => self.div(node, o.fused),
            Op::MinMax(o) => self.min_max(node, o.largest),
            Op::SquaredDifference(_) => self.squared_difference(node),
            Op::PRelu(o) => self.prelu(node, o),
            Op::Unary(o) => self.unary(node, o.function),
            Op::Softmax(o) => self.softmax(node, o.beta),
            Op::MaxPool(o) => self.max_pool(node, o),
            Op::MaxPoolIndices(o) => self.max_pool_indices(node, o.window),
            Op::MaxUnpool(o) => self.max_unpool(node, o),
            Op::AvgPool(o) => self.average_pool(node, o),
            Op::Concat(o) => self.concat(node, o.axis),
            Op::Pad(o) => self.pad(node, o),
            Op::Slice(o) => self.slice(node, o),
            Op::Reshape(_) | Op::Identity(_) | Op::Dropout(_) => {
                self.moved(node, int8::Op::Reshape(int8::Reshape {}))
            }
            Op::Resize(o) => match o.mode {
                ResizeMode::Nearest => self.resize_nearest(id, node, o),
                ResizeMode::Bilinear => self.resize_bilinear(id, node, o),
            },
            Op::ArgMax(_) => self.argmax(node),
            Op::Constant(_) => self.constant(node),
            Op::Requantize(o) => self.requantize(node, o.rule),
            Op::Reinterpret(_) => self.plain(node, int8::Op::Reshape(int8::Reshape {})),
            Op::Transpose(o) => self.transpose(node, o),
            Op::StridedSlice(o) => self.strided_slice(node, o),
            Op::Gather(o) => self.gather(node, o),
            Op::Tile(_) => self.moved(node, int8::Op::Tile(int8::Tile {})),
            Op::DepthToSpace(o) => {
                let op = int8::DepthToSpace { block: o.block, order: o.order };
                self.moved(node, int8::Op::DepthToSpace(op))
            }
            Op::SpaceToDepth(o) => {
                self.moved(node, int8::Op::SpaceToDepth(int8::SpaceToDepth { block: o.block }))
            }
            Op::SpaceToBatch(o) => {
                let op = int8::SpaceToBatch { block: o.block, pad: o.pad };
                self.moved(node, int8::Op::SpaceToBatch(op))
            }
            Op::BatchToSpace(o) => {
                let op = int8::BatchToSpace { block: o.block, crop: o.crop };
                self.moved(node, int8::Op::BatchToSpace(op))
            }
            Op::Reduce(o) => self.reduce(node, o),
            Op::ArgExtreme(o) => self.arg_extreme(node, o),
            Op::LogSoftmax(_) => self.log_softmax(node),
            Op::L2Normalize(_) => self.l2_normalize(node),
            Op::Lstm(o) => self.lstm(node, o),
            Op::Svdf(o) => self.svdf(node, o),
            Op::BatchMatMul(o) => self.batch_matmul(node, o),
            Op::GatherRows(_) => self.gather_rows(node),
            Op::ScatterReduce(o) => self.scatter_reduce(node, o),
            Op::SegmentSoftmax(o) => self.segment_softmax(node, o),
            Op::LayerNorm(o) => self.layer_norm(node, o.epsilon),
            Op::BatchNorm(_) => Err(unsupported(node, "run the passes first, which fold it")),
        }
    }

    /// The tensor of a value, made where there is none yet.
    fn tensor(&mut self, value: ValueId) -> Result<u16, QuantiseError> {
        if let Some(id) = self.tensors[value.0] {
            return Ok(id);
        }
        let v = self.graph.value(value);
        let (dtype, quant) = match (v.pin, v.dtype) {
            (Some(pin), _) => (pin.dtype, pin.quant),
            (None, ops::DType::Float) => {
                let dtype = if self.ranges.points().is_wide(value) { DType::I16 } else { DType::I8 };
                (dtype, self.ranges.qparams(self.graph, value)?)
            }
            (None, ops::DType::Label | ops::DType::Index) => (DType::U8, QParams::UNIT),
            (None, ops::DType::Int) => (DType::I32, QParams::UNIT),
            (None, ops::DType::Rows) => (DType::U16, QParams::UNIT),
        };
        let id = self.add_tensor(QTensor {
            name: v.name.clone(),
            dtype,
            shape: v.shape,
            quant,
            rows: v.rows.map(|d| d.0 as u8),
            persistent: false,
            constant: None,
            value: Some(value),
        });
        self.tensors[value.0] = Some(id);
        Ok(id)
    }

    fn add_tensor(&mut self, tensor: QTensor) -> u16 {
        self.program.tensors.push(tensor);
        (self.program.tensors.len() - 1) as u16
    }

    /// Scale and zero point of a float value.
    fn quant(&self, value: ValueId) -> Result<QParams, QuantiseError> {
        self.ranges.qparams(self.graph, value)
    }

    /// Rules that a value follows where the schemes of TensorFlow Lite differ.
    fn scheme(&self, value: ValueId) -> Scheme {
        self.graph.value(value).pin.map_or(Scheme::Int8, |pin| pin.scheme)
    }

    fn push(&mut self, name: &str, op: int8::Op, inputs: Vec<u16>, outputs: Vec<u16>) {
        self.program.nodes.push(QNode { name: name.into(), op, inputs, outputs });
    }

    /// A node whose tensors are those of the float node.
    fn plain(&mut self, node: &Node, op: int8::Op) -> Result<(), QuantiseError> {
        let inputs = node.inputs.iter().map(|v| self.tensor(*v)).collect::<Result<_, _>>()?;
        let outputs = node.outputs.iter().map(|v| self.tensor(*v)).collect::<Result<_, _>>()?;
        self.push(&node.name, op, inputs, outputs);
        Ok(())
    }

    /// A node whose int8 inputs have the scale of its first output: requantises those that have another.
    fn shared(&mut self, node: &Node, op: int8::Op) -> Result<(), QuantiseError> {
        let target = self.quant(node.outputs[0])?;
        let inputs =
            node.inputs.iter().map(|v| self.with_scale(node, *v, target)).collect::<Result<_, _>>()?;
        let outputs = node.outputs.iter().map(|v| self.tensor(*v)).collect::<Result<_, _>>()?;
        self.push(&node.name, op, inputs, outputs);
        Ok(())
    }

    fn with_scale(&mut self, node: &Node, value: ValueId, target: QParams) -> Result<u16, QuantiseError> {
        let id = self.tensor(value)?;
        let tensor = self.program.tensors[usize::from(id)].clone();
        if !matches!(tensor.dtype, DType::I8 | DType::I16) || tensor.quant == target {
            return Ok(id);
        }
        let scale = factor(node, 0, f64::from(tensor.quant.scale) / f64::from(target.scale))?;
        let name = format!("{}.{}", node.name, tensor.name);
        let rescaled = self.add_tensor(QTensor { name: name.clone(), quant: target, value: None, ..tensor });
        let op = match self.program.tensors[usize::from(id)].dtype {
            DType::I8 => int8::Op::Requantize(int8::Requantize { scale }),
            _ => int8::Op::Convert(int8::Convert { scale, truncate: false }),
        };
        self.push(&name, op, vec![id], vec![rescaled]);
        Ok(rescaled)
    }

    /// Where `node` may store labels instead of its scores: the label value and the format of the scores.
    fn labels(&self, id: NodeId, node: &Node) -> Result<Option<(ValueId, LabelScores)>, QuantiseError> {
        let scores = node.outputs[0];
        let [reader] = *self.graph.consumers(scores).as_slice() else { return Ok(None) };
        let reader = self.graph.node(reader);
        let private = self.graph.producer(scores) == Some(id) && !self.graph.outputs.contains(&scores);
        if !self.options.fuse_argmax || !private || !matches!(reader.op, Op::ArgMax(_)) {
            return Ok(None);
        }
        let zero_point = self.quant(scores)?.zero_point as i8;
        let channels = self.graph.shape(scores).c as u16;
        Ok(Some((reader.outputs[0], LabelScores { channels, zero_point })))
    }

    /// Pushes an operator with one input that may store labels.
    fn scored(
        &mut self,
        node: &Node,
        labels: Option<(ValueId, LabelScores)>,
        op: impl FnOnce(Option<LabelScores>) -> int8::Op,
    ) -> Result<(), QuantiseError> {
        let input = self.tensor(node.inputs[0])?;
        let output = self.tensor(labels.map_or(node.outputs[0], |(label, _)| label))?;
        self.push(&node.name, op(labels.map(|(_, scores)| scores)), vec![input], vec![output]);
        Ok(())
    }

    fn argmax(&mut self, node: &Node) -> Result<(), QuantiseError> {
        // A producer that stores labels has made the tensor already.
        if self.tensors[node.outputs[0].0].is_some() {
            return Ok(());
        }
        self.plain(node, int8::Op::ArgMax(int8::ArgMax {}))
    }

    fn softmax(&mut self, node: &Node, beta: f32) -> Result<(), QuantiseError> {
        let output = self.quant(node.outputs[0])?;
        if output != UNIT_OUTPUT {
            let QParams { scale, zero_point } = output;
            return Err(unsupported(
                node,
                format!("its output has scale {scale} and zero point {zero_point}, not 1/256 and -128"),
            ));
        }
        let exp = self.softmax_table(node, beta)?;
        self.plain(node, int8::Op::Softmax(int8::Softmax { exp }))
    }

    /// Exponentials of the differences of an int8 softmax.
    fn softmax_table(&mut self, node: &Node, beta: f32) -> Result<Blob, QuantiseError> {
        if self.graph.shape(node.inputs[0]).c > 4096 {
            return Err(unsupported(node, "softmax takes at most 4,096 channels"));
        }
        let scale = f64::from(self.quant(node.inputs[0])?.scale);
        let table = dunlin::fixed::softmax_table(scale, f64::from(beta))
            .ok_or_else(|| unsupported(node, "beta must be positive and finite"))?;
        Ok(self.program.data.push(&table))
    }
}

fn unsupported(node: &Node, reason: impl Into<String>) -> QuantiseError {
    QuantiseError::Unsupported {
        node: node.name.clone(),
        op: node.op.operator().name(),
        reason: reason.into(),
    }
}

/// A factor of scales as the runtime applies it.
fn factor(node: &Node, channel: usize, real: f64) -> Result<Requant, QuantiseError> {
    Requant::from_real(real).ok_or_else(|| QuantiseError::Scale {
        node: node.name.clone(),
        channel,
        factor: real,
    })
}
