//! The result file: records that the image writes through semihosting and the host parses strictly.
//!
//! A record is `magic "DREC"`, kind, payload bytes (little-endian `u32` each), then the payload padded with zeros
//! to four bytes. The file is one [`Kind::Start`], then per run of each job one [`Kind::Run`] (followed by one
//! [`Kind::Profile`] if asked for) or one [`Kind::Failure`] that ends the job, then one [`Kind::End`].
//!
//! An image that tracks ([`crate::tracking`]) has one job. Between start and end it writes one [`Kind::Opened`], then for each
//! frame the [`Kind::Rows`] that have become final, if any, and one [`Kind::Step`]; after the last frame the rows that were
//! still open and one [`Kind::Counts`].
//!
//! An image that closes a control loop ([`crate::policy`]) has one job, too: one [`Kind::Opened`], for each step one
//! [`Kind::Acted`], then one [`Kind::Faults`].
//!
//! | kind | payload words | then |
//! |---|---|---|
//! | Start | version, node capacity, tensor capacity, bytes of their tables, jobs, ticks low, ticks high, spins of the calibration loop | board name |
//! | Run | job, run, arena bytes, state bytes, bytes of the model's tables, stack of the run, ticks low, ticks high, spins, of parsing ticks low, ticks high, spins, nodes, outputs, ISA length, output lengths… | ISA name, outputs |
//! | Profile | job, run, then per node: ticks low, ticks high, spins | |
//! | Failure | job, run, stage | |
//! | Opened | arena bytes, state bytes, bytes of the model's tables, bytes of the tracker or controller, of parsing ticks low, ticks high, spins | ISA name |
//! | Rows | rows, of `ROW_WORDS` words each | |
//! | Step | frame, nodes, edges, ticks low, ticks high, spins | |
//! | Counts | the tracker's counts, in their order | |
//! | Acted | episode, step, fault or 0, ticks low, ticks high, spins, stack, words of the action, the action, the state after it | |
//! | Faults | the controller's counts, then those of the line, in their order | |
//! | End | records before this one, peak stack | |
//!
//! The text of a failure is the `defmt` frame `job J: …` that precedes it: the host formats it, so that no image
//! carries `core::fmt`'s number printing for it.
//!
//! A duration is `ticks` of the board's timer less `spins` turns of the loop that waits for the next tick (see
//! [`instructions`]).

/// `DREC` in memory order.
pub const MAGIC: u32 = u32::from_le_bytes(*b"DREC");
/// Version of the records on this page.
pub const VERSION: u32 = 2;
/// Name of the result file, in the directory in which QEMU was started.
pub const FILE_NAME: &core::ffi::CStr = c"dunlin-results.bin";
/// Instructions that one turn of the firmware's wait loop takes: load, compare, add, branch.
pub const SPIN_INSTRUCTIONS: u64 = 4;
/// Instructions that an image times at its start: a loop between the two markers, these counted.
pub const CALIBRATION_INSTRUCTIONS: u32 = 4000;
/// By how much a measured duration may differ from the instructions executed: the waiting loops before and after it.
pub const TIMER_ERROR: u64 = 12;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Written once, before any job.
    Start = 1,
    /// A run that succeeded.
    Run = 2,
    /// Cost of each node of the run before it.
    Profile = 3,
    /// A job that was refused.
    Failure = 4,
    /// Written once, after all jobs.
    End = 5,
    /// A tracker or a controller and its network are ready.
    Opened = 6,
    /// Rows of tracks that have become final.
    Rows = 7,
    /// A frame was taken.
    Step = 8,
    /// What the tracker left out.
    Counts = 9,
    /// A step of a control loop.
    Acted = 10,
    /// What went wrong in a control loop.
    Faults = 11,
}

impl Kind {
    /// The kind numbered `value`.
    pub const fn from_u32(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::Start,
            2 => Self::Run,
            3 => Self::Profile,
            4 => Self::Failure,
            5 => Self::End,
            6 => Self::Opened,
            7 => Self::Rows,
            8 => Self::Step,
            9 => Self::Counts,
            10 => Self::Acted,
            11 => Self::Faults,
            _ => return None,
        })
    }
}

/// At which step a job was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FailedAt {
    /// The model was refused.
    Parse = 1,
    /// No session could be made, for want of arena.
    Session = 2,
    /// Number or length of the inputs does not fit the model.
    Input = 3,
    /// The model does not serve the tracker.
    Tracker = 4,
    /// The model does not serve as a policy.
    Policy = 5,
}

impl FailedAt {
    /// The stage numbered `value`.
    pub const fn from_u32(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::Parse,
            2 => Self::Session,
            3 => Self::Input,
            4 => Self::Tracker,
            5 => Self::Policy,
            _ => return None,
        })
    }
}

/// A duration as the firmware's timer gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Whole timer ticks from the tick at which the span began to the first tick after its end.
    pub ticks: u64,
    /// Turns of the wait loop between the end of the span and that tick.
    pub spins: u32,
}

/// Instructions in `span`, for a timer of `timer_hz` under `-icount shift=0` (1 ns an instruction).
///
/// The firmware waits for a tick before a span and counts its waiting turns after it, so the error is that of the
/// two waiting loops, about ten instructions, not that of a tick (31 to 50 instructions on the MPS boards).
pub const fn instructions(span: Span, timer_hz: u32) -> u64 {
    let total = (span.ticks as u128 * 1_000_000_000 / timer_hz as u128) as u64;
    total.saturating_sub(span.spins as u64 * SPIN_INSTRUCTIONS)
}

/// Where the firmware writes records: the semihosting file.
pub trait Sink {
    /// Appends `bytes`.
    fn write(&mut self, bytes: &[u8]);
}

/// Writes the head of a record whose payload will be `payload_bytes` long.
pub fn begin(sink: &mut impl Sink, kind: Kind, payload_bytes: usize) {
    words(sink, &[MAGIC, kind as u32, payload_bytes as u32]);
}

/// Writes the zeros that follow a payload of `payload_bytes`.
pub fn finish(sink: &mut impl Sink, payload_bytes: usize) {
    let padding = payload_bytes.next_multiple_of(4) - payload_bytes;
    if padding > 0 {
        sink.write(&[0; 4][..padding]);
    }
}

/// Writes `values` as little-endian words.
pub fn words(sink: &mut impl Sink, values: &[u32]) {
    for value in values {
        sink.write(&value.to_le_bytes());
    }
}

#[cfg(feature = "host")]
pub(crate) mod decode {
    //! The host's half: strict, every byte accounted for.

    use super::{FailedAt, Kind, MAGIC, Span, VERSION};

    /// A parsed record.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum Record {
        Start {
            node_capacity: u32,
            tensor_capacity: u32,
            table_bytes: u32,
            jobs: u32,
            clock: Span,
            board: String,
        },
        Run {
            job: u32,
            run: u32,
            arena: u32,
            state: u32,
            tables: u32,
            stack: u32,
            span: Span,
            parsing: Span,
            nodes: u32,
            isa: String,
            outputs: Vec<Vec<u8>>,
        },
        Profile {
            job: u32,
            run: u32,
            nodes: Vec<Span>,
        },
        Failure {
            job: u32,
            run: u32,
            stage: FailedAt,
        },
        End {
            records: u32,
            stack: u32,
        },
        Opened {
            arena: u32,
            state: u32,
            tables: u32,
            tracker: u32,
            parsing: Span,
            isa: String,
        },
        Rows(Vec<u32>),
        Step {
            frame: u32,
            graph: [u32; 2],
            span: Span,
        },
        Counts(Vec<u32>),
        Acted {
            episode: u32,
            step: u32,
            fault: u32,
            span: Span,
            stack: u32,
            action: Vec<u32>,
            state: Vec<u32>,
        },
        Faults(Vec<u32>),
    }

    /// Splits a result file; the error says at which byte what was wrong.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Record>, String> {
        let mut records = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let mut reader = Reader { bytes, at };
            let magic = reader.word()?;
            if magic != MAGIC {
                return Err(format!("byte {at}: record magic is {magic:#010x}, expected {MAGIC:#010x}"));
            }
            let kind = reader.word()?;
            let kind =
                Kind::from_u32(kind).ok_or_else(|| format!("byte {at}: unknown record kind {kind}"))?;
            let length = reader.word()? as usize;
            let mut payload = Reader { bytes: reader.take(length)?, at: 0 };
            let record = payload.record(kind).map_err(|error| format!("record at byte {at}: {error}"))?;
            if payload.at != length {
                return Err(format!("record at byte {at}: {} bytes left over", length - payload.at));
            }
            reader.take(length.next_multiple_of(4) - length)?;
            records.push(record);
            at = reader.at;
        }
        Ok(records)
    }

    struct Reader<'a> {
        bytes: &'a [u8],
        at: usize,
    }

    impl<'a> Reader<'a> {
        fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
            let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
            let end = end.ok_or_else(|| {
                format!("byte {}: {count} bytes expected, {} left", self.at, self.bytes.len() - self.at)
            })?;
            let taken = &self.bytes[self.at..end];
            self.at = end;
            Ok(taken)
        }

        fn word(&mut self) -> Result<u32, String> {
            let bytes = self.take(4)?;
            Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        }

        fn span(&mut self) -> Result<Span, String> {
            let (low, high, spins) = (self.word()?, self.word()?, self.word()?);
            Ok(Span { ticks: u64::from(high) << 32 | u64::from(low), spins })
        }

        fn text(&mut self, count: usize) -> Result<String, String> {
            String::from_utf8(self.take(count)?.to_vec()).map_err(|error| error.to_string())
        }

        /// All that is left.
        fn words(&mut self) -> Result<Vec<u32>, String> {
            (0..self.rest() / 4).map(|_| self.word()).collect()
        }

        fn rest(&self) -> usize {
            self.bytes.len() - self.at
        }

        fn record(&mut self, kind: Kind) -> Result<Record, String> {
            Ok(match kind {
                Kind::Start => {
                    let version = self.word()?;
                    if version != VERSION {
                        return Err(format!(
                            "result version {version}, this host reads {VERSION}: rebuild the image"
                        ));
                    }
                    let [node_capacity, tensor_capacity, table_bytes, jobs] =
                        [self.word()?, self.word()?, self.word()?, self.word()?];
                    let clock = self.span()?;
                    let board = self.text(self.rest())?;
                    Record::Start { node_capacity, tensor_capacity, table_bytes, jobs, clock, board }
                }
                Kind::Run => {
                    let [job, run, arena] = [self.word()?, self.word()?, self.word()?];
                    let [state, tables, stack] = [self.word()?, self.word()?, self.word()?];
                    let (span, parsing) = (self.span()?, self.span()?);
                    let [nodes, outputs, isa] = [self.word()?, self.word()?, self.word()?];
                    let lengths = (0..outputs).map(|_| self.word()).collect::<Result<Vec<_>, _>>()?;
                    let isa = self.text(isa as usize)?;
                    let outputs = lengths
                        .into_iter()
                        .map(|length| self.take(length as usize).map(<[u8]>::to_vec))
                        .collect::<Result<_, _>>()?;
                    Record::Run { job, run, arena, state, tables, stack, span, parsing, nodes, isa, outputs }
                }
                Kind::Profile => {
                    let [job, run] = [self.word()?, self.word()?];
                    let nodes = (0..self.rest() / 12).map(|_| self.span()).collect::<Result<_, _>>()?;
                    Record::Profile { job, run, nodes }
                }
                Kind::Failure => {
                    let [job, run, stage] = [self.word()?, self.word()?, self.word()?];
                    let stage = FailedAt::from_u32(stage).ok_or_else(|| format!("unknown stage {stage}"))?;
                    Record::Failure { job, run, stage }
                }
                Kind::End => Record::End { records: self.word()?, stack: self.word()? },
                Kind::Opened => {
                    let [arena, state, tables, tracker] =
                        [self.word()?, self.word()?, self.word()?, self.word()?];
                    let parsing = self.span()?;
                    let isa = self.text(self.rest())?;
                    Record::Opened { arena, state, tables, tracker, parsing, isa }
                }
                Kind::Rows => Record::Rows(self.words()?),
                Kind::Step => {
                    let (frame, graph) = (self.word()?, [self.word()?, self.word()?]);
                    Record::Step { frame, graph, span: self.span()? }
                }
                Kind::Counts => Record::Counts(self.words()?),
                Kind::Acted => {
                    let [episode, step, fault] = [self.word()?, self.word()?, self.word()?];
                    let (span, stack, length) = (self.span()?, self.word()?, self.word()?);
                    let action = (0..length).map(|_| self.word()).collect::<Result<_, _>>()?;
                    Record::Acted { episode, step, fault, span, stack, action, state: self.words()? }
                }
                Kind::Faults => Record::Faults(self.words()?),
            })
        }
    }
}

/// Appends a whole record of these words and what follows them.
#[cfg(all(test, feature = "host"))]
pub(crate) fn record(file: &mut std::vec::Vec<u8>, kind: Kind, values: &[u32], tail: &[u8]) {
    let payload = values.len() * 4 + tail.len();
    begin(file, kind, payload);
    words(file, values);
    file.extend_from_slice(tail);
    finish(file, payload);
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::decode::{Record, parse};
    use super::*;

    impl Sink for Vec<u8> {
        fn write(&mut self, bytes: &[u8]) {
            self.extend_from_slice(bytes);
        }
    }

    fn run_record() -> Vec<u8> {
        let mut file = Vec::new();
        let payload = 4 * 17 + 3 + 5 + 2;
        begin(&mut file, Kind::Run, payload);
        words(&mut file, &[1, 2, 300, 16, 80, 400, 7, 1, 9, 70, 0, 3, 5, 2, 3, 5, 2]);
        file.extend_from_slice(b"dsp");
        file.extend_from_slice(&[10, 11, 12, 13, 14, 20, 21]);
        finish(&mut file, payload);
        file
    }

    #[test]
    fn a_record_is_read_back() {
        let records = parse(&run_record()).unwrap();
        let expected = Record::Run {
            job: 1,
            run: 2,
            arena: 300,
            state: 16,
            tables: 80,
            stack: 400,
            span: Span { ticks: 1 << 32 | 7, spins: 9 },
            parsing: Span { ticks: 70, spins: 3 },
            nodes: 5,
            isa: "dsp".to_owned(),
            outputs: vec![vec![10, 11, 12, 13, 14], vec![20, 21]],
        };
        assert_eq!(records, [expected]);
    }

    #[test]
    fn cut_and_overlong_records_are_refused() {
        let file = run_record();
        for end in 1..file.len() {
            assert!(parse(&file[..end]).is_err(), "a file cut at {end} was accepted");
        }
        let mut longer = file.clone();
        longer[8] += 4;
        longer.extend_from_slice(&[0; 4]);
        assert!(parse(&longer).unwrap_err().contains("left over"));
    }

    #[test]
    fn a_tick_of_40_ns_is_40_instructions_less_the_waiting() {
        assert_eq!(instructions(Span { ticks: 1000, spins: 3 }, 25_000_000), 40_000 - 12);
        assert_eq!(instructions(Span { ticks: 16, spins: 0 }, 32_000_000), 500);
    }
}
