//! Logarithm of the softmax over channels.

use super::channels::check_requant;
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::fixed::{EXP_ENTRIES, logarithm, to_accumulator};
use crate::format::{Blob, DType};
use crate::isa::Isa;
use crate::quant::{Clamp, Requant, rounding_shift_right};
use serde::{Deserialize, Serialize};

/// Logarithm of the softmax of every pixel or row over its channels, int8, TensorFlow Lite semantics.
///
/// Any shape with at most 4,095 channels; the output has scale 1/16 and zero point 127. Rows may be bounded. The
/// constants are made on the host (`fixed::log_softmax_constants`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LogSoftmax {
    /// 256 entries of i32: the Q0.31 exponential of minus each difference; entry 0 is the largest i32.
    pub exp: Blob,
    /// 256 entries of i32: minus each difference, in Q5.26.
    pub difference: Blob,
    /// Q5.26 to differences, below 1.
    pub reverse: Requant,
    /// Largest difference that counts.
    pub radius: u8,
}

/// Most channels whose exponentials sum to less than 4,096.
const CHANNELS: u32 = 4095;

/// Fraction bits of the logarithm that the output does not have.
const DROPPED: u32 = 22;

impl LogSoftmax {
    fn table<'a>(cx: &Operands<'a>, blob: Blob) -> Result<&'a [i32], NodeFault> {
        let bytes = cx.constant(blob, 4 * EXP_ENTRIES as u64)?;
        bytemuck::try_cast_slice(bytes)
            .map_err(|_| NodeFault::Constant { offset: blob.0, len: bytes.len() as u32 })
    }
}

impl Operator for LogSoftmax {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.exp, &mut self.difference]
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I8)?;
        if input.shape.c > CHANNELS {
            return Err(NodeFault::InputShape(input.shape));
        }
        let output = cx.expect(0, DType::I8, input.shape)?;
        if output.quant.scale != 1.0 / 16.0 || output.quant.zero_point != 127 {
            return Err(NodeFault::Quantisation(cx.outputs[0]));
        }
        check_requant(self.reverse)?;
        if self.reverse.shift > 0 {
            return Err(NodeFault::Attribute);
        }
        // The sum of exponentials must stay in [1, 4096): the first entry is one, none is larger.
        let exp = Self::table(cx, self.exp)?;
        let wrong = |&(at, &e): &(usize, &i32)| if at == 0 { e != i32::MAX } else { e < 0 };
        if let Some((at, &found)) = exp.iter().enumerate().find(wrong) {
            return Err(NodeFault::Index { at: at as u32, found: found as u32 });
        }
        let difference = Self::table(cx, self.difference)?;
        match difference.iter().position(|&d| d > 0) {
            Some(at) => Err(NodeFault::Index { at: at as u32, found: difference[at] as u32 }),
            None => Ok(()),
        }
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let exp = Self::table(&io.operands, self.exp).ok()?;
        let difference = Self::table(&io.operands, self.difference).ok()?;
        let c = io.input_shape(0).c as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)) {
            let max = *x.iter().max()?;
            let below = |x: i8| i32::from(max) - i32::from(x);
            let sum = x.iter().filter_map(|&x| exp.get(below(x) as usize)).map(|&e| to_accumulator(e)).sum();
            let log = logarithm(sum);
            // The smallest number of Q5.26 that is still there after the logarithm is subtracted.
            let reach = self.reverse.apply(log.wrapping_add(i32::MIN));
            let reach = reach.max(-i32::from(self.radius) - 1);
            for (y, &x) in y.iter_mut().zip(x) {
                let below = below(x);
                *y = match -below > reach {
                    true => {
                        let log = difference.get(below as usize)?.wrapping_sub(log);
                        Clamp::FULL.apply(rounding_shift_right(log, DROPPED) + 127)
                    }
                    false => i8::MIN,
                };
            }
        }
        Some(())
    }
}
