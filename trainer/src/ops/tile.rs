//! A value repeated along its axes.

use super::axes::{dim, either, on_axis, sizes};
use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// A value repeated along its axes until it has this shape; from a size of 1 that is a broadcast. Any element type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tile {
    /// Shape of the output; each size is a multiple of that of the input.
    pub shape: Shape,
}

impl Operator for Tile {
    fn name(&self) -> &'static str {
        "tile"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        for (axis, (size, whole)) in sizes(x).into_iter().zip(sizes(self.shape)).enumerate() {
            if !whole.is_multiple_of(size) {
                return Err(on_axis(axis, x, format!("{whole} is no multiple of {size}")));
            }
        }
        Ok(vec![self.shape])
    }

    fn any_type(&self) -> bool {
        true
    }

    fn mixes_samples(&self, inputs: &[Shape]) -> bool {
        inputs.iter().any(|x| x.n != self.shape.n)
    }

    fn forward(&self, ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let whole = sizes(Shape { n: self.shape.n * ctx.batch as u32, ..self.shape });
        vec![either!(inputs[0].clone(), |x| {
            (0..4).fold(x, |x, axis| {
                let times = whole[axis] as usize / x.dims()[dim(axis)];
                if times == 1 { x } else { x.repeat_dim(dim(axis), times) }
            })
        })]
    }
}
