//! Concatenation along one axis.

use super::{Io, Operands, Operator};
use crate::arena::Region;
use crate::error::NodeFault;
use crate::format::{Place, Tensor};
use crate::isa::Isa;
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// Axis of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Axis {
    /// Samples.
    N,
    /// Height.
    H,
    /// Width.
    W,
    /// Channels.
    C,
}

impl Axis {
    /// Its place among the axes, 0 to 3.
    pub const fn index(self) -> usize {
        match self {
            Self::N => 0,
            Self::H => 1,
            Self::W => 2,
            Self::C => 3,
        }
    }
}

/// Concatenation of one to 255 tensors of one type, scale and zero point.
///
/// All sizes but that of `axis` are equal. Rows may be bounded when joining channels. Where `axis` is the first of more
/// than one element, an input may stand where the output has it, and is then not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Concat {
    /// Axis along which the inputs are joined.
    pub axis: Axis,
}

impl Concat {
    fn size(&self, s: &Shape) -> u32 {
        match self.axis {
            Axis::N => s.n,
            Axis::H => s.h,
            Axis::W => s.w,
            Axis::C => s.c,
        }
    }

    fn resized(&self, s: Shape, size: u32) -> Shape {
        match self.axis {
            Axis::N => Shape { n: size, ..s },
            Axis::H => Shape { h: size, ..s },
            Axis::W => Shape { w: size, ..s },
            Axis::C => Shape { c: size, ..s },
        }
    }

    /// Elements of one contiguous run: everything from `axis` inwards.
    fn run_len(&self, s: &Shape) -> usize {
        let outer = match self.axis {
            Axis::N => 1,
            Axis::H => s.n as usize,
            Axis::W => s.n as usize * s.h as usize,
            Axis::C => s.pixels(),
        };
        s.elements().checked_div(outer).unwrap_or(0)
    }
}

impl Concat {
    /// Offset in the output, in bytes, at which input `index` may stand before it is joined; `None` where the output does
    /// not hold it in one piece. `inputs` are the tensors of the node.
    pub fn offset<'a>(&self, inputs: impl Iterator<Item = &'a Tensor>, index: usize) -> Option<u32> {
        let mut offset = 0;
        for (i, input) in inputs.enumerate() {
            if self.run_len(&input.shape) != input.shape.elements() || input.rows.is_some() {
                return None;
            }
            if i == index {
                return Some(offset);
            }
            // A sum of sizes of tensors that fit one output.
            offset += input.bytes();
        }
        None
    }
}

impl Operator for Concat {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        if cx.inputs.is_empty() {
            return Err(NodeFault::Inputs { found: 0, expected: 1 });
        }
        cx.arity(cx.inputs.len() as u8, 1)?;
        let first = cx.input(0);
        let mut total = 0u32;
        for i in 0..cx.inputs.len() {
            let input = cx.typed(i, first.dtype)?;
            if self.resized(input.shape, 1) != self.resized(first.shape, 1) {
                return Err(NodeFault::InputShape(input.shape));
            }
            if input.rows != first.rows || (input.rows.is_some() && self.axis != Axis::C) {
                return Err(NodeFault::Rows(cx.inputs[i]));
            }
            cx.same_quantisation(i)?;
            total = total.checked_add(self.size(&input.shape)).ok_or(NodeFault::Attribute)?;
        }
        cx.rows_follow()?;
        cx.expect(0, first.dtype, self.resized(first.shape, total)).map(|_| ())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let size = io.operands.output(0).dtype.size() as usize;
        let out_run = self.run_len(&io.output_shape(0)) * size;
        let mut start = 0;
        for i in 0..io.operands.inputs.len() {
            let run = self.run_len(&io.input_shape(i)) * size;
            let stands = match (io.input_region(i).place, io.output_region(0).place) {
                (Place::Arena(input), Place::Arena(output)) => input as usize == output as usize + start,
                _ => false,
            };
            if stands && run == io.input_region(i).len {
                start += run;
                continue;
            }
            let views = io.views_of([io.input_region(i), Region::EMPTY])?;
            let [y, _] = views.outputs;
            if run > 0 {
                for (out, x) in y.chunks_exact_mut(out_run).zip(views.inputs[0].chunks_exact(run)) {
                    out.get_mut(start..start + run)?.copy_from_slice(x);
                }
            }
            start += run;
        }
        Some(())
    }
}
