//! `dunlin emulate`: a model on an emulated board, compared with this machine.

use super::dun::DunFile;
use super::host::{self, Tensors};
use super::io::{self, ClassResult, Source};
use super::print_json;
use super::profile::Profile;
use super::text::{number, table};
use dunlin::{Model, Target};
use dunlin_emulator::meter::{self, ModelProfile};
use dunlin_emulator::{Job, JobResult, Options, Report, Run, board};
use dunlin_trainer::quantise::Output;
use miette::{Result, bail, miette};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Run a model on an emulated board and compare every output byte with this machine.
///
/// The emulator is QEMU. Instructions are counted by the board's timer between two markers around one inference;
/// they are the same on every machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dunlin emulate segnet.dun --board mps2-an386 --image photo.png --out overlay.png
  dunlin emulate model.dun --board mps3-an547 --input in.bin --output out.bin --json
  dunlin emulate model.dun --board mps2-an386 --input in.bin --pack --profile
  dunlin emulate model.dun --board mps3-an547 --input in.bin --profile --functions 10

Boards: mps2-an386 (Cortex-M4F), mps2-an500 (Cortex-M7), mps2-an505 (Cortex-M33), mps3-an547 (Cortex-M55),
microbit (Cortex-M0). The command ends with an error where board and host differ.")]
pub(super) struct Args {
    /// The model.
    model: PathBuf,
    /// The board.
    #[arg(long, value_name = "BOARD", default_value = "mps2-an386", value_parser = boards())]
    board: String,
    #[command(flatten)]
    source: Source,
    /// Plan and pack a portable file for the board's core first, as `dunlin export --for` does.
    #[arg(long)]
    pack: bool,
    /// Print the instructions of every node too (--json always has them).
    #[arg(long)]
    nodes: bool,
    /// Count every instruction with the project's QEMU plugin: a table of MACs, instructions and estimated cycles per
    /// node (docs/cycles.md). With --json also per function.
    #[arg(long)]
    profile: bool,
    /// With --profile: print the N most expensive functions too.
    #[arg(long, value_name = "N", requires = "profile", default_value_t = 0)]
    functions: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Firmware image, instead of the one that is built for the board.
    #[arg(long, value_name = "ELF")]
    firmware: Option<PathBuf>,
    /// Seconds after which the emulator is stopped: a locked-up core never ends.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    time_limit: u64,
}

/// What files are packed for that are to be fast on `board`.
pub(super) fn target_of(board: &board::Board) -> Target {
    let packed = Target::ALL.into_iter().filter(|&target| target != Target::Portable);
    let fits = |target: &Target| target.isa().is_some_and(|isa| isa.name() == board.isa);
    packed.into_iter().find(fits).unwrap_or(Target::Portable)
}

pub(super) fn boards() -> clap::builder::PossibleValuesParser {
    board::BOARDS.map(|b| b.name).into()
}

/// The keys of `--json`.
#[derive(Serialize)]
struct Json<'a> {
    model: &'a str,
    board: &'a str,
    core: &'a str,
    isa: &'a str,
    equal: bool,
    instructions: u64,
    arena_bytes: u32,
    state_bytes: u32,
    table_bytes: u32,
    stack_bytes: u32,
    flash_bytes: u64,
    seconds: f64,
    nodes: Vec<NodeLine>,
    runs: Vec<RunLine>,
    classes: Vec<ClassResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile<'a>>,
}

#[derive(Serialize)]
struct NodeLine {
    node: usize,
    op: &'static str,
    instructions: u64,
}

#[derive(Serialize)]
struct RunLine {
    instructions: u64,
    stack_bytes: u32,
    equal: bool,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let mut file = DunFile::read(&args.model)?;
    if args.pack {
        let board = board::find(&args.board).ok_or_else(|| miette!("no board is called {}", args.board))?;
        file = file.packed(target_of(board))?;
    }
    let file = file;
    let mut storage = DunFile::storage();
    let model = file.parse(&mut storage)?;
    let work = args.source.read(&model, false)?;
    let expected = host::run(&file, &work.cases)?;
    let (report, result, profiled) = emulate(args, &file, &work.cases)?;
    let profile = profiled.as_ref().and_then(|profile| Profile::new(&model, profile));
    let found: Vec<&Tensors> = result.runs.iter().map(|r| &r.outputs).collect();
    let differences: Vec<Option<String>> =
        expected.iter().zip(&found).map(|(host, board)| difference(host, board)).collect();
    let equal = found.len() == expected.len() && differences.iter().all(Option::is_none);
    let outputs: Vec<Vec<Output>> =
        expected.iter().zip(&found).map(|(host, board)| on_board(host, board)).collect();
    let classes = args.source.write(&model, &work, &outputs)?;
    if args.json {
        let json = json(&model, &report, &result, &differences, equal, classes);
        print_json(&Json { profile, ..json })?;
    } else {
        io::print(&args.source, &model, &classes);
        if let Some(profile) = profile {
            profile.print(args.functions);
        }
        print(args, &model, &report, &result);
    }
    if let Some((run, text)) = differences.iter().enumerate().find_map(|(i, d)| Some((i, d.as_ref()?))) {
        bail!(
            help = "this must never happen: please report the model, the input and the board",
            "{} and this machine differ in run {run}: {text}",
            report.board
        );
    }
    if !equal {
        bail!("{} gave {} results for {} inputs", report.board, found.len(), expected.len());
    }
    if !args.json {
        println!("board and host agree in every byte");
    }
    Ok(())
}

fn emulate(
    args: &Args,
    file: &DunFile,
    cases: &[Tensors],
) -> Result<(Report, JobResult, Option<ModelProfile>)> {
    let board = board::find(&args.board).ok_or_else(|| miette!("no board is called {}", args.board))?;
    let job = Job {
        name: args.model.display().to_string(),
        model: file.bytes().to_vec(),
        runs: cases.iter().map(|inputs| Run { inputs: inputs.clone(), ..Run::default() }).collect(),
    };
    let options = Options {
        profile: args.nodes || args.json || args.profile,
        time_limit: Duration::from_secs(args.time_limit),
        image: args.firmware.clone(),
    };
    let failed = |e| miette!(help = "`cargo xtask setup` installs what emulation needs", "{e}");
    let (report, profile) = if args.profile {
        let profile = meter::profile(board, &job, &options).map_err(failed)?;
        (profile.report.clone(), Some(profile))
    } else {
        (dunlin_emulator::run(board, &[job], &options).map_err(failed)?, None)
    };
    let outcome = report.jobs.first().ok_or_else(|| miette!("{}: no result for the model", report.board))?;
    let result = outcome.outcome.result().cloned().map_err(|reason| {
        let limit = board.arena_limit(0);
        miette!(
            help = format!(
                "{} has {} bytes for model and inputs, at most {limit} for the arena",
                board.name, board.job_bytes
            ),
            "{}: {}: {reason}",
            board.name,
            args.model.display()
        )
    })?;
    Ok((report, result, profile))
}

/// What the board gave, described as the host's outputs are.
pub(super) fn on_board(host: &[Output], board: &Tensors) -> Vec<Output> {
    host.iter().zip(board).map(|(h, bytes)| Output { bytes: bytes.clone(), ..h.clone() }).collect()
}

/// Where two results differ first, in words.
pub(super) fn difference(host: &[Output], board: &Tensors) -> Option<String> {
    if host.len() != board.len() {
        return Some(format!("{} outputs on the board, {} on the host", board.len(), host.len()));
    }
    host.iter().zip(board).enumerate().find_map(|(output, (h, b))| {
        let h = &h.bytes;
        if h.len() != b.len() {
            return Some(format!(
                "output {output} has {} bytes on the board, {} on the host",
                b.len(),
                h.len()
            ));
        }
        let differing = h.iter().zip(b).filter(|(h, b)| h != b).count();
        let at = h.iter().zip(b).position(|(h, b)| h != b)?;
        Some(format!(
            "output {output}: {differing} of {} bytes; byte {at} is {} on the board and {} on the host",
            h.len(),
            b[at],
            h[at]
        ))
    })
}

fn node_lines(model: &Model<'_>, result: &JobResult) -> Vec<NodeLine> {
    let costs = result.runs.first().map(|r| r.nodes.as_slice()).unwrap_or_default();
    costs
        .iter()
        .map(|c| NodeLine {
            node: c.node,
            op: model.nodes().get(c.node).map_or("", |n| n.op.name()),
            instructions: c.instructions,
        })
        .collect()
}

fn json<'a>(
    model: &Model<'a>,
    report: &'a Report,
    result: &'a JobResult,
    differences: &[Option<String>],
    equal: bool,
    classes: Vec<ClassResult>,
) -> Json<'a> {
    let runs = result.runs.iter().zip(differences);
    Json {
        model: model.metadata().map_or("", |m| m.name),
        board: &report.board,
        core: &report.core,
        isa: &result.isa,
        equal,
        instructions: result.runs.first().map_or(0, |r| r.instructions),
        arena_bytes: result.arena_bytes,
        state_bytes: result.state_bytes,
        table_bytes: result.table_bytes,
        stack_bytes: result.runs.iter().map(|r| r.stack_bytes).max().unwrap_or(0),
        flash_bytes: report.flash_bytes,
        seconds: report.seconds,
        nodes: node_lines(model, result),
        runs: runs
            .map(|(r, d)| RunLine {
                instructions: r.instructions,
                stack_bytes: r.stack_bytes,
                equal: d.is_none(),
            })
            .collect(),
        classes,
        profile: None,
    }
}

fn print(args: &Args, model: &Model<'_>, report: &Report, result: &JobResult) {
    if args.nodes {
        let lines = node_lines(model, result);
        let rows = lines.iter().map(|n| vec![n.node.to_string(), n.op.into(), number(n.instructions)]);
        println!("{}\n", table(&["node", "operator", "instructions"], &[0, 2], rows));
    }
    println!("{} ({}), {} kernels", report.board, report.core, result.isa);
    for (i, r) in result.runs.iter().enumerate() {
        let run = if result.runs.len() > 1 { format!(" of run {i}") } else { String::new() };
        println!("instructions{run}  {}", number(r.instructions));
    }
    let stack = result.runs.iter().map(|r| r.stack_bytes).max().unwrap_or(0);
    println!("arena         {} bytes", number(u64::from(result.arena_bytes)));
    println!("tables        {} bytes", number(u64::from(result.table_bytes)));
    println!("stack         {} bytes", number(u64::from(stack)));
    println!("flash         {} bytes without the model", number(report.flash_bytes));
}
