//! How good models of graphs are, in float and in int8 alike.

use super::metrics::Confusion;
use crate::data::graphs::{Answers, GraphSet, Union};
use crate::exec::{self, Device, ExecError, Mode, NoTap, Tap, Tensor, TensorData, Weights};
use crate::graph::{DimId, Graph, TargetScaling};
use crate::ops::largest;
use crate::quantise::{Int8Runner, RunnerError};
use burn::module::Module;

/// Graphs in one forward pass of an evaluation.
const BATCH: usize = 64;

/// What a measurement gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Quality {
    /// Classes.
    Classes(Confusion),
    /// Numbers.
    Numbers {
        /// Root of the mean squared error.
        rmse: f64,
        /// Coefficient of determination: the part of the variance that the model explains.
        r2: f64,
    },
}

impl Quality {
    /// The outputs for `items`, a row each, against what they should be.
    fn of(set: &GraphSet, items: &[usize], rows: &[Vec<f32>], scaling: Option<TargetScaling>) -> Self {
        match &set.answers {
            Answers::Nodes { classes, labels } | Answers::Graphs { classes, labels } => {
                let mut confusion = Confusion::new(classes.len(), None);
                items.iter().zip(rows).for_each(|(&i, row)| confusion.add(labels[i], largest(row) as u8));
                Self::Classes(confusion)
            }
            Answers::Values { values, .. } => {
                let TargetScaling { mean, std } = scaling.unwrap_or(TargetScaling { mean: 0.0, std: 1.0 });
                let count = items.len().max(1) as f64;
                let truth: Vec<f64> = items.iter().map(|&i| f64::from(values[i])).collect();
                let middle = truth.iter().sum::<f64>() / count;
                let error = |(t, row): (&f64, &Vec<f32>)| (t - f64::from(row[0] * std + mean)).powi(2);
                let error: f64 = truth.iter().zip(rows).map(error).sum();
                let variance: f64 = truth.iter().map(|t| (t - middle).powi(2)).sum();
                Self::Numbers { rmse: (error / count).sqrt(), r2: 1.0 - error / variance.max(1e-12) }
            }
        }
    }

    /// Name of the figure that counts.
    pub fn metric(&self) -> &'static str {
        match self {
            Self::Classes(_) => "accuracy",
            Self::Numbers { .. } => "RMSE",
        }
    }

    /// The figure that counts.
    pub fn value(&self) -> f64 {
        match self {
            Self::Classes(confusion) => confusion.accuracy(),
            Self::Numbers { rmse, .. } => *rmse,
        }
    }

    /// Part of the classes that are right.
    pub fn accuracy(&self) -> Option<f64> {
        match self {
            Self::Classes(confusion) => Some(confusion.accuracy()),
            Self::Numbers { .. } => None,
        }
    }

    /// Coefficient of determination of numbers.
    pub fn r2(&self) -> Option<f64> {
        match self {
            Self::Classes(_) => None,
            Self::Numbers { r2, .. } => Some(*r2),
        }
    }
}

/// What each input of a network takes, by its name.
///
/// # Panics
/// For an input that [`Union::input`] does not know.
pub fn inputs(graph: &Graph, union: &Union) -> Vec<Vec<f32>> {
    let input = |id: &crate::graph::ValueId| {
        let name = &graph.value(*id).name;
        union.input(name).unwrap_or_else(|| panic!("`{}` has an unknown input `{name}`", graph.name))
    };
    graph.inputs.iter().map(input).collect()
}

/// The size of each bounded dimension of a network, by its name.
///
/// # Panics
/// For a dimension that [`Union::count`] does not know.
pub fn counts(graph: &Graph, union: &Union) -> Vec<(DimId, usize)> {
    let count = |(i, dim): (usize, &crate::graph::BoundedDim)| {
        let count = union.count(&dim.name);
        (
            DimId(i),
            count.unwrap_or_else(|| panic!("`{}` has an unknown dimension `{}`", graph.name, dim.name)),
        )
    };
    graph.dims.iter().enumerate().map(count).collect()
}

/// The inputs of a network as tensors.
pub fn tensors(graph: &Graph, union: &Union, device: &Device) -> Vec<Tensor<4>> {
    let tensor = |(values, id): (Vec<f32>, &crate::graph::ValueId)| {
        let c = graph.shape(*id).c as usize;
        let rows = values.len() / c.max(1);
        Tensor::from_data(TensorData::new(values, [1, 1, rows, c]), device)
    };
    inputs(graph, union).into_iter().zip(&graph.inputs).map(tensor).collect()
}

/// One graph at a time, with which scales are chosen: those that hold `items`.
pub fn calibration(graph: &Graph, set: &GraphSet, items: &[usize]) -> Vec<Vec<Tensor<4>>> {
    let device = Device::flex();
    match set.answers {
        Answers::Nodes { .. } => vec![tensors(graph, &set.union(items), &device)],
        _ => items.iter().map(|i| tensors(graph, &set.union(&[*i]), &device)).collect(),
    }
}

/// Quality of the float model on `items`.
///
/// # Errors
/// A set that does not fit the graph.
pub fn float(graph: &Graph, set: &GraphSet, items: &[usize]) -> Result<Quality, ExecError> {
    float_with(graph, &Weights::from_graph(graph, &Device::flex()), set, items, &mut NoTap)
}

/// [`float`] with these weights, watched by `tap`.
///
/// # Errors
/// A set that does not fit the graph.
pub fn float_with(
    graph: &Graph,
    weights: &Weights,
    set: &GraphSet,
    items: &[usize],
    tap: &mut dyn Tap,
) -> Result<Quality, ExecError> {
    let weights = weights.valid();
    let mut rows = Vec::with_capacity(items.len());
    let mut run = |part: &[usize]| -> Result<Vec<Vec<f32>>, ExecError> {
        let union = set.union(part);
        let inputs = tensors(graph, &union, &Device::flex());
        let want = [graph.logits()];
        let run =
            exec::run_counted(graph, &weights, &inputs, &counts(graph, &union), &want, Mode::Evaluate, tap)?;
        let output = run.float();
        let c = output.dims()[3];
        let values: Vec<f32> = output.into_data().try_into_vec().expect("activations are f32");
        Ok(values.chunks_exact(c).map(<[f32]>::to_vec).collect())
    };
    match set.answers {
        Answers::Nodes { .. } => {
            let all = run(items)?;
            rows.extend(items.iter().map(|&i| all[i].clone()));
        }
        _ => {
            for part in items.chunks(BATCH) {
                rows.extend(run(part)?);
            }
        }
    }
    Ok(Quality::of(set, items, &rows, graph.meta.target))
}

/// Quality of a `.dun` file on `items`, as the runtime runs it, one graph at a time. `graph` is the network that the file
/// was made of: it names the inputs.
///
/// # Errors
/// The runtime refuses the file or a graph beyond its bounds.
pub fn int8(graph: &Graph, file: &[u8], set: &GraphSet, items: &[usize]) -> Result<Quality, RunnerError> {
    let mut runner = Int8Runner::new(file)?;
    let mut run = |union: &Union| -> Result<Vec<Vec<f32>>, RunnerError> {
        let counts: Vec<u32> = counts(graph, union).iter().map(|(_, count)| *count as u32).collect();
        let inputs = inputs(graph, union);
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let output = runner.run_counted(&counts, &inputs)?.into_iter().next();
        let rows = |o: crate::quantise::Output| {
            o.real().chunks_exact(o.shape.c as usize).map(<[f32]>::to_vec).collect()
        };
        Ok(output.map(rows).unwrap_or_default())
    };
    let mut rows = Vec::with_capacity(items.len());
    match set.answers {
        Answers::Nodes { .. } => {
            let all = run(&set.union(items))?;
            rows.extend(items.iter().map(|&i| all[i].clone()));
        }
        _ => {
            for &i in items {
                rows.extend(run(&set.union(&[i]))?);
            }
        }
    }
    Ok(Quality::of(set, items, &rows, graph.meta.target))
}
