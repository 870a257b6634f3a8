//! Ranges of what operators store, and operators that map each int8 value to another.

use super::constants::Constants;
use super::unplanned;
use crate::quantise::{QGraph, QNode, QTensor};
use dunlin::format::{DType, DataSection};
use dunlin::ops::Op;
use dunlin::quant::Clamp;
use dunlin::shape::Shape;

/// The range to which an operator limits its int8 output at the end.
pub(super) fn clamp_of(op: &Op) -> Option<Clamp> {
    let mut op = *op;
    clamp_mut(&mut op).copied()
}

/// The same, to be changed.
pub(super) fn clamp_mut(op: &mut Op) -> Option<&mut Clamp> {
    Some(match op {
        Op::Conv2d(o) if o.labels.is_none() => &mut o.filter.clamp,
        Op::TransposeConv2d(o) if o.labels.is_none() => &mut o.filter.clamp,
        Op::DepthwiseConv2d(o) => &mut o.filter.clamp,
        Op::Dense(o) => &mut o.filter.clamp,
        Op::Add(o) => &mut o.clamp,
        Op::Sub(o) => &mut o.clamp,
        Op::Mul(o) => &mut o.clamp,
        Op::Div(o) => &mut o.clamp,
        Op::MaxPool2d(o) => &mut o.clamp,
        Op::AveragePool2d(o) => &mut o.clamp,
        _ => return None,
    })
}

/// Values that a node gives for -128 to 127, where each element of its output is a function of the same element of one
/// int8 input; and that input.
pub(super) fn table_of(program: &QGraph, node: &QNode, constants: &Constants) -> Option<(u16, Vec<i8>)> {
    let tensor = |id: u16| &program.tensors[usize::from(id)];
    let x = match (&node.op, node.inputs.as_slice()) {
        (Op::Lut(_) | Op::Requantize(_), &[x]) => x,
        (Op::MinMax(_), &[a, b]) => {
            if tensor(b).constant.is_some() {
                a
            } else {
                b
            }
        }
        _ => return None,
    };
    let output = tensor(*node.outputs.first()?);
    let one = |&id: &u16| {
        let tensor = tensor(id).clone();
        if id == x {
            let values = (-128..=127).map(|q: i16| q as u8).collect();
            return Some((QTensor { shape: Shape::vector(256), ..tensor }, values));
        }
        // The other operand of a minimum or maximum, which must be one value.
        let values = constants.bytes(tensor.constant?, tensor.bytes() as usize);
        let uniform =
            values.iter().all(|v| *v == values[0]) && output.shape == program.tensors[usize::from(x)].shape;
        uniform.then(|| (QTensor { shape: Shape::vector(1), ..tensor }, values[..1].to_vec()))
    };
    if output.dtype != DType::I8 {
        return None;
    }
    let tensors = node.inputs.iter().map(one).collect::<Option<Vec<_>>>()?;
    let mut data = DataSection::new();
    let op = constants.copied(&node.op, &mut data);
    let numbers = (0..tensors.len() as u16).collect();
    let output = QTensor { shape: Shape::vector(256), ..output.clone() };
    let table = unplanned::answer((op, data), tensors, numbers, output)?;
    Some((x, table.into_iter().map(|v| v as i8).collect()))
}
