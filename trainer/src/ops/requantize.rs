//! Change of type or scale.

use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// Hands its input on; in the integer program the value gets another element type, scale and zero point
/// (TensorFlow Lite `QUANTIZE` and `DEQUANTIZE`, ONNX `QuantizeLinear` and `DequantizeLinear`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requantize;

impl Operator for Requantize {
    fn name(&self) -> &'static str {
        "requantize"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![inputs[0].clone()]
    }
}
