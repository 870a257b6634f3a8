//! Where int8 loses: the runtime's tensors against the float executor's, value by value.

use super::{Plan, PlanOptions};
use crate::exec::{self, ExecError, Mode, NoTap, Tensor, Weights};
use crate::graph::{Graph, ValueId};
use crate::ops::{self, Data};
use crate::quantise::{Int8Runner, LowerOptions, QuantiseError, Ranges, RunnerError, lower};
use dunlin::format::{DType, EncodeError, Place};

/// Error of one value in int8.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueError {
    /// Name of the value.
    pub name: String,
    /// Signal to noise in decibels: mean square of the float value over that of the difference. Infinite where
    /// there is no difference.
    pub snr: f64,
    /// Largest difference, in steps of the value's scale.
    pub steps: f64,
}

/// Why a comparison cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The graph cannot be quantised.
    #[error(transparent)]
    Quantise(#[from] QuantiseError),
    /// The program cannot be written.
    #[error("{0}")]
    Encode(EncodeError),
    /// The program cannot be run.
    #[error(transparent)]
    Run(#[from] RunnerError),
    /// The float graph cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// Runs both on one sample (one NHWC tensor per input, `n = 1`; bounded rows as many as there are) and compares every float value, in the order in
/// which the network computes them. The int8 program is planned without reuse, so that nothing is overwritten.
///
/// # Errors
/// A graph that cannot be quantised, inputs that do not fit.
pub fn compare(
    graph: &Graph,
    weights: &Weights,
    ranges: &Ranges,
    sample: &[Tensor<4>],
) -> Result<Vec<ValueError>, CompareError> {
    let program = lower(graph, ranges, LowerOptions { fuse_argmax: false, ..LowerOptions::default() })?;
    let options = PlanOptions { reuse: false, fuse: false, reorder: false, ..PlanOptions::default() };
    let plan = Plan::new(program, &options);
    let file = plan.encode().map_err(CompareError::Encode)?;
    let mut runner = Int8Runner::new(file.as_slice())?;
    let inputs: Vec<Vec<f32>> = sample.iter().map(|t| floats(t.clone())).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    runner.run_counted(&counts(graph, sample), &inputs)?;
    let is_float = |v: &ValueId| graph.value(*v).dtype == ops::DType::Float;
    let want: Vec<ValueId> = graph.nodes.iter().flat_map(|n| &n.outputs).copied().filter(is_float).collect();
    let run = exec::run(graph, weights, sample, &want, Mode::Evaluate, &mut NoTap)?;
    let mut errors = Vec::new();
    for (value, data) in want.iter().zip(run.values) {
        let (Some(id), Data::Float(tensor)) = (plan.graph().tensor_of(*value), data) else { continue };
        let info = &plan.graph().tensors[usize::from(id)];
        let Place::Arena(offset) = plan.place(id) else { continue };
        let bytes = &runner.arena()[offset as usize..][..info.bytes() as usize];
        let real: Vec<f64> = match info.dtype {
            DType::I8 => bytes.iter().map(|&q| f64::from(info.quant.dequantize(q as i8))).collect(),
            DType::I16 => {
                let step =
                    |b: &[u8]| f64::from(info.quant.scale) * f64::from(i16::from_le_bytes([b[0], b[1]]));
                bytes.chunks_exact(2).map(step).collect()
            }
            _ => continue,
        };
        let (mut signal, mut noise, mut largest) = (0.0f64, 0.0f64, 0.0f64);
        for (q, x) in real.iter().zip(floats(tensor)) {
            let difference = f64::from(x) - q;
            signal += f64::from(x) * f64::from(x);
            noise += difference * difference;
            largest = largest.max(difference.abs());
        }
        let snr = if noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() };
        let steps = largest / f64::from(info.quant.scale);
        errors.push(ValueError { name: graph.value(*value).name.clone(), snr, steps });
    }
    Ok(errors)
}

/// The size of each bounded dimension: rows of an input, else its bound.
fn counts(graph: &Graph, sample: &[Tensor<4>]) -> Vec<u32> {
    let mut counts: Vec<u32> = graph.dims.iter().map(|dim| dim.max).collect();
    for (id, tensor) in graph.inputs.iter().zip(sample) {
        if let Some(dim) = graph.value(*id).rows {
            counts[dim.0] = tensor.dims()[2] as u32;
        }
    }
    counts
}

fn floats(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("activations are f32")
}
