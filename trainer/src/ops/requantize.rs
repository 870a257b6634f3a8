//! Change of type or scale.

use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::quant::QParams;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// How a change of scale between two int8 values is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequantizeRule {
    /// In fixed point, as TensorFlow Lite's `QUANTIZE`.
    #[default]
    Integer,
    /// In f32, as the uint8 `CONCATENATION` of LiteRT's reference: `round(q · scale + bias)`.
    Float,
}

/// Hands its input on; in the integer program the value gets another element type, scale and zero point
/// (TensorFlow Lite `QUANTIZE` and `DEQUANTIZE`, ONNX `QuantizeLinear` and `DequantizeLinear`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requantize {
    /// Rounding between two int8 values.
    #[serde(default)]
    pub rule: RequantizeRule,
}

/// The integers of the input, read with another scale and zero point. TensorFlow Lite's operators that move values
/// copy integers whatever the scales; where those differ, this says what it means for the real numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reinterpret {
    /// Scale and zero point of the input.
    pub from: QParams,
    /// Scale and zero point of the output.
    pub to: QParams,
}

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

impl Operator for Reinterpret {
    fn name(&self) -> &'static str {
        "reinterpret"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        // s' · (x / s + z − z')
        let ratio = self.to.scale / self.from.scale;
        let offset = self.to.scale * f32::from(self.from.zero_point - self.to.zero_point);
        vec![Data::Float(inputs[0].float().mul_scalar(ratio).add_scalar(offset))]
    }
}
