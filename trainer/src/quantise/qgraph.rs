//! [`QGraph`]: an integer program before memory is planned.

use super::Rewritten;
use crate::graph::ValueId;
use dunlin::format::{Blob, DType, DataSection, OwnedMetadata, Place, ProgramSpec, Tensor};
use dunlin::ops::Op;
use dunlin::quant::QParams;
use dunlin::shape::Shape;

/// A tensor of the integer program.
#[derive(Clone, Debug, PartialEq)]
pub struct QTensor {
    /// Name of the float value, or of the node that needed it.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Size, NHWC; where rows are bounded, `w` is the bound.
    pub shape: Shape,
    /// Scale and zero point; [`QParams::UNIT`] for labels and positions.
    pub quant: QParams,
    /// Bounded dimension that gives the number of rows.
    pub rows: Option<u8>,
    /// Keeps its value from run to run.
    pub persistent: bool,
    /// Where its bytes are in the data section, where it never changes.
    pub constant: Option<Blob>,
    /// The float value that it stands for.
    pub value: Option<ValueId>,
}

impl QTensor {
    /// Bytes at the bound.
    pub fn bytes(&self) -> u32 {
        self.shape.elements() as u32 * self.dtype.size()
    }

    /// The tensor as the format stores it, at `place`.
    pub fn at(&self, place: Place) -> Tensor {
        Tensor { dtype: self.dtype, shape: self.shape, quant: self.quant, place, rows: self.rows }
    }
}

/// An operator of the integer program.
#[derive(Clone, Debug, PartialEq)]
pub struct QNode {
    /// Name of the float node.
    pub name: String,
    /// Operator and attributes; its constants are in [`QGraph::data`].
    pub op: Op,
    /// Tensors read.
    pub inputs: Vec<u16>,
    /// Tensors written.
    pub outputs: Vec<u16>,
}

/// An integer program: everything that goes into a file but the places in memory.
#[derive(Clone, Debug, Default)]
pub struct QGraph {
    /// Tensors.
    pub tensors: Vec<QTensor>,
    /// Nodes in topological order.
    pub nodes: Vec<QNode>,
    /// Input tensors of the network.
    pub inputs: Vec<u16>,
    /// Output tensors of the network.
    pub outputs: Vec<u16>,
    /// Bounds of the bounded dimensions.
    pub dims: Vec<u32>,
    /// Constants.
    pub data: DataSection,
    /// What a person wants to know.
    pub metadata: OwnedMetadata,
    /// What [`rewrite`](super::rewrite()) did to it.
    pub rewritten: Rewritten,
}

impl QGraph {
    /// The program of a portable file, without its places.
    pub fn from_model(model: &dunlin::Model<'_>) -> Self {
        let spec = ProgramSpec::from_model(model);
        let tensors = spec.tensors.iter().enumerate().map(|(i, t)| QTensor {
            name: format!("t{i}"),
            dtype: t.dtype,
            shape: t.shape,
            quant: t.quant,
            rows: t.rows,
            persistent: matches!(t.place, Place::State(_)),
            constant: if let Place::Data(at) = t.place { Some(Blob(at)) } else { None },
            value: None,
        });
        let nodes = spec.nodes.iter().enumerate().map(|(i, n)| QNode {
            name: format!("{i} {}", n.op.name()),
            op: n.op,
            inputs: n.inputs.clone(),
            outputs: n.outputs.clone(),
        });
        Self {
            tensors: tensors.collect(),
            nodes: nodes.collect(),
            inputs: spec.inputs,
            outputs: spec.outputs,
            dims: spec.dims,
            data: spec.data,
            metadata: spec.metadata,
            rewritten: Rewritten::default(),
        }
    }

    /// The tensor that stands for a float value, where the program has one.
    pub fn tensor_of(&self, value: ValueId) -> Option<u16> {
        self.tensors.iter().position(|t| t.value == Some(value)).map(|i| i as u16)
    }
}
