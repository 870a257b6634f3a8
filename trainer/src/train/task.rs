//! What a training learns from: examples, a loss, a figure of merit.

use super::Recipe;
use crate::exec::{Device, ExecError, Tap, Weights};
use crate::graph::{DimId, Graph, ValueId};
use burn::tensor::{Tensor, TensorData};

/// Numbers for one input of a graph, `[n, h, w, c]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// Elements, row-major.
    pub values: Vec<f32>,
    /// Sizes.
    pub dims: [usize; 4],
}

impl Feed {
    /// Rows of `c` features.
    pub fn rows(values: Vec<f32>, c: usize) -> Self {
        let rows = values.len() / c.max(1);
        Self { values, dims: [1, 1, rows, c] }
    }

    /// The numbers on a device.
    pub fn tensor(&self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.values.clone(), self.dims), device)
    }
}

/// A share of a batch: what the graph takes, and what it should give.
pub struct Share<T> {
    /// One for each input of the graph.
    pub inputs: Vec<Feed>,
    /// Counts of bounded dimensions that no input has.
    pub counts: Vec<(DimId, usize)>,
    /// What the outputs are compared with.
    pub targets: T,
    /// How much the share counts in the loss of its batch.
    pub weight: f64,
}

/// Quality on data that no gradient saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// What is measured.
    pub name: &'static str,
    /// The figure.
    pub value: f64,
    /// Whether smaller is better.
    pub smaller_is_better: bool,
    /// Part of the labels that are right, where there are labels.
    pub accuracy: Option<f64>,
    /// Mean intersection over union, where pixels have labels.
    pub mean_iou: Option<f64>,
}

impl Score {
    /// Whether this is better than `other`.
    pub fn beats(&self, other: f64) -> bool {
        if self.smaller_is_better { self.value < other } else { self.value > other }
    }
}

/// Something to learn.
pub trait Task: Sync {
    /// What outputs are compared with.
    type Targets: Send + Sync;

    /// Number of training examples.
    fn examples(&self) -> usize;

    /// The examples `indices` of an epoch, changed at random by generators of their own, so that neither threads nor the
    /// size of a share matters.
    fn share(&self, graph: &Graph, recipe: &Recipe, epoch: usize, indices: &[usize]) -> Share<Self::Targets>;

    /// The values that the loss needs.
    fn wanted(&self, graph: &Graph) -> Vec<ValueId>;

    /// Loss of a share, over the weight `total` of its batch.
    fn loss(&self, values: &[Tensor<4>], targets: &Self::Targets, total: f64, recipe: &Recipe) -> Tensor<1>;

    /// Quality on the held-out data; `tap` makes what watches each thread's forward passes. `None` where there is none:
    /// the last weights are then kept.
    ///
    /// # Errors
    /// Data that does not fit the graph.
    fn evaluate(
        &self,
        graph: &Graph,
        weights: &Weights,
        threads: usize,
        tap: &(dyn Fn() -> Box<dyn Tap> + Sync),
    ) -> Result<Option<Score>, ExecError>;

    /// Whether the best evaluation decides which weights are kept, rather than the last epoch.
    fn selects(&self) -> bool {
        true
    }
}
