//! A float network, from wherever a person has it.

use super::quantize;
use dunlin::format::DType;
use dunlin_trainer::data::samples::Spec;
use dunlin_trainer::graph::{Graph, InputScaling, Pin, ValueId};
use dunlin_trainer::import::{ImportError, onnx, tflite};
use miette::{Result, bail, miette};
use std::path::Path;

/// A network, and the file that it was imported from where tract can run that.
pub(super) struct Source {
    /// The graph, pins and all.
    pub(super) graph: Graph,
    /// The ONNX file.
    pub(super) onnx: Option<Onnx>,
}

/// An ONNX file with what the importer made of its inputs and outputs.
pub(super) struct Onnx {
    bytes: Vec<u8>,
    options: onnx::Options,
    inputs: Vec<onnx::Port>,
    outputs: Vec<onnx::Port>,
}

impl Onnx {
    /// What tract computes from one sample in the graph's order: all outputs, in the graph's order.
    pub(super) fn reference(&self, sample: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, ImportError> {
        let array = |(port, values): (&onnx::Port, &Vec<f32>)| Ok((port.dims.clone(), port.to_onnx(values)?));
        let inputs = self.inputs.iter().zip(sample).map(array).collect::<Result<Vec<_>, ImportError>>()?;
        let outputs = onnx::reference(&self.bytes, &self.options, &inputs)?;
        self.outputs.iter().zip(outputs).map(|(port, (_, values))| port.to_graph(&values)).collect()
    }
}

/// Reads a run's folder or weights file, an ONNX file or a TensorFlow Lite file, pins and all.
pub(super) fn load(path: &Path) -> Result<Graph> {
    Ok(open(path)?.graph)
}

/// [`load`] with the file that the reference can run.
pub(super) fn open(path: &Path) -> Result<Source> {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    if !matches!(ending.as_str(), "onnx" | "tflite") {
        return Ok(Source { graph: quantize::load(path)?.0, onnx: None });
    }
    let bytes = std::fs::read(path)
        .map_err(|e| miette!(help = "name a TensorFlow Lite or ONNX file", "{}: {e}", path.display()))?;
    let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let refuse = |e: ImportError| {
        let help = match e {
            ImportError::Unsupported(_) => {
                "nothing was written; change these nodes, or cut the network before them"
            }
            ImportError::Malformed { .. } => "fetch the file again, or write it again",
            _ => "docs/operators.md says what can be imported",
        };
        miette!(help = help, "{}: {e}", path.display())
    };
    if tflite::is_tflite(&bytes) {
        return Ok(Source { graph: tflite::import(&bytes, &name).map_err(refuse)?, onnx: None });
    }
    if ending == "tflite" {
        bail!(help = "name a TensorFlow Lite file", "{}: not a TensorFlow Lite file", path.display());
    }
    let options = onnx::Options { name, ..onnx::Options::default() };
    let onnx::Imported { graph, inputs, outputs } = onnx::import(&bytes, &options).map_err(refuse)?;
    Ok(Source { graph, onnx: Some(Onnx { bytes, options, inputs, outputs }) })
}

/// How raw pixels become the input of a network that does not say so.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Pixels {
    /// Mean of the pixels per channel, in units of a pixel (0 to 255), before --std; one value or one per channel.
    #[arg(long, value_name = "X,..", value_delimiter = ',', allow_hyphen_values = true)]
    mean: Vec<f32>,
    /// Standard deviation of the pixels per channel, in units of a pixel: (pixel - mean) / std is the input.
    #[arg(long, value_name = "X,..", value_delimiter = ',')]
    std: Vec<f32>,
}

impl Pixels {
    /// Whether the command line says how.
    pub(super) fn given(&self) -> bool {
        !(self.mean.is_empty() && self.std.is_empty())
    }

    /// The scaling of the network's first input: the one on the command line, else the one that the network brings.
    pub(super) fn scaling(&self, graph: &Graph) -> Result<InputScaling> {
        let channels = graph.inputs.first().map_or(1, |v| graph.shape(*v).c as usize);
        let own = graph.meta.input.clone().or_else(|| dictated(graph));
        let own = own.unwrap_or_else(|| InputScaling::unit(channels));
        let spread = |name: &str, given: &[f32], own: &[f32]| match given.len() {
            0 => Ok(own.to_vec()),
            1 => Ok(vec![given[0] / 255.0; channels]),
            n if n == channels => Ok(given.iter().map(|v| v / 255.0).collect()),
            n => bail!(
                help = "give one value, or one per channel",
                "--{name}: {n} values for {channels} channels"
            ),
        };
        let scaling = InputScaling {
            mean: spread("mean", &self.mean, &own.mean)?,
            std: spread("std", &self.std, &own.std)?,
        };
        if !scaling.std.iter().all(|v| v.is_finite() && *v > 0.0) {
            bail!(help = "give positive numbers", "--std: not standard deviations");
        }
        Ok(scaling)
    }
}

/// The scaling of pixels that a quantised picture input says: its bytes, or its bytes less 128, are the pixels.
pub(super) fn dictated(graph: &Graph) -> Option<InputScaling> {
    if !takes_pictures(graph) {
        return None;
    }
    let value = graph.value(graph.inputs[0]);
    let Pin { dtype, quant, .. } = value.pin?;
    let zero = match dtype {
        DType::U8 => f32::from(quant.zero_point),
        DType::I8 => f32::from(quant.zero_point) + 128.0,
        _ => return None,
    };
    let channels = value.shape.c as usize;
    let std = 1.0 / (255.0 * quant.scale);
    Some(InputScaling { mean: vec![zero / 255.0; channels], std: vec![std; channels] })
}

/// Whether the only input can be a picture.
pub(super) fn takes_pictures(graph: &Graph) -> bool {
    let [input] = graph.inputs.as_slice() else { return false };
    let s = graph.shape(*input);
    s.n == 1 && s.pixels() > 1 && matches!(s.c, 1 | 3)
}

/// What every input of a network takes; pixels are scaled by `scaling`.
pub(super) fn specs(graph: &Graph, scaling: &InputScaling) -> Vec<Spec> {
    let spec = |id: &ValueId| {
        let value = graph.value(*id);
        let scaling = match value.shape.c as usize {
            c if c == scaling.mean.len() => scaling.clone(),
            c => InputScaling::unit(c),
        };
        let own = value.pin.map(|pin| (pin.dtype, pin.quant));
        Spec { name: value.name.clone(), shape: value.shape, scaling, own }
    };
    graph.inputs.iter().map(spec).collect()
}

/// What the only input of a network takes.
pub(super) fn spec(graph: &Graph, scaling: &InputScaling) -> Result<Spec> {
    match specs(graph, scaling).as_slice() {
        [spec] => Ok(spec.clone()),
        all => bail!(help = "labelled data fills one input", "`{}` has {} inputs", graph.name, all.len()),
    }
}
