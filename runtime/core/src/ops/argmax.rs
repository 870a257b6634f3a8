//! Index of the largest channel.

use super::wide::words;
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, argmax};
use serde::{Deserialize, Serialize};

/// Index of the largest channel of every pixel or row, the first of equals.
///
/// Input i8 or i16 `[n, h, w, c]` with at most 256 channels, output u8 `[n, h, w, 1]`; rows may be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArgMax {}

impl Operator for ArgMax {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let wide = cx.input(0).dtype == DType::I16;
        let input = cx.typed(0, if wide { DType::I16 } else { DType::I8 })?;
        if input.shape.c > 256 {
            return Err(NodeFault::InputShape(input.shape));
        }
        cx.expect(0, DType::U8, input.shape.with_c(1)).map(|_| ())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let c = io.input_shape(0).c as usize;
        let wide = io.operands.input(0).dtype == DType::I16;
        let views = io.views()?;
        let [y, _] = views.outputs;
        if wide {
            let rows = words(views.inputs[0])?.chunks_exact(c);
            rows.zip(y).for_each(|(row, label)| *label = argmax(row) as u8);
        } else {
            let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
            x.chunks_exact(c).zip(y).for_each(|(row, label)| *label = argmax(row) as u8);
        }
        Some(())
    }
}
