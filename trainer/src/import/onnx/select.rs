//! Operators that cut, join and pick: every element of the result is an element of an input.

use super::constant::{Constant, Elements, check_computed, count};
use super::emit::Cut;
use super::fail::Fail;
use super::importer::{Held, Importer, Item, too_many};
use super::layout::Layout;
use super::node::Node;
use super::shape::{axis, expanded, ints, known, reshaped_held};
use dunlin::ops::BlockOrder;

/// Part of one axis: `count` elements from `start` on, `step` apart (negative: backwards).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) step: i64,
    pub(super) count: usize,
}

impl Run {
    fn whole(size: usize) -> Self {
        Self { start: 0, step: 1, count: size }
    }

    fn positions(self) -> impl Iterator<Item = usize> {
        (0..self.count as i64).map(move |i| (self.start as i64 + i * self.step).max(0) as usize)
    }
}

pub(super) fn slice(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    let old = node.opset < 10;
    node.check_inputs(if old { 1 } else { 3 }, if old { 1 } else { 5 })?;
    let x = im.item(node, 0)?;
    let dims = known(&x)?;
    let required =
        |v: Option<Vec<i64>>, what: &str| v.ok_or_else(|| Fail::malformed(format!("{what} are missing")));
    let starts = required(ints(im, node, "starts", 1, 10)?, "starts")?;
    let ends = required(ints(im, node, "ends", 2, 10)?, "ends")?;
    let axes = ints(im, node, "axes", 3, 10)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = if old { None } else { ints(im, node, "", 4, 10)? };
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(Fail::malformed("starts, ends, axes and steps differ in number"));
    }
    let mut runs: Vec<Run> = dims.iter().map(|d| Run::whole(*d)).collect();
    for (((start, end), a), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let a = axis(*a, dims.len())?;
        if let (Some(run), Some(size)) = (runs.get_mut(a), dims.get(a)) {
            *run = part(*start, *end, *step, *size)?;
        }
    }
    Ok(vec![cut(im, x, &runs)?])
}

/// The elements from `start` to before `end` of an axis of `size`, by ONNX's rules of clamping.
fn part(start: i64, end: i64, step: i64, size: usize) -> Result<Run, Fail> {
    if size == 0 {
        return Ok(Run::whole(0));
    }
    let size = size as i64;
    let from_end = |i: i64| if i < 0 { i.saturating_add(size) } else { i };
    let (start, end) = (from_end(start), from_end(end));
    let (start, distance) = if step > 0 {
        let (start, end) = (start.clamp(0, size), end.clamp(0, size));
        (start, end - start)
    } else if step < 0 {
        let (start, end) = (start.clamp(0, size - 1), end.clamp(-1, size - 1));
        (start, start - end)
    } else {
        return Err(Fail::malformed("a step is 0"));
    };
    let count = u64::try_from(distance).unwrap_or(0).div_ceil(step.unsigned_abs());
    // A step longer than the axis takes one element, whichever step it is.
    Ok(Run {
        start: start.max(0) as usize,
        step: step.clamp(-size.max(1), size.max(1)),
        count: count as usize,
    })
}

/// The part of `x` that `runs` names, one for each axis.
pub(super) fn cut(im: &mut Importer, x: Item, runs: &[Run]) -> Result<Item, Fail> {
    let dims: Vec<usize> = runs.iter().map(|r| r.count).collect();
    match x {
        Item::Constant(c) => {
            let mut c = (*c).clone();
            for (a, run) in runs.iter().enumerate() {
                c = take(&c, a, &run.positions().collect::<Vec<_>>());
            }
            Ok(Item::constant(c))
        }
        Item::Held(held) => {
            if dims.contains(&0) {
                return Err(Fail::unsupported(format!("its result {dims:?} has no element"), ""));
            }
            cut_held(im, held, runs).map(Item::Held)
        }
        Item::Unknown => Ok(Item::Unknown),
    }
}

/// The part of `x` that `runs` names, one for each axis.
pub(super) fn cut_held(im: &mut Importer, x: Held, runs: &[Run]) -> Result<Held, Fail> {
    let x = im.plain(x)?;
    if x.dims.iter().zip(runs).all(|(d, r)| *r == Run::whole(*d)) {
        return Ok(x);
    }
    let dims: Vec<usize> = runs.iter().map(|r| r.count).collect();
    let cuts = x.layout.place.map(|axis| {
        let run = axis.and_then(|a| runs.get(a)).copied().unwrap_or(Run::whole(1));
        Cut { begin: run.start, step: run.step, size: run.count }
    });
    let id = im.cut(x.id, cuts)?;
    let layout = x.layout.restricted(&dims);
    Ok(Held { id, dims, layout, kind: x.kind })
}

/// `c` with only the elements at `positions` along axis `a`.
fn take(c: &Constant, a: usize, positions: &[usize]) -> Constant {
    let (outer, inner) = c.dims.split_at(a.min(c.dims.len()));
    let (size, inner) = inner.split_first().map_or((1, 1), |(d, rest)| (*d, rest.iter().product::<usize>()));
    let outer: usize = outer.iter().product();
    let mut dims = c.dims.clone();
    if let Some(d) = dims.get_mut(a) {
        *d = positions.len();
    }
    let at = (0..outer).flat_map(|o| {
        positions.iter().flat_map(move |p| (0..inner).map(move |i| (o * size + p) * inner + i))
    });
    c.pick(dims, at.collect::<Vec<_>>().into_iter())
}

pub(super) fn split(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 2)?;
    let x = im.item(node, 0)?;
    let dims = known(&x)?;
    let a = axis(node.int_or("axis", 0)?, dims.len())?;
    let size = dims.get(a).copied().unwrap_or(1);
    let outputs = node.outputs().max(1);
    let wanted = node.int_or("num_outputs", outputs as i64)?;
    if wanted != outputs as i64 {
        return Err(Fail::malformed(format!("{wanted} outputs are asked for, {outputs} are named")));
    }
    let parts = match ints(im, node, "split", 1, 13)? {
        Some(parts) => super::constant::sizes(&parts)?,
        None => {
            // All of one size; the last may be smaller.
            let each = size.div_ceil(outputs);
            (0..outputs).map(|i| each.min(size.saturating_sub(i * each))).collect()
        }
    };
    if parts.len() != outputs || parts.iter().try_fold(0usize, |sum, p| sum.checked_add(*p)) != Some(size) {
        return Err(Fail::malformed(format!("axis {a} of size {size} cannot be split into {parts:?}")));
    }
    let mut start = 0;
    let mut items = Vec::new();
    for count in parts {
        let mut runs: Vec<Run> = dims.iter().map(|d| Run::whole(*d)).collect();
        if let Some(run) = runs.get_mut(a) {
            *run = Run { start, step: 1, count };
        }
        start += count;
        items.push(cut(im, x.clone(), &runs)?);
    }
    Ok(items)
}

pub(super) fn gather(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 2)?;
    let x = im.item(node, 0)?;
    let dims = known(&x)?;
    let a = axis(node.int_or("axis", 0)?, dims.len())?;
    let size = dims.get(a).copied().unwrap_or(1);
    let indices = im.item(node, 1)?;
    let index_dims = known(&indices)?;
    let mut wanted = dims.clone();
    wanted.splice(a..=a, index_dims.iter().copied());
    count(&wanted)?;
    let Item::Constant(indices) = indices else {
        return super::lookup::gather(im, x, a, indices, wanted);
    };
    let mut positions = Vec::new();
    for index in indices.as_ints()? {
        let from_end = if *index < 0 { index.saturating_add(size as i64) } else { *index };
        let position = usize::try_from(from_end).ok().filter(|p| *p < size);
        positions.push(
            position.ok_or_else(|| Fail::malformed(format!("index {index} of an axis of size {size}")))?,
        );
    }
    Ok(vec![match x {
        Item::Constant(c) => {
            check_computed(&wanted, c.len())?;
            Item::constant(take(&c, a, &positions).with_dims(wanted)?)
        }
        Item::Held(held) => {
            let held = picked(im, held, a, &positions)?;
            Item::Held(reshaped_held(im, held, wanted)?)
        }
        Item::Unknown => Item::Unknown,
    }])
}

/// The elements of `x` at `positions` along axis `a`.
fn picked(im: &mut Importer, x: Held, a: usize, positions: &[usize]) -> Result<Held, Fail> {
    let x = im.plain(x)?;
    let Some(first) = positions.first().copied() else {
        return Err(Fail::unsupported("its result has no element", ""));
    };
    let step = positions.get(1).map_or(1, |p| *p as i64 - first as i64);
    let even =
        step != 0 && positions.iter().enumerate().all(|(i, p)| *p as i64 == first as i64 + i as i64 * step);
    let mut runs: Vec<Run> = x.dims.iter().map(|d| Run::whole(*d)).collect();
    if even {
        if let Some(run) = runs.get_mut(a) {
            *run = Run { start: first, step, count: positions.len() };
        }
        return cut_held(im, x, &runs);
    }
    let mut dims = x.dims.clone();
    if let Some(d) = dims.get_mut(a) {
        *d = positions.len();
    }
    // Along one element every position is 0, and then they are even or repeat it.
    let Some(slot) = x.layout.slot(a) else { return expanded(im, x, &dims) };
    let indices = positions.iter().map(|p| *p as u32).collect();
    let id = im.pick(x.id, indices, slot)?;
    let layout = x.layout.restricted(&dims);
    Ok(Held { id, dims, layout, kind: x.kind })
}

/// Depth to space and space to depth.
pub(super) fn depth_to_space(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let block =
        node.int("blocksize")?.and_then(|b| usize::try_from(b).ok()).filter(|b| *b > 0 && *b < 1 << 15);
    let b = block.ok_or_else(|| Fail::malformed("`blocksize` is missing or not positive"))?;
    let x = im.held(node, 0)?;
    let [n, c, h, w] = <[usize; 4]>::try_from(x.dims.clone())
        .map_err(|d| Fail::malformed(format!("works on rank 4, {d:?} is given")))?;
    let x = im.channels_last(x)?;
    let inverse = node.op == "SpaceToDepth";
    let dims = if inverse {
        if h % b != 0 || w % b != 0 {
            return Err(Fail::malformed(format!("{h}x{w} is no multiple of the block {b}")));
        }
        vec![n, c.saturating_mul(b * b), h / b, w / b]
    } else {
        if c % (b * b) != 0 {
            return Err(Fail::malformed(format!("{c} channels are no multiple of {}", b * b)));
        }
        vec![n, c / (b * b), h.saturating_mul(b), w.saturating_mul(b)]
    };
    count(&dims)?;
    let block = b as u16;
    let id = if inverse {
        im.space_to_depth(x.id, block)?
    } else {
        let order = match node.string_or("mode", "DCR")? {
            "DCR" => BlockOrder::ChannelInnermost,
            "CRD" => BlockOrder::ChannelOutermost,
            other => return Err(Fail::malformed(format!("mode `{other}`"))),
        };
        im.depth_to_space(x.id, block, order)?
    };
    let layout = Layout::channels_last(&dims).ok_or_else(|| too_many(&dims))?;
    Ok(vec![Item::Held(Held { id, dims, layout, kind: x.kind })])
}

/// Choice between two tensors by a condition that is known now.
pub(super) fn choose(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(3, 3)?;
    let condition = im.constant(node, 0)?;
    let (a, b) = (im.item(node, 1)?, im.item(node, 2)?);
    let dims = super::constant::broadcast_dims(&known(&a)?, &known(&b)?)?;
    let dims = super::constant::broadcast_dims(&dims, &condition.dims)?;
    let condition = condition.broadcast(&dims)?;
    let flags = condition.as_ints()?;
    let (Item::Constant(x), Item::Constant(y)) = (&a, &b) else {
        let all = |on: bool| flags.iter().all(|f| (*f != 0) == on);
        let chosen = if all(true) {
            a
        } else if all(false) {
            b
        } else {
            return Err(Fail::unsupported(
                "chooses between computed tensors element by element",
                "a condition that is the same everywhere, or two constants, can be imported",
            ));
        };
        let held = im.hold(chosen)?;
        return Ok(vec![Item::Held(super::shape::expanded(im, held, &dims)?)]);
    };
    let (x, y) = (x.broadcast(&dims)?, y.broadcast(&dims)?);
    let data = match (&x.data, &y.data) {
        (Elements::Float(x), Elements::Float(y)) => Elements::Float(mixed(flags, x, y)),
        (Elements::Int(x), Elements::Int(y)) => Elements::Int(mixed(flags, x, y)),
        _ => return Err(Fail::malformed("its two tensors differ in type")),
    };
    Ok(vec![Item::constant(Constant::new(dims, x.elem, data))])
}

fn mixed<T: Copy>(flags: &[i64], x: &[T], y: &[T]) -> Vec<T> {
    flags.iter().zip(x.iter().zip(y)).map(|(f, (x, y))| if *f != 0 { *x } else { *y }).collect()
}

/// `x` with axis `a` reversed.
pub(super) fn reversed(im: &mut Importer, x: Held, a: usize) -> Result<Held, Fail> {
    let mut runs: Vec<Run> = x.dims.iter().map(|d| Run::whole(*d)).collect();
    if let Some(run) = runs.get_mut(a) {
        *run = Run { start: run.count.saturating_sub(1), step: -1, count: run.count };
    }
    if runs.get(a).is_some_and(|r| r.count == 1) {
        return Ok(x);
    }
    cut_held(im, x, &runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_clamped_as_the_standard_says() {
        let run = |start, step, count| Run { start, step, count };
        assert_eq!(part(1, 1000, 1, 10).unwrap(), run(1, 1, 9));
        assert_eq!(part(0, -1, 1, 10).unwrap(), run(0, 1, 9));
        assert_eq!(part(20, 0, -4, 20).unwrap(), run(19, -4, 5));
        assert_eq!(part(-1, i64::MIN, -1, 4).unwrap(), run(3, -1, 4));
        assert_eq!(part(1000, 1000, 1, 10).unwrap().count, 0);
        assert_eq!(part(2, 9, i64::MAX, 10).unwrap(), run(2, 10, 1));
        assert!(part(0, 1, 0, 4).is_err());
    }

    #[test]
    fn constants_are_picked_along_any_axis() {
        let a = Constant::ints(vec![2, 2], vec![1, 2, 3, 4]);
        assert_eq!(take(&a, 0, &[1, 0, 1]), Constant::ints(vec![3, 2], vec![3, 4, 1, 2, 3, 4]));
        assert_eq!(take(&a, 1, &[1]), Constant::ints(vec![2, 1], vec![2, 4]));
    }
}
