//! Sets of rows that are counted in each run, and lists of indices that name them.

use super::{BoundedDim, DimId, Graph, GraphError, Node, ValueId, stored};
use crate::ops::{DType, Op};
use dunlin::shape::Shape;

impl Graph {
    /// Adds a size that is known only when the model runs, from 0 to `max`.
    pub fn add_dim(&mut self, name: &str, max: u32) -> DimId {
        self.dims.push(BoundedDim { name: name.into(), max });
        DimId(self.dims.len() - 1)
    }

    /// Adds an input with one row of `channels` for each of a bounded dimension.
    ///
    /// # Errors
    /// A name used twice or an impossible shape.
    pub fn add_rows_input(&mut self, name: &str, dim: DimId, channels: u32) -> Result<ValueId, GraphError> {
        let shape = Shape::rows(self.dims[dim.0].max, channels);
        let id = self.add_value(name.to_string(), shape, DType::Float, Some(dim))?;
        self.inputs.push(id);
        Ok(id)
    }

    /// Adds an input that lists one row index for each row of a bounded dimension. The operators that read it say which
    /// rows its entries name; all must mean the same.
    ///
    /// # Errors
    /// A name used twice or an impossible shape.
    pub fn add_index_input(&mut self, name: &str, dim: DimId) -> Result<ValueId, GraphError> {
        let shape = Shape::rows(self.dims[dim.0].max, 1);
        let id = self.add_value(name.to_string(), shape, DType::Rows, Some(dim))?;
        self.inputs.push(id);
        Ok(id)
    }

    /// How many rows, and of which bounded dimension, the entries of a list of indices name; `None` where no node reads
    /// it.
    pub fn named_rows(&self, list: ValueId) -> Option<(u32, Option<DimId>)> {
        self.consumers(list).into_iter().find_map(|n| self.node_rows(self.node(n)))
    }

    fn node_rows(&self, node: &Node) -> Option<(u32, Option<DimId>)> {
        let inputs: Vec<_> =
            node.inputs.iter().map(|v| (self.value(*v).shape, self.value(*v).rows)).collect();
        node.op.operator().named_rows(&inputs)
    }

    /// The bounded dimension of the rows of what `op` makes of `inputs`.
    pub(super) fn output_rows(&self, op: &Op, inputs: &[ValueId], outputs: &[Shape]) -> Option<DimId> {
        let dims: Vec<Option<DimId>> = inputs.iter().map(|v| self.values[v.0].rows).collect();
        let follows = |v: &ValueId| {
            let v = &self.values[v.0];
            v.rows.filter(|_| outputs.iter().all(|s| s.w == v.shape.w))
        };
        op.operator().output_rows(&dims).unwrap_or_else(|| inputs.iter().find_map(follows))
    }

    /// Requires that all rows which the operator takes one by one are of one bounded dimension, and that every list of
    /// indices names rows of one set.
    pub(super) fn check_rows(&self, name: &str, op: &Op, inputs: &[ValueId]) -> Result<(), GraphError> {
        let dims: Vec<Option<DimId>> = inputs.iter().map(|v| self.values[v.0].rows).collect();
        let by_rows = op.operator().output_rows(&dims).is_none();
        let mut bounded = inputs.iter().filter(|v| self.values[v.0].rows.is_some());
        if let (true, Some(first)) = (by_rows, bounded.next())
            && let Some(other) = bounded.find(|v| self.values[v.0].rows != self.values[first.0].rows)
        {
            let [expected, found] = [first, other].map(|v| {
                let v = &self.values[v.0];
                let dim = v.rows.map_or("", |d| self.dims[d.0].name.as_str());
                format!("`{}` by {dim}", v.name)
            });
            return Err(stored(name, expected, found));
        }
        let named: Vec<_> = inputs.iter().map(|v| (self.values[v.0].shape, self.values[v.0].rows)).collect();
        let named = op.operator().named_rows(&named);
        for list in inputs.iter().filter(|v| self.values[v.0].dtype == DType::Rows) {
            if let (Some(old), Some(new)) = (self.named_rows(*list), named)
                && old != new
            {
                let [expected, found] = [old, new].map(|(rows, dim)| {
                    let dim = dim.map_or("fixed", |d| self.dims[d.0].name.as_str());
                    format!("{rows} rows ({dim}) named by `{}`", self.values[list.0].name)
                });
                return Err(stored(name, expected, found));
            }
        }
        Ok(())
    }
}
