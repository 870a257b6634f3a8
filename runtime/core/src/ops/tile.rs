//! A tensor repeated along its axes.

use super::walk::{rearrange, sizes, strides};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::isa::Isa;
use serde::{Deserialize, Serialize};

/// A tensor repeated along its axes until it fills the output; from a size of 1 that is a broadcast.
///
/// Any type; each size of the output is a multiple of that of the input; both have the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tile {}

impl Operator for Tile {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let (input, out) = (cx.input(0), cx.output(0).shape);
        if sizes(&out).iter().zip(sizes(&input.shape)).any(|(out, size)| !out.is_multiple_of(size)) {
            return Err(NodeFault::InputShape(input.shape));
        }
        cx.expect(0, input.dtype, out)?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let size = io.operands.output(0).dtype.size() as usize;
        let (limits, steps) = (sizes(&input).map(|size| size as usize), strides(&input));
        let views = io.views()?;
        let [y, _] = views.outputs;
        rearrange(views.inputs[0], y, &out, size, limits[3], |axis, at| {
            at.checked_rem(limits[axis]).unwrap_or(0) * steps[axis]
        })
    }
}
