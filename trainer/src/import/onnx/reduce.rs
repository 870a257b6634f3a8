//! Operators along axes: sums, extremes, softmax.

use super::binary::{self, BinaryFn};
use super::constant::{Constant, Elements, Positions, strides};
use super::fail::Fail;
use super::importer::{Held, Importer, Item, Kind};
use super::node::Node;
use super::shape::{axes, axis, known, reshaped, reshaped_held};
use super::unary;
use crate::ops::{self, ReduceFn, UnaryFn};

pub(super) fn reduce(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 2)?;
    let since = if node.op == "ReduceSum" { 13 } else { 18 };
    let x = im.item(node, 0)?;
    let dims = known(&x)?;
    let named = axes(im, node, 1, since, dims.len())?.filter(|a| !a.is_empty());
    let keep = node.int_or("keepdims", 1)? != 0;
    let none = node.flag("noop_with_empty_axes")?;
    if none && named.is_none() {
        if !matches!(node.op, "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd") {
            return Err(Fail::unsupported("reduces no axis", "name the axes"));
        }
        return Ok(vec![x]);
    }
    let axes = named.unwrap_or_else(|| (0..dims.len()).collect());
    let reduced: Vec<usize> =
        dims.iter().enumerate().map(|(i, d)| if axes.contains(&i) { 1 } else { *d }).collect();
    let kept = if keep {
        reduced.clone()
    } else {
        dims.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| *d).collect()
    };
    let y = match x {
        Item::Constant(c) => Item::constant(computed(node.op, &c, &axes, &reduced)?),
        other => {
            let x = im.hold(other)?;
            Item::Held(composed(im, node.op, x, &axes)?)
        }
    };
    Ok(vec![reshaped(im, y, kept)?])
}

/// The reductions as sums, means and extremes with functions before and behind.
fn composed(im: &mut Importer, op: &str, x: Held, axes: &[usize]) -> Result<Held, Fail> {
    let x = im.plain(x)?;
    let kind = match op {
        "ReduceMean" => ReduceFn::Mean,
        "ReduceMax" => ReduceFn::Max,
        "ReduceMin" => ReduceFn::Min,
        "ReduceProd" => {
            return Err(Fail::unsupported(
                "multiplies computed elements",
                "sums, means and extremes can be imported",
            ));
        }
        _ => ReduceFn::Sum,
    };
    let before = match op {
        "ReduceSumSquare" | "ReduceL2" => Some(UnaryFn::Square),
        "ReduceL1" => Some(UnaryFn::Abs),
        "ReduceLogSumExp" => Some(UnaryFn::Exp),
        _ => None,
    };
    let behind = match op {
        "ReduceL2" => Some(UnaryFn::Sqrt),
        "ReduceLogSum" | "ReduceLogSumExp" => Some(UnaryFn::Log),
        _ => None,
    };
    let x = match before {
        Some(f) => unary::apply(im, "before", f, &x)?,
        None => x,
    };
    let y = apply(im, if behind.is_some() { "reduced" } else { "" }, kind, &x, axes)?;
    behind.map_or(Ok(y.clone()), |f| unary::apply(im, "", f, &y))
}

/// `x`, plain, reduced over `axes`, which stay with size 1.
pub(super) fn apply(
    im: &mut Importer,
    part: &str,
    kind: ReduceFn,
    x: &Held,
    axes: &[usize],
) -> Result<Held, Fail> {
    let slots = x.layout.place.map(|axis| axis.is_some_and(|a| axes.contains(&a)));
    let dims: Vec<usize> =
        x.dims.iter().enumerate().map(|(i, d)| if axes.contains(&i) { 1 } else { *d }).collect();
    let layout = x.layout.restricted(&dims);
    let id = if slots.contains(&true) { im.reduce(part, kind, x.id, slots)? } else { x.id };
    Ok(Held { id, dims, layout, kind: x.kind })
}

/// Known elements reduced.
fn computed(op: &str, c: &Constant, axes: &[usize], reduced: &[usize]) -> Result<Constant, Fail> {
    let mut order: Vec<usize> = (0..c.dims.len()).filter(|a| !axes.contains(a)).collect();
    order.extend(axes);
    let run: usize = axes.iter().filter_map(|a| c.dims.get(*a)).product();
    if run == 0 {
        return Err(Fail::unsupported("reduces a tensor without elements", ""));
    }
    let steps: Vec<usize> = order.iter().filter_map(|a| strides(&c.dims).get(*a).copied()).collect();
    let sizes: Vec<usize> = order.iter().filter_map(|a| c.dims.get(*a)).copied().collect();
    let values = c.to_doubles();
    let sorted: Vec<f64> = Positions::new(&sizes, &steps).filter_map(|p| values.get(p)).copied().collect();
    let fold = |v: &[f64]| -> f64 {
        let sum = |f: fn(f64) -> f64| v.iter().map(|x| f(*x)).sum::<f64>();
        match op {
            "ReduceSum" => sum(|x| x),
            "ReduceMean" => sum(|x| x) / v.len() as f64,
            "ReduceProd" => v.iter().product(),
            "ReduceMax" => v.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            "ReduceMin" => v.iter().copied().fold(f64::INFINITY, f64::min),
            "ReduceL1" => sum(f64::abs),
            "ReduceSumSquare" => sum(|x| x * x),
            "ReduceL2" => sum(|x| x * x).sqrt(),
            "ReduceLogSum" => sum(|x| x).ln(),
            _ => sum(f64::exp).ln(),
        }
    };
    let results: Vec<f64> = sorted.chunks(run).map(fold).collect();
    let data = match c.data {
        Elements::Float(_) => Elements::Float(results.iter().map(|x| *x as f32).collect()),
        Elements::Int(_) => Elements::Int(results.iter().map(|x| *x as i64).collect()),
    };
    Ok(Constant::new(reduced.to_vec(), c.elem, data))
}

/// Index of the largest or smallest element.
pub(super) fn arg(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let x = im.held(node, 0)?;
    let x = im.plain(x)?;
    let a = axis(node.int_or("axis", 0)?, x.dims.len())?;
    let last = node.flag("select_last_index")?;
    let keep = node.int_or("keepdims", 1)? != 0;
    let slot = match x.layout.slot(a) {
        Some(slot) => slot,
        // Along one element: any axis of size 1 of the graph.
        None => x.layout.place.iter().rposition(Option::is_none).ok_or_else(|| {
            Fail::unsupported("searches along an axis of one element", "leave it out: the index is 0")
        })?,
    };
    if last && x.dims.get(a) != Some(&1) {
        return Err(Fail::unsupported("asks for the last of equal extremes", "the first can be imported"));
    }
    let id = im.arg_extreme(x.id, slot, node.op == "ArgMax")?;
    let mut dims = x.dims.clone();
    if let Some(d) = dims.get_mut(a) {
        *d = 1;
    }
    let layout = x.layout.restricted(&dims);
    let y = Held { id, dims: dims.clone(), layout, kind: Kind::Integer };
    if !keep {
        dims.remove(a);
    }
    Ok(vec![Item::Held(reshaped_held(im, y, dims)?)])
}

/// Softmax and its logarithm.
pub(super) fn softmax(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let x = im.held(node, 0)?;
    let rank = x.dims.len();
    let flattens = node.opset < 13;
    let a = axis(node.int_or("axis", if flattens { 1 } else { -1 })?, rank)?;
    // The older rule: all axes from this one on are one.
    let behind: usize = x.dims.iter().skip(a + 1).product();
    if flattens && behind != 1 {
        let shape = x.dims.clone();
        let (rows, columns) = shape.split_at(a);
        let flat = reshaped_held(im, x, vec![rows.iter().product(), columns.iter().product()])?;
        let y = along(im, node, flat, 1)?;
        return Ok(vec![Item::Held(reshaped_held(im, y, shape)?)]);
    }
    Ok(vec![Item::Held(along(im, node, x, a)?)])
}

fn along(im: &mut Importer, node: &Node<'_>, x: Held, a: usize) -> Result<Held, Fail> {
    if x.kind != Kind::Real {
        return Err(Fail::unsupported("computes with integers", "dequantise first"));
    }
    let x = im.with_channels(x, a)?;
    let id = match node.op {
        "Softmax" => im.push("", ops::Softmax { beta: 1.0 }, &[x.id], vec![])?,
        _ => im.push("", ops::LogSoftmax, &[x.id], vec![])?,
    };
    Ok(x.with_id(id))
}

/// Division by the Euclidean or absolute length along an axis.
pub(super) fn lp_normalization(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let x = im.held(node, 0)?;
    let x = im.plain(x)?;
    let a = axis(node.int_or("axis", -1)?, x.dims.len())?;
    let op = match node.int_or("p", 2)? {
        1 => "ReduceL1",
        2 => "ReduceL2",
        p => return Err(Fail::malformed(format!("`p` is {p}"))),
    };
    let length = composed(im, op, x.clone(), &[a])?;
    Ok(vec![Item::Held(binary::held(im, "", BinaryFn::Div, &x, &length)?)])
}
