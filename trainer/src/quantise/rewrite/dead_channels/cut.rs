//! Cutting operators, constants and tensors to the channels that stay.

use super::kind::{Kind, Sum};
use super::{Folded, Images, PerChannel};
use crate::quantise::rewrite::constants::Constants;
use crate::quantise::{QGraph, QNode};
use dunlin::format::DataSection;
use dunlin::ops::{Filter, Op};

/// The operator of `node` for inputs that have only the channels `inputs` and an output that has only the channels
/// `outputs`; `added` to the bias of each of these. Its constants go into `data`.
pub(super) fn operator(
    program: &QGraph,
    node: &QNode,
    kind: &Kind,
    constants: &Constants,
    (inputs, outputs): (&[usize], &[usize]),
    added: impl Fn(usize) -> i64,
    data: &mut DataSection,
) -> Op {
    let mut op = node.op;
    let all = program.tensors[usize::from(node.outputs[0])].shape.c as usize;
    match (&mut op, kind) {
        (
            Op::Conv2d(dunlin::ops::Conv2d { filter, .. }) | Op::Dense(dunlin::ops::Dense { filter }),
            Kind::Sum(sum),
        ) => {
            let weights = of_sum(sum, constants, inputs, outputs);
            *filter = cut(filter, sum.outputs, constants, &weights, outputs, added, data);
        }
        (Op::DepthwiseConv2d(o), Kind::Groups(_)) => {
            let old = constants.int8(o.filter.weights, o.window.taps() * all);
            let weights: Vec<i8> =
                old.chunks_exact(all).flat_map(|row| outputs.iter().map(move |&c| row[c])).collect();
            o.filter = cut(&o.filter, all, constants, &weights, outputs, added, data);
        }
        _ => op = constants.copied(&op, data),
    }
    op
}

/// Weights `[outputs, taps, inputs]` of the channels that stay.
fn of_sum(sum: &Sum, constants: &Constants, inputs: &[usize], outputs: &[usize]) -> Vec<i8> {
    let old = constants.int8(sum.filter.weights, sum.outputs * sum.taps() * sum.inputs);
    let mut weights = Vec::with_capacity(outputs.len() * sum.taps() * inputs.len());
    for o in outputs {
        for row in old[o * sum.taps() * sum.inputs..][..sum.taps() * sum.inputs].chunks_exact(sum.inputs) {
            weights.extend(inputs.iter().map(|&i| row[i]));
        }
    }
    weights
}

/// The constants of `filter`, which has `all` output channels, for those that stay.
fn cut(
    filter: &Filter,
    all: usize,
    constants: &Constants,
    weights: &[i8],
    outputs: &[usize],
    added: impl Fn(usize) -> i64,
    data: &mut DataSection,
) -> Filter {
    let (bias, multiplier) = (constants.int32(filter.bias, all), constants.int32(filter.multiplier, all));
    let shift = constants.int8(filter.shift, all);
    // The parser has proved that all products and the bias together fit 32 bits; what is added are some of the products.
    let sum =
        |&o: &usize| i32::try_from(i64::from(bias[o]) + added(o)).expect("part of a sum that fits 32 bits");
    Filter {
        weights: data.push(weights),
        bias: data.push(&outputs.iter().map(sum).collect::<Vec<_>>()),
        multiplier: data.push(&outputs.iter().map(|&o| multiplier[o]).collect::<Vec<_>>()),
        shift: data.push(&outputs.iter().map(|&o| shift[o]).collect::<Vec<_>>()),
        ..*filter
    }
}

/// Input channels of a depthwise convolution all of whose weights are zero.
pub(super) fn unread_groups(program: &QGraph, node: &QNode, size: usize, constants: &Constants) -> Vec<bool> {
    let Op::DepthwiseConv2d(o) = &node.op else { return Vec::new() };
    let channels = program.tensors[usize::from(node.outputs[0])].shape.c as usize;
    let weights = constants.int8(o.filter.weights, o.window.taps() * channels);
    let mut unread = vec![true; channels / size];
    for row in weights.chunks_exact(channels) {
        for (unread, group) in unread.iter_mut().zip(row.chunks_exact(size)) {
            *unread &= group.iter().all(|&w| w == o.filter.weight_zero);
        }
    }
    unread
}

/// Removes the channels that are `free`; what they added to the sums of others goes into biases.
pub(super) fn remove(
    program: &mut QGraph,
    kinds: &[Kind],
    constants: &Constants,
    known: &Images,
    free: &PerChannel<bool>,
) -> Folded {
    let kept: PerChannel<usize> = free.iter().map(|f| (0..f.len()).filter(|&i| !f[i]).collect()).collect();
    let mut folded = Folded::default();
    let mut data = DataSection::new();
    let mut ops = Vec::with_capacity(program.nodes.len());
    for (node, kind) in program.nodes.iter().zip(kinds) {
        let (Some(&x), Some(&y)) = (node.inputs.first(), node.outputs.first()) else {
            ops.push(constants.copied(&node.op, &mut data));
            continue;
        };
        let (x, y) = (usize::from(x), usize::from(y));
        let added = |o: usize| match kind {
            Kind::Sum(sum) => {
                let gone = (0..sum.inputs).filter(|&i| free[x][i] && sum.reads(o, i));
                gone.filter_map(|i| sum.share(known[x][i].as_deref()?, i, o)).sum()
            }
            _ => 0,
        };
        let pixels = program.tensors[y].shape.pixels() as u64;
        let weights = |inputs: usize, outputs: usize| match (kind, &node.op) {
            (Kind::Sum(sum), _) => (sum.taps() * inputs * outputs) as u64,
            (_, Op::DepthwiseConv2d(o)) => (o.window.taps() * outputs) as u64,
            _ => 0,
        };
        // With labels the channels of the sum are not those of the output, and all stay.
        let outputs: Vec<usize> = match kind {
            Kind::Sum(sum) if sum.labels => (0..sum.outputs).collect(),
            _ => kept[y].clone(),
        };
        let before = match kind {
            Kind::Sum(sum) => sum.outputs,
            _ => free[y].len(),
        };
        if matches!(kind, Kind::Sum(_)) {
            folded.channels += before - outputs.len();
        }
        folded.macs += pixels * (weights(free[x].len(), before) - weights(kept[x].len(), outputs.len()));
        ops.push(operator(program, node, kind, constants, (&kept[x], &outputs), added, &mut data));
    }
    for (node, op) in program.nodes.iter_mut().zip(ops) {
        node.op = op;
    }
    for (tensor, kept) in program.tensors.iter_mut().zip(&kept) {
        let (all, size) = (tensor.shape.c as usize, tensor.dtype.size() as usize);
        if let Some(blob) = &mut tensor.constant {
            let old = constants.bytes(*blob, tensor.shape.elements() * size);
            let pixel = |pixel: &[u8]| {
                kept.iter().flat_map(|&c| pixel[c * size..][..size].to_vec()).collect::<Vec<_>>()
            };
            *blob = data.push(&old.chunks_exact(all * size).flat_map(pixel).collect::<Vec<_>>());
        }
        if kept.len() < all {
            // The float value has more channels.
            tensor.value = None;
            tensor.shape.c = kept.len() as u32;
        }
    }
    program.data = data;
    folded
}
