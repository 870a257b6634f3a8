//! Change of shape without change of order.

use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// The same elements in the same NHWC order under another shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// The new shape, of one sample.
    pub shape: Shape,
}

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        if x.checked_elements() != self.shape.checked_elements() {
            return Err(OpError::Shape { what: "reshape", expected: self.shape, found: x });
        }
        Ok(vec![self.shape])
    }

    fn mixes_samples(&self, inputs: &[Shape]) -> bool {
        inputs.iter().any(|x| x.n != self.shape.n)
    }

    fn any_type(&self) -> bool {
        true
    }

    fn forward(&self, ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let s = self.shape;
        let size = [s.n as usize * ctx.batch, s.h as usize, s.w as usize, s.c as usize];
        vec![match &inputs[0] {
            Data::Float(x) => {
                Data::Float(x.clone().permute([1, 2, 3, 0]).reshape(size).permute([3, 0, 1, 2]))
            }
            Data::Int(x) => Data::Int(x.clone().permute([1, 2, 3, 0]).reshape(size).permute([3, 0, 1, 2])),
        }]
    }
}
