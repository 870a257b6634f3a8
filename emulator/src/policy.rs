//! The job file of an image that closes a control loop: the network, what belongs to it as a policy, and what it controls.
//!
//! ```text
//! offset  size
//!      0     4  magic "DPOL"
//!      4     4  version, 1
//!      8     4  bytes of the whole file
//!     12     4  what is controlled: 0 = nothing, observations are given; 1 = a cart with a pole; 2 = what is at the other end of the line
//!     16     4  most steps of an episode
//!     20     4  period, microseconds
//!     24     4  number of discrete actions, 0 if they are numbers
//!     28     8  model: offset, bytes
//!     36     8  bounds of the numbers: offset, bytes
//!     44     8  centre of the normalisation: offset, bytes
//!     52     8  spread of the normalisation: offset, bytes
//!     60     8  observations, or initial states of the episodes: offset, bytes
//!     68    12  0
//!     80        what the offsets point at, each 16-byte aligned, the file padded to 16
//! ```
//!
//! Numbers are little-endian, `u32` or `f32`; offsets count from the start of the file.

use serde::{Deserialize, Serialize};

use crate::job::{self, JobError};

/// `DPOL` in memory order.
pub const MAGIC: u32 = u32::from_le_bytes(*b"DPOL");
/// Version of the layout on this page.
pub const VERSION: u32 = 1;
/// Bytes before the model.
pub const HEADER_BYTES: usize = 80;
/// Numbers of the state of what is controlled on the board.
pub const STATE: usize = 4;

/// Why the safe action was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u32)]
pub enum Fault {
    /// The sensor gave no observation.
    Sensor = 1,
    /// A number was infinite or none.
    NotFinite = 2,
    /// The period was too short.
    Overrun = 3,
    /// The actuator did not act.
    Actuator = 4,
}

impl Fault {
    /// The fault numbered `value`.
    pub const fn from_u32(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::Sensor,
            2 => Self::NotFinite,
            3 => Self::Overrun,
            4 => Self::Actuator,
            _ => return None,
        })
    }
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Actions<'a> {
    /// One of so many.
    Discrete(u32),
    /// A number for each bound.
    Continuous(&'a [f32]),
}

/// What is controlled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Controlled<'a> {
    /// Nothing: these observations come one after another, and make one episode.
    Given(&'a [f32]),
    /// A cart with a pole on the board; an episode from each of these states.
    CartPole(&'a [[f32; STATE]]),
    /// What is at the other end of the line, see [`crate::link`].
    Line,
}

/// A checked view of a job file in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobFile<'a> {
    /// The `.dun` bytes.
    pub model: &'a [u8],
    /// What is controlled.
    pub controlled: Controlled<'a>,
    /// Most steps of an episode.
    pub steps: u32,
    /// Time for a step, in microseconds.
    pub period_us: u32,
    /// What can be done.
    pub actions: Actions<'a>,
    /// What is subtracted from an observation.
    pub centre: &'a [f32],
    /// What it is divided by then.
    pub spread: &'a [f32],
}

impl<'a> JobFile<'a> {
    /// Length in bytes of the job file at the start of `region`, from its header alone.
    pub fn length(region: &[u8]) -> Result<usize, JobError> {
        job::length(region, MAGIC, VERSION, HEADER_BYTES)
    }

    /// Checks the header of `bytes`, which is exactly one job file at a 4-byte boundary.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JobError> {
        let bytes = &bytes[..Self::length(bytes)?];
        let numbers = |at| -> Result<&'a [f32], JobError> {
            bytemuck::try_cast_slice(job::span(bytes, at)?).map_err(|_| JobError::OutOfRange { at })
        };
        let controlled = match job::word(bytes, 12)? {
            0 => Controlled::Given(numbers(60)?),
            1 => match numbers(60)?.as_chunks() {
                (states, []) => Controlled::CartPole(states),
                _ => return Err(JobError::OutOfRange { at: 60 }),
            },
            2 => Controlled::Line,
            _ => return Err(JobError::OutOfRange { at: 12 }),
        };
        let actions = match job::word(bytes, 24)? {
            0 => Actions::Continuous(numbers(36)?),
            count => Actions::Discrete(count),
        };
        Ok(Self {
            model: job::span(bytes, 28)?,
            controlled,
            steps: job::word(bytes, 16)?,
            period_us: job::word(bytes, 20)?,
            actions,
            centre: numbers(44)?,
            spread: numbers(52)?,
        })
    }
}

/// Lays out a job file.
#[cfg(feature = "host")]
pub(crate) fn encode(job: &JobFile<'_>) -> Vec<u8> {
    let (kind, observed): (u32, &[f32]) = match job.controlled {
        Controlled::Given(numbers) => (0, numbers),
        Controlled::CartPole(states) => (1, states.as_flattened()),
        Controlled::Line => (2, &[]),
    };
    let (count, bounds): (u32, &[f32]) = match job.actions {
        Actions::Discrete(count) => (count, &[]),
        Actions::Continuous(bounds) => (0, bounds),
    };
    let mut data = Vec::new();
    let mut spans = Vec::new();
    let numbers = |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|x| x.to_le_bytes()).collect() };
    for bytes in
        [job.model.to_vec(), numbers(bounds), numbers(job.centre), numbers(job.spread), numbers(observed)]
    {
        spans.extend([HEADER_BYTES + data.len(), bytes.len()].map(|n| u32::try_from(n).unwrap_or(u32::MAX)));
        data.extend(bytes);
        data.resize(data.len().next_multiple_of(job::ALIGN), 0);
    }
    let total = u32::try_from(HEADER_BYTES + data.len()).unwrap_or(u32::MAX);
    let header = [MAGIC, VERSION, total, kind, job.steps, job.period_us, count];
    let mut bytes: Vec<u8> = header.into_iter().chain(spans).flat_map(u32::to_le_bytes).collect();
    bytes.resize(HEADER_BYTES, 0);
    bytes.extend(data);
    bytes
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::*;
    use dunlin::AlignedVec;

    fn samples() -> [JobFile<'static>; 3] {
        let first = JobFile {
            model: &[5; 21],
            controlled: Controlled::Given(&[1.0, -0.0, f32::INFINITY]),
            steps: 9,
            period_us: 20_000,
            actions: Actions::Continuous(&[2.0, 0.5]),
            centre: &[0.0],
            spread: &[1.5, 2.5, 3.5],
        };
        let states = Controlled::CartPole(&[[0.5; 4], [0.25; 4]]);
        let second = JobFile { controlled: states, actions: Actions::Discrete(2), ..first };
        [first, second, JobFile { controlled: Controlled::Line, ..second }]
    }

    #[test]
    fn a_view_returns_what_was_encoded() {
        for job in samples() {
            let bytes = AlignedVec::from_slice(&encode(&job));
            assert_eq!(JobFile::parse(bytes.as_slice()), Ok(job));
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        for job in samples() {
            let bytes = AlignedVec::from_slice(&encode(&job));
            for end in 0..bytes.as_slice().len() {
                assert!(
                    JobFile::parse(&bytes.as_slice()[..end]).is_err(),
                    "a file cut at {end} was accepted"
                );
            }
        }
        let broken = |job: usize, at: usize, value: u32| {
            let mut copy = AlignedVec::from_slice(&encode(&samples()[job]));
            copy.as_mut_slice()[at..at + 4].copy_from_slice(&value.to_le_bytes());
            JobFile::parse(copy.as_slice()).err()
        };
        assert_eq!(broken(0, 0, 7), Some(JobError::NoJob { found: 7 }));
        assert_eq!(broken(0, 4, 2), Some(JobError::Version { found: 2 }));
        assert_eq!(broken(0, 12, 3), Some(JobError::OutOfRange { at: 12 }));
        assert_eq!(broken(0, 28, u32::MAX), Some(JobError::OutOfRange { at: 28 }));
        assert_eq!(broken(0, 56, 11), Some(JobError::OutOfRange { at: 52 }));
        assert_eq!(broken(1, 64, 20), Some(JobError::OutOfRange { at: 60 }));
    }

    #[test]
    fn faults_keep_their_numbers() {
        let known = (0..9).filter_map(|value| Some((value, Fault::from_u32(value)? as u32)));
        assert_eq!(known.collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    }
}
