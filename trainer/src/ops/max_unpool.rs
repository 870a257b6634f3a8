//! Maximum unpooling: values return to where the pool found them (Badrinarayanan et al. 2017).

use super::max_pool::origins;
use super::{Context, DType, Data, OpError, Operator, two, windowed};
use burn::tensor::{IndexingUpdateOp, Tensor};
use dunlin::shape::{Shape, Window};
use serde::{Deserialize, Serialize};

/// Puts each value at the position that [`super::MaxPoolIndices`] with the same window recorded; the rest is 0.
/// Inputs: values and positions of the same shape. Windows must not overlap, so that no two values meet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxUnpool {
    /// Window of the pool whose positions are used.
    pub window: Window,
    /// Rows of the output: those of the pool's input.
    pub out_h: u32,
    /// Columns of the output.
    pub out_w: u32,
}

impl Operator for MaxUnpool {
    fn name(&self) -> &'static str {
        "max_unpool"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let (x, positions) = two(inputs)?;
        if positions != x {
            return Err(OpError::Shape { what: "positions", expected: x, found: positions });
        }
        if self.window.stride_h < self.window.kernel_h || self.window.stride_w < self.window.kernel_w {
            return Err(OpError::Attribute("unpooling needs windows that do not overlap".into()));
        }
        let y = Shape { n: x.n, h: self.out_h, w: self.out_w, c: x.c };
        let pooled = windowed(&self.window, y, x.c)?;
        if pooled != x {
            return Err(OpError::Shape {
                what: "values, given the output size and the window",
                expected: pooled,
                found: x,
            });
        }
        Ok(vec![y])
    }

    fn input_types(&self, _inputs: usize) -> Vec<DType> {
        vec![DType::Float, DType::Index]
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let positions = inputs[1].int();
        let [c, n, h, w] = x.dims();
        let (oh, ow) = (self.out_h as usize, self.out_w as usize);
        let kw = i64::from(self.window.kernel_w);
        let (row0, col0) = origins(&self.window, self.window.pad, h, w, &positions.device());
        let rows = positions.clone().div_scalar(kw) + row0;
        let cols = positions.remainder_scalar(kw) + col0;
        let plane = (rows.mul_scalar(ow as i64) + cols).reshape([c, n, h * w]);
        let plane = Tensor::from_inner(plane);
        let plane = if x.is_autodiff() { plane } else { plane.without_autodiff() };
        let zeros = Tensor::<3>::zeros([c, n, oh * ow], &x.device());
        let y = zeros.scatter(2, plane, x.reshape([c, n, h * w]), IndexingUpdateOp::Add);
        vec![Data::Float(y.reshape([c, n, oh, ow]))]
    }
}
