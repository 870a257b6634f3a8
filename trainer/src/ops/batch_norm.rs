//! Batch normalisation over all axes but the channels (Ioffe and Szegedy 2015).

use super::{Context, Data, Init, OpError, Operator, ParamSpec, one};
use burn::tensor::{Tensor, module};
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// `gamma · (x − mean) / sqrt(variance + epsilon) + beta`, parameters in the order gamma, beta, mean, variance,
/// each `[c]`. While training, mean and variance are those of the batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f32,
}

impl Operator for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?])
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let c = inputs[0].c as usize;
        [
            ("gamma", Init::Ones, true),
            ("beta", Init::Zeros, true),
            ("mean", Init::Zeros, false),
            ("variance", Init::Ones, false),
        ]
        .map(|(name, init, trainable)| ParamSpec { name, dims: vec![c], init, trainable })
        .to_vec()
    }

    fn forward(&self, ctx: &mut Context<'_>, inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let dims = x.dims();
        let [c, n, h, w] = dims;
        let x = x.reshape([1, c, n * h * w]);
        let vector = |i: usize| params[i].clone().reshape([c]);
        let epsilon = f64::from(self.epsilon);
        if !ctx.training {
            let y = module::batch_norm(x, vector(0), vector(1), vector(2), vector(3), epsilon);
            return vec![Data::Float(y.reshape(dims))];
        }
        let trained = module::batch_norm_train(x, vector(0), vector(1), epsilon);
        ctx.statistics = Some((trained.mean.inner(), trained.variance.inner()));
        vec![Data::Float(trained.output.reshape(dims))]
    }
}
