//! Every case and every model of the repository on every emulated board, against the host, byte for byte.
//!
//! What a board has no room for is counted and printed. Where nothing can be emulated these tests say so and count
//! as left out; with `CI=true`, `DUNLIN_REQUIRE_BOARDS=1` or images named by `DUNLIN_FIRMWARE` that is a failure.

use dunlin::ops::Aggregation;
use dunlin::{AlignedVec, IsaKind, Model, Session, Storage, Target};
use dunlin_emulator::board::{BOARDS, Board, MICROBIT, MPS2_AN386, MPS3_AN547};
use dunlin_emulator::meter::drawn_inputs;
use dunlin_emulator::{
    EmulateError, Job, JobOutcome, Options, Report, Run, Stage, emulation_is_off, leave_out, run,
};
use dunlin_tests::cases::{self, seeded};
use dunlin_tests::draw::Draw;
use dunlin_tests::golden::operators::{self, PARTS};
use dunlin_tests::golden::{self, COUNTS};
use dunlin_tests::host::{self, Tables};
use dunlin_tests::passing::{self, Graph, moved, rows};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Least share of the cases, in percent, that a board of 16 kB of RAM and 88 kB for jobs can run.
const LEAST_ON_MICROBIT: usize = 90;
/// Limit of one start of QEMU. A model of some hundred million multiply-accumulates takes a minute or two.
const TIME_LIMIT: Duration = Duration::from_secs(900);

/// A job and what the host says of it: bytes of every output of every run.
struct Expected {
    job: Job,
    outputs: Vec<Vec<Vec<u8>>>,
}

/// Prints a line that the test harness does not capture: what did not run must be seen.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The boards, or none where there is no emulation.
fn boards() -> &'static [Board] {
    if emulation_is_off() {
        leave_out(&format!("{} boards", BOARDS.len()), "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
        return &[];
    }
    &BOARDS
}

fn case_job(case: &cases::Case) -> Expected {
    job_of(case, case.name.clone(), case.model.clone())
}

/// The cases whose constants are packed for the instruction set `isa`.
fn packed_jobs(isa: &str, all: &[cases::Case]) -> Vec<Expected> {
    let runs_here = |target: Target| target.isa().is_some_and(|kind| kind.name() == isa);
    let of_case = |case: &cases::Case| {
        let (target, file) = case.packed.iter().find(|(target, _)| runs_here(*target))?;
        Some(job_of(case, format!("{}, {}", case.name, target.name()), file.clone()))
    };
    all.iter().filter_map(of_case).collect()
}

fn job_of(case: &cases::Case, name: String, model: Vec<u8>) -> Expected {
    let runs = case.runs.iter().map(|r| Run { inputs: r.inputs.clone(), counts: r.counts.clone() }).collect();
    let job = Job { name, model, runs };
    Expected { job, outputs: host::expected(case) }
}

fn golden_job() -> Expected {
    let model = std::fs::read(golden::folder(1).join("model.dun")).expect("the golden model");
    let inputs: Vec<_> = (0..COUNTS.len()).map(golden::inputs).collect();
    let runs =
        inputs.iter().zip(COUNTS).map(|(i, count)| Run { inputs: i.to_vec(), counts: vec![count] }).collect();
    let file = AlignedVec::from_slice(&model);
    let mut tables = Tables::new();
    let outputs = golden::run(&Model::parse(file.as_slice(), &mut tables).expect("version 1"), &inputs);
    Expected { job: Job { name: "golden/v1".into(), model, runs }, outputs: outputs.expect("memory enough") }
}

/// The golden models of the appended operators.
fn operator_jobs() -> impl Iterator<Item = Expected> {
    PARTS.iter().map(|part| {
        let model = std::fs::read(operators::folder().join(part.model_file())).expect("the golden model");
        let file = AlignedVec::from_slice(&model);
        let mut tables = Tables::new();
        let parsed = Model::parse(file.as_slice(), &mut tables).expect("version 1");
        let inputs: Vec<_> = (0..COUNTS.len()).map(|run| operators::inputs(&parsed, run)).collect();
        let outputs = golden::run(&parsed, &inputs).expect("memory enough");
        let runs = inputs.into_iter().enumerate();
        let runs = runs.map(|(run, inputs)| Run { inputs, counts: golden::counts(&parsed, run) }).collect();
        Expected { job: Job { name: format!("golden/{}", part.name), model, runs }, outputs }
    })
}

/// Compares the report of a board with what was expected; returns how many ran and what did not fit.
fn compare(board: &Board, report: &Report, expected: &[Expected]) -> (usize, Vec<String>) {
    assert_eq!(report.board, board.name);
    assert_eq!(report.jobs.len(), expected.len(), "{}: outcomes", board.name);
    let (mut ran, mut unfit) = (0, Vec::new());
    for (outcome, Expected { job, outputs }) in report.jobs.iter().zip(expected) {
        let name = format!("{} on {}", job.name, board.name);
        assert_eq!(outcome.name, job.name);
        match &outcome.outcome {
            JobOutcome::Ran(result) => {
                assert_eq!(result.isa, board.isa, "{name}");
                assert_eq!(result.runs.len(), outputs.len(), "{name}: runs");
                for (run, (found, expected)) in result.runs.iter().zip(outputs).enumerate() {
                    assert_eq!(&found.outputs, expected, "{name}, run {run}");
                }
                ran += 1;
            }
            JobOutcome::DoesNotFit { needed, available } => {
                unfit.push(format!("{}: {needed} bytes of job, {available} there", job.name));
            }
            // Too small an arena is the board's limit; a refused file or input would be a defect.
            JobOutcome::Failed(failure) if failure.stage == Stage::Session => {
                unfit.push(format!("{}: {}", job.name, failure.text));
            }
            JobOutcome::Failed(failure)
                if failure.stage == Stage::Parse && failure.text.contains("Capacity") =>
            {
                unfit.push(format!("{}: {}", job.name, failure.text));
            }
            JobOutcome::Failed(failure) => panic!("{name}: {:?} {}", failure.stage, failure.text),
        }
    }
    (ran, unfit)
}

/// Runs the jobs and compares; `None` where this board cannot be emulated here.
fn emulate(board: &Board, expected: &[Expected]) -> Option<(usize, Vec<String>)> {
    let jobs: Vec<Job> = expected.iter().map(|e| e.job.clone()).collect();
    let options = Options { time_limit: TIME_LIMIT, ..Options::default() };
    let report = match run(board, &jobs, &options) {
        Ok(report) => report,
        Err(error @ (EmulateError::NoImage { .. } | EmulateError::NoQemu { .. })) => {
            leave_out(board.name, &error.to_string());
            return None;
        }
        Err(error) => panic!("{}: {error}", board.name),
    };
    let (ran, unfit) = compare(board, &report, expected);
    let runs = report.jobs.iter().flat_map(|outcome| match &outcome.outcome {
        JobOutcome::Ran(result) => result.runs.as_slice(),
        _ => &[],
    });
    let stack = runs.map(|run| run.stack_bytes).max().unwrap_or(0);
    say(&format!(
        "{} ({}): {ran} of {} ran on {} in {:.1} s, stack of a run {stack} B, peak {} B, {} do not fit",
        board.name,
        board.core,
        expected.len(),
        board.isa,
        report.seconds,
        report.peak_stack_bytes,
        unfit.len()
    ));
    unfit.iter().for_each(|line| say(&format!("  does not fit: {line}")));
    assert_eq!(ran + unfit.len(), expected.len(), "{}", board.name);
    Some((ran, unfit))
}

#[test]
fn every_case_runs_alike_on_every_board() {
    let cases = seeded();
    let mut expected: Vec<Expected> = cases.iter().map(case_job).collect();
    expected.push(golden_job());
    expected.extend(operator_jobs());
    for board in boards() {
        let Some((ran, unfit)) = emulate(board, &expected) else { continue };
        if board.name == MICROBIT.name {
            assert!(
                ran * 100 >= expected.len() * LEAST_ON_MICROBIT,
                "only {ran} cases ran on {}",
                board.name
            );
        } else {
            assert!(unfit.is_empty(), "{}: every case fits a board with megabytes: {unfit:?}", board.name);
            let packed = packed_jobs(board.isa, &cases);
            assert!(
                packed.len() >= 50,
                "{}: {} cases are packed for {}",
                board.name,
                packed.len(),
                board.isa
            );
            let (_, unfit) = emulate(board, &packed).expect("it ran a moment ago");
            assert!(unfit.is_empty(), "{}: {unfit:?}", board.name);
        }
    }
}

#[test]
fn a_file_for_another_core_is_refused_by_name() {
    let cases = seeded();
    for (board, other) in boards().iter().flat_map(|b| ["dsp", "mve"].map(|isa| (b, isa))) {
        if board.isa == other {
            continue;
        }
        let job = packed_jobs(other, &cases).remove(0).job;
        let report = match run(board, &[job], &Options::default()) {
            Ok(report) => report,
            Err(error) => return leave_out(board.name, &error.to_string()),
        };
        let JobOutcome::Failed(failure) = &report.jobs[0].outcome else {
            panic!("{} ran a file for {other}", board.name)
        };
        assert!(failure.stage == Stage::Parse && failure.text.contains("Target"), "{}", failure.text);
    }
}

/// A graph, and the same with nodes and edges in another order: the second run must give the rows of the first.
fn permuted_job(aggregation: Aggregation) -> Expected {
    let file = passing::model([12, 40], 2, aggregation);
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables).expect("a valid network");
    let mut draw = Draw::seeded(21);
    let graph = Graph::draw(&mut draw, [11, 38]);
    let [nodes, edges] = [11, 38].map(|count| draw.order(count));
    let other = graph.permuted(&nodes, &edges);
    let plain = passing::run(&model, &graph, IsaKind::Scalar).expect("memory enough");
    let orders = [nodes, edges];
    let moved = plain.iter().zip(&orders).map(|(output, order)| moved(&rows(output), order).concat());
    let outputs = vec![plain.clone(), moved.collect()];
    assert_ne!(outputs[0], outputs[1]);
    let runs = [graph, other].map(|graph| Run { inputs: graph.inputs(), counts: graph.counts() }).to_vec();
    let name = format!("passing/{aggregation:?}");
    Expected { job: Job { name, model: file.as_slice().to_vec(), runs }, outputs }
}

const AGGREGATIONS: [Aggregation; 3] = [Aggregation::Sum, Aggregation::Mean, Aggregation::Max];

#[test]
fn the_order_of_nodes_and_edges_changes_no_bit_on_any_board() {
    let expected = AGGREGATIONS.map(permuted_job);
    for board in boards() {
        let Some((_, unfit)) = emulate(board, &expected) else { continue };
        assert!(unfit.is_empty(), "{}: {unfit:?}", board.name);
    }
}

#[test]
fn the_cost_of_a_graph_follows_its_counts() {
    const BOUNDS: [u32; 2] = [192, 1024];
    /// Part of the bounds in percent, and the largest part of the instructions.
    const PARTS: [(u32, u64); 3] = [(10, 15), (50, 60), (100, 100)];
    if emulation_is_off() {
        return leave_out("the cost of graphs", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let jobs = AGGREGATIONS.map(|aggregation| {
        let graph = |(part, _)| Graph::draw(&mut Draw::seeded(4), BOUNDS.map(|bound| bound * part / 100));
        let runs = PARTS.map(graph).map(|g| Run { inputs: g.inputs(), counts: g.counts() });
        let model = passing::model(BOUNDS, 2, aggregation).as_slice().to_vec();
        Job { name: format!("{aggregation:?}"), model, runs: runs.to_vec() }
    });
    for board in [&MPS2_AN386, &MPS3_AN547] {
        let options = Options { time_limit: TIME_LIMIT, ..Options::default() };
        let report = match run(board, &jobs, &options) {
            Ok(report) => report,
            Err(error @ (EmulateError::NoImage { .. } | EmulateError::NoQemu { .. })) => {
                leave_out(board.name, &error.to_string());
                continue;
            }
            Err(error) => panic!("{}: {error}", board.name),
        };
        for job in &report.jobs {
            let result = job.outcome.result().unwrap_or_else(|e| panic!("{}: {e:?}", job.name));
            let cost: Vec<u64> = result.runs.iter().map(|run| run.instructions).collect();
            say(&format!("| {} | {} | {} | {} | {} |", board.core, job.name, cost[0], cost[1], cost[2]));
            for ((part, most), cost_of_part) in PARTS.into_iter().zip(&cost) {
                let name = format!("{} on {}: {part} %", job.name, board.name);
                assert!(cost_of_part * 100 <= cost[2] * most, "{name} of the graph cost {cost:?}");
            }
        }
    }
}

/// The model of every folder of `folder`.
fn model_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let model = |folder: PathBuf| Some(folder.join(folder.file_name()?).with_extension("dun"));
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| model(entry.ok()?.path())).collect();
    files.retain(|file| file.is_file());
    files.sort();
    files
}

/// A model of the repository with drawn inputs, run on the host.
fn model_job(path: &Path) -> Expected {
    let model = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = AlignedVec::from_slice(&model);
    let mut tables = Box::new(Storage::<1024, 2048, 4096>::new());
    let parsed =
        Model::parse(file.as_slice(), &mut tables).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let inputs = drawn_inputs(&parsed);
    let (mut arena, mut state) =
        (AlignedVec::zeroed(parsed.arena_bytes()), AlignedVec::zeroed(parsed.state_bytes()));
    let mut session =
        Session::with_state(&parsed, arena.as_mut_slice(), state.as_mut_slice()).expect("memory enough");
    session.reset_state();
    for (i, bytes) in inputs.iter().enumerate() {
        session.set_input_bytes(i, bytes).expect("an input");
    }
    session.run();
    let outputs = (0..parsed.outputs().len()).map(|i| session.output_bytes(i).expect("an output").to_vec());
    let outputs = vec![outputs.collect()];
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Expected { job: Job { name, model, runs: vec![Run { inputs, counts: Vec::new() }] }, outputs }
}

#[test]
fn every_model_of_the_repository_runs_alike_on_every_board() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let expected: Vec<Expected> = model_files(&folder).iter().map(|path| model_job(path)).collect();
    say(&format!("{} models under {}", expected.len(), folder.display()));
    for board in boards() {
        let Some((_, unfit)) = emulate(board, &expected) else { continue };
        // The large boards hold every model; what the small one cannot hold was printed.
        assert!(board.name == MICROBIT.name || unfit.is_empty(), "{}: {unfit:?}", board.name);
    }
}
