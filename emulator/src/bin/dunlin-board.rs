//! `dunlin-board run BOARD IMAGE`: starts an image as cargo's runner does and prints its log.
//! `dunlin-board flash IMAGE…`: prints the flash that each image takes, and how much of it is constants and tables of models.
//! `dunlin-board profile BOARD|CPU MODEL [INPUT…]`: what a run of a model executes, by node and function.
//! `dunlin-board profile-linux CPU PROGRAM [ARGUMENT…]`: the same of the marked regions of an AArch64 program.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dunlin::{AlignedVec, Model, Storage};
use dunlin_emulator::meter::{self, Cost, NodeProfile, RegionProfile, macs};
use dunlin_emulator::{Job, Options, Run, board, flash_bytes, model_bytes, run_bare};

const USAGE: &str = "\
usage: dunlin-board run BOARD IMAGE
       dunlin-board flash IMAGE…
       dunlin-board profile BOARD|CPU MODEL.dun [INPUT.bin…] [OPTIONS]
       dunlin-board profile-linux CPU PROGRAM [ARGUMENT…] [OPTIONS]

Options of profile and profile-linux, with a default of 20 functions:
  --functions=N     print the N most expensive functions
  --instructions=N  print the N most expensive instructions
  --node=N          functions and instructions of node N only
A CPU is one of AArch64: cortex-a53, cortex-a72, cortex-a76, max.
Without inputs, every byte of every input is drawn; the draw is always the same.";
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// A model of some hundred million multiply-accumulates takes a minute or two.
const PROFILE_LIMIT: Duration = Duration::from_secs(900);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["run", name, image] => start(name, Path::new(image)),
        ["flash", images @ ..] if !images.is_empty() => flash(images),
        ["profile", name, model, rest @ ..] => profile(name, Path::new(model), rest),
        ["profile-linux", cpu, program, rest @ ..] => profile_linux(cpu, Path::new(program), rest),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn find(name: &str) -> Result<&'static board::Board, String> {
    let names = || board::BOARDS.map(|board| board.name).join(", ");
    board::find(name).ok_or_else(|| format!("no board is called {name}; there are {}", names()))
}

fn start(name: &str, image: &Path) -> Result<(), String> {
    for line in run_bare(find(name)?, image, TIME_LIMIT).map_err(|error| error.to_string())? {
        println!("{line}");
    }
    Ok(())
}

fn flash(images: &[&str]) -> Result<(), String> {
    for image in images {
        let image = Path::new(image);
        let bytes = flash_bytes(image).and_then(|all| Ok((all, model_bytes(image)?)));
        let (all, [data, tables]) = bytes.map_err(|error| error.to_string())?;
        println!("{all} {data} {tables}");
    }
    Ok(())
}

/// What is to be printed.
struct Choice {
    functions: usize,
    instructions: usize,
    node: Option<usize>,
}

impl Choice {
    /// Takes the options out of `arguments`; what is left is not one of them.
    fn split<'a>(arguments: &[&'a str]) -> Result<(Self, Vec<&'a str>), String> {
        let mut choice = Self { functions: 20, instructions: 0, node: None };
        let mut rest = Vec::new();
        for argument in arguments {
            let number = |text: &str| text.parse().map_err(|_| format!("{argument}: not a number"));
            match argument.split_once('=') {
                Some(("--functions", value)) => choice.functions = number(value)?,
                Some(("--instructions", value)) => choice.instructions = number(value)?,
                Some(("--node", value)) => choice.node = Some(number(value)?),
                _ => rest.push(*argument),
            }
        }
        Ok((choice, rest))
    }
}

fn profile(name: &str, path: &Path, arguments: &[&str]) -> Result<(), String> {
    let (choice, files) = Choice::split(arguments)?;
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = AlignedVec::from_slice(&bytes);
    let mut storage = Box::new(Storage::<2048, 4096, 8192>::new());
    let model = Model::parse(file.as_slice(), &mut storage);
    let model = model.map_err(|error| format!("{}: {error}", path.display()))?;
    let inputs = if files.is_empty() {
        meter::drawn_inputs(&model)
    } else {
        let read = |path: &&str| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
        files.iter().map(read).collect::<Result<_, _>>()?
    };
    let (run, nodes) = if name.starts_with("cortex-a") || name == "max" {
        meter::profile_linux(name, &bytes, &inputs).map_err(|error| error.to_string())?
    } else {
        let run = Run { inputs, counts: Vec::new() };
        let job = Job { name: path.display().to_string(), model: bytes, runs: vec![run] };
        let options = Options { profile: true, time_limit: PROFILE_LIMIT, ..Options::default() };
        let profile = meter::profile(find(name)?, &job, &options).map_err(|error| error.to_string())?;
        let result = profile.report.jobs.first().and_then(|job| job.outcome.result().ok());
        println!("{} kernels", result.map_or("", |result| result.isa.as_str()));
        profile.runs.into_iter().zip(profile.nodes).next().ok_or("no run")?
    };
    print_model(&model, &run, &nodes, &choice)
}

fn print_model(
    model: &Model<'_>,
    run: &RegionProfile,
    nodes: &[NodeProfile],
    choice: &Choice,
) -> Result<(), String> {
    println!("{:>4} {:20} {:>16} {:>12} {}", "node", "operator", "output", "MACs", heads());
    let mut sum = 0;
    for node in nodes {
        let Some(described) = model.nodes().get(node.node) else { continue };
        let shape = model.ids(described.outputs).first().and_then(|id| model.tensors().get(usize::from(*id)));
        let shape = shape.map_or(String::new(), |tensor| {
            let shape = tensor.shape;
            format!("{}x{}x{}x{}", shape.n, shape.h, shape.w, shape.c)
        });
        let macs = macs(model, described);
        sum += macs;
        let figures = figures(macs, node.profile.cost, run.cost);
        println!("{:4} {:20} {shape:>16} {macs:12} {figures}", node.node, described.op.name());
    }
    println!("{:4} {:20} {:>16} {sum:12} {}", "", "all", "", figures(sum, run.cost, run.cost));
    match choice.node {
        None => print_region(run, choice),
        Some(wanted) => {
            let node = nodes.iter().find(|node| node.node == wanted);
            print_region(&node.ok_or_else(|| format!("there is no node {wanted}"))?.profile, choice);
        }
    }
    Ok(())
}

fn heads() -> String {
    format!("{:>12} {:>8} {:>12} {:>8} {:>7}", "instructions", "per MAC", "cycles", "MAC/cyc", "share")
}

/// Share of cycles where they are estimated, otherwise of instructions.
fn figures(macs: u64, cost: Cost, whole: Cost) -> String {
    let ratio = |part: f64, of: f64| if of == 0.0 { 0.0 } else { part / of };
    let (count, cycles) = (cost.instructions as f64, cost.cycles.unwrap_or(0.0));
    let of_macs = |ratio: f64| if macs == 0 { String::new() } else { format!("{ratio:.3}") };
    let share = match whole.cycles {
        Some(whole) => ratio(cycles, whole),
        None => ratio(count, whole.instructions as f64),
    };
    format!(
        "{:12} {:>8} {cycles:12.0} {:>8} {:6.2}%",
        cost.instructions,
        of_macs(ratio(count, macs as f64)),
        of_macs(ratio(macs as f64, cycles)),
        share * 100.0
    )
}

fn print_region(region: &RegionProfile, choice: &Choice) {
    println!();
    for function in region.functions.iter().take(choice.functions) {
        println!("{}  {}", figures(0, function.cost, region.cost), function.name);
    }
    let mut instructions: Vec<_> = region.instructions.iter().collect();
    instructions.sort_by_key(|instruction| std::cmp::Reverse(instruction.cost.instructions));
    instructions.truncate(choice.instructions);
    instructions.sort_by_key(|instruction| instruction.address);
    for i in instructions {
        let digits = usize::from(i.bytes) * 2;
        println!(
            "{:8x}  {:0digits$x}{:pad$}  {}  {}",
            i.address,
            i.code,
            "",
            figures(0, i.cost, region.cost),
            i.function,
            pad = 8 - digits
        );
    }
}

fn profile_linux(cpu: &str, program: &Path, arguments: &[&str]) -> Result<(), String> {
    let (choice, arguments) = Choice::split(arguments)?;
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    let regions = meter::profile_program(cpu, program, &arguments).map_err(|error| error.to_string())?;
    for (index, region) in regions.iter().enumerate() {
        println!("region {index}: {}", figures(0, region.profile.cost, region.profile.cost));
        let node = choice.node.and_then(|wanted| region.nodes.iter().find(|node| node.node == wanted));
        print_region(node.map_or(&region.profile, |node| &node.profile), &choice);
    }
    Ok(())
}
