//! A network that learns: weights, update rule, forward passes on rows of observations.

use crate::exec::{self, ExecError, Mode, NoTap, Weights};
use crate::graph::{Graph, ParamId, ValueId};
use crate::train::{Optimiser, optimiser};
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device, Tensor, TensorData};

/// A graph with weights that gradients change.
pub struct Learner {
    graph: Graph,
    tracked: Weights,
    weights: Weights,
    rule: ModuleOptimizer,
    device: Device,
}

impl Learner {
    /// A learner that begins with the parameters in `graph`; `clip` bounds the norm of each parameter's gradient.
    pub fn new(graph: Graph, rule: &Optimiser, clip: Option<f32>) -> Self {
        let device = Device::flex().autodiff();
        let tracked = Weights::from_graph(&graph, &device);
        let rule = optimiser(rule, clip, &graph, &tracked);
        let weights = tracked.valid();
        Self { graph, tracked, weights, rule, device }
    }

    /// The graph; its parameters are those of the last [`Self::store`].
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The weights as they are now, for passes without a gradient.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Where gradients are recorded.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Writes the weights into the graph and returns it.
    pub fn store(&mut self) -> &Graph {
        self.weights.store(&mut self.graph);
        &self.graph
    }

    /// Values for rows of observations, with a gradient.
    ///
    /// # Errors
    /// Observations that do not fit the graph.
    pub fn forward(&self, observations: &[f32], want: &[ValueId]) -> Result<Vec<Tensor<4>>, ExecError> {
        pass(&self.graph, &self.tracked, observations, &[], want, &self.device)
    }

    /// Values for rows of observations, without a gradient.
    ///
    /// # Errors
    /// Observations that do not fit the graph.
    pub fn look(&self, observations: &[f32], want: &[ValueId]) -> Result<Vec<Vec<f32>>, ExecError> {
        look(&self.graph, &self.weights, observations, &[], want)
    }

    /// Goes one step down the gradient of `loss`.
    pub fn descend(&mut self, rate: f64, loss: &Tensor<1>) {
        let gradients = GradientsParams::from_grads(loss.clone().backward(), &self.tracked);
        self.apply(rate, gradients);
    }

    /// Goes one step down the gradient of `loss`, shortened to `norm` over all parameters together where it is longer.
    pub fn descend_within(&mut self, rate: f64, loss: &Tensor<1>, norm: f32) {
        let mut gradients = GradientsParams::from_grads(loss.clone().backward(), &self.tracked);
        let ids: Vec<_> = (0..self.graph.params.len()).map(|i| self.tracked.burn_id(ParamId(i))).collect();
        let squares = ids.iter().filter_map(|id| gradients.get::<4>(*id));
        let sum: f64 = squares.map(|g| f64::from((g.clone() * g).sum().into_scalar::<f32>())).sum();
        let length = sum.sqrt() as f32;
        if length > norm {
            for id in ids {
                if let Some(gradient) = gradients.remove::<4>(id) {
                    gradients.register(id, gradient * (norm / length));
                }
            }
        }
        self.apply(rate, gradients);
    }

    /// Goes one step down `gradients`.
    pub fn apply(&mut self, rate: f64, gradients: GradientsParams) {
        self.tracked = self.rule.step(rate, self.tracked.clone(), gradients);
        self.weights = self.tracked.valid();
    }

    /// The trained weights, which gradients refer to.
    pub fn tracked(&self) -> &Weights {
        &self.tracked
    }

    /// State of the update rule.
    ///
    /// # Errors
    /// A rule that cannot be written.
    pub fn rule_bytes(&self) -> Result<Vec<u8>, String> {
        Ok(self.rule.into_bytes().map_err(|e| e.to_string())?.to_vec())
    }

    /// Continues with the parameters of `graph` and a rule's state.
    ///
    /// # Errors
    /// A state of another rule.
    pub fn restore(&mut self, graph: &Graph, rule: Vec<u8>) -> Result<(), String> {
        self.graph.params.clone_from(&graph.params);
        self.tracked = Weights::from_graph(&self.graph, &self.device);
        self.weights = self.tracked.valid();
        self.rule = self.rule.clone().from_bytes(Bytes::from_bytes_vec(rule)).map_err(|e| e.to_string())?;
        Ok(())
    }
}

/// Values of `graph` for rows of observations; `memory` is the content of each persistent tensor, row after row, or empty: then
/// they are zero.
///
/// # Errors
/// Observations that do not fit the graph.
pub fn look(
    graph: &Graph,
    weights: &Weights,
    observations: &[f32],
    memory: &[Vec<f32>],
    want: &[ValueId],
) -> Result<Vec<Vec<f32>>, ExecError> {
    let values = pass(graph, weights, observations, memory, want, &Device::flex())?;
    Ok(values.into_iter().map(|t| t.into_data().try_into_vec().expect("values are f32")).collect())
}

fn pass(
    graph: &Graph,
    weights: &Weights,
    observations: &[f32],
    memory: &[Vec<f32>],
    want: &[ValueId],
    device: &Device,
) -> Result<Vec<Tensor<4>>, ExecError> {
    let mut given = vec![rows(graph, graph.inputs[0], observations, device)];
    let states = graph.states.iter().zip(memory);
    given.extend(states.map(|(state, content)| rows(graph, state.read, content, device)));
    let run = exec::run(graph, weights, &given, want, Mode::Evaluate, &mut NoTap)?;
    Ok(run.values.iter().map(crate::ops::Data::float).collect())
}

/// Rows of the size of a value.
pub(super) fn rows(graph: &Graph, value: ValueId, numbers: &[f32], device: &Device) -> Tensor<4> {
    let s = graph.shape(value);
    let rows = numbers.len() / s.elements();
    let dims = [rows * s.n as usize, s.h as usize, s.w as usize, s.c as usize];
    Tensor::from_data(TensorData::new(numbers.to_vec(), dims), device)
}
