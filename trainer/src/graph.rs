//! The float graph: the only definition of a network.
//!
//! Training, quantisation-aware training, evaluation, export and lowering all walk it. Nodes are in
//! topological order by construction: a node can only use values that exist when it is inserted.

mod check;
mod dead;
mod error;
mod init;
mod pin;
mod rows;

pub use error::GraphError;
pub(crate) use init::normal;
pub use pin::{Pin, PinnedParam, Scheme};

pub use crate::ops::DimId;
use crate::ops::{DType, Init, Op};
use check::infer;
use dunlin::shape::Shape;
use init::initial;
use serde::{Deserialize, Serialize};

/// Index of a value in [`Graph::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueId(pub usize);

/// Index of a node in [`Graph::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub usize);

/// Index of a parameter in [`Graph::params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ParamId(pub usize);

/// A size that is known only when the model runs; tensors are planned for `max`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundedDim {
    /// Name shown to people.
    pub name: String,
    /// Largest size.
    pub max: u32,
}

/// A tensor that flows between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// Unique name.
    pub name: String,
    /// Shape of one sample, NHWC. Where `n` is not 1, or an operator mixes samples, the executor runs a batch
    /// sample by sample.
    pub shape: Shape,
    /// Where the number of columns (`w`: rows of a set, steps of a sequence) is bounded, not fixed.
    pub rows: Option<DimId>,
    /// Element type.
    pub dtype: DType,
    /// Quantisation that the value was imported with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
}

/// A persistent tensor: real zero at first, then from run to run what the run before wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The value at the start of a run; no node writes it.
    pub read: ValueId,
    /// The value whose content `read` has in the next run; of the same shape, type and pin.
    pub write: ValueId,
}

/// One operator with what it reads and writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Unique name, prefix of its parameters' names.
    pub name: String,
    /// Operator and attributes.
    pub op: Op,
    /// Values read.
    pub inputs: Vec<ValueId>,
    /// Parameters, in the operator's order.
    pub params: Vec<ParamId>,
    /// Values written.
    pub outputs: Vec<ValueId>,
}

/// A parameter or running statistic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// `node.weight`, `node.bias`, …
    pub name: String,
    /// Sizes, slowest first.
    pub dims: Vec<usize>,
    /// How it is filled by [`Graph::initialise`].
    pub init: Init,
    /// Elements, row-major.
    #[serde(skip)]
    pub data: Vec<f32>,
    /// False for running statistics.
    pub trainable: bool,
    /// Integers that the parameter was imported with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<PinnedParam>,
}

/// How a raw input (a pixel in 0..=255) becomes the network's input:
/// `(raw / 255 − mean[c]) / std[c]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputScaling {
    /// Mean per channel, in units of the full range.
    pub mean: Vec<f32>,
    /// Standard deviation per channel, in units of the full range.
    pub std: Vec<f32>,
}

impl InputScaling {
    /// Input in 0..1 for `channels` channels.
    pub fn unit(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], std: vec![1.0; channels] }
    }

    /// The network's input for raw value `raw` of channel `c`.
    pub fn apply(&self, raw: f32, c: usize) -> f32 {
        (raw / 255.0 - self.mean[c]) / self.std[c]
    }
}

/// How a number becomes what a network is trained to: `(number − mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetScaling {
    /// Mean of the training examples.
    pub mean: f32,
    /// Their standard deviation.
    pub std: f32,
}

/// What a person wants to know about a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Class names by label.
    pub classes: Vec<String>,
    /// Colour of each class, RGB.
    pub palette: Vec<[u8; 3]>,
    /// Label that counts neither in the loss nor in a metric.
    pub ignore: Option<u8>,
    /// Scaling of raw inputs.
    pub input: Option<InputScaling>,
    /// Where the outputs are trained to a number: how it becomes what they are trained to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetScaling>,
    /// Licence of the data that it was trained on.
    pub data_licence: String,
    /// Name of the recipe.
    pub recipe: String,
}

/// A network: values, nodes in topological order, parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    /// Tensors between nodes.
    pub values: Vec<Value>,
    /// Operators in topological order.
    pub nodes: Vec<Node>,
    /// Parameters and running statistics.
    pub params: Vec<Param>,
    /// Values given by the caller.
    pub inputs: Vec<ValueId>,
    /// Values returned to the caller.
    pub outputs: Vec<ValueId>,
    /// Sizes known only when the model runs.
    pub dims: Vec<BoundedDim>,
    /// Persistent tensors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<State>,
    /// For people and reports.
    pub meta: Meta,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds an input.
    ///
    /// # Errors
    /// A name used twice or an impossible shape.
    pub fn add_input(&mut self, name: &str, shape: Shape) -> Result<ValueId, GraphError> {
        self.add_typed_input(name, shape, DType::Float)
    }

    /// Adds an input of any element type.
    ///
    /// # Errors
    /// A name used twice or an impossible shape.
    pub fn add_typed_input(&mut self, name: &str, shape: Shape, dtype: DType) -> Result<ValueId, GraphError> {
        let id = self.add_value(name.to_string(), shape, dtype, None)?;
        self.inputs.push(id);
        Ok(id)
    }

    /// Adds a persistent tensor and returns the value that holds its content at the start of a run. It must be
    /// given its new content with [`Graph::set_state`]; until then it keeps the old one.
    ///
    /// # Errors
    /// A name used twice or an impossible shape.
    pub fn add_state(&mut self, name: &str, shape: Shape) -> Result<ValueId, GraphError> {
        let id = self.add_value(name.to_string(), shape, DType::Float, None)?;
        self.states.push(State { read: id, write: id });
        Ok(id)
    }

    /// Makes the content of `write` that of the persistent tensor `read` in the next run.
    ///
    /// # Errors
    /// `read` is not a persistent tensor, or `write` has another shape or element type.
    pub fn set_state(&mut self, read: ValueId, write: ValueId) -> Result<(), GraphError> {
        let (from, to) = (self.value(write), self.value(read));
        if from.shape != to.shape || from.dtype != to.dtype {
            return Err(stored(&to.name, to.shape, from.shape));
        }
        match self.states.iter_mut().find(|s| s.read == read) {
            Some(state) => {
                state.write = write;
                Ok(())
            }
            None => Err(GraphError::Order { node: "state".into(), value: read.0 }),
        }
    }

    /// Whether a batch may run at once: every value is one sample, and no operator mixes samples.
    pub fn is_batchable(&self) -> bool {
        self.values.iter().all(|v| v.shape.n == 1)
            && self.nodes.iter().all(|node| {
                let shapes: Vec<Shape> = node.inputs.iter().map(|v| self.shape(*v)).collect();
                !node.op.operator().mixes_samples(&shapes)
            })
    }

    /// Forgets the quantisation that the graph was imported with: it becomes an ordinary float graph.
    pub fn unpin(&mut self) {
        self.values.iter_mut().for_each(|v| v.pin = None);
        self.params.iter_mut().for_each(|p| p.pin = None);
    }

    /// Whether every value but labels and indices has a pin, so that no range need be observed.
    pub fn is_pinned(&self) -> bool {
        self.values.iter().filter(|v| v.dtype == DType::Float).all(|v| v.pin.is_some())
    }

    /// Marks a value as output.
    pub fn add_output(&mut self, value: ValueId) {
        self.outputs.push(value);
    }

    /// The value behind an id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The first value of this name.
    pub fn value_named(&self, name: &str) -> Option<ValueId> {
        self.values.iter().position(|v| v.name == name).map(ValueId)
    }

    /// The node behind an id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The parameter behind an id.
    pub fn param(&self, id: ParamId) -> &Param {
        &self.params[id.0]
    }

    /// Shape of a value.
    pub fn shape(&self, id: ValueId) -> Shape {
        self.values[id.0].shape
    }

    /// [`Graph::push`] with the parameters of node `like`, so that both have one set of weights: a step of a recurrence, a
    /// second branch.
    ///
    /// # Errors
    /// As [`Graph::push`], and where `like` has other parameters than the node needs.
    pub fn push_like(
        &mut self,
        name: &str,
        like: NodeId,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, GraphError> {
        let (op, params) = (self.node(like).op.clone(), self.node(like).params.clone());
        let (specs, own) = (op.operator().params(&self.shapes(inputs)), self.params.len());
        for (id, spec) in params.iter().zip(&specs) {
            if self.param(*id).dims != spec.dims {
                let (expected, found) = (format!("{:?}", self.param(*id).dims), format!("{:?}", spec.dims));
                return Err(stored(name, expected, found));
            }
        }
        let outputs = self.push(name, op, inputs)?;
        self.params.truncate(own);
        if let Some(node) = self.nodes.last_mut() {
            node.params = params;
        }
        Ok(outputs)
    }

    fn shapes(&self, values: &[ValueId]) -> Vec<Shape> {
        values.iter().filter_map(|v| self.values.get(v.0)).map(|v| v.shape).collect()
    }

    /// Inserts a node at the end: checks element types, infers shapes, creates its parameters (unfilled,
    /// see [`Graph::initialise`]) and its outputs. Returns the outputs.
    ///
    /// # Errors
    /// Everything that [`GraphError`] names but the last two.
    pub fn push(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, GraphError> {
        let op = op.into();
        if self.nodes.iter().any(|n| n.name == name) {
            return Err(GraphError::Name(name.to_string()));
        }
        let shapes = self.check_inputs(name, &op, inputs)?;
        let output_shapes = infer(name, &op, &shapes)?;
        let types = self.output_types(&op, inputs, output_shapes.len());
        self.check_rows(name, &op, inputs)?;
        let rows = self.output_rows(&op, inputs, &output_shapes);
        let params = op
            .operator()
            .params(&shapes)
            .into_iter()
            .map(|spec| {
                let data = vec![0.0; spec.dims.iter().product()];
                self.params.push(Param {
                    name: format!("{name}.{}", spec.name),
                    dims: spec.dims,
                    init: spec.init,
                    data,
                    trainable: spec.trainable,
                    pin: None,
                });
                ParamId(self.params.len() - 1)
            })
            .collect();
        let mut outputs = Vec::new();
        for (i, (shape, dtype)) in output_shapes.into_iter().zip(types).enumerate() {
            let name = if i == 0 { name.to_string() } else { format!("{name}:{i}") };
            outputs.push(self.add_value(name, shape, dtype, rows)?);
        }
        self.nodes.push(Node {
            name: name.to_string(),
            op,
            inputs: inputs.to_vec(),
            params,
            outputs: outputs.clone(),
        });
        Ok(outputs)
    }

    fn add_value(
        &mut self,
        name: String,
        shape: Shape,
        dtype: DType,
        rows: Option<DimId>,
    ) -> Result<ValueId, GraphError> {
        if shape.checked_elements().is_none() {
            return Err(GraphError::Size { name, shape });
        }
        if self.values.iter().any(|v| v.name == name) {
            return Err(GraphError::Name(name));
        }
        self.values.push(Value { name, shape, rows, dtype, pin: None });
        Ok(ValueId(self.values.len() - 1))
    }

    fn output_types(&self, op: &Op, inputs: &[ValueId], count: usize) -> Vec<DType> {
        match inputs.first() {
            Some(first) if op.operator().any_type() => vec![self.value(*first).dtype; count],
            _ => op.operator().output_types(),
        }
    }

    /// Nodes that read `value`.
    pub fn consumers(&self, value: ValueId) -> Vec<NodeId> {
        let reads = |n: &Node| n.inputs.contains(&value);
        (0..self.nodes.len()).filter(|&i| reads(&self.nodes[i])).map(NodeId).collect()
    }

    /// The node that writes `value`; `None` for inputs.
    pub fn producer(&self, value: ValueId) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.outputs.contains(&value)).map(NodeId)
    }

    /// Whether another node has a parameter of node `id` too: unrolled steps of one layer do, and then neither a pass nor a quantiser
    /// may change it for one of them.
    pub fn shares_params(&self, id: NodeId) -> bool {
        let own = &self.node(id).params;
        let shared = |(i, other): (usize, &Node)| i != id.0 && other.params.iter().any(|p| own.contains(p));
        self.nodes.iter().enumerate().any(shared)
    }

    /// Makes every reader of `old`, and the output list, use `new`.
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        let states = self.states.iter_mut().map(|s| &mut s.write);
        let read = self.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut());
        for id in read.chain(self.outputs.iter_mut()).chain(states) {
            if *id == old {
                *id = new;
            }
        }
    }

    /// Fills every parameter from its [`Init`], reproducibly from `seed`.
    pub fn initialise(&mut self, seed: u64) {
        for (i, param) in self.params.iter_mut().enumerate() {
            let mut rng = rand_pcg::Pcg64::new(u128::from(seed), i as u128);
            param.data = initial(param.init, &param.dims, &mut rng);
        }
    }

    /// The value that a loss is taken of: the input of a final argmax or softmax, else the first output.
    pub fn logits(&self) -> ValueId {
        let output = self.outputs[0];
        match self.producer(output).map(|n| &self.nodes[n.0]) {
            Some(node) if matches!(node.op, Op::ArgMax(_) | Op::Softmax(_) | Op::LogSoftmax(_)) => {
                node.inputs[0]
            }
            _ => output,
        }
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        let shapes = |n: &Node| n.inputs.iter().map(|v| self.shape(*v)).collect::<Vec<_>>();
        self.nodes.iter().map(|n| n.op.operator().macs(&shapes(n))).sum()
    }

    /// Number of weights of convolutions and dense layers: bytes of an int8 model's weights.
    pub fn weight_count(&self) -> usize {
        self.params.iter().filter(|p| p.name.ends_with(".weight")).map(|p| p.data.len()).sum()
    }
}

fn stored(name: &str, expected: impl ToString, found: impl ToString) -> GraphError {
    GraphError::Stored { name: name.into(), expected: expected.to_string(), found: found.to_string() }
}
