//! Every so many elements of a tensor, forwards or backwards.

use super::walk::{rearrange, sizes, strides};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::isa::Isa;
use serde::{Deserialize, Serialize};

/// On each axis the elements `begin`, `begin + step`, …, as many as the output has.
///
/// Any type; input and output have the same scale and zero point. Where every step is 1,
/// [`Slice`](super::Slice) does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StridedSlice {
    /// First element on each axis, NHWC.
    pub begin: [u32; 4],
    /// Distance to the next element on each axis; negative walks backwards, never 0.
    pub step: [i32; 4],
}

impl Operator for StridedSlice {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        if self.step.contains(&0) {
            return Err(NodeFault::Attribute);
        }
        let (input, out) = (cx.input(0), cx.output(0).shape);
        let (limits, counts) = (sizes(&input.shape), sizes(&out));
        for axis in 0..4 {
            let (first, limit) = (i64::from(self.begin[axis]), i64::from(limits[axis]));
            // Below 2^28 steps of below 2^31.
            let last = first + i64::from(self.step[axis]) * (i64::from(counts[axis]) - 1);
            if !(0..limit).contains(&first) || !(0..limit).contains(&last) {
                return Err(NodeFault::InputShape(input.shape));
            }
        }
        cx.expect(0, input.dtype, out)?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, out) = (io.input_shape(0), io.output_shape(0));
        let size = io.operands.output(0).dtype.size() as usize;
        let steps = strides(&input);
        let run = if self.step[3] == 1 { out.c as usize } else { 1 };
        let views = io.views()?;
        let [y, _] = views.outputs;
        rearrange(views.inputs[0], y, &out, size, run, |axis, at| {
            let index = i64::from(self.begin[axis]) + i64::from(self.step[axis]) * at as i64;
            index as usize * steps[axis]
        })
    }
}
