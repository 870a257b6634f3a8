//! `dunlin track --board`: the message passing tracker on an emulated board, held against the host.

use super::emulate::target_of;
use dunlin::Target;
use dunlin_emulator::board::{self, TRACKING};
use dunlin_emulator::tracking::Frame;
use dunlin_emulator::{Options, TrackJob, track, track_on_host};
use dunlin_trainer::data::mot::{Row, Sequence};
use dunlin_trainer::export::for_core;
use dunlin_trainer::plan::PlanOptions;
use dunlin_trainer::track::mpn::{Solver, on_device, row};
use dunlin_trainer::track::{Scene, Settings};
use miette::{Result, bail, miette};
use serde::Serialize;
use std::time::Duration;

/// A thousand frames take some ten seconds.
const TIME_LIMIT: Duration = Duration::from_secs(900);

/// The boards that have an image that tracks.
pub(super) fn boards() -> clap::builder::PossibleValuesParser {
    TRACKING.map(|board| board.name).into()
}

/// What a board took for a sequence.
#[derive(Serialize)]
pub(super) struct OnBoard {
    board: String,
    core: String,
    /// Of a frame, on average and at most.
    instructions: [u64; 2],
    /// The largest graph.
    nodes: u32,
    edges: u32,
    arena_bytes: u32,
    tracker_bytes: u32,
    stack_bytes: u32,
    /// Of the image without the network.
    flash_bytes: u64,
}

/// Tracks through a sequence on the board called `name`, by the network packed for its core; its rows must be the host's.
pub(super) fn run(
    name: &str,
    settings: &Settings,
    solver: Option<&Solver>,
    sequence: &Sequence,
) -> Result<(Vec<Row>, OnBoard)> {
    let help = "use --tracker mpn, whose network runs in int8";
    let built_in = Solver::built_in();
    let (Settings::Mpn(params), Solver::Int8(file)) = (settings, solver.unwrap_or(&built_in)) else {
        bail!(help = help, "no other tracker runs on a board");
    };
    let board = board::find(name).ok_or_else(|| miette!("no board is called {name}"))?;
    let frames = sequence
        .detections
        .iter()
        .zip(1..)
        .map(|(detections, number)| Frame { number, detections: detections.iter().map(on_device).collect() });
    let portable = TrackJob {
        name: sequence.info.name.clone(),
        model: file.clone(),
        settings: params.settings(Scene::from(&sequence.info)),
        frames: frames.collect(),
    };
    let host =
        track_on_host(&portable).map_err(|e| miette!(help = "--model names a tracker's .dun file", "{e}"))?;
    let target: Target = target_of(board);
    let plan = PlanOptions { target, ..PlanOptions::default() };
    let (_, packed) = for_core(file, &plan, None).map_err(|e| miette!("{e}"))?;
    let job = TrackJob { model: packed.as_slice().to_vec(), ..portable };
    let options = Options { time_limit: TIME_LIMIT, ..Options::default() };
    let report = track(board, &job, &options)
        .map_err(|e| miette!(help = "docs/boards.md says what an emulated board needs", "{e}"))?;
    if report.tracks.bytes() != host.bytes() {
        let step = report.tracks.steps.iter().zip(&host.steps).find(|(board, host)| board != host);
        let at = step.map_or("after the last frame".into(), |(_, host)| format!("with frame {}", host.frame));
        bail!(
            help = "this is a defect of Dunlin",
            "{}: the rows of {name} differ from the host's {at}",
            job.name
        );
    }
    let mut rows: Vec<Row> = report.tracks.rows().map(row).collect();
    rows.sort_by_key(|row| (row.frame, row.id));
    let largest = |at: usize| report.tracks.steps.iter().map(|step| step.graph[at]).max().unwrap_or(0);
    let [sum, most] =
        [report.instructions.iter().sum(), report.instructions.iter().max().copied().unwrap_or(0)];
    let on_board = OnBoard {
        instructions: [sum / job.frames.len().max(1) as u64, most],
        nodes: largest(0),
        edges: largest(1),
        arena_bytes: report.arena_bytes,
        tracker_bytes: report.tracker_bytes,
        stack_bytes: report.peak_stack_bytes,
        flash_bytes: report.flash_bytes,
        board: report.board,
        core: report.core,
    };
    Ok((rows, on_board))
}

impl OnBoard {
    /// A line for people.
    pub(super) fn line(&self) -> String {
        let [mean, most] = self.instructions;
        format!(
            "{} ({}): rows equal to the host's, {mean} instructions a frame, at most {most}; graphs of up to {} nodes and {} \
             edges; arena {} bytes, tracker {}, deepest stack {}",
            self.board,
            self.core,
            self.nodes,
            self.edges,
            self.arena_bytes,
            self.tracker_bytes,
            self.stack_bytes
        )
    }
}
