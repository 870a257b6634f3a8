//! A box cut out of a tensor.

use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::isa::Isa;
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// The elements from `begin` on, as many on each axis as the output has (crop, slice).
///
/// Any type; input and output have the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slice {
    /// First element on each axis, NHWC.
    pub begin: [u32; 4],
}

/// Calls `row(start in small, start in large, length)` for every row of channels of a box of shape `small`
/// that lies at `at` inside a tensor of shape `large`; starts and lengths in elements.
pub(super) fn for_each_row(
    small: &Shape,
    large: &Shape,
    at: [usize; 4],
    mut row: impl FnMut(usize, usize, usize) -> Option<()>,
) -> Option<()> {
    let c = small.c as usize;
    for pixel in 0..small.pixels() {
        let (w, h) = (small.w as usize, small.h as usize);
        let (n, y, x) = (pixel / (h * w) + at[0], pixel / w % h + at[1], pixel % w + at[2]);
        let target = (n * large.h as usize + y) * large.w as usize + x;
        row(pixel * c, target * large.c as usize + at[3], c)?;
    }
    Some(())
}

impl Operator for Slice {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.input(0);
        let (s, o) = (input.shape, cx.output(0).shape);
        let ends = [(o.n, s.n), (o.h, s.h), (o.w, s.w), (o.c, s.c)];
        for ((size, limit), begin) in ends.into_iter().zip(self.begin) {
            if begin.checked_add(size).is_none_or(|end| end > limit) {
                return Err(NodeFault::InputShape(s));
            }
        }
        cx.expect(0, input.dtype, o)?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let size = io.operands.output(0).dtype.size() as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let begin = self.begin.map(|b| b as usize);
        for_each_row(&out_shape, &shape, begin, |small, large, len| {
            let x = views.inputs[0].get(large * size..(large + len) * size)?;
            y.get_mut(small * size..(small + len) * size)?.copy_from_slice(x);
            Some(())
        })
    }
}
