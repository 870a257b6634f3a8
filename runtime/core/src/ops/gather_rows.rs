//! Rows of several sets side by side, each taken in order or by index.

use super::indices::{Rows, check_list, check_rows, entries, rows_of};
use super::walk::fill;
use super::{Io, Operands, Operator};
use crate::arena::Region;
use crate::error::NodeFault;
use crate::isa::Isa;
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// Gathers rows by index and puts them side by side: what an edge sees of its two nodes, `[h_i, h_ij, h_j]`.
///
/// The first inputs are one to 16 *parts* `[1, 1, rows, c]` of one type, scale and zero point; those that `gathered`
/// names have any number of rows, and the others the number of the output. After them comes one list of indices
/// `[1, 1, w, 1]`, u16, for each gathered part, in the order of the parts. The output is `[1, 1, w, Σ c]`. All rows may
/// be bounded. An index of no row ([`NO_ROW`](super::NO_ROW)) gives a row of real zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GatherRows {
    /// Bit `i` is set where a list of indices chooses the rows of part `i`.
    pub gathered: u16,
}

impl GatherRows {
    /// Number of parts of a node with so many inputs.
    fn parts(&self, inputs: usize) -> usize {
        inputs.saturating_sub(self.gathered.count_ones() as usize)
    }

    /// The input that is the list of part `part`.
    fn list(&self, part: usize, inputs: usize) -> Option<usize> {
        let before = self.gathered & ((1 << part) - 1);
        (self.gathered & (1 << part) != 0).then(|| self.parts(inputs) + before.count_ones() as usize)
    }
}

impl Operator for GatherRows {
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        let parts = self.parts(cx.inputs.len());
        if !(1..=16).contains(&parts) || u32::from(self.gathered) >> parts != 0 {
            return Err(NodeFault::Attribute);
        }
        cx.arity(cx.inputs.len() as u8, 1)?;
        let output = cx.output(0);
        let mut channels = 0u32;
        for part in 0..parts {
            let input = cx.typed(part, output.dtype)?;
            check_rows(input.shape)?;
            cx.same_quantisation(part)?;
            match self.list(part, cx.inputs.len()) {
                Some(list) => check_list(cx, list, output.shape, output.rows)?,
                None if input.rows != output.rows => return Err(NodeFault::Rows(cx.inputs[part])),
                None if input.shape.w != output.shape.w => return Err(NodeFault::InputShape(input.shape)),
                None => {}
            }
            channels = channels.checked_add(input.shape.c).ok_or(NodeFault::Attribute)?;
        }
        cx.expect(0, output.dtype, Shape::rows(output.shape.w, channels)).map(|_| ())
    }

    fn indexed(&self, cx: &Operands<'_>, input: usize) -> Option<Rows> {
        let inputs = cx.inputs.len();
        (0..self.parts(inputs).min(16))
            .find(|&part| self.list(part, inputs) == Some(input))
            .map(|part| rows_of(cx.input(part)))
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let inputs = io.operands.inputs.len();
        let output = io.operands.output(0);
        let size = output.dtype.size() as usize;
        let row = output.shape.c as usize * size;
        let mut start = 0;
        for part in 0..self.parts(inputs).min(16) {
            let len = io.operands.input(part).shape.c as usize * size;
            let list = self.list(part, inputs);
            let regions = [io.input_region(part), list.map_or(Region::EMPTY, |list| io.input_region(list))];
            let views = io.views_of(regions)?;
            let [y, _] = views.outputs;
            let mut sources = views.inputs[0].chunks_exact(len);
            let chosen = entries(views.inputs[1])?;
            for (at, out) in y.chunks_exact_mut(row).enumerate() {
                let out = out.get_mut(start..start + len)?;
                let source = match list {
                    Some(_) => {
                        let first = usize::from(*chosen.get(at)?) * len;
                        views.inputs[0].get(first..first + len)
                    }
                    None => sources.next(),
                };
                match source {
                    Some(source) => out.copy_from_slice(source),
                    None => fill(out, output.dtype, output.quant.zero_point),
                }
            }
            start += len;
        }
        Some(())
    }
}
