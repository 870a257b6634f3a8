//! Programs whose tensors all have a place of their own, for questions to the runtime itself.

use crate::quantise::{Int8Runner, QGraph, QNode, QTensor};
use dunlin::format::{ALIGN, DataSection, NodeSpec, Place, ProgramSpec, Scratch, encode};
use dunlin::ops::Op;
use dunlin::{IsaKind, Target};

/// The program with every tensor and every node's working memory at a place of its own; `None` where that is more than
/// 4 GiB.
pub(super) fn spec(program: &QGraph) -> Option<ProgramSpec> {
    let (mut arena, mut state) = (0u32, 0u32);
    let take = |end: &mut u32, bytes: u32| {
        let start = *end;
        *end = start.checked_add(bytes)?.checked_next_multiple_of(ALIGN as u32)?;
        Some(start)
    };
    let mut tensors = Vec::with_capacity(program.tensors.len());
    for t in &program.tensors {
        let bytes = t.shape.checked_elements()?.checked_mul(t.dtype.size())?;
        let place = match t.constant {
            Some(blob) => Place::Data(blob.0),
            None if t.persistent => Place::State(take(&mut state, bytes)?),
            None => Place::Arena(take(&mut arena, bytes)?),
        };
        tensors.push(t.at(place));
    }
    let mut nodes = Vec::with_capacity(program.nodes.len());
    for n in &program.nodes {
        let len = dunlin::scratch_bytes(&n.op, &tensors, &n.inputs, &n.outputs, IsaKind::Scalar);
        let len = u32::try_from(len).ok()?;
        let scratch = Scratch { offset: take(&mut arena, len)?, len };
        nodes.push(NodeSpec { op: n.op, inputs: n.inputs.clone(), outputs: n.outputs.clone(), scratch });
    }
    Some(ProgramSpec {
        dims: program.dims.clone(),
        tensors,
        nodes,
        inputs: program.inputs.clone(),
        outputs: program.outputs.clone(),
        target: Target::Portable,
        arena_len: arena,
        state_len: state,
        data: program.data.clone(),
        metadata: program.metadata.clone(),
    })
}

/// What the runtime gives for one operator with its constants in `data`: the bytes of `output`. `tensors` are what it
/// reads, with their bytes, and `inputs` say which of them in which order. `None` where the runtime refuses the operator.
pub(super) fn answer(
    (op, data): (Op, DataSection),
    tensors: Vec<(QTensor, Vec<u8>)>,
    inputs: Vec<u16>,
    output: QTensor,
) -> Option<Vec<u8>> {
    let count = u16::try_from(tensors.len()).ok()?;
    let (mut all, bytes): (Vec<QTensor>, Vec<Vec<u8>>) = tensors.into_iter().unzip();
    all.push(output);
    for tensor in &mut all {
        (tensor.rows, tensor.persistent, tensor.constant) = (None, false, None);
    }
    let program = QGraph {
        tensors: all,
        nodes: vec![QNode { name: op.name().into(), op, inputs, outputs: vec![count] }],
        inputs: (0..count).collect(),
        outputs: vec![count],
        data,
        ..QGraph::default()
    };
    let file = encode(&spec(&program)?).ok()?;
    let given: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    let outputs = Int8Runner::new(file.as_slice()).ok()?.run_bytes(&given).ok()?;
    outputs.into_iter().next().map(|output| output.bytes)
}
