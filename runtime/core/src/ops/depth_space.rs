//! Blocks of pixels to channels and back.

use super::walk::{rearrange, strides};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::isa::Isa;
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// How the channels of a pixel hold the pixels of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BlockOrder {
    /// Row of the block, column, channel (TensorFlow; `DCR` of ONNX).
    ChannelInnermost,
    /// Channel, row of the block, column (`CRD` of ONNX: pixel shuffle).
    ChannelOutermost,
}

/// Channels to blocks of pixels: input `[n, h, w, c · block²]`, output `[n, h · block, w · block, c]`.
///
/// Any type; input and output have the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DepthToSpace {
    /// Rows and columns of a block, at least 1.
    pub block: u16,
    /// How the channels hold a block.
    pub order: BlockOrder,
}

/// Blocks of pixels to channels: input `[n, h · block, w · block, c]`, output `[n, h, w, c · block²]`, the channels in
/// the order of [`BlockOrder::ChannelInnermost`].
///
/// Any type; input and output have the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SpaceToDepth {
    /// Rows and columns of a block, at least 1.
    pub block: u16,
}

/// The shape of `deep` with its channels spread over blocks of pixels.
fn spread(deep: Shape, block: u16) -> Option<Shape> {
    let block = u32::from(block);
    let area = block.checked_mul(block).filter(|&area| area > 0)?;
    if !deep.c.is_multiple_of(area) {
        return None;
    }
    Some(Shape { n: deep.n, h: deep.h.checked_mul(block)?, w: deep.w.checked_mul(block)?, c: deep.c / area })
}

impl Operator for DepthToSpace {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.input(0);
        let out = spread(input.shape, self.block).ok_or(NodeFault::InputShape(input.shape))?;
        cx.expect(0, input.dtype, out)?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let size = io.operands.output(0).dtype.size() as usize;
        let (steps, block, c) = (strides(&input), usize::from(self.block), out.c as usize);
        // Channels between neighbours in a column of the block, in a row of it, and between output channels.
        let (down, along, channel) = match self.order {
            BlockOrder::ChannelInnermost => (block * c, c, 1),
            BlockOrder::ChannelOutermost => (block, 1, block * block),
        };
        let run = if channel == 1 { c } else { 1 };
        let split = |at: usize| Some((at.checked_div(block)?, at.checked_rem(block)?));
        let views = io.views()?;
        let [y, _] = views.outputs;
        rearrange(views.inputs[0], y, &out, size, run, |axis, at| {
            let (outer, inner) = split(at).unwrap_or((0, 0));
            match axis {
                0 => at * steps[0],
                1 => outer * steps[1] + inner * down,
                2 => outer * steps[2] + inner * along,
                _ => at * channel,
            }
        })
    }
}

impl Operator for SpaceToDepth {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let (input, out) = (cx.input(0), cx.output(0).shape);
        if spread(out, self.block) != Some(input.shape) {
            return Err(NodeFault::InputShape(input.shape));
        }
        cx.expect(0, input.dtype, out)?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let size = io.operands.output(0).dtype.size() as usize;
        let (steps, block, c) = (strides(&input), usize::from(self.block), input.c as usize);
        let views = io.views()?;
        let [y, _] = views.outputs;
        rearrange(views.inputs[0], y, &out, size, c, |axis, at| match axis {
            0 => at * steps[0],
            1 | 2 => at * block * steps[axis],
            _ => {
                // A run of channels is one pixel of the block.
                let pixel = at.checked_div(c).unwrap_or(0);
                let (row, column) =
                    (pixel.checked_div(block).unwrap_or(0), pixel.checked_rem(block).unwrap_or(0));
                row * steps[1] + column * steps[2]
            }
        })
    }
}
