//! TensorFlow Lite: a flatbuffer (schema 3) becomes a [`Graph`] whose values and parameters are pinned to the
//! integers of the file, so that the device gives the bytes of TensorFlow Lite's reference kernels.
//!
//! * int8 and 16x8 models keep their parameters as they are.
//! * uint8 models of the older scheme are held as int8, `q − 128`; inputs and outputs of the network stay uint8.
//! * Float models, float16 weights and dynamic-range models become float graphs without pins, to be calibrated.
//!
//! A tensor of rank four or less has the shape of its value with leading ones. Only the first subgraph is read;
//! a `CALL_ONCE` subgraph may initialise variables with zero.

mod build;
mod call;
mod edges;
mod elementwise;
mod file;
mod movement;
mod recurrent;
mod reduce;
mod slices;
mod tensor;
mod variables;
mod weighted;

use super::{ImportError, UnsupportedNode};
use crate::graph::Graph;
use build::{Builder, Stop};
use tract_tflite::tflite::BuiltinOperator as B;

/// Whether `bytes` look like a TensorFlow Lite model.
pub fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// Reads a model.
///
/// # Errors
/// A damaged file, with the place; else every operator that cannot be imported, all at once.
pub fn import(bytes: &[u8], name: &str) -> Result<Graph, ImportError> {
    let bytes = file::aligned(bytes);
    let model = file::model(bytes.as_slice())?;
    let part = file::Part::read(&model, 0)?;
    let mut builder = Builder::new(&model, &part, name)?;
    let mut refused = Vec::new();
    for index in 0..part.ops.len() {
        match builder.operator(index) {
            Ok(()) => {}
            Err(Stop::Broken(error)) => return Err(error),
            Err(Stop::Refused { reason, instead }) => {
                builder.lose(index);
                refused.push(UnsupportedNode {
                    node: builder.node_name(index),
                    op: part.ops[index].1.clone(),
                    reason,
                    instead,
                });
            }
            // An input comes from an operator that was refused already.
            Err(Stop::Lost) => builder.lose(index),
        }
    }
    if !refused.is_empty() {
        return Err(ImportError::Unsupported(refused));
    }
    builder.finish()
}

impl Builder<'_, '_> {
    /// Imports one operator.
    fn operator(&mut self, index: usize) -> Result<(), Stop> {
        let mut call = self.call(index);
        match call.kind() {
            B::CONV_2D => call.conv(),
            B::DEPTHWISE_CONV_2D => call.depthwise(),
            B::TRANSPOSE_CONV => call.transpose_conv(),
            B::FULLY_CONNECTED => call.fully_connected(),
            B::BATCH_MATMUL => call.batch_matmul(),
            B::MAX_POOL_2D => call.pool(true),
            B::AVERAGE_POOL_2D => call.pool(false),
            B::ADD => call.sum(),
            B::ADD_N => call.add_n(),
            B::SUB => call.sub(),
            B::MUL => call.mul(),
            B::DIV => call.div(),
            B::MAXIMUM => call.min_max(true),
            B::MINIMUM => call.min_max(false),
            B::SQUARED_DIFFERENCE => call.squared_difference(),
            B::PRELU => call.prelu(),
            B::SOFTMAX => call.softmax(),
            B::LOG_SOFTMAX => call.log_softmax(),
            B::L2_NORMALIZATION => call.l2_normalization(),
            B::ABS
            | B::NEG
            | B::SQUARE
            | B::SQRT
            | B::RSQRT
            | B::EXP
            | B::LOG
            | B::LOGISTIC
            | B::TANH
            | B::RELU
            | B::RELU6
            | B::RELU_N1_TO_1
            | B::RELU_0_TO_1
            | B::HARD_SWISH
            | B::LEAKY_RELU
            | B::ELU
            | B::GELU => call.unary(),
            B::PAD | B::PADV2 => call.pad(),
            B::MIRROR_PAD => call.mirror_pad(),
            B::CONCATENATION => call.concatenation(),
            B::PACK => call.pack(),
            B::UNPACK => call.unpack(),
            B::SPLIT | B::SPLIT_V => call.split(),
            B::SLICE => call.slice(),
            B::STRIDED_SLICE => call.strided_slice(),
            B::RESHAPE | B::SQUEEZE | B::EXPAND_DIMS => call.reshape(),
            B::TRANSPOSE => call.transpose(),
            B::TILE | B::BROADCAST_TO => call.tile(),
            B::GATHER => call.gather(),
            B::DEPTH_TO_SPACE => call.depth_to_space(),
            B::SPACE_TO_DEPTH => call.space_to_depth(),
            B::SPACE_TO_BATCH_ND | B::BATCH_TO_SPACE_ND => call.batch_space(),
            B::RESIZE_NEAREST_NEIGHBOR | B::RESIZE_BILINEAR => call.resize(),
            B::MEAN | B::SUM | B::REDUCE_MAX | B::REDUCE_MIN => call.reduce(),
            B::ARG_MAX => call.arg_extreme(true),
            B::ARG_MIN => call.arg_extreme(false),
            B::SHAPE => call.shape(),
            B::QUANTIZE | B::DEQUANTIZE | B::CAST => call.change_type(),
            B::UNIDIRECTIONAL_SEQUENCE_LSTM => call.lstm(),
            B::SVDF => call.svdf(),
            B::CALL_ONCE => call.call_once(),
            B::VAR_HANDLE => call.var_handle(),
            B::READ_VARIABLE => call.read_variable(),
            B::ASSIGN_VARIABLE => call.assign_variable(),
            B::CUSTOM => Err(Stop::refused("custom operators have no published arithmetic", "")),
            _ => Err(Stop::refused(
                "there is no operator for it",
                "docs/operators.md lists what can be imported",
            )),
        }
    }
}
