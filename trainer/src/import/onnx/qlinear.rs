//! Operators on integers that stand for real numbers: QLinearConv, QLinearMatMul and those of onnxruntime.
//!
//! Scales and zero points are inputs of the operator; the graph has the operator on real numbers, with pins.

use super::binary::{self, BinaryFn};
use super::concat;
use super::constant::{Constant, Elem, Grid};
use super::conv as convolution;
use super::fail::Fail;
use super::importer::{Held, Importer, Item, Kind};
use super::matmul as product;
use super::node::Node;
use super::pool;
use super::qdq::{check_scales, dequantize, pinned, quantize, real, step};
use super::shape::{axis, known};
use super::table::Import;
use super::unary;
use crate::ops::UnaryFn;
use std::rc::Rc;

/// Input `i` of an operator on integers, with its scale and zero point behind it, as real numbers.
fn operand(im: &mut Importer, node: &Node<'_>, i: usize) -> Result<Held, Fail> {
    let held = im.held(node, i)?;
    let elem = if let Kind::Quantised { elem, .. } = held.kind { elem } else { Elem::U8 };
    let step = step(im, node, i + 1, elem)?;
    real(held, step)
}

/// The result of an operator on integers, with scale and zero point at `i`.
fn result(im: &mut Importer, node: &Node<'_>, y: Held, i: usize) -> Result<Vec<Item>, Fail> {
    let step = step(im, node, i, Elem::U8)?;
    Ok(vec![Item::Held(pinned(im, y, step, true)?)])
}

/// Weights, input `i`, with scale and zero point behind them, one or one for each index along `along`.
fn weights(im: &Importer, node: &Node<'_>, i: usize, along: usize) -> Result<Constant, Fail> {
    let c = im.constant(node, i)?;
    let scales = im.constant(node, i + 1)?.to_floats();
    check_scales(&scales)?;
    let zeros = im.constant(node, i + 2)?.as_ints()?.to_vec();
    let size = c.dims.get(along).copied().unwrap_or(1);
    if (scales.len() != 1 && scales.len() != size) || (zeros.len() != 1 && zeros.len() != size) {
        return Err(Fail::malformed(format!("{} scales for {size} channels", scales.len())));
    }
    let inner: usize = c.dims.iter().skip(along + 1).product();
    let ints = c.as_ints()?.to_vec();
    let real = ints.iter().enumerate().map(|(k, q)| {
        let channel = k / inner.max(1) % size.max(1);
        let scale = scales.get(channel).or(scales.first()).copied().unwrap_or(1.0);
        let zero = zeros.get(channel).or(zeros.first()).copied().unwrap_or(0);
        scale * q.saturating_sub(zero) as f32
    });
    let mut weights = Constant::floats(c.dims.clone(), real.collect());
    weights.grid = Some(Rc::new(Grid { elem: c.elem, scales, axis: along, zeros, ints }));
    Ok(weights)
}

/// A bias of integers, input `i`, in steps of input scale times weight scale.
fn bias(im: &Importer, node: &Node<'_>, i: usize, x: f32, w: &Constant) -> Result<Option<Constant>, Fail> {
    let Some(c) = im.constant_if_given(node, i)? else { return Ok(None) };
    let ints = c.as_ints()?.to_vec();
    let scales: Vec<f32> =
        w.grid.as_ref().map_or_else(Vec::new, |g| g.scales.iter().map(|s| s * x).collect());
    let scale = |k: usize| scales.get(k).or(scales.first()).copied().unwrap_or(1.0);
    let real = ints.iter().enumerate().map(|(k, q)| scale(k) * *q as f32).collect();
    let mut bias = Constant::floats(vec![ints.len()], real);
    bias.grid = Some(Rc::new(Grid { elem: c.elem, scales, axis: 0, zeros: vec![0], ints }));
    Ok(Some(bias))
}

pub(super) fn conv(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(8, 9)?;
    let x = operand(im, node, 0)?;
    let weight = weights(im, node, 3, 0)?;
    let scale = im.constant(node, 1)?.scalar()?;
    let bias = bias(im, node, 8, scale, &weight)?;
    let y = convolution::convolved(im, node, x, &weight, bias.as_ref())?;
    result(im, node, y, 6)
}

pub(super) fn matmul(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(8, 8)?;
    let a = operand(im, node, 0)?;
    let b = match im.item(node, 3)? {
        Item::Constant(c) => Item::constant(weights(im, node, 3, c.dims.len().saturating_sub(1))?),
        _ => Item::Held(operand(im, node, 3)?),
    };
    let y = product::product(im, "", Item::Held(a), b)?;
    result(im, node, y, 6)
}

/// Operators of other domains: onnxruntime's on integers.
pub(super) fn foreign(op: &str) -> Option<Import> {
    Some(match op {
        "QuantizeLinear" => quantize,
        "DequantizeLinear" => dequantize,
        "QLinearAdd" | "QLinearMul" => sum,
        "QLinearGlobalAveragePool" | "QLinearAveragePool" => average,
        "QLinearSigmoid" | "QLinearLeakyRelu" => function,
        "QLinearConcat" => joined,
        "QGemm" => gemm,
        "Gelu" => gelu,
        _ => return None,
    })
}

fn sum(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(7, 8)?;
    let (a, b) = (operand(im, node, 0)?, operand(im, node, 3)?);
    let f = if node.op == "QLinearAdd" { BinaryFn::Add } else { BinaryFn::Mul };
    let y = binary::held(im, "", f, &a, &b)?;
    result(im, node, y, 6)
}

fn average(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(4, 5)?;
    if node.flag("channels_last")? {
        return Err(Fail::unsupported("`channels_last` is set", "channels first can be imported"));
    }
    let x = operand(im, node, 0)?;
    let y = if node.op == "QLinearAveragePool" {
        pool::pooled(im, node, x)?
    } else {
        pool::overall(im, x, false)?
    };
    result(im, node, y, 3)
}

fn function(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(4, 5)?;
    let x = operand(im, node, 0)?;
    let function = match node.op {
        "QLinearSigmoid" => UnaryFn::Sigmoid,
        _ => UnaryFn::LeakyRelu { alpha: node.float_or("alpha", 0.01)? },
    };
    let y = unary::apply(im, "", function, &x)?;
    result(im, node, y, 3)
}

fn joined(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(5, usize::MAX)?;
    let target = step(im, node, 0, Elem::U8)?;
    let mut parts = Vec::new();
    for i in (2..node.inputs()).step_by(3) {
        let x = operand(im, node, i)?;
        // All parts come to the scale of the result first.
        parts.push(Item::Held(pinned(im, x, target, false)?));
    }
    let first = known(parts.first().ok_or_else(|| Fail::malformed("has no part"))?)?;
    let a = axis(node.int("axis")?.ok_or_else(|| Fail::malformed("`axis` is missing"))?, first.len())?;
    concat::joined_along(im, parts, a).map(|held| vec![Item::Held(held)])
}

fn gemm(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(6, 9)?;
    if node.float_or("alpha", 1.0)? != 1.0 || node.flag("transA")? {
        return Err(Fail::unsupported("`alpha` or `transA` is set", "1 and 0 can be imported"));
    }
    let a = operand(im, node, 0)?;
    let flip = node.flag("transB")?;
    let weight = weights(im, node, 3, usize::from(!flip))?;
    let scale = im.constant(node, 1)?.scalar()?;
    let bias = bias(im, node, 6, scale, &weight)?;
    let weight = product::matrix(im, Item::constant(weight), flip)?;
    let Item::Constant(weight) = weight else { return Err(Fail::malformed("the weights are computed")) };
    let y = product::dense(im, "", a, &weight, bias.as_ref())?;
    if node.input(7).is_none() {
        return Ok(vec![Item::Held(y)]);
    }
    result(im, node, y, 7)
}

fn gelu(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let x = im.held(node, 0)?;
    Ok(vec![Item::Held(unary::apply(im, "", UnaryFn::Gelu, &x)?)])
}
