//! Results of a board, put together from records that must be exactly those expected.

use serde::Serialize;

use super::qemu::Output;
use super::{EmulateError, Job, LogLine};
use crate::board::Board;
use crate::record::decode::{Record, parse};
use crate::record::{CALIBRATION_INSTRUCTIONS, FailedAt, TIMER_ERROR, instructions};

/// Everything that one call of [`run`](super::run) found out. The field names are the keys of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the board.
    pub board: String,
    /// Its core.
    pub core: String,
    /// Flash of the image without any model, bytes.
    pub flash_bytes: u64,
    /// RAM that the image keeps for decoded tables, bytes, whatever a model needs of it.
    pub table_capacity_bytes: u32,
    /// Nodes of a model that the image can hold.
    pub node_capacity: u32,
    /// Tensors of a model that the image can hold.
    pub tensor_capacity: u32,
    /// Deepest stack over all jobs, parsing and reporting included, bytes.
    pub peak_stack_bytes: u32,
    /// Host time, seconds.
    pub seconds: f64,
    /// One outcome per job, in their order.
    pub jobs: Vec<NamedOutcome>,
    /// What the image logged.
    pub log: Vec<LogLine>,
}

/// A job's name and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct NamedOutcome {
    /// The job's name.
    pub name: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: JobOutcome,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum JobOutcome {
    /// Every run was done.
    Ran(JobResult),
    /// The image refused it.
    Failed(JobFailure),
    /// Model and inputs are larger than the board's memory for them.
    DoesNotFit {
        /// Bytes of the job file.
        needed: usize,
        /// Bytes that the board has for it.
        available: usize,
    },
}

/// Results of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JobResult {
    /// The instruction set whose kernels ran.
    pub isa: String,
    /// Bytes of arena that the model needs.
    pub arena_bytes: u32,
    /// Bytes of persistent tensors.
    pub state_bytes: u32,
    /// Bytes of the model's decoded tables.
    pub table_bytes: u32,
    /// Instructions of parsing the model, from the timer; off by some ten at most.
    pub parse_instructions: u64,
    /// The runs in order.
    pub runs: Vec<RunResult>,
}

/// Results of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunResult {
    /// Instructions between the markers, from the timer; off by some ten at most.
    pub instructions: u64,
    /// Stack that the run used, bytes.
    pub stack_bytes: u32,
    /// Cost of every node, if asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeCost>,
    /// Raw bytes of every output.
    #[serde(skip)]
    pub outputs: Vec<Vec<u8>>,
}

/// Cost of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NodeCost {
    /// Index of the node in the model.
    pub node: usize,
    /// Instructions, from the timer; off by some ten at most.
    pub instructions: u64,
}

/// Why a job was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobFailure {
    /// At which step.
    pub stage: Stage,
    /// The run, counted from 0.
    pub run: u32,
    /// The error, as the image says it.
    pub text: String,
}

/// Step at which a job was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The model was refused.
    Parse,
    /// The arena is too small.
    Session,
    /// The inputs do not fit the model.
    Input,
    /// The model does not serve the tracker.
    Tracker,
    /// The model does not serve as a policy.
    Policy,
}

impl From<FailedAt> for Stage {
    fn from(stage: FailedAt) -> Self {
        match stage {
            FailedAt::Parse => Self::Parse,
            FailedAt::Session => Self::Session,
            FailedAt::Input => Self::Input,
            FailedAt::Tracker => Self::Tracker,
            FailedAt::Policy => Self::Policy,
        }
    }
}

impl JobOutcome {
    /// The results, or the reason why there are none.
    ///
    /// # Errors
    /// A sentence that says what happened.
    pub fn result(&self) -> Result<&JobResult, String> {
        match self {
            Self::Ran(result) => Ok(result),
            Self::Failed(failure) => {
                Err(format!("refused by the image ({:?}): {}", failure.stage, failure.text))
            }
            Self::DoesNotFit { needed, available } => {
                Err(format!("model and inputs take {needed} bytes, the board has {available} for them"))
            }
        }
    }
}

impl Report {
    pub(super) fn new(board: &Board, flash_bytes: u64) -> Self {
        Self {
            board: board.name.to_owned(),
            core: board.core.to_owned(),
            flash_bytes,
            table_capacity_bytes: 0,
            node_capacity: 0,
            tensor_capacity: 0,
            peak_stack_bytes: 0,
            seconds: 0.0,
            jobs: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, name: &str, outcome: JobOutcome) {
        self.jobs.push(NamedOutcome { name: name.to_owned(), outcome });
    }

    /// Adds what one start of QEMU gave for `jobs`.
    pub(super) fn merge(
        &mut self,
        board: &Board,
        jobs: &[Job],
        profile: bool,
        output: Output,
    ) -> Result<(), EmulateError> {
        let outcomes = parse(&output.results).and_then(|records| {
            let mut reader = Records { board, records: records.into_iter(), read: 0, log: &output.log };
            let start = reader.start(jobs.len())?;
            let outcomes = jobs.iter().enumerate().map(|(index, job)| reader.job(index as u32, job, profile));
            let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
            Ok((start, outcomes, reader.end()?))
        });
        let (start, outcomes, stack) =
            outcomes.map_err(|reason| EmulateError::BadResults { board: board.name.to_owned(), reason })?;
        [self.node_capacity, self.tensor_capacity, self.table_capacity_bytes] = start;
        self.peak_stack_bytes = self.peak_stack_bytes.max(stack);
        for (job, outcome) in jobs.iter().zip(outcomes) {
            self.push(&job.name, outcome);
        }
        self.log.extend(output.log);
        Ok(())
    }
}

/// Takes records in the only order that is right.
pub(super) struct Records<'a, I> {
    pub(super) board: &'a Board,
    pub(super) records: I,
    pub(super) read: u32,
    pub(super) log: &'a [LogLine],
}

impl<I: Iterator<Item = Record>> Records<'_, I> {
    pub(super) fn next(&mut self) -> Result<Record, String> {
        let record = self.records.next().ok_or_else(|| format!("ends after {} records", self.read))?;
        self.read += 1;
        Ok(record)
    }

    pub(super) fn start(&mut self, expected_jobs: usize) -> Result<[u32; 3], String> {
        match self.next()? {
            Record::Start { node_capacity, tensor_capacity, table_bytes, jobs, clock, board }
                if jobs as usize == expected_jobs && board == self.board.name =>
            {
                let measured = instructions(clock, self.board.timer_hz);
                let expected = u64::from(CALIBRATION_INSTRUCTIONS);
                if measured.abs_diff(expected) > TIMER_ERROR {
                    return Err(format!(
                        "{expected} instructions were timed as {measured}: this QEMU's timer does not run at {} Hz",
                        self.board.timer_hz
                    ));
                }
                Ok([node_capacity, tensor_capacity, table_bytes])
            }
            other => Err(format!(
                "expected the start of {expected_jobs} jobs on {}, found {other:?}",
                self.board.name
            )),
        }
    }

    fn job(&mut self, index: u32, expected: &Job, profile: bool) -> Result<JobOutcome, String> {
        let mut result = JobResult::default();
        for number in 0..expected.runs.len() as u32 {
            match self.next()? {
                Record::Run {
                    job, run, arena, state, tables, stack, span, parsing, isa, outputs, ..
                } if (job, run) == (index, number) => {
                    result.isa = isa;
                    (result.arena_bytes, result.state_bytes, result.table_bytes) = (arena, state, tables);
                    result.parse_instructions = instructions(parsing, self.board.timer_hz);
                    let instructions = instructions(span, self.board.timer_hz);
                    result.runs.push(RunResult {
                        instructions,
                        stack_bytes: stack,
                        nodes: Vec::new(),
                        outputs,
                    });
                }
                Record::Failure { job, run, stage } if job == index => {
                    return Ok(self.failure(job, run, stage));
                }
                other => return Err(format!("expected run {number} of job {index}, found {other:?}")),
            }
        }
        for number in 0..if profile { expected.runs.len() } else { 0 } {
            match self.next()? {
                Record::Profile { job, run, nodes } if (job, run as usize) == (index, number) => {
                    let costs = nodes.into_iter().enumerate();
                    let costs = costs.map(|(node, span)| NodeCost {
                        node,
                        instructions: instructions(span, self.board.timer_hz),
                    });
                    result.runs[number].nodes = costs.collect();
                }
                other => {
                    return Err(format!(
                        "expected the profile of run {number} of job {index}, found {other:?}"
                    ));
                }
            }
        }
        Ok(JobOutcome::Ran(result))
    }

    fn failure(&self, job: u32, run: u32, stage: FailedAt) -> JobOutcome {
        JobOutcome::Failed(JobFailure { stage: stage.into(), run, text: self.reason(job).to_owned() })
    }

    /// The log line that the image wrote for this job.
    pub(super) fn reason(&self, job: u32) -> &str {
        let prefix = format!("job {job}: ");
        let text = self.log.iter().find_map(|line| line.text.strip_prefix(&prefix));
        text.unwrap_or("(no reason logged)")
    }

    pub(super) fn end(&mut self) -> Result<u32, String> {
        let before = self.read;
        match self.next()? {
            Record::End { records, stack } if records == before => match self.records.next() {
                None => Ok(stack),
                Some(extra) => Err(format!("records after the end: {extra:?}")),
            },
            other => Err(format!("expected the end after {before} records, found {other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Run;
    use super::*;
    use crate::board::MPS2_AN386 as BOARD;
    use crate::record::{Kind, Span, VERSION, record};

    fn jobs() -> Vec<Job> {
        let job = |name: &str| Job {
            name: name.to_owned(),
            model: vec![0],
            runs: vec![Run { inputs: vec![vec![0]], counts: Vec::new() }],
        };
        vec![job("good"), job("bad")]
    }

    fn file(jobs: u32, end: u32) -> Vec<u8> {
        file_with(jobs, end, 100)
    }

    fn file_with(jobs: u32, end: u32, clock: u32) -> Vec<u8> {
        let mut file = Vec::new();
        record(&mut file, Kind::Start, &[VERSION, 256, 512, 4096, jobs, clock, 0, 0], BOARD.name.as_bytes());
        record(
            &mut file,
            Kind::Run,
            &[0, 0, 64, 0, 80, 96, 100, 0, 5, 50, 0, 2, 3, 1, 6, 2],
            b"scalar\x07\x08",
        );
        record(&mut file, Kind::Profile, &[0, 0, 10, 0, 1, 20, 0, 2, 30, 0, 3], b"");
        record(&mut file, Kind::Failure, &[1, 0, 1], b"");
        record(&mut file, Kind::End, &[end, 512], b"");
        file
    }

    fn merge(results: Vec<u8>) -> Result<Report, EmulateError> {
        let log = vec![LogLine { level: "error".to_owned(), text: "job 1: Magic { found: 0 }".to_owned() }];
        let mut report = Report::new(&BOARD, 12);
        report.merge(&BOARD, &jobs(), true, Output { log, results, counts: String::new() }).map(|()| report)
    }

    #[test]
    fn a_refused_job_stands_beside_one_that_ran() {
        let report = merge(file(2, 4)).unwrap();
        assert_eq!(
            (report.node_capacity, report.table_capacity_bytes, report.peak_stack_bytes),
            (256, 4096, 512)
        );
        let result = report.jobs[0].outcome.result().unwrap();
        let node = |node, ticks, spins| NodeCost {
            node,
            instructions: instructions(Span { ticks, spins }, BOARD.timer_hz),
        };
        assert_eq!(result.isa, "scalar");
        assert_eq!(result.parse_instructions, 50 * 40 - 2 * 4);
        assert_eq!(result.runs[0].outputs, [[7, 8]]);
        assert_eq!(result.runs[0].nodes, [node(0, 10, 1), node(1, 20, 2), node(2, 30, 3)]);
        let failure = JobFailure { stage: Stage::Parse, run: 0, text: "Magic { found: 0 }".to_owned() };
        assert_eq!(report.jobs[1].outcome, JobOutcome::Failed(failure));
    }

    #[test]
    fn missing_and_surplus_records_are_refused() {
        assert!(merge(file(3, 4)).unwrap_err().to_string().contains("expected the start of 2 jobs"));
        assert!(merge(file(2, 5)).unwrap_err().to_string().contains("expected the end after 4 records"));
        assert!(merge(file_with(2, 4, 99)).unwrap_err().to_string().contains("timed as 3960"));
        let mut doubled = file(2, 4);
        record(&mut doubled, Kind::End, &[4, 512], b"");
        assert!(merge(doubled).unwrap_err().to_string().contains("records after the end"));
        let mut empty = Vec::new();
        record(&mut empty, Kind::Start, &[VERSION, 256, 512, 4096, 2, 100, 0, 0], BOARD.name.as_bytes());
        assert!(merge(empty).unwrap_err().to_string().contains("ends after 1 records"));
    }
}
