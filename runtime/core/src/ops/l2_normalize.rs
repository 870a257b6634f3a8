//! Division by the Euclidean norm.

use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::fixed::inverse_root;
use crate::format::DType;
use crate::isa::Isa;
use crate::quant::Clamp;
use serde::{Deserialize, Serialize};

/// Every pixel or row divided by the Euclidean norm of its channels, int8, TensorFlow Lite semantics.
///
/// Any shape with at most 33,025 channels, so that the sum of squares fits 32 bits; the output has scale 1/128 and
/// zero point 0. Rows may be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct L2Normalize {
    /// The rounding of models of the uint8 scheme: 128 times the value is scaled, rather than the value by 128
    /// times the factor.
    pub value_first: bool,
}

/// Most channels whose squares, of at most 255 each, sum to 32 bits.
const CHANNELS: u32 = i32::MAX as u32 / (255 * 255);

/// Bits of the output's fraction.
const FRACTION: i8 = 7;

impl Operator for L2Normalize {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I8)?;
        if input.shape.c > CHANNELS {
            return Err(NodeFault::Reduction { found: input.shape.c, limit: CHANNELS });
        }
        let output = cx.expect(0, DType::I8, input.shape)?;
        if output.quant.scale != 1.0 / 128.0 || output.quant.zero_point != 0 {
            return Err(NodeFault::Quantisation(cx.outputs[0]));
        }
        Ok(())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let zero = i32::from(io.operands.input(0).quant.zero_point);
        let c = io.input_shape(0).c as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)) {
            let mut factor = inverse_root(x.iter().map(|&x| (i32::from(x) - zero).pow(2)).sum());
            let mut fraction = FRACTION;
            if !self.value_first {
                factor.shift += FRACTION;
                fraction = 0;
            }
            let scaled = |&x: &i8| Clamp::FULL.apply(factor.apply((i32::from(x) - zero) << fraction));
            y.iter_mut().zip(x).for_each(|(y, x)| *y = scaled(x));
        }
        Some(())
    }
}
