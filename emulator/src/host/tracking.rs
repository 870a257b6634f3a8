//! Tracking on a board, and the same on the host to hold it against.

use std::path::{Path, PathBuf};
use std::time::Instant;

use dunlin::{AlignedVec, Model, Session, Storage};
use dunlin_track::{Counts, Int8, Settings, Standard, Tracked};

use super::image::{find_tracking_image, flash_bytes};
use super::qemu::{self, Output};
use super::result::{Records, Stage};
use super::{EmulateError, LogLine, Options, require_room};
use crate::board::Board;
use crate::record::decode::{Record, parse};
use crate::record::instructions;
use crate::tracking::{self, Frame, ROW_WORDS, encode};

/// A network, settings and the frames to track through.
#[derive(Clone, Debug)]
pub struct TrackJob {
    /// What errors call it.
    pub name: String,
    /// The `.dun` bytes of the network.
    pub model: Vec<u8>,
    /// How the tracker works.
    pub settings: Settings,
    /// The frames in the order in which they are given.
    pub frames: Vec<Frame>,
}

/// What a tracker gave out, by the frame that made it final.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracks {
    /// Of each frame given: the rows that became final with it.
    pub steps: Vec<Step>,
    /// The rows that were open after the last frame.
    pub rest: Vec<Tracked>,
    /// What was left out.
    pub counts: Counts,
}

/// A frame that was taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Its number.
    pub frame: u32,
    /// Nodes and edges of its graph.
    pub graph: [u32; 2],
    /// The rows that have become final.
    pub rows: Vec<Tracked>,
}

impl Tracks {
    /// All rows in the order in which they were given out.
    pub fn rows(&self) -> impl Iterator<Item = &Tracked> {
        self.steps.iter().flat_map(|step| &step.rows).chain(&self.rest)
    }

    /// The bytes of all rows, as a board writes them.
    pub fn bytes(&self) -> Vec<u8> {
        self.rows().flat_map(tracking::row_words).flat_map(u32::to_le_bytes).collect()
    }
}

/// What tracking on a board found out.
#[derive(Clone, Debug)]
pub struct TrackReport {
    /// Name of the board.
    pub board: String,
    /// Its core.
    pub core: String,
    /// The instruction set whose kernels ran.
    pub isa: String,
    /// Flash of the image without the network, bytes.
    pub flash_bytes: u64,
    /// Bytes of arena and state of the network.
    pub arena_bytes: u32,
    /// Bytes of its decoded tables.
    pub table_bytes: u32,
    /// Bytes of the tracker.
    pub tracker_bytes: u32,
    /// Deepest stack, bytes.
    pub peak_stack_bytes: u32,
    /// Instructions of parsing the network, from the timer; off by some ten at most.
    pub parse_instructions: u64,
    /// Instructions of each step, from the timer; off by some ten at most.
    pub instructions: Vec<u64>,
    /// What was given out.
    pub tracks: Tracks,
    /// Host time, seconds.
    pub seconds: f64,
    /// What the image logged.
    pub log: Vec<LogLine>,
}

/// Tracks through the frames of `job` on `board`.
///
/// # Errors
/// As [`run`](super::run); a network that the image refuses, a job that is too large.
pub fn track(board: &Board, job: &TrackJob, options: &Options) -> Result<TrackReport, EmulateError> {
    Ok(track_metered(board, job, options, None)?.0)
}

/// The same under `plugin`, if there is one: also what the plugin wrote, and the image.
pub(crate) fn track_metered(
    board: &Board,
    job: &TrackJob,
    options: &Options,
    plugin: Option<&Path>,
) -> Result<(TrackReport, String, PathBuf), EmulateError> {
    let image = match &options.image {
        Some(image) => image.clone(),
        None => find_tracking_image(board)?,
    };
    let refused = |reason: String| EmulateError::Refused { board: board.name.to_owned(), reason };
    let file = encode(&job.model, &job.settings, &job.frames).map_err(refused)?;
    require_room(board, &job.name, &file)?;
    let flash = flash_bytes(&image)?;
    let started = Instant::now();
    let mut output = qemu::execute(board, &image, Some(&file), plugin, options.time_limit)?;
    let counts = std::mem::take(&mut output.counts);
    let mut report = read(board, job, output)?;
    (report.flash_bytes, report.seconds) = (flash, started.elapsed().as_secs_f64());
    Ok((report, counts, image))
}

fn read(board: &Board, job: &TrackJob, output: Output) -> Result<TrackReport, EmulateError> {
    let bad = |reason| EmulateError::BadResults { board: board.name.to_owned(), reason };
    let records = parse(&output.results).map_err(bad)?;
    let mut reader = Records { board, records: records.into_iter(), read: 0, log: &output.log };
    reader.start(1).map_err(bad)?;
    let mut report = match reader.next().map_err(bad)? {
        Record::Opened { arena, state, tables, tracker, parsing, isa } => TrackReport {
            board: board.name.to_owned(),
            core: board.core.to_owned(),
            isa,
            flash_bytes: 0,
            arena_bytes: arena + state,
            table_bytes: tables,
            tracker_bytes: tracker,
            peak_stack_bytes: 0,
            parse_instructions: instructions(parsing, board.timer_hz),
            instructions: Vec::new(),
            tracks: Tracks::default(),
            seconds: 0.0,
            log: Vec::new(),
        },
        Record::Failure { job: 0, run: 0, stage } => {
            let (stage, text) = (Stage::from(stage), reader.reason(0));
            let reason = format!("{}: {stage:?}: {text}", job.name);
            return Err(EmulateError::Refused { board: board.name.to_owned(), reason });
        }
        other => return Err(bad(format!("expected a tracker, found {other:?}"))),
    };
    report.fill(&mut reader, &job.frames).map_err(bad)?;
    report.log = output.log;
    Ok(report)
}

impl TrackReport {
    /// Takes the records after the first two.
    fn fill(
        &mut self,
        reader: &mut Records<'_, impl Iterator<Item = Record>>,
        frames: &[Frame],
    ) -> Result<(), String> {
        let mut rows: Vec<Tracked> = Vec::new();
        loop {
            match reader.next()? {
                Record::Rows(words) => {
                    let (words, rest) = words.as_chunks::<ROW_WORDS>();
                    let read = words.iter().map(tracking::row).collect::<Option<Vec<_>>>();
                    rows.extend(read.filter(|_| rest.is_empty()).ok_or("a record of rows is none")?);
                }
                Record::Step { frame, graph, span }
                    if frames.get(self.instructions.len()).is_some_and(|f| f.number == frame) =>
                {
                    self.instructions.push(instructions(span, reader.board.timer_hz));
                    self.tracks.steps.push(Step { frame, graph, rows: std::mem::take(&mut rows) });
                }
                Record::Counts(counts) if self.instructions.len() == frames.len() => {
                    let counts: [u32; 9] =
                        counts.try_into().map_err(|c| format!("the tracker's counts are {c:?}"))?;
                    let [frames, repeated, restarted, invalid, unsure, duplicates, crowded, edges, unborn] =
                        counts;
                    self.tracks.counts = Counts {
                        frames,
                        repeated,
                        restarted,
                        invalid,
                        unsure,
                        duplicates,
                        crowded,
                        edges,
                        unborn,
                    };
                    self.tracks.rest = rows;
                    self.peak_stack_bytes = reader.end()?;
                    return Ok(());
                }
                other => {
                    let step = self.instructions.len();
                    return Err(format!("expected frame {step} of {}, found {other:?}", frames.len()));
                }
            }
        }
    }
}

/// Tracks through the frames of `job` on the host.
///
/// # Errors
/// The runtime refuses the model, or it is no tracker's.
pub fn track_on_host(job: &TrackJob) -> Result<Tracks, String> {
    let file = AlignedVec::from_slice(&job.model);
    let mut tables = Box::new(Storage::<1024, 2048, 4096>::new());
    let model = Model::parse(file.as_slice(), &mut tables).map_err(|e| format!("{}: {e}", job.name))?;
    let mut arena = AlignedVec::zeroed(model.arena_bytes());
    let mut state = AlignedVec::zeroed(model.state_bytes());
    let session = Session::with_state(&model, arena.as_mut_slice(), state.as_mut_slice());
    let mut session = session.map_err(|e| format!("{}: {e}", job.name))?;
    session.reset_state();
    let network = Int8::new(&mut session, Standard::NODES as u32, Standard::EDGES as u32);
    let mut network = network.map_err(|e| format!("{}: {e}", job.name))?;
    let mut tracker = Box::new(Standard::new(job.settings));
    let mut tracks = Tracks::default();
    for Frame { number, detections } in &job.frames {
        let mut rows = Vec::new();
        tracker.step(&mut network, *number, detections, &mut |row| rows.push(row));
        let graph = tracker.graph_size().map(|count| count as u32);
        tracks.steps.push(Step { frame: *number, graph, rows });
    }
    tracker.finish(&mut |row| tracks.rest.push(row));
    tracks.counts = *tracker.counts();
    Ok(tracks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::MPS2_AN386 as BOARD;
    use crate::record::{Kind, VERSION, record};
    use dunlin_track::Rect;

    fn row(frame: u32) -> Tracked {
        let bounds = Rect { x: 1.0, y: 2.0, w: 3.0, h: 4.0 };
        Tracked { frame, id: 1, bounds, interpolated: false }
    }

    /// What an image writes that is given the frames 1 and 2, if it says that the second is frame `second`.
    fn file(second: u32, counts: &[u32], records: u32) -> Vec<u8> {
        let mut file = Vec::new();
        record(&mut file, Kind::Start, &[VERSION, 256, 512, 4096, 1, 100, 0, 0], BOARD.name.as_bytes());
        record(&mut file, Kind::Opened, &[64, 0, 80, 900, 50, 0, 2], b"dsp");
        record(&mut file, Kind::Step, &[1, 7, 8, 10, 0, 1], b"");
        record(
            &mut file,
            Kind::Rows,
            &[tracking::row_words(&row(1)), tracking::row_words(&row(2))].concat(),
            b"",
        );
        record(&mut file, Kind::Step, &[second, 9, 10, 20, 0, 2], b"");
        record(&mut file, Kind::Rows, &tracking::row_words(&row(3)), b"");
        record(&mut file, Kind::Counts, counts, b"");
        record(&mut file, Kind::End, &[records, 512], b"");
        file
    }

    fn read_back(results: Vec<u8>) -> Result<TrackReport, EmulateError> {
        let frame = |number| Frame { number, detections: Vec::new() };
        let job = TrackJob {
            name: "two frames".to_owned(),
            model: Vec::new(),
            settings: Settings::new(10.0, None),
            frames: vec![frame(1), frame(2)],
        };
        let log = vec![LogLine { level: "error".to_owned(), text: "job 0: Interface".to_owned() }];
        read(&BOARD, &job, Output { log, results, counts: String::new() })
    }

    #[test]
    fn rows_belong_to_the_step_that_made_them_final() {
        let report = read_back(file(2, &[2, 0, 0, 1, 0, 0, 0, 0, 5], 7)).unwrap();
        let step = |frame, graph, rows| Step { frame, graph, rows };
        assert_eq!(report.tracks.steps, [step(1, [7, 8], vec![]), step(2, [9, 10], vec![row(1), row(2)])]);
        assert_eq!((report.tracks.rest.as_slice(), report.tracks.rows().count()), (&[row(3)][..], 3));
        let counts = report.tracks.counts;
        assert_eq!((counts.frames, counts.invalid, counts.unborn), (2, 1, 5));
        assert_eq!(report.instructions, [10 * 40 - 4, 20 * 40 - 8]);
        assert_eq!((report.arena_bytes, report.tracker_bytes, report.peak_stack_bytes), (64, 900, 512));
    }

    #[test]
    fn another_order_and_a_refusal_are_errors() {
        let good = [2, 0, 0, 1, 0, 0, 0, 0, 5];
        let said = |results| read_back(results).unwrap_err().to_string();
        assert!(said(file(3, &good, 7)).contains("expected frame 1 of 2"));
        assert!(said(file(2, &good[1..], 7)).contains("the tracker's counts"));
        assert!(said(file(2, &good, 8)).contains("expected the end after 7 records"));
        let mut refused = Vec::new();
        record(&mut refused, Kind::Start, &[VERSION, 256, 512, 4096, 1, 100, 0, 0], BOARD.name.as_bytes());
        record(&mut refused, Kind::Failure, &[0, 0, 4], b"");
        assert!(said(refused).contains("two frames: Tracker: Interface"));
    }
}
