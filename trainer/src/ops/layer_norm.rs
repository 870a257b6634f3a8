//! Layer normalisation over the channels (Ba et al. 2016).

use super::{Context, Data, Init, OpError, Operator, ParamSpec, one};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// `gamma · (x − mean) / sqrt(variance + epsilon) + beta` with mean and variance over the channels of every pixel or row;
/// parameters in the order gamma, beta, each `[c]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerNorm {
    /// Added to the variance.
    pub epsilon: f32,
}

impl Operator for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?])
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let dims = vec![inputs[0].c as usize];
        let spec = |name, init| ParamSpec { name, dims: dims.clone(), init, trainable: true };
        vec![spec("gamma", Init::Ones), spec("beta", Init::Zeros)]
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let vector = |i: usize| params[i].clone().permute([3, 0, 1, 2]);
        let centred = x.clone() - x.mean_dim(0);
        let variance = (centred.clone() * centred.clone()).mean_dim(0);
        let normal = centred / (variance + self.epsilon).sqrt();
        vec![Data::Float(normal * vector(0) + vector(1))]
    }
}
