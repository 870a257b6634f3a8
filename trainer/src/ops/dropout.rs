//! Dropout (Srivastava et al. 2014).

use super::{Context, Data, OpError, Operator, one};
use burn::tensor::{Tensor, TensorData};
use dunlin::shape::Shape;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// While training, sets each element to 0 with probability `p` and scales the rest by `1 / (1 − p)`; else the
/// input unchanged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// Probability, in `0.0 .. 1.0`.
    pub p: f32,
}

impl Operator for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        if !(0.0..1.0).contains(&self.p) {
            return Err(OpError::Attribute(format!("probability {} is outside of 0 .. 1", self.p)));
        }
        Ok(vec![one(inputs)?])
    }

    fn forward(&self, ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        if !ctx.training || self.p == 0.0 {
            return vec![Data::Float(x)];
        }
        let dims = x.dims();
        let keep = 1.0 / (1.0 - self.p);
        let mask: Vec<f32> = (0..dims.iter().product())
            .map(|_| if ctx.rng.random::<f32>() < self.p { 0.0 } else { keep })
            .collect();
        let mask = Tensor::<4>::from_data(TensorData::new(mask, dims), &x.device());
        vec![Data::Float(x * mask)]
    }
}
