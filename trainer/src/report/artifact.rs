//! A model's folder: the `.dun` file, its card, recipe, metrics and pictures.

use super::card::{Card, Metrics, headline};
use super::curves::{self, Point};
use super::facts::Facts;
use super::overlay::{Classes, LabelMap, Row, side_by_side};
use super::{arena, confusion};
use crate::data::{Examples, class_palette};
use crate::eval::metrics::Confusion;
use crate::eval::{float, int8};
use crate::export::Quantised;
use crate::graph::Graph;
use crate::quantise::Int8Runner;
use crate::train::supervised::History;
use image::RgbImage;
use std::path::{Path, PathBuf};

/// Name of the file that holds [`Metrics`].
pub const METRICS: &str = "metrics.json";

/// Why a folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A file cannot be written.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The float model cannot be evaluated.
    #[error("{0}")]
    Float(String),
    /// The int8 model cannot be evaluated.
    #[error(transparent)]
    Int8(#[from] crate::quantise::RunnerError),
    /// The file that was made is refused.
    #[error("the runtime refuses the model: {0}")]
    Parse(dunlin::ParseError),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Draw(#[from] curves::DrawError),
}

/// What goes into the folder.
#[derive(Debug)]
pub struct Source<'a> {
    /// The float model that was quantised.
    pub float: &'a Graph,
    /// The int8 model.
    pub quantised: &'a Quantised,
    /// Held-out data.
    pub held_out: &'a Examples,
    /// The recipe, as TOML; empty where it is not known.
    pub recipe: &'a str,
    /// How it was quantised, in a sentence.
    pub quantisation: &'a str,
    /// Epochs of the training, where known.
    pub history: &'a [History],
    /// Commands that make the model again.
    pub commands: &'a [String],
    /// Other trainings measured on the same data: name and quality.
    pub compared: &'a [(String, Metrics)],
    /// A paragraph for the card; may be empty.
    pub note: &'a str,
    /// Threads for the evaluation.
    pub threads: usize,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The `.dun` file.
    pub dun: PathBuf,
    /// What is in it.
    pub facts: Facts,
    /// Its quality.
    pub metrics: Metrics,
    /// All files.
    pub files: Vec<PathBuf>,
}

/// Evaluates both models on the held-out data and writes the `.dun` file to `dun`, everything else beside it.
///
/// # Errors
/// A folder that cannot be written, data that does not fit the model.
pub fn write(dun: &Path, source: &Source<'_>) -> Result<Artifact, ArtifactError> {
    let folder = dun.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut files = Files { folder, written: Vec::new() };
    std::fs::create_dir_all(folder)
        .map_err(|e| ArtifactError::File { path: folder.into(), problem: e.to_string() })?;
    let bytes = source.quantised.file.as_slice();
    let facts = Facts::read(bytes).map_err(ArtifactError::Parse)?;
    let set = source.held_out;
    let segmentation = set.is_segmentation();
    let in_float = float::evaluate(source.float, set, source.threads).map_err(in_words)?;
    let in_int8 = int8::evaluate(bytes, set, source.threads)?;
    let metrics = Metrics::new(&set.classes, segmentation, set.len(), &in_float, &in_int8);
    files.bytes_at(dun, bytes)?;
    if !source.recipe.is_empty() {
        files.bytes("recipe.toml", source.recipe.as_bytes())?;
    }
    let json = serde_json::to_string_pretty(&metrics).unwrap_or_default();
    files.bytes(METRICS, json.as_bytes())?;
    let mut pictures = Vec::new();
    let mut picture = |name: &str, caption: &str, image: RgbImage| {
        pictures.push((name.to_string(), caption.to_string()));
        files.picture(name, &image)
    };
    if segmentation {
        let caption = "photographs, truth, float and int8";
        picture("samples.png", caption, samples(source, bytes)?)?;
    }
    if !source.history.is_empty() {
        picture("learning.png", "learning curves", learning(&facts.name, segmentation, source.history)?)?;
    }
    picture("confusion.png", "confusion matrix of the int8 model", matrix(&facts.name, set, &in_int8))?;
    picture("arena.png", "the arena over time", arena::picture(&facts))?;
    let card = Card {
        facts: &facts,
        metrics: &metrics,
        recipe: source.recipe,
        quantisation: source.quantisation,
        commands: source.commands,
        compared: source.compared,
        note: source.note,
        pictures: &pictures,
    };
    files.bytes("card.md", card.markdown().as_bytes())?;
    Ok(Artifact { dun: dun.into(), facts, metrics, files: files.written })
}

fn in_words(error: impl std::fmt::Display) -> ArtifactError {
    ArtifactError::Float(error.to_string())
}

/// Learning curves of a run.
///
/// # Errors
/// The drawing library refuses.
pub fn learning(name: &str, segmentation: bool, history: &[History]) -> Result<RgbImage, curves::DrawError> {
    let point = |h: &History| Point {
        epoch: h.epoch,
        loss: h.loss,
        metric: if segmentation { h.mean_iou } else { h.accuracy },
    };
    let points: Vec<Point> = history.iter().map(point).collect();
    let metric = if segmentation { "mIoU" } else { "accuracy" };
    curves::learning(&format!("{name}, {} epochs", points.len()), metric, &points)
}

/// Confusion matrix of an int8 model.
pub fn matrix(name: &str, set: &Examples, counts: &Confusion) -> RgbImage {
    let (metric, value) = headline(set.is_segmentation(), counts);
    let title = format!("{name}, int8, {} held-out examples: {metric} {value:.4}", set.len());
    confusion::picture(&title, &set.classes, |t, p| counts.count(t, p))
}

/// Four examples spread over the set, with the labels of truth, float and int8.
fn samples(source: &Source<'_>, file: &[u8]) -> Result<RgbImage, ArtifactError> {
    const ROWS: usize = 4;
    let set = source.held_out;
    let (width, height) = (set.shape.w, set.shape.h);
    let chosen: Vec<usize> = (0..ROWS.min(set.len())).map(|i| (2 * i + 1) * set.len() / (2 * ROWS)).collect();
    let mut labels: Vec<[Vec<u8>; 2]> = Vec::new();
    let mut runner = Int8Runner::new(file)?;
    for &i in &chosen {
        let in_float = float::labels(source.float, set, i..i + 1).map_err(in_words)?;
        let mut in_int8 = Vec::new();
        runner.label_images(std::iter::once(&*set.images[i]), |_, l| in_int8 = l.to_vec())?;
        labels.push([in_float, in_int8]);
    }
    let photos: Vec<RgbImage> = chosen.iter().map(|&i| photo(set, i)).collect();
    let map = |labels| LabelMap { labels, width, height };
    let rows: Vec<Row<'_>> = chosen
        .iter()
        .zip(&photos)
        .zip(&labels)
        .map(|((&i, photo), [f, q])| Row { photo, maps: vec![map(&set.labels[i]), map(f), map(q)] })
        .collect();
    let palette = class_palette(&set.classes);
    let classes = Classes { names: &set.classes, palette: &palette };
    let titles = ["photograph", "truth", "float", "int8"];
    Ok(side_by_side(&titles, &rows, &classes, 320u32.div_ceil(width).max(1)))
}

/// An example as a colour picture.
pub fn photo(set: &Examples, index: usize) -> RgbImage {
    let c = set.shape.c as usize;
    let pixels = &set.images[index];
    RgbImage::from_fn(set.shape.w, set.shape.h, |x, y| {
        let at = (y * set.shape.w + x) as usize * c;
        image::Rgb(std::array::from_fn(|i| pixels[at + i.min(c - 1)]))
    })
}

struct Files<'a> {
    folder: &'a Path,
    written: Vec<PathBuf>,
}

impl Files<'_> {
    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.bytes_at(&self.folder.join(name), bytes)
    }

    fn bytes_at(&mut self, path: &Path, bytes: &[u8]) -> Result<(), ArtifactError> {
        std::fs::write(path, bytes)
            .map_err(|e| ArtifactError::File { path: path.into(), problem: e.to_string() })?;
        self.written.push(path.into());
        Ok(())
    }

    fn picture(&mut self, name: &str, picture: &RgbImage) -> Result<(), ArtifactError> {
        let path = self.folder.join(name);
        picture
            .save(&path)
            .map_err(|e| ArtifactError::File { path: path.clone(), problem: e.to_string() })?;
        self.written.push(path);
        Ok(())
    }
}
