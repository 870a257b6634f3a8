//! Index of the largest channel.

use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, argmax};
use serde::{Deserialize, Serialize};

/// Index of the largest channel of every pixel or row, the first of equals.
///
/// Input int8 `[n, h, w, c]` with at most 256 channels, output u8 `[n, h, w, 1]`; rows may be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArgMax {}

impl Operator for ArgMax {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I8)?;
        if input.shape.c > 256 {
            return Err(NodeFault::InputShape(input.shape));
        }
        cx.expect(0, DType::U8, input.shape.with_c(1)).map(|_| ())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let c = io.input_shape(0).c as usize;
        let views = io.views()?;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let [y, _] = views.outputs;
        x.chunks_exact(c).zip(y).for_each(|(row, label)| *label = argmax(row) as u8);
        Some(())
    }
}
