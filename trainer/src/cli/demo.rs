//! `dunlin demo`: from data to emulated boards in one command.

mod boards;
mod models;

use super::calibration::Calibration;
use super::data::DataArgs;
use super::quantize::{self, Telling};
use super::text::{number, table};
use super::train::{self, Changes};
use super::{print_json, write_picture};
use boards::{BoardRun, Outcome};
use dunlin_trainer::data::folders;
use dunlin_trainer::report::artifact;
use dunlin_trainer::zoo;
use miette::{Result, bail, miette};
use models::Entry;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Train a small model, quantise it, and run it and the committed models on emulated boards.
///
/// With data (--data, DUNLIN_DATA) the small model learns from real photographs, else from generated street
/// scenes. Every output byte of a board is compared with this machine; pictures go to the folder of --out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin demo
  dunlin demo --data ../shared/data --out out/photographs
  dunlin demo --epochs 5 --board mps2-an386")]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Folder for everything that is made.
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    out: PathBuf,
    /// Boards to run on; may be repeated.
    #[arg(long, value_name = "BOARD", value_parser = super::emulate::boards(),
        default_values = ["mps2-an386", "mps3-an547"])]
    board: Vec<String>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    calibration: Calibration,
    /// Print the table as JSON.
    #[arg(long)]
    json: bool,
}

/// The small model.
const MODEL: &str = "street";

#[derive(Serialize)]
struct Report<'a> {
    models: Vec<Line<'a>>,
    left_out: &'a [String],
}

#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    metric: &'a str,
    float: Option<f64>,
    int8: Option<f64>,
    weight_bytes: u64,
    arena_bytes: usize,
    boards: Vec<&'a BoardRun>,
}

impl<'a> Line<'a> {
    fn new(entry: &'a Entry, outcome: &'a Outcome) -> Self {
        let metrics = entry.metrics.as_ref();
        Self {
            model: &entry.name,
            metric: metrics.map_or("", |m| m.metric.as_str()),
            float: metrics.map(|m| m.float),
            int8: metrics.map(|m| m.int8),
            weight_bytes: entry.facts.totals.weight_bytes,
            arena_bytes: entry.facts.totals.arena_bytes,
            boards: outcome.boards.iter().collect(),
        }
    }
}

pub(super) fn main(args: &Args) -> Result<()> {
    let started = Instant::now();
    let mut left_out = Vec::new();
    let mut entries = vec![small_model(args, &mut left_out)?];
    entries.extend(models::committed(args.data.root()?.as_deref(), &mut left_out)?);
    let runs = boards::run(&args.board, &entries, &mut left_out)?;
    for (entry, outcome) in entries.iter().zip(&runs) {
        draw(args, entry, outcome)?;
    }
    if args.json {
        print_json(&Report {
            models: entries.iter().zip(&runs).map(|(e, o)| Line::new(e, o)).collect(),
            left_out: &left_out,
        })?;
    } else {
        print(args, &entries, &runs, &left_out, started);
    }
    let wrong: Vec<String> =
        runs.iter().flat_map(|o| &o.boards).filter_map(|b| b.difference.clone()).collect();
    if !wrong.is_empty() {
        bail!(
            help = "this must never happen: please report it",
            "board and host differ: {}",
            wrong.join("; ")
        );
    }
    Ok(())
}

/// Trains and quantises the small model.
fn small_model(args: &Args, left_out: &mut Vec<String>) -> Result<Entry> {
    let recipe = args.changes.recipe(MODEL)?;
    let camvid = args.data.root()?.map(|root| root.join("camvid")).filter(|dir| dir.is_dir());
    let (h, w) = (zoo::street::HEIGHT, zoo::street::WIDTH);
    let split = match &camvid {
        Some(dir) => folders::read(dir, h, w).map_err(|e| super::data::refuse(&e))?,
        None => {
            left_out.push("real photographs: no data was given (--data or DUNLIN_DATA names its folder), scenes are generated".into());
            args.data.of_zoo(MODEL)?
        }
    };
    let what = if camvid.is_some() { "photographs" } else { "generated scenes" };
    eprintln!(
        "training `{MODEL}` on {} {what} of {w} x {h} pixels, {} epochs",
        split.train.len(),
        recipe.epochs
    );
    let out = args.out.join(MODEL);
    let (graph, outcome) = train::train(&out, &recipe, &split, false, args.json)?;
    if outcome.interrupted {
        bail!(help = "run the command again", "the training was stopped");
    }
    eprintln!("quantising and evaluating");
    let dun = out.join(format!("{MODEL}.dun"));
    let commands = ["dunlin demo".to_string()];
    let telling = Telling { commands: &commands, compared: &[], note: "", quiet: args.json };
    let done = quantize::quantise(&graph, &split, &dun, &out, &args.calibration, &telling)?;
    let artifact = done.artifact();
    let example = split.val.len() / 2;
    let bytes = std::fs::read(&dun).map_err(|e| miette!("{}: {e}", dun.display()))?;
    let photo = artifact::photo(&split.val, example);
    Entry::new(MODEL, bytes, Some(artifact.metrics.clone()), photo, what)
}

/// The board's segmentation over the photograph; the host's where no board ran.
fn draw(args: &Args, entry: &Entry, outcome: &Outcome) -> Result<()> {
    let Some(picture) = entry.overlay(&outcome.outputs) else { return Ok(()) };
    write_picture(&args.out.join(format!("{}-overlay.png", entry.name)), &picture)
}

fn print(args: &Args, entries: &[Entry], runs: &[Outcome], left_out: &[String], started: Instant) {
    let mut head: Vec<String> =
        ["model", "metric", "float", "int8", "weights B", "arena B"].map(String::from).to_vec();
    head.extend(args.board.iter().map(|b| format!("{b} instr.")));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let right: Vec<usize> = (2..head.len()).collect();
    let value = |v: Option<f64>| v.map_or("-".to_string(), |v| format!("{v:.4}"));
    let rows = entries.iter().zip(runs).map(|(e, o)| {
        let m = e.metrics.as_ref();
        let mut row = vec![
            e.name.clone(),
            m.map_or("-".into(), |m| m.metric.clone()),
            value(m.map(|m| m.float)),
            value(m.map(|m| m.int8)),
            number(e.facts.totals.weight_bytes),
            number(e.facts.totals.arena_bytes as u64),
        ];
        row.extend(args.board.iter().map(|name| {
            let run = o.boards.iter().find(|b| b.board == *name);
            run.map_or("-".into(), |r| number(r.instructions))
        }));
        row
    });
    println!("\n{}\n", table(&head, &right, rows));
    if entries.iter().skip(1).any(|e| e.metrics.is_some()) {
        println!(
            "metrics of `{MODEL}` were measured now, those of committed models are in their metrics.json\n"
        );
    }
    boards::print(&args.board, entries, runs);
    for line in left_out {
        println!("left out: {line}");
    }
    println!("\n{} s; pictures, model and card are in {}", started.elapsed().as_secs(), args.out.display());
}
