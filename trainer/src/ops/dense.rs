//! Fully connected layer.

use super::{Activation, Context, Data, Init, OpError, Operator, ParamSpec, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// `y = act(W x + b)` on the channels of every pixel or row; weights `[out, in]`, bias `[out]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// Number of outputs.
    pub out_features: u32,
    /// Whether a bias is added.
    pub bias: bool,
    /// Activation applied to the output.
    pub fused: Activation,
}

impl Operator for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?.with_c(self.out_features)])
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let c_in = inputs[0].c as usize;
        let out = self.out_features as usize;
        let mut specs = vec![ParamSpec {
            name: "weight",
            dims: vec![out, c_in],
            init: Init::HeNormal { fan_in: c_in },
            trainable: true,
        }];
        if self.bias {
            specs.push(ParamSpec { name: "bias", dims: vec![out], init: Init::Zeros, trainable: true });
        }
        specs
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        inputs[0].elements() as u64 * u64::from(self.out_features)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let [c, n, h, w] = x.dims();
        let out = self.out_features as usize;
        if n * h * w == 0 {
            return vec![Data::Float(Tensor::zeros([out, n, h, w], &x.device()))];
        }
        let y = params[0].clone().reshape([out, c]).matmul(x.reshape([c, n * h * w]));
        let mut y = y.reshape([out, n, h, w]);
        if self.bias {
            y = y + params[1].clone().reshape([out, 1, 1, 1]);
        }
        vec![Data::Float(self.fused.apply(y))]
    }
}
