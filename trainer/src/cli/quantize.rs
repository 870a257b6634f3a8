//! `dunlin quantize`: from a trained run to a `.dun` file.

use super::calibration::Calibration;
use super::data::DataArgs;
use super::text::{self, command_line, short, table};
use super::train::history;
use super::{print_json, stop};
use dunlin_trainer::data::Split;
use dunlin_trainer::exec::{Device, Weights};
use dunlin_trainer::export::{self, Quantised};
use dunlin_trainer::graph::Graph;
use dunlin_trainer::passes;
use dunlin_trainer::plan::{self, ValueError};
use dunlin_trainer::quantise::FakeQuant;
use dunlin_trainer::report::artifact::{self, Artifact};
use dunlin_trainer::report::card::Metrics;
use dunlin_trainer::train::supervised::{Outcome, TrainError};
use dunlin_trainer::train::{Recipe, checkpoint, supervised};
use dunlin_trainer::zoo;
use miette::{Result, bail, miette};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Turn a trained model into an int8 .dun file, with a report of what each layer loses.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin quantize runs/segnet --data ../shared/data -o segnet.dun
  dunlin quantize runs/segnet/best.safetensors -o segnet.dun --observer mse
  dunlin quantize runs/digits -o digits.dun --qat 3")]
pub(super) struct Args {
    /// Folder of a run, or a weights file inside of one.
    run: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// The .dun file; card, metrics and pictures are written beside it.
    #[arg(short, long, value_name = "DUN")]
    output: PathBuf,
    #[command(flatten)]
    calibration: Calibration,
    #[command(flatten)]
    compare: Compare,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Rows of the card beside the model's own.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Compare {
    /// Name another training in the card, with the quality that RUN/metrics.json says; may be repeated.
    #[arg(long = "compare", value_name = "NAME=RUN")]
    runs: Vec<String>,
    /// A paragraph for the card.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) note: String,
}

impl Compare {
    /// Names and qualities.
    pub(super) fn read(&self) -> Result<Vec<(String, Metrics)>> {
        let row = |text: &String| {
            let Some((name, run)) = text.split_once('=') else {
                bail!(
                    help = "give --compare \"name of the row=folder of the run\"",
                    "--compare {text}: no folder"
                );
            };
            let path = Path::new(run).join(artifact::METRICS);
            let refuse = |e: &dyn std::fmt::Display| {
                miette!(
                    help = "--compare names the folder of a run that was quantised",
                    "{}: {e}",
                    path.display()
                )
            };
            let text = std::fs::read_to_string(&path).map_err(|e| refuse(&e))?;
            Ok((name.to_string(), serde_json::from_str(&text).map_err(|e| refuse(&e))?))
        };
        self.runs.iter().map(row).collect()
    }
}

/// What the card says beside the numbers, and whether training is silent.
#[derive(Debug)]
pub(super) struct Telling<'a> {
    /// Commands that make the model again.
    pub(super) commands: &'a [String],
    /// Other trainings.
    pub(super) compared: &'a [(String, Metrics)],
    /// A paragraph for the card.
    pub(super) note: &'a str,
    /// No progress.
    pub(super) quiet: bool,
}

/// What quantising gave.
pub(super) struct Result8 {
    artifact: Artifact,
    passes: Vec<passes::Applied>,
    errors: Vec<ValueError>,
}

/// Keys of `--json`.
#[derive(Serialize)]
pub(super) struct Report {
    dun: PathBuf,
    metrics: Metrics,
    file_bytes: u32,
    weight_bytes: u64,
    arena_bytes: usize,
    largest_live_bytes: u64,
    macs: u64,
    snr: Vec<Snr>,
}

#[derive(Serialize)]
struct Snr {
    value: String,
    decibels: Option<f64>,
    largest_steps: f64,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let (graph, folder) = load(&args.run)?;
    let split = args.data.of_graph(&graph)?;
    let own = command_line();
    let commands: Vec<String> = training(&folder, &args.data).into_iter().chain([own]).collect();
    let compared = args.compare.read()?;
    let telling =
        Telling { commands: &commands, compared: &compared, note: &args.compare.note, quiet: args.json };
    let done = quantise(&graph, &split, &args.output, &folder, &args.calibration, &telling)?;
    if args.json {
        return print_json(&done.report());
    }
    done.print();
    Ok(())
}

/// File in a run's folder with the command that made it, where its recipe does not say that.
pub(super) const COMMAND: &str = "command.txt";

/// The command that trained a run: as the run keeps it, else from its recipe and how that differs from the model's own.
fn training(run: &Path, data: &DataArgs) -> Option<String> {
    if let Ok(command) = std::fs::read_to_string(run.join(COMMAND)) {
        return Some(command.trim().to_string());
    }
    let recipe: Recipe = toml::from_str(&std::fs::read_to_string(run.join("recipe.toml")).ok()?).ok()?;
    let own = zoo::recipe(&recipe.model)?;
    let mut command = format!("dunlin train {}", recipe.model);
    if let Some(path) = data.named() {
        command.push_str(&format!(" --data {}", path.display()));
    }
    command.push_str(&format!(" --out {}", run.display()));
    let mut flag = |name: &str, used: String, default: String| {
        if used != default {
            command.push_str(&format!(" --{name} {used}"));
        }
    };
    flag("epochs", recipe.epochs.to_string(), own.epochs.to_string());
    flag("batch", recipe.batch.to_string(), own.batch.to_string());
    flag("lr", recipe.optimiser.rate().to_string(), own.optimiser.rate().to_string());
    flag("seed", recipe.seed.to_string(), own.seed.to_string());
    flag("threads", recipe.threads.to_string(), own.threads.to_string());
    Some(command)
}

/// The graph of a run with its best weights, or those of a weights file; and the run's folder.
pub(super) fn load(path: &Path) -> Result<(Graph, PathBuf)> {
    let help = "name the folder that `dunlin train` wrote (--out), or a weights file in it";
    if !path.exists() {
        bail!(help = help, "{}: no such file or folder", path.display());
    }
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    let mut graph = supervised::load(folder).map_err(|e| miette!(help = help, "{e}"))?;
    if path.is_file() {
        checkpoint::load_weights(path, &mut graph).map_err(|e| miette!(help = help, "{e}"))?;
    }
    Ok((graph, folder.into()))
}

/// Quantises `trained` and writes `dun` with everything beside it.
pub(super) fn quantise(
    trained: &Graph,
    split: &Split,
    dun: &Path,
    run: &Path,
    how: &Calibration,
    telling: &Telling<'_>,
) -> Result<Result8> {
    let options = export::Options::default();
    let mut q = export::post_training(trained, &split.train, how.count(), how.method()?, &options)
        .map_err(|e| miette!(help = "--observer chooses another calibration", "{e}"))?;
    let mut words = format!("int8 by {} over {} training examples", how.name(), how.count());
    let recipe = std::fs::read_to_string(run.join("recipe.toml")).unwrap_or_default();
    if let Some(epochs) = how.qat.filter(|e| *e > 0) {
        let (out, epochs) = (run.join("qat"), epochs as usize);
        let how = Aware { out: &out, epochs, quiet: telling.quiet, export: &options };
        aware(&mut q, split, &recipe_of(run)?, &how)?;
        words = format!("{words}, then {epochs} epochs of quantisation-aware training");
    }
    let weights = Weights::from_graph(&q.graph, &Device::flex());
    let sample = export::calibration_batches(&q.graph, &split.val, 1).map_err(|e| miette!("{e}"))?;
    let errors = plan::compare(&q.graph, &weights, &q.ranges, &sample[0]).map_err(|e| miette!("{e}"))?;
    let history = history(run);
    let source = artifact::Source {
        float: trained,
        quantised: &q,
        held_out: &split.val,
        recipe: &recipe,
        quantisation: &format!("{words}."),
        history: &history,
        commands: telling.commands,
        compared: telling.compared,
        note: telling.note,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let artifact = artifact::write(dun, &source)
        .map_err(|e| miette!(help = "name a place that can be written", "{e}"))?;
    Ok(Result8 { artifact, passes: q.passes, errors })
}

/// The recipe in a run's folder.
fn recipe_of(run: &Path) -> Result<Recipe> {
    let path = run.join("recipe.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| miette!(help = "--qat needs the recipe of the run", "{}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| miette!("{}: {e}", path.display()))
}

/// How quantisation-aware training goes.
pub(super) struct Aware<'a> {
    /// Folder of the training.
    pub(super) out: &'a Path,
    /// How long.
    pub(super) epochs: usize,
    /// Print no progress.
    pub(super) quiet: bool,
    /// Choices of the export.
    pub(super) export: &'a export::Options,
}

/// Quantisation-aware training from the calibrated graph; replaces graph, ranges, plan and file.
pub(super) fn aware(q: &mut Quantised, split: &Split, recipe: &Recipe, how: &Aware<'_>) -> Result<()> {
    aware_of(q, split.train.len(), recipe, how, |graph, recipe, options| {
        supervised::run(graph, recipe, split, options)
    })
}

/// [`aware`] on `examples` of any kind, by the loop `train`.
pub(super) fn aware_of(
    q: &mut Quantised,
    examples: usize,
    recipe: &Recipe,
    how: &Aware<'_>,
    train: impl FnOnce(&mut Graph, &Recipe, &supervised::Options<'_>) -> Result<Outcome, TrainError>,
) -> Result<()> {
    let mut recipe = recipe.clone();
    recipe.epochs = how.epochs;
    // The weights are good already: a tenth of the rate moves them to the grid without leaving the minimum.
    *recipe.optimiser.rate_mut() *= 0.1;
    let steps = examples / recipe.batch.max(1);
    let fake = FakeQuant::new(&q.graph, &q.ranges).map_err(|e| miette!("{e}"))?.following(
        0.99,
        steps,
        recipe.threads,
    );
    let tap = || Box::new(fake.tap()) as Box<dyn dunlin_trainer::exec::Tap>;
    let options = supervised::Options {
        out: how.out,
        resume: false,
        keep_weights: true,
        stop: stop::flag(),
        quiet: how.quiet,
        tap: Some(&tap),
    };
    let outcome = train(&mut q.graph, &recipe, &options).map_err(|e| miette!("{e}"))?;
    if outcome.interrupted {
        bail!(help = "run the command again", "quantisation-aware training was stopped");
    }
    q.ranges = fake.ranges();
    let (plan, file) = export::dun(&q.graph, &q.ranges, how.export).map_err(|e| miette!("{e}"))?;
    q.plan = plan;
    q.file = file;
    Ok(())
}

/// A table of what each value loses.
pub(super) fn losses(errors: &[ValueError]) -> String {
    let rows = errors.iter().map(|e| {
        let snr = if e.snr.is_finite() { format!("{:.1}", e.snr) } else { "exact".into() };
        vec![short(&e.name), snr, format!("{:.1}", e.steps)]
    });
    table(&["value", "SNR dB", "largest error, steps"], &[1, 2], rows)
}

impl Result8 {
    /// What was written.
    pub(super) fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    pub(super) fn report(&self) -> Report {
        let t = &self.artifact.facts.totals;
        Report {
            dun: self.artifact.dun.clone(),
            metrics: self.artifact.metrics.clone(),
            file_bytes: t.file_bytes,
            weight_bytes: t.weight_bytes,
            arena_bytes: t.arena_bytes,
            largest_live_bytes: t.largest_live_bytes,
            macs: t.macs,
            snr: self
                .errors
                .iter()
                .map(|e| Snr {
                    value: e.name.clone(),
                    // JSON has no infinity: none is an exact value.
                    decibels: e.snr.is_finite().then_some(e.snr),
                    largest_steps: e.steps,
                })
                .collect(),
        }
    }

    pub(super) fn print(&self) {
        let passes: Vec<String> = self
            .passes
            .iter()
            .filter(|p| p.rewrites > 0)
            .map(|p| format!("{} ({})", p.pass, p.rewrites))
            .collect();
        println!("passes: {}", passes.join(", "));
        println!("\n{}\n", losses(&self.errors));
        let m = &self.artifact.metrics;
        println!(
            "{:<10} float {:.4}, int8 {:.4} over {} held-out examples",
            m.metric, m.float, m.int8, m.examples
        );
        text::print_size(&self.artifact, "");
    }
}
