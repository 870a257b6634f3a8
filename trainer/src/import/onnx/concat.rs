//! Tensors one after the other along an axis.

use super::constant::{Constant, Elem, Elements, check_computed, count};
use super::fail::Fail;
use super::importer::{Held, Importer, Item, too_many};
use super::node::Node;
use super::shape::{axis, known};

pub(super) fn concat(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, usize::MAX)?;
    let items = (0..node.inputs()).map(|i| im.item(node, i)).collect::<Result<Vec<_>, _>>()?;
    let first = known(items.first().ok_or_else(|| Fail::malformed("has no input"))?)?;
    let a = axis(node.int("axis")?.ok_or_else(|| Fail::malformed("`axis` is missing"))?, first.len())?;
    let dims = joined_dims(&items, a)?;
    let constants: Option<Vec<&Constant>> =
        items.iter().map(|i| if let Item::Constant(c) = i { Some(c.as_ref()) } else { None }).collect();
    if let Some(constants) = constants {
        check_computed(&dims, constants.iter().map(|c| c.len()).max().unwrap_or(0))?;
        return Ok(vec![Item::constant(joined(&constants, a, dims))]);
    }
    // Parts without elements add nothing.
    let items: Vec<Item> =
        items.into_iter().filter(|i| i.dims().is_none_or(|d| d.get(a) != Some(&0))).collect();
    join(im, items, a, dims).map(|held| vec![Item::Held(held)])
}

/// Sizes of the inputs one after the other along axis `a`.
fn joined_dims(items: &[Item], a: usize) -> Result<Vec<usize>, Fail> {
    let first = known(items.first().ok_or_else(|| Fail::malformed("has no input"))?)?;
    let mut total = 0usize;
    for item in items {
        let dims = known(item)?;
        let same = dims.iter().zip(&first).enumerate().all(|(i, (x, y))| i == a || x == y);
        if dims.len() != first.len() || !same {
            return Err(Fail::malformed(format!("{dims:?} does not fit to {first:?} along axis {a}")));
        }
        total = total.saturating_add(dims.get(a).copied().unwrap_or(0));
    }
    let mut dims = first;
    if let Some(d) = dims.get_mut(a) {
        *d = total;
    }
    count(&dims)?;
    Ok(dims)
}

/// The inputs one after the other along axis `a`.
pub(super) fn joined_along(im: &mut Importer, items: Vec<Item>, a: usize) -> Result<Held, Fail> {
    let dims = joined_dims(&items, a)?;
    join(im, items, a, dims)
}

/// The inputs one after the other along axis `a`; sizes of the result are `dims`.
pub(super) fn join(im: &mut Importer, items: Vec<Item>, a: usize, dims: Vec<usize>) -> Result<Held, Fail> {
    let mut model: Option<Held> = None;
    for item in &items {
        if let Item::Held(held) = item {
            let held = im.plain(held.clone())?;
            let wider = model.as_ref().is_none_or(|m| held.layout.order().len() > m.layout.order().len());
            if wider {
                model = Some(held);
            }
        }
    }
    let model = model.ok_or_else(|| Fail::malformed("has no input"))?;
    let layout = model.layout.extended(&dims).ok_or_else(|| too_many(&dims))?;
    let mut ids = Vec::new();
    for item in items {
        let part = known(&item)?;
        let target = layout.restricted(&part);
        let held = match item {
            Item::Constant(c) => im.hold_constant(&c, target)?,
            other => {
                let held = im.hold(other)?;
                let held = im.plain(held)?;
                im.place(held, &target)?
            }
        };
        if held.kind != model.kind {
            return Err(Fail::unsupported(
                "joins tensors of different types or quantisation",
                "give all inputs one scale and zero point",
            ));
        }
        ids.push(held.id);
    }
    if let [id] = ids.as_slice() {
        return Ok(Held { id: *id, dims, layout, kind: model.kind });
    }
    // Where the axis has size 1 in the result too, there is one input only.
    let slot = layout.slot(a).ok_or_else(|| Fail::malformed("joins nothing"))?;
    let id = im.concat(&ids, slot)?;
    Ok(Held { id, dims, layout, kind: model.kind })
}

fn joined(parts: &[&Constant], a: usize, dims: Vec<usize>) -> Constant {
    let outer: usize = dims.iter().take(a).product();
    let run = |c: &Constant| c.dims.iter().skip(a).product::<usize>();
    let elem = parts.first().map_or(Elem::F32, |c| c.elem);
    let floats = parts.iter().any(|c| matches!(c.data, Elements::Float(_)));
    let mut real = Vec::new();
    let mut whole = Vec::new();
    for o in 0..outer {
        for c in parts {
            let n = run(c);
            match &c.data {
                Elements::Float(v) => real.extend_from_slice(v.get(o * n..(o + 1) * n).unwrap_or_default()),
                Elements::Int(v) => {
                    let v = v.get(o * n..(o + 1) * n).unwrap_or_default();
                    whole.extend_from_slice(v);
                    real.extend(v.iter().filter(|_| floats).map(|x| *x as f32));
                }
            }
        }
    }
    let data = if floats { Elements::Float(real) } else { Elements::Int(whole) };
    Constant::new(dims, elem, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_joined_along_any_axis() {
        let a = Constant::ints(vec![2, 2], vec![1, 2, 3, 4]);
        let b = Constant::ints(vec![2, 1], vec![5, 6]);
        assert_eq!(joined(&[&a, &b], 1, vec![2, 3]), Constant::ints(vec![2, 3], vec![1, 2, 5, 3, 4, 6]));
    }
}
