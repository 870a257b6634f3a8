//! Index of the largest or smallest element along an axis.

use super::walk::{shape, sizes};
use super::{Axis, Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::Isa;
use bytemuck::Pod;
use serde::{Deserialize, Serialize};

/// Index of the largest or smallest element along an axis, the first of equals.
///
/// Input i8, u8 or i16 of any shape, output i32 with size 1 on the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArgExtreme {
    /// Axis along which is searched.
    pub axis: Axis,
    /// The largest element, else the smallest.
    pub largest: bool,
}

impl ArgExtreme {
    fn search<T: Pod + Ord>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let sizes = sizes(&io.input_shape(0)).map(|size| size as usize);
        let axis = self.axis.index();
        let len = sizes[axis];
        let inner: usize = sizes[axis + 1..].iter().product();
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x: &[T] = bytemuck::try_cast_slice(views.inputs[0]).ok()?;
        let y: &mut [i32] = bytemuck::try_cast_slice_mut(y).ok()?;
        for (block, y) in x.chunks_exact(len * inner).zip(y.chunks_exact_mut(inner)) {
            for (offset, y) in y.iter_mut().enumerate() {
                let mut line = block.iter().skip(offset).step_by(inner);
                let (mut best, mut index) = (line.next()?, 0);
                for (at, value) in line.enumerate() {
                    if if self.largest { value > best } else { value < best } {
                        (best, index) = (value, at as i32 + 1);
                    }
                }
                *y = index;
            }
        }
        Some(())
    }
}

impl Operator for ArgExtreme {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.input(0);
        if !matches!(input.dtype, DType::I8 | DType::U8 | DType::I16) {
            return Err(NodeFault::DType(cx.inputs[0]));
        }
        let mut out = sizes(&input.shape);
        out[self.axis.index()] = 1;
        cx.expect(0, DType::I32, shape(out)).map(|_| ())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        match io.operands.input(0).dtype {
            DType::I16 => self.search::<i16>(io),
            DType::U8 => self.search::<u8>(io),
            _ => self.search::<i8>(io),
        }
    }
}
