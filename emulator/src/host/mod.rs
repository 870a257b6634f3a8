//! The driver: jobs in, checked results out.

mod error;
mod image;
mod line;
mod log;
mod policy;
mod qemu;
mod result;
mod tracking;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use error::EmulateError;
pub use image::{
    emulation_is_off, find_image, find_policy_image, find_tracking_image, flash_bytes, leave_out,
    model_bytes, unless_left_out,
};
pub use line::{Answer, Line, LineError, Wire};
pub use log::LogLine;
pub(crate) use policy::control_metered;
pub use policy::{
    ActionSpace, ControlJob, ControlReport, ControlStep, Faults, Plant, control, control_over_line,
};
pub use result::{JobFailure, JobOutcome, JobResult, NamedOutcome, NodeCost, Report, RunResult, Stage};
pub(crate) use tracking::track_metered;
pub use tracking::{Step, TrackJob, TrackReport, Tracks, track, track_on_host};

use crate::board::{ArenaPlace, Board};
use crate::job;

/// One model and what to run it on.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// What errors and results call it.
    pub name: String,
    /// The `.dun` bytes.
    pub model: Vec<u8>,
    /// The runs. They share one session, so a model with state sees them as a sequence. Every run has as many inputs
    /// and counts as the first.
    pub runs: Vec<Run>,
}

/// What one inference is given.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The raw bytes of every input tensor, in the model's input order and types.
    pub inputs: Vec<Vec<u8>>,
    /// Rows of the model's bounded dimensions, in their order; empty for a run at the bounds.
    pub counts: Vec<u32>,
}

impl Run {
    fn view(&self) -> job::RunView<'_> {
        (self.inputs.iter().map(Vec::as_slice).collect(), &self.counts)
    }
}

/// How to emulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Measure every node, in a repetition of all runs from a reset state.
    pub profile: bool,
    /// When QEMU is killed. A core that locks up never ends by itself.
    pub time_limit: Duration,
    /// The image, instead of the one [`find_image`] finds.
    pub image: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { profile: false, time_limit: Duration::from_secs(300), image: None }
    }
}

/// Runs `jobs` on `board`, in as many starts of QEMU as its memory asks for; the time limit holds for each start.
///
/// A job that the image refuses, or that the board has no room for, is an outcome, not an error.
///
/// # Errors
/// No image, no QEMU, the time limit, a crash of the image, or a result file that is not what the image must write.
pub fn run(board: &Board, jobs: &[Job], options: &Options) -> Result<Report, EmulateError> {
    let image = match &options.image {
        Some(image) => image.clone(),
        None => find_image(board)?,
    };
    let flash = flash_bytes(&image)?;
    let started = Instant::now();
    let mut report = Report::new(board, flash);
    let mut rest = jobs;
    while !rest.is_empty() {
        let (count, file) = batch(board, rest, options.profile);
        if count == 0 {
            let outcome = JobOutcome::DoesNotFit { needed: file.len(), available: board.job_bytes as usize };
            report.push(&rest[0].name, outcome);
            rest = &rest[1..];
            continue;
        }
        let output = qemu::execute(board, &image, Some(&file), None, options.time_limit)?;
        report.merge(board, &rest[..count], options.profile, output)?;
        rest = &rest[count..];
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Runs one job under `plugin`: the report, what the plugin wrote, and the image.
pub(crate) fn run_metered(
    board: &Board,
    job: &Job,
    options: &Options,
    plugin: &Path,
) -> Result<(Report, String, Vec<u8>), EmulateError> {
    let image = match &options.image {
        Some(image) => image.clone(),
        None => find_image(board)?,
    };
    let started = Instant::now();
    let mut report = Report::new(board, flash_bytes(&image)?);
    let jobs = std::slice::from_ref(job);
    let (count, file) = batch(board, jobs, options.profile);
    let mut counts = String::new();
    if count == 0 {
        let outcome = JobOutcome::DoesNotFit { needed: file.len(), available: board.job_bytes as usize };
        report.push(&job.name, outcome);
    } else {
        let mut output = qemu::execute(board, &image, Some(&file), Some(plugin), options.time_limit)?;
        counts = std::mem::take(&mut output.counts);
        report.merge(board, jobs, options.profile, output)?;
    }
    report.seconds = started.elapsed().as_secs_f64();
    let elf = std::fs::read(&image).map_err(|source| EmulateError::File { path: image, source })?;
    Ok((report, counts, elf))
}

/// Starts `image` without a job, as `cargo run` in a board's folder does; returns its log.
///
/// # Errors
/// As [`run`].
pub fn run_bare(board: &Board, image: &Path, time_limit: Duration) -> Result<Vec<LogLine>, EmulateError> {
    Ok(qemu::execute(board, image, None, None, time_limit)?.log)
}

/// Refuses a job file that is larger than the board's region for it.
fn require_room(board: &Board, name: &str, file: &[u8]) -> Result<(), EmulateError> {
    let (needed, room) = (file.len(), board.job_bytes);
    if needed <= room as usize {
        return Ok(());
    }
    let reason = format!("{name}: {needed} bytes of job, the board has room for {room}");
    Err(EmulateError::Refused { board: board.name.to_owned(), reason })
}

/// The longest prefix of `jobs` that fits the board in one start, with its job file; if the first alone does not fit,
/// zero and the file that is too long.
fn batch(board: &Board, jobs: &[Job], profile: bool) -> (usize, Vec<u8>) {
    let room = board.job_bytes as usize;
    // Several jobs leave half of a shared region to the arena; a single one may take what it needs.
    let shared = match board.arena {
        ArenaPlace::Static(_) => room,
        ArenaPlace::AfterJob => room / 2,
    };
    let entry = |job: &Job| {
        let inputs = job.runs.iter().flat_map(|run| &run.inputs);
        let data = inputs.clone().chain([&job.model]).map(|bytes| bytes.len().next_multiple_of(job::ALIGN));
        let counts: usize = job.runs.iter().map(|run| run.counts.len()).sum();
        data.sum::<usize>() + job::JOB_BYTES + job::INPUT_BYTES * inputs.count() + job::COUNT_BYTES * counts
    };
    let mut bytes = job::HEADER_BYTES + job::ALIGN;
    let fitting = jobs.iter().take_while(|job| {
        bytes += entry(job);
        bytes <= shared
    });
    let count = fitting.count().max(1);
    let views: Vec<_> = jobs[..count]
        .iter()
        .map(|job| (job.model.as_slice(), job.runs.iter().map(Run::view).collect()))
        .collect();
    let file = job::encode(&views, profile);
    if file.len() > room { (0, file) } else { (count, file) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{MICROBIT, MPS2_AN386};

    fn job(model: usize, input: usize) -> Job {
        // Different model bytes for every length: equal ones would be stored once.
        Job {
            name: "case".to_owned(),
            model: vec![model as u8; model],
            runs: vec![Run { inputs: vec![vec![0; input]], counts: Vec::new() }],
        }
    }

    #[test]
    fn jobs_are_split_at_the_board_s_memory() {
        let jobs = [job(40_000, 100), job(40_001, 100), job(40_002, 100)];
        let (count, file) = batch(&MICROBIT, &jobs, false);
        assert_eq!(count, 2);
        assert!(file.len() <= MICROBIT.job_bytes as usize);
        assert_eq!(batch(&MPS2_AN386, &jobs, false).0, 3);
    }

    #[test]
    fn a_job_larger_than_the_region_is_told_apart_from_a_full_batch() {
        let jobs = [job(140_000, 4), job(10, 4)];
        let (count, file) = batch(&MICROBIT, &jobs, false);
        assert_eq!(count, 0);
        assert!(file.len() > MICROBIT.job_bytes as usize);
    }
}
