//! Padding with the mirror image of the tensor.

use super::walk::{rearrange, shape, sizes, strides};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::isa::Isa;
use serde::{Deserialize, Serialize};

/// Where the mirror stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mirror {
    /// On the outermost element, which is not repeated: `2 1 | 0 1 2 | 1 0`.
    Reflect,
    /// Outside of the outermost element, which is repeated: `1 0 | 0 1 2 | 2 1`.
    Symmetric,
}

/// Padding of a tensor on any axis with its mirror image.
///
/// Any type; input and output have the same scale and zero point. An edge is at most as wide as the tensor,
/// one less for [`Mirror::Reflect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MirrorPad {
    /// Elements before the tensor, NHWC.
    pub before: [u16; 4],
    /// Elements after the tensor, NHWC.
    pub after: [u16; 4],
    /// Where the mirror stands.
    pub mirror: Mirror,
}

impl MirrorPad {
    /// Whether the mirror stands on the outermost element: 1, else 0.
    const fn on_edge(&self) -> usize {
        match self.mirror {
            Mirror::Reflect => 1,
            Mirror::Symmetric => 0,
        }
    }
}

impl Operator for MirrorPad {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.input(0);
        let mut grown = sizes(&input.shape);
        for (axis, size) in grown.iter_mut().enumerate() {
            let (before, after) = (u32::from(self.before[axis]), u32::from(self.after[axis]));
            // A size is at least 1 and at most 2^28.
            let widest = *size - self.on_edge() as u32;
            if before > widest || after > widest {
                return Err(NodeFault::InputShape(input.shape));
            }
            *size += before + after;
        }
        cx.expect(0, input.dtype, shape(grown))?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let size = io.operands.output(0).dtype.size() as usize;
        let (limits, steps) = (sizes(&input), strides(&input));
        let run = if input.c == out.c { out.c as usize } else { 1 };
        let on_edge = self.on_edge();
        let views = io.views()?;
        let [y, _] = views.outputs;
        rearrange(views.inputs[0], y, &out, size, run, |axis, at| {
            let (before, limit) = (usize::from(self.before[axis]), limits[axis] as usize);
            let index = if at < before {
                before - at - 1 + on_edge
            } else if at - before < limit {
                at - before
            } else {
                2 * limit - 1 - on_edge - (at - before)
            };
            index * steps[axis]
        })
    }
}
