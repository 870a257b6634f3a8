//! `dunlin import`: a network from elsewhere, as a `.dun` file.

mod report;
mod work;

use super::calibration::Calibration;
use super::network::{self, Pixels};
use super::{print_json, write};
use miette::{Result, bail, miette};
use report::Report;
use std::path::PathBuf;
use work::Work;

/// Turn a TensorFlow Lite or ONNX file into a .dun file.
///
/// A quantised network keeps its parameters and gives the bytes of the reference implementation. A float network is
/// calibrated on samples: --calibrate names a folder of pictures, .npy, .csv (one sample a row) or raw .bin files
/// (f32, or the model's own type). What cannot be run is said, all of it, before anything is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin import person_detect.tflite -o person.dun
  dunlin import kws_float.tflite -o kws.dun --calibrate features --method mse
  dunlin import model.onnx -o model.dun --calibrate photos --mean 123.7,116.3,103.5 --std 58.4,57.1,57.4
  dunlin import model.onnx -o model.dun --calibrate photos --qat 5 --data labelled --keep-graph runs/model

--keep-graph writes a run's folder, with which quantize, finetune and export go on.")]
pub(super) struct Args {
    /// The TensorFlow Lite or ONNX file.
    model: PathBuf,
    /// The .dun file.
    #[arg(short, long, value_name = "DUN")]
    output: PathBuf,
    /// Folder or file of samples to calibrate a float network on, and to compare int8 with float on. A network with
    /// several inputs takes a folder with a folder for each, by its name.
    #[arg(long, value_name = "DIR")]
    calibrate: Option<PathBuf>,
    #[command(flatten)]
    calibration: Calibration,
    #[command(flatten)]
    pixels: Pixels,
    /// Names of the classes, one a line.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Folder of labelled data: a folder for each class. --qat learns from it; accuracies are measured on it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write the float graph as the folder of a run.
    #[arg(long, value_name = "DIR")]
    keep_graph: Option<PathBuf>,
    /// Keep channels that do not depend on the input or that nothing reads. Without it they are removed, which changes
    /// no output byte.
    #[arg(long)]
    keep_dead_channels: bool,
    /// Print no progress.
    #[arg(long)]
    quiet: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> Result<()> {
    if args.calibration.qat.is_some() && args.data.is_none() {
        bail!(help = "name a folder with a folder for each class with --data", "--qat needs labelled data");
    }
    let labels = args.labels.as_deref().map(labels).transpose()?.unwrap_or_default();
    let network::Source { mut graph, onnx } = network::open(&args.model)?;
    if !labels.is_empty() {
        graph.meta.palette = dunlin_trainer::data::class_palette(&labels);
        graph.meta.classes = labels;
    }
    let mut work = Work::new(args, graph, onnx)?;
    let done = work.run()?;
    write(&args.output, done.file())?;
    if let Some(folder) = &args.keep_graph {
        dunlin_trainer::train::supervised::save(folder, done.graph(), "imported")
            .map_err(|e| miette!(help = "name a folder that can be written with --keep-graph", "{e}"))?;
    }
    let report = Report::new(args, &done)?;
    if args.json {
        return print_json(&report);
    }
    report.print();
    Ok(())
}

fn labels(path: &std::path::Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        miette!(help = "--labels names a text file with a class a line", "{}: {e}", path.display())
    })?;
    Ok(text.lines().map(|l| l.trim().to_string()).filter(|l| !l.is_empty()).collect())
}
