//! Tracking: detections are streamed in, the rows of tracks are streamed out as they become final.
//!
//! [`dunlin_track`] is the tracker; here it is given its frames from a job file, and what it gives out goes to the records.

use core::mem::MaybeUninit;

use dunlin::{Model, Session, Storage};
use dunlin_emulator::board::Board;
use dunlin_emulator::record::{self, Kind, Sink};
use dunlin_emulator::tracking::{JobFile, MOST_DETECTIONS, ROW_WORDS, row_words};
use heapless::Vec;

pub use dunlin_track::*;

use crate::serve::{Failure, Platform, serve_one, split, table_bytes};
use crate::writer::{Writer, span_words};

/// Rows that are held until a step is over. One frame's rows are no more than tracks; a step after a gap gives out several
/// frames and writes in between.
const ROWS: usize = 128;

/// The memory of a tracking service: a static, which takes no flash.
pub struct Memory {
    tracker: MaybeUninit<Standard>,
    detections: Vec<Detection, MOST_DETECTIONS>,
    rows: Vec<[u32; ROW_WORDS], ROWS>,
}

impl Memory {
    /// Memory in which nothing is tracked.
    pub const fn new() -> Self {
        Self { tracker: MaybeUninit::uninit(), detections: Vec::new(), rows: Vec::new() }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// Tracks through the frames of `job` and writes the records; a model that is refused is a record.
pub fn serve<P: Platform, const NODES: usize, const TENSORS: usize, const IDS: usize>(
    platform: &mut P,
    board: &Board,
    job: &JobFile,
    storage: &mut Storage<NODES, TENSORS, IDS>,
    memory: &mut Memory,
    arena: &mut [u8],
) {
    serve_one(platform, board, storage, arena, |writer, storage, arena| {
        track(writer, job, storage, memory, arena)
    });
}

fn track<P: Platform, const NODES: usize, const TENSORS: usize, const IDS: usize>(
    writer: &mut Writer<'_, P>,
    job: &JobFile,
    storage: &mut Storage<NODES, TENSORS, IDS>,
    memory: &mut Memory,
    arena: &mut [u8],
) -> Result<(), Failure> {
    let Memory { tracker, detections, rows } = memory;
    let begin = writer.platform.tick();
    let parsed = Model::parse(job.model, storage);
    let parsing = writer.platform.since(begin);
    let model = parsed.map_err(Failure::Parse)?;
    let (arena, state) = split(&model, arena);
    let mut session = Session::with_state(&model, arena, state).map_err(Failure::Session)?;
    session.reset_state();
    let isa = session.isa().name();
    let mut network =
        Int8::new(&mut session, Standard::NODES as u32, Standard::EDGES as u32).map_err(Failure::Tracker)?;
    let tracker = tracker.write(Standard::new(job.settings));

    let sizes = [model.arena_bytes(), model.state_bytes(), table_bytes(&model), size_of::<Standard>()];
    writer.opened(sizes, parsing, isa);

    for frame in job.frames() {
        detections.clear();
        // The job file was checked: there is room.
        detections.extend(frame.detections());
        let Writer { platform, records, .. } = &mut *writer;
        let span = platform.time(|results| {
            tracker
                .step(&mut network, frame.number, detections, &mut |row| hold(rows, &row, results, records));
        });
        send(rows, writer.platform.results(), writer.records);
        let [nodes, edges] = tracker.graph_size().map(|count| count as u32);
        let results = writer.plain(Kind::Step, 6 * 4);
        record::words(results, &[frame.number, nodes, edges]);
        record::words(results, &span_words(span));
    }
    let (results, records) = (writer.platform.results(), &mut *writer.records);
    tracker.finish(&mut |row| hold(rows, &row, results, records));
    send(rows, results, records);
    let c = tracker.counts();
    let counts =
        [c.frames, c.repeated, c.restarted, c.invalid, c.unsure, c.duplicates, c.crowded, c.edges, c.unborn];
    record::words(writer.plain(Kind::Counts, 4 * counts.len()), &counts);
    Ok(())
}

/// Keeps a row until its step is over, or writes those before it where there is no more room.
fn hold(rows: &mut Vec<[u32; ROW_WORDS], ROWS>, row: &Tracked, results: &mut impl Sink, records: &mut u32) {
    if rows.is_full() {
        send(rows, results, records);
    }
    // There is room now.
    let _ = rows.push(row_words(row));
}

fn send(rows: &mut Vec<[u32; ROW_WORDS], ROWS>, results: &mut impl Sink, records: &mut u32) {
    if rows.is_empty() {
        return;
    }
    *records += 1;
    record::begin(results, Kind::Rows, rows.len() * ROW_WORDS * 4);
    rows.iter().for_each(|row| record::words(results, row));
    rows.clear();
}
