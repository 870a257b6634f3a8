//! Functions of one element.

use super::writer::{Writer, float};
use crate::ops::UnaryFn;

/// Writes the nodes of a function of `x` as `y`, in operators of set 13.
pub(super) fn unary(w: &mut Writer<'_>, function: UnaryFn, x: &str, y: &str) {
    let mut plain = |op: &str, attributes| w.node(op, &[x], &[y], attributes);
    match function {
        UnaryFn::Relu => plain("Relu", Vec::new()),
        UnaryFn::Relu6 => w.clip(x, y, 0.0, 6.0),
        UnaryFn::Clamp { lo, hi } => w.clip(x, y, lo, hi),
        UnaryFn::LeakyRelu { alpha } => plain("LeakyRelu", vec![float("alpha", alpha)]),
        UnaryFn::Sigmoid => plain("Sigmoid", Vec::new()),
        UnaryFn::Tanh => plain("Tanh", Vec::new()),
        UnaryFn::Elu { alpha } => plain("Elu", vec![float("alpha", alpha)]),
        UnaryFn::Exp => plain("Exp", Vec::new()),
        UnaryFn::Abs => plain("Abs", Vec::new()),
        UnaryFn::Neg => plain("Neg", Vec::new()),
        UnaryFn::Sqrt => plain("Sqrt", Vec::new()),
        UnaryFn::Log => plain("Log", Vec::new()),
        UnaryFn::Erf => plain("Erf", Vec::new()),
        UnaryFn::Sign => plain("Sign", Vec::new()),
        UnaryFn::Reciprocal => plain("Reciprocal", Vec::new()),
        UnaryFn::HardSigmoid { alpha, beta } => {
            plain("HardSigmoid", vec![float("alpha", alpha), float("beta", beta)]);
        }
        UnaryFn::Softplus => plain("Softplus", Vec::new()),
        UnaryFn::Softsign => plain("Softsign", Vec::new()),
        UnaryFn::Selu { alpha, gamma } => plain("Selu", vec![float("alpha", alpha), float("gamma", gamma)]),
        UnaryFn::Celu { alpha } => plain("Celu", vec![float("alpha", alpha)]),
        UnaryFn::ThresholdedRelu { alpha } => plain("ThresholdedRelu", vec![float("alpha", alpha)]),
        UnaryFn::Shrink { lambda, bias } => {
            plain("Shrink", vec![float("lambd", lambda), float("bias", bias)])
        }
        UnaryFn::Floor => plain("Floor", Vec::new()),
        UnaryFn::Ceil => plain("Ceil", Vec::new()),
        UnaryFn::Round => plain("Round", Vec::new()),
        UnaryFn::Sin => plain("Sin", Vec::new()),
        UnaryFn::Cos => plain("Cos", Vec::new()),
        UnaryFn::Square => w.node("Mul", &[x, x], &[y], Vec::new()),
        UnaryFn::Rsqrt => {
            let root = format!("{y}.root");
            w.node("Sqrt", &[x], &[&root], Vec::new());
            w.node("Reciprocal", &[&root], &[y], Vec::new());
        }
        UnaryFn::Pow { exponent } => {
            let constant = format!("{y}.exponent");
            w.floats(&constant, &[], &[exponent]);
            w.node("Pow", &[x, &constant], &[y], Vec::new());
        }
        UnaryFn::Mish => {
            // x · tanh(softplus(x)); the operator of its own came with set 18.
            let [softplus, gate] = ["softplus", "gate"].map(|s| format!("{y}.{s}"));
            w.node("Softplus", &[x], &[&softplus], Vec::new());
            w.node("Tanh", &[&softplus], &[&gate], Vec::new());
            w.node("Mul", &[x, &gate], &[y], Vec::new());
        }
        UnaryFn::GeluTanh => {
            // x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) / 2; the operator of its own came with set 20.
            let [square, cube, inner, tanh, one, sum, half] =
                ["square", "cube", "inner", "tanh", "one", "sum", "half"].map(|s| format!("{y}.{s}"));
            w.node("Mul", &[x, x], &[&square], Vec::new());
            w.node("Mul", &[&square, x], &[&cube], Vec::new());
            let cubic = times(w, &cube, &format!("{y}.cubic"), 0.044_715);
            w.node("Add", &[x, &cubic], &[&inner], Vec::new());
            let scaled = times(w, &inner, &format!("{y}.scaled"), (2.0 / std::f32::consts::PI).sqrt());
            w.node("Tanh", &[&scaled], &[&tanh], Vec::new());
            w.floats(&one, &[], &[1.0]);
            w.node("Add", &[&tanh, &one], &[&sum], Vec::new());
            let halved = times(w, &sum, &half, 0.5);
            w.node("Mul", &[x, &halved], &[y], Vec::new());
        }
        UnaryFn::HardSwish => {
            // x · min(max(x + 3, 0), 6) / 6; the operator of its own came with set 14.
            let gate = format!("{y}.gate");
            let attributes = vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)];
            w.node("HardSigmoid", &[x], &[&gate], attributes);
            w.node("Mul", &[x, &gate], &[y], Vec::new());
        }
        UnaryFn::Gelu => {
            // x · (1 + erf(x / √2)) / 2; the operator of its own came with set 20.
            let [erf, one, sum, half] = ["erf", "one", "sum", "half"].map(|s| format!("{y}.{s}"));
            let scaled = times(w, x, &format!("{y}.scaled"), std::f32::consts::FRAC_1_SQRT_2);
            w.node("Erf", &[&scaled], &[&erf], Vec::new());
            w.floats(&one, &[], &[1.0]);
            w.node("Add", &[&erf, &one], &[&sum], Vec::new());
            let halved = times(w, &sum, &half, 0.5);
            w.node("Mul", &[x, &halved], &[y], Vec::new());
        }
    }
}

/// `x` times a constant, as `y`.
pub(super) fn times(w: &mut Writer<'_>, x: &str, y: &str, factor: f32) -> String {
    let constant = format!("{y}.factor");
    w.floats(&constant, &[], &[factor]);
    w.node("Mul", &[x, &constant], &[y], Vec::new());
    y.into()
}
