//! Functions of one element.

use super::binary::{self, BinaryFn};
use super::constant::{Constant, Elements};
use super::fail::Fail;
use super::importer::{Held, Importer, Item, Kind};
use super::node::Node;
use crate::ops::{self, UnaryFn};

/// `function` of every element of `x`; its layout makes no difference.
pub(super) fn apply(im: &mut Importer, part: &str, function: UnaryFn, x: &Held) -> Result<Held, Fail> {
    if x.kind != Kind::Real {
        return Err(Fail::unsupported(
            "computes with integers when the model runs",
            "real numbers, quantised with QuantizeLinear and DequantizeLinear around the operator, can be imported",
        ));
    }
    let id = im.push(part, ops::Unary { function }, &[x.id], vec![])?;
    Ok(x.with_id(id))
}

pub(super) fn function(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let function = match node.op {
        "Relu" => UnaryFn::Relu,
        "LeakyRelu" => UnaryFn::LeakyRelu { alpha: node.float_or("alpha", 0.01)? },
        "Elu" => UnaryFn::Elu { alpha: node.float_or("alpha", 1.0)? },
        // The defaults are the standard's, of Klambauer et al. (2017).
        "Selu" => UnaryFn::Selu {
            alpha: node.float_or("alpha", 1.673_263_2)?,
            gamma: node.float_or("gamma", 1.050_701)?,
        },
        "HardSigmoid" => {
            UnaryFn::HardSigmoid { alpha: node.float_or("alpha", 0.2)?, beta: node.float_or("beta", 0.5)? }
        }
        "HardSwish" => UnaryFn::HardSwish,
        "Sigmoid" => UnaryFn::Sigmoid,
        "Tanh" => UnaryFn::Tanh,
        "Gelu" => match node.string_or("approximate", "none")? {
            "none" => UnaryFn::Gelu,
            "tanh" => UnaryFn::GeluTanh,
            other => return Err(Fail::malformed(format!("`approximate` is `{other}`"))),
        },
        "Exp" => UnaryFn::Exp,
        "Log" => UnaryFn::Log,
        "Neg" => UnaryFn::Neg,
        "Abs" => UnaryFn::Abs,
        "Sqrt" => UnaryFn::Sqrt,
        "Reciprocal" => UnaryFn::Reciprocal,
        "Erf" => UnaryFn::Erf,
        "Softplus" => UnaryFn::Softplus,
        "Softsign" => UnaryFn::Softsign,
        "Celu" => UnaryFn::Celu { alpha: node.float_or("alpha", 1.0)? },
        "ThresholdedRelu" => UnaryFn::ThresholdedRelu { alpha: node.float_or("alpha", 1.0)? },
        "Shrink" => {
            UnaryFn::Shrink { lambda: node.float_or("lambd", 0.5)?, bias: node.float_or("bias", 0.0)? }
        }
        "Sign" => UnaryFn::Sign,
        "Mish" => UnaryFn::Mish,
        "Sin" => UnaryFn::Sin,
        "Cos" => UnaryFn::Cos,
        "Floor" => UnaryFn::Floor,
        "Ceil" => UnaryFn::Ceil,
        "Round" => UnaryFn::Round,
        other => return Err(Fail::unsupported(format!("{other} is no function of one element"), "")),
    };
    let x = im.item(node, 0)?;
    Ok(vec![match x {
        Item::Constant(c) => Item::constant(computed(&c, function)),
        other => {
            let held = im.hold(other)?;
            Item::Held(apply(im, "", function, &held)?)
        }
    }])
}

fn computed(c: &Constant, function: UnaryFn) -> Constant {
    let data = match &c.data {
        Elements::Float(v) => {
            Elements::Float(v.iter().map(|x| function.eval(f64::from(*x)) as f32).collect())
        }
        Elements::Int(v) => Elements::Int(v.iter().map(|x| function.eval(*x as f64) as i64).collect()),
    };
    Constant::new(c.dims.clone(), c.elem, data)
}

/// `x · sigmoid(alpha · x)`.
pub(super) fn swish(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let x = im.held(node, 0)?;
    let alpha = Item::constant(Constant::floats(vec![], vec![node.float_or("alpha", 1.0)?]));
    let scaled = binary::apply(im, "scaled", BinaryFn::Mul, Item::Held(x.clone()), alpha)?;
    let gate = apply(im, "gate", UnaryFn::Sigmoid, &scaled)?;
    Ok(vec![Item::Held(binary::held(im, "", BinaryFn::Mul, &x, &gate)?)])
}

/// Limits; attributes before operator set 11, inputs from then on.
pub(super) fn clip(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    let (low, high) = if node.opset < 11 {
        node.check_inputs(1, 1)?;
        (node.float("min")?, node.float("max")?)
    } else {
        node.check_inputs(1, 3)?;
        let bound = |i: usize| im.constant_if_given(node, i)?.map(|c| c.scalar()).transpose();
        (bound(1)?, bound(2)?)
    };
    let (lo, hi) = (low.unwrap_or(f32::NEG_INFINITY), high.unwrap_or(f32::INFINITY));
    if lo.is_nan() || hi.is_nan() {
        return Err(Fail::malformed(format!("limits {lo} and {hi}")));
    }
    // The standard: with a lower limit above the upper one every element becomes the upper one.
    let lo = lo.min(hi);
    let function = if lo == 0.0 && hi == f32::INFINITY {
        UnaryFn::Relu
    } else if lo == 0.0 && hi == 6.0 {
        UnaryFn::Relu6
    } else {
        UnaryFn::Clamp { lo, hi }
    };
    let x = im.item(node, 0)?;
    Ok(vec![match x {
        Item::Constant(c) => Item::constant(computed(&c, UnaryFn::Clamp { lo, hi })),
        other => {
            let held = im.hold(other)?;
            if lo == f32::NEG_INFINITY && hi == f32::INFINITY {
                return Ok(vec![Item::Held(held)]);
            }
            // Limits of integers that stand for themselves are limits of real numbers.
            let itself = matches!(held.kind, Kind::Quantised { scale: 1.0, zero: 0, .. });
            let real = Held { kind: if itself { Kind::Real } else { held.kind }, ..held.clone() };
            let y = apply(im, "", function, &real)?;
            Item::Held(Held { kind: held.kind, ..y })
        }
    }])
}

/// Logical negation of known elements.
pub(super) fn not(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let c = im.constant(node, 0)?;
    let data = Elements::Int(c.as_ints()?.iter().map(|x| i64::from(*x == 0)).collect());
    Ok(vec![Item::constant(Constant::new(c.dims.clone(), c.elem, data))])
}
