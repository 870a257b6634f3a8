//! Rectifier whose slopes are parameters.

use super::{Context, Data, Init, OpError, Operator, ParamSpec, one};
use burn::tensor::{Tensor, activation};
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// `x` where positive, else `alpha · x` (He et al. 2015); `alpha` is a parameter `[n, h, w, c]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PRelu {
    /// Shape of the slopes: each size is that of the input or 1.
    pub slopes: Shape,
}

/// Slope with which training begins (He et al. 2015, section 2.1).
const INITIAL_SLOPE: f32 = 0.25;

impl Operator for PRelu {
    fn name(&self) -> &'static str {
        "prelu"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        let s = self.slopes;
        let fits = [(s.n, x.n), (s.h, x.h), (s.w, x.w), (s.c, x.c)].iter().all(|&(s, x)| s == x || s == 1);
        if fits { Ok(vec![x]) } else { Err(OpError::Shape { what: "slopes", expected: x, found: s }) }
    }

    fn params(&self, _inputs: &[Shape]) -> Vec<ParamSpec> {
        let s = self.slopes;
        let dims = [s.n, s.h, s.w, s.c].map(|d| d as usize).to_vec();
        vec![ParamSpec {
            name: "alpha",
            dims,
            init: Init::Constant { value: INITIAL_SLOPE },
            trainable: true,
        }]
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let alpha = params[0].clone().permute([3, 0, 1, 2]);
        let negative = x.clone().clamp_max(0.0) * alpha;
        vec![Data::Float(activation::relu(x) + negative)]
    }
}
