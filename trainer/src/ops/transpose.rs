//! Axes in another order.

use super::axes::{axis, dim, either, shape, sizes};
use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// The axes of a value of any element type in another order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transpose {
    /// Axis of the input (0 to 3, NHWC) that each axis of the output is; each once.
    pub perm: [usize; 4],
}

impl Operator for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = sizes(one(inputs)?);
        if (0..4).any(|axis| !self.perm.contains(&axis)) {
            return Err(OpError::Attribute(format!("{:?} does not have each axis once", self.perm)));
        }
        Ok(vec![shape(self.perm.map(|axis| x[axis]))])
    }

    fn any_type(&self) -> bool {
        true
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        self.perm[0] != 0
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let order = [0, 1, 2, 3].map(|d| dim(self.perm[axis(d)]));
        vec![either!(inputs[0].clone(), |x| x.permute(order))]
    }
}
