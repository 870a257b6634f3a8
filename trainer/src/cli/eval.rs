//! `dunlin eval`: the metric of a `.dun` file.

use super::data::DataArgs;
use super::dun::DunFile;
use super::eval_policy::{self, Question};
use super::text::table;
use super::{print_json, quantize, write_picture};
use dunlin_trainer::data::Examples;
use dunlin_trainer::eval::metrics::Confusion;
use dunlin_trainer::eval::{float, int8};
use dunlin_trainer::report::artifact;
use dunlin_trainer::report::card::headline;
use dunlin_trainer::zoo::policies;
use miette::{Result, bail, miette};
use serde::Serialize;
use std::path::PathBuf;

/// Measure an int8 model on held-out data, or a policy on episodes, as the runtime runs it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin eval segnet.dun --data ../shared/data
  dunlin eval segnet.dun --data ../shared/data --json | jq .value
  dunlin eval segnet.dun --float runs/segnet --plot confusion.png
  dunlin eval models/breakout-dqn/breakout-dqn.dun --episodes 100 --seed 1 --json | jq .mean_return")]
pub(super) struct Args {
    /// The model.
    model: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Also measure the float model in this run's folder or weights file.
    #[arg(long, value_name = "RUN")]
    float: Option<PathBuf>,
    /// Draw the confusion matrix into this picture.
    #[arg(long, value_name = "PNG")]
    plot: Option<PathBuf>,
    /// Measure the first N held-out examples only.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Episodes that a policy plays. [default: as its card]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    episodes: Option<u64>,
    /// Seed of the episodes.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Keys of `--json`.
#[derive(Serialize)]
struct Report {
    model: String,
    metric: &'static str,
    value: f64,
    float: Option<f64>,
    accuracy: f64,
    examples: usize,
    classes: Vec<Class>,
}

#[derive(Serialize)]
struct Class {
    label: usize,
    name: String,
    iou: Option<f64>,
    float_iou: Option<f64>,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let file = DunFile::read(&args.model)?;
    let mut storage = DunFile::storage();
    let model = file.parse(&mut storage)?;
    if let Some(policy) = model.metadata().and_then(|m| policies::find(m.name)) {
        let episodes = args.episodes.unwrap_or_else(|| policy.episodes.into());
        let (seed, float, json) = (args.seed, args.float.as_deref(), args.json);
        return eval_policy::main(&file, policy, &Question { episodes, seed, float, json });
    }
    if args.episodes.is_some() {
        bail!(
            help = "leave --episodes out: it is measured on held-out data",
            "{} is not a policy",
            args.model.display()
        );
    }
    let mut set = args.data.of_file(&model)?.val;
    if let Some(limit) = args.limit {
        set.truncate(limit as usize);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let counts = int8::evaluate(file.bytes(), &set, threads).map_err(|e| {
        miette!(help = "name the data that the model was made for", "{}: {e}", args.model.display())
    })?;
    let in_float = match &args.float {
        None => None,
        Some(run) => {
            let (graph, _) = quantize::load(run)?;
            Some(float::evaluate(&graph, &set, threads).map_err(|e| miette!("{}: {e}", run.display()))?)
        }
    };
    let name = model.metadata().map_or("", |m| m.name).to_string();
    if let Some(path) = &args.plot {
        write_picture(path, &artifact::matrix(&name, &set, &counts))?;
    }
    let report = report(name, &set, &counts, in_float.as_ref());
    if args.json {
        return print_json(&report);
    }
    print(&report, &set);
    if let Some(path) = &args.plot {
        println!("wrote {}", path.display());
    }
    Ok(())
}

fn report(model: String, set: &Examples, int8: &Confusion, float: Option<&Confusion>) -> Report {
    let segmentation = set.is_segmentation();
    let (metric, value) = headline(segmentation, int8);
    let float_iou = float.map(Confusion::iou);
    let class = |(label, iou): (usize, Option<f64>)| Class {
        label,
        name: set.classes.get(label).cloned().unwrap_or_default(),
        iou,
        float_iou: float_iou.as_ref().and_then(|f| f[label]),
    };
    Report {
        model,
        metric,
        value,
        float: float.map(|f| headline(segmentation, f).1),
        accuracy: int8.accuracy(),
        examples: set.len(),
        classes: int8.iou().into_iter().enumerate().map(class).collect(),
    }
}

fn print(r: &Report, set: &Examples) {
    let cell = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.4}"));
    println!("{}: {} {:.4} in int8 over {} held-out examples", r.model, r.metric, r.value, r.examples);
    if let Some(float) = r.float {
        println!("{}: {} {float:.4} in float, int8 {:+.4}", r.model, r.metric, r.value - float);
    }
    if set.is_segmentation() {
        println!("pixel accuracy {:.4}\n", r.accuracy);
    }
    let mut head = vec!["class", "IoU int8"];
    if r.float.is_some() {
        head.push("IoU float");
    }
    let rows = r.classes.iter().map(|c| {
        let mut row = vec![c.name.clone(), cell(c.iou)];
        if r.float.is_some() {
            row.push(cell(c.float_iou));
        }
        row
    });
    println!("{}", table(&head, &[1, 2], rows));
}
