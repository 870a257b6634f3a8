//! `dunlin export`: a network as ONNX, or a `.dun` file for one core.

use super::calibration::Calibration;
use super::data::DataArgs;
use super::dun::DunFile;
use super::network;
use super::text::number;
use super::{print_json, write};
use dunlin::Target;
use dunlin_trainer::exec::{Device, Weights};
use dunlin_trainer::export::{self, onnx};
use dunlin_trainer::graph::Graph;
use dunlin_trainer::passes;
use dunlin_trainer::plan::PlanOptions;
use dunlin_trainer::quantise::{Ranges, calibrate};
use miette::{Result, bail, miette};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Write a .dun file for one core, or a network as an ONNX file, in float or with its int8 quantisation written out.
///
/// With --for, a portable .dun file is planned anew and its weights are put into the order in which the kernels of that
/// core read them: faster there, with the same output bytes, and refused by other cores. A quantised ONNX file holds QuantizeLinear and DequantizeLinear around int8 tensors (QDQ), which other inference
/// engines run in int8. A network that was imported quantised keeps its parameters; any other is calibrated as
/// `dunlin quantize` does it. Inputs and outputs are NHWC, as Dunlin has them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin export digits.dun --for cortex-m4 -o digits.m4.dun
  dunlin export segnet.dun --for portable --max-ram 180000 -o small.dun
  dunlin export runs/digits --onnx digits.onnx
  dunlin export runs/digits --onnx digits_int8.onnx --qdq --data ../shared/data
  dunlin export model.tflite --onnx model.onnx --qdq")]
pub(super) struct Args {
    /// The folder of a run, a weights file in one, or an ONNX or TensorFlow Lite file; with --for a .dun file.
    model: PathBuf,
    /// Write the .dun file for this core: cortex-m4 (M4, M7, M33), cortex-m55 (M55, M85) or portable.
    #[arg(long = "for", value_name = "CORE", value_parser = target, requires = "output", conflicts_with = "onnx")]
    target: Option<Target>,
    /// Largest arena, bytes. Where the network needs more, its first layers run in bands of rows, which costs time.
    #[arg(long, value_name = "BYTES", requires = "target")]
    max_ram: Option<u32>,
    /// The .dun file that --for writes.
    #[arg(short, long, value_name = "DUN", requires = "target")]
    output: Option<PathBuf>,
    /// The ONNX file.
    #[arg(long, value_name = "ONNX", required_unless_present = "target")]
    onnx: Option<PathBuf>,
    /// Write the int8 quantisation too.
    #[arg(long, requires = "onnx")]
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

/// A target by its name.
pub(super) fn target(name: &str) -> Result<Target, String> {
    let names = || Target::ALL.map(Target::name).join(", ");
    let found = Target::ALL.into_iter().find(|t| t.name() == name);
    found.ok_or_else(|| format!("no such core; there are {}", names()))
}

#[derive(Serialize)]
struct PackReport<'a> {
    dun: &'a Path,
    target: &'static str,
    arena_bytes: u32,
    arena_bytes_before: u32,
    file_bytes: usize,
    file_bytes_before: usize,
}

/// Plans and packs a portable file for one core.
fn pack(args: &Args, target: Target, output: &Path) -> Result<()> {
    let file = DunFile::read(&args.model)?;
    let before = file.facts()?.totals.arena_bytes as u32;
    let options = PlanOptions { target, ..PlanOptions::default() };
    let (plan, bytes) = export::for_core(file.bytes(), &options, args.max_ram).map_err(|e| {
        miette!(
            help = "--for takes a portable file; --max-ram may allow more",
            "{}: {e}",
            args.model.display()
        )
    })?;
    write(output, bytes.as_slice())?;
    let report = PackReport {
        dun: output,
        target: target.name(),
        arena_bytes: plan.arena_bytes(),
        arena_bytes_before: before,
        file_bytes: bytes.as_slice().len(),
        file_bytes_before: file.bytes().len(),
    };
    if args.json {
        return print_json(&report);
    }
    println!(
        "wrote {} for {}: {} bytes ({} before), arena {} bytes ({} before)",
        output.display(),
        report.target,
        number(report.file_bytes as u64),
        number(report.file_bytes_before as u64),
        number(u64::from(report.arena_bytes)),
        number(u64::from(before)),
    );
    Ok(())
}

pub(super) fn main(args: &Args) -> Result<()> {
    if let (Some(target), Some(output)) = (args.target, &args.output) {
        return pack(args, target, output);
    }
    // The command line asks for one of the two.
    let Some(path) = &args.onnx else { bail!("name the file to write with --onnx, or a core with --for") };
    let mut graph = network::load(&args.model)?;
    let bytes = if args.qdq { quantised(&mut graph, args)? } else { convert(&graph, None)? };
    write(path, &bytes)?;
    if args.json {
        let (nodes, file_bytes) = (graph.nodes.len(), bytes.len());
        return print_json(&Report { onnx: path, quantised: args.qdq, nodes, file_bytes });
    }
    println!("wrote {}: {} operators, {} bytes", path.display(), graph.nodes.len(), bytes.len());
    Ok(())
}

fn quantised(graph: &mut Graph, args: &Args) -> Result<Vec<u8>> {
    if graph.is_pinned() {
        return convert(graph, Some(&Ranges::new(graph)));
    }
    let split = args.data.of_graph(graph)?;
    passes::optimise(graph).map_err(|e| miette!("{e}"))?;
    let batches = export::calibration_batches(graph, &split.train, args.calibration.count())
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
