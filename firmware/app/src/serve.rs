//! Runs the jobs of a job file.

use crate::writer::{self, Writer};
use dunlin::{Model, ParseError, Session, SessionError, Storage};
use dunlin_emulator::board::Board;
use dunlin_emulator::job::{JobFile, JobView};
use dunlin_emulator::record::{self, Kind, Sink, Span};

/// What a board gives to the application.
pub trait Platform {
    /// Where the records go.
    type Results: Sink;

    /// The result file.
    fn results(&mut self) -> &mut Self::Results;

    /// Waits for the next tick of the timer and returns it.
    fn tick(&mut self) -> u64;

    /// Time since `start`, which [`Self::tick`] returned.
    fn since(&mut self, start: u64) -> Span;

    /// Runs `work` once between the two marker instructions; returns its time and the bytes of stack it used.
    fn measure(&mut self, work: impl FnOnce()) -> (Span, u32);

    /// Runs `work`, which may write results, once between the two marker instructions; returns its time.
    fn time(&mut self, work: impl FnOnce(&mut Self::Results)) -> Span;

    /// Runs `work` once between the two marker instructions.
    fn bracket(work: impl FnOnce());

    /// The marker instruction that precedes a node.
    fn node_begins();

    /// The marker instruction that follows a node.
    fn node_ends();

    /// Time of `CALIBRATION_INSTRUCTIONS` instructions.
    fn calibrate(&mut self) -> Span;

    /// Ticks of the board's timer, modulo 2^32, without waiting for the next.
    fn ticks() -> u32;

    /// The deepest stack so far, bytes.
    fn peak_stack(&mut self) -> u32;
}

/// Runs every job of `jobs` and writes its records; a refused job is a record, not the end.
pub fn serve<P: Platform, const NODES: usize, const TENSORS: usize, const IDS: usize>(
    platform: &mut P,
    board: &Board,
    jobs: &JobFile,
    storage: &mut Storage<NODES, TENSORS, IDS>,
    arena: &mut [u8],
) {
    start(platform, board, jobs.jobs(), storage, arena);
    let mut records = 1;
    for index in 0..jobs.jobs() {
        let Ok(job) = jobs.job(index) else { break };
        let mut writer =
            Writer { platform: &mut *platform, job: index as u32, run: 0, records: &mut records };
        if let Err(failure) = run_job(&mut writer, &job, jobs.profile(), storage, arena) {
            writer.failure(&failure);
        }
    }
    Writer { platform, job: 0, run: 0, records: &mut records }.end();
}

/// Calibrates and writes the first record.
pub(crate) fn start<P: Platform, const NODES: usize, const TENSORS: usize, const IDS: usize>(
    platform: &mut P,
    board: &Board,
    jobs: usize,
    _: &Storage<NODES, TENSORS, IDS>,
    arena: &[u8],
) {
    let table_bytes = size_of::<Storage<NODES, TENSORS, IDS>>() as u32;
    defmt::info!(
        "{=str} ({=str}): {=usize} jobs, arena up to {=usize} B",
        board.name,
        board.core,
        jobs,
        arena.len()
    );
    let clock = writer::span_words(platform.calibrate());
    let results = platform.results();
    let payload = 8 * 4 + board.name.len();
    record::begin(results, Kind::Start, payload);
    let start = [record::VERSION, NODES as u32, TENSORS as u32, table_bytes, jobs as u32];
    record::words(results, &start);
    record::words(results, &clock);
    results.write(board.name.as_bytes());
    record::finish(results, payload);
}

/// Why a job ended early.
pub(crate) enum Failure {
    Parse(ParseError),
    Session(SessionError),
    Input(SessionError),
    #[cfg(feature = "track")]
    Tracker(dunlin_track::Int8Error),
    #[cfg(feature = "control")]
    Policy(crate::policy::Unfit),
    InputCount {
        given: usize,
        expected: usize,
    },
    InputLength {
        input: usize,
        given: usize,
        expected: usize,
    },
}

/// Alignment of arena and state.
const ALIGN: usize = 16;

/// Arena and state of `model` in `memory`; the session refuses what is too short. The state is no longer than needed: resetting it
/// takes time for every byte.
pub(crate) fn split<'m>(model: &Model, memory: &'m mut [u8]) -> (&'m mut [u8], &'m mut [u8]) {
    let arena = model.arena_bytes().next_multiple_of(ALIGN).min(memory.len());
    let (arena, state) = memory.split_at_mut(arena);
    let bytes = model.state_bytes().min(state.len());
    (arena, &mut state[..bytes])
}

/// Serves one job of a kind of its own: the first record, what `work` writes or why it failed, the last record.
#[cfg(any(feature = "track", feature = "control"))]
pub(crate) fn serve_one<P: Platform, const NODES: usize, const TENSORS: usize, const IDS: usize>(
    platform: &mut P,
    board: &Board,
    storage: &mut Storage<NODES, TENSORS, IDS>,
    arena: &mut [u8],
    work: impl FnOnce(&mut Writer<'_, P>, &mut Storage<NODES, TENSORS, IDS>, &mut [u8]) -> Result<(), Failure>,
) {
    start(platform, board, 1, storage, arena);
    let mut records = 1;
    let mut writer = Writer { platform: &mut *platform, job: 0, run: 0, records: &mut records };
    if let Err(failure) = work(&mut writer, storage, arena) {
        writer.failure(&failure);
    }
    writer.end();
}

fn run_job<P: Platform, const NODES: usize, const TENSORS: usize, const IDS: usize>(
    writer: &mut Writer<'_, P>,
    job: &JobView,
    profile: bool,
    storage: &mut Storage<NODES, TENSORS, IDS>,
    memory: &mut [u8],
) -> Result<(), Failure> {
    let start = writer.platform.tick();
    let parsed = Model::parse(job.model, storage);
    let parsing = writer.platform.since(start);
    let model = parsed.map_err(Failure::Parse)?;
    if model.inputs().len() != job.inputs_per_run {
        return Err(Failure::InputCount { given: job.inputs_per_run, expected: model.inputs().len() });
    }
    let (arena, state) = split(&model, memory);
    let mut session = Session::with_state(&model, arena, state).map_err(Failure::Session)?;
    session.reset_state();
    for run in 0..job.runs {
        writer.run = run as u32;
        prepare(&mut session, job, run)?;
        let (span, stack) = writer.platform.measure(|| session.run());
        writer.run_record(&model, &session, [span, parsing], stack);
    }
    if profile {
        session.reset_state();
        for run in 0..job.runs {
            writer.run = run as u32;
            prepare(&mut session, job, run)?;
            writer.profile_record(model.nodes().len(), |observer| session.run_observed(observer));
        }
    }
    Ok(())
}

/// Sets the row counts and fills the inputs.
fn prepare(session: &mut Session<'_, '_>, job: &JobView, run: usize) -> Result<(), Failure> {
    for dim in 0..job.counts_per_run {
        // A missing entry cannot be: the job file was checked. Zero rows would be seen in the output.
        session.set_len(dim, job.count(run, dim).unwrap_or(0)).map_err(Failure::Input)?;
    }
    for input in 0..job.inputs_per_run {
        let bytes = job.input(run, input).unwrap_or(&[]);
        session.set_input_bytes(input, bytes).map_err(|error| match error {
            SessionError::Length { found, expected } => {
                Failure::InputLength { input, given: found as usize, expected: expected as usize }
            }
            error => Failure::Input(error),
        })?;
    }
    Ok(())
}

/// Bytes that one more entry of each table costs in a [`Storage`].
const NODE_BYTES: usize = (size_of::<Storage<64, 0, 0>>() - size_of::<Storage<0, 0, 0>>()) / 64;
const TENSOR_BYTES: usize = (size_of::<Storage<0, 64, 0>>() - size_of::<Storage<0, 0, 0>>()) / 64;

/// Bytes of a [`Storage`] that is just large enough for `model`.
pub(crate) fn table_bytes(model: &Model) -> usize {
    let ids: usize =
        model.nodes().iter().map(|node| model.ids(node.inputs).len() + model.ids(node.outputs).len()).sum();
    size_of::<Storage<0, 0, 0>>()
        + model.nodes().len() * NODE_BYTES
        + model.tensors().len() * TENSOR_BYTES
        + ids * size_of::<u16>()
}
