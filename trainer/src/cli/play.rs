//! `dunlin play`: an episode of a policy, in the terminal or as a picture.

use super::dun::DunFile;
use super::{make_folder_of, print_json, stop};
use dunlin_trainer::env::Action;
use dunlin_trainer::eval::policy::{Int8Policy, Policy, choose, episode_seed};
use dunlin_trainer::report::episodes;
use dunlin_trainer::zoo::policies;
use image::RgbImage;
use miette::{Result, bail, miette};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Show an episode of an int8 policy, as the runtime runs it, in the terminal or as a GIF.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin play models/breakout-dqn/breakout-dqn.dun
  dunlin play models/walker-ppo/walker-ppo.dun --seed 7 --gif walk.gif")]
pub(super) struct Args {
    /// The policy.
    model: PathBuf,
    /// Which episode.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write it as an animated picture instead.
    #[arg(long, value_name = "GIF")]
    gif: Option<PathBuf>,
    /// Steps a second.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    speed: u32,
    /// Show every N-th step only.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// End after N steps.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Print the actions and the return as JSON instead.
    #[arg(long, conflicts_with = "gif")]
    json: bool,
}

/// Keys of `--json`.
#[derive(Default, Serialize)]
struct Report {
    model: String,
    environment: String,
    seed: u64,
    steps: u64,
    total: f64,
    terminated: bool,
    truncated: bool,
    success: Option<bool>,
    /// Indices of the actions, or their numbers.
    actions: Vec<Vec<f32>>,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let file = DunFile::read(&args.model)?;
    let mut storage = DunFile::storage();
    let name = file.parse(&mut storage)?.metadata().map_or("", |m| m.name).to_string();
    let Some(model) = policies::find(&name) else {
        bail!(
            help = "name a policy, such as models/cartpole-ppo/cartpole-ppo.dun",
            "{}: `{name}` does not act in an environment",
            args.model.display()
        );
    };
    let mut frames: Vec<RgbImage> = Vec::new();
    let mut out = std::io::stdout();
    let live = !args.json && args.gif.is_none();
    let terminal = live && out.is_terminal();
    let mut failed = Ok(());
    let report = episode(&file, model, args, |env, step, total| {
        if !step.is_multiple_of(u64::from(args.every)) {
            return;
        }
        if args.gif.is_some() {
            frames.push(env.picture());
        } else if terminal {
            // Cursor to the upper left corner, and nothing left over of the frame before.
            let text = format!("\x1b[H\x1b[J{}\nstep {step}, return {total:.2}", env.text());
            failed = writeln!(out, "{text}").and_then(|()| out.flush());
            std::thread::sleep(Duration::from_secs(1) / args.speed);
        }
        if live && !terminal {
            failed = writeln!(out, "{}\nstep {step}, return {total:.2}\n", env.text());
        }
    })?;
    failed.map_err(|e| miette!("the terminal: {e}"))?;
    if args.json {
        return print_json(&report);
    }
    if let Some(path) = &args.gif {
        write_gif(path, frames, args.speed)?;
        println!("wrote {}", path.display());
    }
    let how = match (report.success, report.terminated, report.truncated) {
        (Some(true), ..) => "reached its goal",
        (Some(false), ..) => "did not reach its goal",
        (None, true, _) => "ended",
        (None, _, true) => "came to the time limit",
        _ => "was stopped",
    };
    println!("{name}, seed {}: return {:.2} after {} steps; it {how}", args.seed, report.total, report.steps);
    Ok(())
}

fn write_gif(path: &Path, frames: Vec<RgbImage>, speed: u32) -> Result<()> {
    let fail = |e: &dyn std::fmt::Display| {
        miette!(help = "name a .gif file in a folder that can be written", "{}: {e}", path.display())
    };
    make_folder_of(path)?;
    let file = std::fs::File::create(path).map_err(|e| fail(&e))?;
    let delay = (100 / speed).max(1) as u16;
    episodes::film(frames, delay, std::io::BufWriter::new(file), || {}).map_err(|e| fail(&e))
}

/// Plays one episode; `show` sees the environment before the first step and after each, with its number and the return.
fn episode(
    file: &DunFile,
    model: &policies::PolicyModel,
    args: &Args,
    mut show: impl FnMut(&dyn dunlin_trainer::env::Env, u64, f64),
) -> Result<Report> {
    let mut env = model.env();
    let mut policy = Int8Policy::new(file.bytes()).map_err(|e| miette!("{}: {e}", file.path.display()))?;
    let (space, normalisation) = (env.action_space(), env.normalisation());
    let mut seen = vec![0.0; env.observation_space().len()];
    env.reset(episode_seed(args.seed, 0), &mut seen);
    policy.begin(1).map_err(|e| miette!("{e}"))?;
    let mut report = Report {
        model: model.name.into(),
        environment: model.environment.into(),
        seed: args.seed,
        ..Report::default()
    };
    show(&*env, 0, 0.0);
    let stop = stop::flag();
    while report.steps < args.steps.unwrap_or(u64::MAX) && !stop.load(Ordering::Relaxed) {
        normalisation.apply(&mut seen);
        let outputs = policy
            .outputs(&[0], &seen)
            .map_err(|e| miette!(help = "name a policy of this version", "{}: {e}", file.path.display()))?;
        let action = choose(&space, &outputs);
        report.actions.push(match action {
            Action::Discrete(index) => vec![index as f32],
            Action::Continuous(numbers) => numbers.to_vec(),
        });
        let step = env.step(action, &mut seen);
        report.steps += 1;
        report.total += step.reward;
        show(&*env, report.steps, report.total);
        if step.done() {
            (report.terminated, report.truncated) = (step.terminated, step.truncated);
            report.success = env.succeeded();
            break;
        }
    }
    Ok(report)
}
