//! The subcommands: one file each, parsing and printing only.

mod calibration;
mod data;
mod demo;
mod dun;
mod emulate;
mod eval;
mod eval_policy;
mod export;
mod finetune;
mod finished;
mod host;
mod import;
mod inspect;
mod io;
mod network;
mod play;
mod profile;
mod quantize;
mod run;
mod stop;
mod text;
mod track;
mod track_board;
mod train;
mod train_graphs;
mod train_mpn;
mod train_policy;

use clap::{Parser, Subcommand};
use miette::{IntoDiagnostic, MietteHandlerOpts};
use std::path::Path;

/// Trains small networks, turns them into integer programs and runs them, here and on emulated Cortex-M boards.
#[derive(Debug, Parser)]
#[command(name = "dunlin", version, max_term_width = 110, propagate_version = true)]
#[command(after_help = "\
Examples:
  dunlin train segnet --data ../shared/data --out runs/segnet
  dunlin inspect runs/segnet/segnet.dun
  dunlin run runs/segnet/segnet.dun --image photo.png --out overlay.png
  dunlin emulate runs/segnet/segnet.dun --board mps2-an386 --image photo.png

Every command ends with 0 on success and with another number on any error; docs/cli.md lists the keys of --json.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::Args),
    Import(import::Args),
    Quantize(quantize::Args),
    Finetune(finetune::Args),
    Export(export::Args),
    Eval(eval::Args),
    Inspect(inspect::Args),
    Run(run::Args),
    Emulate(emulate::Args),
    Play(play::Args),
    Track(track::Args),
    Demo(demo::Args),
}

/// Parses the command line and does what it says.
pub(crate) fn main() -> miette::Result<()> {
    miette::set_hook(Box::new(|_| {
        Box::new(MietteHandlerOpts::new().wrap_lines(false).break_words(false).build())
    }))
    .into_diagnostic()?;
    end_with_the_reader();
    match Cli::parse().command {
        Command::Train(args) => train::main(&args),
        Command::Import(args) => import::main(&args),
        Command::Quantize(args) => quantize::main(&args),
        Command::Finetune(args) => finetune::main(&args),
        Command::Export(args) => export::main(&args),
        Command::Eval(args) => eval::main(&args),
        Command::Inspect(args) => inspect::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Emulate(args) => emulate::main(&args),
        Command::Play(args) => play::main(&args),
        Command::Track(args) => track::main(&args),
        Command::Demo(args) => demo::main(&args),
    }
}

/// Ends quietly when nobody reads the output any more, as in `dunlin inspect MODEL | head`.
fn end_with_the_reader() {
    /// What a shell reports of a command that a closed pipe ended.
    const CLOSED_PIPE: i32 = 128 + 13;
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            std::process::exit(CLOSED_PIPE);
        }
        report(info);
    }));
}

/// Prints `value` as indented JSON.
fn print_json(value: &impl serde::Serialize) -> miette::Result<()> {
    println!("{}", serde_json::to_string_pretty(value).into_diagnostic()?);
    Ok(())
}

/// Writes a file, making its folder where it is missing.
fn write(path: &Path, bytes: &[u8]) -> miette::Result<()> {
    make_folder_of(path)?;
    std::fs::write(path, bytes)
        .map_err(|e| miette::miette!(help = "name a place that can be written", "{}: {e}", path.display()))
}

/// Makes the folder in which `path` lies.
fn make_folder_of(path: &Path) -> miette::Result<()> {
    let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .map_err(|e| miette::miette!(help = "name a place that can be written", "{}: {e}", folder.display()))
}

/// Writes a picture; its type follows from the name.
fn write_picture(path: &Path, picture: &image::RgbImage) -> miette::Result<()> {
    make_folder_of(path)?;
    picture.save(path).map_err(|e| {
        miette::miette!(
            help = "use a name that ends in .png, in a folder that can be written",
            "{}: {e}",
            path.display()
        )
    })
}
