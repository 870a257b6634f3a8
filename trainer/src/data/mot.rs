//! Sequences of the MOTChallenge: `seqinfo.ini`, `det/det.txt`, `gt/gt.txt`, and the frames where there are any.
//!
//! Frames count from 1 to `seqLength`, those without a box included. Boxes are `x, y, w, h` in pixels from the upper
//! left corner of the image and may reach beyond it.
//!
//! A row of detections is `frame, id (ignored), x, y, w, h, score`, further columns are ignored; of results `frame, id,
//! x, y, w, h, score`; of ground truth `frame, id, x, y, w, h, counts`, and from MOT16 on `class, visibility` after them.
//! What cannot be read is an error with file and line. A detection that can be read but is no box (a number that is not
//! finite, a width or height that is not above zero) is dropped and counted, because detectors do write such rows; in
//! ground truth and results the same is an error, though there a box may be empty.

mod rows;

use super::DataError;
use rows::Rows;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A box in pixels: upper left corner, width and height.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BBox {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl BBox {
    /// The centre.
    pub fn centre(&self) -> [f64; 2] {
        [self.x + self.w / 2.0, self.y + self.h / 2.0]
    }

    /// True where all numbers are finite and the area is above zero.
    pub fn is_box(&self) -> bool {
        [self.x, self.y, self.w, self.h].iter().all(|v| v.is_finite()) && self.w > 0.0 && self.h > 0.0
    }

    /// Intersection over union, 0 to 1; 0 where either box is empty.
    pub fn iou(&self, other: &Self) -> f64 {
        let across = (self.x + self.w).min(other.x + other.w) - self.x.max(other.x);
        let down = (self.y + self.h).min(other.y + other.h) - self.y.max(other.y);
        let (mine, others) = (self.w * self.h, other.w * other.h);
        if mine <= f64::EPSILON || others <= f64::EPSILON {
            return 0.0;
        }
        let both = across.max(0.0) * down.max(0.0);
        both / (mine + others - both)
    }
}

/// What a detector found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Where.
    pub bbox: BBox,
    /// How sure it is; larger is surer.
    pub score: f64,
}

/// One row of results: where a track is in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Frame, from 1.
    pub frame: usize,
    /// Number of the track.
    pub id: u32,
    /// Where.
    pub bbox: BBox,
    /// Score of the detection behind it; 1 where there is none.
    pub score: f64,
}

/// One row of ground truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Frame, from 1.
    pub frame: usize,
    /// Number of the person.
    pub id: u32,
    /// Where.
    pub bbox: BBox,
    /// False for rows that the benchmark marks as not to be counted (the seventh column is 0).
    pub counts: bool,
    /// Class as of MOT16 (1 is a pedestrian); `None` in MOT15, which has no classes.
    pub class: Option<u8>,
}

/// Content of `seqinfo.ini`.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// Name of the sequence.
    pub name: String,
    /// Number of frames.
    pub frames: usize,
    /// Frames a second.
    pub frame_rate: f64,
    /// Width of a frame in pixels.
    pub width: u32,
    /// Height of a frame in pixels.
    pub height: u32,
    /// Folder of the frames, in the sequence's folder; often absent.
    pub images: PathBuf,
    /// Ending of the frames' names, with the dot.
    pub ending: String,
}

/// A sequence with its detections.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// Name, length, size.
    pub info: Info,
    /// Detections of each frame; as many as there are frames.
    pub detections: Vec<Vec<Detection>>,
    /// Rows of detections that were no boxes.
    pub dropped: usize,
    /// Ground truth, where the sequence has it.
    pub truth: Option<Vec<Truth>>,
}

/// Where a sequence's detections lie unless the caller says otherwise.
pub const DETECTIONS: &str = "det/det.txt";

/// Reads the sequence in folder `path`, or every sequence in a folder of `path`, in the order of names.
/// `detections` is the file of detections in a sequence's folder, [`DETECTIONS`] by custom.
///
/// # Errors
/// A folder without sequence, missing files, and every row that cannot be read, with its line.
pub fn read(path: &Path, detections: &str) -> Result<Vec<Sequence>, DataError> {
    let expected = "expected a MOTChallenge sequence (a folder with seqinfo.ini) or a folder of sequences";
    if !path.is_dir() {
        return Err(DataError::missing(path, expected));
    }
    if path.join("seqinfo.ini").is_file() {
        return Ok(vec![Sequence::read(path, detections)?]);
    }
    let entries = std::fs::read_dir(path).map_err(|source| DataError::Read { path: path.into(), source })?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.join("seqinfo.ini").is_file())
        .collect();
    folders.sort();
    if folders.is_empty() {
        return Err(DataError::missing(path.join("seqinfo.ini"), expected));
    }
    folders.iter().map(|folder| Sequence::read(folder, detections)).collect()
}

impl Sequence {
    fn read(folder: &Path, detections: &str) -> Result<Self, DataError> {
        let info = Info::read(folder)?;
        let (detections, dropped) = read_detections(&folder.join(detections), info.frames)?;
        let truth = folder.join("gt/gt.txt");
        let truth = truth.is_file().then(|| read_truth(&truth, info.frames)).transpose()?;
        Ok(Self { info, detections, dropped, truth })
    }
}

impl Info {
    /// Reads `seqinfo.ini` of the sequence in `folder`.
    ///
    /// # Errors
    /// A file that is missing, a line that is no `key=value`, a number out of its range, a key that is not there.
    pub fn read(folder: &Path) -> Result<Self, DataError> {
        let path = folder.join("seqinfo.ini");
        let text = read_text(&path)?;
        let mut values = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['[', ';', '#']) {
                continue;
            }
            let (key, value) = line.split_once('=').ok_or_else(|| {
                DataError::content(&path, format!("line {}: `{line}`: expected `key=value`", at + 1))
            })?;
            values.push((key.trim(), value.trim(), at + 1));
        }
        let find = |key: &str| values.iter().find(|(k, ..)| *k == key).map(|&(_, value, line)| (value, line));
        let number = |key: &str, most: f64| {
            let (value, line) =
                find(key).ok_or_else(|| DataError::content(&path, format!("no line `{key}=…`")))?;
            let number = value.parse::<f64>().ok().filter(|n| (1.0..=most).contains(n));
            number.ok_or_else(|| {
                let problem = format!("line {line}: {key} is `{value}`, expected a number from 1 to {most}");
                DataError::content(&path, problem)
            })
        };
        let text = |key, otherwise: &str| find(key).map_or(otherwise, |(value, _)| value).to_string();
        let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            name: text("name", &folder_name),
            frames: number("seqLength", 1e6)? as usize,
            frame_rate: number("frameRate", 1e4)?,
            width: number("imWidth", 65535.0)? as u32,
            height: number("imHeight", 65535.0)? as u32,
            images: folder.join(text("imDir", "img1")),
            ending: text("imExt", ".jpg"),
        })
    }

    /// File of a frame's picture, which need not be there.
    pub fn image(&self, frame: usize) -> PathBuf {
        self.images.join(format!("{frame:06}{}", self.ending))
    }
}

fn read_text(path: &Path) -> Result<String, DataError> {
    if !path.is_file() {
        return Err(DataError::missing(path, "expected a text file of a MOTChallenge sequence"));
    }
    std::fs::read_to_string(path).map_err(|source| DataError::Read { path: path.into(), source })
}

/// Detections of each of `frames` frames, and how many rows were no boxes.
///
/// # Errors
/// Rows that cannot be read, and frames beyond the sequence.
pub fn read_detections(path: &Path, frames: usize) -> Result<(Vec<Vec<Detection>>, usize), DataError> {
    let text = read_text(path)?;
    let mut detections = vec![Vec::new(); frames];
    let mut dropped = 0;
    for row in Rows::new(path, &text, 7) {
        let row = row?;
        let frame = row.frame(frames)?;
        row.number(1, "id")?;
        let detection = Detection { bbox: row.bbox()?, score: row.number(6, "score")? };
        if detection.bbox.is_box() && detection.score.is_finite() {
            detections[frame - 1].push(detection);
        } else {
            dropped += 1;
        }
    }
    Ok((detections, dropped))
}

/// Ground truth of a sequence of `frames` frames.
///
/// # Errors
/// Rows that cannot be read or hold no box, frames beyond the sequence, a person twice in one frame.
pub fn read_truth(path: &Path, frames: usize) -> Result<Vec<Truth>, DataError> {
    let text = read_text(path)?;
    let mut seen = HashSet::new();
    let mut truth = Vec::new();
    for row in Rows::new(path, &text, 7) {
        let row = row?;
        let (frame, id, bbox) = row.tracked(frames, &mut seen)?;
        let counts = row.finite(6, "mark")? != 0.0;
        // Nine columns: MOT16 and later. Ten, with a position in space, or seven: MOT15.
        let class = (row.len() == 9).then(|| row.whole(7, "class", 0, u8::MAX.into())).transpose()?;
        truth.push(Truth { frame, id, bbox, counts, class: class.map(|c| c as u8) });
    }
    Ok(truth)
}

/// Results of a tracker on a sequence of `frames` frames.
///
/// # Errors
/// Rows that cannot be read or hold no box, frames beyond the sequence, a track twice in one frame.
pub fn read_results(path: &Path, frames: usize) -> Result<Vec<Row>, DataError> {
    let text = read_text(path)?;
    let mut seen = HashSet::new();
    Rows::new(path, &text, 6)
        .map(|row| {
            let row = row?;
            let (frame, id, bbox) = row.tracked(frames, &mut seen)?;
            let score = if row.len() > 6 { row.finite(6, "score")? } else { 1.0 };
            Ok(Row { frame, id, bbox, score })
        })
        .collect()
}

/// `rows` as the MOTChallenge wants them: by frame, then by track, two digits after the point.
pub fn results(rows: &[Row]) -> String {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| (row.frame, row.id));
    let mut text = String::with_capacity(rows.len() * 48);
    for Row { frame, id, bbox: BBox { x, y, w, h }, score } in sorted {
        writeln!(text, "{frame},{id},{x:.2},{y:.2},{w:.2},{h:.2},{score:.4},-1,-1,-1")
            .expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_shared_area_over_all_area() {
        let a = BBox { x: 0.0, y: 0.0, w: 2.0, h: 2.0 };
        assert_eq!(a.iou(&a), 1.0);
        assert_eq!(a.iou(&BBox { x: 1.0, ..a }), 1.0 / 3.0);
        assert_eq!(a.iou(&BBox { x: 2.0, ..a }), 0.0);
        assert_eq!(a.iou(&BBox { w: 0.0, ..a }), 0.0);
    }

    #[test]
    fn results_are_sorted_and_read_back() {
        let bbox = BBox { x: -1.5, y: 2.25, w: 3.0, h: 4.0 };
        let row = |frame, id| Row { frame, id, bbox, score: 0.5 };
        let text = results(&[row(2, 1), row(1, 7), row(1, 3)]);
        assert_eq!(text.lines().next(), Some("1,3,-1.50,2.25,3.00,4.00,0.5000,-1,-1,-1"));
        let dir = std::env::temp_dir().join(format!("dunlin-mot-{}", std::process::id()));
        std::fs::write(&dir, &text).expect("a temporary file");
        let read = read_results(&dir, 2);
        std::fs::remove_file(&dir).expect("the file is there");
        assert_eq!(read.expect("what was written can be read"), [row(1, 3), row(1, 7), row(2, 1)]);
    }
}
