//! Lists of row indices: what the operators of graphs share.
//!
//! A list is an input of the network or a constant, u16, one entry a row. [`Session::set_indices`](crate::Session)
//! checks its entries against the counts of a run. Until a list is given, and after a new count, every entry is
//! [`NO_ROW`]. The kernels compare each entry with the number of rows all the same: nothing that stands in the arena
//! leads them outside.

use super::{Io, Operands, wide};
use crate::error::NodeFault;
use crate::format::DType;
use crate::shape::Shape;

/// An entry that names no row: nothing is gathered for it, and nothing scattered.
pub const NO_ROW: u16 = u16::MAX;

/// What a list points to: so many rows, or as many as a bounded dimension has in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Number of rows, or its bound.
    pub(crate) bound: u32,
    /// The bounded dimension.
    pub(crate) dim: Option<u8>,
}

impl Rows {
    /// The number of rows in a run with these counts.
    pub(crate) fn count(self, counts: &[u32]) -> u32 {
        self.dim.and_then(|dim| counts.get(usize::from(dim)).copied()).unwrap_or(self.bound).min(self.bound)
    }
}

/// Requires a tensor to be a set of rows.
pub(super) fn check_rows(shape: Shape) -> Result<(), NodeFault> {
    if shape.n == 1 && shape.h == 1 { Ok(()) } else { Err(NodeFault::InputShape(shape)) }
}

/// Requires input `i` to be a list with one entry for each row of a tensor of this shape and these bounded rows.
pub(super) fn check_list(
    cx: &Operands<'_>,
    i: usize,
    shape: Shape,
    rows: Option<u8>,
) -> Result<(), NodeFault> {
    let list = cx.typed(i, DType::U16)?;
    if list.shape != Shape::rows(shape.w, 1) {
        return Err(NodeFault::InputShape(list.shape));
    }
    if list.rows != rows { Err(NodeFault::Rows(cx.inputs[i])) } else { Ok(()) }
}

/// The rows that input or output tensor `tensor` has.
pub(super) fn rows_of(tensor: &crate::format::Tensor) -> Rows {
    Rows { bound: tensor.shape.w, dim: tensor.rows }
}

/// The entries of a list.
pub(super) fn entries(bytes: &[u8]) -> Option<&[u16]> {
    wide::values(bytes)
}

/// Working memory of a node as counters, one for each of `rows`, and `width` values for each row.
pub(super) fn counters(scratch: &mut [u8], rows: usize, width: usize) -> Option<(&mut [i32], &mut [i32])> {
    let values: &mut [i32] = wide::values_mut(scratch)?;
    let (counts, rest) = values.split_at_mut_checked(rows)?;
    Some((counts, rest.get_mut(..rows * width)?))
}

/// Bytes of working memory for [`counters`].
pub(super) fn counters_bytes(rows: u32, width: u32) -> u64 {
    4 * u64::from(rows) * (u64::from(width) + 1)
}

/// Zero point of output 0.
pub(super) fn output_zero(io: &Io<'_, '_>) -> i16 {
    io.operands.output(0).quant.zero_point
}
