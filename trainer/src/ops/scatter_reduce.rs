//! Sum, mean or maximum of rows that share an index.

use super::rows::{add_rows, constant, entries, listed, present};
use super::{Context, DType, Data, DimId, OpError, Operator};
use burn::tensor::Tensor;
use dunlin::ops::Aggregation;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// Reduces the rows of input 0 that have one entry in the list of indices, input 1: `[1,1,e,c]` and `[1,1,e,1]` give
/// `[1,1,n,c]`. A row that no entry names is zero. The maximum takes the first of equals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScatterReduce {
    /// The operation.
    pub aggregation: Aggregation,
    /// Rows of the output, or their bound.
    pub rows: u32,
    /// Bounded dimension of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dim: Option<DimId>,
}

impl Operator for ScatterReduce {
    fn name(&self) -> &'static str {
        "scatter_reduce"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = listed(inputs)?;
        Ok(vec![Shape::rows(self.rows, x.c)])
    }

    fn input_types(&self, _inputs: usize) -> Vec<DType> {
        vec![DType::Float, DType::Rows]
    }

    fn output_rows(&self, _inputs: &[Option<DimId>]) -> Option<Option<DimId>> {
        Some(self.dim)
    }

    fn named_rows(&self, _inputs: &[(Shape, Option<DimId>)]) -> Option<(u32, Option<DimId>)> {
        Some((self.rows, self.dim))
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        true
    }

    fn forward(&self, ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let list = entries(&inputs[1]);
        let rows = self.dim.map_or(self.rows as usize, |dim| ctx.counts[dim.0]);
        let [c, _, _, width] = x.dims();
        if rows == 0 || width == 0 {
            return vec![Data::Float(Tensor::zeros([c, 1, 1, rows], &x.device()))];
        }
        if self.aggregation == Aggregation::Max {
            let mask = constant(winners(&x, &list, rows), [c, 1, 1, width], &x);
            return vec![Data::Float(add_rows(x * mask, &list, rows))];
        }
        let (all, mask) = present(&list, rows, &x);
        let x = if all { x } else { x * mask };
        let sum = add_rows(x, &list, rows);
        if self.aggregation == Aggregation::Sum {
            return vec![Data::Float(sum)];
        }
        let mut counts = vec![0f32; rows];
        list.iter().filter(|&&i| i < rows).for_each(|&i| counts[i] += 1.0);
        let parts = counts.into_iter().map(|count| 1.0 / count.max(1.0)).collect();
        let parts = constant(parts, [1, 1, 1, rows], &sum);
        vec![Data::Float(sum * parts)]
    }
}

/// 1 where an element of `x` is the largest, and the first of equals, of its channel among the rows with its entry;
/// elsewhere 0.
fn winners(x: &Tensor<4>, list: &[usize], rows: usize) -> Vec<f32> {
    let values: Vec<f32> = x.clone().into_data().try_into_vec().expect("activations are f32");
    let width = list.len();
    let mut mask = vec![0.0; values.len()];
    for (line, mask) in values.chunks_exact(width).zip(mask.chunks_exact_mut(width)) {
        let mut best = vec![usize::MAX; rows];
        for (at, &index) in list.iter().enumerate().filter(|(_, i)| **i < rows) {
            let old = best[index];
            if old == usize::MAX || line[at] > line[old] {
                best[index] = at;
            }
        }
        best.into_iter().filter(|&at| at != usize::MAX).for_each(|at| mask[at] = 1.0);
    }
    mask
}
