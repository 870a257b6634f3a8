//! Softmax over rows that share an index.

use super::indices::{Rows, check_list, check_rows, counters_bytes, entries};
use super::softmax::exp_table;
use super::wide::values_mut;
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::fixed;
use crate::format::{Blob, DType};
use crate::isa::{Isa, IsaKind};
use crate::quant::Clamp;
use serde::{Deserialize, Serialize};

/// Softmax over all rows with the same index, for each channel by itself: attention of a node over its edges, one channel
/// a head.
///
/// Input 0 `[1, 1, rows, c]`, i8; input 1 the list `[1, 1, rows, 1]`, u16; the output has the shape of input 0, scale
/// 1/256 and zero point -128. Rows may be bounded. The arithmetic is that of [`Softmax`](super::Softmax); the sum of
/// more than 4,095 exponentials saturates, so that the order of the rows changes no bit. A row with the index of no
/// segment is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SegmentSoftmax {
    /// Exponentials as in [`Softmax`](super::Softmax).
    pub exp: Blob,
    /// Number of segments, or its bound: 1 to 65,535.
    pub segments: u32,
    /// Bounded dimension that gives the number of segments of a run.
    pub dim: Option<u8>,
}

impl Operator for SegmentSoftmax {
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec![&mut self.exp]
    }

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(2, 1)?;
        cx.rows_follow()?;
        let input = cx.typed(0, DType::I8)?;
        check_rows(input.shape)?;
        check_list(cx, 1, input.shape, input.rows)?;
        let output = cx.expect(0, DType::I8, input.shape)?;
        if output.quant.scale != 1.0 / 256.0 || output.quant.zero_point != -128 {
            return Err(NodeFault::Quantisation(cx.outputs[0]));
        }
        if self.segments == 0 {
            return Err(NodeFault::Attribute);
        }
        exp_table(cx, self.exp).map(|_| ())
    }

    fn indexed(&self, _: &Operands<'_>, input: usize) -> Option<Rows> {
        (input == 1).then_some(Rows { bound: self.segments, dim: self.dim })
    }

    fn scratch(&self, cx: &Operands<'_>, _: IsaKind) -> u64 {
        // The largest input and the sum of each segment and channel.
        2 * counters_bytes(self.segments, 0) * u64::from(cx.input(0).shape.c)
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let exp = exp_table(&io.operands, self.exp).ok()?;
        let c = io.input_shape(0).c as usize;
        let segments = Rows { bound: self.segments, dim: self.dim }.count(io.counts) as usize;
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        let list = entries(views.inputs[1])?;
        let scratch: &mut [i32] = values_mut(views.scratch)?;
        let (largest, sums) = scratch.split_at_mut_checked(segments * c)?;
        let sums = sums.get_mut(..segments * c)?;
        let place = |index: u16| usize::from(index) * c..(usize::from(index) + 1) * c;
        let entry = |max: i32, x: i8| exp.get((max - i32::from(x)) as usize & 255).copied().unwrap_or(0);
        largest.fill(i32::from(i8::MIN));
        sums.fill(0);
        for (x, &index) in x.chunks_exact(c).zip(list) {
            let Some(largest) = largest.get_mut(place(index)) else { continue };
            largest.iter_mut().zip(x).for_each(|(max, &x)| *max = (*max).max(i32::from(x)));
        }
        for (x, &index) in x.chunks_exact(c).zip(list) {
            let (Some(largest), Some(sums)) = (largest.get(place(index)), sums.get_mut(place(index))) else {
                continue;
            };
            for ((sum, &max), &x) in sums.iter_mut().zip(largest).zip(x) {
                *sum = sum.saturating_add(fixed::to_accumulator(entry(max, x)));
            }
        }
        for ((x, y), &index) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)).zip(list) {
            let (Some(largest), Some(sums)) = (largest.get(place(index)), sums.get(place(index))) else {
                y.fill(i8::MIN);
                continue;
            };
            for (((y, &x), &max), &sum) in y.iter_mut().zip(x).zip(largest).zip(sums) {
                let value = fixed::share(entry(max, x), fixed::reciprocal(sum));
                *y = Clamp::FULL.apply(value.wrapping_add(i32::from(i8::MIN)));
            }
        }
        Some(())
    }
}
