//! The runtime's own answer to what a node gives for inputs that are known.

use super::super::unplanned;
use super::Images;
use crate::quantise::{Int8Runner, QGraph, QNode};
use dunlin::format::{DataSection, OwnedMetadata, encode};
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
    let cut = |&id: &u16, c: usize| {
        let mut tensor = program.tensors[usize::from(id)].clone();
        (tensor.shape.c, tensor.rows, tensor.persistent, tensor.constant) = (c as u32, None, false, None);
        tensor
    };
    let mut tensors: Vec<_> = ids.iter().map(|id| cut(id, inputs.len())).collect();
    let output = cut(node.outputs.first()?, outputs.len());
    let pixels = output.shape.pixels();
    tensors.push(output);
    let bytes: Vec<Vec<u8>> = ids
        .iter()
        .zip(&tensors)
        .map(|(&id, tensor)| {
            let channel = |&i: &usize| known[usize::from(id)][i].as_deref();
            let images: Vec<_> = inputs.iter().map(channel).collect();
            let pixel = |p: usize| images.iter().map(move |image| image.map_or(0, |image| image[p] as u8));
            (0..tensor.shape.pixels()).flat_map(pixel).collect()
        })
        .collect();
    let number = |id: &u16| ids.iter().position(|other| other == id).map(|at| at as u16);
    let alone = QNode {
        name: node.name.clone(),
        op,
        inputs: node.inputs.iter().map(number).collect::<Option<_>>()?,
        outputs: vec![ids.len() as u16],
    };
    let small = QGraph {
        tensors,
        outputs: alone.outputs.clone(),
        nodes: vec![alone],
        inputs: (0..ids.len() as u16).collect(),
        data,
        metadata: OwnedMetadata::default(),
        ..QGraph::default()
    };
    let file = encode(&unplanned::spec(&small)?).ok()?;
    let mut runner = Int8Runner::new(file.as_slice()).ok()?;
    let given: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    let given = runner.run_bytes(&given).ok()?;
    let values = &given.first()?.bytes;
    let image = |c: usize| (0..pixels).map(|p| values[p * outputs.len() + c] as i8).collect();
    Some((0..outputs.len()).map(image).collect())
}
