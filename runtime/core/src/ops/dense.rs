//! Fully connected layer.

use super::{Filter, Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::Isa;
use serde::{Deserialize, Serialize};

/// Fully connected layer, int8, TensorFlow Lite semantics, applied to every row.
///
/// Input `[n, h, w, i]`, weights `[o, i]`, output `[n, h, w, o]`; rows may be bounded. Reduction limit as
/// in [`Conv2d`](super::Conv2d).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dense {
    /// Weights and per-channel constants.
    pub filter: Filter,
}

impl Operator for Dense {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I8)?;
        let channels = cx.output(0).shape.c;
        cx.expect(0, DType::I8, input.shape.with_c(channels))?;
        let k = u64::from(input.shape.c);
        self.filter.check(cx, channels, k * u64::from(channels), k)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, output) = (io.operands.input(0), io.operands.output(0));
        let (k, n) = (input.shape.c, output.shape.c);
        let weights = u64::from(k) * u64::from(n);
        let zeros = (input.quant.zero_point, output.quant.zero_point);
        let p = self.filter.reduction(&io.operands, n, weights, zeros.0, zeros.1).ok()?;
        let views = io.views()?;
        let [y, _] = views.outputs;
        I::matmul(&p, k as usize, bytemuck::cast_slice(views.inputs[0]), bytemuck::cast_slice_mut(y));
        Some(())
    }
}
