//! Softmax with 16-bit results: of 16-bit values, and of int8.

use super::channels::check_requant;
use super::softmax::exp_table;
use super::unary16::table16;
use super::wide::{elementwise, unit_scale, words, words_mut};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::{Blob, DType};
use crate::isa::{Isa, SoftmaxParams};
use crate::quant::Requant;
use serde::{Deserialize, Serialize};

/// Softmax of every pixel or row over its channels, 16 bits, TensorFlow Lite semantics.
///
/// Any shape with at most 65,536 channels; the output has scale 1/32,768. Rows may be bounded. The host fills
/// the tables (`fixed16::softmax_tables`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Softmax16 {
    /// From differences of inputs to 1/65,535 of the range of 10 that the exponential's table covers.
    pub scale: Requant,
    /// 513 entries of i16: the exponential over -10 to 0 in Q0.15, rising, not negative, the last but one
    /// at least 2.
    pub exp: Blob,
    /// 513 entries of i16: `1 / (1 + x)` over 0 to 1 in Q0.15.
    pub reciprocal: Blob,
}

impl Operator for Softmax16 {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.exp, &mut self.reciprocal]
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        let shape = elementwise(cx)?.shape;
        // So many exponentials of at most 32,767 do not overflow their 32-bit sum.
        if shape.c > 1 << 16 {
            return Err(NodeFault::InputShape(shape));
        }
        unit_scale(cx)?;
        check_requant(self.scale)?;
        table16(cx, self.reciprocal)?;
        // Every exponential lies between two entries, and that of the maximum is at least the last but one:
        // so the sum is at least 2.
        let exp = table16(cx, self.exp)?;
        let fault = |at: usize| NodeFault::Index { at: at as u32, found: exp[at] as u32 };
        if exp[0] < 0 {
            return Err(fault(0));
        }
        if let Some(at) = (1..exp.len()).find(|&at| exp[at] < exp[at - 1]) {
            return Err(fault(at));
        }
        if exp[exp.len() - 2] < 2 { Err(fault(exp.len() - 2)) } else { Ok(()) }
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let p = SoftmaxParams {
            scale: self.scale,
            exp: table16(&io.operands, self.exp).ok()?,
            reciprocal: table16(&io.operands, self.reciprocal).ok()?,
        };
        let c = io.input_shape(0).c as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let (x, y) = (words(views.inputs[0])?, words_mut(y)?);
        x.chunks_exact(c).zip(y.chunks_exact_mut(c)).for_each(|(x, y)| I::softmax16(&p, x, y));
        Some(())
    }
}

/// Softmax of int8 values with 16-bit results, TensorFlow Lite semantics.
///
/// As [`Softmax`](super::Softmax), but the output is i16 with scale 1/65,536 and zero point -32,768, which no
/// operator but [`Convert`](super::Convert) reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SoftmaxTo16 {
    /// 256 entries of i32, as in [`Softmax`](super::Softmax).
    pub exp: Blob,
}

impl Operator for SoftmaxTo16 {
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
        let output = cx.output(0);
        if output.dtype != DType::I16 {
            return Err(NodeFault::DType(cx.outputs[0]));
        }
        if output.shape != input.shape {
            return Err(NodeFault::OutputShape { found: output.shape, expected: input.shape });
        }
        let near = (0.999..=1.001).contains(&(output.quant.scale * 65536.0));
        if !near || output.quant.zero_point != i16::MIN {
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
        let y = words_mut(y)?;
        x.chunks_exact(c).zip(y.chunks_exact_mut(c)).for_each(|(x, y)| I::softmax_to16(exp, x, y));
        Some(())
    }
}
