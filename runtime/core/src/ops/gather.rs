//! Elements of an axis by their indices.

use super::walk::{rearrange, shape, sizes, strides};
use super::{Axis, Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::Isa;
use serde::{Deserialize, Serialize};

/// The elements of input 0 along an axis that the indices of input 1 name, in their order.
///
/// Input 0 of any type; input 1 i32 of any shape; the output has the shape of input 0 with as many elements along
/// the axis as there are indices, and the same scale and zero point. Indices in the data section are proved to be
/// inside; an index that the network computes is limited to the first and last element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gather {
    /// Axis of input 0.
    pub axis: Axis,
}

impl Operator for Gather {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(2, 1)?;
        cx.fixed_rows()?;
        let (input, indices) = (cx.input(0), cx.typed(1, DType::I32)?);
        let mut out = sizes(&input.shape);
        let limit = out[self.axis.index()];
        if let Some(bytes) = cx.constant_input(1) {
            for (at, index) in bytes.chunks_exact(4).enumerate() {
                let index = index.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes));
                if !u32::try_from(index).is_ok_and(|index| index < limit) {
                    return Err(NodeFault::Index { at: at as u32, found: index as u32 });
                }
            }
        }
        out[self.axis.index()] = indices.shape.elements() as u32;
        cx.expect(0, input.dtype, shape(out))?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let size = io.operands.output(0).dtype.size() as usize;
        let steps = strides(&input);
        let gathered = self.axis.index();
        let last = sizes(&input)[gathered] as i32 - 1;
        let run = if self.axis == Axis::C { 1 } else { out.c as usize };
        let views = io.views()?;
        let indices: &[i32] = bytemuck::try_cast_slice(views.inputs[1]).ok()?;
        let [y, _] = views.outputs;
        rearrange(views.inputs[0], y, &out, size, run, |axis, at| {
            let index = match axis == gathered {
                true => indices.get(at).map_or(0, |&index| index.clamp(0, last) as usize),
                false => at,
            };
            index * steps[axis]
        })
    }
}
