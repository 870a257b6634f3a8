//! From a [`Graph`] to an ONNX file (operator set 13), in float or with quantisation written out.
//!
//! Inputs and outputs keep Dunlin's NHWC; a transpose at each edge turns them into the NCHW of ONNX, and only a
//! reshape that moves channels needs more of them. A dense layer becomes a 1 x 1 convolution, which is the same
//! product on every pixel. With [`Numbers`], each quantised value goes through `QuantizeLinear` and
//! `DequantizeLinear`, weights are int8 per channel and biases int32, as int8 inference engines recognise them.

mod numbers;
mod operators;
mod unary;
mod writer;

pub use numbers::Numbers;

use crate::graph::{Graph, GraphError, ValueId};
use crate::ops::DType;
use crate::quantise::QuantiseError;
use tract_onnx::pb::tensor_proto::DataType;
use writer::{Writer, name_of};

/// Why a graph cannot be written as ONNX.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The graph is not valid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The graph has no scales.
    #[error(transparent)]
    Quantise(#[from] QuantiseError),
    /// Operators without an ONNX form: every node that has one, by name and operator.
    #[error("no form in ONNX for {}", .0.iter().map(|(n, op)| format!("node `{n}` ({op})")).collect::<Vec<_>>().join(", "))]
    Unsupported(Vec<(String, &'static str)>),
}

/// The bytes of an ONNX file with the network `graph`: in float, or quantised with `numbers`.
///
/// # Errors
/// A graph that is not valid, an operator without an ONNX form, a value without a scale.
pub fn write(graph: &Graph, numbers: Option<&Numbers<'_>>) -> Result<Vec<u8>, OnnxError> {
    graph.validate()?;
    let mut writer = Writer::new(graph, numbers);
    for id in &graph.inputs {
        input(&mut writer, *id)?;
    }
    let mut unsupported = Vec::new();
    for node in &graph.nodes {
        if operators::node(&mut writer, node)? {
            for v in &node.outputs {
                writer.quantise(*v)?;
            }
        } else {
            unsupported.push((node.name.clone(), node.op.operator().name()));
        }
    }
    if !unsupported.is_empty() {
        return Err(OnnxError::Unsupported(unsupported));
    }
    for (i, id) in graph.outputs.iter().enumerate() {
        output(&mut writer, i, *id);
    }
    Ok(writer.finish())
}

fn input(writer: &mut Writer<'_>, id: ValueId) -> Result<(), OnnxError> {
    let value = writer.graph.value(id);
    let s = value.shape;
    let name = name_of(&value.name);
    writer.declare_input(&name, DataType::Float, [s.n, s.h, s.w, s.c]);
    let inside = format!("{name}.nchw");
    writer.transpose(&name, &inside, [0, 3, 1, 2]);
    writer.set(id, inside);
    writer.quantise(id)
}

fn output(writer: &mut Writer<'_>, index: usize, id: ValueId) {
    let value = writer.graph.value(id);
    let s = value.shape;
    let inside = writer.get(id);
    let name = if index == 0 { "output".to_string() } else { format!("output:{index}") };
    let (from, dtype) = match value.dtype {
        DType::Label => {
            let bytes = format!("{name}.u8");
            writer.cast(&inside, &bytes, DataType::Uint8);
            (bytes, DataType::Uint8)
        }
        DType::Float => (inside, DataType::Float),
        _ => (inside, DataType::Int64),
    };
    writer.transpose(&from, &name, [0, 2, 3, 1]);
    writer.declare_output(&name, dtype, [s.n, s.h, s.w, s.c]);
}

#[cfg(test)]
mod tests;
