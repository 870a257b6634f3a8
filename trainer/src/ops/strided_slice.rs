//! Every so many elements of a value.

use super::axes::{dim, either, on_axis, select, shape, sizes};
use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// On each axis the elements `begin`, `begin + step`, …: `size` of them. Any element type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StridedSlice {
    /// First element on each axis, NHWC.
    pub begin: [u32; 4],
    /// Elements on each axis.
    pub size: [u32; 4],
    /// Distance to the next element; negative walks backwards, never 0.
    pub step: [i32; 4],
}

impl StridedSlice {
    /// Whether the slice takes samples as they are.
    fn keeps_samples(&self, n: u32) -> bool {
        self.begin[0] == 0 && self.step[0] == 1 && self.size[0] == n
    }

    /// Whether the slice is all of a value of this shape.
    pub fn is_whole(&self, x: Shape) -> bool {
        self.begin == [0; 4] && self.size == sizes(x) && self.step == [1; 4]
    }
}

impl Operator for StridedSlice {
    fn name(&self) -> &'static str {
        "strided_slice"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        for (axis, whole) in sizes(x).into_iter().enumerate() {
            let (begin, size, step) = (self.begin[axis], self.size[axis], self.step[axis]);
            let last = i64::from(begin) + i64::from(step) * (i64::from(size) - 1);
            let inside = |at: i64| (0..i64::from(whole)).contains(&at);
            if size == 0 || step == 0 || !inside(i64::from(begin)) || !inside(last) {
                let what = format!("slice of {size} from {begin} on in steps of {step} leaves the tensor");
                return Err(on_axis(axis, x, what));
            }
        }
        Ok(vec![shape(self.size)])
    }

    fn any_type(&self) -> bool {
        true
    }

    fn mixes_samples(&self, inputs: &[Shape]) -> bool {
        inputs.iter().any(|x| !self.keeps_samples(x.n))
    }

    fn forward(&self, ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        // With several samples at once the slice keeps them all.
        let first = if ctx.batch > 1 { 1 } else { 0 };
        let indices = |axis: usize| -> Vec<usize> {
            let at = |i: u32| i64::from(self.begin[axis]) + i64::from(self.step[axis]) * i64::from(i);
            (0..self.size[axis]).map(|i| at(i) as usize).collect()
        };
        vec![either!(inputs[0].clone(), |x| {
            (first..4).fold(x, |x, axis| select(x, dim(axis), &indices(axis)))
        })]
    }
}
