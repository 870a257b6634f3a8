//! The job file: models and inputs, as the loader places them into a board's memory.
//!
//! ```text
//! offset  size
//!      0     4  magic "DJOB"
//!      4     4  version, 1
//!      8     4  bytes of the whole file
//!     12     4  number of jobs, J
//!     16     4  number of input entries, I
//!     20     4  flags: bit 0 = measure every node in a second run
//!     24     4  number of row counts, C
//!     28     4  0
//!     32   28·J  jobs: model offset, model bytes, runs, inputs per run, first input entry, counts per run, first count
//!      …    8·I  inputs: offset, bytes
//!      …    4·C  row counts
//!      …        models and inputs, each 16-byte aligned, the file padded to 16
//! ```
//!
//! Every number is a little-endian `u32`, every offset counts from the start of the file. A job is one model and
//! one or more runs of it in one session, so that a model with state sees its sequence; run `r` takes the input
//! entries from `first + r · inputs_per_run`. The counts set the rows of the bounded dimensions, in their order, for a
//! run; with none, every dimension is at its bound. Jobs may share model bytes.

use core::fmt;

/// `DJOB` in memory order.
pub const MAGIC: u32 = u32::from_le_bytes(*b"DJOB");
/// Version of the layout on this page.
pub const VERSION: u32 = 1;
/// Bytes before the first job entry.
pub const HEADER_BYTES: usize = 32;
/// Bytes of a job entry.
pub const JOB_BYTES: usize = 28;
/// Bytes of an input entry.
pub const INPUT_BYTES: usize = 8;
/// Bytes of a row count.
pub const COUNT_BYTES: usize = 4;
/// Flag: after all runs of a job, repeat them from a reset state with a timer reading around every node.
pub const FLAG_PROFILE: u32 = 1;
/// Alignment of models and inputs.
pub const ALIGN: usize = 16;

/// Why a job file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum JobError {
    /// The first word is not that of a job file: the loader placed none there, or one for another image.
    NoJob {
        /// The word found.
        found: u32,
    },
    /// Written by a host of another version.
    Version {
        /// The version found.
        found: u32,
    },
    /// The word at this byte offset points outside the file, or the file outside its region.
    OutOfRange {
        /// Byte offset of the word.
        at: usize,
    },
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJob { found } => write!(f, "no job file of this image: it begins with {found:#010x}"),
            Self::Version { found } => write!(f, "job file version {found}, which this image does not read"),
            Self::OutOfRange { at } => write!(f, "job file byte {at}: offset or length out of range"),
        }
    }
}

/// A checked view of a job file in memory.
#[derive(Clone, Copy, Debug)]
pub struct JobFile<'a> {
    bytes: &'a [u8],
    jobs: usize,
    flags: u32,
}

/// One job of a [`JobFile`].
#[derive(Clone, Copy, Debug)]
pub struct JobView<'a> {
    file: JobFile<'a>,
    /// The `.dun` bytes.
    pub model: &'a [u8],
    /// How often to run.
    pub runs: usize,
    /// Input tensors of one run.
    pub inputs_per_run: usize,
    /// Row counts of one run.
    pub counts_per_run: usize,
    first_input: usize,
    first_count: usize,
}

pub(crate) fn word(bytes: &[u8], at: usize) -> Result<u32, JobError> {
    let end = at.checked_add(4).ok_or(JobError::OutOfRange { at })?;
    let word = bytes.get(at..end).ok_or(JobError::OutOfRange { at })?;
    Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

pub(crate) fn span(bytes: &[u8], at: usize) -> Result<&[u8], JobError> {
    let (start, length) = (word(bytes, at)? as usize, word(bytes, at + 4)? as usize);
    let end = start.checked_add(length).ok_or(JobError::OutOfRange { at })?;
    bytes.get(start..end).ok_or(JobError::OutOfRange { at })
}

/// Length in bytes of the file with this magic, version and header at the start of `region`.
pub(crate) fn length(region: &[u8], magic: u32, version: u32, header: usize) -> Result<usize, JobError> {
    let found = word(region, 0)?;
    if found != magic {
        return Err(JobError::NoJob { found });
    }
    let found = word(region, 4)?;
    if found != version {
        return Err(JobError::Version { found });
    }
    let length = word(region, 8)? as usize;
    if length < header || length > region.len() || !length.is_multiple_of(ALIGN) {
        return Err(JobError::OutOfRange { at: 8 });
    }
    Ok(length)
}

impl<'a> JobFile<'a> {
    /// Length in bytes of the job file at the start of `region`, from its header alone.
    pub fn length(region: &[u8]) -> Result<usize, JobError> {
        length(region, MAGIC, VERSION, HEADER_BYTES)
    }

    /// Checks the header and every entry of `bytes`, which is exactly one job file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JobError> {
        let length = Self::length(bytes)?;
        let file = Self { bytes: &bytes[..length], jobs: word(bytes, 12)? as usize, flags: word(bytes, 20)? };
        for index in 0..file.jobs {
            let job = file.job(index)?;
            for run in 0..job.runs {
                for input in 0..job.inputs_per_run {
                    job.input(run, input)?;
                }
                for dim in 0..job.counts_per_run {
                    job.count(run, dim)?;
                }
            }
        }
        Ok(file)
    }

    /// Number of jobs.
    pub fn jobs(&self) -> usize {
        self.jobs
    }

    /// Whether every run is to be repeated with a timer reading around each node.
    pub fn profile(&self) -> bool {
        self.flags & FLAG_PROFILE != 0
    }

    /// Job `index`, counted from 0.
    pub fn job(&self, index: usize) -> Result<JobView<'a>, JobError> {
        let at = index
            .checked_mul(JOB_BYTES)
            .and_then(|offset| offset.checked_add(HEADER_BYTES))
            .filter(|_| index < self.jobs)
            .ok_or(JobError::OutOfRange { at: 12 })?;
        Ok(JobView {
            file: *self,
            model: span(self.bytes, at)?,
            runs: word(self.bytes, at + 8)? as usize,
            inputs_per_run: word(self.bytes, at + 12)? as usize,
            first_input: word(self.bytes, at + 16)? as usize,
            counts_per_run: word(self.bytes, at + 20)? as usize,
            first_count: word(self.bytes, at + 24)? as usize,
        })
    }
}

impl<'a> JobView<'a> {
    /// Bytes of input tensor `input` in run `run`.
    pub fn input(&self, run: usize, input: usize) -> Result<&'a [u8], JobError> {
        let entry = self.entry(run, input, self.inputs_per_run, self.first_input, 16)?;
        span(self.file.bytes, self.tables() + entry * INPUT_BYTES)
    }

    /// Rows of bounded dimension `dim` in run `run`.
    pub fn count(&self, run: usize, dim: usize) -> Result<u32, JobError> {
        let entry = self.entry(run, dim, self.counts_per_run, self.first_count, 24)?;
        let inputs = word(self.file.bytes, 16)? as usize;
        word(self.file.bytes, self.tables() + inputs * INPUT_BYTES + entry * COUNT_BYTES)
    }

    /// First byte after the job entries.
    fn tables(&self) -> usize {
        HEADER_BYTES + self.file.jobs * JOB_BYTES
    }

    /// Index into the table whose length is the header's word at `length_at`.
    fn entry(
        &self,
        run: usize,
        index: usize,
        per_run: usize,
        first: usize,
        length_at: usize,
    ) -> Result<usize, JobError> {
        let error = JobError::OutOfRange { at: length_at };
        if run >= self.runs || index >= per_run {
            return Err(error);
        }
        let entry = run.checked_mul(per_run).and_then(|entry| entry.checked_add(first)?.checked_add(index));
        let length = word(self.file.bytes, length_at)? as usize;
        entry.filter(|&entry| entry < length && entry < self.file.bytes.len()).ok_or(error)
    }
}

/// One run to be laid out: its inputs and its row counts.
#[cfg(feature = "host")]
pub type RunView<'a> = (Vec<&'a [u8]>, &'a [u32]);

/// Lays out a job file: jobs as (model bytes, runs). Identical model bytes are stored once.
///
/// Every run of a job must have as many inputs and counts as its first; those are what the file records.
#[cfg(feature = "host")]
pub fn encode(jobs: &[(&[u8], Vec<RunView>)], profile: bool) -> Vec<u8> {
    use std::collections::HashMap;

    let runs = || jobs.iter().flat_map(|(_, runs)| runs);
    let inputs: usize = runs().map(|(inputs, _)| inputs.len()).sum();
    let counts: usize = runs().map(|(_, counts)| counts.len()).sum();
    let tables = HEADER_BYTES + JOB_BYTES * jobs.len() + INPUT_BYTES * inputs + COUNT_BYTES * counts;
    let (mut job_table, mut input_table, mut count_table) = (Vec::new(), Vec::new(), Vec::new());
    let mut data = Vec::new();
    let base = tables.next_multiple_of(ALIGN);
    let mut store = |bytes: &[u8]| {
        let offset = base + data.len();
        data.extend_from_slice(bytes);
        data.resize(data.len().next_multiple_of(ALIGN), 0);
        offset
    };
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    for (model, runs) in jobs {
        let offset = *known.entry(model).or_insert_with(|| store(model));
        let (inputs, counts) = runs.first().map_or((0, 0), |(inputs, counts)| (inputs.len(), counts.len()));
        let (first_input, first_count) = (input_table.len() / 2, count_table.len());
        job_table.extend([offset, model.len(), runs.len(), inputs, first_input, counts, first_count]);
        for (inputs, counts) in runs {
            inputs.iter().for_each(|input| input_table.extend([store(input), input.len()]));
            count_table.extend(counts.iter().map(|&count| count as usize));
        }
    }
    let total = base + data.len();
    let flags = if profile { FLAG_PROFILE as usize } else { 0 };
    let header = [MAGIC as usize, VERSION as usize, total, jobs.len(), inputs, flags, counts, 0];
    let mut bytes: Vec<u8> = header
        .into_iter()
        .chain(job_table)
        .chain(input_table)
        .chain(count_table)
        .flat_map(|value| u32::try_from(value).expect("job files are smaller than 4 GB").to_le_bytes())
        .collect();
    bytes.resize(base, 0);
    bytes.extend_from_slice(&data);
    bytes
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let model = [1u8; 21];
        let first: Vec<RunView> = vec![(vec![&[2; 3], &[3; 4]], &[9]), (vec![&[4; 3], &[5; 4]], &[8])];
        encode(&[(&model, first), (&model, vec![(vec![&[6; 9]], &[])])], true)
    }

    #[test]
    fn a_view_returns_what_was_encoded() {
        let bytes = sample();
        let file = JobFile::parse(&bytes).unwrap();
        assert_eq!((file.jobs(), file.profile()), (2, true));
        let (first, second) = (file.job(0).unwrap(), file.job(1).unwrap());
        assert_eq!((first.runs, first.inputs_per_run, first.model), (2, 2, &[1u8; 21][..]));
        assert_eq!(first.input(1, 0).unwrap(), [4; 3]);
        assert_eq!(first.input(1, 1).unwrap(), [5; 4]);
        assert_eq!((first.count(0, 0), first.count(1, 0)), (Ok(9), Ok(8)));
        assert_eq!(second.input(0, 0).unwrap(), [6; 9]);
        assert_eq!(second.counts_per_run, 0);
        assert_eq!(first.model.as_ptr(), second.model.as_ptr(), "equal models are stored once");
        assert_eq!((first.model.as_ptr() as usize - bytes.as_ptr() as usize) % ALIGN, 0);
    }

    #[test]
    fn runs_inputs_and_counts_beyond_the_job_are_refused() {
        let bytes = sample();
        let file = JobFile::parse(&bytes).unwrap();
        let job = file.job(0).unwrap();
        assert!(job.input(2, 0).is_err());
        assert!(job.input(0, 2).is_err());
        assert!(job.count(0, 1).is_err());
        assert!(file.job(1).unwrap().count(0, 0).is_err());
        assert!(file.job(2).is_err());
    }

    #[test]
    fn damaged_files_are_refused() {
        let bytes = sample();
        let broken = |at: usize, value: u32| {
            let mut copy = bytes.clone();
            copy[at..at + 4].copy_from_slice(&value.to_le_bytes());
            JobFile::parse(&copy).err()
        };
        assert_eq!(broken(0, 7), Some(JobError::NoJob { found: 7 }));
        assert_eq!(broken(4, 9), Some(JobError::Version { found: 9 }));
        assert_eq!(broken(8, bytes.len() as u32 + 16), Some(JobError::OutOfRange { at: 8 }));
        assert_eq!(broken(HEADER_BYTES, u32::MAX), Some(JobError::OutOfRange { at: HEADER_BYTES }));
        assert_eq!(broken(16, 1), Some(JobError::OutOfRange { at: 16 }));
        assert_eq!(broken(24, 1), Some(JobError::OutOfRange { at: 24 }));
        for end in 0..bytes.len() {
            assert!(JobFile::parse(&bytes[..end]).is_err(), "a file cut at {end} was accepted");
        }
    }
}
