//! Element-wise minimum and maximum, and the square of a difference.

use super::{Context, Data, OpError, Operator, broadcast};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// The larger or the smaller of two; each size of an operand is that of the other or 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MinMax {
    /// The larger, else the smaller.
    pub largest: bool,
}

/// `(a − b)²`; shapes as in [`MinMax`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SquaredDifference;

/// Both operands at the size of their output.
fn expanded(a: Tensor<4>, b: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let (a_dims, b_dims) = (a.dims(), b.dims());
    let dims: [usize; 4] = std::array::from_fn(|i| a_dims[i].max(b_dims[i]));
    (a.expand(dims), b.expand(dims))
}

impl Operator for MinMax {
    fn name(&self) -> &'static str {
        if self.largest { "maximum" } else { "minimum" }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        broadcast(inputs)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let (a, b) = expanded(inputs[0].float(), inputs[1].float());
        vec![Data::Float(if self.largest { a.max_pair(b) } else { a.min_pair(b) })]
    }
}

impl Operator for SquaredDifference {
    fn name(&self) -> &'static str {
        "squared_difference"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        broadcast(inputs)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let difference = inputs[0].float() - inputs[1].float();
        vec![Data::Float(difference.clone() * difference)]
    }
}
