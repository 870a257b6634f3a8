//! Depthwise convolution.

use super::{Filter, Io, Operands, Operator};
use crate::error::NodeFault;
#[cfg(feature = "encode")]
use crate::format::Blob;
use crate::format::{DType, Tensor};
use crate::isa::{Geometry, Isa, IsaKind, Layer};
use crate::shape::Window;
use serde::{Deserialize, Serialize};

/// Depthwise 2-D convolution, int8, TensorFlow Lite semantics.
///
/// Input `[n, h, w, i]`, weights `[kernel_h, kernel_w, i * multiplier]`, output `[n, h', w', i * multiplier]`;
/// output channel `o` reads input channel `o / multiplier`. Padding counts as the input's zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DepthwiseConv2d {
    /// Window with resolved padding.
    pub window: Window,
    /// Weights and per-channel constants.
    pub filter: Filter,
    /// Output channels per input channel, at least 1.
    pub multiplier: u16,
}

impl DepthwiseConv2d {
    fn geometry(&self, input: &Tensor, width: u32) -> Geometry {
        Geometry {
            window: self.window,
            input: input.shape,
            width: width as usize,
            fill: input.quant.zero_point as i8,
        }
    }

    fn layer(&self, cx: &Operands<'_>) -> Layer {
        let multiplier = usize::from(self.multiplier);
        Layer::Depthwise { window: self.window, c: cx.input(0).shape.c as usize, multiplier }
    }
}

impl Operator for DepthwiseConv2d {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        self.filter.blobs()
    }

    #[cfg(feature = "encode")]
    fn packable(&self, cx: &Operands<'_>) -> Option<(Filter, Layer, [i16; 2])> {
        let zero = cx.output(0).quant.zero_point;
        Some((self.filter, self.layer(cx), [cx.input(0).quant.zero_point, zero]))
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let input = cx.typed(0, DType::I8)?;
        let (h, w) = self.window.output(input.shape.h, input.shape.w).ok_or(NodeFault::Window)?;
        let channels = input.shape.c.checked_mul(u32::from(self.multiplier)).ok_or(NodeFault::Attribute)?;
        cx.expect(0, DType::I8, input.shape.with_hw(h, w).with_c(channels))?;
        self.filter.room(cx, (self.window.taps() as u64).saturating_mul(u64::from(channels)))?;
        self.filter.check(cx, &self.layer(cx))
    }

    fn scratch(&self, cx: &Operands<'_>, isa: IsaKind) -> u64 {
        let g = self.geometry(cx.input(0), cx.output(0).shape.w);
        isa.depthwise_scratch(&g, usize::from(self.multiplier)) as u64
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(0), io.output_shape(0));
        let g = self.geometry(io.operands.input(0), out_shape.w);
        let zero = io.operands.output(0).quant.zero_point;
        let p = self.filter.reduction(&io.operands, &self.layer(&io.operands), g.fill.into(), zero).ok()?;
        let views = io.views()?;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let [y, _] = views.outputs;
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        let scratch: &mut [i8] = bytemuck::cast_slice_mut(views.scratch);
        let image_len = shape.elements() / shape.n as usize;
        let out_len = out_shape.elements() / out_shape.n as usize;
        for (image, out) in x.chunks_exact(image_len).zip(y.chunks_exact_mut(out_len)) {
            I::depthwise(&p, &g, image, 0, out, scratch);
        }
        Some(())
    }
}
