//! Channels whose values do not depend on the input of the network.

use super::kind::{Kind, Sum};
use super::{Images, alone, cut};
use crate::quantise::rewrite::constants::Constants;
use crate::quantise::{QGraph, QNode, QTensor};
use dunlin::format::DType;

/// The image of each channel that is always the same, at every border and after every rounding; one value per pixel.
pub(super) fn known(program: &QGraph, kinds: &[Kind], constants: &Constants) -> Images {
    let mut known: Images = program.tensors.iter().map(|t| of_constant(t, constants)).collect();
    for (node, kind) in program.nodes.iter().zip(kinds) {
        let &[output] = node.outputs.as_slice() else { continue };
        let tensor = &program.tensors[usize::from(output)];
        if tensor.dtype != DType::I8 || tensor.persistent || matches!(kind, Kind::Whole) {
            continue;
        }
        let channels = match kind {
            Kind::Joined => {
                known[usize::from(output)] =
                    node.inputs.iter().flat_map(|x| known[usize::from(*x)].clone()).collect();
                continue;
            }
            Kind::Sum(sum) => of_sum(sum, node, &known),
            Kind::Groups(size) => of_groups(*size, program, node, constants, &known),
            Kind::Each => {
                let c = 0..tensor.shape.c as usize;
                let all = |i: &usize| node.inputs.iter().all(|x| known[usize::from(*x)][*i].is_some());
                let channels: Vec<usize> = c.filter(all).collect();
                (channels.clone(), channels)
            }
            Kind::Whole => continue,
        };
        let (inputs, outputs) = (channels.0.as_slice(), channels.1.as_slice());
        if outputs.is_empty() {
            continue;
        }
        let mut data = dunlin::format::DataSection::new();
        let op = cut::operator(program, node, kind, constants, (inputs, outputs), |_| 0, &mut data);
        let images = alone::run(program, node, (op, data), (inputs, outputs), &known);
        for (&c, image) in outputs.iter().zip(images.unwrap_or_default()) {
            known[usize::from(output)][c] = Some(image);
        }
    }
    known
}

/// The channels of a tensor that never changes; those of any other are not known yet.
fn of_constant(tensor: &QTensor, constants: &Constants) -> Vec<Option<Vec<i8>>> {
    let c = tensor.shape.c as usize;
    match tensor.constant {
        Some(blob) if tensor.dtype == DType::I8 => {
            let values = constants.int8(blob, tensor.shape.elements());
            (0..c).map(|i| Some(values.iter().skip(i).step_by(c).copied().collect())).collect()
        }
        _ => vec![None; c],
    }
}

/// Input channels that are known, and output channels that read no others.
fn of_sum(sum: &Sum, node: &QNode, known: &Images) -> (Vec<usize>, Vec<usize>) {
    let images = &known[usize::from(node.inputs[0])];
    if sum.labels {
        return (Vec::new(), Vec::new());
    }
    let fixed = |o: &usize| (0..sum.inputs).all(|i| images[i].is_some() || !sum.reads(*o, i));
    let outputs = (0..sum.outputs).filter(fixed).collect();
    let mut inputs: Vec<usize> = (0..sum.inputs).filter(|i| images[*i].is_some()).collect();
    if inputs.is_empty() {
        // An input has at least one channel; these outputs do not read it.
        inputs.push(0);
    }
    (inputs, outputs)
}

/// Input channels that are known or that nobody reads, and the output channels of their groups.
fn of_groups(
    size: usize,
    program: &QGraph,
    node: &QNode,
    constants: &Constants,
    known: &Images,
) -> (Vec<usize>, Vec<usize>) {
    let images = &known[usize::from(node.inputs[0])];
    let unread = cut::unread_groups(program, node, size, constants);
    let inputs: Vec<usize> = (0..images.len()).filter(|&i| images[i].is_some() || unread[i]).collect();
    let outputs = inputs.iter().flat_map(|i| i * size..(i + 1) * size).collect();
    (inputs, outputs)
}
