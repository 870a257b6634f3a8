//! Padding with a constant.

use super::walk::fill;
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::isa::Isa;
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// Padding of a tensor of any type on any axis; input and output have the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pad {
    /// Elements before the tensor, NHWC.
    pub before: [u16; 4],
    /// Elements after the tensor, NHWC.
    pub after: [u16; 4],
    /// Value of the padding, a number of the tensor's type (of u8, the same byte); the zero point for real zero.
    pub value: i8,
}

impl Operator for Pad {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.input(0);
        let s = input.shape;
        let grown = |size: u32, axis: usize| {
            size.checked_add(u32::from(self.before[axis]) + u32::from(self.after[axis]))
                .ok_or(NodeFault::Attribute)
        };
        let shape = Shape::new(grown(s.n, 0)?, grown(s.h, 1)?, grown(s.w, 2)?, grown(s.c, 3)?);
        cx.expect(0, input.dtype, shape)?;
        cx.same_quantisation(0)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let dtype = io.operands.output(0).dtype;
        let size = dtype.size() as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        fill(y, dtype, i16::from(self.value));
        let before = self.before.map(usize::from);
        super::slice::for_each_row(&shape, &out_shape, before, |small, large, len| {
            let x = views.inputs[0].get(small * size..(small + len) * size)?;
            y.get_mut(large * size..(large + len) * size)?.copy_from_slice(x);
            Some(())
        })
    }
}
