//! A model's folder: the `.dun` file, its card, recipe, metrics and pictures.

use super::card::{Card, Metrics, headline};
use super::curves::{self, Kept, Point};
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
    let bytes = source.quantised.file.as_slice();
    let name = &source.float.name;
    let set = source.held_out;
    let segmentation = set.is_segmentation();
    let in_float = float::evaluate(source.float, set, source.threads).map_err(in_words)?;
    let in_int8 = int8::evaluate(bytes, set, source.threads)?;
    let metrics = Metrics::new(&set.classes, segmentation, set.len(), &in_float, &in_int8);
    let mut pictures = Vec::new();
    if segmentation {
        pictures.push(("samples.png", "photographs, truth, float and int8", samples(source, bytes)?));
    }
    if !source.history.is_empty() {
        pictures.push((LEARNING, "learning curves", learning(name, segmentation, source.history)?));
    }
    pictures.push(("confusion.png", "confusion matrix of the int8 model", matrix(name, set, &in_int8)));
    lay_out(
        dun,
        Measured {
            file: bytes,
            metrics,
            recipe: source.recipe,
            quantisation: source.quantisation,
            commands: source.commands,
            compared: source.compared,
            note: source.note,
            held_out: "no gradient saw them, but the best epoch was chosen on them",
            pictures,
        },
    )
}

/// Name of the picture of learning curves.
pub const LEARNING: &str = "learning.png";

/// A model that was measured, and what its folder tells of it.
#[derive(Debug)]
pub struct Measured<'a> {
    /// The `.dun` file.
    pub file: &'a [u8],
    /// Its quality.
    pub metrics: Metrics,
    /// The recipe, as TOML; empty where it is not known.
    pub recipe: &'a str,
    /// How it was quantised, in a sentence.
    pub quantisation: &'a str,
    /// Commands that make the model again.
    pub commands: &'a [String],
    /// Other trainings measured on the same data: name and quality.
    pub compared: &'a [(String, Metrics)],
    /// A paragraph for the card; may be empty.
    pub note: &'a str,
    /// What the held-out examples had no part in.
    pub held_out: &'a str,
    /// File name, caption, picture.
    pub pictures: Vec<(&'static str, &'static str, RgbImage)>,
}

/// Writes the `.dun` file to `dun`; recipe, metrics, pictures and card beside it.
///
/// # Errors
/// A folder that cannot be written, a file that the runtime refuses.
pub fn lay_out(dun: &Path, made: Measured<'_>) -> Result<Artifact, ArtifactError> {
    let folder = dun.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut files = Files { folder, written: Vec::new() };
    std::fs::create_dir_all(folder)
        .map_err(|e| ArtifactError::File { path: folder.into(), problem: e.to_string() })?;
    let facts = Facts::read(made.file).map_err(ArtifactError::Parse)?;
    files.bytes_at(dun, made.file)?;
    if !made.recipe.is_empty() {
        files.bytes("recipe.toml", made.recipe.as_bytes())?;
    }
    let json = serde_json::to_string_pretty(&made.metrics).unwrap_or_default();
    files.bytes(METRICS, json.as_bytes())?;
    let arena = ("arena.png", "the arena over time", arena::picture(&facts));
    let mut pictures = Vec::new();
    for (name, caption, picture) in made.pictures.into_iter().chain([arena]) {
        files.picture(name, &picture)?;
        pictures.push((name.to_string(), caption.to_string()));
    }
    let card = Card {
        facts: &facts,
        metrics: &made.metrics,
        recipe: made.recipe,
        quantisation: made.quantisation,
        commands: made.commands,
        compared: made.compared,
        note: made.note,
        held_out: made.held_out,
        pictures: &pictures,
    };
    files.bytes("card.md", card.markdown().as_bytes())?;
    Ok(Artifact { dun: dun.into(), facts, metrics: made.metrics, files: files.written })
}

fn in_words(error: impl std::fmt::Display) -> ArtifactError {
    ArtifactError::Float(error.to_string())
}

/// Learning curves of a run whose best epoch was kept.
///
/// # Errors
/// The drawing library refuses.
pub fn learning(name: &str, segmentation: bool, history: &[History]) -> Result<RgbImage, curves::DrawError> {
    let metric = if segmentation { "mIoU" } else { "accuracy" };
    let figure = |h: &History| if segmentation { h.mean_iou } else { h.accuracy };
    curves::learning(&heading(name, history), metric, &points(history, figure), Kept::Best)
}

/// Learning curves of a run whose last epoch was kept, with the metric that decides.
///
/// # Errors
/// The drawing library refuses.
pub fn learning_to_the_end(name: &str, history: &[History]) -> Result<RgbImage, curves::DrawError> {
    let metric = history.iter().find_map(|h| h.metric.as_ref()).map_or("", |(name, _)| name);
    let points = points(history, |h| h.metric.as_ref().map(|(_, value)| *value));
    curves::learning(&heading(name, history), metric, &points, Kept::Last)
}

fn heading(name: &str, history: &[History]) -> String {
    format!("{name}, {} epochs", history.len())
}

fn points(history: &[History], metric: impl Fn(&History) -> Option<f64>) -> Vec<Point> {
    history.iter().map(|h| Point { epoch: h.epoch, loss: h.loss, metric: metric(h) }).collect()
}

/// Confusion matrix of an int8 model.
pub fn matrix(name: &str, set: &Examples, counts: &Confusion) -> RgbImage {
    let (metric, value) = headline(set.is_segmentation(), counts);
    let title = format!("{name}, int8, {} held-out examples: {metric} {value:.4}", set.len());
    confusion::picture(&title, &set.classes, |t, p| counts.count(t, p))
}

/// [`matrix`] of classes of graphs or of their nodes.
pub fn matrix_of_graphs(name: &str, classes: &[String], counts: &Confusion) -> RgbImage {
    let (total, accuracy) = (counts.total(), counts.accuracy());
    let title = format!("{name}, int8, {total} held-out examples: accuracy {accuracy:.4}");
    confusion::picture(&title, classes, |t, p| counts.count(t, p))
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
