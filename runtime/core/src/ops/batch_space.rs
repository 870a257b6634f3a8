//! Blocks of pixels to samples and back: how a dilated convolution is written with an undilated one.

use super::walk::{fill, rearrange, strides};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::isa::Isa;
use crate::shape::{Pad, Shape};
use serde::{Deserialize, Serialize};

/// Blocks of pixels to samples: the input is padded with its zero point, and the pixel at row `r` and column `c` of
/// each block of sample `n` goes to sample `(r · block[1] + c) · samples + n`.
///
/// Any type; input and output have the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SpaceToBatch {
    /// Rows and columns of a block, at least 1; they divide the padded rows and columns.
    pub block: [u16; 2],
    /// Padding before.
    pub pad: Pad,
}

/// The inverse of [`SpaceToBatch`]: blocks are put together, then rows and columns are cut off.
///
/// Any type; input and output have the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BatchToSpace {
    /// Rows and columns of a block, at least 1; their product divides the samples.
    pub block: [u16; 2],
    /// Rows and columns that are cut off.
    pub crop: Pad,
}

/// Where `space` lies before it is cut into blocks of samples: the shape of the samples.
fn cut(space: Shape, block: [u16; 2], pad: Pad) -> Option<Shape> {
    let [rows, columns] = block.map(u32::from);
    let h = space.h.checked_add(u32::from(pad.top) + u32::from(pad.bottom))?;
    let w = space.w.checked_add(u32::from(pad.left) + u32::from(pad.right))?;
    if rows == 0 || columns == 0 || !h.is_multiple_of(rows) || !w.is_multiple_of(columns) {
        return None;
    }
    Some(Shape { n: space.n.checked_mul(rows * columns)?, h: h / rows, w: w / columns, c: space.c })
}

impl Operator for SpaceToBatch {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.input(0);
        let out = cut(input.shape, self.block, self.pad).ok_or(NodeFault::InputShape(input.shape))?;
        cx.expect(0, input.dtype, out)?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let output = io.operands.output(0);
        let [rows, columns] = self.block.map(usize::from);
        let steps = strides(&out);
        let row_len = input.c as usize * output.dtype.size() as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        fill(y, output.dtype, output.quant.zero_point);
        let (h, w) = (input.h as usize, input.w as usize);
        for (pixel, x) in views.inputs[0].chunks_exact(row_len).enumerate() {
            let n = pixel.checked_div(h * w)?;
            let row = pixel.checked_div(w)?.checked_rem(h)? + usize::from(self.pad.top);
            let column = pixel.checked_rem(w)? + usize::from(self.pad.left);
            let sample =
                (row.checked_rem(rows)? * columns + column.checked_rem(columns)?) * input.n as usize + n;
            let at = sample * steps[0]
                + row.checked_div(rows)? * steps[1]
                + column.checked_div(columns)? * steps[2];
            let start = at * output.dtype.size() as usize;
            y.get_mut(start..start + row_len)?.copy_from_slice(x);
        }
        Some(())
    }
}

impl Operator for BatchToSpace {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let (input, out) = (cx.input(0), cx.output(0).shape);
        if cut(out, self.block, self.crop) != Some(input.shape) {
            return Err(NodeFault::InputShape(input.shape));
        }
        cx.expect(0, input.dtype, out)?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let size = io.operands.output(0).dtype.size() as usize;
        let [rows, columns] = self.block.map(usize::from);
        let steps = strides(&input);
        let samples = out.n as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let split = |at: usize, by: usize| Some((at.checked_div(by)?, at.checked_rem(by)?));
        rearrange(views.inputs[0], y, &out, size, out.c as usize, |axis, at| {
            let (block, before, across) = match axis {
                1 => (rows, self.crop.top, columns),
                2 => (columns, self.crop.left, 1),
                _ => return at * steps[axis],
            };
            let (outer, inner) = split(at + usize::from(before), block).unwrap_or((0, 0));
            outer * steps[axis] + inner * across * samples * steps[0]
        })
    }
}
