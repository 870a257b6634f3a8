//! Fully connected layer.

use super::{Filter, Io, Operands, Operator};
use crate::error::NodeFault;
#[cfg(feature = "encode")]
use crate::format::Blob;
use crate::format::DType;
use crate::isa::{Isa, IsaKind, Layer, Taps, parallel};
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

impl Dense {
    fn layer(cx: &Operands<'_>) -> Layer {
        Layer::Full { taps: Taps::row(cx.input(0).shape.c as usize), n: cx.output(0).shape.c as usize }
    }
}

impl Operator for Dense {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        self.filter.blobs()
    }

    #[cfg(feature = "encode")]
    fn packable(&self, cx: &Operands<'_>) -> Option<(Filter, Layer, [i16; 2])> {
        let zero = cx.output(0).quant.zero_point;
        Some((self.filter, Self::layer(cx), [cx.input(0).quant.zero_point, zero]))
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I8)?;
        let channels = cx.output(0).shape.c;
        cx.expect(0, DType::I8, input.shape.with_c(channels))?;
        self.filter.room(cx, u64::from(input.shape.c) * u64::from(channels))?;
        self.filter.check(cx, &Self::layer(cx))
    }

    fn scratch(&self, cx: &Operands<'_>, isa: IsaKind) -> u64 {
        let (input, output) = (cx.input(0).shape, cx.output(0).shape);
        isa.rows_scratch(Taps::row(input.c as usize), output.c as usize, input.pixels()) as u64
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (input, output) = (io.operands.input(0), io.operands.output(0));
        let zeros = [input.quant.zero_point, output.quant.zero_point];
        let p = io.reduction(&self.filter, &Self::layer(&io.operands), zeros)?;
        let k = input.shape.c as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let scratch = bytemuck::cast_slice_mut(views.scratch);
        parallel::matmul::<I>(
            &p,
            k,
            bytemuck::cast_slice(views.inputs[0]),
            bytemuck::cast_slice_mut(y),
            scratch,
        );
        Some(())
    }
}
