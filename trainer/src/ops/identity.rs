//! The input unchanged.

use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// Hands its input on; importers leave these behind and a pass removes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity;

impl Operator for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?])
    }

    fn any_type(&self) -> bool {
        true
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![inputs[0].clone()]
    }
}
