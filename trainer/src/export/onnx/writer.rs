//! Builds the protobuf: nodes, initialisers, attributes, and the names that values have.

use super::OnnxError;
use super::numbers::Numbers;
use crate::graph::{Graph, ParamId, ValueId};
use crate::ops::{Activation, Op};
use dunlin::format::DType;
use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// Version of the operator set: the first with a softmax along any axis and scales per channel.
const OPERATOR_SET: i64 = 13;
/// The first with a layer normalisation; nothing else that is written differs.
const LAYER_NORM_SET: i64 = 17;
/// Version of the file format that belongs to it.
const IR_VERSION: i64 = 7;

/// A graph on its way into protobuf.
pub(super) struct Writer<'a> {
    pub(super) graph: &'a Graph,
    pub(super) numbers: Option<&'a Numbers<'a>>,
    proto: GraphProto,
    names: Vec<String>,
}

/// A name that ONNX takes: colons tell outputs of one node apart here and stay.
pub(super) fn name_of(name: &str) -> String {
    name.replace(char::is_whitespace, "_")
}

impl<'a> Writer<'a> {
    pub(super) fn new(graph: &'a Graph, numbers: Option<&'a Numbers<'a>>) -> Self {
        let proto = GraphProto { name: graph.name.clone(), ..GraphProto::default() };
        Self { graph, numbers, proto, names: vec![String::new(); graph.values.len()] }
    }

    /// The tensor that stands for a value, NCHW.
    pub(super) fn get(&self, id: ValueId) -> String {
        self.names[id.0].clone()
    }

    pub(super) fn set(&mut self, id: ValueId, name: String) {
        self.names[id.0] = name;
    }

    pub(super) fn declare_input(&mut self, name: &str, dtype: DataType, dims: [u32; 4]) {
        self.proto.input.push(info(name, dtype, dims));
    }

    pub(super) fn declare_output(&mut self, name: &str, dtype: DataType, dims: [u32; 4]) {
        self.proto.output.push(info(name, dtype, dims));
    }

    pub(super) fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        self.proto.node.push(NodeProto {
            name: outputs.first().map(ToString::to_string).unwrap_or_default(),
            op_type: op.into(),
            input: list(inputs),
            output: list(outputs),
            attribute,
            ..NodeProto::default()
        });
    }

    pub(super) fn transpose(&mut self, from: &str, to: &str, order: [i64; 4]) {
        self.node("Transpose", &[from], &[to], vec![ints("perm", order)]);
    }

    pub(super) fn cast(&mut self, from: &str, to: &str, dtype: DataType) {
        self.node("Cast", &[from], &[to], vec![int("to", dtype as i64)]);
    }

    pub(super) fn floats(&mut self, name: &str, dims: &[usize], data: &[f32]) {
        self.raw(name, DataType::Float, dims, data.iter().flat_map(|v| v.to_le_bytes()).collect());
    }

    pub(super) fn longs(&mut self, name: &str, data: &[i64]) {
        self.raw(name, DataType::Int64, &[data.len()], data.iter().flat_map(|v| v.to_le_bytes()).collect());
    }

    pub(super) fn raw(&mut self, name: &str, dtype: DataType, dims: &[usize], raw_data: Vec<u8>) {
        self.proto.initializer.push(TensorProto {
            name: name.into(),
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: dtype as i32,
            raw_data,
            ..TensorProto::default()
        });
    }

    /// The elements of a parameter in another order of axes, with its sizes in that order.
    pub(super) fn permuted(&self, id: ParamId, order: [usize; 4]) -> (Vec<usize>, Vec<f32>) {
        let p = self.graph.param(id);
        permute(&rank4(&p.dims), &p.data, order)
    }

    /// The activation fused into a node, as a node of its own from `from` to `to`; without one, `to` is written by
    /// the operator itself: see [`Writer::before_activation`].
    pub(super) fn activation(&mut self, activation: Activation, from: &str, to: &str) {
        match activation {
            Activation::None => {}
            Activation::Relu => self.node("Relu", &[from], &[to], Vec::new()),
            Activation::Relu6 => self.clip(from, to, 0.0, 6.0),
            Activation::Clamp { lo, hi } => self.clip(from, to, lo, hi),
        }
    }

    /// Name of what an operator writes before its fused activation.
    pub(super) fn before_activation(activation: Activation, to: &str) -> String {
        if activation == Activation::None { to.into() } else { format!("{to}.linear") }
    }

    pub(super) fn clip(&mut self, from: &str, to: &str, lo: f32, hi: f32) {
        let (min, max) = (format!("{to}.min"), format!("{to}.max"));
        self.floats(&min, &[], &[lo.max(f32::MIN)]);
        self.floats(&max, &[], &[hi.min(f32::MAX)]);
        self.node("Clip", &[from, &min, &max], &[to], Vec::new());
    }

    /// Sends a value through its grid, where it has one.
    pub(super) fn quantise(&mut self, id: ValueId) -> Result<(), OnnxError> {
        let Some(numbers) = self.numbers else { return Ok(()) };
        let Some((dtype, q)) = numbers.value(self.graph, id)? else { return Ok(()) };
        let from = self.get(id);
        let [scale, zero, grid, to] =
            ["scale", "zero_point", "quantized", "dequantized"].map(|s| format!("{from}.{s}"));
        self.floats(&scale, &[], &[q.scale]);
        let grid_type = if dtype == DType::U8 { DataType::Uint8 } else { DataType::Int8 };
        // The low byte is the zero point of either type.
        self.raw(&zero, grid_type, &[], vec![q.zero_point as u8]);
        self.node("QuantizeLinear", &[&from, &scale, &zero], &[&grid], Vec::new());
        self.node("DequantizeLinear", &[&grid, &scale, &zero], &[&to], Vec::new());
        self.set(id, to);
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let meta = &self.graph.meta;
        let mut entries =
            vec![("labels", meta.classes.join("\n")), ("data_licence", meta.data_licence.clone())];
        if let Some(scaling) = &meta.input {
            let list = |v: &[f32]| v.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            entries.push(("input_mean", list(&scaling.mean)));
            entries.push(("input_std", list(&scaling.std)));
        }
        let normalises = self.graph.nodes.iter().any(|n| matches!(n.op, Op::LayerNorm(_)));
        let version = if normalises { LAYER_NORM_SET } else { OPERATOR_SET };
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version }],
            producer_name: "dunlin".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            metadata_props: entries
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| StringStringEntryProto { key: key.into(), value })
                .collect(),
            graph: Some(self.proto),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }
}

/// Sizes with leading ones.
pub(super) fn rank4(dims: &[usize]) -> [usize; 4] {
    let mut all = [1; 4];
    let skip = 4 - dims.len().min(4);
    all[skip..].copy_from_slice(&dims[..4 - skip]);
    all
}

/// `data` of sizes `dims` with axis `order[i]` in place `i`.
pub(super) fn permute<T: Copy>(dims: &[usize; 4], data: &[T], order: [usize; 4]) -> (Vec<usize>, Vec<T>) {
    let strides = [dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1];
    let (size, step) = (order.map(|a| dims[a]), order.map(|a| strides[a]));
    let mut out = Vec::with_capacity(data.len());
    for a in 0..size[0] {
        for b in 0..size[1] {
            for c in 0..size[2] {
                for d in 0..size[3] {
                    out.push(data[a * step[0] + b * step[1] + c * step[2] + d * step[3]]);
                }
            }
        }
    }
    (size.to_vec(), out)
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..AttributeProto::default() }
}

pub(super) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f, ..AttributeProto::default() }
}

pub(super) fn ints(name: &str, values: impl IntoIterator<Item = i64>) -> AttributeProto {
    let ints = values.into_iter().collect();
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints,
        ..AttributeProto::default()
    }
}

pub(super) fn text(name: &str, s: &str) -> AttributeProto {
    let s = s.as_bytes().to_vec();
    AttributeProto { name: name.into(), r#type: AttributeType::String as i32, s, ..AttributeProto::default() }
}

fn info(name: &str, dtype: DataType, dims: [u32; 4]) -> ValueInfoProto {
    let dimension = |d: u32| Dimension {
        denotation: String::new(),
        value: Some(dimension::Value::DimValue(i64::from(d))),
    };
    let tensor = type_proto::Tensor {
        elem_type: dtype as i32,
        shape: Some(TensorShapeProto { dim: dims.into_iter().map(dimension).collect() }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            denotation: String::new(),
            value: Some(type_proto::Value::TensorType(tensor)),
        }),
        ..ValueInfoProto::default()
    }
}
