//! `dunlin finetune`: transfer learning from a network that somebody has trained.

use super::calibration::Calibration;
use super::network::{self, Pixels};
use super::quantize::{self, Compare, Telling};
use super::{print_json, stop, train};
use dunlin_trainer::data::augment::Augment;
use dunlin_trainer::data::{Examples, Split, labelled};
use dunlin_trainer::eval::float;
use dunlin_trainer::graph::{Graph, ValueId};
use dunlin_trainer::passes;
use dunlin_trainer::train::supervised::{self, Options, Outcome};
use dunlin_trainer::train::{ClassWeights, Optimiser, Recipe, Schedule};
use dunlin_trainer::zoo::mobilenet;
use miette::{Result, bail, miette};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Cut a trained network at a node, put another head on it, train that on your own data, and quantise.
///
/// The head learns first, from features that the rest computes once per example. With --freeze that is all; else
/// the whole network then learns at a low rate. The data is a folder for each class (DIR/<class>/*.png, .npy, .csv
/// or .bin), DIR/train/<class> beside DIR/val/<class>, CIFAR-10's strips or MNIST's files.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin finetune backbone.onnx --cut features --head classes=5 --data flowers --freeze -o runs/flowers
  dunlin finetune mobilenet.tflite --cut NODE --head classes=10 --data cifar10 --input 96x96 -o runs/cifar10
  dunlin finetune runs/mobilenet --cut mean --head classes=2 --data parts --epochs 10 --lr 2e-4 -o runs/parts

A name that no node has is answered with names like it.")]
pub(super) struct Args {
    /// The trained network: an ONNX or TensorFlow Lite file, or the folder of a run.
    backbone: PathBuf,
    /// Node whose output is kept as features.
    #[arg(long, value_name = "NODE")]
    cut: String,
    /// The new head.
    #[arg(long, value_name = "classes=N", value_parser = head)]
    head: u32,
    /// Folder of the labelled data.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Train nothing but the head.
    #[arg(long)]
    freeze: bool,
    /// Rows and columns of the pictures, where the network shall take other ones than it was trained with.
    #[arg(long, value_name = "HxW", value_parser = size)]
    input: Option<(u32, u32)>,
    #[command(flatten)]
    pixels: Pixels,
    #[command(flatten)]
    course: Course,
    /// Folder of the run.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Continue from last.safetensors in the folder.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    calibration: Calibration,
    #[command(flatten)]
    compare: Compare,
    /// Print nothing while training.
    #[arg(long)]
    quiet: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// How training goes.
#[derive(Debug, clap::Args)]
struct Course {
    /// Epochs of the head alone, on features.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    head_epochs: u32,
    /// Epochs of the whole network.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Peak learning rate of the whole network.
    #[arg(long, value_name = "X", default_value_t = 5e-4)]
    lr: f64,
    /// Examples per step.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Seed of the head's weights, order and augmentation.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Threads among which a batch is split.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Random changes of the pictures while the whole network learns.
    #[arg(long, value_enum, default_value = "photos")]
    augment: Changes,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Changes {
    /// None.
    None,
    /// Mirrored, moved, enlarged, lit differently.
    Photos,
}

fn head(text: &str) -> Result<u32, String> {
    let count = text.strip_prefix("classes=").unwrap_or(text);
    count
        .parse()
        .ok()
        .filter(|n| (2..=256).contains(n))
        .ok_or_else(|| "expected classes=N, N from 2 to 256".into())
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('x').and_then(|(h, w)| Some((h.parse().ok()?, w.parse().ok()?)));
    parts
        .filter(|(h, w)| (1..=4096).contains(h) && (1..=4096).contains(w))
        .ok_or_else(|| "expected HxW, such as 96x96".into())
}

#[derive(Serialize)]
struct Report<'a> {
    out: &'a Path,
    cut: &'a str,
    frozen: bool,
    head: f64,
    best: f64,
    best_epoch: usize,
    seconds: f64,
    interrupted: bool,
    quantised: Option<quantize::Report>,
}

pub(super) fn main(args: &Args) -> Result<()> {
    if !(args.course.lr.is_finite() && args.course.lr > 0.0) {
        bail!(help = "give a positive number, such as 5e-4", "--lr {}: not a learning rate", args.course.lr);
    }
    args.compare.read()?;
    let mut graph = backbone(args)?;
    let features = passes::rehead(&mut graph, args.head, args.course.seed).map_err(|e| miette!("{e}"))?;
    let spec = network::spec(&graph, &args.pixels.scaling(&graph)?)?;
    let split = labelled::read(&args.data, &spec)
        .map_err(|e| miette!(help = "--data names a folder that holds a folder for each class", "{e}"))?;
    if split.train.classes.len() != args.head as usize {
        let names = split.train.classes.join(", ");
        bail!(
            help = format!("give --head classes={}", split.train.classes.len()),
            "{} has {} classes ({names}), not {}",
            args.data.display(),
            split.train.classes.len(),
            args.head
        );
    }
    graph.meta.input = split.train.reals.is_empty().then_some(spec.scaling);
    graph.name =
        args.output.file_name().map_or_else(|| "finetuned".into(), |n| n.to_string_lossy().into_owned());
    if !args.quiet && !args.json {
        let (t, v) = (split.train.len(), split.val.len());
        println!("{}: {t} examples to train on, {v} held out; {}", graph.name, split.train.licence);
    }
    let (first, last) = course(args, &mut graph, features, &split)?;
    let outcome = last.as_ref().unwrap_or(&first);
    let quantised = if outcome.interrupted { None } else { Some(finish(args, &graph, &split)?) };
    if args.json {
        return print_json(&Report {
            out: &args.output,
            cut: &args.cut,
            frozen: args.freeze,
            head: first.best,
            best: outcome.best,
            best_epoch: outcome.best_epoch,
            seconds: outcome.seconds,
            interrupted: outcome.interrupted,
            quantised: quantised.map(|q| q.report()),
        });
    }
    if outcome.interrupted {
        let folder = args.output.display();
        bail!(help = "the same command with --resume continues", "stopped; {folder} holds the state");
    }
    println!("head on frozen features: {:.4} in epoch {}", first.best, first.best_epoch);
    if let Some(o) = &last {
        println!("whole network: {:.4} in epoch {} of {}", o.best, o.best_epoch, o.epochs);
    }
    if let Some(q) = &quantised {
        q.print();
    }
    Ok(())
}

/// The network before the cut, as an ordinary float graph with its passes run.
fn backbone(args: &Args) -> Result<Graph> {
    let mut graph = network::load(&args.backbone)?;
    if graph.meta.input.is_none() {
        graph.meta.input = network::dictated(&graph);
    }
    graph.unpin();
    let refuse = |e: &dyn std::fmt::Display| miette!("{}: {e}", args.backbone.display());
    passes::cut(&mut graph, &args.cut)
        .map_err(|e| miette!(help = "--cut names a node; `dunlin inspect` and Netron show them", "{e}"))?;
    if let Some((h, w)) = args.input {
        graph = passes::resize_input(&graph, h, w)
            .map_err(|e| miette!(help = "leave --input away, or choose another size", "{e}"))?;
    }
    passes::optimise(&mut graph).map_err(|e| refuse(&e))?;
    Ok(graph)
}

/// Trains the head, then the whole network unless it is frozen. The best weights are in `graph` and in the folder.
fn course(
    args: &Args,
    graph: &mut Graph,
    features: ValueId,
    split: &Split,
) -> Result<(Outcome, Option<Outcome>)> {
    let folder = args.output.join("head");
    let first = head_alone(args, graph, features, split, &folder)?;
    if first.interrupted || args.freeze {
        passes::freeze(graph, true);
        let recipe = args.course.head_recipe(split);
        supervised::describe(graph, &recipe, split);
        supervised::save(&args.output, graph, &format!("head on features, {:.4}", first.best))
            .map_err(|e| miette!("{e}"))?;
        for name in ["recipe.toml", "history.jsonl"] {
            let from = folder.join(name);
            std::fs::copy(&from, args.output.join(name)).map_err(|e| miette!("{}: {e}", from.display()))?;
        }
        return Ok((first, None));
    }
    passes::freeze(graph, false);
    let recipe = args.course.whole_recipe(split);
    let options = options(args, &args.output);
    let outcome = supervised::run(graph, &recipe, split, &options).map_err(|e| {
        miette!(help = "-o names the folder of the run; --help lists what can be changed", "{e}")
    })?;
    Ok((first, Some(outcome)))
}

fn options<'a>(args: &Args, out: &'a Path) -> Options<'a> {
    Options { out, resume: args.resume, keep_weights: true, stop: stop::flag(), quiet: args.quiet, tap: None }
}

/// Trains the dense layer of the head on the features of every example, computed once.
fn head_alone(
    args: &Args,
    graph: &mut Graph,
    features: ValueId,
    split: &Split,
    out: &Path,
) -> Result<Outcome> {
    let threads = args.course.threads as usize;
    let of = |set: &Examples| {
        float::features(graph, features, set, threads)
            .map_err(|e| miette!(help = "--data names data that the network takes", "{e}"))
    };
    let seen = Split { train: of(&split.train)?, val: of(&split.val)? };
    let mut small = passes::head_of(graph, features).map_err(|e| miette!("{e}"))?;
    let recipe = args.course.head_recipe(split);
    let outcome =
        supervised::run(&mut small, &recipe, &seen, &options(args, out)).map_err(|e| miette!("{e}"))?;
    for param in &mut graph.params {
        if let Some(trained) = small.params.iter().find(|p| p.name == param.name) {
            param.data.clone_from(&trained.data);
        }
    }
    Ok(outcome)
}

impl Course {
    /// A linear layer on features converges at a high rate; little data takes small batches, for enough steps.
    fn head_recipe(&self, split: &Split) -> Recipe {
        Recipe {
            model: "finetune head".into(),
            epochs: self.head_epochs as usize,
            batch: (split.train.len() / 16).clamp(1, 64),
            threads: 1,
            optimiser: Optimiser::AdamW { rate: 1e-2, decay: 1e-2 },
            augment: Augment::default(),
            clip: None,
            contraction: None,
            ..self.whole_recipe(split)
        }
    }

    /// The weights are good already: a low rate, and an average of them from the start.
    fn whole_recipe(&self, split: &Split) -> Recipe {
        Recipe {
            model: "finetune".into(),
            seed: self.seed,
            epochs: self.epochs as usize,
            batch: (self.batch as usize).min(split.train.len()),
            threads: self.threads as usize,
            optimiser: Optimiser::AdamW { rate: self.lr, decay: 1e-2 },
            schedule: Schedule::Cosine { warm_up: 0.5, last: 0.01 },
            class_weights: ClassWeights::Equal,
            label_smoothing: 0.0,
            average: 0.99,
            evaluate_every: 1,
            patience: 0,
            augment: match self.augment {
                Changes::None => Augment::default(),
                Changes::Photos => mobilenet::augment(),
            },
            clip: None,
            contraction: None,
        }
    }
}

fn finish(args: &Args, graph: &Graph, split: &Split) -> Result<quantize::Result8> {
    train::draw_history(&args.output, graph, split)?;
    let command = super::text::command_line();
    super::write(&args.output.join(quantize::COMMAND), command.as_bytes())?;
    let dun = args.output.join(format!("{}.dun", graph.name));
    let commands = [command];
    let compared = args.compare.read()?;
    let telling = Telling {
        commands: &commands,
        compared: &compared,
        note: &args.compare.note,
        quiet: args.quiet || args.json,
    };
    quantize::quantise(graph, split, &dun, &args.output, &args.calibration, &telling)
}
