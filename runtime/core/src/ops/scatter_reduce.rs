//! Sum, mean or maximum of rows that share an index.

use super::indices::{Rows, check_list, check_rows, counters, counters_bytes, entries, output_zero, rows_of};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, IsaKind};
use crate::quant::{Clamp, Requant};
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// How rows with one index become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Aggregation {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest of each channel.
    Max,
}

/// Reduces the rows of input 0 that have one index: row `j` of the output is the sum, mean or maximum of the rows `i`
/// with `index[i] = j`. What a node of a graph hears from its edges.
///
/// Input 0 `[1, 1, rows, c]`, i8; input 1 the list `[1, 1, rows, 1]`, u16; output `[1, 1, w, c]`, i8. All rows may be
/// bounded. An output row that no index names is real zero. Sum and mean are exact before they are scaled once, so the
/// order of the rows changes no bit: `output zero + factor · Σ (x − input zero)`, where the factor of a mean is divided by
/// the number of rows ([`Requant::over`]). The maximum has the scale and zero point of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ScatterReduce {
    /// The operation.
    pub aggregation: Aggregation,
    /// Input scale over output scale; of no meaning for a maximum.
    pub factor: Requant,
}

/// Rows whose sum fits 32 bits, at 255 each.
const LIMIT: u32 = i32::MAX as u32 / 255;

impl Operator for ScatterReduce {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(2, 1)?;
        let (input, output) = (cx.typed(0, DType::I8)?, cx.output(0));
        check_rows(input.shape)?;
        check_list(cx, 1, input.shape, input.rows)?;
        cx.expect(0, DType::I8, Shape::rows(output.shape.w, input.shape.c))?;
        if input.shape.w > LIMIT {
            return Err(NodeFault::Reduction { found: input.shape.w, limit: LIMIT });
        }
        match self.aggregation {
            Aggregation::Max => cx.same_quantisation(0),
            _ if self.factor.is_valid() => Ok(()),
            _ => Err(NodeFault::Requant { channel: 0 }),
        }
    }

    fn indexed(&self, cx: &Operands<'_>, input: usize) -> Option<Rows> {
        let &output = cx.outputs.first()?;
        (input == 1).then(|| rows_of(&cx.tensors[usize::from(output)]))
    }

    fn scratch(&self, cx: &Operands<'_>, _: IsaKind) -> u64 {
        let Shape { w, c, .. } = cx.output(0).shape;
        counters_bytes(w, if self.aggregation == Aggregation::Max { 0 } else { c })
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let (rows, c) = (io.output_shape(0).w as usize, io.output_shape(0).c as usize);
        let input_zero = i32::from(io.operands.input(0).quant.zero_point);
        let zero = output_zero(io);
        let views = io.views()?;
        let [y, _] = views.outputs;
        let x: &[i8] = bytemuck::cast_slice(views.inputs[0]);
        let y: &mut [i8] = bytemuck::cast_slice_mut(y);
        let list = entries(views.inputs[1])?;
        let largest = self.aggregation == Aggregation::Max;
        let (counts, sums) = counters(views.scratch, rows, if largest { 0 } else { c })?;
        counts.fill(0);
        sums.fill(0);
        for (x, &index) in x.chunks_exact(c).zip(list) {
            let index = usize::from(index);
            let Some(count) = counts.get_mut(index) else { continue };
            *count += 1;
            let at = index * c..(index + 1) * c;
            if !largest {
                I::accumulate(x, sums.get_mut(at)?);
            } else if *count == 1 {
                y.get_mut(at)?.copy_from_slice(x);
            } else {
                I::max(x, y.get_mut(at)?);
            }
        }
        if largest {
            for (y, _) in y.chunks_exact_mut(c).zip(counts).filter(|(_, count)| **count == 0) {
                y.fill(zero as i8);
            }
            return Some(());
        }
        for ((y, sums), &mut count) in y.chunks_exact_mut(c).zip(sums.chunks_exact(c)).zip(counts) {
            let factor = match self.aggregation {
                Aggregation::Mean => self.factor.over(count as u32).unwrap_or(Requant::ZERO),
                _ => self.factor,
            };
            for (y, &sum) in y.iter_mut().zip(sums) {
                let scaled = factor.apply(sum.wrapping_sub(input_zero * count));
                *y = Clamp::FULL.apply(scaled.wrapping_add(i32::from(zero)));
            }
        }
        Some(())
    }
}
