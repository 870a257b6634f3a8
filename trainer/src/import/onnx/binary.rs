//! Functions of two elements, with broadcasting.

use super::constant::{Constant, Elem, Elements, broadcast_dims};
use super::fail::Fail;
use super::importer::{self, Held, Importer, Item, Kind, too_many};
use super::layout::Layout;
use super::node::Node;
use super::shape::{expanded, known};
use super::unary;
use crate::ops::{self, UnaryFn};

/// A function of two elements that the graph has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryFn {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
}

impl BinaryFn {
    fn real(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Min => a.min(b),
            Self::Max => a.max(b),
        }
    }

    fn whole(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Sub => a.checked_sub(b),
            Self::Mul => a.checked_mul(b),
            Self::Div => a.checked_div(b),
            Self::Min => Some(a.min(b)),
            Self::Max => Some(a.max(b)),
        }
    }
}

pub(super) fn arithmetic(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 2)?;
    let f = match node.op {
        "Add" => BinaryFn::Add,
        "Sub" => BinaryFn::Sub,
        "Mul" => BinaryFn::Mul,
        _ => BinaryFn::Div,
    };
    let (a, b) = (im.item(node, 0)?, im.item(node, 1)?);
    if let (Item::Held(x), Item::Held(y)) = (&a, &b)
        && f == BinaryFn::Mul
        && x.id == y.id
        && x.layout == y.layout
        && x.dims == y.dims
        && x.kind == Kind::Real
    {
        return Ok(vec![Item::Held(unary::apply(im, "", UnaryFn::Square, x)?)]);
    }
    Ok(vec![item(im, f, a, b)?])
}

/// Sum, mean and extremes of any number of tensors.
pub(super) fn variadic(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, usize::MAX)?;
    let f = match node.op {
        "Min" => BinaryFn::Min,
        "Max" => BinaryFn::Max,
        _ => BinaryFn::Add,
    };
    let mut total = im.item(node, 0)?;
    for i in 1..node.inputs() {
        let next = im.item(node, i)?;
        total = item(im, f, total, next)?;
    }
    if node.op == "Mean" && node.inputs() > 1 {
        let share = Item::constant(Constant::floats(vec![], vec![1.0 / node.inputs() as f32]));
        total = item(im, BinaryFn::Mul, total, share)?;
    }
    Ok(vec![total])
}

fn item(im: &mut Importer, f: BinaryFn, a: Item, b: Item) -> Result<Item, Fail> {
    if let (Item::Constant(x), Item::Constant(y)) = (&a, &b) {
        return computed(f, x, y).map(Item::constant);
    }
    apply(im, "", f, a, b).map(Item::Held)
}

/// Known elements.
fn computed(f: BinaryFn, a: &Constant, b: &Constant) -> Result<Constant, Fail> {
    let dims = broadcast_dims(&a.dims, &b.dims)?;
    let (a, b) = (a.broadcast(&dims)?, b.broadcast(&dims)?);
    let data = match (&a.data, &b.data) {
        (Elements::Float(x), Elements::Float(y)) => {
            Elements::Float(x.iter().zip(y).map(|(x, y)| f.real(*x, *y)).collect())
        }
        (Elements::Int(x), Elements::Int(y)) => {
            let values: Option<Vec<i64>> = x.iter().zip(y).map(|(x, y)| f.whole(*x, *y)).collect();
            Elements::Int(values.ok_or_else(|| Fail::malformed("an integer overflows or is divided by 0"))?)
        }
        _ => return Err(Fail::malformed("its operands differ in type")),
    };
    Ok(Constant::new(dims, a.elem, data))
}

/// Comparisons and logic, of known elements only.
pub(super) fn logic(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 2)?;
    let (a, b) = (im.constant(node, 0)?, im.constant(node, 1)?);
    let dims = broadcast_dims(&a.dims, &b.dims)?;
    let (a, b) = (a.broadcast(&dims)?.to_doubles(), b.broadcast(&dims)?.to_doubles());
    let f = |x: f64, y: f64| match node.op {
        "Equal" => x == y,
        "Less" => x < y,
        "LessOrEqual" => x <= y,
        "Greater" => x > y,
        "GreaterOrEqual" => x >= y,
        "And" => x != 0.0 && y != 0.0,
        "Or" => x != 0.0 || y != 0.0,
        _ => (x != 0.0) != (y != 0.0),
    };
    let data = a.iter().zip(&b).map(|(x, y)| i64::from(f(*x, *y))).collect();
    Ok(vec![Item::constant(Constant::new(dims, Elem::Bool, Elements::Int(data)))])
}

/// `f(a, b)` of two values of the graph.
pub(super) fn held(im: &mut Importer, part: &str, f: BinaryFn, a: &Held, b: &Held) -> Result<Held, Fail> {
    apply(im, part, f, Item::Held(a.clone()), Item::Held(b.clone()))
}

/// `f(a, b)`, at least one of them a value of the graph.
pub(super) fn apply(im: &mut Importer, part: &str, f: BinaryFn, a: Item, b: Item) -> Result<Held, Fail> {
    let dims = broadcast_dims(&known(&a)?, &known(&b)?)?;
    let real =
        |item: &Item| !matches!(item, Item::Held(Held { kind: Kind::Quantised { .. } | Kind::Integer, .. }));
    if !real(&a) || !real(&b) {
        return Err(Fail::unsupported(
            "computes with integers when the model runs",
            "real numbers, quantised with QuantizeLinear and DequantizeLinear around the operator, can be imported",
        ));
    }
    // The same for every element: axes make no difference.
    match (&a, &b) {
        (Item::Held(x), Item::Constant(c)) if c.len() == 1 && x.dims.len() >= c.dims.len() => {
            return with_scalar(im, part, f, x, c.scalar()?, false);
        }
        (Item::Constant(c), Item::Held(x)) if c.len() == 1 && x.dims.len() >= c.dims.len() => {
            return with_scalar(im, part, f, x, c.scalar()?, true);
        }
        _ => {}
    }
    let target = arrangement(im, &a, &b, &dims)?;
    let (a, b) = (arranged(im, a, &target)?, arranged(im, b, &target)?);
    let id = im.binary(part, f, a.id, b.id)?;
    if im.graph.shape(id) == target.shape() {
        return Ok(Held { id, dims, layout: target, kind: Kind::Real });
    }
    Err(Fail::unsupported(format!("{:?} and {:?} do not broadcast to {dims:?}", a.dims, b.dims), ""))
}

/// `f(x, number)`, or the other way round.
fn with_scalar(
    im: &mut Importer,
    part: &str,
    f: BinaryFn,
    x: &Held,
    number: f32,
    first: bool,
) -> Result<Held, Fail> {
    let function = match (f, first) {
        (BinaryFn::Add, _) if number == 0.0 => return Ok(x.clone()),
        (BinaryFn::Sub, false) if number == 0.0 => return Ok(x.clone()),
        (BinaryFn::Mul, _) | (BinaryFn::Div, false) if number == 1.0 => return Ok(x.clone()),
        (BinaryFn::Mul, _) if number == -1.0 => UnaryFn::Neg,
        (BinaryFn::Sub, true) if number == 0.0 => UnaryFn::Neg,
        (BinaryFn::Div, true) if number == 1.0 => UnaryFn::Reciprocal,
        (BinaryFn::Max, _) if number == 0.0 => UnaryFn::Relu,
        (BinaryFn::Max, _) => UnaryFn::Clamp { lo: number, hi: f32::INFINITY },
        (BinaryFn::Min, _) => UnaryFn::Clamp { lo: f32::NEG_INFINITY, hi: number },
        _ => {
            let layout = Layout { inner: vec![], place: [None; 4] };
            let (f, number) = match (f, first) {
                (BinaryFn::Sub, false) => (BinaryFn::Add, -number),
                (BinaryFn::Div, false) => (BinaryFn::Mul, 1.0 / number),
                _ => (f, number),
            };
            if !number.is_finite() {
                return Err(Fail::malformed(format!("an operand is {number}")));
            }
            let c = im.hold_constant(&Constant::floats(vec![], vec![number]), layout)?;
            let (a, b) =
                if first && matches!(f, BinaryFn::Sub | BinaryFn::Div) { (c.id, x.id) } else { (x.id, c.id) };
            let id = im.binary(part, f, a, b)?;
            return Ok(x.with_id(id));
        }
    };
    unary::apply(im, part, function, x)
}

/// Where the result lies: as the operand with the most axes does.
fn arrangement(im: &mut Importer, a: &Item, b: &Item, dims: &[usize]) -> Result<Layout, Fail> {
    let mut best: Option<Held> = None;
    for item in [a, b] {
        if let Item::Held(held) = item {
            let held = im.plain(held.clone())?.lifted(dims.len());
            if best.as_ref().is_none_or(|b| held.dims.iter().product::<usize>() > b.dims.iter().product()) {
                best = Some(held);
            }
        }
    }
    let best = best.ok_or_else(|| Fail::malformed("has no computed operand"))?;
    best.layout.extended(dims).ok_or_else(|| too_many(dims))
}

/// `item` as an operand of a result that lies as `target`.
fn arranged(im: &mut Importer, item: Item, target: &Layout) -> Result<Held, Fail> {
    let rank = target.inner.len();
    match item {
        Item::Constant(c) => {
            let dims = [vec![1; rank.saturating_sub(c.dims.len())], c.dims.clone()].concat();
            let c = (*c).clone().with_dims(dims)?;
            im.hold_constant(&c, target.restricted(&c.dims))
        }
        other => {
            let held = im.hold(other)?;
            let held = im.plain(held)?.lifted(rank);
            let layout = target.restricted(&held.dims);
            im.place(held, &layout)
        }
    }
}

/// Rectifier with a slope for each channel or element.
pub(super) fn prelu(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 2)?;
    let slope = im.constant(node, 1)?;
    let x = im.held(node, 0)?;
    if let Some(alpha) = slope.uniform() {
        return Ok(vec![Item::Held(unary::apply(im, "", UnaryFn::LeakyRelu { alpha }, &x)?)]);
    }
    let x = im.plain(x)?;
    let target = x.layout.clone();
    if broadcast_dims(&x.dims, &slope.dims)? != x.dims {
        return Err(Fail::malformed(format!("slopes {:?} for {:?}", slope.dims, x.dims)));
    }
    let dims = [vec![1; x.dims.len().saturating_sub(slope.dims.len())], slope.dims.clone()].concat();
    let slope = (*slope).clone().with_dims(dims)?;
    let layout = target.restricted(&slope.dims);
    let alpha = importer::arranged(&slope, &layout)?;
    let id = im.push("", ops::PRelu { slopes: layout.shape() }, &[x.id], vec![alpha])?;
    Ok(vec![Item::Held(x.with_id(id))])
}

/// Powers with an exponent that is known.
pub(super) fn pow(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 2)?;
    let (x, exponent) = (im.item(node, 0)?, im.constant(node, 1)?);
    let x = match x {
        Item::Constant(c) => {
            let dims = broadcast_dims(&c.dims, &exponent.dims)?;
            let (x, e) = (c.broadcast(&dims)?, exponent.broadcast(&dims)?);
            let values: Vec<f64> =
                x.to_doubles().iter().zip(e.to_doubles()).map(|(x, e)| x.powf(e)).collect();
            let data = match c.data {
                Elements::Float(_) => Elements::Float(values.iter().map(|v| *v as f32).collect()),
                Elements::Int(_) => Elements::Int(values.iter().map(|v| *v as i64).collect()),
            };
            return Ok(vec![Item::constant(Constant::new(dims, c.elem, data))]);
        }
        other => im.hold(other)?,
    };
    if x.kind != Kind::Real {
        return Err(Fail::unsupported(
            "computes a power of integers when the model runs",
            "cast them to float",
        ));
    }
    let dims = broadcast_dims(&x.dims, &exponent.dims)?;
    if let Some(e) = exponent.uniform() {
        let x = if dims == x.dims { x } else { expanded(im, x, &dims)? };
        return Ok(vec![Item::Held(power(im, "", &x, e)?)]);
    }
    // Different exponents of a few elements: each with its own function.
    let axis = dims.len().saturating_sub(1);
    let along = exponent.dims.last().copied().unwrap_or(1);
    if along != exponent.len() || along > 16 {
        return Err(Fail::unsupported(
            format!("has {} different exponents", exponent.len()),
            "one exponent for all, or up to 16 along the last axis, can be imported",
        ));
    }
    let x = if dims == x.dims { x } else { expanded(im, x, &dims)? };
    let mut parts = Vec::new();
    for (i, e) in exponent.to_floats().iter().enumerate() {
        let mut runs: Vec<super::select::Run> =
            dims.iter().map(|d| super::select::Run { start: 0, step: 1, count: *d }).collect();
        if let Some(run) = runs.get_mut(axis) {
            *run = super::select::Run { start: i, step: 1, count: 1 };
        }
        let part = super::select::cut_held(im, x.clone(), &runs)?;
        parts.push(Item::Held(power(im, &format!("power{i}"), &part, *e)?));
    }
    Ok(vec![Item::Held(super::concat::join(im, parts, axis, dims)?)])
}

fn power(im: &mut Importer, part: &str, x: &Held, exponent: f32) -> Result<Held, Fail> {
    let function = if exponent == 1.0 {
        return Ok(x.clone());
    } else if exponent == 2.0 {
        UnaryFn::Square
    } else if exponent == 0.5 {
        UnaryFn::Sqrt
    } else if exponent == -0.5 {
        UnaryFn::Rsqrt
    } else if exponent == -1.0 {
        UnaryFn::Reciprocal
    } else if exponent.is_finite() {
        UnaryFn::Pow { exponent }
    } else {
        return Err(Fail::malformed(format!("an exponent is {exponent}")));
    };
    unary::apply(im, part, function, x)
}
