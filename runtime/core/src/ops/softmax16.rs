//! Softmax of 16-bit values.

use super::channels::check_requant;
use super::unary16::table16;
use super::wide::{elementwise, unit_scale, words, words_mut};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::Blob;
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
