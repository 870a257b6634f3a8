//! The flatbuffer, checked: every tensor's type, shape, quantisation and data, before anything is made of it.

use super::tensor::{self, TensorInfo};
use crate::import::ImportError;
use dunlin::AlignedVec;
use tract_tflite::tflite::{self, BuiltinOperator, Operator};

/// The operators and tensors of one subgraph.
pub(super) struct Part<'f> {
    pub(super) tensors: Vec<TensorInfo<'f>>,
    pub(super) ops: Vec<(BuiltinOperator, String, Operator<'f>)>,
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
}

/// Version of the schema that TensorFlow Lite has written since 2017.
const VERSION: u32 = 3;

/// Copies a file to where flatbuffers can be read in place.
pub(super) fn aligned(bytes: &[u8]) -> AlignedVec {
    AlignedVec::from_slice(bytes)
}

/// The model in `bytes`, structurally verified.
pub(super) fn model(bytes: &[u8]) -> Result<tflite::Model<'_>, ImportError> {
    if bytes.len() < 8 || !tflite::model_buffer_has_identifier(bytes) {
        return Err(ImportError::malformed(
            "byte 4",
            "no \"TFL3\" there: this is not a TensorFlow Lite model",
        ));
    }
    let model = tflite::root_as_model(bytes)
        .map_err(|e| ImportError::malformed("flatbuffer", format!("{e}; the file is damaged or cut off")))?;
    match model.version() {
        VERSION => Ok(model),
        found => Err(ImportError::malformed("model", format!("schema version {found}, expected {VERSION}"))),
    }
}

impl<'f> Part<'f> {
    /// Subgraph `index` of `model`.
    pub(super) fn read(model: &tflite::Model<'f>, index: usize) -> Result<Self, ImportError> {
        let graphs =
            model.subgraphs().ok_or_else(|| ImportError::malformed("model", "it has no subgraph"))?;
        if index >= graphs.len() {
            return Err(ImportError::malformed(
                "model",
                format!("subgraph {index} asked for, there are {}", graphs.len()),
            ));
        }
        let graph = graphs.get(index);
        let mut tensors = Vec::new();
        for (i, tensor) in graph.tensors().into_iter().flatten().enumerate() {
            tensors.push(tensor::read(model, i, &tensor)?);
        }
        let index_of = |place: &str, id: i32| match usize::try_from(id) {
            Ok(id) if id < tensors.len() => Ok(id),
            _ => {
                Err(ImportError::malformed(place, format!("tensor {id} of {} does not exist", tensors.len())))
            }
        };
        let list = |place: &str, ids: Option<flatbuffers::Vector<'f, i32>>| {
            ids.into_iter().flatten().map(|id| index_of(place, id)).collect::<Result<Vec<_>, _>>()
        };
        let inputs = list("inputs of the model", graph.inputs())?;
        let outputs = list("outputs of the model", graph.outputs())?;
        let codes = model.operator_codes();
        let mut ops = Vec::new();
        for (i, op) in graph.operators().into_iter().flatten().enumerate() {
            let place = format!("operator {i}");
            let code = op.opcode_index() as usize;
            let code = codes.filter(|c| code < c.len()).map(|c| c.get(code)).ok_or_else(|| {
                ImportError::malformed(&place, format!("operator code {code} does not exist"))
            })?;
            // Codes above 127 do not fit the field of older files, which hold theirs in the older field only.
            let old = BuiltinOperator(i32::from(code.deprecated_builtin_code()));
            let builtin = if code.builtin_code().0 > old.0 { code.builtin_code() } else { old };
            let name = match builtin {
                BuiltinOperator::CUSTOM => {
                    code.custom_code().unwrap_or("unnamed custom operator").to_string()
                }
                _ => builtin.variant_name().map_or_else(|| format!("operator {}", builtin.0), str::to_string),
            };
            for id in op.inputs().into_iter().flatten().filter(|id| *id != -1) {
                index_of(&place, id)?;
            }
            for id in op.outputs().into_iter().flatten() {
                index_of(&place, id)?;
            }
            ops.push((builtin, name, op));
        }
        Ok(Self { tensors, ops, inputs, outputs })
    }
}
