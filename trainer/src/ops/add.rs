//! Element-wise sum and difference.

use super::{Activation, Context, Data, OpError, Operator, broadcast};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// `act(a + b)`; each size of an operand is that of the other or 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Add {
    /// Activation applied to the output.
    pub fused: Activation,
}

/// `act(a − b)`; shapes as in [`Add`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sub {
    /// Activation applied to the output.
    pub fused: Activation,
}

impl Operator for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        broadcast(inputs)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![Data::Float(self.fused.apply(inputs[0].float() + inputs[1].float()))]
    }
}

impl Operator for Sub {
    fn name(&self) -> &'static str {
        "sub"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        broadcast(inputs)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![Data::Float(self.fused.apply(inputs[0].float() - inputs[1].float()))]
    }
}
