//! Logarithm of the softmax, and division by the norm, over the channels.

use super::{Context, Data, OpError, Operator, one};
use burn::tensor::{Tensor, activation};
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// `x − log Σ exp(x)` over the channels of every pixel or row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogSoftmax;

/// Every pixel or row over the Euclidean norm of its channels, which counts as at least 1e-6.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct L2Normalize;

/// Square of the smallest norm (TensorFlow Lite's epsilon).
const SMALLEST_SQUARE: f32 = 1e-12;

impl Operator for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![Data::Float(activation::log_softmax(inputs[0].float(), 0))]
    }
}

impl Operator for L2Normalize {
    fn name(&self) -> &'static str {
        "l2_normalize"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let norm = (x.clone() * x.clone()).sum_dim(0).clamp_min(SMALLEST_SQUARE).sqrt();
        vec![Data::Float(x / norm)]
    }
}
