//! Blocks of pixels to samples and back.

use super::axes::{either, from_nhwc, to_nhwc};
use super::conv2d::pad_hw;
use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::{Pad, Shape};
use serde::{Deserialize, Serialize};

/// Pads with the real value 0, then moves the pixel at row `r` and column `c` of each block of sample `n` to sample
/// `(r · block[1] + c) · samples + n` (TensorFlow Lite `SPACE_TO_BATCH_ND`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpaceToBatch {
    /// Rows and columns of a block.
    pub block: [u16; 2],
    /// Padding before.
    pub pad: Pad,
}

/// The inverse of [`SpaceToBatch`]: puts blocks together, then cuts rows and columns off. Any element type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchToSpace {
    /// Rows and columns of a block.
    pub block: [u16; 2],
    /// Rows and columns that are cut off.
    pub crop: Pad,
}

impl Operator for SpaceToBatch {
    fn name(&self) -> &'static str {
        "space_to_batch"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        let [rows, columns] = self.block.map(u32::from);
        let h = x.h.checked_add(u32::from(self.pad.top) + u32::from(self.pad.bottom));
        let w = x.w.checked_add(u32::from(self.pad.left) + u32::from(self.pad.right));
        match (h, w, x.n.checked_mul(rows * columns)) {
            (Some(h), Some(w), Some(n)) if n > 0 && h.is_multiple_of(rows) && w.is_multiple_of(columns) => {
                Ok(vec![Shape { n, h: h / rows, w: w / columns, c: x.c }])
            }
            _ => Err(OpError::Attribute(format!(
                "padded input {x} cannot be cut into blocks {rows}x{columns}"
            ))),
        }
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        true
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let [rows, columns] = self.block.map(usize::from);
        let x = pad_hw(inputs[0].float(), self.pad, 0.0);
        let [c, n, h, w] = x.dims();
        let (h, w) = (h / rows, w / columns);
        let blocks = to_nhwc(x).reshape([n, h, rows, w, columns, c]).permute([2, 4, 0, 1, 3, 5]);
        vec![Data::Float(from_nhwc(blocks.reshape([rows * columns * n, h, w, c])))]
    }
}

impl Operator for BatchToSpace {
    fn name(&self) -> &'static str {
        "batch_to_space"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        let [rows, columns] = self.block.map(u32::from);
        let cut = |size: u32, block: u32, before: u16, after: u16| {
            size.checked_mul(block)?
                .checked_sub(u32::from(before) + u32::from(after))
                .filter(|&left| left > 0)
        };
        let h = cut(x.h, rows, self.crop.top, self.crop.bottom);
        let w = cut(x.w, columns, self.crop.left, self.crop.right);
        match (h, w) {
            (Some(h), Some(w)) if x.n.is_multiple_of(rows * columns) => {
                Ok(vec![Shape { n: x.n / (rows * columns), h, w, c: x.c }])
            }
            _ => Err(OpError::Attribute(format!(
                "input {x} cannot be joined from blocks {rows}x{columns} and cropped"
            ))),
        }
    }

    fn any_type(&self) -> bool {
        true
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        true
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let [rows, columns] = self.block.map(usize::from);
        let [top, bottom, left, right] =
            [self.crop.top, self.crop.bottom, self.crop.left, self.crop.right].map(usize::from);
        vec![either!(inputs[0].clone(), |x| {
            let [c, samples, h, w] = x.dims();
            let n = samples / (rows * columns);
            let blocks = to_nhwc(x).reshape([rows, columns, n, h, w, c]).permute([2, 3, 0, 4, 1, 5]);
            let (h, w) = (h * rows, w * columns);
            let whole = from_nhwc(blocks.reshape([n, h, w, c]));
            whole.narrow(2, top, h - top - bottom).narrow(3, left, w - left - right)
        })]
    }
}
