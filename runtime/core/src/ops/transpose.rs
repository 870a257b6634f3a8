//! Axes in another order.

use super::walk::{rearrange, shape, sizes, strides};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::isa::Isa;
use serde::{Deserialize, Serialize};

/// The axes of a tensor in another order.
///
/// Any type; input and output have the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Transpose {
    /// Axis of the input (0 to 3, NHWC) that each axis of the output is; each once.
    pub perm: [u8; 4],
}

impl Operator for Transpose {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        if (0..4).any(|axis| !self.perm.contains(&axis)) {
            return Err(NodeFault::Attribute);
        }
        let input = cx.input(0);
        let from = sizes(&input.shape);
        cx.expect(0, input.dtype, shape(self.perm.map(|axis| from[usize::from(axis)])))?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let size = io.operands.output(0).dtype.size() as usize;
        let steps = strides(&input);
        let steps = self.perm.map(|axis| steps[usize::from(axis & 3)]);
        let run = if self.perm[3] == 3 { out.c as usize } else { 1 };
        let views = io.views()?;
        let [y, _] = views.outputs;
        rearrange(views.inputs[0], y, &out, size, run, |axis, at| at * steps[axis])
    }
}
