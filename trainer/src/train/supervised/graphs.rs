//! Classes of nodes, classes of graphs and numbers of graphs, as a task.

use super::super::task::{Feed, Score, Share, Task};
use super::super::{Recipe, Targets, cross_entropy, squared_error};
use crate::data::graphs::{Answers, Fold, GraphSet};
use crate::eval::graphs::{self, Quality};
use crate::exec::{ExecError, Tap, Weights};
use crate::graph::{Graph, TargetScaling, ValueId};
use burn::tensor::Tensor;

/// Graphs with a split of what is learnt of them.
pub(super) struct Graphs<'a> {
    pub(super) set: &'a GraphSet,
    pub(super) fold: &'a Fold,
}

/// What outputs are compared with.
pub(super) enum Wanted {
    Classes(Targets),
    Numbers(Vec<f32>),
}

/// How the numbers of the training examples become targets of mean 0 and deviation 1.
pub(super) fn scaling(set: &GraphSet, fold: &Fold) -> Option<TargetScaling> {
    let Answers::Values { values, .. } = &set.answers else { return None };
    let count = fold.train.len().max(1) as f64;
    let of =
        |f: &dyn Fn(f64) -> f64| fold.train.iter().map(|&i| f(f64::from(values[i]))).sum::<f64>() / count;
    let mean = of(&|v| v);
    let std = of(&|v| (v - mean).powi(2)).sqrt().max(1e-6);
    Some(TargetScaling { mean: mean as f32, std: std as f32 })
}

impl Task for Graphs<'_> {
    type Targets = Wanted;

    /// The nodes of one graph are one example: its edges join those with labels and those without.
    fn examples(&self) -> usize {
        if matches!(self.set.answers, Answers::Nodes { .. }) { 1 } else { self.fold.train.len() }
    }

    fn share(&self, graph: &Graph, _: &Recipe, _: usize, indices: &[usize]) -> Share<Wanted> {
        let items: Vec<usize> = match self.set.answers {
            Answers::Nodes { .. } => self.fold.train.clone(),
            _ => indices.iter().map(|&i| self.fold.train[i]).collect(),
        };
        let union = self.set.union(&items);
        let targets = match &self.set.answers {
            Answers::Nodes { classes, labels } => {
                let mut masked = vec![u8::MAX; labels.len()];
                items.iter().for_each(|&i| masked[i] = labels[i]);
                Wanted::Classes(Targets::new(&masked, &vec![1.0; classes.len()], None))
            }
            Answers::Graphs { classes, labels } => {
                let labels: Vec<u8> = items.iter().map(|&i| labels[i]).collect();
                Wanted::Classes(Targets::new(&labels, &vec![1.0; classes.len()], None))
            }
            Answers::Values { values, .. } => {
                let scaling = graph.meta.target.unwrap_or(TargetScaling { mean: 0.0, std: 1.0 });
                Wanted::Numbers(items.iter().map(|&i| (values[i] - scaling.mean) / scaling.std).collect())
            }
        };
        let width = |id: &ValueId| graph.shape(*id).c as usize;
        let inputs = graphs::inputs(graph, &union);
        Share {
            inputs: inputs.into_iter().zip(&graph.inputs).map(|(v, id)| Feed::rows(v, width(id))).collect(),
            counts: graphs::counts(graph, &union),
            targets,
            weight: items.len() as f64,
        }
    }

    fn wanted(&self, graph: &Graph) -> Vec<ValueId> {
        vec![graph.logits()]
    }

    fn loss(&self, values: &[Tensor<4>], targets: &Wanted, total: f64, recipe: &Recipe) -> Tensor<1> {
        match targets {
            Wanted::Classes(t) => cross_entropy(values[0].clone(), t, total, recipe.label_smoothing),
            Wanted::Numbers(t) => squared_error(values[0].clone(), t, total),
        }
    }

    fn evaluate(
        &self,
        graph: &Graph,
        weights: &Weights,
        _: usize,
        tap: &(dyn Fn() -> Box<dyn Tap> + Sync),
    ) -> Result<Option<Score>, ExecError> {
        let items = if self.fold.validation.is_empty() { &self.fold.test } else { &self.fold.validation };
        let quality = graphs::float_with(graph, weights, self.set, items, &mut *tap())?;
        Ok(Some(Score {
            name: quality.metric(),
            value: quality.value(),
            smaller_is_better: matches!(quality, Quality::Numbers { .. }),
            accuracy: quality.accuracy(),
            mean_iou: None,
        }))
    }

    /// Nothing is chosen on what is tested: the last weights are kept.
    fn selects(&self) -> bool {
        false
    }
}
