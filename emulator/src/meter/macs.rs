//! Multiply-accumulates of a node.

use dunlin::Model;
use dunlin::format::{Node, Tensor};
use dunlin::ops::products;

/// [`products`] of node `node` of `model`.
pub fn macs(model: &Model<'_>, node: &Node) -> u64 {
    let tensors = |ids| -> Vec<Tensor> {
        model.ids(ids).iter().filter_map(|id| model.tensors().get(usize::from(*id))).copied().collect()
    };
    tensors(node.outputs).first().map_or(0, |output| products(&node.op, &tensors(node.inputs), output))
}
