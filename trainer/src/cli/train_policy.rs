//! `dunlin train` for policies: one training, or the same from several seeds.

use super::text::{command_line, print_size, table};
use super::train::Args;
use super::{finished, print_json, stop, write, write_picture};
use dunlin_trainer::env::{self, ActionSpace};
use dunlin_trainer::eval::policy::{self, FloatPolicy, Int8Policy, Returns};
use dunlin_trainer::exec::{Device, Tensor, TensorData};
use dunlin_trainer::export::{self, Quantised};
use dunlin_trainer::graph::Graph;
use dunlin_trainer::passes;
use dunlin_trainer::quantise::Method;
use dunlin_trainer::report::artifact::{self, Artifact, Measured};
use dunlin_trainer::report::card::Metrics;
use dunlin_trainer::report::episodes;
use dunlin_trainer::report::repeated::{Repeated, RunMetrics};
use dunlin_trainer::train::reinforcement::tabular::{self, TableRecipe};
use dunlin_trainer::train::reinforcement::{self, Outcome, Recipe};
use dunlin_trainer::train::supervised::{self, Options};
use dunlin_trainer::zoo::policies::{PolicyModel, PolicyRecipe};
use miette::{IntoDiagnostic, Result, bail, miette};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Observations that scales are chosen on, unless told otherwise.
const SAMPLES: usize = 2048;
/// Seed of the episodes that they are taken from.
const CALIBRATION_SEED: u64 = 0xCA1;

/// There is no data: what was learned from is code of this project.
const LICENCE: &str = "MIT OR Apache-2.0: learned by acting, from no data of others";

/// Keys of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    out: &'a Path,
    steps: u64,
    seconds: f64,
    interrupted: bool,
    metrics: Option<&'a Metrics>,
}

/// What a training follows.
enum Plan {
    Network(Box<Recipe>),
    Table(TableRecipe),
}

impl Plan {
    fn of(args: &Args, model: &PolicyModel) -> Result<Self> {
        Ok(match model.recipe {
            PolicyRecipe::Network(recipe) => {
                Self::Network(Box::new(args.changes.change_policy(recipe(model.name))?))
            }
            PolicyRecipe::Table(recipe) => Self::Table(args.changes.change_table(recipe(model.name))?),
        })
    }

    /// The seed; planning has none.
    fn seed(&self) -> Option<u64> {
        match self {
            Self::Network(recipe) => Some(recipe.seed),
            Self::Table(recipe) => recipe.seed(),
        }
    }

    fn with_seed(&self, seed: u64) -> Self {
        match self {
            Self::Network(recipe) => Self::Network(Box::new(Recipe { seed, ..(**recipe).clone() })),
            Self::Table(recipe) => Self::Table(recipe.with_seed(seed)),
        }
    }

    fn text(&self) -> Result<String> {
        match self {
            Self::Network(recipe) => toml::to_string_pretty(recipe),
            Self::Table(recipe) => toml::to_string_pretty(recipe),
        }
        .into_diagnostic()
    }

    /// What the curve is drawn over.
    fn length(&self) -> u64 {
        match self {
            Self::Network(recipe) => recipe.steps,
            Self::Table(_) => 0,
        }
    }
}

pub(super) fn main(args: &Args, model: &PolicyModel) -> Result<()> {
    let plan = Plan::of(args, model)?;
    if args.repeat.folds.is_some() || args.calibration.qat.is_some() {
        bail!(
            help = "--seeds N repeats it over seeds",
            "{} learns by acting: there are neither folds nor quantisation-aware epochs",
            model.name
        );
    }
    if plan.seed().is_none() && args.repeat.seeds.is_some() {
        bail!(help = "leave --seeds out", "{} is planned: nothing in it is random", model.name);
    }
    let first = plan.seed().unwrap_or(EPISODES_SEED);
    let seeds: Vec<u64> = (first..).take(args.repeat.seeds.unwrap_or(1) as usize).collect();
    let loud = !args.quiet && !args.json;
    let (mut results, mut runs, mut seconds) = (Vec::new(), Vec::new(), 0.0);
    for &seed in &seeds {
        let plan = plan.with_seed(seed);
        let out = folder(args, seed);
        let episodes = model.episodes as usize;
        let kept = if args.resume { finished::read(&out, &plan.text()?, episodes)? } else { None };
        let result = match kept {
            Some(kept) => kept,
            None => {
                if loud {
                    println!("{}: {}, seed {seed}", model.name, model.environment);
                }
                match &plan {
                    Plan::Table(recipe) => plan_table(model, recipe, &out)?,
                    Plan::Network(recipe) => {
                        let outcome = train(args, model, recipe, &out)?;
                        seconds += outcome.seconds;
                        if outcome.interrupted {
                            return interrupted(args, model, &outcome);
                        }
                    }
                }
                let result = measure(args, model, seed, &out)?.2;
                finished::write_result(&out, &plan.text()?, &result)?;
                result
            }
        };
        runs.push(reinforcement::history(&out));
        results.push(result);
    }
    let repeated = (results.len() > 1)
        .then(|| Repeated::new(format!("{} episodes each, of the same seed", model.episodes), results));
    let artifact = lay_out(args, model, &plan.with_seed(first), &runs, repeated)?;
    if args.json {
        let metrics = Some(&artifact.metrics);
        let steps = plan.length();
        return print_json(&Report {
            model: model.name,
            out: &args.out,
            steps,
            seconds,
            interrupted: false,
            metrics,
        });
    }
    print(&artifact);
    Ok(())
}

/// Seed of the episodes that a policy without a seed is measured on.
const EPISODES_SEED: u64 = 1;

/// Finds the policy of a table, and writes the folder of a run.
fn plan_table(model: &PolicyModel, recipe: &TableRecipe, out: &Path) -> Result<()> {
    let mut graph = model.graph().map_err(|e| miette!("{e}"))?;
    let mut world =
        env::table(model.environment).ok_or_else(|| miette!("{} is no table", model.environment))?;
    let history = tabular::train(&mut graph, &mut *world, recipe);
    graph.meta.recipe.clone_from(&recipe.model);
    supervised::save(out, &graph, &serde_json::json!({ "model": model.name }).to_string())
        .map_err(|e| miette!("{e}"))?;
    let mut lines = String::new();
    for line in &history {
        lines.push_str(&serde_json::to_string(line).into_diagnostic()?);
        lines.push('\n');
    }
    write(&out.join("history.jsonl"), lines.as_bytes())?;
    write(&out.join("recipe.toml"), toml::to_string_pretty(recipe).into_diagnostic()?.as_bytes())
}

/// Where the training of a seed is.
fn folder(args: &Args, seed: u64) -> PathBuf {
    match args.repeat.seeds {
        None => args.out.clone(),
        Some(_) => args.out.join("runs").join(format!("seed{seed}")),
    }
}

fn train(args: &Args, model: &PolicyModel, recipe: &Recipe, out: &Path) -> Result<Outcome> {
    let mut graph = model.graph().map_err(|e| miette!("{e}"))?;
    let options = Options {
        out,
        resume: args.resume,
        keep_weights: false,
        stop: stop::flag(),
        quiet: args.quiet || args.json,
        tap: None,
    };
    reinforcement::learn(&mut graph, recipe, &|| model.env(), &options).map_err(|e| {
        miette!(help = "--out names the folder of the run; --help lists what can be changed", "{e}")
    })
}

fn interrupted(args: &Args, model: &PolicyModel, outcome: &Outcome) -> Result<()> {
    if args.json {
        return print_json(&Report {
            model: model.name,
            out: &args.out,
            steps: outcome.steps,
            seconds: outcome.seconds,
            interrupted: true,
            metrics: None,
        });
    }
    bail!(
        help = "the same command with --resume continues; what is finished is kept",
        "stopped after {} steps",
        outcome.steps
    )
}

/// Quantises the policy of a finished training, with scales for what it sees when it plays.
fn quantise(args: &Args, model: &PolicyModel, graph: &Graph) -> Result<Quantised> {
    let count = args.calibration.samples.map_or(SAMPLES, |n| n as usize);
    let make = || model.env();
    let seen = policy::observations(&make, &mut FloatPolicy::new(graph), count, CALIBRATION_SEED)
        .map_err(|e| miette!("{e}"))?;
    let values = graph.inputs.iter().copied().chain(graph.states.iter().map(|state| state.read));
    let tensor = |(rows, value): (Vec<f32>, _)| {
        let s = graph.shape(value);
        let dims = [rows.len() / s.elements(), s.h as usize, s.w as usize, s.c as usize];
        Tensor::<4>::from_data(TensorData::new(rows, dims), &Device::flex())
    };
    let batch = seen.into_iter().zip(values).map(tensor).collect();
    let method = args.calibration.method_or(Method::MinMax)?;
    let mut graph = graph.clone();
    graph.meta.data_licence = LICENCE.into();
    let quantise = match model.env().action_space() {
        // Only which action has the largest score matters.
        ActionSpace::Discrete(_) => {
            passes::centre_scores(&mut graph);
            export::post_training_of_choices
        }
        ActionSpace::Continuous(_) => export::post_training_on,
    };
    quantise(&graph, &[batch], method, &export::Options::default())
        .map_err(|e| miette!(help = "--observer chooses another calibration", "{e}"))
}

/// What the policy in `out` earns, in float and in int8, on the episodes of `seed`.
fn measure(
    args: &Args,
    model: &PolicyModel,
    seed: u64,
    out: &Path,
) -> Result<(Quantised, [Returns; 2], RunMetrics)> {
    let graph = supervised::load(out).map_err(|e| miette!("{e}"))?;
    let q = quantise(args, model, &graph)?;
    let episodes = u64::from(model.episodes);
    let make = || model.env();
    let float = policy::measure(&make, &|| Ok(FloatPolicy::new(&graph)), episodes, seed)
        .map_err(|e| miette!("{e}"))?;
    let file = q.file.as_slice();
    let int8 =
        policy::measure(&make, &|| Int8Policy::new(file), episodes, seed).map_err(|e| miette!("{e}"))?;
    let success = float.success().zip(int8.success());
    let result = RunMetrics {
        seed,
        fold: None,
        examples: episodes as usize,
        float: float.mean(),
        int8: int8.mean(),
        r2: None,
        confidence: Some([float.confidence(), int8.confidence()]),
        success: success.map(|(float, int8)| [float, int8]),
    };
    Ok((q, [float, int8], result))
}

/// Makes the folder of the model from the first training.
fn lay_out(
    args: &Args,
    model: &PolicyModel,
    plan: &Plan,
    runs: &[Vec<reinforcement::History>],
    repeated: Option<Repeated>,
) -> Result<Artifact> {
    let seed = plan.seed().unwrap_or(EPISODES_SEED);
    let first = folder(args, seed);
    if first != args.out {
        for file in ["graph.json", "best.safetensors", "history.jsonl"] {
            let bytes = std::fs::read(first.join(file)).map_err(|e| miette!("{}: {e}", first.display()))?;
            write(&args.out.join(file), &bytes)?;
        }
    }
    let (q, [float, int8], _) = measure(args, model, seed, &first)?;
    let mut metrics = Metrics::of_policy(&float, &int8);
    metrics.repeated = repeated;
    let count = runs.len();
    let title = match count {
        1 => format!("{}, seed {seed}", model.name),
        _ => format!("{}, {count} seeds: mean and 95 % confidence interval", model.name),
    };
    let learning = episodes::learning(&title, runs, model.bar).map_err(|e| miette!("{e}"))?;
    write_picture(&args.out.join(artifact::LEARNING), &learning)?;
    let measured = Measured {
        file: q.file.as_slice(),
        metrics,
        recipe: &plan.text()?,
        quantisation: &format!(
            "int8 by {} over what the policy sees in episodes of its own.",
            args.calibration.name_or(Method::MinMax)
        ),
        commands: &[
            command_line().replace(" --resume", ""),
            format!("dunlin eval {0}.dun --episodes {1} --seed {seed}", model.name, model.episodes),
        ],
        compared: &[],
        note: &note(model, count),
        held_out: "neither the training nor the choice of its weights saw them",
        pictures: vec![(artifact::LEARNING, "learning curve", learning)],
    };
    let dun = args.out.join(format!("{}.dun", model.name));
    artifact::lay_out(&dun, measured).map_err(|e| miette!(help = "name a place that can be written", "{e}"))
}

/// What the card says of the network's input and output.
fn note(model: &PolicyModel, runs: usize) -> String {
    let env = model.env();
    let n = env.normalisation();
    let first = if runs > 1 { "The model is the first of them. " } else { "" };
    let input = if n.centre == [0.0] && n.spread == [1.0] {
        "The network sees observations as they are.".into()
    } else {
        format!("The network sees (observation − {:?}) / {:?}, element by element.", n.centre, n.spread)
    };
    let output = match env.action_space() {
        ActionSpace::Discrete(n) => {
            format!("Its output of {n} scores stands for the action with the largest.")
        }
        ActionSpace::Continuous(bounds) => format!("Its output is the action, cut at ±{bounds:?}."),
    };
    format!("{first}Environment: {}. {input} {output}", env.name())
}

fn print(artifact: &Artifact) {
    let m = &artifact.metrics;
    let spread = |value: f64, c: Option<[f64; 2]>, i: usize| match c {
        Some(c) => format!("{value:.2} ± {:.2}", c[i]),
        None => format!("{value:.2}"),
    };
    println!();
    if let Some(repeated) = &m.repeated {
        let rows = repeated.runs.iter().map(|r| {
            let goal = |i: usize| r.success.map_or("-".into(), |s| format!("{:.0} %", 100.0 * s[i]));
            vec![
                r.seed.to_string(),
                spread(r.float, r.confidence, 0),
                spread(r.int8, r.confidence, 1),
                goal(0),
                goal(1),
            ]
        });
        let head = ["seed", "float", "int8", "goal, float", "goal, int8"];
        println!("{}\n", table(&head, &[0, 1, 2, 3, 4], rows));
    }
    println!(
        "the model: {} float {}, int8 {} over {} episodes",
        m.metric,
        spread(m.float, m.confidence, 0),
        spread(m.int8, m.confidence, 1),
        m.examples
    );
    print_size(artifact, "");
}
