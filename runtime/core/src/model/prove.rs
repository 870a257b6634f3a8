//! The proof of a program: what must hold of its tables before anything runs.

use super::{FOREVER, Life, Tables, operands};
use crate::error::{NodeFault, ParseError, TensorFault};
use crate::format::{ALIGN, DType, Node, Place, Scratch, Tensor};
use crate::isa::{IsaKind, Target};
use crate::ops::{NO_ROW, Op, Operands};

/// Everything that must hold of decoded tables.
pub(super) fn prove(t: &Tables<'_>, lives: &mut [Life]) -> Result<(), ParseError> {
    for (i, tensor) in t.tensors.iter().enumerate() {
        check_tensor(t, tensor).map_err(|fault| ParseError::Tensor { tensor: i as u16, fault })?;
    }
    interface(t, lives)?;
    for (i, node) in t.nodes.iter().enumerate() {
        check_node(t, node, i as u16 + 1, lives)
            .map_err(|fault| ParseError::Node { node: i as u16, fault })?;
    }
    for &id in t.outputs {
        let life = &mut lives[usize::from(id)];
        if t.tensors[usize::from(id)].dtype == DType::U16 {
            return Err(ParseError::Tensor { tensor: id, fault: TensorFault::Interface });
        }
        if !life.written && !matches!(t.tensors[usize::from(id)].place, Place::Data(_)) {
            return Err(ParseError::Tensor { tensor: id, fault: TensorFault::NeverWritten });
        }
        life.last = FOREVER;
    }
    overlaps(t, lives)?;
    for (i, node) in t.nodes.iter().enumerate() {
        check_scratch(t, node, i as u16 + 1, lives)
            .map_err(|fault| ParseError::Node { node: i as u16, fault })?;
    }
    Ok(())
}

fn check_tensor(t: &Tables<'_>, tensor: &Tensor) -> Result<(), TensorFault> {
    let Some(elements) = tensor.shape.checked_elements() else {
        return Err(TensorFault::Shape(tensor.shape));
    };
    if !(tensor.quant.scale > 0.0 && tensor.quant.scale.is_finite()) {
        return Err(TensorFault::Scale(tensor.quant.scale));
    }
    if !tensor.dtype.holds(tensor.quant.zero_point) {
        return Err(TensorFault::ZeroPoint(tensor.quant.zero_point));
    }
    let (start, region) = match tensor.place {
        Place::Arena(start) => (start, t.arena_len),
        Place::State(start) => (start, t.state_len),
        Place::Data(start) => (start, t.data.len() as u32),
    };
    if !start.is_multiple_of(tensor.dtype.size()) {
        return Err(TensorFault::Alignment(start));
    }
    // At most 2^28 elements of 4 bytes.
    let end = start.checked_add(elements * tensor.dtype.size());
    if end.is_none_or(|end| end > region) {
        return Err(TensorFault::Bounds { end: end.unwrap_or(u32::MAX), region });
    }
    if let Some(dim) = tensor.rows {
        let fits = t.dims.get(usize::from(dim)).is_some_and(|&bound| bound == tensor.shape.w);
        if !fits || tensor.shape.n != 1 || tensor.shape.h != 1 {
            return Err(TensorFault::Rows(dim));
        }
    }
    Ok(())
}

fn interface(t: &Tables<'_>, lives: &mut [Life]) -> Result<(), ParseError> {
    for list in [t.inputs, t.outputs] {
        for (i, &id) in list.iter().enumerate() {
            let fault = |fault| ParseError::Tensor { tensor: id, fault };
            if usize::from(id) >= t.tensors.len() || list[..i].contains(&id) {
                return Err(fault(TensorFault::Interface));
            }
        }
    }
    for (tensor, life) in t.tensors.iter().zip(lives.iter_mut()) {
        // Persistent tensors and constants have a value before the first node.
        if !matches!(tensor.place, Place::Arena(_)) {
            *life = Life { first: 0, last: FOREVER, written: true };
        }
    }
    for &id in t.inputs {
        let tensor = &t.tensors[usize::from(id)];
        let is_list = tensor.dtype == DType::U16;
        if matches!(tensor.place, Place::Data(_)) || is_list && !matches!(tensor.place, Place::Arena(_)) {
            return Err(ParseError::Tensor { tensor: id, fault: TensorFault::Interface });
        }
        // A list of indices stays until there is another.
        let last = if is_list { FOREVER } else { 0 };
        lives[usize::from(id)] = Life { first: 0, last, written: true };
    }
    Ok(())
}

fn check_node(t: &Tables<'_>, node: &Node, time: u16, lives: &mut [Life]) -> Result<(), NodeFault> {
    let cx = operands(t, node);
    if cx.inputs.len() != usize::from(node.inputs.len) || cx.outputs.len() != usize::from(node.outputs.len) {
        return Err(NodeFault::Ids);
    }
    for &id in cx.inputs.iter().chain(cx.outputs) {
        if usize::from(id) >= t.tensors.len() {
            return Err(NodeFault::UnknownTensor(id));
        }
    }
    for &id in cx.inputs {
        let life = &mut lives[usize::from(id)];
        if !life.written {
            return Err(NodeFault::ReadBeforeWrite(id));
        }
        life.last = life.last.max(time);
    }
    for (i, &id) in cx.outputs.iter().enumerate() {
        let place = t.tensors[usize::from(id)].place;
        let life = &mut lives[usize::from(id)];
        let twice = life.written && !matches!(place, Place::State(_));
        // A persistent tensor may be read and written by one node only where it is updated in place.
        let torn = cx.inputs.iter().position(|&input| input == id).is_some_and(|at| at != 0 || i != 0)
            || cx.outputs[..i].contains(&id);
        if matches!(place, Place::Data(_)) || twice || torn {
            return Err(NodeFault::WrittenTwice(id));
        }
        if !life.written {
            *life = Life { first: time, last: time, written: true };
        }
    }
    check_states(t, node, &cx)?;
    check_indices(t, &cx, &node.op)?;
    node.op.check(&cx)
}

/// The states of a node are persistent tensors, each listed once among all of its operands. Persistent tensors
/// never share bytes, so a state overlaps nothing that the node reads or writes.
fn check_states(t: &Tables<'_>, node: &Node, cx: &Operands<'_>) -> Result<(), NodeFault> {
    let plain = cx.inputs.len().saturating_sub(node.op.states());
    for &id in &cx.inputs[plain..] {
        let uses = cx.inputs.iter().chain(cx.outputs).filter(|&&other| other == id).count();
        if !matches!(t.tensors[usize::from(id)].place, Place::State(_)) || uses != 1 {
            return Err(NodeFault::State(id));
        }
    }
    Ok(())
}

/// No node writes a list of indices, every node that reads one reads it as such, and all of them mean the same rows, none
/// of which has the number of no row.
fn check_indices(t: &Tables<'_>, cx: &Operands<'_>, op: &Op) -> Result<(), NodeFault> {
    let is_list = |id: u16| t.tensors[usize::from(id)].dtype == DType::U16;
    if let Some(&id) = cx.outputs.iter().find(|&&id| is_list(id)) {
        return Err(NodeFault::Indices(id));
    }
    for (i, &id) in cx.inputs.iter().enumerate().filter(|(_, id)| is_list(**id)) {
        let fault = NodeFault::Indices(id);
        let rows = op.indexed(cx, i).ok_or(fault)?;
        let bounded = rows.dim.is_none_or(|dim| t.dims.get(usize::from(dim)) == Some(&rows.bound));
        let persistent = matches!(t.tensors[usize::from(id)].place, Place::State(_));
        let numbered = rows.bound <= u32::from(NO_ROW);
        if !bounded || !numbered || persistent || t.indexed(id) != Some(rows) {
            return Err(fault);
        }
    }
    Ok(())
}

fn range(place: Place, len: u32) -> Option<(u32, u32)> {
    match place {
        Place::Arena(start) => Some((start, start + len)),
        Place::State(_) | Place::Data(_) => None,
    }
}

fn cross(a: (u32, u32), b: (u32, u32)) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// No two tensors that are alive at the same time share bytes, unless one takes the other's place.
fn overlaps(t: &Tables<'_>, lives: &[Life]) -> Result<(), ParseError> {
    for (i, a) in t.tensors.iter().enumerate() {
        for (j, b) in t.tensors.iter().enumerate().take(i) {
            let error = ParseError::Overlap { first: j as u16, second: i as u16 };
            if let (Place::State(x), Place::State(y)) = (a.place, b.place) {
                if cross((x, x + a.bytes()), (y, y + b.bytes())) {
                    return Err(error);
                }
                continue;
            }
            let (Some(ra), Some(rb)) = (range(a.place, a.bytes()), range(b.place, b.bytes())) else {
                continue;
            };
            let (la, lb) = (lives[i], lives[j]);
            if !cross(ra, rb) || la.first > lb.last || lb.first > la.last {
                continue;
            }
            let taken = takes_place(t, i, j, lives) || takes_place(t, j, i, lives);
            if !taken && !joins(t, i, j, lives) && !joins(t, j, i, lives) {
                return Err(error);
            }
        }
    }
    for node in t.nodes {
        in_place_is_sound(t, node)?;
    }
    Ok(())
}

/// True where tensor `new` is the output of a node that works in place on `old`, at the same bytes, and
/// `old` is not needed after that node.
fn takes_place(t: &Tables<'_>, new: usize, old: usize, lives: &[Life]) -> bool {
    let time = lives[new].first;
    if lives[old].last != time || time == 0 {
        return false;
    }
    let node = &t.nodes[usize::from(time) - 1];
    let cx = operands(t, node);
    let (a, b) = (&t.tensors[new], &t.tensors[old]);
    node.op.replaces(b, a)
        && cx.outputs.first() == Some(&(new as u16))
        && cx.inputs.first() == Some(&(old as u16))
        && !cx.inputs[1..].contains(&(old as u16))
        && a.place == b.place
}

/// True where tensor `new` is the output of a concatenation of which `old` is an input that stands where it is to be,
/// and is not needed after that node.
fn joins(t: &Tables<'_>, new: usize, old: usize, lives: &[Life]) -> bool {
    let time = lives[new].first;
    if lives[old].last != time || time == 0 {
        return false;
    }
    let node = &t.nodes[usize::from(time) - 1];
    let cx = operands(t, node);
    let Op::Concat(concat) = node.op else { return false };
    let mut at = cx.inputs.iter().enumerate().filter(|&(_, &id)| usize::from(id) == old);
    let (Some((index, _)), None) = (at.next(), at.next()) else { return false };
    let inputs = cx.inputs.iter().map(|&id| &t.tensors[usize::from(id)]);
    match (t.tensors[old].place, t.tensors[new].place, concat.offset(inputs, index)) {
        (Place::Arena(input), Place::Arena(output), Some(offset)) => input == output + offset,
        _ => false,
    }
}

/// A node that reads and writes one persistent tensor must be able to work in place.
fn in_place_is_sound(t: &Tables<'_>, node: &Node) -> Result<(), ParseError> {
    let cx = operands(t, node);
    let (Some(input), Some(output)) = (cx.inputs.first(), cx.outputs.first()) else { return Ok(()) };
    let tensor = |id: &u16| &t.tensors[usize::from(*id)];
    let sound = node.op.replaces(tensor(input), tensor(output)) && !cx.inputs[1..].contains(input);
    if input == output && !sound {
        return Err(ParseError::Overlap { first: *input, second: *output });
    }
    Ok(())
}

fn check_scratch(t: &Tables<'_>, node: &Node, time: u16, lives: &[Life]) -> Result<(), NodeFault> {
    let Scratch { offset, len } = node.scratch;
    // Kernels do with what plain Rust needs where the file was not packed for them.
    let isa = if t.target == Target::Portable { Some(IsaKind::Scalar) } else { t.target.isa() };
    let needed = node.op.scratch(&operands(t, node), isa.unwrap_or(IsaKind::Scalar));
    let fault = NodeFault::Scratch { found: len, needed: u32::try_from(needed).unwrap_or(u32::MAX) };
    let end = offset.checked_add(len);
    if u64::from(len) < needed
        || end.is_none_or(|end| end > t.arena_len)
        || !(offset as usize).is_multiple_of(ALIGN)
    {
        return Err(fault);
    }
    for (tensor, life) in t.tensors.iter().zip(lives) {
        let alive = life.written && life.first <= time && time <= life.last;
        let shared = range(tensor.place, tensor.bytes()).is_some_and(|r| cross(r, (offset, offset + len)));
        if alive && shared && len > 0 {
            return Err(fault);
        }
    }
    Ok(())
}
