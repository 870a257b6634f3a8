//! Blocks of pixels to channels and back.

use super::axes::{either, from_nhwc, to_nhwc};
use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::ops::BlockOrder;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// Channels to blocks of pixels: `[n, h, w, c · block²]` to `[n, h · block, w · block, c]`. Any element type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DepthToSpace {
    /// Rows and columns of a block.
    pub block: u16,
    /// How the channels hold a block.
    pub order: BlockOrder,
}

/// Blocks of pixels to channels: `[n, h · block, w · block, c]` to `[n, h, w, c · block²]`, the channels in the order
/// row of the block, column, channel. Any element type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpaceToDepth {
    /// Rows and columns of a block.
    pub block: u16,
}

impl Operator for DepthToSpace {
    fn name(&self) -> &'static str {
        "depth_to_space"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let (x, block) = (one(inputs)?, u32::from(self.block));
        match (x.h.checked_mul(block), x.w.checked_mul(block)) {
            (Some(h), Some(w)) if block > 0 && x.c.is_multiple_of(block * block) => {
                Ok(vec![Shape { n: x.n, h, w, c: x.c / (block * block) }])
            }
            _ => Err(OpError::Attribute(format!("blocks of {block} do not fit the channels of input {x}"))),
        }
    }

    fn any_type(&self) -> bool {
        true
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let block = usize::from(self.block);
        vec![either!(inputs[0].clone(), |x| {
            let [deep, n, h, w] = x.dims();
            let c = deep / (block * block);
            let x = to_nhwc(x);
            // To n, h, row of the block, w, column of the block, c.
            let blocks = match self.order {
                BlockOrder::ChannelInnermost => {
                    x.reshape([n, h, w, block, block, c]).permute([0, 1, 3, 2, 4, 5])
                }
                BlockOrder::ChannelOutermost => {
                    x.reshape([n, h, w, c, block, block]).permute([0, 1, 4, 2, 5, 3])
                }
            };
            from_nhwc(blocks.reshape([n, h * block, w * block, c]))
        })]
    }
}

impl Operator for SpaceToDepth {
    fn name(&self) -> &'static str {
        "space_to_depth"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let (x, block) = (one(inputs)?, u32::from(self.block));
        match x.c.checked_mul(block * block) {
            Some(c) if block > 0 && x.h.is_multiple_of(block) && x.w.is_multiple_of(block) => {
                Ok(vec![Shape { n: x.n, h: x.h / block, w: x.w / block, c }])
            }
            _ => Err(OpError::Attribute(format!("input {x} cannot be cut into blocks of {block}"))),
        }
    }

    fn any_type(&self) -> bool {
        true
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let block = usize::from(self.block);
        vec![either!(inputs[0].clone(), |x| {
            let [c, n, h, w] = x.dims();
            let (h, w) = (h / block, w / block);
            let blocks = to_nhwc(x).reshape([n, h, block, w, block, c]).permute([0, 1, 3, 2, 4, 5]);
            from_nhwc(blocks.reshape([n, h, w, block * block * c]))
        })]
    }
}
