//! A value that is a parameter.

use super::{Context, Data, Init, OpError, Operator, ParamSpec};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// Takes no input and gives its only parameter, `[n, h, w, c]`: a bias that is an operand of its own, a mask,
/// a position embedding. In the file it lies in the data section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    /// Its shape.
    pub shape: Shape,
}

impl Operator for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        if inputs.is_empty() {
            Ok(vec![self.shape])
        } else {
            Err(OpError::InputCount { expected: "0", found: inputs.len() })
        }
    }

    fn params(&self, _inputs: &[Shape]) -> Vec<ParamSpec> {
        let s = self.shape;
        vec![ParamSpec {
            name: "value",
            dims: [s.n, s.h, s.w, s.c].map(|d| d as usize).to_vec(),
            init: Init::Zeros,
            trainable: true,
        }]
    }

    fn forward(&self, ctx: &mut Context<'_>, _inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data> {
        let value = params[0].clone().permute([3, 0, 1, 2]);
        let value = if ctx.batch > 1 { value.repeat_dim(1, ctx.batch) } else { value };
        vec![Data::Float(value)]
    }
}
