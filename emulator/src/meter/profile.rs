//! Runs under the plugin, and what they cost.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use dunlin::Model;
use dunlin::format::{DType, Tensor};
use serde::Serialize;

use super::counts::{self, Edge, Region, Word};
use super::cycles::Core;
use super::plugin::{find_metered, find_plugin};
use super::symbols::Symbols;
use crate::board::Board;
use crate::record::CALIBRATION_INSTRUCTIONS;
use crate::{ControlJob, ControlReport, EmulateError, Job, Options, Report, TrackJob, TrackReport};

/// Markers among the instructions of the calibration.
const MARKERS: u64 = 2;

/// What something costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Executed instructions; exact.
    pub instructions: u64,
    /// Estimated cycles, see [`Core`]; none where there is no table for the core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles: Option<f64>,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.instructions += other.instructions;
        self.cycles = match (self.cycles, other.cycles) {
            (Some(sum), Some(cycles)) => Some(sum + cycles),
            (sum, cycles) => sum.or(cycles),
        };
    }
}

/// Cost of a function, callees not included.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionCost {
    /// Its name; `(no symbol)` for addresses without one.
    pub name: String,
    /// Its cost.
    #[serde(flatten)]
    pub cost: Cost,
}

/// Cost of an instruction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstructionCost {
    /// Where it is.
    pub address: u64,
    /// Its encoding; of 32 bits of Thumb the first halfword is above.
    pub code: u32,
    /// Its length, bytes.
    pub bytes: u8,
    /// Its function.
    pub function: String,
    /// The cost of all its executions.
    #[serde(flatten)]
    pub cost: Cost,
}

/// What was executed between two markers, or in a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RegionProfile {
    /// All of it.
    #[serde(flatten)]
    pub cost: Cost,
    /// By function, the most expensive first.
    pub functions: Vec<FunctionCost>,
    /// By instruction, in order of address.
    #[serde(skip)]
    pub instructions: Vec<InstructionCost>,
}

/// A node of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeProfile {
    /// Index of the node in the model.
    pub node: usize,
    /// What was executed in it.
    #[serde(flatten)]
    pub profile: RegionProfile,
}

/// A model on a board under the plugin.
#[derive(Clone, Debug, Serialize)]
pub struct ModelProfile {
    /// As [`run`](crate::run) gives it.
    pub report: Report,
    /// Each run of the job, without an observer.
    pub runs: Vec<RegionProfile>,
    /// The nodes of each run, in a repetition with the observer, whose instructions are not counted; empty unless
    /// [`Options::profile`] was set.
    pub nodes: Vec<Vec<NodeProfile>>,
}

/// Runs `job` on `board` under the plugin.
///
/// # Errors
/// As [`run`](crate::run); no plugin; a job that is refused or too large.
pub fn profile(board: &Board, job: &Job, options: &Options) -> Result<ModelProfile, EmulateError> {
    let plugin = find_plugin()?;
    let bad = |reason: String| EmulateError::BadResults { board: board.name.to_owned(), reason };
    let (report, counts, elf) = crate::host::run_metered(board, job, options, &plugin)?;
    report.jobs[0].outcome.result().map_err(|reason| bad(format!("{}: {reason}", job.name)))?;
    let runs = if options.profile { 2 * job.runs.len() } else { job.runs.len() };
    let regions = regions(&counts, runs).map_err(bad)?;
    let symbols = Symbols::read(&elf, 0).map_err(bad)?;
    let core = Core::find(board.core);
    let (plain, observed) = regions.split_at(job.runs.len());
    Ok(ModelProfile {
        report,
        runs: plain.iter().map(|region| account(region.buckets.values().flatten(), core, &symbols)).collect(),
        nodes: observed.iter().map(|region| nodes(region, core, &symbols)).collect(),
    })
}

/// Tracks through `job` on `board` under the plugin: the report, and what each frame cost.
///
/// # Errors
/// As [`track`](crate::track); no plugin.
pub fn profile_tracking(
    board: &Board,
    job: &TrackJob,
    options: &Options,
) -> Result<(TrackReport, Vec<RegionProfile>), EmulateError> {
    let plugin = find_plugin()?;
    let (report, counts, image) = crate::host::track_metered(board, job, options, Some(&plugin))?;
    Ok((report, profile_regions(board, &image, &counts, job.frames.len())?))
}

/// Runs the control loop of `job` on `board` under the plugin: the report, and what each step cost.
///
/// # Errors
/// As [`control`](crate::control); no plugin.
pub fn profile_control(
    board: &Board,
    job: &ControlJob,
    options: &Options,
) -> Result<(ControlReport, Vec<RegionProfile>), EmulateError> {
    let plugin = find_plugin()?;
    let (report, counts, image) = crate::host::control_metered(board, job, options, Some(&plugin))?;
    let steps = profile_regions(board, &image, &counts, report.steps.len())?;
    Ok((report, steps))
}

/// The costs of the `expected` regions that `image` has marked after its calibration.
fn profile_regions(
    board: &Board,
    image: &Path,
    counts: &str,
    expected: usize,
) -> Result<Vec<RegionProfile>, EmulateError> {
    let bad = |reason: String| EmulateError::BadResults { board: board.name.to_owned(), reason };
    let elf = std::fs::read(image).map_err(file_error(image))?;
    let regions = regions(counts, expected).map_err(bad)?;
    let symbols = Symbols::read(&elf, 0).map_err(bad)?;
    let core = Core::find(board.core);
    let costs = regions.iter().map(|region| account(region.buckets.values().flatten(), core, &symbols));
    Ok(costs.collect())
}

/// The regions that an image has marked after its calibration, which must be `expected`.
fn regions(counts: &str, expected: usize) -> Result<Vec<Region>, String> {
    let mut regions = counts::parse(counts).map_err(|reason| format!("plugin: {reason}"))?;
    if regions.len() != 1 + expected {
        return Err(format!(
            "plugin: {} regions, expected {}: rebuild the image",
            regions.len(),
            1 + expected
        ));
    }
    let found = regions.remove(0).instructions;
    let loop_of = u64::from(CALIBRATION_INSTRUCTIONS) - MARKERS;
    if found != loop_of {
        return Err(format!("plugin: a loop of {loop_of} instructions was counted as {found}"));
    }
    Ok(regions)
}

/// An input of drawn bytes for each input of `model`; always the same.
pub fn drawn_inputs(model: &Model<'_>) -> Vec<Vec<u8>> {
    // A linear congruential generator (Press et al., "Numerical Recipes", 1992).
    let mut state = 1_u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    // A list of indices may name no row that is not there: the smallest set bounds all of them.
    let rows = model.dims().iter().copied().min().unwrap_or(1).max(1);
    let input = |tensor: &Tensor| -> Vec<u8> {
        match tensor.dtype {
            DType::U16 => {
                let index = |_| (u32::from(draw()) % rows) as u16;
                (0..tensor.bytes() / 2).map(index).flat_map(u16::to_le_bytes).collect()
            }
            _ => (0..tensor.bytes()).map(|_| draw()).collect(),
        }
    };
    model.inputs().map(input).collect()
}

/// A region of a program, with what its node markers set apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgramRegion {
    /// All of it.
    pub profile: RegionProfile,
    /// Its nodes, by their order in the region.
    pub nodes: Vec<NodeProfile>,
}

/// Runs an AArch64 program of Linux under `qemu-aarch64` and the plugin; returns its regions in order.
///
/// The program's output goes where this process's goes. `cpu` is a name that `qemu-aarch64 -cpu` takes.
///
/// # Errors
/// No plugin or QEMU, a program that fails, a file of the plugin that is not what it must write.
pub fn profile_program(
    cpu: &str,
    program: &Path,
    arguments: &[&OsStr],
) -> Result<Vec<ProgramRegion>, EmulateError> {
    let plugin = find_plugin()?;
    let name = program.display().to_string();
    let folder = folder()?;
    let counts = folder.path().join("counts");
    let qemu = "qemu-aarch64";
    let mut command = Command::new(qemu);
    command.args(["-cpu", cpu, "-L", "/usr/aarch64-linux-gnu", "-plugin"]).arg(argument(&plugin, &counts));
    command.arg(program).args(arguments).stdin(Stdio::null());
    let status = command.status();
    let status = status.map_err(|source| EmulateError::NoQemu { program: qemu.to_owned(), source })?;
    if !status.success() {
        return Err(EmulateError::Crashed { board: name, status, output: String::new() });
    }
    let bad = |reason: String| EmulateError::BadResults { board: name.clone(), reason };
    let text = std::fs::read_to_string(&counts).map_err(file_error(&counts))?;
    let regions = counts::parse(&text).map_err(|reason| bad(format!("plugin: {reason}")))?;
    let elf = std::fs::read(program).map_err(file_error(program))?;
    let symbols = Symbols::read(&elf, regions.first().map_or(0, |region| region.start_code)).map_err(bad)?;
    let core = Core::find(cpu);
    let regions = regions.iter().map(|region| ProgramRegion {
        profile: account(region.buckets.values().flatten(), core, &symbols),
        nodes: nodes(region, core, &symbols),
    });
    Ok(regions.collect())
}

/// Runs a model once as a program of Linux on an AArch64 processor: the whole run, and its nodes, as in [`ModelProfile`].
///
/// # Errors
/// As [`profile_program`]; the program that runs models is not there.
pub fn profile_linux(
    cpu: &str,
    model: &[u8],
    inputs: &[Vec<u8>],
) -> Result<(RegionProfile, Vec<NodeProfile>), EmulateError> {
    let program = find_metered()?;
    let folder = folder()?;
    let mut paths = vec![folder.path().join("model.dun")];
    paths.extend((0..inputs.len()).map(|index| folder.path().join(format!("input{index}"))));
    for (path, bytes) in paths.iter().zip([model].into_iter().chain(inputs.iter().map(Vec::as_slice))) {
        std::fs::write(path, bytes).map_err(file_error(path))?;
    }
    let arguments: Vec<&OsStr> = paths.iter().map(|path| path.as_os_str()).collect();
    let regions = profile_program(cpu, &program, &arguments)?;
    match <[ProgramRegion; 2]>::try_from(regions) {
        Ok([plain, observed]) => Ok((plain.profile, observed.nodes)),
        Err(regions) => {
            let reason = format!("{} regions, expected 2", regions.len());
            Err(EmulateError::BadResults { board: program.display().to_string(), reason })
        }
    }
}

fn folder() -> Result<tempfile::TempDir, EmulateError> {
    let folder = tempfile::Builder::new().prefix("dunlin-qemu-").tempdir();
    folder.map_err(file_error(&std::env::temp_dir()))
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> EmulateError {
    let path = path.to_owned();
    move |source| EmulateError::File { path, source }
}

/// The argument of `-plugin`. A comma in a path is doubled.
pub(crate) fn argument(plugin: &Path, counts: &Path) -> String {
    let escape = |path: &Path| path.display().to_string().replace(',', ",,");
    format!("{},out={}", escape(plugin), escape(counts))
}

fn nodes(region: &Region, core: Option<Core>, symbols: &Symbols) -> Vec<NodeProfile> {
    let buckets = region.buckets.iter().filter_map(|(node, edges)| Some(((*node)?, edges)));
    buckets.map(|(node, edges)| NodeProfile { node, profile: account(edges.iter(), core, symbols) }).collect()
}

/// Adds up the costs of `edges`.
fn account<'a>(
    edges: impl Iterator<Item = &'a Edge>,
    core: Option<Core>,
    symbols: &Symbols,
) -> RegionProfile {
    let mut instructions: BTreeMap<u64, InstructionCost> = BTreeMap::new();
    let mut add = |word: &Word, cost: Cost| {
        let entry = instructions.entry(word.address).or_insert_with(|| InstructionCost {
            address: word.address,
            code: word.code,
            bytes: word.size,
            function: symbols.function(word.address).to_owned(),
            cost: Cost::default(),
        });
        entry.cost += cost;
    };
    for edge in edges {
        let times = edge.count as f64;
        let (leaving, cycles) = match core {
            Some(core) => {
                let (leaving, cycles) = core.cycles(edge);
                (leaving, cycles.into_iter().map(|cycles| Some(cycles * times)).collect())
            }
            None => (0.0, vec![None; edge.to.words.len()]),
        };
        for (word, cycles) in edge.to.words.iter().zip(cycles) {
            add(word, Cost { instructions: edge.count, cycles });
        }
        if let Some(word) = edge.from.as_ref().and_then(|block| block.words.last()).filter(|_| leaving > 0.0)
        {
            add(word, Cost { instructions: 0, cycles: Some(leaving * times) });
        }
    }
    let mut cost = Cost::default();
    let mut functions: BTreeMap<&str, Cost> = BTreeMap::new();
    for instruction in instructions.values() {
        cost += instruction.cost;
        *functions.entry(&instruction.function).or_default() += instruction.cost;
    }
    let mut functions: Vec<_> =
        functions.into_iter().map(|(name, cost)| FunctionCost { name: name.to_owned(), cost }).collect();
    functions.sort_by_key(|function| std::cmp::Reverse(function.cost.instructions));
    RegionProfile { cost, functions, instructions: instructions.into_values().collect() }
}
