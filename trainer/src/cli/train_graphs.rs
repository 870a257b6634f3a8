//! `dunlin train` for models of graphs: one training, or the same over seeds and folds.

use super::quantize::{Aware, aware_of, losses};
use super::text::{self, command_line, table};
use super::train::{Args, history};
use super::{finished, print_json, stop, write, write_picture};
use dunlin_trainer::data::graphs::{Answers, Fold, GraphSet};
use dunlin_trainer::eval::graphs::{self, Quality};
use dunlin_trainer::exec::{Device, Weights};
use dunlin_trainer::export::{self, Quantised};
use dunlin_trainer::graph::{Graph, TargetScaling};
use dunlin_trainer::plan::{self, ValueError};
use dunlin_trainer::report::artifact::{self, Artifact, Measured};
use dunlin_trainer::report::card::Metrics;
use dunlin_trainer::report::repeated::{Repeated, RunMetrics};
use dunlin_trainer::train::Recipe;
use dunlin_trainer::train::supervised::{self, Options, Outcome};
use dunlin_trainer::zoo::graph_models::{GraphModel, Protocol};
use miette::{Result, bail, miette};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A training of the table: which seed, which fold, where.
struct Case {
    seed: u64,
    fold: Option<usize>,
    split: Fold,
    out: PathBuf,
}

/// Keys of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    out: &'a Path,
    epochs: usize,
    seconds: f64,
    interrupted: bool,
    metrics: Option<&'a Metrics>,
}

pub(super) fn main(args: &Args, model: &GraphModel) -> Result<()> {
    let recipe = args.changes.change((model.recipe)())?;
    let set = read(args, model)?;
    let protocol = match (model.protocol, args.repeat.folds) {
        (protocol, None) => protocol,
        (Protocol::Folds(_), Some(folds)) => Protocol::Folds(folds as usize),
        _ => bail!(help = "--seeds N repeats it over seeds", "{} is not measured over folds", model.name),
    };
    let cases = cases(args, &recipe, protocol, &set)?;
    let loud = !args.quiet && !args.json;
    if loud {
        let Fold { train, test, .. } = &cases[0].split;
        println!("{}: {} to train on, {} held out; {}", model.name, train.len(), test.len(), set.licence);
    }
    let mut results = Vec::with_capacity(cases.len());
    let mut seconds = 0.0;
    for (at, case) in cases.iter().enumerate() {
        let recipe = Recipe { seed: case.seed, ..recipe.clone() };
        let kept =
            if args.resume { finished::read(&case.out, &recipe, case.split.test.len())? } else { None };
        if let Some(done) = kept {
            results.push(done);
            continue;
        }
        if loud && cases.len() > 1 {
            let fold = case.fold.map_or(String::new(), |f| format!(", fold {f}"));
            println!("seed {}{fold} ({} of {})", case.seed, at + 1, cases.len());
        }
        let trained = train(args, model, &recipe, &set, case)?;
        seconds += trained.outcome.seconds;
        if trained.outcome.interrupted {
            return interrupted(args, model, &trained.outcome);
        }
        let result = measure(args, model, &recipe, &set, case, &trained.graph)?;
        finished::write_result(&case.out, &recipe, &result)?;
        results.push(result);
    }
    let repeated = (results.len() > 1).then(|| Repeated::new(protocol.words(), results));
    let (artifact, errors) = lay_out(args, model, &recipe, &set, &cases[0], repeated)?;
    if args.json {
        let metrics = Some(&artifact.metrics);
        let epochs = recipe.epochs;
        return print_json(&Report {
            model: model.name,
            out: &args.out,
            epochs,
            seconds,
            interrupted: false,
            metrics,
        });
    }
    print(&artifact, &errors);
    Ok(())
}

fn read(args: &Args, model: &GraphModel) -> Result<GraphSet> {
    let Some(root) = args.data.root()? else {
        bail!(
            help = format!("name the folder that holds {}/ with --data or DUNLIN_DATA", model.folder),
            "{} learns from data of which there is none here",
            model.name
        );
    };
    let below = root.join(model.folder);
    let dir = if below.is_dir() { below } else { root };
    (model.read)(&dir).map_err(|e| miette!(help = "--data names the folder of the data", "{e}"))
}

/// All trainings, the first of which becomes the model.
fn cases(args: &Args, recipe: &Recipe, protocol: Protocol, set: &GraphSet) -> Result<Vec<Case>> {
    let several = args.repeat.seeds.is_some() || args.repeat.folds.is_some();
    let mut cases = Vec::new();
    for seed in (recipe.seed..).take(args.repeat.seeds.unwrap_or(1) as usize) {
        let splits = protocol.folds(set, seed);
        if splits.iter().any(|s| s.train.is_empty() || s.test.is_empty()) || splits.is_empty() {
            bail!(
                help = "use fewer folds or more data",
                "{}: {} examples are too few for {}",
                set.name,
                set.len(),
                protocol.words()
            );
        }
        let folds = matches!(protocol, Protocol::Folds(_)) && args.repeat.folds.is_some();
        let used = if folds { splits.len() } else { 1 };
        for (at, split) in splits.into_iter().take(used).enumerate() {
            let fold = folds.then_some(at + 1);
            let name = fold.map_or(format!("seed{seed}"), |f| format!("seed{seed}-fold{f}"));
            let out = if several { args.out.join("runs").join(name) } else { args.out.clone() };
            cases.push(Case { seed, fold, split, out });
        }
    }
    Ok(cases)
}

struct Trained {
    graph: Graph,
    outcome: Outcome,
}

fn train(args: &Args, model: &GraphModel, recipe: &Recipe, set: &GraphSet, case: &Case) -> Result<Trained> {
    let mut graph = (model.network)(set).map_err(|e| miette!("{e}"))?;
    // A line for each epoch of each training would be thousands.
    let quiet = args.quiet || args.json || args.repeat.seeds.is_some() || args.repeat.folds.is_some();
    let options = Options {
        out: &case.out,
        resume: args.resume,
        keep_weights: false,
        stop: stop::flag(),
        quiet,
        tap: None,
    };
    let outcome = supervised::run_graphs(&mut graph, recipe, set, &case.split, &options).map_err(|e| {
        miette!(help = "--out names the folder of the run; --help lists what can be changed", "{e}")
    })?;
    Ok(Trained { graph, outcome })
}

fn interrupted(args: &Args, model: &GraphModel, outcome: &Outcome) -> Result<()> {
    if args.json {
        return print_json(&Report {
            model: model.name,
            out: &args.out,
            epochs: outcome.epochs,
            seconds: outcome.seconds,
            interrupted: true,
            metrics: None,
        });
    }
    bail!(
        help = "the same command with --resume continues; what is finished is kept",
        "stopped after {} epochs",
        outcome.epochs
    )
}

/// Quantises on the training items.
fn quantise(
    args: &Args,
    model: &GraphModel,
    recipe: &Recipe,
    set: &GraphSet,
    case: &Case,
    graph: &Graph,
) -> Result<Quantised> {
    let split = &case.split;
    let items = match args.calibration.samples {
        None => split.train.clone(),
        Some(count) => {
            let count = (count as usize).min(split.train.len());
            (0..count).map(|i| split.train[i * split.train.len() / count]).collect()
        }
    };
    let batches = graphs::calibration(graph, set, &items);
    let method = args.calibration.method_or(model.calibration)?;
    let options = export::Options::default();
    let mut q = export::post_training_on(graph, &batches, method, &options)
        .map_err(|e| miette!(help = "--observer chooses another calibration", "{e}"))?;
    let epochs = aware_epochs(args, model);
    if epochs > 0 {
        let out = case.out.join("qat");
        let how = Aware { out: &out, epochs, quiet: true, export: &options };
        aware_of(&mut q, split.train.len(), recipe, &how, |graph, recipe, options| {
            supervised::run_graphs(graph, recipe, set, split, options)
        })?;
    }
    Ok(q)
}

/// Epochs of quantisation-aware training: as the command says, else as the model needs.
fn aware_epochs(args: &Args, model: &GraphModel) -> usize {
    args.calibration.qat.map_or(model.aware, |epochs| epochs as usize)
}

fn qualities(set: &GraphSet, case: &Case, graph: &Graph, file: &[u8]) -> Result<[Quality; 2]> {
    let float = graphs::float(graph, set, &case.split.test).map_err(|e| miette!("{e}"))?;
    let int8 = graphs::int8(graph, file, set, &case.split.test).map_err(|e| miette!("{e}"))?;
    Ok([float, int8])
}

fn measure(
    args: &Args,
    model: &GraphModel,
    recipe: &Recipe,
    set: &GraphSet,
    case: &Case,
    graph: &Graph,
) -> Result<RunMetrics> {
    let q = quantise(args, model, recipe, set, case, graph)?;
    let [float, int8] = qualities(set, case, graph, q.file.as_slice())?;
    Ok(RunMetrics {
        seed: case.seed,
        fold: case.fold,
        examples: case.split.test.len(),
        float: float.value(),
        int8: int8.value(),
        r2: float.r2().zip(int8.r2()).map(|(float, int8)| [float, int8]),
        confidence: None,
        success: None,
    })
}

/// Makes the folder of the model from the first training.
fn lay_out(
    args: &Args,
    model: &GraphModel,
    recipe: &Recipe,
    set: &GraphSet,
    case: &Case,
    repeated: Option<Repeated>,
) -> Result<(Artifact, Vec<ValueError>)> {
    let graph = supervised::load(&case.out).map_err(|e| miette!("{e}"))?;
    if case.out != args.out {
        for file in ["graph.json", "best.safetensors", "history.jsonl"] {
            let bytes =
                std::fs::read(case.out.join(file)).map_err(|e| miette!("{}: {e}", case.out.display()))?;
            write(&args.out.join(file), &bytes)?;
        }
    }
    let q = quantise(args, model, recipe, set, case, &graph)?;
    let weights = Weights::from_graph(&q.graph, &Device::flex());
    let sample = graphs::calibration(&graph, set, &case.split.test[..1]);
    let errors = plan::compare(&q.graph, &weights, &q.ranges, &sample[0]).map_err(|e| miette!("{e}"))?;
    let [float, int8] = qualities(set, case, &graph, q.file.as_slice())?;
    let mut metrics = Metrics::of_graphs(set.classes(), case.split.test.len(), &float, &int8);
    metrics.repeated = repeated;
    let history = history(&args.out);
    let learning = artifact::learning_to_the_end(model.name, &history).map_err(|e| miette!("{e}"))?;
    write_picture(&args.out.join(artifact::LEARNING), &learning)?;
    let mut pictures = vec![(artifact::LEARNING, "learning curves", learning)];
    if let Quality::Classes(counts) = &int8 {
        let matrix = artifact::matrix_of_graphs(model.name, set.classes(), counts);
        pictures.push(("confusion.png", "confusion matrix of the int8 model", matrix));
    }
    let first = if metrics.repeated.is_some() { "The model is the first of them. " } else { "" };
    let numbers = match (&set.answers, graph.meta.target) {
        (Answers::Values { unit, .. }, Some(TargetScaling { mean, std })) => {
            let sign = if mean < 0.0 { '-' } else { '+' };
            format!("The number in {unit} is {std} · output {sign} {}.", mean.abs())
        }
        _ => String::new(),
    };
    let note = format!("{first}{numbers}");
    let mut words =
        format!("int8 by {} over the training examples", args.calibration.name_or(model.calibration));
    match aware_epochs(args, model) {
        0 => words.push('.'),
        epochs => words.push_str(&format!(", then {epochs} epochs of quantisation-aware training.")),
    }
    let measured = Measured {
        file: q.file.as_slice(),
        metrics,
        recipe: &toml::to_string_pretty(recipe).map_err(|e| miette!("{e}"))?,
        quantisation: &words,
        // Resumed or not, the result is the same.
        commands: &[command_line().replace(" --resume", "")],
        compared: &[],
        note: note.trim(),
        held_out: "neither the gradients nor the choice of the weights, those of the last epoch, saw them",
        pictures,
    };
    let dun = args.out.join(format!("{}.dun", model.name));
    let artifact = artifact::lay_out(&dun, measured)
        .map_err(|e| miette!(help = "name a place that can be written", "{e}"))?;
    Ok((artifact, errors))
}

fn print(artifact: &Artifact, errors: &[ValueError]) {
    println!("\n{}\n", losses(errors));
    let m = &artifact.metrics;
    if let Some(repeated) = &m.repeated {
        let fold = |fold: Option<usize>| fold.map_or("-".into(), |f: usize| f.to_string());
        let rows = repeated.runs.iter().map(|r| {
            vec![r.seed.to_string(), fold(r.fold), format!("{:.4}", r.float), format!("{:.4}", r.int8)]
        });
        println!("{}\n", table(&["seed", "fold", "float", "int8"], &[0, 1, 2, 3], rows));
        println!(
            "{:<10} float {}, int8 {} on {}",
            m.metric, repeated.float, repeated.int8, repeated.protocol
        );
        if let Some([float, int8]) = repeated.r2 {
            println!("{:<10} float {float:.4}, int8 {int8:.4}", "R²");
        }
    }
    println!(
        "the model: {} float {:.4}, int8 {:.4} over {} held-out examples",
        m.metric, m.float, m.int8, m.examples
    );
    text::print_size(artifact, " at the bounds");
}
