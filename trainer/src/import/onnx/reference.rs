//! The float reference: the model run by tract.

use super::super::ImportError;
use super::{Options, model};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

/// Sizes in the order of ONNX and elements, row-major.
pub type Array = (Vec<usize>, Vec<f32>);

/// Runs the model in tract: the inputs in the order of the file, the shapes of which replace those in the file; integer
/// inputs and outputs are converted. Returns the outputs in the order of the file.
///
/// # Errors
/// A file that [`super::import`] would not read either, and what tract refuses.
pub fn reference(bytes: &[u8], options: &Options, inputs: &[Array]) -> Result<Vec<Array>, ImportError> {
    // The importer proves what tract takes for granted: names that exist, no cycle, tensors of the right length.
    super::import(bytes, options)?;
    let proto = model::decode(bytes)?;
    // tract panics on some models that it cannot run. Nothing of what it was building outlives the panic.
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&proto, inputs)));
    match outcome {
        Ok(result) => result.map_err(|e| ImportError::Reference(format!("{e:#}"))),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string()));
            Err(ImportError::Reference(text.unwrap_or_else(|| "it panicked".into())))
        }
    }
}

fn run(proto: &tract_onnx::pb::ModelProto, inputs: &[Array]) -> TractResult<Vec<Array>> {
    let mut model = tract_onnx::onnx()
        .with_ignore_output_shapes(true)
        .with_ignore_value_info(true)
        .model_for_proto_model(proto)?;
    let mut tensors = tvec!();
    for (i, (dims, elements)) in inputs.iter().enumerate() {
        let fact = model.input_fact(i)?;
        let datum = fact.datum_type.concretize().unwrap_or(f32::datum_type());
        model.set_input_fact(i, InferenceFact::dt_shape(datum, dims.as_slice()))?;
        let tensor = Tensor::from_shape(dims, elements)?.cast_to_dt(datum)?.into_owned();
        tensors.push(tensor.into_tvalue());
    }
    let outputs = model.into_optimized()?.into_runnable()?.run(tensors)?;
    outputs
        .iter()
        .map(|t| {
            let t = t.cast_to::<f32>()?;
            Ok((t.shape().to_vec(), t.try_as_plain_ram()?.as_slice::<f32>()?.to_vec()))
        })
        .collect()
}
