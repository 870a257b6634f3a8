//! Classification and segmentation of pictures by cross entropy, as a task.

use super::super::task::{Feed, Score, Share, Task};
use super::super::{Recipe, Targets, cross_entropy};
use super::step::generator;
use crate::data::{Split, augment};
use crate::eval;
use crate::exec::{ExecError, Tap, Weights};
use crate::graph::{Graph, InputScaling, ValueId};
use burn::tensor::Tensor;

/// Pictures with labels.
pub(super) struct Pictures<'a> {
    pub(super) data: &'a Split,
    pub(super) class_weights: Vec<f32>,
}

impl Task for Pictures<'_> {
    type Targets = Targets;

    fn examples(&self) -> usize {
        self.data.train.len()
    }

    fn share(&self, graph: &Graph, recipe: &Recipe, epoch: usize, indices: &[usize]) -> Share<Targets> {
        let set = &self.data.train;
        let s = set.shape;
        let unit = InputScaling::unit(s.c as usize);
        let scaling = graph.meta.input.as_ref().unwrap_or(&unit);
        let mut values = Vec::with_capacity(indices.len() * s.elements());
        let mut labels = Vec::with_capacity(indices.len() * set.label_shape.elements());
        for &index in indices {
            let mut rng = generator(recipe.seed, epoch, index);
            augment::augmented(set, index, &recipe.augment, scaling, &mut rng, &mut values, &mut labels);
        }
        let targets = Targets::new(&labels, &self.class_weights, set.ignore);
        let dims = [indices.len(), s.h as usize, s.w as usize, s.c as usize];
        let weight = targets.total();
        Share { inputs: vec![Feed { values, dims }], counts: Vec::new(), targets, weight }
    }

    fn wanted(&self, graph: &Graph) -> Vec<ValueId> {
        vec![graph.logits()]
    }

    fn loss(&self, values: &[Tensor<4>], targets: &Targets, total: f64, recipe: &Recipe) -> Tensor<1> {
        cross_entropy(values[0].clone(), targets, total, recipe.label_smoothing)
    }

    fn evaluate(
        &self,
        graph: &Graph,
        weights: &Weights,
        threads: usize,
        tap: &(dyn Fn() -> Box<dyn Tap> + Sync),
    ) -> Result<Option<Score>, ExecError> {
        let confusion = eval::evaluate(graph, weights, &self.data.val, threads, tap)?;
        let (accuracy, mean_iou) = (confusion.accuracy(), confusion.mean_iou());
        let (name, value) =
            if self.data.val.is_segmentation() { ("mIoU", mean_iou) } else { ("accuracy", accuracy) };
        Ok(Some(Score {
            name,
            value,
            smaller_is_better: false,
            accuracy: Some(accuracy),
            mean_iou: Some(mean_iou),
        }))
    }
}
