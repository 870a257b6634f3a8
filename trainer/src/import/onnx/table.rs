//! The operators that can be imported, and who imports them.

use super::fail::Fail;
use super::importer::{Importer, Item};
use super::node::Node;
use super::{
    binary, concat, conv, matmul, norm, pad, pool, qdq, qlinear, recurrent, reduce, resize, select, shape,
    unary,
};
use std::collections::{HashMap, HashSet};

/// Imports a node: its outputs, in order.
pub(super) type Import = fn(&mut Importer, &Node<'_>) -> Result<Vec<Item>, Fail>;

/// Who imports `node`.
pub(super) fn importer(node: &Node<'_>) -> Result<Import, Fail> {
    if node.foreign {
        return qlinear::foreign(node.op).ok_or_else(|| unknown(node));
    }
    Ok(match node.op {
        "Conv" => conv::conv,
        "ConvTranspose" => conv::conv_transpose,
        "Gemm" => matmul::gemm,
        "MatMul" => matmul::matmul,
        "MaxPool" | "AveragePool" => pool::pool,
        "GlobalAveragePool" | "GlobalMaxPool" => pool::global,
        "BatchNormalization" => norm::batch,
        "InstanceNormalization" => norm::instance,
        "LayerNormalization" => norm::layer,
        "LpNormalization" => reduce::lp_normalization,
        "Add" | "Sub" | "Mul" | "Div" => binary::arithmetic,
        "Min" | "Max" | "Sum" | "Mean" => binary::variadic,
        "Pow" => binary::pow,
        "PRelu" => binary::prelu,
        "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Xor" => {
            binary::logic
        }
        "Not" => unary::not,
        "Clip" => unary::clip,
        "Relu" | "LeakyRelu" | "Elu" | "Selu" | "Celu" | "ThresholdedRelu" | "Shrink" | "HardSigmoid"
        | "HardSwish" | "Sigmoid" | "Tanh" | "Gelu" | "Softplus" | "Softsign" | "Mish" | "Exp" | "Log"
        | "Neg" | "Abs" | "Sign" | "Sqrt" | "Reciprocal" | "Erf" | "Sin" | "Cos" | "Floor" | "Ceil"
        | "Round" => unary::function,
        "Swish" => unary::swish,
        "Softmax" | "LogSoftmax" => reduce::softmax,
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceSumSquare" | "ReduceL1"
        | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceProd" => reduce::reduce,
        "ArgMax" | "ArgMin" => reduce::arg,
        "Reshape" => shape::reshape,
        "Flatten" => shape::flatten,
        "Squeeze" => shape::squeeze,
        "Unsqueeze" => shape::unsqueeze,
        "Transpose" => shape::transpose,
        "Identity" | "Dropout" => shape::identity,
        "Cast" | "CastLike" => shape::cast,
        "Shape" | "Size" => shape::shape,
        "Constant" => shape::constant,
        "ConstantOfShape" => shape::constant_of_shape,
        "Range" => shape::range,
        "Expand" => shape::expand,
        "Tile" => shape::tile,
        "Slice" => select::slice,
        "Split" => select::split,
        "Concat" => concat::concat,
        "Gather" => select::gather,
        "Where" => select::choose,
        "Pad" => pad::pad,
        "DepthToSpace" | "SpaceToDepth" => select::depth_to_space,
        "Resize" => resize::resize,
        "Upsample" => resize::upsample,
        "LSTM" | "GRU" | "RNN" => recurrent::recurrent,
        "QuantizeLinear" => qdq::quantize,
        "DequantizeLinear" => qdq::dequantize,
        "QLinearConv" => qlinear::conv,
        "QLinearMatMul" => qlinear::matmul,
        _ => return Err(unknown(node)),
    })
}

/// An operator that is not in the table, with the nearest that is.
fn unknown(node: &Node<'_>) -> Fail {
    let instead = match node.op {
        "If" | "Loop" | "Scan" => "unroll the model: every branch and number of steps must be fixed",
        "DynamicQuantizeLinear" | "MatMulInteger" | "ConvInteger" | "DynamicQuantizeLSTM" => {
            "quantise statically (QDQ): scales that depend on the input cannot be kept"
        }
        "GatherElements" | "GatherND" | "ScatterElements" | "ScatterND" => {
            "Gather along one axis can be imported"
        }
        "LRN" | "GroupNormalization" => "BatchNormalization, LayerNormalization or InstanceNormalization",
        "NonMaxSuppression" | "TopK" | "NonZero" | "Unique" | "RoiAlign" => "cut the graph before it",
        "LpPool" => "AveragePool or MaxPool",
        _ => "",
    };
    Fail::unsupported("there is no such operator in Dunlin", instead)
}

/// Whether input `name`, of rank `rank`, is an image or sequence that goes to operators over space, possibly through
/// operators on elements.
pub(super) fn feeds_images(
    nodes: &[Node<'_>],
    readers: &HashMap<&str, Vec<usize>>,
    name: &str,
    rank: usize,
) -> bool {
    let mut front = vec![name];
    let mut seen = HashSet::new();
    while let Some(name) = front.pop() {
        if !seen.insert(name) {
            continue;
        }
        for node in readers.get(name).into_iter().flatten().filter_map(|i| nodes.get(*i)) {
            match node.op {
                // An image that the file itself brings to NCHW is HWC already.
                "Transpose" if rank == 4 => {
                    let moves = node.ints("perm").ok().flatten() == Some(&[0, 3, 1, 2]);
                    return !moves;
                }
                "Conv"
                | "ConvTranspose"
                | "MaxPool"
                | "AveragePool"
                | "GlobalAveragePool"
                | "GlobalMaxPool"
                | "BatchNormalization"
                | "InstanceNormalization"
                | "QLinearConv"
                | "Resize"
                | "Upsample"
                | "DepthToSpace"
                | "SpaceToDepth" => return true,
                "Identity" | "Cast" | "Add" | "Sub" | "Mul" | "Div" | "QuantizeLinear"
                | "DequantizeLinear" | "Relu" | "Clip" | "Pad" | "Dropout" | "LeakyRelu" | "Sigmoid"
                | "Tanh" => {
                    front.extend((0..node.outputs()).filter_map(|o| node.output(o)));
                }
                _ => {}
            }
        }
    }
    rank == 4
}
