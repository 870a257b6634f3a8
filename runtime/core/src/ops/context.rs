//! What an operator sees: [`Operands`] while it is checked, [`Io`] while it runs.

use super::Filter;
use crate::arena::{Memory, Region, Views};
use crate::error::NodeFault;
use crate::format::{ALIGN, Blob, DType, Place, Scratch, Tensor};
use crate::isa::{Layer, Reduction, Target};
use crate::shape::Shape;

/// The tensors of one node.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    pub(crate) tensors: &'a [Tensor],
    pub(crate) inputs: &'a [u16],
    pub(crate) outputs: &'a [u16],
    pub(crate) data: &'a [u8],
    /// What constants are packed for.
    pub(crate) target: Target,
}

impl<'a> Operands<'a> {
    /// Requires exactly this many inputs and outputs.
    pub(crate) fn arity(&self, inputs: u8, outputs: u8) -> Result<(), NodeFault> {
        let found = self.inputs.len() as u8;
        if found != inputs {
            return Err(NodeFault::Inputs { found, expected: inputs });
        }
        let found = self.outputs.len() as u8;
        if found != outputs {
            return Err(NodeFault::Outputs { found, expected: outputs });
        }
        Ok(())
    }

    /// Input `i`. The parser has checked the index of every id; `i` is below the arity.
    pub(crate) fn input(&self, i: usize) -> &'a Tensor {
        &self.tensors[usize::from(self.inputs[i])]
    }

    /// The bytes of input `i` where it is in the data section.
    pub(crate) fn constant_input(&self, i: usize) -> Option<&'a [u8]> {
        let tensor = self.input(i);
        match tensor.place {
            Place::Data(start) => self.data.get(start as usize..start as usize + tensor.bytes() as usize),
            Place::Arena(_) | Place::State(_) => None,
        }
    }

    /// Whether output 0 stands where input 0 stands.
    pub(crate) fn in_place(&self) -> bool {
        self.input(0).place == self.output(0).place
    }

    /// Output `i`.
    pub(crate) fn output(&self, i: usize) -> &'a Tensor {
        &self.tensors[usize::from(self.outputs[i])]
    }

    /// Tensor `id`, which must be of this type; of int16 with the zero point 0.
    fn of_type(&self, id: u16, dtype: DType) -> Result<&'a Tensor, NodeFault> {
        let tensor = &self.tensors[usize::from(id)];
        if tensor.dtype != dtype {
            return Err(NodeFault::DType(id));
        }
        if dtype == DType::I16 && tensor.quant.zero_point != 0 {
            return Err(NodeFault::Quantisation(id));
        }
        Ok(tensor)
    }

    /// Input `i`, which must be of this type; of int16 with the zero point 0.
    pub(crate) fn typed(&self, i: usize, dtype: DType) -> Result<&'a Tensor, NodeFault> {
        self.of_type(self.inputs[i], dtype)
    }

    /// Requires output `i` to be of this type and shape; of int16 with the zero point 0.
    pub(crate) fn expect(&self, i: usize, dtype: DType, shape: Shape) -> Result<&'a Tensor, NodeFault> {
        let tensor = self.of_type(self.outputs[i], dtype)?;
        if tensor.shape != shape {
            return Err(NodeFault::OutputShape { found: tensor.shape, expected: shape });
        }
        Ok(tensor)
    }

    /// Requires input `i` to have scale and zero point of output 0.
    pub(crate) fn same_quantisation(&self, i: usize) -> Result<(), NodeFault> {
        if self.input(i).quant == self.output(0).quant {
            Ok(())
        } else {
            Err(NodeFault::Quantisation(self.inputs[i]))
        }
    }

    /// Requires that no tensor of the node has bounded rows.
    pub(crate) fn fixed_rows(&self) -> Result<(), NodeFault> {
        match self.inputs.iter().chain(self.outputs).find(|&&id| self.tensors[usize::from(id)].rows.is_some())
        {
            Some(&id) => Err(NodeFault::Rows(id)),
            None => Ok(()),
        }
    }

    /// Requires that every output has the bounded rows of input 0: the operator works row by row.
    pub(crate) fn rows_follow(&self) -> Result<(), NodeFault> {
        let rows = self.input(0).rows;
        match self.outputs.iter().find(|&&id| self.tensors[usize::from(id)].rows != rows) {
            Some(&id) => Err(NodeFault::Rows(id)),
            None => Ok(()),
        }
    }

    /// The bytes of a constant, which must lie in the data section at an aligned offset.
    pub(crate) fn constant(&self, blob: Blob, len: u64) -> Result<&'a [u8], NodeFault> {
        let fault = NodeFault::Constant { offset: blob.0, len: u32::try_from(len).unwrap_or(u32::MAX) };
        if !(blob.0 as usize).is_multiple_of(ALIGN) {
            return Err(fault);
        }
        let end = u64::from(blob.0).saturating_add(len);
        if end > self.data.len() as u64 {
            return Err(fault);
        }
        Ok(&self.data[blob.0 as usize..end as usize])
    }
}

/// The memory of one node while it runs.
pub(crate) struct Io<'a, 's> {
    pub(crate) operands: Operands<'a>,
    pub(crate) scratch: Scratch,
    pub(crate) memory: Memory<'s>,
    /// Counts of the bounded dimensions of this run.
    pub(crate) counts: &'a [u32],
    /// Known of all nodes that this kernel runs: their constants are packed.
    pub(crate) packed: bool,
}

impl<'a> Io<'a, '_> {
    /// Shape of a tensor in this run: bounded rows have their count.
    fn shape(&self, tensor: &Tensor) -> Shape {
        match tensor.rows.and_then(|dim| self.counts.get(usize::from(dim))) {
            Some(&count) => Shape { w: count, ..tensor.shape },
            None => tensor.shape,
        }
    }

    /// Shape of input `i` in this run.
    pub(crate) fn input_shape(&self, i: usize) -> Shape {
        self.shape(self.operands.input(i))
    }

    /// Shape of output `i` in this run.
    pub(crate) fn output_shape(&self, i: usize) -> Shape {
        self.shape(self.operands.output(i))
    }

    /// The constants of `filter` as a kernel takes them; `None` is impossible after the check.
    #[inline(always)]
    pub(crate) fn reduction(&self, filter: &Filter, layer: &Layer, zeros: [i16; 2]) -> Option<Reduction<'a>> {
        let p = filter.reduction(&self.operands, layer, zeros[0], zeros[1]).ok()?;
        // Where all constants are known to be packed, the compiler drops the kernels of portable ones.
        if self.packed && p.packed.is_none() { None } else { Some(p) }
    }

    /// Where a tensor is, and how many bytes of it this run uses.
    fn region(&self, tensor: &Tensor) -> Region {
        Region { place: tensor.place, len: self.shape(tensor).elements() * tensor.dtype.size() as usize }
    }

    /// Region of input `i`, empty where there is none.
    pub(crate) fn input_region(&self, i: usize) -> Region {
        self.operands.inputs.get(i).map_or(Region::EMPTY, |_| self.region(self.operands.input(i)))
    }

    /// Region of output `i`, empty where there is none.
    pub(crate) fn output_region(&self, i: usize) -> Region {
        self.operands.outputs.get(i).map_or(Region::EMPTY, |_| self.region(self.operands.output(i)))
    }

    /// Everything that a node with up to two inputs and two outputs touches.
    pub(crate) fn views(&mut self) -> Option<Views<'_>> {
        if let ([x], [y]) = (self.operands.inputs, self.operands.outputs) {
            let tensor = |id: u16| self.operands.tensors.get(usize::from(id));
            let (x, y) = (tensor(*x)?, tensor(*y)?);
            let in_arena = |tensor: &Tensor| matches!(tensor.place, Place::Arena(_));
            if in_arena(x) && in_arena(y) && x.place != y.place {
                let (x, y) = (self.region(x), self.region(y));
                let scratch = self.scratch_region();
                return self.memory.plain_views(x, y, scratch);
            }
        }
        let inputs = [self.input_region(0), self.input_region(1)];
        self.views_of(inputs)
    }

    /// As [`Io::views`], with these regions for inputs.
    pub(crate) fn views_of(&mut self, inputs: [Region; 2]) -> Option<Views<'_>> {
        self.disjoint(inputs, [Region::EMPTY; 2])
    }

    /// As [`Io::views`], for a node with `plain` inputs (at most two) followed by up to two states.
    pub(crate) fn stateful_views(&mut self, plain: usize) -> Option<Views<'_>> {
        let inputs = [0, 1].map(|i| if i < plain { self.input_region(i) } else { Region::EMPTY });
        let states = [self.input_region(plain), self.input_region(plain + 1)];
        self.disjoint(inputs, states)
    }

    fn scratch_region(&self) -> Region {
        Region { place: Place::Arena(self.scratch.offset), len: self.scratch.len as usize }
    }

    fn disjoint(&mut self, inputs: [Region; 2], states: [Region; 2]) -> Option<Views<'_>> {
        let outputs = [self.output_region(0), self.output_region(1)];
        let scratch = self.scratch_region();
        self.memory.views(inputs, states, outputs, scratch)
    }
}
