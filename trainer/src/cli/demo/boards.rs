//! The models of the demonstration on emulated boards, compared with this machine.

use super::models::Entry;
use crate::cli::emulate::{difference, on_board, target_of};
use crate::cli::text::{number, table};
use dunlin_emulator::{Job, Options, Run, board};
use dunlin_trainer::export;
use dunlin_trainer::plan::PlanOptions;
use dunlin_trainer::quantise::{Int8Runner, Output};
use miette::{Result, miette};
use serde::Serialize;

/// One model on one board.
#[derive(Debug, Serialize)]
pub(super) struct BoardRun {
    /// The board.
    pub(super) board: String,
    /// Its core.
    core: String,
    /// Instruction set whose kernels ran.
    isa: String,
    /// Instructions of one inference.
    pub(super) instructions: u64,
    /// Stack of one inference, bytes.
    stack_bytes: u32,
    /// Flash of the image without the model, bytes.
    flash_bytes: u64,
    /// Where board and host differ; none where they agree in every byte.
    pub(super) difference: Option<String>,
}

/// One model on all boards.
pub(super) struct Outcome {
    /// A run per board that it fits.
    pub(super) boards: Vec<BoardRun>,
    /// What the last board gave, or this machine where no board ran.
    pub(super) outputs: Vec<Output>,
}

/// Runs every model here and on every board. A board that cannot be emulated, or has no room for a model, is
/// noted in `left_out`.
pub(super) fn run(names: &[String], entries: &[Entry], left_out: &mut Vec<String>) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for entry in entries {
        let refuse = |e| miette!("{}: {e}", entry.name);
        let mut runner = Int8Runner::new(&entry.file).map_err(refuse)?;
        let outputs = runner.run_bytes(&[&entry.input]).map_err(refuse)?;
        outcomes.push(Outcome { boards: Vec::new(), outputs });
    }
    for name in names {
        let board = board::find(name).ok_or_else(|| miette!("no board is called {name}"))?;
        // For the board's own kernels, as a product would have it.
        let options = PlanOptions { target: target_of(board), ..PlanOptions::default() };
        let job = |e: &Entry| {
            let packed = export::for_core(&e.file, &options, None);
            let (_, file) = packed.map_err(|error| miette!("{}: {error}", e.name))?;
            Ok(Job {
                name: e.name.clone(),
                model: file.as_slice().to_vec(),
                runs: vec![Run { inputs: vec![e.input.clone()], ..Run::default() }],
            })
        };
        let jobs = entries.iter().map(job).collect::<Result<Vec<Job>>>()?;
        eprintln!("emulating {name} ({})", board.core);
        let report = match dunlin_emulator::run(board, &jobs, &Options::default()) {
            Ok(report) => report,
            Err(error) => {
                let text = error.to_string();
                left_out.push(if text.starts_with(name) { text } else { format!("{name}: {text}") });
                continue;
            }
        };
        for ((entry, outcome), job) in entries.iter().zip(&mut outcomes).zip(&report.jobs) {
            let result = match job.outcome.result() {
                Ok(result) => result,
                Err(reason) => {
                    left_out.push(format!("{} on {name}: {reason}", entry.name));
                    continue;
                }
            };
            let Some(first) = result.runs.first() else { continue };
            outcome.boards.push(BoardRun {
                board: name.clone(),
                core: report.core.clone(),
                isa: result.isa.clone(),
                instructions: first.instructions,
                stack_bytes: first.stack_bytes,
                flash_bytes: report.flash_bytes,
                difference: difference(&outcome.outputs, &first.outputs)
                    .map(|d| format!("{} on {name}: {d}", entry.name)),
            });
            outcome.outputs = on_board(&outcome.outputs, &first.outputs);
        }
    }
    Ok(outcomes)
}

/// A line per board, and whether all agree with this machine.
pub(super) fn print(names: &[String], entries: &[Entry], outcomes: &[Outcome]) {
    let runs = || outcomes.iter().flat_map(|o| &o.boards);
    if runs().next().is_none() {
        return;
    }
    let rows = names.iter().filter_map(|name| {
        let first = runs().find(|r| r.board == *name)?;
        let stack = runs().filter(|r| r.board == *name).map(|r| r.stack_bytes).max()?;
        Some(vec![
            name.clone(),
            first.core.clone(),
            first.isa.clone(),
            number(first.flash_bytes),
            number(u64::from(stack)),
        ])
    });
    println!("{}\n", table(&["board", "core", "kernels", "code flash B", "stack B"], &[3, 4], rows));
    let (agree, all) = (runs().filter(|r| r.difference.is_none()).count(), runs().count());
    if agree == all {
        println!("board and host agree bit for bit in all {all} runs of {} models", entries.len());
    }
}
