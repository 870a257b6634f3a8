//! `dunlin track`: tracks through the detections of MOTChallenge sequences.

use super::text::table;
use super::track_board::{self, OnBoard};
use super::{print_json, stop, write};
use clap::ValueEnum;
use dunlin_trainer::data::mot::{self, Row, Sequence};
use dunlin_trainer::eval::tracking::{Metrics, Summary};
use dunlin_trainer::report::tracks::{Cut, Film};
use dunlin_trainer::track::mpn::{Mpn, Solver};
use dunlin_trainer::track::tune::Tuner;
use dunlin_trainer::track::{Scene, Settings, Tracker};
use dunlin_trainer::train::supervised::Options;
use dunlin_trainer::train::tracking::folds;
use dunlin_trainer::zoo::mpn::{self, Sizes};
use indicatif::{ProgressBar, ProgressStyle};
use miette::{Result, bail, miette};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Frames a second that a picture has unless --draw-every says otherwise.
const PACE: f64 = 10.0;

/// Follow people through the detections of MOTChallenge sequences, and measure it where there is ground truth.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin track ../shared/data/mot15 --tracker flow
  dunlin track MOT15/train/TUD-Campus --board mps3-an547
  dunlin track MOT15/train/TUD-Campus --tracker sort --out results --draw campus.gif
  dunlin track ../shared/data/mot15 --tracker social --leave-one-out --json | jq .overall.mota")]
pub(super) struct Args {
    /// A sequence (a folder with seqinfo.ini and det/det.txt), or a folder of sequences.
    path: PathBuf,
    /// The tracker.
    #[arg(long, value_enum, default_value_t = Kind::Mpn)]
    tracker: Kind,
    /// Parameters of the tracker in this TOML file; docs/tracking.md lists them. Those it leaves out keep their defaults.
    #[arg(long, value_name = "TOML", conflicts_with = "leave_one_out")]
    settings: Option<PathBuf>,
    /// Network of the message passing tracker, a .dun file [default: the one of models/mpn-mot15].
    #[arg(long, value_name = "DUN", conflicts_with = "leave_one_out")]
    model: Option<PathBuf>,
    /// Track on this emulated board, compare its rows with the host's, and print what it takes; for --tracker mpn.
    #[arg(long, value_name = "BOARD", value_parser = track_board::boards())]
    board: Option<String>,
    /// Track each sequence with what is learnt from all others: parameters, and the message passing network, which takes
    /// minutes.
    #[arg(long)]
    leave_one_out: bool,
    /// File of the detections in a sequence's folder.
    #[arg(long, value_name = "FILE", default_value = mot::DETECTIONS)]
    detections: String,
    /// Write results in the MOTChallenge's form here, a file per sequence.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Draw an animation; with several sequences, one each, with the sequence's name before the ending.
    #[arg(long, value_name = "GIF")]
    draw: Option<PathBuf>,
    /// First frame of the animation.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "draw", value_parser = clap::value_parser!(u32).range(1..))]
    draw_from: u32,
    /// Draw every N-th frame [default: about ten frames a second].
    #[arg(long, value_name = "N", requires = "draw", value_parser = clap::value_parser!(u32).range(1..))]
    draw_every: Option<u32>,
    /// Draw at most N frames.
    #[arg(long, value_name = "N", default_value_t = 200, requires = "draw", value_parser = clap::value_parser!(u32).range(1..))]
    draw_frames: u32,
    /// Largest width of the animation in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 640, requires = "draw", value_parser = clap::value_parser!(u32).range(16..=4096))]
    draw_width: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Kalman filter and assignment, frame by frame.
    Sort,
    /// Minimum-cost flow through all detections.
    Flow,
    /// The same with social forces and groups.
    Social,
    /// Message passing network in a sliding window, as it runs on a device.
    Mpn,
}

impl Kind {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
    }

    fn defaults(self) -> Settings {
        match self {
            Self::Sort => Settings::Sort(Default::default()),
            Self::Flow => Settings::Flow(Default::default()),
            Self::Social => Settings::Social(Default::default()),
            Self::Mpn => Settings::Mpn(Default::default()),
        }
    }

    fn read(self, path: &Path) -> Result<Settings> {
        let help = "docs/tracking.md lists the parameters of each tracker";
        let text =
            std::fs::read_to_string(path).map_err(|e| miette!(help = help, "{}: {e}", path.display()))?;
        let settings = match self {
            Self::Sort => toml::from_str(&text).map(Settings::Sort),
            Self::Flow => toml::from_str(&text).map(Settings::Flow),
            Self::Social => toml::from_str(&text).map(Settings::Social),
            Self::Mpn => toml::from_str(&text).map(Settings::Mpn),
        };
        settings.map_err(|e| miette!(help = help, "{}: {e}", path.display()))
    }
}

/// Keys of `--json`.
#[derive(Serialize)]
struct Report {
    tracker: String,
    /// Frames for which a row may be held back; null where it may be the whole sequence.
    latency: Option<usize>,
    sequences: BTreeMap<String, Tracked>,
    /// Of all sequences with ground truth; null where there is none.
    overall: Option<Summary>,
}

#[derive(Serialize)]
struct Tracked {
    frames: usize,
    detections: usize,
    /// Rows of detections that were no boxes.
    dropped: usize,
    rows: usize,
    tracks: usize,
    seconds: f64,
    settings: Settings,
    /// What a board took, where one did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    board: Option<OnBoard>,
    /// Absent without ground truth.
    #[serde(flatten)]
    metrics: Option<Summary>,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let sequences = mot::read(&args.path, &args.detections).map_err(|e| {
        miette!(
            help = "name a MOTChallenge sequence, or a folder of them; docs/tracking.md has the form",
            "{e}"
        )
    })?;
    check_names(&sequences)?;
    let ways = ways(args, &sequences)?;
    let mut written = Vec::new();
    let mut all = Vec::new();
    let mut report =
        Report { tracker: args.tracker.name(), latency: None, sequences: BTreeMap::new(), overall: None };
    let bar = bar("tracking", sequences.len() as u64);
    for (sequence, Way { settings, solver }) in sequences.iter().zip(ways) {
        bar.set_message(sequence.info.name.clone());
        let mut tracker = tracker(&settings, solver.as_ref(), Scene::from(&sequence.info))?;
        report.latency = tracker.latency();
        let started = Instant::now();
        let on_board =
            args.board.as_deref().map(|b| track_board::run(b, &settings, solver.as_ref(), sequence));
        let (rows, board) = match on_board.transpose()? {
            Some((rows, board)) => (rows, Some(board)),
            None => (dunlin_trainer::track::run(&mut *tracker, &sequence.detections), None),
        };
        let seconds = started.elapsed().as_secs_f64();
        let metrics = metrics(sequence, &rows)?;
        if let Some(folder) = &args.out {
            let path = folder.join(format!("{}.txt", sequence.info.name));
            write(&path, mot::results(&rows).as_bytes())?;
            written.push(path);
        }
        if let Some(path) = &args.draw {
            let path = if sequences.len() > 1 { named(path, &sequence.info.name) } else { path.clone() };
            draw(args, sequence, &rows, &path)?;
            written.push(path);
        }
        let tracked = Tracked {
            frames: sequence.info.frames,
            detections: sequence.detections.iter().map(Vec::len).sum(),
            dropped: sequence.dropped,
            rows: rows.len(),
            tracks: rows.iter().map(|row| row.id).collect::<BTreeSet<_>>().len(),
            seconds,
            settings,
            board,
            metrics: metrics.as_ref().map(Metrics::summary),
        };
        report.sequences.insert(sequence.info.name.clone(), tracked);
        all.extend(metrics);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !all.is_empty() {
        report.overall = Some(all.iter().sum::<Metrics>().summary());
    }
    if args.json {
        return print_json(&report);
    }
    print(&report, args.leave_one_out)?;
    written.iter().for_each(|path| println!("wrote {}", path.display()));
    Ok(())
}

/// Results are told apart by the sequences' names, which are also names of files.
fn check_names(sequences: &[Sequence]) -> Result<()> {
    let mut names = BTreeSet::new();
    for Sequence { info, .. } in sequences {
        let help = "give each seqinfo.ini a name of its own, without slashes";
        if info.name.is_empty() || info.name.contains(['/', '\\']) {
            bail!(help = help, "a sequence's name is `{}`, which cannot be that of a file", info.name);
        }
        if !names.insert(&info.name) {
            bail!(help = help, "two sequences have the name {}", info.name);
        }
    }
    Ok(())
}

/// How a sequence is tracked.
#[derive(Clone)]
struct Way {
    settings: Settings,
    /// Network of the message passing tracker, where it is not the built-in one.
    solver: Option<Solver>,
}

fn tracker(settings: &Settings, solver: Option<&Solver>, scene: Scene) -> Result<Box<dyn Tracker>> {
    Ok(match (settings, solver) {
        (Settings::Mpn(params), Some(solver)) => {
            let mpn = Mpn::new(solver, params.settings(scene));
            Box::new(mpn.map_err(|e| miette!(help = "--model names a tracker's .dun file", "{e}"))?)
        }
        _ => settings.tracker(scene),
    })
}

/// How each sequence is tracked.
fn ways(args: &Args, sequences: &[Sequence]) -> Result<Vec<Way>> {
    let solver = match &args.model {
        Some(_) if !matches!(args.tracker, Kind::Mpn) => {
            bail!(help = "leave it out, or use --tracker mpn", "--model is for the message passing tracker")
        }
        Some(path) => Some(Solver::Int8(
            std::fs::read(path)
                .map_err(|e| miette!(help = "name the .dun file of a tracker", "{}: {e}", path.display()))?,
        )),
        None => None,
    };
    let settings = settings(args, sequences)?;
    if matches!(args.tracker, Kind::Mpn) && args.leave_one_out {
        return left_out(sequences);
    }
    Ok(settings.into_iter().map(|settings| Way { settings, solver: solver.clone() }).collect())
}

/// A network for each sequence, trained on all others.
fn left_out(sequences: &[Sequence]) -> Result<Vec<Way>> {
    let bar = bar("training", sequences.len() as u64);
    let folder = std::env::temp_dir().join(format!("dunlin-track-{}", std::process::id()));
    let mut ways = Vec::new();
    for held in sequences {
        bar.set_message(format!("without {}", held.info.name));
        let others: Vec<&Sequence> = sequences.iter().filter(|s| s.info.name != held.info.name).collect();
        let out = folder.join(&held.info.name);
        let options = Options {
            out: &out,
            resume: false,
            keep_weights: false,
            stop: stop::flag(),
            quiet: true,
            tap: None,
        };
        let net = mpn::network(Sizes::default()).map_err(|e| miette!("{e}"))?;
        let trained = folds::train(net, &mpn::rounds(), &others, &options);
        let trained = trained.map_err(|e| {
            miette!(help = "TMPDIR names the folder in which the networks are trained", "{e}")
        })?;
        let Some(quantised) = trained.quantised else {
            let _ = std::fs::remove_dir_all(&folder);
            bail!(help = "the command begins anew", "stopped");
        };
        let solver = Some(Solver::Int8(quantised.file.as_slice().to_vec()));
        ways.push(Way { settings: Settings::Mpn(Default::default()), solver });
        bar.inc(1);
    }
    bar.finish_and_clear();
    // Nothing there is needed any more, and what cannot be removed does no harm.
    let _ = std::fs::remove_dir_all(&folder);
    Ok(ways)
}

/// Settings of each sequence.
fn settings(args: &Args, sequences: &[Sequence]) -> Result<Vec<Settings>> {
    let defaults = args.tracker.defaults();
    if !args.leave_one_out {
        let settings = args.settings.as_deref().map_or(Ok(defaults), |path| args.tracker.read(path))?;
        return Ok(vec![settings; sequences.len()]);
    }
    let help = "name a folder of two or more sequences with gt/gt.txt";
    if sequences.len() < 2 {
        bail!(help = help, "--leave-one-out tunes on the other sequences, and there is only one");
    }
    if let Some(bare) = sequences.iter().find(|s| s.truth.is_none()) {
        bail!(help = help, "--leave-one-out tunes on ground truth, which {} does not have", bare.info.name);
    }
    if matches!(args.tracker, Kind::Mpn) {
        return Ok(vec![defaults; sequences.len()]);
    }
    let bar = ProgressBar::new_spinner().with_prefix("tuning");
    bar.set_style(style("{prefix} {spinner} {msg}"));
    let mut tuner =
        Tuner::new(sequences, |measured| bar.set_message(format!("{measured} settings measured")));
    let found = tuner.leave_one_out(&defaults).map_err(bad_class)?;
    drop(tuner);
    bar.finish_and_clear();
    Ok(found)
}

fn metrics(sequence: &Sequence, rows: &[Row]) -> Result<Option<Metrics>> {
    let Some(truth) = &sequence.truth else { return Ok(None) };
    Metrics::of(&sequence.info.name, sequence.info.frames, truth, rows).map(Some).map_err(bad_class)
}

fn bad_class(error: dunlin_trainer::eval::tracking::BadClass) -> miette::Report {
    miette!(help = "the eighth of nine columns of gt/gt.txt is the class", "{error}")
}

/// `path` with the sequence's name before its ending.
fn named(path: &Path, name: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{name}.gif"))
}

fn draw(args: &Args, sequence: &Sequence, rows: &[Row], path: &Path) -> Result<()> {
    let info = &sequence.info;
    let natural = (info.frame_rate / PACE).round().max(1.0) as usize;
    let cut = Cut {
        first: args.draw_from as usize,
        every: args.draw_every.map_or(natural, |every| every as usize),
        most: args.draw_frames as usize,
        width: args.draw_width,
    };
    let help =
        "--draw names a .gif file in a folder that can be written; --draw-from a frame of the sequence";
    let bar = bar("drawing", cut.frames(info.frames).len() as u64);
    let mut bytes = Vec::new();
    Film::new(info, rows, cut.width)
        .write(&cut, &mut bytes, || bar.inc(1))
        .map_err(|e| miette!(help = help, "{}: {e}", info.name))?;
    bar.finish_and_clear();
    write(path, &bytes)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A bar on standard error, where that is a terminal.
fn bar(what: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_prefix(what);
    bar.set_style(style("{prefix} {wide_bar} {pos}/{len}  {msg}"));
    bar
}

fn print(report: &Report, settings: bool) -> Result<()> {
    let held = match report.latency {
        None => "the whole sequence at once".into(),
        Some(0) => "frame by frame".into(),
        Some(frames) => format!("{frames} frames later"),
    };
    println!("{}: {held}\n", report.tracker);
    let count = |n: usize| n.to_string();
    let figures = |m: &Summary| {
        let percent = [m.mota, m.idf1, m.hota, m.deta, m.assa, m.motp].map(|p| format!("{p:.1}"));
        let counts = [m.idsw, m.mt, m.ml, m.frag, m.fp, m.fn_].map(count);
        percent.into_iter().chain(counts)
    };
    let blank = || std::iter::repeat_n("-".to_string(), 12);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (name, tracked) in &report.sequences {
        let mut row = vec![name.clone(), count(tracked.frames), count(tracked.tracks)];
        match &tracked.metrics {
            Some(metrics) => row.extend(figures(metrics)),
            None => row.extend(blank()),
        }
        rows.push(row);
    }
    if let Some(overall) = &report.overall {
        let sum = |of: fn(&Tracked) -> usize| count(report.sequences.values().map(of).sum());
        let mut row = vec!["overall".to_string(), sum(|t| t.frames), sum(|t| t.tracks)];
        row.extend(figures(overall));
        rows.push(row);
    }
    let head = [
        "sequence", "frames", "tracks", "MOTA", "IDF1", "HOTA", "DetA", "AssA", "MOTP", "IDSW", "MT", "ML",
        "Frag", "FP", "FN",
    ];
    println!("{}", table(&head, &(1..head.len()).collect::<Vec<_>>(), rows));
    for (name, tracked) in report.sequences.iter().filter(|(_, tracked)| tracked.dropped > 0) {
        println!("{name}: {} rows of detections are no boxes and were dropped", tracked.dropped);
    }
    for (name, tracked) in &report.sequences {
        if let Some(board) = &tracked.board {
            println!("{name} on {}", board.line());
        }
    }
    if report.overall.is_none() {
        println!("\nno gt/gt.txt, so nothing was measured");
    }
    if settings {
        println!("\nsettings found on the other sequences:");
        for (name, tracked) in &report.sequences {
            println!("{name}: {}", serde_json::to_string(&tracked.settings).map_err(|e| miette!("{e}"))?);
        }
    }
    Ok(())
}
