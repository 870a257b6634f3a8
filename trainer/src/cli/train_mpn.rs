//! `dunlin train mpn-mot15`: the tracker's network, and what it is worth on sequences that it has not seen.

use super::text::{self, command_line, table};
use super::train::{Args, history};
use super::{print_json, stop, write, write_picture};
use dunlin_trainer::data::mot::{self, Sequence};
use dunlin_trainer::eval::tracking::{Metrics, Summary};
use dunlin_trainer::report::artifact::{self, Artifact, Measured};
use dunlin_trainer::report::card;
use dunlin_trainer::track::mpn::{MpnParams, Solver, track};
use dunlin_trainer::train::supervised::{History, Options};
use dunlin_trainer::train::tracking::Rounds;
use dunlin_trainer::train::tracking::folds::{self, Trained};
use dunlin_trainer::zoo::mpn::{self, Sizes};
use miette::{Result, bail, miette};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Licence of MOT15's annotations and detections.
const LICENCE: &str = "MOTChallenge 2015: CC BY-NC-SA 3.0 (non-commercial); detections of abewley/sort";
/// File with the figures of every sequence and seed.
const TRACKING: &str = "tracking.json";

/// A network's figures: by sequence, and overall.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    sequences: BTreeMap<String, Summary>,
    overall: Summary,
}

/// A seed: each sequence tracked by a network that was trained on the others.
#[derive(Clone, Debug, Serialize)]
struct LeftOut {
    seed: u64,
    float: Figures,
    int8: Figures,
}

/// Keys of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    out: &'a Path,
    seconds: f64,
    interrupted: bool,
    leave_one_out: &'a [LeftOut],
}

pub(super) fn main(args: &Args) -> Result<()> {
    let mut rounds = mpn::rounds();
    if args.changes.epochs.is_some() || args.repeat.folds.is_some() {
        bail!(
            help = "--seeds N also measures it, each sequence by a network that was trained on the others",
            "{} is trained in rounds, which --epochs and --folds do not change",
            mpn::NAME
        );
    }
    rounds.recipe = args.changes.change(rounds.recipe)?;
    let sequences = read(args)?;
    let mut seconds = 0.0;
    let mut left_out = Vec::new();
    for seed in (rounds.recipe.seed..).take(args.repeat.seeds.unwrap_or(0) as usize) {
        let mut rounds = rounds.clone();
        rounds.recipe.seed = seed;
        let mut parts: [Vec<(String, Metrics)>; 2] = Default::default();
        for held in 0..sequences.len() {
            let name = &sequences[held].info.name;
            let training: Vec<&Sequence> =
                sequences.iter().enumerate().filter(|(i, _)| *i != held).map(|(_, s)| s).collect();
            let folder = args.out.join("runs").join(format!("seed{seed}")).join(name);
            if !args.quiet && !args.json {
                println!("seed {seed}, without {name}");
            }
            let Some((trained, file)) = train(args, &rounds, &training, &folder, &mut seconds)? else {
                return interrupted(args, seconds, &left_out);
            };
            if left_out.is_empty() {
                write(&args.out.join("folds").join(format!("{name}.dun")), &file)?;
                let weights = std::fs::read(folder.join("best.safetensors")).map_err(|e| miette!("{e}"))?;
                write(&args.out.join("folds").join(format!("{name}.safetensors")), &weights)?;
            }
            let solvers = [Solver::Float(Box::new(trained.graph)), Solver::Int8(file)];
            for (part, solver) in parts.iter_mut().zip(&solvers) {
                part.push((name.clone(), measure(solver, &sequences[held])?));
            }
        }
        let [float, int8] = parts.map(|part| figures(&part));
        left_out.push(LeftOut { seed, float, int8 });
    }
    let all: Vec<&Sequence> = sequences.iter().collect();
    let Some((_, file)) = train(args, &rounds, &all, &args.out, &mut seconds)? else {
        return interrupted(args, seconds, &left_out);
    };
    let artifact = lay_out(args, &rounds, &sequences, &file, &left_out)?;
    if args.json {
        return print_json(&Report {
            model: mpn::NAME,
            out: &args.out,
            seconds,
            interrupted: false,
            leave_one_out: &left_out,
        });
    }
    print(&artifact, &left_out);
    Ok(())
}

fn read(args: &Args) -> Result<Vec<Sequence>> {
    let help = "name the folder that holds mot15/, or a folder of MOTChallenge sequences with gt/gt.txt";
    let Some(root) = args.data.root()? else {
        bail!(help = help, "{} learns from sequences, of which there are none here", mpn::NAME);
    };
    let below = root.join("mot15");
    let folder = if below.is_dir() { below } else { root };
    let sequences = mot::read(&folder, mot::DETECTIONS).map_err(|e| miette!(help = help, "{e}"))?;
    if let Some(bare) = sequences.iter().find(|s| s.truth.is_none()) {
        bail!(help = help, "{} has no gt/gt.txt", bare.info.name);
    }
    if sequences.len() < 2 && args.repeat.seeds.is_some() {
        bail!(help = help, "--seeds measures on sequences that are left out, and there is only one");
    }
    Ok(sequences)
}

/// Trains in `folder`; `None` where it was interrupted.
fn train(
    args: &Args,
    rounds: &Rounds,
    sequences: &[&Sequence],
    folder: &Path,
    seconds: &mut f64,
) -> Result<Option<(Trained, Vec<u8>)>> {
    let mut net = mpn::network(Sizes::default()).map_err(|e| miette!("{e}"))?;
    net.graph.meta.data_licence = LICENCE.into();
    net.graph.meta.recipe = mpn::NAME.into();
    let options = Options {
        out: folder,
        resume: args.resume,
        keep_weights: false,
        stop: stop::flag(),
        quiet: args.quiet || args.json || args.repeat.seeds.is_some(),
        tap: None,
    };
    let trained = folds::train(net, rounds, sequences, &options).map_err(|e| {
        miette!(help = "--out names the folder of the run; --help lists what can be changed", "{e}")
    })?;
    *seconds += trained.outcome.seconds;
    let file = trained.quantised.as_ref().map(|q| q.file.as_slice().to_vec());
    Ok(file.map(|file| (trained, file)))
}

fn interrupted(args: &Args, seconds: f64, left_out: &[LeftOut]) -> Result<()> {
    if args.json {
        let (model, out) = (mpn::NAME, args.out.as_path());
        return print_json(&Report { model, out, seconds, interrupted: true, leave_one_out: left_out });
    }
    bail!(
        help = "the same command with --resume continues; rounds that are finished are kept",
        "stopped after {seconds:.0} seconds of training"
    )
}

/// Metrics of the tracker with this network on a sequence.
fn measure(solver: &Solver, sequence: &Sequence) -> Result<Metrics> {
    let rows = track(solver, &MpnParams::default(), sequence).map_err(|e| miette!("{e}"))?;
    let truth = sequence.truth.as_deref().unwrap_or_default();
    Metrics::of(&sequence.info.name, sequence.info.frames, truth, &rows).map_err(|e| miette!("{e}"))
}

fn figures(parts: &[(String, Metrics)]) -> Figures {
    Figures {
        sequences: parts.iter().map(|(name, m)| (name.clone(), m.summary())).collect(),
        overall: parts.iter().map(|(_, m)| m).sum::<Metrics>().summary(),
    }
}

/// The epochs of all rounds, one after the other.
fn all_rounds(folder: &Path, rounds: usize) -> Vec<History> {
    let mut all: Vec<History> = Vec::new();
    for round in 0..rounds {
        let before = all.len();
        all.extend(history(&folder.join(format!("round{round}"))));
        all[before..].iter_mut().enumerate().for_each(|(i, h)| h.epoch = before + i + 1);
    }
    all
}

fn lay_out(
    args: &Args,
    rounds: &Rounds,
    sequences: &[Sequence],
    file: &[u8],
    left_out: &[LeftOut],
) -> Result<Artifact> {
    let learning = artifact::learning_to_the_end(mpn::NAME, &all_rounds(&args.out, rounds.epochs.len()));
    let learning = learning.map_err(|e| miette!("{e}"))?;
    write_picture(&args.out.join(artifact::LEARNING), &learning)?;
    let frames = sequences.iter().map(|s| s.info.frames).sum();
    let mean = |of: fn(&LeftOut) -> f64| left_out.iter().map(of).sum::<f64>() / left_out.len().max(1) as f64;
    let (float, int8) = (mean(|l| l.float.overall.mota), mean(|l| l.int8.overall.mota));
    let metrics = card::Metrics::plain("MOTA", frames, float, int8);
    if !left_out.is_empty() {
        let json = serde_json::to_string_pretty(left_out).map_err(|e| miette!("{e}"))?;
        write(&args.out.join(TRACKING), json.as_bytes())?;
    }
    let measured = Measured {
        file,
        metrics,
        recipe: &toml::to_string_pretty(rounds).map_err(|e| miette!("{e}"))?,
        quantisation: "int8 by smallest and largest value over the graphs that the tracker meets on the training sequences.",
        commands: &[command_line()],
        compared: &[],
        note: &note(left_out),
        held_out: "each was tracked by a network that was trained on the other sequences; the model itself was trained on all",
        pictures: vec![(artifact::LEARNING, "learning curve", learning)],
    };
    let dun = args.out.join(format!("{}.dun", mpn::NAME));
    artifact::lay_out(&dun, measured).map_err(|e| miette!(help = "name a place that can be written", "{e}"))
}

/// The table of the card.
fn note(left_out: &[LeftOut]) -> String {
    let mut s = String::new();
    if left_out.is_empty() {
        return "It was not measured on sequences that were left out: `--seeds N` does.".into();
    }
    let _ = writeln!(
        s,
        "MOTA / IDF1 / HOTA in percent with a latency of {} frames; each sequence by a network trained on the others, and overall:\n",
        MpnParams::default().latency
    );
    let names: Vec<&String> = left_out[0].int8.sequences.keys().collect();
    let _ = writeln!(
        s,
        "| seed | | {} | overall | IDSW | FP | FN |",
        names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(" | ")
    );
    let _ = writeln!(s, "|---:|---|{}", "---:|".repeat(names.len() + 4));
    let cell = |m: &Summary| format!("{:.1} / {:.1} / {:.1}", m.mota, m.idf1, m.hota);
    for l in left_out {
        for (kind, figures) in [("float", &l.float), ("int8", &l.int8)] {
            let cells: Vec<String> = figures.sequences.values().map(cell).collect();
            let o = &figures.overall;
            let _ = writeln!(
                s,
                "| {} | {kind} | {} | {} | {} | {} | {} |",
                l.seed,
                cells.join(" | "),
                cell(o),
                o.idsw,
                o.fp,
                o.fn_
            );
        }
    }
    let _ = writeln!(
        s,
        "\nThe networks of the first seed are in `folds/`. Settings: `dunlin track --tracker mpn`'s own."
    );
    s
}

fn print(artifact: &Artifact, left_out: &[LeftOut]) {
    let rows = left_out.iter().flat_map(|l| {
        [("float", &l.float.overall), ("int8", &l.int8.overall)].map(|(kind, o)| {
            let percent = [o.mota, o.idf1, o.hota].map(|p| format!("{p:.1}"));
            [l.seed.to_string(), kind.into()].into_iter().chain(percent).collect::<Vec<_>>()
        })
    });
    if !left_out.is_empty() {
        println!("{}\n", table(&["seed", "", "MOTA", "IDF1", "HOTA"], &[0, 2, 3, 4], rows));
    }
    text::print_size(artifact, " at the bounds");
}
