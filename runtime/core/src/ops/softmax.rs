//! Softmax over channels.

use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::fixed::EXP_ENTRIES;
use crate::format::{Blob, DType};
use crate::isa::Isa;
use serde::{Deserialize, Serialize};

/// Softmax of every pixel or row over its channels, int8, TensorFlow Lite semantics.
///
/// Any shape with at most 4,096 channels; the output has scale 1/256 and zero point -128. Rows may be
/// bounded. The exponentials are a table made on the host (`fixed::softmax_table`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Softmax {
    /// 256 entries of i32: the Q0.31 exponential of minus each difference; entry 0 is the largest i32.
    pub exp: Blob,
}

/// The table of exponentials, checked: the sum of so many as there are channels stays in [1, 4096], because the
/// largest input has the first entry, which is one, and none is larger.
pub(super) fn exp_table<'a>(cx: &Operands<'a>, exp: Blob) -> Result<&'a [i32], NodeFault> {
    let bytes = cx.constant(exp, 4 * EXP_ENTRIES as u64)?;
    let table: &[i32] = bytemuck::try_cast_slice(bytes)
        .map_err(|_| NodeFault::Constant { offset: exp.0, len: bytes.len() as u32 })?;
    if table[0] != i32::MAX {
        return Err(NodeFault::Index { at: 0, found: table[0] as u32 });
    }
    match table.iter().position(|&e| e < 0) {
        Some(at) => Err(NodeFault::Index { at: at as u32, found: table[at] as u32 }),
        None => Ok(table),
    }
}

impl Operator for Softmax {
    const IN_PLACE: bool = false;

    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.exp]
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I8)?;
        if input.shape.c > 4096 {
            return Err(NodeFault::InputShape(input.shape));
        }
        let output = cx.expect(0, DType::I8, input.shape)?;
        if output.quant.scale != 1.0 / 256.0 || output.quant.zero_point != -128 {
            return Err(NodeFault::Quantisation(cx.outputs[0]));
        }
        exp_table(cx, self.exp).map(|_| ())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let exp = exp_table(&io.operands, self.exp).ok()?;
        let c = io.input_shape(0).c as usize;
        let views = io.views()?;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let [y, _] = views.outputs;
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        x.chunks_exact(c).zip(y.chunks_exact_mut(c)).for_each(|(x, y)| I::softmax(exp, x, y));
        Some(())
    }
}
