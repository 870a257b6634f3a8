//! Runs under the plugin, and what they cost.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

use super::counts::{self, Edge, Region};
use super::find_plugin;
use super::symbols::Symbols;
use crate::board::Board;
use crate::{EmulateError, Job, Options, Report};

/// What something costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Executed instructions; exact.
    pub instructions: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.instructions += other.instructions;
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
    /// As [`run`](crate::run) gives it, with every node measured.
    pub report: Report,
    /// Each run of the job, without an observer.
    pub runs: Vec<RegionProfile>,
    /// The nodes of each run, in a repetition with the observer, whose instructions are not counted.
    pub nodes: Vec<Vec<NodeProfile>>,
}

/// Runs `job` on `board` under the plugin.
///
/// # Errors
/// As [`run`](crate::run); no plugin; a job that is refused or too large.
pub fn profile(board: &Board, job: &Job, options: &Options) -> Result<ModelProfile, EmulateError> {
    let plugin = find_plugin()?;
    let options = Options { profile: true, ..options.clone() };
    let bad = |reason: String| EmulateError::BadResults { board: board.name.to_owned(), reason };
    let (report, counts, elf) = crate::host::run_metered(board, job, &options, &plugin)?;
    report.jobs[0].outcome.result().map_err(|reason| bad(format!("{}: {reason}", job.name)))?;
    let regions = counts::parse(&counts).map_err(|reason| bad(format!("plugin: {reason}")))?;
    if regions.len() != 2 * job.runs.len() {
        return Err(bad(format!(
            "plugin: {} regions, expected two a run of {}",
            regions.len(),
            job.runs.len()
        )));
    }
    let symbols = Symbols::read(&elf, 0).map_err(bad)?;
    let (plain, observed) = regions.split_at(job.runs.len());
    Ok(ModelProfile {
        report,
        runs: plain.iter().map(|region| account(region.buckets.values().flatten(), &symbols)).collect(),
        nodes: observed.iter().map(|region| nodes(region, &symbols)).collect(),
    })
}

/// Runs an AArch64 program of Linux under `qemu-aarch64` and the plugin; returns one profile per region, in order.
///
/// The program's output goes where this process's goes. `cpu` is a name that `qemu-aarch64 -cpu` takes.
///
/// # Errors
/// No plugin or QEMU, a program that fails, a file of the plugin that is not what it must write.
pub fn profile_program(
    cpu: &str,
    program: &Path,
    arguments: &[&str],
) -> Result<Vec<RegionProfile>, EmulateError> {
    let plugin = find_plugin()?;
    let name = program.display().to_string();
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| EmulateError::File { path, source }
    };
    let folder = tempfile::Builder::new().prefix("dunlin-qemu-").tempdir();
    let folder = folder.map_err(file_error(&std::env::temp_dir()))?;
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
    Ok(regions.iter().map(|region| account(region.buckets.values().flatten(), &symbols)).collect())
}

/// The argument of `-plugin`. A comma in a path is doubled.
pub(crate) fn argument(plugin: &Path, counts: &Path) -> String {
    let escape = |path: &Path| path.display().to_string().replace(',', ",,");
    format!("{},out={}", escape(plugin), escape(counts))
}

fn nodes(region: &Region, symbols: &Symbols) -> Vec<NodeProfile> {
    let buckets = region.buckets.iter().filter_map(|(node, edges)| Some(((*node)?, edges)));
    buckets.map(|(node, edges)| NodeProfile { node, profile: account(edges.iter(), symbols) }).collect()
}

/// Adds up the costs of `edges`.
fn account<'a>(edges: impl Iterator<Item = &'a Edge>, symbols: &Symbols) -> RegionProfile {
    let mut instructions: BTreeMap<u64, InstructionCost> = BTreeMap::new();
    for edge in edges {
        for word in &edge.to.words {
            let entry = instructions.entry(word.address).or_insert_with(|| InstructionCost {
                address: word.address,
                code: word.code,
                bytes: word.size,
                function: symbols.function(word.address).to_owned(),
                cost: Cost::default(),
            });
            entry.cost += Cost { instructions: edge.count };
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
