//! Runs a [`Graph`] on burn tensors: training, float evaluation, observation and fake quantisation.
//!
//! Callers see NHWC. Inside, tensors are CNHW; a [`Tap`] sees them so and must treat every element alike, or
//! take channels to be axis 0.

use crate::graph::{DimId, Graph, NodeId, Param, ParamId, ValueId};
use crate::ops::{Context, DType, Data};
use burn::module::{Module, Param as BurnParam, ParamId as BurnParamId};
use burn::tensor::Int;
pub use burn::tensor::{Device, Tensor, TensorData};
use rand_pcg::Pcg64;

/// Parameters of a graph as a burn module: one rank-4 tensor per [`Param`], in the same order; vectors are
/// `1,1,1,c` and matrices `o,1,1,i`. Ids follow from the position, so that optimiser states fit a resumed run.
#[derive(Module, Debug)]
pub struct Weights {
    params: Vec<BurnParam<Tensor<4>>>,
}

impl Weights {
    /// Copies the parameters of `graph` to `device`.
    pub fn from_graph(graph: &Graph, device: &Device) -> Self {
        let params = graph
            .params
            .iter()
            .enumerate()
            .map(|(i, p)| {
                let value = Tensor::from_data(TensorData::new(p.data.clone(), rank4(p)), device);
                let param = BurnParam::initialized(BurnParamId::from(i as u64 + 1), value);
                param.set_require_grad(p.trainable)
            })
            .collect();
        Self { params }
    }

    /// Copies the parameters back into `graph`.
    ///
    /// # Panics
    /// Where `graph` has another number of parameters.
    pub fn store(&self, graph: &mut Graph) {
        assert_eq!(self.params.len(), graph.params.len(), "weights belong to another graph");
        for (i, p) in graph.params.iter_mut().enumerate() {
            p.data = self.read(ParamId(i));
        }
    }

    /// Elements of one parameter, row-major.
    pub fn read(&self, id: ParamId) -> Vec<f32> {
        let data = self.params[id.0].val().into_data();
        data.try_into_vec().expect("parameters are f32")
    }

    /// Elements of all parameters.
    pub fn read_all(&self) -> Vec<Vec<f32>> {
        (0..self.params.len()).map(|i| self.read(ParamId(i))).collect()
    }

    /// The tensor of one parameter.
    pub fn tensor(&self, id: ParamId) -> Tensor<4> {
        self.params[id.0].val()
    }

    /// Replaces the tensor of one parameter; its id and gradient setting stay.
    pub fn set(&mut self, id: ParamId, value: Tensor<4>) {
        let old = &self.params[id.0];
        let tracked = old.val().is_require_grad();
        let value = if old.val().is_autodiff() { Tensor::from_inner(value.inner()) } else { value.inner() };
        self.params[id.0] = BurnParam::initialized(old.id, value).set_require_grad(tracked);
    }

    /// Where the parameters are; `None` where there is none.
    fn device(&self) -> Option<Device> {
        self.params.first().map(|p| p.val().device())
    }

    /// Id under which optimisers know a parameter.
    pub fn burn_id(&self, id: ParamId) -> BurnParamId {
        self.params[id.0].id
    }
}

fn rank4(p: &Param) -> [usize; 4] {
    match *p.dims.as_slice() {
        [c] => [1, 1, 1, c],
        [o, i] => [o, 1, 1, i],
        [a, b, c, d] => [a, b, c, d],
        _ => [1, 1, 1, p.data.len()],
    }
}

/// Watches or replaces every float value and every parameter as a graph runs.
pub trait Tap {
    /// Called once for each float input and each float output of a node that runs.
    fn value(&mut self, _id: ValueId, tensor: Tensor<4>) -> Tensor<4> {
        tensor
    }

    /// Called for each parameter before its node runs; layout as in [`Weights`].
    fn param(&mut self, _node: NodeId, _id: ParamId, tensor: Tensor<4>) -> Tensor<4> {
        tensor
    }
}

/// A tap that changes nothing.
pub struct NoTap;

impl Tap for NoTap {}

/// Whether batch statistics and dropout are active.
pub enum Mode<'a> {
    /// Running statistics, no dropout.
    Evaluate,
    /// Batch statistics; dropout masks from this generator.
    Train(&'a mut Pcg64),
}

/// Batch statistics of one batch normalisation.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// The node.
    pub node: NodeId,
    /// Mean per channel, `[c]`.
    pub mean: Tensor<1>,
    /// Variance per channel, `[c]`, biased.
    pub variance: Tensor<1>,
}

/// What a run gives back.
#[derive(Clone, Debug)]
pub struct Run {
    /// The wanted values, NHWC, in the order asked for.
    pub values: Vec<Data>,
    /// Batch statistics, in node order; empty when evaluating.
    pub statistics: Vec<Statistics>,
}

impl Run {
    /// The only wanted value, which is float.
    ///
    /// # Panics
    /// Where it is not.
    pub fn float(&self) -> Tensor<4> {
        self.values[0].float()
    }

    /// The only wanted value, which is integer.
    ///
    /// # Panics
    /// Where it is not.
    pub fn int(&self) -> Tensor<4, Int> {
        self.values[0].int()
    }
}

/// Why a graph cannot run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExecError {
    /// Another number of inputs than the graph has.
    #[error("graph `{graph}` has {expected} input(s) but {found} were given")]
    InputCount {
        /// Name of the graph.
        graph: String,
        /// Inputs of the graph.
        expected: usize,
        /// Inputs given.
        found: usize,
    },
    /// An input of another shape.
    #[error("input `{input}` is {expected:?} (N free) but {found:?} was given")]
    InputShape {
        /// Name of the input.
        input: String,
        /// NHWC of the samples given.
        expected: [usize; 4],
        /// NHWC given.
        found: [usize; 4],
    },
}

/// Runs the nodes that `want` depends on. `inputs` are NHWC with any `n`.
///
/// # Errors
/// Inputs that do not fit the graph.
pub fn run(
    graph: &Graph,
    weights: &Weights,
    inputs: &[Tensor<4>],
    want: &[ValueId],
    mode: Mode<'_>,
    tap: &mut dyn Tap,
) -> Result<Run, ExecError> {
    run_counted(graph, weights, inputs, &[], want, mode, tap)
}

/// [`run`] with the counts of bounded dimensions that no input has: without one, such a dimension has its bound. What
/// inputs have decides otherwise, and may exceed the bound, so that several graphs can run as one.
///
/// # Errors
/// Inputs that do not fit the graph or each other.
pub fn run_counted(
    graph: &Graph,
    weights: &Weights,
    inputs: &[Tensor<4>],
    counts: &[(DimId, usize)],
    want: &[ValueId],
    mode: Mode<'_>,
    tap: &mut dyn Tap,
) -> Result<Run, ExecError> {
    let Size { batch, counts } = size(graph, inputs, counts)?;
    if batch > 1 && !graph.is_batchable() {
        return one_by_one(graph, weights, inputs, want, mode, tap, batch);
    }
    run_batch(graph, weights, inputs, want, mode, tap, &Size { batch, counts })
}

/// Samples of a run, and the size of each bounded dimension.
struct Size {
    batch: usize,
    counts: Vec<usize>,
}

/// What `inputs` say of the size of the run; they must fit the graph.
fn size(graph: &Graph, inputs: &[Tensor<4>], given: &[(DimId, usize)]) -> Result<Size, ExecError> {
    if inputs.len() != graph.inputs.len() {
        return Err(ExecError::InputCount {
            graph: graph.name.clone(),
            expected: graph.inputs.len(),
            found: inputs.len(),
        });
    }
    let mut batch = None;
    let mut counts: Vec<Option<usize>> = vec![None; graph.dims.len()];
    given.iter().for_each(|&(dim, count)| counts[dim.0] = Some(count));
    for (id, tensor) in graph.inputs.iter().zip(inputs) {
        let s = graph.shape(*id);
        let found = tensor.dims();
        let samples = *batch.get_or_insert(found[0] / s.n as usize);
        let w = match graph.value(*id).rows {
            Some(dim) => *counts[dim.0].get_or_insert(found[2]),
            None => s.w as usize,
        };
        let expected = [samples * s.n as usize, s.h as usize, w, s.c as usize];
        if found != expected {
            return Err(ExecError::InputShape { input: graph.value(*id).name.clone(), expected, found });
        }
    }
    let counts = counts.into_iter().zip(&graph.dims).map(|(c, dim)| c.unwrap_or(dim.max as usize)).collect();
    Ok(Size { batch: batch.unwrap_or(1), counts })
}

/// Runs a graph that cannot take several samples at once on each of them, and stacks the results along N.
/// Batch statistics are those of the last sample.
fn one_by_one(
    graph: &Graph,
    weights: &Weights,
    inputs: &[Tensor<4>],
    want: &[ValueId],
    mut mode: Mode<'_>,
    tap: &mut dyn Tap,
    batch: usize,
) -> Result<Run, ExecError> {
    let mut runs = Vec::with_capacity(batch);
    for i in 0..batch {
        let sample: Vec<Tensor<4>> = inputs
            .iter()
            .zip(&graph.inputs)
            .map(|(t, id)| {
                let n = graph.shape(*id).n as usize;
                t.clone().narrow(0, i * n, n)
            })
            .collect();
        let mode = match &mut mode {
            Mode::Evaluate => Mode::Evaluate,
            Mode::Train(rng) => Mode::Train(rng),
        };
        let size = size(graph, &sample, &[])?;
        runs.push(run_batch(graph, weights, &sample, want, mode, tap, &size)?);
    }
    let stack = |w: usize| match &runs[0].values[w] {
        Data::Float(_) => Data::Float(Tensor::cat(runs.iter().map(|r| r.values[w].float()).collect(), 0)),
        Data::Int(_) => Data::Int(Tensor::cat(runs.iter().map(|r| r.values[w].int()).collect(), 0)),
    };
    let values = (0..want.len()).map(stack).collect();
    let statistics = runs.pop().map(|r| r.statistics).unwrap_or_default();
    Ok(Run { values, statistics })
}

fn run_batch(
    graph: &Graph,
    weights: &Weights,
    inputs: &[Tensor<4>],
    want: &[ValueId],
    mode: Mode<'_>,
    tap: &mut dyn Tap,
    run: &Size,
) -> Result<Run, ExecError> {
    let (needed, mut uses) = needed(graph, want);
    let mut values: Vec<Option<Data>> = vec![None; graph.values.len()];
    for (id, tensor) in graph.inputs.iter().zip(inputs) {
        let cnhw = tensor.clone().permute([3, 0, 1, 2]);
        values[id.0] = Some(match graph.value(*id).dtype {
            DType::Float => Data::Float(tap.value(*id, cnhw)),
            DType::Label | DType::Index | DType::Int | DType::Rows => Data::Int(cnhw.int()),
        });
    }
    // A run of its own begins with empty persistent tensors.
    for state in graph.states.iter().filter(|s| uses[s.read.0] > 0) {
        let s = graph.shape(state.read);
        let size = [s.c as usize, s.n as usize * run.batch, s.h as usize, s.w as usize];
        let device = weights.device().or_else(|| inputs.first().map(Tensor::device)).unwrap_or_default();
        values[state.read.0] = Some(Data::Float(tap.value(state.read, Tensor::zeros(size, &device))));
    }
    let mut idle = Pcg64::new(0, 0);
    let (training, rng) = match mode {
        Mode::Evaluate => (false, &mut idle),
        Mode::Train(rng) => (true, rng),
    };
    let counts = run.counts.clone();
    let mut context = Context { training, batch: run.batch, counts, rng, statistics: None };
    let mut statistics = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate().filter(|(i, _)| needed[*i]) {
        let id = NodeId(index);
        let read: Vec<Data> = node
            .inputs
            .iter()
            .map(|v| {
                uses[v.0] -= 1;
                let slot = &mut values[v.0];
                let value = if uses[v.0] == 0 { slot.take() } else { slot.clone() };
                value.expect("nodes are in topological order")
            })
            .collect();
        let params: Vec<Tensor<4>> =
            node.params.iter().map(|p| tap.param(id, *p, weights.tensor(*p))).collect();
        let written = node.op.operator().forward(&mut context, &read, &params);
        if let Some((mean, variance)) = context.statistics.take() {
            statistics.push(Statistics { node: id, mean, variance });
        }
        for (v, data) in node.outputs.iter().zip(written) {
            let data = match data {
                Data::Float(t) => Data::Float(tap.value(*v, t)),
                other => other,
            };
            if uses[v.0] > 0 {
                values[v.0] = Some(data);
            }
        }
    }
    let values = want
        .iter()
        .map(|v| match values[v.0].clone().expect("wanted values are kept") {
            Data::Float(t) => Data::Float(t.permute([1, 2, 3, 0])),
            Data::Int(t) => Data::Int(t.permute([1, 2, 3, 0])),
        })
        .collect();
    Ok(Run { values, statistics })
}

/// Which nodes `want` depends on, and how often each value is read by them; a wanted value counts as one read.
fn needed(graph: &Graph, want: &[ValueId]) -> (Vec<bool>, Vec<usize>) {
    let mut uses = vec![0usize; graph.values.len()];
    for v in want {
        uses[v.0] += 1;
    }
    let mut needed = vec![false; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|o| uses[o.0] > 0) {
            needed[i] = true;
            for v in &node.inputs {
                uses[v.0] += 1;
            }
        }
    }
    (needed, uses)
}
