//! Index of the largest channel.

use super::{Context, DType, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// Position of the largest value, the first where several are equal.
pub fn largest<T: PartialOrd>(values: &[T]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// For every pixel or row the channel with the largest value, u8, the first where several are equal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArgMax;

impl Operator for ArgMax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        if x.c > 256 {
            return Err(OpError::Attribute(format!("labels are u8: {} channels are more than 256", x.c)));
        }
        Ok(vec![x.with_c(1)])
    }

    fn output_types(&self) -> Vec<DType> {
        vec![DType::Label]
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![Data::Int(inputs[0].float().inner().argmax(0))]
    }
}
