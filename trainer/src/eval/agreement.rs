//! An int8 model against the float graph that it was made of, on samples without labels.

use crate::exec::{self, Device, ExecError, Mode, NoTap, Tensor, TensorData, Weights};
use crate::graph::Graph;
use crate::ops::Data;
use crate::ops::largest;
use crate::quantise::{Int8Runner, RunnerError};

/// How far two models agree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreement {
    /// Samples compared.
    pub samples: usize,
    /// Pixels or samples (rows of the first output) compared.
    pub rows: usize,
    /// Rows whose largest channel is the same; all rows where there is one channel.
    pub same: usize,
    signal: f64,
    noise: f64,
}

/// Why models cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum AgreementError {
    /// The float graph cannot run.
    #[error(transparent)]
    Float(#[from] ExecError),
    /// The int8 model cannot run.
    #[error(transparent)]
    Int8(#[from] RunnerError),
}

impl Agreement {
    /// Part of the rows with the same largest channel.
    pub fn top1(&self) -> f64 {
        self.same as f64 / self.rows.max(1) as f64
    }

    /// Signal to noise of the first output over all samples, in decibels; infinite where there is no difference.
    pub fn snr(&self) -> f64 {
        if self.noise == 0.0 { f64::INFINITY } else { 10.0 * (self.signal / self.noise).log10() }
    }

    fn add(&mut self, float: &[f32], int8: &[f32], channels: usize) {
        self.samples += 1;
        for (f, q) in float.chunks_exact(channels).zip(int8.chunks_exact(channels)) {
            self.rows += 1;
            self.same += usize::from(largest(f) == largest(q));
            for (f, q) in f.iter().zip(q) {
                self.signal += f64::from(*f).powi(2);
                self.noise += (f64::from(*f) - f64::from(*q)).powi(2);
            }
        }
    }
}

/// Runs the float graph and the `.dun` file on each sample: real values of every input, NHWC.
///
/// # Errors
/// Samples that do not fit, a file that the runtime refuses.
pub fn compare(graph: &Graph, file: &[u8], samples: &[Vec<Vec<f32>>]) -> Result<Agreement, AgreementError> {
    let weights = Weights::from_graph(graph, &Device::flex());
    let mut runner = Int8Runner::new(file)?;
    let mut agreement = Agreement::default();
    for sample in samples {
        let float = float(graph, &weights, sample)?.into_iter().next().unwrap_or_default();
        let inputs: Vec<&[f32]> = sample.iter().map(Vec::as_slice).collect();
        let int8 = runner.run_real(&inputs)?;
        let channels = graph.shape(graph.outputs[0]).c.max(1) as usize;
        agreement.add(&float, &int8.first().map(|o| o.real()).unwrap_or_default(), channels);
    }
    Ok(agreement)
}

/// All outputs of the float graph for one sample; labels as numbers.
///
/// # Errors
/// A sample that does not fit.
pub fn float(graph: &Graph, weights: &Weights, sample: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, ExecError> {
    let inputs = tensors(graph, sample);
    let run = exec::run(graph, weights, &inputs, &graph.outputs, Mode::Evaluate, &mut NoTap)?;
    let flat = |data: &Data| match data {
        Data::Float(t) => t.clone().into_data().try_into_vec().expect("activations are f32"),
        Data::Int(t) => t.clone().float().into_data().try_into_vec().expect("labels became f32"),
    };
    Ok(run.values.iter().map(flat).collect())
}

/// The inputs of one sample as tensors of the graph's shapes.
pub fn tensors(graph: &Graph, sample: &[Vec<f32>]) -> Vec<Tensor<4>> {
    let tensor = |(id, values): (&crate::graph::ValueId, &Vec<f32>)| {
        let s = graph.shape(*id);
        let dims = [s.n, s.h, s.w, s.c].map(|d| d as usize);
        Tensor::from_data(TensorData::new(values.clone(), dims), &Device::flex())
    };
    graph.inputs.iter().zip(sample).map(tensor).collect()
}
