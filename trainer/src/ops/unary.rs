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
    /// `x²`.
    Square,
    /// `√x`.
    Sqrt,
    /// `1 / √x`.
    Rsqrt,
    /// Natural logarithm.
    Log,
    /// Error function.
    Erf,
    /// −1, 0 or 1.
    Sign,
    /// `1 / x`.
    Reciprocal,
    /// `x^exponent`.
    Pow {
        /// The exponent.
        exponent: f32,
    },
    /// `min(max(alpha · x + beta, 0), 1)`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Value at zero.
        beta: f32,
    },
    /// `x · Φ(x)`, with a hyperbolic tangent in place of the error function (Hendrycks and Gimpel 2016).
    GeluTanh,
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `gamma · x` where positive, else `gamma · alpha · (exp(x) − 1)` (Klambauer et al. 2017).
    Selu {
        /// Limit of the negative side over `gamma`.
        alpha: f32,
        /// Slope of the positive side.
        gamma: f32,
    },
    /// `x` where positive, else `alpha · (exp(x / alpha) − 1)` (Barron 2017).
    Celu {
        /// Limit of the negative side.
        alpha: f32,
    },
    /// `x` above `alpha`, else 0.
    ThresholdedRelu {
        /// The threshold.
        alpha: f32,
    },
    /// `x · tanh(log(1 + exp(x)))` (Misra 2019).
    Mish,
    /// `x + bias` below `−lambda`, `x − bias` above `lambda`, 0 between.
    Shrink {
        /// End of the interval that becomes 0.
        lambda: f32,
        /// How far the others move towards 0.
        bias: f32,
    },
    /// Largest integer that is not above `x`.
    Floor,
    /// Smallest integer that is not below `x`.
    Ceil,
    /// Nearest integer, of two the even one.
    Round,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
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
            UnaryFn::Elu { alpha } => elu(x, 1.0, f64::from(alpha), 1.0),
            UnaryFn::Gelu => 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
            UnaryFn::Exp => x.exp(),
            UnaryFn::Abs => x.abs(),
            UnaryFn::Neg => -x,
            UnaryFn::Square => x * x,
            UnaryFn::Sqrt => x.sqrt(),
            UnaryFn::Rsqrt => 1.0 / x.sqrt(),
            UnaryFn::Log => x.ln(),
            UnaryFn::Erf => libm::erf(x),
            UnaryFn::Sign if x == 0.0 => 0.0,
            UnaryFn::Sign => x.signum(),
            UnaryFn::Reciprocal => 1.0 / x,
            UnaryFn::Pow { exponent } => x.powf(f64::from(exponent)),
            UnaryFn::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
            UnaryFn::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            UnaryFn::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            UnaryFn::Softsign => x / (1.0 + x.abs()),
            UnaryFn::Selu { alpha, gamma } => elu(x, f64::from(gamma), f64::from(alpha), 1.0),
            UnaryFn::Celu { alpha } => elu(x, 1.0, f64::from(alpha), f64::from(alpha)),
            UnaryFn::ThresholdedRelu { alpha } => {
                if x > f64::from(alpha) {
                    x
                } else {
                    0.0
                }
            }
            UnaryFn::Mish => x * UnaryFn::Softplus.eval(x).tanh(),
            UnaryFn::Shrink { lambda, bias } => {
                let (lambda, bias) = (f64::from(lambda), f64::from(bias));
                if x > lambda {
                    x - bias
                } else if x < -lambda {
                    x + bias
                } else {
                    0.0
                }
            }
            UnaryFn::Floor => x.floor(),
            UnaryFn::Ceil => x.ceil(),
            UnaryFn::Round => x.round_ties_even(),
            UnaryFn::Sin => x.sin(),
            UnaryFn::Cos => x.cos(),
        }
    }

    /// The function on a tensor.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            UnaryFn::Relu => activation::relu(x),
            UnaryFn::Relu6 => x.clamp(0.0, 6.0),
            UnaryFn::Clamp { lo, hi } => x.clamp(lo, hi),
            UnaryFn::LeakyRelu { alpha } => activation::leaky_relu(x, f64::from(alpha)),
            UnaryFn::Sigmoid => activation::sigmoid(x),
            UnaryFn::Tanh => activation::tanh(x),
            UnaryFn::HardSwish => x.clone() * (x.add_scalar(3.0).clamp(0.0, 6.0) / 6.0),
            UnaryFn::Elu { alpha } => elu_tensor(x, 1.0, alpha, 1.0),
            UnaryFn::Gelu => activation::gelu(x),
            UnaryFn::Exp => x.exp(),
            UnaryFn::Abs => x.abs(),
            UnaryFn::Neg => x.neg(),
            UnaryFn::Square => x.clone() * x,
            UnaryFn::Sqrt => x.sqrt(),
            UnaryFn::Rsqrt => x.sqrt().recip(),
            UnaryFn::Log => x.log(),
            UnaryFn::Erf => x.erf(),
            UnaryFn::Sign => x.sign(),
            UnaryFn::Reciprocal => x.recip(),
            UnaryFn::Pow { exponent } => x.powf_scalar(exponent),
            UnaryFn::HardSigmoid { alpha, beta } => x.mul_scalar(alpha).add_scalar(beta).clamp(0.0, 1.0),
            UnaryFn::GeluTanh => {
                let cube = x.clone() * x.clone() * x.clone();
                let inner = (x.clone() + cube.mul_scalar(0.044715))
                    .mul_scalar((2.0f32 / std::f32::consts::PI).sqrt());
                x.mul_scalar(0.5) * activation::tanh(inner).add_scalar(1.0)
            }
            UnaryFn::Softplus => softplus(x),
            UnaryFn::Softsign => x.clone() / x.abs().add_scalar(1.0),
            UnaryFn::Selu { alpha, gamma } => elu_tensor(x, gamma, alpha, 1.0),
            UnaryFn::Celu { alpha } => elu_tensor(x, 1.0, alpha, alpha),
            UnaryFn::ThresholdedRelu { alpha } => x.clone() * x.greater_elem(alpha).float(),
            UnaryFn::Mish => x.clone() * activation::tanh(softplus(x)),
            UnaryFn::Shrink { lambda, bias } => {
                let above = x.clone().greater_elem(lambda).float();
                let below = x.clone().lower_elem(-lambda).float();
                x.clone().sub_scalar(bias) * above + x.add_scalar(bias) * below
            }
            UnaryFn::Floor => x.floor(),
            UnaryFn::Ceil => x.ceil(),
            UnaryFn::Round => x.round(),
            UnaryFn::Sin => x.sin(),
            UnaryFn::Cos => x.cos(),
        }
    }

    /// Name as printed, snake case.
    pub fn name(self) -> &'static str {
        match self {
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
            UnaryFn::Square => "square",
            UnaryFn::Sqrt => "sqrt",
            UnaryFn::Rsqrt => "rsqrt",
            UnaryFn::Log => "log",
            UnaryFn::Erf => "erf",
            UnaryFn::Sign => "sign",
            UnaryFn::Reciprocal => "reciprocal",
            UnaryFn::Pow { .. } => "pow",
            UnaryFn::HardSigmoid { .. } => "hard_sigmoid",
            UnaryFn::GeluTanh => "gelu_tanh",
            UnaryFn::Softplus => "softplus",
            UnaryFn::Softsign => "softsign",
            UnaryFn::Selu { .. } => "selu",
            UnaryFn::Celu { .. } => "celu",
            UnaryFn::ThresholdedRelu { .. } => "thresholded_relu",
            UnaryFn::Mish => "mish",
            UnaryFn::Shrink { .. } => "shrink",
            UnaryFn::Floor => "floor",
            UnaryFn::Ceil => "ceil",
            UnaryFn::Round => "round",
            UnaryFn::Sin => "sin",
            UnaryFn::Cos => "cos",
        }
    }
}

/// `slope · x` where positive, else `slope · limit · (exp(x / width) − 1)`.
fn elu(x: f64, slope: f64, limit: f64, width: f64) -> f64 {
    if x >= 0.0 { slope * x } else { slope * limit * (x / width).exp_m1() }
}

fn elu_tensor<const D: usize>(x: Tensor<D>, slope: f32, limit: f32, width: f32) -> Tensor<D> {
    let negative = x.clone().clamp_max(0.0).div_scalar(width).exp().sub_scalar(1.0).mul_scalar(slope * limit);
    activation::relu(x).mul_scalar(slope) + negative
}

/// `log(1 + exp(x))` without overflow.
fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::relu(x.clone()) + x.abs().neg().exp().log1p()
}

impl Operator for Unary {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![one(inputs)?])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        vec![Data::Float(self.function.apply(inputs[0].float()))]
    }
}
