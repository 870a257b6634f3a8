//! Element-wise product and quotient.

use super::{Activation, Context, Data, OpError, Operator, broadcast};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// `act(a · b)`; each size of an operand is that of the other or 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mul {
    /// Activation applied to the output.
    pub fused: Activation,
}

/// `act(a / b)`; shapes as in [`Mul`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Div {
    /// Activation applied to the output.
    pub fused: Activation,
}

impl Operator for Mul {
    fn name(&self) -> &'static str {
        "mul"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        broadcast(inputs)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![Data::Float(self.fused.apply(inputs[0].float() * inputs[1].float()))]
    }
}

impl Operator for Div {
    fn name(&self) -> &'static str {
        "div"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        broadcast(inputs)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![Data::Float(self.fused.apply(inputs[0].float() / inputs[1].float()))]
    }
}
