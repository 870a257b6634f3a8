//! Multiply-accumulates of a node.

use dunlin::Model;
use dunlin::format::{Node, Tensor};
use dunlin::ops::Op;

/// Products of weights (or of two factors) with activations that node `node` of `model` adds up, at the bounds of its
/// rows; 0 for an operator without weights.
///
/// Taps that fall on padding count: so they do in the literature. A transpose convolution counts every product of an
/// input value with a weight, also where the output is cut.
pub fn macs(model: &Model<'_>, node: &Node) -> u64 {
    let tensor = |ids, index: usize| -> Option<&Tensor> {
        model.tensors().get(usize::from(*model.ids(ids).get(index)?))
    };
    let (Some(x), Some(y)) = (tensor(node.inputs, 0), tensor(node.outputs, 0)) else { return 0 };
    let (pixels, inputs, outputs) = (y.shape.pixels() as u64, u64::from(x.shape.c), u64::from(y.shape.c));
    let elements = y.shape.elements() as u64;
    match &node.op {
        Op::Conv2d(op) => {
            let outputs = op.labels.map_or(outputs, |labels| u64::from(labels.channels));
            pixels * outputs * op.window.taps() as u64 * inputs
        }
        Op::Conv2d16x8(op) => elements * op.window.taps() as u64 * inputs,
        Op::DepthwiseConv2d(op) => elements * op.window.taps() as u64,
        Op::DepthwiseConv2d16x8(op) => elements * op.window.taps() as u64,
        Op::TransposeConv2d(op) => {
            let outputs = op.labels.map_or(outputs, |labels| u64::from(labels.channels));
            x.shape.elements() as u64 * op.window.taps() as u64 * outputs
        }
        Op::TransposeConv2d16x8(op) => x.shape.elements() as u64 * op.window.taps() as u64 * outputs,
        Op::Dense(_) | Op::Dense16x8(_) => elements * inputs,
        Op::BatchMatMul(op) => elements * u64::from(if op.transpose_a { x.shape.w } else { x.shape.c }),
        Op::BatchMatMul16(op) => elements * u64::from(if op.transpose_a { x.shape.w } else { x.shape.c }),
        Op::Lstm(_) | Op::Lstm16x8(_) => pixels * 4 * outputs * (inputs + outputs),
        // The state holds the memory of every filter.
        Op::Svdf(op) => {
            let memory = tensor(node.inputs, 1).map_or(0, |state| u64::from(state.shape.c));
            pixels * outputs * u64::from(op.rank) * (inputs + memory)
        }
        _ => 0,
    }
}
