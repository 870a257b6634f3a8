//! Table lookup: any unary function of an int8 value.

use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::{Blob, DType};
use crate::isa::{Isa, Source};
use serde::{Deserialize, Serialize};

/// `output = table[input + 128]`, elementwise; rows may be bounded. The host fills the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lut {
    /// 256 entries of i8, for inputs -128 to 127.
    pub table: Blob,
}

impl Operator for Lut {
    const IN_PLACE: bool = true;

    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.table]
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I8)?;
        cx.constant(self.table, 256)?;
        cx.expect(0, DType::I8, input.shape).map(|_| ())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let table = bytemuck::cast_slice(io.operands.constant(self.table, 256).ok()?).first_chunk()?;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x = bytemuck::cast_slice(views.inputs[0]);
        let source = if views.in_place { Source::InPlace } else { Source::From(x) };
        I::lookup(table, source, bytemuck::cast_slice_mut(y));
        Some(())
    }
}
