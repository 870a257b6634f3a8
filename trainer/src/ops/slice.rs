//! Crop.

use super::{Context, Data, OpError, Operator, one};
use burn::tensor::{Tensor, s};
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// A box of the input: `size` elements from `begin` on, over height, width and channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// First row, column and channel.
    pub begin: [u32; 3],
    /// Rows, columns and channels.
    pub size: [u32; 3],
}

impl Operator for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        for (axis, whole) in [x.h, x.w, x.c].into_iter().enumerate() {
            let (begin, size) = (self.begin[axis], self.size[axis]);
            if size == 0 || begin.checked_add(size).is_none_or(|end| end > whole) {
                return Err(OpError::Attribute(format!(
                    "slice of {size} from {begin} on leaves axis {} of input {x}",
                    ["h", "w", "c"][axis]
                )));
            }
        }
        Ok(vec![Shape { n: x.n, h: self.size[0], w: self.size[1], c: self.size[2] }])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let [y, x, c] = self.begin.map(|v| v as usize);
        let [h, w, d] = self.size.map(|v| v as usize);
        vec![Data::Float(inputs[0].float().slice(s![c..c + d, .., y..y + h, x..x + w]))]
    }
}
