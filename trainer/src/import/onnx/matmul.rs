//! Products of matrices.

use super::binary::{self, BinaryFn};
use super::constant::{Constant, Grid, broadcast_dims, count};
use super::fail::Fail;
use super::importer::{Held, Importer, Item, Kind, too_many};
use super::layout::{Layout, wide};
use super::node::Node;
use super::qdq;
use super::shape::{known, reshaped_held, transposed};
use crate::ops::{self, Activation};
use std::rc::Rc;

pub(super) fn gemm(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 3)?;
    let (alpha, beta) = (node.float_or("alpha", 1.0)?, node.float_or("beta", 1.0)?);
    let (flip_a, flip_b) = (node.flag("transA")?, node.flag("transB")?);
    let (a, b) = (im.item(node, 0)?, im.item(node, 1)?);
    let (a, b) = (matrix(im, a, flip_a)?, matrix(im, b, flip_b)?);
    let (rows, columns) = (known(&a)?, known(&b)?);
    let out = match (rows.as_slice(), columns.as_slice()) {
        ([m, k], [l, n]) if k == l => [*m, *n],
        _ => return Err(Fail::malformed(format!("a product of {rows:?} and {columns:?}"))),
    };
    let addend = match node.input(2) {
        None => None,
        Some(_) => {
            let c = im.item(node, 2)?;
            let dims = known(&c)?;
            if broadcast_dims(&dims, &out)? != out {
                return Err(Fail::malformed(format!(
                    "the addend {dims:?} is larger than the product {out:?}"
                )));
            }
            Some(c)
        }
    };
    // One row, or the same for all rows: the bias of a layer.
    let bias = match &addend {
        Some(Item::Constant(c)) if c.dims.len() < 2 || c.dims.first() == Some(&1) => {
            let mut row = (**c).clone().with_dims(vec![c.len()])?;
            if c.len() != out[1] {
                row = row.broadcast(&[out[1]])?;
            }
            if beta != 1.0 {
                row = Constant::floats(row.dims.clone(), row.to_floats().iter().map(|x| x * beta).collect());
            }
            Some(row)
        }
        _ => None,
    };
    let last = addend.is_none() || bias.is_some();
    let part = if last { "" } else { "product" };
    let mut y = match (a, b) {
        (Item::Held(a), Item::Constant(b)) => {
            let weight = if alpha == 1.0 {
                (*b).clone()
            } else {
                Constant::floats(b.dims.clone(), b.to_floats().iter().map(|x| x * alpha).collect())
            };
            dense(im, part, a, &weight, bias.as_ref())?
        }
        (a, b) => {
            let scaled = alpha != 1.0;
            let product = product(im, if scaled || !last { "product" } else { "" }, a, b)?;
            let product = if scaled { times(im, "scaled", product, alpha)? } else { product };
            match &bias {
                Some(bias) => binary::apply(
                    im,
                    "biased",
                    BinaryFn::Add,
                    Item::Held(product),
                    Item::constant(bias.clone()),
                )?,
                None => product,
            }
        }
    };
    if let (Some(c), true) = (addend, bias.is_none()) {
        let c = match c {
            Item::Constant(c) => {
                let scaled = c.to_floats().iter().map(|x| x * beta).collect();
                Item::constant(Constant::floats(c.dims.clone(), scaled))
            }
            other if beta == 1.0 => other,
            other => {
                let held = im.hold(other)?;
                Item::Held(times(im, "addend", held, beta)?)
            }
        };
        y = binary::apply(im, "", BinaryFn::Add, Item::Held(y), c)?;
    }
    Ok(vec![Item::Held(y)])
}

fn times(im: &mut Importer, part: &str, x: Held, factor: f32) -> Result<Held, Fail> {
    let factor = Item::constant(Constant::floats(vec![], vec![factor]));
    binary::apply(im, part, BinaryFn::Mul, Item::Held(x), factor)
}

/// A matrix, transposed where asked.
pub(super) fn matrix(im: &mut Importer, x: Item, flip: bool) -> Result<Item, Fail> {
    if known(&x)?.len() != 2 {
        return Err(Fail::malformed(format!("a matrix is expected, {:?} found", known(&x)?)));
    }
    Ok(match x {
        x if !flip => x,
        Item::Constant(c) => {
            let mut flipped = c.permute(&[1, 0]);
            flipped.grid = c.grid.as_deref().map(|g| Rc::new(Grid { axis: 1 - g.axis.min(1), ..g.clone() }));
            Item::constant(flipped)
        }
        Item::Held(held) => Item::Held(transposed(im, held, &[1, 0])?),
        Item::Unknown => Item::Unknown,
    })
}

pub(super) fn matmul(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 2)?;
    let (a, b) = (im.item(node, 0)?, im.item(node, 1)?);
    let (rows, columns) = (known(&a)?, known(&b)?);
    // A vector is a row on the left and a column on the right; that axis is dropped again.
    let (row, column) = (rows.len() == 1, columns.len() == 1);
    let a = if row { super::shape::reshaped(im, a, [vec![1], rows.clone()].concat())? } else { a };
    let b = if column { super::shape::reshaped(im, b, [columns.clone(), vec![1]].concat())? } else { b };
    let y = product(im, "", a, b)?;
    let mut dims = y.dims.clone();
    if column {
        dims.pop();
    }
    if row {
        let at = dims.len().saturating_sub(if column { 1 } else { 2 });
        if at < dims.len() {
            dims.remove(at);
        }
    }
    let y = if dims == y.dims { y } else { reshaped_held(im, y, dims)? };
    Ok(vec![Item::Held(y)])
}

/// The product of two tensors of rank 2 or more, by the rule of `MatMul`.
pub(super) fn product(im: &mut Importer, part: &str, a: Item, b: Item) -> Result<Held, Fail> {
    let (left, right) = (known(&a)?, known(&b)?);
    let (&[.., m, k], &[.., l, n]) = (left.as_slice(), right.as_slice()) else {
        return Err(Fail::malformed(format!("a product of {left:?} and {right:?}")));
    };
    if k != l {
        return Err(Fail::malformed(format!("a product of {left:?} and {right:?}")));
    }
    let single = |dims: &[usize]| dims.iter().rev().skip(2).all(|d| *d == 1);
    let rank = left.len().max(right.len());
    match (a, b) {
        (Item::Held(a), Item::Constant(b)) if single(&b.dims) => {
            let weight = if b.dims.len() == 2 { (*b).clone() } else { (*b).clone().with_dims(vec![k, n])? };
            let y = dense(im, part, a, &weight, None)?;
            let dims = [vec![1; rank - left.len()], y.dims.clone()].concat();
            reshaped_held(im, y, dims)
        }
        // (B' A')' = A B: both transpositions only rename axes.
        (Item::Constant(a), Item::Held(b)) if single(&a.dims) => {
            let weight = (*a).clone().with_dims(vec![m, k])?.permute(&[1, 0]);
            let order = swapped(right.len());
            let b = transposed(im, b, &order)?;
            let y = dense(im, part, b, &weight, None)?;
            let y = transposed(im, y, &order)?;
            let dims = [vec![1; rank - right.len()], y.dims.clone()].concat();
            reshaped_held(im, y, dims)
        }
        (a, b) => {
            let (a, b) = (im.hold(a)?, im.hold(b)?);
            batched(im, part, a, b)
        }
    }
}

/// The last two of `rank` axes exchanged.
fn swapped(rank: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank).collect();
    if let [.., a, b] = order.as_mut_slice() {
        std::mem::swap(a, b);
    }
    order
}

/// `x` `[…, in]` times `weight` `[in, out]`, plus a bias of `out`.
pub(super) fn dense(
    im: &mut Importer,
    part: &str,
    x: Held,
    weight: &Constant,
    bias: Option<&Constant>,
) -> Result<Held, Fail> {
    let grid = weight.grid.clone();
    let (x, weight) = match unflattened(im, &x, weight)? {
        Some(pair) => pair,
        None => {
            let last = x.dims.len().saturating_sub(1);
            (im.with_channels(x, last)?, weight.clone())
        }
    };
    let &[_, out] = weight.dims.as_slice() else {
        return Err(Fail::malformed(format!("weights of shape {:?}", weight.dims)));
    };
    let mut dims = x.dims.clone();
    if let Some(d) = dims.last_mut() {
        *d = out;
    }
    count(&dims)?;
    let op = ops::Dense { out_features: out as u32, bias: bias.is_some(), fused: Activation::None };
    let weights = weight.permute(&[1, 0]).to_floats();
    let params = std::iter::once(weights).chain(bias.map(Constant::to_floats)).collect();
    let id = im.push(part, op, &[x.id], params)?;
    qdq::pin_params(im, grid.as_deref(), 1, bias, 0)?;
    let mut layout = x.layout.restricted(&dims);
    layout.place[3] = Some(dims.len() - 1).filter(|_| out != 1);
    Ok(Held { id, dims, layout, kind: Kind::Real })
}

/// Where the last axis of `x` is a flattened image in another order than the file has it: the image's memory as it is, and
/// the rows of `weight` in that order.
fn unflattened(im: &mut Importer, x: &Held, weight: &Constant) -> Result<Option<(Held, Constant)>, Fail> {
    if x.is_plain() {
        return Ok(None);
    }
    let features = x.dims.last().copied().unwrap_or(1);
    let inner = &x.layout.inner;
    // The run of fine axes that the last axis is made of.
    let mut first = inner.len();
    let mut product = 1;
    while product < features && first > 0 {
        first -= 1;
        product *= inner.get(first).copied().unwrap_or(1);
    }
    let order = x.layout.order();
    let split = order.iter().position(|a| *a >= first).unwrap_or(order.len());
    let (leading, trailing) = order.split_at(split);
    let rows: Vec<usize> = wide(&x.dims).into_iter().filter(|a| a + 1 < x.dims.len()).collect();
    let separate = product == features && trailing.iter().all(|a| *a >= first);
    if !separate || leading.len() != rows.len() || !leading.is_sorted() {
        return Ok(None);
    }
    let mut axes = rows;
    axes.push(x.dims.len() - 1);
    let layout = Layout::in_order(&x.dims, &axes).ok_or_else(|| too_many(&x.dims))?;
    let id = im.reshape(x.id, layout.shape())?;
    let fine: Vec<usize> = inner.iter().skip(first).copied().collect();
    let out = weight.dims.last().copied().unwrap_or(1);
    let mut permutation: Vec<usize> = trailing.iter().map(|a| a - first).collect();
    permutation.extend((0..fine.len()).filter(|a| !trailing.contains(&(a + first))));
    permutation.push(fine.len());
    let weight = weight.clone().with_dims([fine, vec![out]].concat())?.permute(&permutation);
    let weight = weight.with_dims(vec![features, out])?;
    Ok(Some((Held { id, dims: x.dims.clone(), layout, kind: x.kind }, weight)))
}

/// The product of two computed tensors.
fn batched(im: &mut Importer, part: &str, a: Held, b: Held) -> Result<Held, Fail> {
    let rank = a.dims.len().max(b.dims.len());
    let (a, b) = (im.plain(a)?.lifted(rank), im.plain(b)?.lifted(rank));
    let at = rank.saturating_sub(2);
    let batch = broadcast_dims(a.dims.get(..at).unwrap_or_default(), b.dims.get(..at).unwrap_or_default())?;
    let stacked = wide(&batch);
    if stacked.len() > 2 {
        return Err(too_many(&batch));
    }
    let ends = [a.dims.get(at).copied().unwrap_or(1), b.dims.last().copied().unwrap_or(1)];
    let (a, transpose_a) = stack(im, a, &stacked)?;
    let (b, transpose_b) = stack(im, b, &stacked)?;
    let id = im.push(part, ops::BatchMatMul { transpose_a, transpose_b }, &[a.id, b.id], vec![])?;
    let dims = [batch.as_slice(), &ends].concat();
    count(&dims)?;
    let layout = matrices(&dims, &stacked, [rank - 2, rank - 1]);
    Ok(Held { id, dims, layout, kind: Kind::Real })
}

/// `x` with the axes `stacked` on N and H and its matrices on W and C; whether they lie transposed.
fn stack(im: &mut Importer, x: Held, stacked: &[usize]) -> Result<(Held, bool), Fail> {
    let (row, column) = (x.dims.len() - 2, x.dims.len() - 1);
    let upright = matrices(&x.dims, stacked, [row, column]);
    let flipped = matrices(&x.dims, stacked, [column, row]);
    let flip = x.layout.order() == flipped.order() && x.layout.order() != upright.order();
    let x = im.place(x, if flip { &flipped } else { &upright })?;
    Ok((x, flip))
}

/// Axes `stacked` on N and H, `matrix` on W and C.
fn matrices(dims: &[usize], stacked: &[usize], matrix: [usize; 2]) -> Layout {
    let mut place = [None, None, Some(matrix[0]), Some(matrix[1])];
    for (slot, axis) in place.iter_mut().take(2).rev().zip(stacked.iter().rev()) {
        *slot = Some(*axis);
    }
    let place = place.map(|a| a.filter(|a| dims.get(*a).is_some_and(|d| *d != 1)));
    Layout { inner: dims.to_vec(), place }
}
