//! The runtime's own answer to what a node gives for inputs that are known.

use super::super::unplanned;
use super::Images;
use crate::quantise::{QGraph, QNode, QTensor};
use dunlin::format::DataSection;
use dunlin::ops::Op;

/// What `op` gives where the inputs of `node` have only the channels `inputs` and its output only the channels
/// `outputs`: an image for each of these. An input channel that is not known is one that `op` does not read. `None`
/// where the runtime refuses such a program.
pub(super) fn run(
    program: &QGraph,
    node: &QNode,
    (op, data): (Op, DataSection),
    (inputs, outputs): (&[usize], &[usize]),
    known: &Images,
) -> Option<Vec<Vec<i8>>> {
    let mut ids = node.inputs.clone();
    ids.sort_unstable();
    ids.dedup();
    let cut = |id: u16, c: usize| {
        let tensor = program.tensors[usize::from(id)].clone();
        QTensor { shape: tensor.shape.with_c(c as u32), ..tensor }
    };
    let known_of = |&id: &u16| {
        let tensor = cut(id, inputs.len());
        let images: Vec<_> = inputs.iter().map(|&i| known[usize::from(id)][i].as_deref()).collect();
        let pixel = |p: usize| images.iter().map(move |image| image.map_or(0, |image| image[p] as u8));
        let bytes = (0..tensor.shape.pixels()).flat_map(pixel).collect();
        (tensor, bytes)
    };
    let tensors = ids.iter().map(known_of).collect();
    let number = |id: &u16| ids.iter().position(|other| other == id).map(|at| at as u16);
    let numbers = node.inputs.iter().map(number).collect::<Option<_>>()?;
    let values = unplanned::answer((op, data), tensors, numbers, cut(*node.outputs.first()?, outputs.len()))?;
    let image = |c: usize| values.iter().skip(c).step_by(outputs.len()).map(|&b| b as i8).collect();
    Some((0..outputs.len()).map(image).collect())
}
