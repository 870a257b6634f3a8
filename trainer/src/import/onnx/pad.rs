//! Padding.

use super::concat::join;
use super::constant::{Constant, Elements, Positions, count, strides};
use super::fail::Fail;
use super::importer::{Held, Importer, Item, Kind, too_many};
use super::node::Node;
use super::select::{Run, cut, cut_held};
use super::shape::{axis, expanded, ints, known};

pub(super) fn pad(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    let old = node.opset < 11;
    node.check_inputs(1, if old { 1 } else { 4 })?;
    let x = im.item(node, 0)?;
    let dims = known(&x)?;
    let amounts = ints(im, node, "pads", 1, 11)?.ok_or_else(|| Fail::malformed("the amounts are missing"))?;
    let axes: Vec<usize> = match if old { None } else { ints(im, node, "", 3, 11)? } {
        Some(axes) => axes.into_iter().map(|a| axis(a, dims.len())).collect::<Result<_, _>>()?,
        None => (0..dims.len()).collect(),
    };
    if amounts.len() != 2 * axes.len() {
        return Err(Fail::malformed(format!("{} amounts for {} axes", amounts.len(), axes.len())));
    }
    let value = if old {
        node.float_or("value", 0.0)?
    } else {
        im.constant_if_given(node, 2)?.map_or(Ok(0.0), |c| if c.len() == 0 { Ok(0.0) } else { c.scalar() })?
    };
    let (starts, ends) = amounts.split_at(axes.len());
    let mut runs: Vec<Run> = dims.iter().map(|d| Run { start: 0, step: 1, count: *d }).collect();
    let mut edges = vec![(0usize, 0usize); dims.len()];
    for ((a, start), end) in axes.iter().zip(starts).zip(ends) {
        // A negative amount takes elements away.
        let lost = |amount: i64| usize::try_from(amount.min(0).unsigned_abs()).unwrap_or(usize::MAX);
        let (Some(run), Some(edge)) = (runs.get_mut(*a), edges.get_mut(*a)) else { continue };
        let kept = run.count.checked_sub(lost(*start)).and_then(|c| c.checked_sub(lost(*end)));
        let kept =
            kept.ok_or_else(|| Fail::malformed(format!("{start} and {end} take more than axis {a} has")))?;
        *run = Run { start: lost(*start), step: 1, count: kept };
        *edge = ((*start).max(0) as usize, (*end).max(0) as usize);
    }
    let grown: Vec<usize> =
        runs.iter().zip(&edges).map(|(r, e)| r.count.saturating_add(e.0).saturating_add(e.1)).collect();
    count(&grown)?;
    let x = cut(im, x, &runs)?;
    let mode = node.string_or("mode", "constant")?;
    if edges.iter().all(|e| *e == (0, 0)) {
        return Ok(vec![x]);
    }
    let x = match x {
        Item::Constant(c) if mode == "constant" => {
            return Ok(vec![Item::constant(surrounded(&c, &grown, &edges, value)?)]);
        }
        other => im.hold(other)?,
    };
    let x = im.plain(x)?;
    Ok(vec![Item::Held(match mode {
        "constant" => around(im, x, &grown, &edges, Some(value))?,
        "reflect" => around(im, x, &grown, &edges, None)?,
        "edge" => edged(im, x, &edges)?,
        "wrap" => return Err(Fail::unsupported("pads by wrapping around", "use Concat of two slices")),
        other => return Err(Fail::malformed(format!("mode `{other}`"))),
    })])
}

/// A constant (`value`) or a mirror image around `x`.
fn around(
    im: &mut Importer,
    x: Held,
    grown: &[usize],
    edges: &[(usize, usize)],
    value: Option<f32>,
) -> Result<Held, Fail> {
    let layout = x.layout.extended(grown).ok_or_else(|| too_many(grown))?;
    let target = layout.restricted(&x.dims);
    let x = im.place(x, &target)?;
    let edge = |pick: fn(&(usize, usize)) -> usize| -> Result<[u16; 4], Fail> {
        let mut amounts = [0; 4];
        for (slot, axis) in amounts.iter_mut().zip(layout.place) {
            let amount = axis.and_then(|a| edges.get(a)).map_or(0, pick);
            *slot = u16::try_from(amount)
                .map_err(|_| Fail::unsupported(format!("pads by {amount}"), "at most 65,535 on an edge"))?;
        }
        Ok(amounts)
    };
    let (before, after) = (edge(|e| e.0)?, edge(|e| e.1)?);
    if let Some(value) = value {
        if !value.is_finite() {
            return Err(Fail::unsupported(format!("pads with {value}"), "a finite number can be imported"));
        }
        if x.kind != Kind::Real && value != 0.0 {
            return Err(Fail::unsupported("pads integers with another number than 0", "dequantise first"));
        }
    }
    let id = im.pad(x.id, before, after, value)?;
    Ok(Held { id, dims: grown.to_vec(), layout, kind: x.kind })
}

/// The outermost elements repeated.
fn edged(im: &mut Importer, x: Held, edges: &[(usize, usize)]) -> Result<Held, Fail> {
    let mut x = x;
    for (a, (before, after)) in edges.iter().enumerate() {
        let size = x.dims.get(a).copied().unwrap_or(1);
        if (*before, *after) == (0, 0) {
            continue;
        }
        let line = |im: &mut Importer, amount: usize, at: usize| -> Result<Option<Item>, Fail> {
            if amount == 0 {
                return Ok(None);
            }
            let mut runs: Vec<Run> = x.dims.iter().map(|d| Run { start: 0, step: 1, count: *d }).collect();
            if let Some(run) = runs.get_mut(a) {
                *run = Run { start: at, step: 1, count: 1 };
            }
            let line = cut_held(im, x.clone(), &runs)?;
            let mut dims = x.dims.clone();
            if let Some(d) = dims.get_mut(a) {
                *d = amount;
            }
            expanded(im, line, &dims).map(|held| Some(Item::Held(held)))
        };
        let (first, last) = (line(im, *before, 0)?, line(im, *after, size - 1)?);
        let mut dims = x.dims.clone();
        if let Some(d) = dims.get_mut(a) {
            *d = size + before + after;
        }
        let items = first.into_iter().chain([Item::Held(x)]).chain(last).collect();
        x = join(im, items, a, dims)?;
    }
    Ok(x)
}

/// Known elements with `value` around them.
fn surrounded(c: &Constant, grown: &[usize], edges: &[(usize, usize)], value: f32) -> Result<Constant, Fail> {
    let data = match c.data {
        Elements::Float(_) => Elements::Float(vec![value]),
        Elements::Int(_) => Elements::Int(vec![value as i64]),
    };
    let filling = Constant::new(vec![], c.elem, data);
    let mut padded = filling.broadcast(grown)?;
    let steps = strides(grown);
    let origin: usize = steps.iter().zip(edges).map(|(s, e)| s * e.0).sum();
    let positions = Positions::new(&c.dims, &steps);
    padded.scatter(c, positions.map(|p| p + origin));
    Ok(padded)
}
