//! Softmax over the channels.

use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// `exp(beta · x) / Σ exp(beta · x)` over the channels of every pixel or row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Softmax {
    /// Inverse temperature.
    pub beta: f32,
}

impl Operator for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float().mul_scalar(self.beta);
        vec![Data::Float(burn::tensor::activation::softmax(x, 0))]
    }
}
