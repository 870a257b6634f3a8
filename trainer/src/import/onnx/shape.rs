//! Operators that change the shape of a tensor, or compute with shapes.

use super::constant::{Constant, Elem, Elements, broadcast_dims, check_computed, count, sizes};
use super::fail::Fail;
use super::importer::{Held, Importer, Item, Kind, too_many};
use super::layout::Reshaped;
use super::node::Node;

/// Axis `value` of a tensor of rank `rank`, negative ones counted from the end.
pub(super) fn axis(value: i64, rank: usize) -> Result<usize, Fail> {
    let index = if value < 0 { value.checked_add(rank as i64) } else { Some(value) };
    let index = index.and_then(|i| usize::try_from(i).ok()).filter(|i| *i < rank);
    index.ok_or_else(|| Fail::malformed(format!("axis {value} does not exist in a tensor of rank {rank}")))
}

/// Integers that are an attribute before operator set `since` and input `i` from then on.
pub(super) fn ints(
    im: &Importer,
    node: &Node<'_>,
    attribute: &str,
    i: usize,
    since: i64,
) -> Result<Option<Vec<i64>>, Fail> {
    if node.opset < since {
        return Ok(node.ints(attribute)?.map(<[i64]>::to_vec));
    }
    im.constant_if_given(node, i)?.map(|c| Ok(c.as_ints()?.to_vec())).transpose()
}

/// As [`ints`], as axes of a tensor of rank `rank`, sorted, none twice.
pub(super) fn axes(
    im: &Importer,
    node: &Node<'_>,
    i: usize,
    since: i64,
    rank: usize,
) -> Result<Option<Vec<usize>>, Fail> {
    let Some(values) = ints(im, node, "axes", i, since)? else { return Ok(None) };
    let mut axes = values.into_iter().map(|a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(Fail::malformed("an axis is named twice"));
    }
    Ok(Some(axes))
}

pub(super) fn reshape(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 2)?;
    let x = im.item(node, 0)?;
    let wanted = im.constant(node, 1)?;
    let literal_zero = node.flag("allowzero")?;
    let from = known(&x)?;
    let mut dims = Vec::new();
    let mut open = None;
    for (i, size) in wanted.as_ints()?.iter().enumerate() {
        dims.push(match *size {
            0 if !literal_zero => *from.get(i).ok_or_else(|| {
                Fail::malformed(format!("size {i} is to be copied from a tensor of rank {}", from.len()))
            })?,
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            s => usize::try_from(s).map_err(|_| Fail::malformed(format!("size {s} of the new shape")))?,
        });
    }
    let total = count(&from)?;
    if let Some(slot) = open.and_then(|i| dims.get_mut(i)) {
        *slot = 1;
        let rest = count(&dims)?;
        if rest == 0 || total % rest != 0 {
            return Err(Fail::malformed(format!("{from:?} cannot be reshaped to {:?}", wanted.as_ints()?)));
        }
        if let Some(slot) = open.and_then(|i| dims.get_mut(i)) {
            *slot = total / rest;
        }
    }
    Ok(vec![reshaped(im, x, dims)?])
}

/// `x` with sizes `dims`.
pub(super) fn reshaped(im: &mut Importer, x: Item, dims: Vec<usize>) -> Result<Item, Fail> {
    match x {
        Item::Constant(c) => Ok(Item::constant((*c).clone().with_dims(dims)?)),
        Item::Held(held) => reshaped_held(im, held, dims).map(Item::Held),
        Item::Unknown => Ok(Item::Unknown),
    }
}

/// `x` with sizes `dims`.
pub(super) fn reshaped_held(im: &mut Importer, x: Held, dims: Vec<usize>) -> Result<Held, Fail> {
    if count(&dims)? != count(&x.dims)? {
        return Err(Fail::malformed(format!("{:?} cannot be reshaped to {dims:?}", x.dims)));
    }
    match x.layout.reshaped(&dims) {
        Reshaped::Relabelled(layout) => Ok(x.seen(dims, layout)),
        Reshaped::Regrouped(layout) => {
            let id = im.reshape(x.id, layout.shape())?;
            Ok(Held { id, dims, layout, kind: x.kind })
        }
        Reshaped::Scattered(needed) => {
            let fine = Held { dims: x.layout.inner.clone(), ..x };
            let fine = im.place(fine, &needed)?;
            match fine.layout.reshaped(&dims) {
                Reshaped::Regrouped(layout) => {
                    let id = im.reshape(fine.id, layout.shape())?;
                    Ok(Held { id, dims, layout, kind: fine.kind })
                }
                _ => Err(too_many(&dims)),
            }
        }
        Reshaped::TooMany => Err(too_many(&dims)),
    }
}

pub(super) fn flatten(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let x = im.item(node, 0)?;
    let dims = known(&x)?;
    let rank = dims.len();
    let at = node.int_or("axis", 1)?;
    // One past the last axis is allowed too.
    let at = if at == rank as i64 { rank } else { axis(at, rank.max(1))? };
    let (rows, columns) = dims.split_at(at.min(rank));
    let dims = vec![rows.iter().product(), columns.iter().product()];
    Ok(vec![reshaped(im, x, dims)?])
}

pub(super) fn squeeze(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 2)?;
    let x = im.item(node, 0)?;
    let dims = known(&x)?;
    let axes = axes(im, node, 1, 13, dims.len())?;
    if let Some(a) = axes.iter().flatten().find(|a| dims.get(**a) != Some(&1)) {
        return Err(Fail::malformed(format!("axis {a} of {dims:?} has not size 1")));
    }
    let dropped = |i: usize, d: usize| axes.as_ref().map_or(d == 1, |axes| axes.contains(&i));
    let dims = dims.iter().enumerate().filter(|(i, d)| !dropped(*i, **d)).map(|(_, d)| *d).collect();
    Ok(vec![reshaped(im, x, dims)?])
}

pub(super) fn unsqueeze(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 2)?;
    let x = im.item(node, 0)?;
    let mut dims = known(&x)?;
    let added = ints(im, node, "axes", 1, 13)?.ok_or_else(|| Fail::malformed("the axes are missing"))?;
    let rank = dims.len() + added.len();
    let mut axes = added.into_iter().map(|a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(Fail::malformed("an axis is named twice"));
    }
    for a in axes {
        dims.insert(a.min(dims.len()), 1);
    }
    Ok(vec![reshaped(im, x, dims)?])
}

pub(super) fn transpose(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let x = im.item(node, 0)?;
    let rank = known(&x)?.len();
    let order = match node.ints("perm")? {
        Some(perm) => perm.iter().map(|a| axis(*a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return Err(Fail::malformed(format!("`perm` {order:?} is no permutation of {rank} axes")));
    }
    Ok(vec![match x {
        Item::Constant(c) => Item::constant(c.permute(&order)),
        Item::Held(held) => Item::Held(transposed(im, held, &order)?),
        Item::Unknown => Item::Unknown,
    }])
}

/// `x` with its axes in another order; no byte moves.
pub(super) fn transposed(im: &mut Importer, x: Held, order: &[usize]) -> Result<Held, Fail> {
    let x = im.plain(x)?;
    let layout = x.layout.transposed(order);
    Ok(x.seen(layout.inner.clone(), layout))
}

/// Identity, and what is one when a network runs.
pub(super) fn identity(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    for attribute in ["ratio", "seed", "is_test"] {
        node.ignore(attribute);
    }
    if node.op == "Dropout" {
        node.check_inputs(1, 3)?;
        if node.output(1).is_some() {
            return Err(Fail::unsupported("its mask is used", "export the model for inference"));
        }
    } else {
        node.check_inputs(1, 1)?;
    }
    Ok(vec![im.item(node, 0)?])
}

pub(super) fn cast(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, if node.op == "CastLike" { 2 } else { 1 })?;
    node.ignore("saturate");
    node.ignore("round_mode");
    let to = if node.op == "CastLike" {
        match im.item(node, 1)? {
            Item::Constant(like) => like.elem,
            Item::Held(Held { kind: Kind::Real, .. }) => Elem::F32,
            _ => return Err(Fail::unsupported("casts to the type of an integer tensor", "")),
        }
    } else {
        let code = node.int("to")?.and_then(|c| i32::try_from(c).ok()).unwrap_or(0);
        Elem::from_code(code)?
    };
    let x = im.item(node, 0)?;
    Ok(vec![match x {
        Item::Constant(c) => Item::constant(converted(&c, to)),
        Item::Held(held) => match held.kind {
            Kind::Real if to.is_float() => Item::Held(held),
            Kind::Integer if matches!(to, Elem::I32 | Elem::I64) => Item::Held(held),
            _ => {
                return Err(Fail::unsupported(
                    format!("casts a computed tensor to {to:?}"),
                    "only casts among float types, or int32 and int64, can be imported",
                ));
            }
        },
        Item::Unknown => Item::Unknown,
    }])
}

fn converted(c: &Constant, to: Elem) -> Constant {
    let (low, high) = to.range();
    let data = match &c.data {
        Elements::Float(v) if to.is_float() => Elements::Float(v.clone()),
        Elements::Float(v) if to == Elem::Bool => {
            Elements::Int(v.iter().map(|x| i64::from(*x != 0.0)).collect())
        }
        Elements::Float(v) => Elements::Int(v.iter().map(|x| (*x as i64).clamp(low, high)).collect()),
        Elements::Int(v) if to.is_float() => Elements::Float(v.iter().map(|x| *x as f32).collect()),
        Elements::Int(v) if to == Elem::Bool => Elements::Int(v.iter().map(|x| i64::from(*x != 0)).collect()),
        Elements::Int(v) => Elements::Int(v.iter().map(|x| (*x).clamp(low, high)).collect()),
    };
    Constant::new(c.dims.clone(), to, data)
}

pub(super) fn shape(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let dims = known(&im.item(node, 0)?)?;
    if node.op == "Size" {
        return Ok(vec![Item::constant(Constant::ints(vec![], vec![count(&dims)? as i64]))]);
    }
    let rank = dims.len() as i64;
    let clamp = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let (start, end) = (clamp(node.int_or("start", 0)?), clamp(node.int_or("end", rank)?));
    let part: Vec<i64> =
        dims.get(start..end.max(start)).unwrap_or_default().iter().map(|d| *d as i64).collect();
    Ok(vec![Item::constant(Constant::ints(vec![part.len()], part))])
}

pub(super) fn constant(_im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(0, 0)?;
    let value = if let Some(tensor) = node.tensor("value")? {
        tensor
    } else if let Some(v) = node.float("value_float")? {
        Constant::floats(vec![], vec![v])
    } else if let Some(v) = node.floats("value_floats")? {
        Constant::floats(vec![v.len()], v.to_vec())
    } else if let Some(v) = node.int("value_int")? {
        Constant::ints(vec![], vec![v])
    } else if let Some(v) = node.ints("value_ints")? {
        Constant::ints(vec![v.len()], v.to_vec())
    } else {
        return Err(Fail::unsupported("is neither a tensor nor numbers", "store it as a tensor"));
    };
    Ok(vec![Item::constant(value)])
}

pub(super) fn constant_of_shape(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let dims = sizes(im.constant(node, 0)?.as_ints()?)?;
    let value = node.tensor("value")?.unwrap_or_else(|| Constant::floats(vec![1], vec![0.0]));
    if value.len() != 1 {
        return Err(Fail::malformed(format!("`value` has {} elements, not one", value.len())));
    }
    Ok(vec![Item::constant(value.with_dims(vec![])?.broadcast(&dims)?)])
}

pub(super) fn range(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(3, 3)?;
    let parts = [im.constant(node, 0)?, im.constant(node, 1)?, im.constant(node, 2)?];
    let [start, limit, step] = &parts;
    let length = |n: f64| -> Result<usize, Fail> {
        if !n.is_finite() {
            return Err(Fail::malformed("the range has no end"));
        }
        let n = n.ceil().max(0.0) as usize;
        check_computed(&[n], 0)?;
        Ok(n)
    };
    let value = match (&start.data, &limit.data, &step.data) {
        (Elements::Int(_), Elements::Int(_), Elements::Int(_)) => {
            let one = |c: &Constant| c.as_ints()?.first().copied().ok_or_else(|| Fail::malformed("is empty"));
            let (a, b, s) = (one(start)?, one(limit)?, one(step)?);
            let n = length((b as f64 - a as f64) / s as f64)?;
            let values: Vec<i64> = (0..n as i64).map(|i| a.wrapping_add(i.wrapping_mul(s))).collect();
            Constant::new(vec![n], start.elem, Elements::Int(values))
        }
        _ => {
            let (a, b, s) = (start.scalar()?, limit.scalar()?, step.scalar()?);
            let n = length((f64::from(b) - f64::from(a)) / f64::from(s))?;
            Constant::floats(vec![n], (0..n).map(|i| a + i as f32 * s).collect())
        }
    };
    Ok(vec![Item::constant(value)])
}

pub(super) fn expand(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 2)?;
    let x = im.item(node, 0)?;
    let wanted = sizes(im.constant(node, 1)?.as_ints()?)?;
    let dims = broadcast_dims(&known(&x)?, &wanted)?;
    Ok(vec![match x {
        Item::Constant(c) => Item::constant(c.broadcast(&dims)?),
        Item::Held(held) => Item::Held(expanded(im, held, &dims)?),
        Item::Unknown => Item::Unknown,
    }])
}

/// `x` repeated to sizes `dims`.
pub(super) fn expanded(im: &mut Importer, x: Held, dims: &[usize]) -> Result<Held, Fail> {
    let x = im.plain(x)?.lifted(dims.len());
    let repeats: Vec<usize> =
        x.dims.iter().zip(dims).map(|(have, want)| if have == want { 1 } else { *want }).collect();
    tiled(im, x, &repeats)
}

pub(super) fn tile(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 2)?;
    let x = im.item(node, 0)?;
    let repeats = sizes(im.constant(node, 1)?.as_ints()?)?;
    let from = known(&x)?;
    if repeats.len() != from.len() {
        return Err(Fail::malformed(format!(
            "{} repeats for a tensor of rank {}",
            repeats.len(),
            from.len()
        )));
    }
    Ok(vec![match x {
        Item::Constant(c) => {
            // Each axis as two: which repeat, and where in it.
            let pairs: Vec<usize> = from.iter().flat_map(|d| [1, *d]).collect();
            let wide: Vec<usize> = repeats.iter().zip(&from).flat_map(|(r, d)| [*r, *d]).collect();
            let dims = repeats.iter().zip(&from).map(|(r, d)| r.saturating_mul(*d)).collect();
            Item::constant((*c).clone().with_dims(pairs)?.broadcast(&wide)?.with_dims(dims)?)
        }
        Item::Held(held) => {
            let held = im.plain(held)?;
            Item::Held(tiled(im, held, &repeats)?)
        }
        Item::Unknown => Item::Unknown,
    }])
}

/// `x`, plain, repeated along each axis.
fn tiled(im: &mut Importer, x: Held, repeats: &[usize]) -> Result<Held, Fail> {
    if repeats.iter().all(|r| *r == 1) {
        return Ok(x);
    }
    let dims: Vec<usize> = x.dims.iter().zip(repeats).map(|(d, r)| d.saturating_mul(*r)).collect();
    if count(&dims)? == 0 {
        return Err(Fail::unsupported("its result has no element", ""));
    }
    let layout = x.layout.extended(&dims).ok_or_else(|| too_many(&dims))?;
    let x = im.place(x.clone(), &layout.restricted(&x.dims))?;
    let id = im.tile(x.id, layout.shape())?;
    Ok(Held { id, dims, layout, kind: x.kind })
}

/// Sizes of `x`.
pub(super) fn known(x: &Item) -> Result<Vec<usize>, Fail> {
    let dims = x.dims().ok_or_else(|| Fail::unsupported("reads a node that cannot be imported", ""))?;
    Ok(dims.to_vec())
}
