//! Sums, means and extremes over axes, and their indices.

use super::axes::{dim, shape, sizes};
use super::{Axis, Context, DType, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// What becomes of the values that a reduction joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReduceFn {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// Joins all values along some axes, which then have size 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reduce {
    /// What becomes of them.
    pub function: ReduceFn,
    /// Axes that are reduced, NHWC.
    pub axes: [bool; 4],
}

/// Index of the largest or smallest value along an axis, the first of equals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArgExtreme {
    /// The axis, which then has size 1.
    pub axis: Axis,
    /// The largest value, else the smallest.
    pub largest: bool,
}

impl Operator for Reduce {
    fn name(&self) -> &'static str {
        match self.function {
            ReduceFn::Mean => "reduce_mean",
            ReduceFn::Sum => "reduce_sum",
            ReduceFn::Max => "reduce_max",
            ReduceFn::Min => "reduce_min",
        }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let mut out = sizes(one(inputs)?);
        out.iter_mut().zip(self.axes).filter(|(_, reduced)| *reduced).for_each(|(size, _)| *size = 1);
        Ok(vec![shape(out)])
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        self.axes[0]
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let axes = (0..4).filter(|&axis| self.axes[axis]);
        vec![Data::Float(axes.fold(inputs[0].float(), |x, axis| match self.function {
            ReduceFn::Mean => x.mean_dim(dim(axis)),
            ReduceFn::Sum => x.sum_dim(dim(axis)),
            ReduceFn::Max => x.max_dim(dim(axis)),
            ReduceFn::Min => x.min_dim(dim(axis)),
        }))]
    }
}

impl Operator for ArgExtreme {
    fn name(&self) -> &'static str {
        if self.largest { "arg_max" } else { "arg_min" }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![self.axis.with(one(inputs)?, 1)])
    }

    fn output_types(&self) -> Vec<DType> {
        vec![DType::Int]
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        self.axis == Axis::N
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let (x, dim) = (inputs[0].float().inner(), dim(self.axis.index()));
        vec![Data::Int(if self.largest { x.argmax(dim) } else { x.argmin(dim) })]
    }
}
