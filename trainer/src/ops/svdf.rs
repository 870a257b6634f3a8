//! Singular value decomposition filter.

use super::lstm::sequence;
use super::{Activation, Context, DType, Data, Init, OpError, Operator, ParamSpec};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// Layer whose filters look back in time (Nakkiran et al., 2015), over sequences `[n, 1, w, i]` (time on W).
///
/// Each of `f = units · rank` filters projects a step to one number and weighs the last `memory` of them; a unit sums
/// `rank` filters. Inputs: the sequence; optionally the numbers before it, `[n, 1, f, memory]`, newest last, else zero.
/// Outputs: `[n, 1, w, units]`, the numbers after the last step, and those of every step `[n, 1, w, f]`, which
/// calibration observes and int8 programs do not have.
///
/// Parameters: `weight` `[f, i]`, `time` `[f, memory]`, `bias` `[units]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Svdf {
    /// Number of outputs.
    pub units: u32,
    /// Filters of a unit.
    pub rank: u32,
    /// Steps that a filter sees, the newest included.
    pub memory: u32,
    /// Activation applied to the output. An imported integer layer has none: the reference ignores it.
    pub fused: Activation,
}

impl Svdf {
    fn filters(&self) -> u32 {
        self.units.saturating_mul(self.rank)
    }
}

impl Operator for Svdf {
    fn name(&self) -> &'static str {
        "svdf"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let state = Shape::new(1, 1, self.filters(), self.memory);
        if state.checked_elements().is_none() {
            return Err(OpError::Attribute(format!("units, rank and memory give a state of {state}")));
        }
        let x = sequence(inputs, &[state])?;
        Ok(vec![x.with_c(self.units), Shape { n: x.n, ..state }, x.with_c(self.filters())])
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let (i, f, m) = (inputs[0].c as usize, self.filters() as usize, self.memory as usize);
        let matrix = |name, columns: usize| ParamSpec {
            name,
            dims: vec![f, columns],
            init: Init::HeNormal { fan_in: columns },
            trainable: true,
        };
        let dims = vec![self.units as usize];
        let bias = ParamSpec { name: "bias", dims, init: Init::Zeros, trainable: true };
        vec![matrix("weight", i), matrix("time", m), bias]
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        let x = inputs[0];
        x.pixels() as u64 * u64::from(self.filters()) * (u64::from(x.c) + u64::from(self.memory))
    }

    fn output_types(&self) -> Vec<DType> {
        vec![DType::Float; 3]
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let [i, n, _, steps] = x.dims();
        let (u, f, m) = (self.units as usize, self.filters() as usize, self.memory as usize);
        let weight = params[0].clone().reshape([f, i]);
        let projected = weight.matmul(x.clone().reshape([i, n * steps])).reshape([f, n, 1, steps]);
        // [memory, n, f], oldest first, and then the new numbers.
        let past = match inputs.get(1) {
            Some(state) => state.float().reshape([m, n, f]),
            None => Tensor::zeros([m, n, f], &x.device()),
        };
        let new = projected.clone().reshape([f, n, steps]).permute([2, 1, 0]);
        let line: Tensor<3> = Tensor::cat(vec![past, new], 0);
        let time = params[1].clone().reshape([f, m]).transpose().reshape([m, 1, f]);
        let bias = params[2].clone().reshape([u, 1, 1, 1]);
        let step = |t: usize| {
            let seen = line.clone().narrow(0, t + 1, m) * time.clone();
            let sums = seen.sum_dim(0).reshape([n, u, f / u]).sum_dim(2);
            sums.reshape([n, u]).transpose().reshape([u, n, 1, 1])
        };
        let y = Tensor::cat((0..steps).map(step).collect(), 3) + bias;
        let state = line.narrow(0, steps, m).reshape([m, n, 1, f]);
        vec![Data::Float(self.fused.apply(y)), Data::Float(state), Data::Float(projected)]
    }
}
