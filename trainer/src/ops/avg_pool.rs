//! Average pooling.

use super::conv2d::{pad_hw, taps};
use super::max_pool::check;
use super::{Activation, Context, Data, OpError, Operator, one, windowed};
use burn::tensor::Tensor;
use dunlin::shape::{Shape, Window};
use serde::{Deserialize, Serialize};

/// Mean over each window; padding counts neither in the sum nor in the divisor. A window as large as the
/// input is a global average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AvgPool {
    /// Window with its padding resolved; where it is dilated there is none.
    pub window: Window,
    /// Activation applied to the output.
    #[serde(default)]
    pub fused: Activation,
}

impl Operator for AvgPool {
    fn name(&self) -> &'static str {
        "avg_pool"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        check(&self.window)?;
        Ok(vec![windowed(&self.window, x, x.c)?])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let [_, _, h, w] = x.dims();
        let v = &self.window;
        let global = v.pad.is_none() && usize::from(v.kernel_h) == h && usize::from(v.kernel_w) == w;
        if global {
            return vec![Data::Float(self.fused.apply(x.mean_dim(2).mean_dim(3)))];
        }
        let inside = Tensor::<4>::ones([1, 1, h, w], &x.device().inner());
        let unpadded = Window { pad: dunlin::shape::Pad::NONE, ..*v };
        let sum = |t: Tensor<4>| {
            taps(pad_hw(t, v.pad, 0.0), &unpadded, 0.0)
                .into_iter()
                .reduce(|a, b| a + b)
                .expect("a window has at least one tap")
        };
        vec![Data::Float(self.fused.apply(sum(x) / sum(inside)))]
    }
}
