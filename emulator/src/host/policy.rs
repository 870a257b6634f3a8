//! Control loops on a board.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::image::{find_policy_image, flash_bytes};
use super::line::LineError;
use super::qemu::{self, Output, Serial};
use super::result::{Records, Stage};
use super::{EmulateError, LogLine, Options, require_room};
use crate::board::Board;
use crate::link::LineCounts;
use crate::policy::{self, Actions, Controlled, Fault, JobFile, STATE};
use crate::record::decode::{Record, parse};
use crate::record::instructions;

/// How often the driver looks whether the board has connected.
const POLL: Duration = Duration::from_millis(2);

/// What a policy can do.
#[derive(Clone, Debug, PartialEq)]
pub enum ActionSpace {
    /// One of so many actions.
    Discrete(u32),
    /// A number for each bound.
    Continuous(Vec<f32>),
}

/// What a policy controls.
#[derive(Clone, Debug, PartialEq)]
pub enum Plant {
    /// Nothing: these observations come one after another, and make one episode.
    Given(Vec<f32>),
    /// A cart with a pole on the board; an episode from each of these states.
    CartPole(Vec<[f32; STATE]>),
    /// What is at the other end of the line.
    Line,
}

/// A policy, and what it controls.
#[derive(Clone, Debug)]
pub struct ControlJob {
    /// What errors call it.
    pub name: String,
    /// The `.dun` bytes of the network.
    pub model: Vec<u8>,
    /// What is subtracted from an observation; one for all elements where there is one.
    pub centre: Vec<f32>,
    /// What it is divided by then; one for all elements where there is one.
    pub spread: Vec<f32>,
    /// What can be done.
    pub actions: ActionSpace,
    /// What is controlled.
    pub controlled: Plant,
    /// Most steps of an episode.
    pub steps: u32,
    /// Time for a step, in microseconds of the board's clock.
    pub period_us: u32,
}

impl ControlJob {
    fn file(&self) -> JobFile<'_> {
        JobFile {
            model: &self.model,
            controlled: match &self.controlled {
                Plant::Given(observations) => Controlled::Given(observations),
                Plant::CartPole(states) => Controlled::CartPole(states),
                Plant::Line => Controlled::Line,
            },
            steps: self.steps,
            period_us: self.period_us,
            actions: match &self.actions {
                ActionSpace::Discrete(count) => Actions::Discrete(*count),
                ActionSpace::Continuous(bounds) => Actions::Continuous(bounds),
            },
            centre: &self.centre,
            spread: &self.spread,
        }
    }
}

/// A step of a control loop.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlStep {
    /// The episode that it belongs to.
    pub episode: u32,
    /// Why the safe action was taken, if it was.
    pub fault: Option<Fault>,
    /// The action: its index, or the bits of its numbers; empty for the safe action.
    pub action: Vec<u32>,
    /// The state after it of what is controlled on the board; else empty.
    pub state: Vec<f32>,
    /// Instructions of sensing, normalising, running and acting, from the timer; off by some ten at most.
    pub instructions: u64,
    /// Stack of the step, bytes.
    pub stack_bytes: u32,
}

/// What went wrong in a control loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Steps.
    pub steps: u32,
    /// Of them, those without an observation.
    pub sensor_errors: u32,
    /// Those in which a number was infinite or none.
    pub not_finite: u32,
    /// Those whose period was too short.
    pub overruns: u32,
    /// Those in which an action could not be taken.
    pub actuator_errors: u32,
}

/// What a control loop on a board has done.
#[derive(Clone, Debug)]
pub struct ControlReport {
    /// Name of the board.
    pub board: String,
    /// Its core.
    pub core: String,
    /// The instruction set whose kernels ran.
    pub isa: String,
    /// Flash of the image without the network, bytes.
    pub flash_bytes: u64,
    /// Bytes of arena of the network.
    pub arena_bytes: u32,
    /// Bytes of what persists in it.
    pub state_bytes: u32,
    /// Bytes of its decoded tables.
    pub table_bytes: u32,
    /// Bytes of the controller, with its observation and numbers.
    pub controller_bytes: u32,
    /// Deepest stack, bytes.
    pub peak_stack_bytes: u32,
    /// Instructions of parsing the network, from the timer; off by some ten at most.
    pub parse_instructions: u64,
    /// The steps.
    pub steps: Vec<ControlStep>,
    /// What went wrong.
    pub faults: Faults,
    /// What came over the line.
    pub line: LineCounts,
    /// Host time, seconds.
    pub seconds: f64,
    /// What the image logged.
    pub log: Vec<LogLine>,
}

/// Runs the loop of `job` on `board`, which controls something that is on the board.
///
/// # Errors
/// As [`run`](super::run); a network that the image refuses, a job that is too large.
pub fn control(board: &Board, job: &ControlJob, options: &Options) -> Result<ControlReport, EmulateError> {
    Ok(control_metered(board, job, options, None)?.0)
}

/// The same under `plugin`, if there is one: also what the plugin wrote, and the image.
pub(crate) fn control_metered(
    board: &Board,
    job: &ControlJob,
    options: &Options,
    plugin: Option<&Path>,
) -> Result<(ControlReport, String, PathBuf), EmulateError> {
    let (image, file) = prepare(board, job, options)?;
    let started = Instant::now();
    let mut output = qemu::execute(board, &image, Some(&file), plugin, options.time_limit)?;
    let counts = std::mem::take(&mut output.counts);
    let mut report = read(board, job, output)?;
    (report.flash_bytes, report.seconds) = (flash_bytes(&image)?, started.elapsed().as_secs_f64());
    Ok((report, counts, image))
}

/// Runs the loop of `job` on `board` and `drive` at the other end of the board's serial line, which ends the conversation
/// ([`Line::end`](super::Line::end)).
///
/// # Errors
/// As [`control`]; what `drive` returns.
pub fn control_over_line<R>(
    board: &Board,
    job: &ControlJob,
    options: &Options,
    drive: impl FnOnce(TcpStream) -> Result<R, LineError>,
) -> Result<(ControlReport, R), EmulateError> {
    let (image, file) = prepare(board, job, options)?;
    let failed = |source: LineError| EmulateError::Line { board: board.name.to_owned(), source };
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|e| failed(e.into()))?;
    let port = listener.local_addr().map_err(|e| failed(e.into()))?.port();
    let started = Instant::now();
    let stop = AtomicBool::new(false);
    let serial = Serial { port, stop: &stop };
    let (output, driven) = thread::scope(|scope| {
        let qemu = scope.spawn(|| {
            qemu::execute_with(board, &image, Some(&file), None, Some(&serial), options.time_limit)
        });
        // Also where `drive` panics, QEMU ends.
        let stopper = Stopper(&stop);
        let driven = accept(&listener, || qemu.is_finished()).and_then(drive);
        if driven.is_ok() {
            std::mem::forget(stopper);
        } else {
            drop(stopper);
        }
        (qemu.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), driven)
    });
    // What made the image end by itself is nearer to the cause than that it does not answer any more.
    let (mut report, driven) = match (output.and_then(|output| read(board, job, output)), driven) {
        (Ok(report), Ok(driven)) => (report, driven),
        (Ok(_) | Err(EmulateError::TimeLimit { .. }), Err(source)) => return Err(failed(source)),
        (Err(error), _) => return Err(error),
    };
    (report.flash_bytes, report.seconds) = (flash_bytes(&image)?, started.elapsed().as_secs_f64());
    Ok((report, driven))
}

/// Sets a flag when it goes.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for QEMU to connect, until it has ended.
fn accept(listener: &TcpListener, ended: impl Fn() -> bool) -> Result<TcpStream, LineError> {
    listener.set_nonblocking(true)?;
    loop {
        // Looked at first: it may connect and end at once.
        let ended = ended();
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock && !ended => thread::sleep(POLL),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Err(LineError::NoBoard),
            Err(e) => return Err(e.into()),
        }
    }
}

/// The image and the job file.
fn prepare(board: &Board, job: &ControlJob, options: &Options) -> Result<(PathBuf, Vec<u8>), EmulateError> {
    let image = match &options.image {
        Some(image) => image.clone(),
        None => find_policy_image(board)?,
    };
    let file = policy::encode(&job.file());
    require_room(board, &job.name, &file)?;
    Ok((image, file))
}

fn read(board: &Board, job: &ControlJob, output: Output) -> Result<ControlReport, EmulateError> {
    let bad = |reason| EmulateError::BadResults { board: board.name.to_owned(), reason };
    let records = parse(&output.results).map_err(bad)?;
    let mut reader = Records { board, records: records.into_iter(), read: 0, log: &output.log };
    reader.start(1).map_err(bad)?;
    let mut report = match reader.next().map_err(bad)? {
        Record::Opened { arena, state, tables, tracker, parsing, isa } => ControlReport {
            board: board.name.to_owned(),
            core: board.core.to_owned(),
            isa,
            flash_bytes: 0,
            arena_bytes: arena,
            state_bytes: state,
            table_bytes: tables,
            controller_bytes: tracker,
            peak_stack_bytes: 0,
            parse_instructions: instructions(parsing, board.timer_hz),
            steps: Vec::new(),
            faults: Faults::default(),
            line: LineCounts::default(),
            seconds: 0.0,
            log: Vec::new(),
        },
        Record::Failure { job: 0, run: 0, stage } => {
            let (stage, text) = (Stage::from(stage), reader.reason(0));
            let reason = format!("{}: {stage:?}: {text}", job.name);
            return Err(EmulateError::Refused { board: board.name.to_owned(), reason });
        }
        other => return Err(bad(format!("expected a controller, found {other:?}"))),
    };
    report.fill(&mut reader).map_err(bad)?;
    report.log = output.log;
    Ok(report)
}

impl ControlReport {
    /// Takes the records after the first two.
    fn fill(&mut self, reader: &mut Records<'_, impl Iterator<Item = Record>>) -> Result<(), String> {
        let mut expected = (0, 0);
        loop {
            match reader.next()? {
                Record::Acted { episode, step, fault, span, stack, action, state }
                    if (episode, step) == expected || (episode > expected.0 && step == 0) =>
                {
                    let known = Fault::from_u32(fault);
                    if fault != 0 && known.is_none() {
                        return Err(format!("step {step}: unknown fault {fault}"));
                    }
                    expected = (episode, step + 1);
                    self.steps.push(ControlStep {
                        episode,
                        fault: known,
                        action,
                        state: state.into_iter().map(f32::from_bits).collect(),
                        instructions: instructions(span, reader.board.timer_hz),
                        stack_bytes: stack,
                    });
                }
                Record::Faults(counts) => {
                    let counts: [u32; 10] =
                        counts.try_into().map_err(|c| format!("the controller's counts are {c:?}"))?;
                    let [steps, sensor_errors, not_finite, overruns, actuator_errors, line @ ..] = counts;
                    if steps as usize != self.steps.len() {
                        return Err(format!("{} steps are there of {steps}", self.steps.len()));
                    }
                    self.faults = Faults { steps, sensor_errors, not_finite, overruns, actuator_errors };
                    let [taken, repeated, stray, damaged, greetings] = line;
                    self.line = LineCounts { taken, repeated, stray, damaged, greetings };
                    self.peak_stack_bytes = reader.end()?;
                    return Ok(());
                }
                other => return Err(format!("expected step {expected:?}, found {other:?}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::MPS2_AN386 as BOARD;
    use crate::record::{Kind, VERSION, record};

    /// What an image writes that has done two steps and one of another episode, the last of which is number `last`.
    fn file(last: u32, fault: u32, counts: &[u32], records: u32) -> Vec<u8> {
        let mut file = Vec::new();
        record(&mut file, Kind::Start, &[VERSION, 256, 512, 4096, 1, 100, 0, 0], BOARD.name.as_bytes());
        record(&mut file, Kind::Opened, &[64, 8, 80, 900, 50, 0, 2], b"dsp");
        record(&mut file, Kind::Acted, &[0, 0, 0, 10, 0, 1, 300, 1, 7], b"");
        record(&mut file, Kind::Acted, &[0, 1, fault, 20, 0, 2, 310, 0, 1f32.to_bits()], b"");
        record(&mut file, Kind::Acted, &[1, last, 0, 30, 0, 3, 320, 2, 8, 9], b"");
        record(&mut file, Kind::Faults, counts, b"");
        record(&mut file, Kind::End, &[records, 512], b"");
        file
    }

    fn read_back(results: Vec<u8>) -> Result<ControlReport, EmulateError> {
        let job = ControlJob {
            name: "two episodes".to_owned(),
            model: Vec::new(),
            centre: vec![0.0],
            spread: vec![1.0],
            actions: ActionSpace::Discrete(2),
            controlled: Plant::Line,
            steps: 2,
            period_us: 1000,
        };
        let log = vec![LogLine { level: "error".to_owned(), text: "job 0: Bounds".to_owned() }];
        read(&BOARD, &job, Output { log, results, counts: String::new() })
    }

    const COUNTS: [u32; 10] = [3, 0, 1, 0, 0, 5, 6, 7, 8, 9];

    #[test]
    fn steps_and_counts_are_read_back() {
        let report = read_back(file(0, 2, &COUNTS, 6)).unwrap();
        let step = |episode, fault, action: &[u32], state: &[f32], instructions, stack_bytes| ControlStep {
            episode,
            fault,
            action: action.to_vec(),
            state: state.to_vec(),
            instructions,
            stack_bytes,
        };
        let expected = [
            step(0, None, &[7], &[], 396, 300),
            step(0, Some(Fault::NotFinite), &[], &[1.0], 792, 310),
            step(1, None, &[8, 9], &[], 1188, 320),
        ];
        assert_eq!(report.steps, expected);
        assert_eq!(report.faults, Faults { steps: 3, not_finite: 1, ..Faults::default() });
        let line = LineCounts { taken: 5, repeated: 6, stray: 7, damaged: 8, greetings: 9 };
        assert_eq!((report.line, report.peak_stack_bytes), (line, 512));
        assert_eq!((report.arena_bytes, report.state_bytes, report.controller_bytes), (64, 8, 900));
    }

    #[test]
    fn another_order_and_a_refusal_are_errors() {
        let said = |results| read_back(results).unwrap_err().to_string();
        assert!(said(file(1, 2, &COUNTS, 6)).contains("expected step (0, 2)"));
        assert!(said(file(0, 9, &COUNTS, 6)).contains("unknown fault 9"));
        assert!(said(file(0, 2, &COUNTS[1..], 6)).contains("the controller's counts"));
        assert!(said(file(0, 2, &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0], 6)).contains("3 steps are there of 4"));
        assert!(said(file(0, 2, &COUNTS, 7)).contains("expected the end after 6 records"));
        let mut refused = Vec::new();
        record(&mut refused, Kind::Start, &[VERSION, 256, 512, 4096, 1, 100, 0, 0], BOARD.name.as_bytes());
        record(&mut refused, Kind::Failure, &[0, 0, 5], b"");
        assert!(said(refused).contains("two episodes: Policy: Bounds"));
    }
}
