//! The job file of an image that tracks: the network, the tracker's settings, and frames with their detections.
//!
//! ```text
//! offset  size
//!      0     4  magic "DTRK"
//!      4     4  version, 1
//!      8     4  bytes of the whole file
//!     12     8  model: offset, bytes
//!     20     8  frames: offset, bytes
//!     28     4  number of frames
//!     32    88  settings, 22 words
//!    128        model and frames, each 16-byte aligned, the file padded to 16
//! ```
//!
//! A frame is its number, the count of its detections, and for each left, top, width, height and score. Numbers are
//! little-endian, `u32` or `f32`; offsets count from the start of the file.

use crate::job::{self, JobError};
use dunlin_track::{Detection, Noise, Rect, Rounding, Settings, Tracked};

/// `DTRK` in memory order.
pub const MAGIC: u32 = u32::from_le_bytes(*b"DTRK");
/// Version of the layout on this page.
pub const VERSION: u32 = 1;
/// Bytes before model and frames.
pub const HEADER_BYTES: usize = 128;
/// Words of the settings.
pub const SETTINGS_WORDS: usize = 22;
/// Words of a row in a record.
pub const ROW_WORDS: usize = 7;
/// Detections that a frame can have. A tracker takes fewer and says which; this is what an image can read.
pub const MOST_DETECTIONS: usize = 256;

const SETTINGS_AT: usize = 32;
const FRAME_BYTES: usize = 8;
const DETECTION_BYTES: usize = 20;

/// A checked view of a job file in memory.
#[derive(Clone, Copy, Debug)]
pub struct JobFile<'a> {
    /// The `.dun` bytes.
    pub model: &'a [u8],
    /// How the tracker works.
    pub settings: Settings,
    frames: &'a [u8],
}

/// A frame of a [`JobFile`].
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    /// Its number.
    pub number: u32,
    detections: &'a [u8],
}

impl<'a> JobFile<'a> {
    /// Length in bytes of the job file at the start of `region`, from its header alone.
    pub fn length(region: &[u8]) -> Result<usize, JobError> {
        job::length(region, MAGIC, VERSION, HEADER_BYTES)
    }

    /// Checks the header and every frame of `bytes`, which is exactly one job file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JobError> {
        let length = Self::length(bytes)?;
        let bytes = &bytes[..length];
        let mut words = [0; SETTINGS_WORDS];
        for (index, word) in words.iter_mut().enumerate() {
            *word = job::word(bytes, SETTINGS_AT + 4 * index)?;
        }
        let settings = settings(&words).ok_or(JobError::OutOfRange { at: SETTINGS_AT })?;
        let file = Self { model: job::span(bytes, 12)?, settings, frames: job::span(bytes, 20)? };
        let whole: usize = file.frames().map(|f| FRAME_BYTES + f.detections.len()).sum();
        if whole != file.frames.len() {
            return Err(JobError::OutOfRange { at: 20 });
        }
        if file.frames().count() != job::word(bytes, 28)? as usize {
            return Err(JobError::OutOfRange { at: 28 });
        }
        Ok(file)
    }

    /// The frames in their order.
    pub fn frames(&self) -> impl Iterator<Item = FrameView<'a>> + use<'a> {
        let mut rest = self.frames;
        core::iter::from_fn(move || {
            let (number, count) = (job::word(rest, 0).ok()?, job::word(rest, 4).ok()? as usize);
            let end = count.checked_mul(DETECTION_BYTES)?.checked_add(FRAME_BYTES)?;
            let detections = rest.get(FRAME_BYTES..end).filter(|_| count <= MOST_DETECTIONS)?;
            rest = &rest[end..];
            Some(FrameView { number, detections })
        })
    }
}

impl<'a> FrameView<'a> {
    /// The detections in their order.
    pub fn detections(&self) -> impl ExactSizeIterator<Item = Detection> + use<'a> {
        self.detections.chunks_exact(DETECTION_BYTES).map(|bytes| {
            let [x, y, w, h, score] = [0, 1, 2, 3, 4].map(|i| {
                let bytes = bytes.get(4 * i..).and_then(|rest| rest.first_chunk()).copied();
                f32::from_le_bytes(bytes.unwrap_or_default())
            });
            Detection { bounds: Rect { x, y, w, h }, score }
        })
    }
}

/// The settings in the order of their words; an unknown rounding gives none.
fn settings(words: &[u32; SETTINGS_WORDS]) -> Option<Settings> {
    let real = |at: usize| f32::from_bits(words[at]);
    Some(Settings {
        rate: real(0),
        picture: (words[1] != 0).then(|| [real(2), real(3)]),
        latency: words[4],
        min_score: real(5),
        birth_score: real(6),
        gate: real(7),
        neighbours: words[8] as usize,
        gap_seconds: real(9),
        gap_frames: words[10],
        gap_per_hit: words[11],
        noise: Noise { process: real(12), measurement: real(13), velocity: real(14) },
        edge_weight: real(15),
        edge_threshold: real(16),
        node_threshold: real(17),
        sure_score: real(18),
        min_hits: words[19],
        interpolate: words[20],
        rounding: match words[21] {
            0 => Rounding::Greedy,
            1 => Rounding::Exact,
            _ => return None,
        },
    })
}

/// The words that [`settings`] reads.
#[cfg(feature = "host")]
fn settings_words(settings: &Settings) -> [u32; SETTINGS_WORDS] {
    let s = settings;
    let [width, height] = s.picture.unwrap_or_default().map(f32::to_bits);
    [
        s.rate.to_bits(),
        u32::from(s.picture.is_some()),
        width,
        height,
        s.latency,
        s.min_score.to_bits(),
        s.birth_score.to_bits(),
        s.gate.to_bits(),
        u32::try_from(s.neighbours).unwrap_or(u32::MAX),
        s.gap_seconds.to_bits(),
        s.gap_frames,
        s.gap_per_hit,
        s.noise.process.to_bits(),
        s.noise.measurement.to_bits(),
        s.noise.velocity.to_bits(),
        s.edge_weight.to_bits(),
        s.edge_threshold.to_bits(),
        s.node_threshold.to_bits(),
        s.sure_score.to_bits(),
        s.min_hits,
        s.interpolate,
        match s.rounding {
            Rounding::Greedy => 0,
            Rounding::Exact => 1,
        },
    ]
}

/// The words of a row: frame, id, left, top, width, height as bits of `f32`, 1 if it was not detected.
pub fn row_words(row: &Tracked) -> [u32; ROW_WORDS] {
    let Rect { x, y, w, h } = row.bounds;
    let [x, y, w, h] = [x, y, w, h].map(f32::to_bits);
    [row.frame, row.id, x, y, w, h, u32::from(row.interpolated)]
}

/// The row of these words; none if the last is neither 0 nor 1.
pub fn row(words: &[u32; ROW_WORDS]) -> Option<Tracked> {
    let [frame, id, x, y, w, h, interpolated] = *words;
    let [x, y, w, h] = [x, y, w, h].map(f32::from_bits);
    let bounds = Rect { x, y, w, h };
    (interpolated <= 1).then_some(Tracked { frame, id, bounds, interpolated: interpolated == 1 })
}

/// A frame and its detections.
#[cfg(feature = "host")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Its number.
    pub number: u32,
    /// What was seen, at most [`MOST_DETECTIONS`].
    pub detections: Vec<Detection>,
}

/// Lays out a job file; what is beyond [`MOST_DETECTIONS`] in a frame is an error that names the frame.
#[cfg(feature = "host")]
pub(crate) fn encode(model: &[u8], settings: &Settings, frames: &[Frame]) -> Result<Vec<u8>, String> {
    let mut stream = Vec::new();
    for Frame { number, detections } in frames {
        if detections.len() > MOST_DETECTIONS {
            let count = detections.len();
            return Err(format!("frame {number} has {count} detections, a board reads {MOST_DETECTIONS}"));
        }
        stream.extend(number.to_le_bytes());
        stream.extend((detections.len() as u32).to_le_bytes());
        for Detection { bounds: Rect { x, y, w, h }, score } in detections {
            stream.extend([x, y, w, h, score].into_iter().flat_map(|v| v.to_le_bytes()));
        }
    }
    let frames_at = HEADER_BYTES + model.len().next_multiple_of(job::ALIGN);
    let total = frames_at + stream.len().next_multiple_of(job::ALIGN);
    let header = [total, HEADER_BYTES, model.len(), frames_at, stream.len(), frames.len()];
    let header = header.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let words = [MAGIC, VERSION].into_iter().chain(header).chain(settings_words(settings));
    let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    bytes.resize(HEADER_BYTES, 0);
    bytes.extend(model);
    bytes.resize(frames_at, 0);
    bytes.extend(stream);
    bytes.resize(total, 0);
    Ok(bytes)
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::*;

    fn sample() -> (Settings, Vec<Frame>, Vec<u8>) {
        let detection = |x: f32| Detection { bounds: Rect { x, y: -0.0, w: 3.5, h: 4.0 }, score: 0.75 };
        let settings = Settings {
            picture: Some([640.0, 480.0]),
            neighbours: 3,
            rounding: Rounding::Greedy,
            ..Settings::new(7.0, None)
        };
        let frames = vec![
            Frame { number: 9, detections: vec![detection(1.0), detection(f32::INFINITY)] },
            Frame { number: 4, detections: Vec::new() },
        ];
        let bytes = encode(&[5; 21], &settings, &frames).unwrap();
        (settings, frames, bytes)
    }

    #[test]
    fn a_view_returns_what_was_encoded() {
        let (settings, frames, bytes) = sample();
        let file = JobFile::parse(&bytes).unwrap();
        assert_eq!((file.model, file.settings), (&[5; 21][..], settings));
        let back = file.frames().map(|f| Frame { number: f.number, detections: f.detections().collect() });
        assert_eq!(back.collect::<Vec<_>>(), frames);
        let none = Settings { picture: None, ..settings };
        assert_eq!(super::settings(&settings_words(&none)), Some(none));
    }

    #[test]
    fn damaged_files_and_crowds_are_refused() {
        let (settings, _, bytes) = sample();
        for end in 0..bytes.len() {
            assert!(JobFile::parse(&bytes[..end]).is_err(), "a file cut at {end} was accepted");
        }
        let broken = |at: usize, value: u32| {
            let mut copy = bytes.clone();
            copy[at..at + 4].copy_from_slice(&value.to_le_bytes());
            JobFile::parse(&copy).err()
        };
        let job = u32::from_le_bytes(*b"DJOB");
        assert_eq!(broken(0, job), Some(JobError::NoJob { found: job }));
        assert_eq!(broken(SETTINGS_AT + 4 * 21, 2), Some(JobError::OutOfRange { at: SETTINGS_AT }));
        assert_eq!(broken(28, 3), Some(JobError::OutOfRange { at: 28 }));
        assert_eq!(broken(HEADER_BYTES + 32 + 4, 3), Some(JobError::OutOfRange { at: 20 }));
        let crowd = vec![Detection { bounds: Rect::default(), score: 0.0 }; MOST_DETECTIONS + 1];
        let frame = Frame { number: 3, detections: crowd };
        assert!(encode(&[], &settings, &[frame]).unwrap_err().contains("frame 3 has 257"));
    }

    #[test]
    fn rows_keep_their_bits() {
        let bounds = Rect { x: -0.0, y: f32::MIN_POSITIVE / 2.0, w: 1.5, h: 1e30 };
        let tracked = Tracked { frame: 7, id: 8, bounds, interpolated: true };
        let words = row_words(&tracked);
        assert_eq!(row(&words).map(|row| row_words(&row)), Some(words));
        assert_eq!(row(&[0, 0, 0, 0, 0, 0, 2]), None);
    }
}
