//! Element-wise sum.

use super::{Activation, Context, Data, OpError, Operator, elementwise};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// `act(a + b)`; `b` has the shape of `a` or is one value per channel, `n,1,1,c`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Add {
    /// Activation applied to the output.
    pub fused: Activation,
}

impl Operator for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        elementwise(inputs)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![Data::Float(self.fused.apply(inputs[0].float() + inputs[1].float()))]
    }
}
