//! Removes channels that say nothing, from int8 programs, without a change of one output byte.
//!
//! A channel is *known* where its values do not depend on the input: all weights are zero, or every input that is read
//! is known. The runtime itself says what they are, border and rounding included ([`alone`]). A known channel can go
//! where its readers can do without: a convolution or dense layer takes what the channel adds to its sums into the bias,
//! if that is the same at every pixel; an operator that works channel by channel loses the channel in all its tensors at
//! once. A channel that no reader multiplies by a weight other than zero goes, too, known or not. Network inputs and
//! outputs, persistent tensors and the tensors of any other operator stay as they are, and every tensor keeps at least
//! one channel.

mod alone;
mod cut;
mod kind;
mod known;

#[cfg(test)]
mod tests;

use super::constants::Constants;
use crate::passes::channel_sets::{PerChannel, largest, tie};
use crate::quantise::{QGraph, QNode};
use dunlin::format::DType;
use kind::Kind;

/// The known values of each channel, one per pixel.
type Images = PerChannel<Option<Vec<i8>>>;

/// What folding removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Output channels of convolutions and dense layers.
    pub channels: usize,
    /// Multiply-accumulates of one run.
    pub macs: u64,
}

/// Removes all dead channels of `program`.
pub(super) fn fold(program: &mut QGraph) -> Folded {
    let Some(constants) = Constants::of(program) else { return Folded::default() };
    let kinds: Vec<Kind> = program.nodes.iter().map(|n| Kind::of(program, n, &constants)).collect();
    let known = known::known(program, &kinds, &constants);
    let free = free(program, &kinds, &known);
    if !free.iter().flatten().any(|&f| f) {
        return Folded::default();
    }
    cut::remove(program, &kinds, &constants, &known, &free)
}

/// The largest set of channels that can go together.
fn free(program: &QGraph, kinds: &[Kind], known: &Images) -> PerChannel<bool> {
    let start = |t: &crate::quantise::QTensor| {
        vec![t.dtype == DType::I8 && t.shape.c > 1 && !t.persistent; t.shape.c as usize]
    };
    let mut free: PerChannel<bool> = program.tensors.iter().map(start).collect();
    for &id in program.inputs.iter().chain(&program.outputs) {
        free[usize::from(id)].fill(false);
    }
    let needs: Vec<Vec<bool>> =
        program.nodes.iter().zip(kinds).map(|(n, kind)| needs(n, kind, known)).collect();
    largest(free, |free| {
        for ((node, kind), needs) in program.nodes.iter().zip(kinds).zip(&needs) {
            constrain(node, kind, needs, free);
        }
    })
}

/// For each output channel and each input channel of a sum, whether the one cannot do without the other.
fn needs(node: &QNode, kind: &Kind, known: &Images) -> Vec<bool> {
    let Kind::Sum(sum) = kind else { return Vec::new() };
    let images = &known[usize::from(node.inputs[0])];
    let needs = |o: usize, i: usize| {
        sum.reads(o, i) && images[i].as_deref().is_none_or(|image| sum.share(image, i, o).is_none())
    };
    (0..sum.outputs).flat_map(|o| (0..sum.inputs).map(move |i| (o, i))).map(|(o, i)| needs(o, i)).collect()
}

/// Takes back the channels that `node` cannot do without.
fn constrain(node: &QNode, kind: &Kind, needs: &[bool], free: &mut PerChannel<bool>) {
    let tensors = || node.inputs.iter().chain(&node.outputs).map(|id| usize::from(*id));
    match kind {
        Kind::Sum(sum) => {
            let (x, y) = (usize::from(node.inputs[0]), usize::from(node.outputs[0]));
            for o in (0..sum.outputs).filter(|&o| sum.labels || !free[y][o]).collect::<Vec<_>>() {
                let needed = &needs[o * sum.inputs..][..sum.inputs];
                free[x].iter_mut().zip(needed).for_each(|(free, needed)| *free &= !needed);
            }
        }
        Kind::Groups(size) => {
            let (x, y) = (usize::from(node.inputs[0]), usize::from(node.outputs[0]));
            for i in 0..free[x].len() {
                let group = (i * size..(i + 1) * size).map(|o| (y, o));
                tie(free, &std::iter::once((x, i)).chain(group).collect::<Vec<_>>());
            }
        }
        Kind::Each => {
            for i in 0..free[usize::from(node.outputs[0])].len() {
                tie(free, &tensors().map(|t| (t, i)).collect::<Vec<_>>());
            }
        }
        Kind::Joined => {
            let (mut at, y) = (0, usize::from(node.outputs[0]));
            for x in node.inputs.iter().map(|id| usize::from(*id)) {
                for i in 0..free[x].len() {
                    tie(free, &[(x, i), (y, at + i)]);
                }
                at += free[x].len();
            }
        }
        Kind::Whole => tensors().for_each(|t| free[t].fill(false)),
    }
}
