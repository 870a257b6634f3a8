//! `dunlin train`: a model of the zoo, from data to a `.dun` file.

use super::calibration::Calibration;
use super::data::DataArgs;
use super::quantize::{self, Telling};
use super::{print_json, stop, train_graphs, train_mpn, train_policy, write_picture};
use dunlin_trainer::data::Split;
use dunlin_trainer::graph::Graph;
use dunlin_trainer::report::artifact;
use dunlin_trainer::train::supervised::{self, History, Options, Outcome};
use dunlin_trainer::train::{Optimiser, Recipe, reinforcement};
use dunlin_trainer::zoo::{self, graph_models, mpn, policies};
use miette::{Result, bail, miette};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Train a model of the zoo, quantise it and write its .dun file and card.
///
/// The folder holds best.safetensors (weights), last.safetensors (state to resume from), history.jsonl,
/// learning.png, recipe.toml, and at the end MODEL.dun with card.md, metrics.json and pictures. Ctrl-C leaves a
/// checkpoint; the same command with --resume continues.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin train street --out runs/street
  dunlin train fcn8s --data ../shared/data --out runs/fcn8s
  dunlin train digits --data mnist --out runs/digits --epochs 5 --lr 2e-3
  dunlin train segnet --out runs/segnet --resume
  dunlin train gcn-cora --out runs/gcn-cora --seeds 10
  dunlin train gn-mutag --out runs/gn-mutag --folds 10 --seeds 3
  dunlin train mpn-mot15 --out runs/mpn-mot15 --seeds 3
  dunlin train breakout-dqn --out runs/breakout-dqn --seeds 3")]
pub(super) struct Args {
    /// The model.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(names()))]
    model: String,
    #[command(flatten)]
    pub(super) data: DataArgs,
    /// Folder of the run.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) changes: Changes,
    #[command(flatten)]
    pub(super) repeat: Repeat,
    /// Continue from last.safetensors in the folder.
    #[arg(long)]
    pub(super) resume: bool,
    #[command(flatten)]
    pub(super) calibration: Calibration,
    /// Print nothing while training.
    #[arg(long)]
    pub(super) quiet: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// All models.
fn names() -> Vec<&'static str> {
    let graphs = graph_models::ALL.iter().map(|m| m.name);
    let policies = policies::ALL.iter().map(|m| m.name);
    zoo::NAMES.into_iter().chain(graphs).chain([mpn::NAME]).chain(policies).collect()
}

/// How often a model of graphs is trained.
#[derive(Debug, clap::Args)]
pub(super) struct Repeat {
    /// Train a model of graphs, the tracker's or a policy with so many seeds, from the recipe's on, and give mean and deviation. The model is that of
    /// the first; the others are in runs/ of the folder. With --resume, finished trainings are kept.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) seeds: Option<u32>,
    /// Cross-validate a classifier of graphs over so many folds; without it, the first of ten is held out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(super) folds: Option<u32>,
}

/// Changes of the model's recipe.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Changes {
    /// Train by this recipe, such as the recipe.toml of a run, instead of the model's own.
    #[arg(long, value_name = "TOML")]
    recipe: Option<PathBuf>,
    /// Passes over the training data, instead of the recipe's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) epochs: Option<u32>,
    /// Steps of the environment from which a policy learns, instead of the recipe's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Examples per step, instead of the recipe's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Peak learning rate, instead of the recipe's.
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// Seed of initial weights, order and augmentation, instead of the recipe's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads among which a batch is split, instead of the recipe's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
}

impl Changes {
    /// The recipe of a model with these changes.
    pub(super) fn recipe(&self, model: &str) -> Result<Recipe> {
        self.change(zoo::recipe(model).ok_or_else(|| miette!("no model is called `{model}`"))?)
    }

    /// The recipe of a policy with these changes.
    pub(super) fn change_policy(&self, own: reinforcement::Recipe) -> Result<reinforcement::Recipe> {
        let model = own.model.clone();
        let mut recipe = reinforcement::Recipe { model, ..self.base(own)? };
        if self.epochs.is_some() || self.batch.is_some() || self.threads.is_some() {
            bail!(
                help = "--steps, --lr and --seed change the recipe of a policy",
                "{} learns by acting: --epochs, --batch and --threads say nothing of it",
                recipe.model
            );
        }
        recipe.steps = self.steps.unwrap_or(recipe.steps);
        recipe.seed = self.seed.unwrap_or(recipe.seed);
        self.change_rate(&mut recipe.optimiser)?;
        Ok(recipe)
    }

    /// The recipe in the file that is named, else `own`.
    fn base<R: serde::de::DeserializeOwned>(&self, own: R) -> Result<R> {
        let Some(path) = &self.recipe else { return Ok(own) };
        let fail = |e: &dyn std::fmt::Display| {
            miette!(help = "name a recipe.toml of the same kind of model", "{}: {e}", path.display())
        };
        let text = std::fs::read_to_string(path).map_err(|e| fail(&e))?;
        toml::from_str(&text).map_err(|e| fail(&e))
    }

    fn change_rate(&self, optimiser: &mut Optimiser) -> Result<()> {
        if let Some(lr) = self.lr {
            if !(lr.is_finite() && lr > 0.0) {
                bail!(help = "give a positive number, such as 1e-3", "--lr {lr}: not a learning rate");
            }
            *optimiser.rate_mut() = lr;
        }
        Ok(())
    }

    /// `recipe` with these changes.
    pub(super) fn change(&self, own: Recipe) -> Result<Recipe> {
        let model = own.model.clone();
        let mut recipe = Recipe { model, ..self.base(own)? };
        let set = |slot: &mut usize, value: Option<u32>| *slot = value.map_or(*slot, |v| v as usize);
        set(&mut recipe.epochs, self.epochs);
        set(&mut recipe.batch, self.batch);
        set(&mut recipe.threads, self.threads);
        recipe.seed = self.seed.unwrap_or(recipe.seed);
        if self.steps.is_some() {
            bail!(
                help = "--epochs N says how long",
                "{} learns from data: --steps is for policies",
                recipe.model
            );
        }
        self.change_rate(&mut recipe.optimiser)?;
        Ok(recipe)
    }
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    out: &'a Path,
    epochs: usize,
    best: f64,
    best_epoch: usize,
    seconds: f64,
    interrupted: bool,
    quantised: Option<quantize::Report>,
}

pub(super) fn main(args: &Args) -> Result<()> {
    if let Some(model) = graph_models::find(&args.model) {
        return train_graphs::main(args, model);
    }
    if let Some(model) = policies::find(&args.model) {
        return train_policy::main(args, model);
    }
    if args.model == mpn::NAME {
        return train_mpn::main(args);
    }
    if args.repeat.seeds.is_some() || args.repeat.folds.is_some() {
        bail!(
            help = "--seed N chooses another seed",
            "--seeds and --folds are for models of graphs and policies"
        );
    }
    let recipe = args.changes.recipe(&args.model)?;
    let split = args.data.of_zoo(&args.model)?;
    if !args.quiet && !args.json {
        let (t, v) = (split.train.len(), split.val.len());
        println!("{}: {t} examples to train on, {v} held out; {}", args.model, split.train.licence);
    }
    let (graph, outcome) = train(&args.out, &recipe, &split, args.resume, args.quiet)?;
    draw_history(&args.out, &graph, &split)?;
    let quantised = if outcome.interrupted {
        None
    } else {
        let dun = args.out.join(format!("{}.dun", graph.name));
        let commands = [super::text::command_line()];
        let telling = Telling { commands: &commands, compared: &[], note: "", quiet: args.quiet };
        Some(quantize::quantise(&graph, &split, &dun, &args.out, &args.calibration, &telling)?)
    };
    if args.json {
        return print_json(&Report {
            model: &args.model,
            out: &args.out,
            epochs: outcome.epochs,
            best: outcome.best,
            best_epoch: outcome.best_epoch,
            seconds: outcome.seconds,
            interrupted: outcome.interrupted,
            quantised: quantised.map(|q| q.report()),
        });
    }
    if outcome.interrupted {
        bail!(
            help = "the same command with --resume continues",
            "stopped after {} of {} epochs; {} holds the state",
            outcome.epochs,
            recipe.epochs,
            args.out.join("last.safetensors").display()
        );
    }
    let minutes = outcome.seconds / 60.0;
    println!(
        "trained {} epochs in {minutes:.1} min, best {:.4} in epoch {}",
        outcome.epochs, outcome.best, outcome.best_epoch
    );
    if let Some(q) = &quantised {
        q.print();
    }
    Ok(())
}

/// Trains the model of `recipe` on `split` in the folder `out`.
pub(super) fn train(
    out: &Path,
    recipe: &Recipe,
    split: &Split,
    resume: bool,
    quiet: bool,
) -> Result<(Graph, Outcome)> {
    let classes = split.train.classes.len() as u32;
    let graph =
        zoo::graph(&recipe.model, classes).ok_or_else(|| miette!("no model is called `{}`", recipe.model))?;
    let mut graph = graph.map_err(|e| miette!("{e}"))?;
    let options = Options { out, resume, keep_weights: false, stop: stop::flag(), quiet, tap: None };
    let outcome = supervised::run(&mut graph, recipe, split, &options).map_err(|e| {
        miette!(help = "--out names the folder of the run; --help lists what can be changed", "{e}")
    })?;
    Ok((graph, outcome))
}

/// The epochs in a run's folder; none where there is no history.
pub(super) fn history(run: &Path) -> Vec<History> {
    let text = std::fs::read_to_string(run.join("history.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Draws the learning curves of a run into its folder.
pub(super) fn draw_history(out: &Path, graph: &Graph, split: &Split) -> Result<()> {
    let history = history(out);
    if history.is_empty() {
        return Ok(());
    }
    let picture =
        artifact::learning(&graph.name, split.val.is_segmentation(), &history).map_err(|e| miette!("{e}"))?;
    write_picture(&out.join("learning.png"), &picture)
}
