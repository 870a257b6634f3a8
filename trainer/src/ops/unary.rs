//! Functions of one element.

use super::{Context, Data, OpError, Operator, one};
use burn::tensor::{Tensor, activation};
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// A function applied to every element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unary {
    /// The function.
    pub function: UnaryFn,
}

/// Functions of one real number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum UnaryFn {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, lo), hi)`.
    Clamp {
        /// Lower bound.
        lo: f32,
        /// Upper bound.
        hi: f32,
    },
    /// `x` where positive, else `alpha · x`.
    LeakyRelu {
        /// Slope of the negative side.
        alpha: f32,
    },
    /// `1 / (1 + exp(−x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x · min(max(x + 3, 0), 6) / 6`.
    HardSwish,
    /// `x` where positive, else `alpha · (exp(x) − 1)`.
    Elu {
        /// Limit of the negative side.
        alpha: f32,
    },
    /// `x · Φ(x)`, with the error function.
    Gelu,
    /// `exp(x)`.
    Exp,
    /// `|x|`.
    Abs,
    /// `−x`.
    Neg,
}

impl UnaryFn {
    /// The function itself, in f64; `Φ` of GELU to 1e-15.
    pub fn eval(self, x: f64) -> f64 {
        match self {
            UnaryFn::Relu => x.max(0.0),
            UnaryFn::Relu6 => x.clamp(0.0, 6.0),
            UnaryFn::Clamp { lo, hi } => x.max(f64::from(lo)).min(f64::from(hi)),
            UnaryFn::LeakyRelu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    f64::from(alpha) * x
                }
            }
            UnaryFn::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            UnaryFn::Tanh => x.tanh(),
            UnaryFn::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            UnaryFn::Elu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    f64::from(alpha) * x.exp_m1()
                }
            }
            UnaryFn::Gelu => 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
            UnaryFn::Exp => x.exp(),
            UnaryFn::Abs => x.abs(),
            UnaryFn::Neg => -x,
        }
    }
}

impl Operator for Unary {
    fn name(&self) -> &'static str {
        match self.function {
            UnaryFn::Relu => "relu",
            UnaryFn::Relu6 => "relu6",
            UnaryFn::Clamp { .. } => "clamp",
            UnaryFn::LeakyRelu { .. } => "leaky_relu",
            UnaryFn::Sigmoid => "sigmoid",
            UnaryFn::Tanh => "tanh",
            UnaryFn::HardSwish => "hard_swish",
            UnaryFn::Elu { .. } => "elu",
            UnaryFn::Gelu => "gelu",
            UnaryFn::Exp => "exp",
            UnaryFn::Abs => "abs",
            UnaryFn::Neg => "neg",
        }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let y = match self.function {
            UnaryFn::Relu => activation::relu(x),
            UnaryFn::Relu6 => x.clamp(0.0, 6.0),
            UnaryFn::Clamp { lo, hi } => x.clamp(lo, hi),
            UnaryFn::LeakyRelu { alpha } => activation::leaky_relu(x, f64::from(alpha)),
            UnaryFn::Sigmoid => activation::sigmoid(x),
            UnaryFn::Tanh => activation::tanh(x),
            UnaryFn::HardSwish => x.clone() * (x.add_scalar(3.0).clamp(0.0, 6.0) / 6.0),
            UnaryFn::Elu { alpha } => {
                let negative = x.clone().clamp_max(0.0).exp().sub_scalar(1.0).mul_scalar(alpha);
                activation::relu(x) + negative
            }
            UnaryFn::Gelu => activation::gelu(x),
            UnaryFn::Exp => x.exp(),
            UnaryFn::Abs => x.abs(),
            UnaryFn::Neg => x.neg(),
        };
        vec![Data::Float(y)]
    }
}
