//! `dunlin run`: a model on this machine.

use super::dun::DunFile;
use super::io::{self, ClassResult, Source};
use super::{host, print_json};
use dunlin::IsaKind;
use miette::Result;
use serde::Serialize;
use std::path::PathBuf;

/// Run a model on this machine, with the runtime that a board would use.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin run segnet.dun --image photo.png --out overlay.png
  dunlin run digits.dun --image seven.png
  dunlin run model.dun --input in.bin --output out.bin
  dunlin run model.dun --input a.bin --output a.out --input b.bin --output b.out

Raw files hold one sample in the model's own types, NHWC, little endian. Runs share one session: a model with
state sees them as a sequence.")]
pub(super) struct Args {
    /// The model.
    model: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    isa: &'static str,
    runs: usize,
    output_bytes: usize,
    classes: Vec<ClassResult>,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let file = DunFile::read(&args.model)?;
    let mut storage = DunFile::storage();
    let model = file.parse(&mut storage)?;
    let work = args.source.read(&model, true)?;
    let outputs = host::run(&file, &work.cases)?;
    let classes = args.source.write(&model, &work, &outputs)?;
    if args.json {
        let name = model.metadata().map_or("", |m| m.name);
        let output_bytes = model.outputs().map(|t| t.bytes() as usize).sum();
        return print_json(&Report {
            model: name,
            isa: IsaKind::native().name(),
            runs: work.cases.len(),
            output_bytes,
            classes,
        });
    }
    io::print(&args.source, &model, &classes);
    Ok(())
}
