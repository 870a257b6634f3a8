//! Convolution whose result is added to another tensor before it is stored.

#[cfg(feature = "encode")]
use super::Filter;
use super::binary::check_sum;
use super::{Add, Conv2d, Io, Operands, Operator};
use crate::error::NodeFault;
#[cfg(feature = "encode")]
use crate::format::Blob;
use crate::format::{ALIGN, DType, Tensor};
use crate::isa::{Isa, IsaKind, Layer, Source, SumParams, Taps, parallel};
use serde::{Deserialize, Serialize};

/// [`Conv2d`] and [`Add`] in one: the residual connection of a residual network.
///
/// Input 0 is the other operand of the sum, int8 `[n, h', w', o]`, in whose place the output may be written; input 1 is
/// the convolution's, `[n, h, w, i]`. The bits are those of the two operators one after the other, but only a few
/// pixels of the convolution's result exist at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conv2dAdd {
    /// The convolution, without labels.
    pub conv: Conv2d,
    /// Zero point of the convolution's result.
    pub zero_point: i8,
    /// The sum; its second input is the convolution's result.
    pub add: Add,
}

/// Pixels of the convolution that exist at a time; a multiple of every tile's.
const PIXELS: usize = 12;

/// Bytes of these pixels, up to the alignment of what follows.
fn block(n: usize) -> usize {
    (PIXELS * n).next_multiple_of(ALIGN)
}

impl Conv2dAdd {
    fn layer(&self, cx: &Operands<'_>) -> Layer {
        let taps = Taps::of_window(&self.conv.window, cx.input(1).shape.c);
        Layer::Full { taps, n: cx.output(0).shape.c as usize }
    }
}

impl Operator for Conv2dAdd {
    const IN_PLACE: bool = true;

    fn replaces(&self, input: &Tensor, output: &Tensor) -> bool {
        input.shape == output.shape
    }

    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        self.conv.filter.blobs()
    }

    #[cfg(feature = "encode")]
    fn packable(&self, cx: &Operands<'_>) -> Option<(Filter, Layer, [i16; 2])> {
        let zeros = [cx.input(1).quant.zero_point, i16::from(self.zero_point)];
        Some((self.conv.filter, self.layer(cx), zeros))
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(2, 1)?;
        cx.fixed_rows()?;
        let [other, input] = [cx.typed(0, DType::I8)?, cx.typed(1, DType::I8)?];
        if self.conv.labels.is_some() {
            return Err(NodeFault::Attribute);
        }
        let window = &self.conv.window;
        let (h, w) = window.output(input.shape.h, input.shape.w).ok_or(NodeFault::Window)?;
        let shape = input.shape.with_hw(h, w).with_c(other.shape.c);
        if other.shape != shape {
            return Err(NodeFault::InputShape(other.shape));
        }
        cx.expect(0, DType::I8, shape)?;
        check_sum(&self.add)?;
        let weights = (window.taps() as u64).saturating_mul(u64::from(input.shape.c));
        self.conv.filter.room(cx, weights.saturating_mul(u64::from(shape.c)))?;
        self.conv.filter.check(cx, &self.layer(cx))
    }

    fn scratch(&self, cx: &Operands<'_>, isa: IsaKind) -> u64 {
        let Layer::Full { taps, n } = self.layer(cx) else { return 0 };
        let work = if self.conv.window.is_pointwise() {
            isa.rows_scratch(taps, n, PIXELS)
        } else {
            isa.conv_scratch(taps, n, PIXELS)
        };
        (block(n) + work) as u64
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (shape, out_shape) = (io.input_shape(1), io.output_shape(0));
        let [other, input, output] = [io.operands.input(0), io.operands.input(1), io.operands.output(0)];
        let g = self.conv.geometry(input, out_shape.w);
        let zero = i16::from(self.zero_point);
        let filter = &self.conv.filter;
        let p = io.reduction(filter, &self.layer(&io.operands), [g.fill.into(), zero])?;
        let sum = SumParams {
            zero: [i32::from(other.quant.zero_point), i32::from(self.zero_point)],
            scale: self.add.inputs,
            left_shift: u32::from(self.add.left_shift),
            output: self.add.output,
            output_zero: i32::from(output.quant.zero_point),
            clamp: self.add.clamp,
        };
        let views = io.views()?;
        let in_place = views.in_place;
        let [other, x] = views.inputs.map(bytemuck::cast_slice::<u8, i8>);
        let [y, _] = views.outputs;
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        let scratch: &mut [i8] = bytemuck::cast_slice_mut(views.scratch);
        let (result, scratch) = scratch.split_at_mut_checked(block(p.n))?;
        let k = g.taps().total();
        let image_len = shape.elements() / shape.n as usize;
        let out_len = out_shape.elements() / out_shape.n as usize;
        I::with_room(|room| {
            // Whole output rows at a time where there is room for them.
            let rows = room.len() / (g.width * p.n);
            let (result, pixels) = if rows > 0 { (room, rows * g.width) } else { (result, PIXELS) };
            for (n, image) in x.chunks_exact(image_len).enumerate() {
                let images = n * out_len..(n + 1) * out_len;
                let out = y.get_mut(images.clone())?;
                for (i, out) in out.chunks_mut(pixels * p.n).enumerate() {
                    let result = result.get_mut(..out.len())?;
                    let first = i * pixels;
                    if g.window.is_pointwise() {
                        let rows = image.get(first * k..first * k + out.len() / p.n * k)?;
                        parallel::matmul::<I>(&p, k, rows, result, scratch);
                    } else {
                        parallel::conv::<I>(&p, &g, image, first, result, scratch);
                    }
                    let source = if in_place {
                        Source::InPlace
                    } else {
                        let start = images.start + first * p.n;
                        Source::From(other.get(start..start + out.len())?)
                    };
                    I::add(&sum, source, result, out);
                }
            }
            Some(())
        })
    }
}
