//! `dunlin export`: a network as ONNX.

use super::calibration::Calibration;
use super::data::DataArgs;
use super::network;
use super::{print_json, write};
use dunlin_trainer::exec::{Device, Weights};
use dunlin_trainer::export::{self, onnx};
use dunlin_trainer::graph::Graph;
use dunlin_trainer::passes;
use dunlin_trainer::quantise::{Ranges, calibrate};
use miette::{Result, miette};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Write a network as an ONNX file, in float or with its int8 quantisation written out.
///
/// A quantised file holds QuantizeLinear and DequantizeLinear around int8 tensors (QDQ), which other inference
/// engines run in int8. A network that was imported quantised keeps its parameters; any other is calibrated as
/// `dunlin quantize` does it. Inputs and outputs are NHWC, as Dunlin has them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin export runs/digits --onnx digits.onnx
  dunlin export runs/digits --onnx digits_int8.onnx --qdq --data ../shared/data
  dunlin export model.tflite --onnx model.onnx --qdq")]
pub(super) struct Args {
    /// The folder of a run, a weights file in one, or an ONNX or TensorFlow Lite file.
    model: PathBuf,
    /// The ONNX file.
    #[arg(long, value_name = "ONNX")]
    onnx: PathBuf,
    /// Write the int8 quantisation too.
    #[arg(long)]
    qdq: bool,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    calibration: Calibration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    onnx: &'a Path,
    quantised: bool,
    nodes: usize,
    file_bytes: usize,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let mut graph = network::load(&args.model)?;
    let bytes = if args.qdq { quantised(&mut graph, args)? } else { convert(&graph, None)? };
    write(&args.onnx, &bytes)?;
    if args.json {
        let (nodes, file_bytes) = (graph.nodes.len(), bytes.len());
        return print_json(&Report { onnx: &args.onnx, quantised: args.qdq, nodes, file_bytes });
    }
    println!("wrote {}: {} operators, {} bytes", args.onnx.display(), graph.nodes.len(), bytes.len());
    Ok(())
}

fn quantised(graph: &mut Graph, args: &Args) -> Result<Vec<u8>> {
    if graph.is_pinned() {
        return convert(graph, Some(&Ranges::new(graph)));
    }
    let split = args.data.of_graph(graph)?;
    passes::optimise(graph).map_err(|e| miette!("{e}"))?;
    let batches = export::calibration_batches(graph, &split.train, args.calibration.samples as usize)
        .map_err(|e| miette!("{e}"))?;
    let weights = Weights::from_graph(graph, &Device::flex());
    let ranges = calibrate(graph, &weights, &batches, args.calibration.method()?)
        .map_err(|e| miette!(help = "--observer chooses another calibration", "{e}"))?;
    convert(graph, Some(&ranges))
}

fn convert(graph: &Graph, ranges: Option<&Ranges>) -> Result<Vec<u8>> {
    let numbers = ranges.map(onnx::Numbers::new);
    onnx::write(graph, numbers.as_ref())
        .map_err(|e| miette!(help = "cut the network before such a node, or write it without", "{e}"))
}
