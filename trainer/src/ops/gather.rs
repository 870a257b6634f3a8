//! Elements of an axis by their indices.

use super::axes::{dim, either, on_axis, select, shape, sizes, to_nhwc};
use super::{Axis, Context, DType, Data, OpError, Operator};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// The elements along `axis` that indices name, in their order: constant ones, or those of a second input of any
/// shape, which are limited to the first and last element. The output has as many elements along the axis as
/// there are indices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gather {
    /// The axis.
    pub axis: Axis,
    /// Constant indices; `None` where the second input has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indices: Option<Vec<u32>>,
}

impl Operator for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let (x, count) = match (&self.indices, inputs) {
            (Some(indices), [x]) => {
                if let Some(index) = indices.iter().find(|&&index| index >= self.axis.of(*x)) {
                    return Err(on_axis(self.axis.index(), *x, format!("no element {index}")));
                }
                (*x, indices.len() as u64)
            }
            (None, [x, indices]) => (*x, u64::from(indices.checked_elements().unwrap_or(0))),
            (Some(_), _) => return Err(OpError::InputCount { expected: "1", found: inputs.len() }),
            (None, _) => return Err(OpError::InputCount { expected: "2", found: inputs.len() }),
        };
        let mut out = sizes(x);
        out[self.axis.index()] =
            u32::try_from(count).map_err(|_| OpError::Attribute("more than 2^32 indices".into()))?;
        Ok(vec![shape(out)])
    }

    fn input_types(&self, inputs: usize) -> Vec<DType> {
        let mut types = vec![DType::Float; inputs];
        types.iter_mut().skip(1).for_each(|t| *t = DType::Int);
        types
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        // Computed indices are those of one sample.
        self.axis == Axis::N || self.indices.is_none()
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let axis = dim(self.axis.index());
        if let Some(indices) = &self.indices {
            let indices: Vec<usize> = indices.iter().map(|&i| i as usize).collect();
            return vec![either!(inputs[0].clone(), |x| select(x, axis, &indices))];
        }
        let x = inputs[0].float();
        let indices = to_nhwc(inputs[1].int());
        let [n, h, w, c] = indices.dims();
        let last = x.dims()[axis] as i64 - 1;
        let indices =
            Tensor::<1, burn::tensor::Int>::from_inner(indices.reshape([n * h * w * c]).clamp(0, last));
        let indices = if x.is_autodiff() { indices } else { indices.without_autodiff() };
        vec![Data::Float(x.select(axis, indices))]
    }
}
