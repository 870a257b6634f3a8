//! Zero padding as an operator of its own.

use super::conv2d::pad_hw;
use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::{Pad, Shape};
use serde::{Deserialize, Serialize};

/// Surrounds height and width with the real value 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PadOp {
    /// Rows and columns to add.
    pub pad: Pad,
}

impl Operator for PadOp {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        let h = x.h.checked_add(u32::from(self.pad.top) + u32::from(self.pad.bottom));
        let w = x.w.checked_add(u32::from(self.pad.left) + u32::from(self.pad.right));
        match (h, w) {
            (Some(h), Some(w)) => Ok(vec![x.with_hw(h, w)]),
            _ => Err(OpError::Attribute("the padded size exceeds 32 bits".into())),
        }
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![Data::Float(pad_hw(inputs[0].float(), self.pad, 0.0))]
    }
}
