//! What `run` and `emulate` share: pictures and raw tensors in, label maps and raw tensors out.

use super::host::Tensors;
use super::{write, write_picture};
use dunlin::Model;
use dunlin::format::{DType, Metadata, Scaling, Tensor};
use dunlin_trainer::data::class_palette;
use dunlin_trainer::quantise::Output;
use dunlin_trainer::report::overlay::{Classes, LabelMap, overlay};
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};
use miette::{Result, bail, miette};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Where inputs come from and outputs go.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// A photograph; it is resized to the model's input.
    #[arg(long, value_name = "PICTURE", conflicts_with_all = ["input", "output"], required_unless_present = "input")]
    image: Option<PathBuf>,
    /// Picture of the segmentation over the photograph, with a legend.
    #[arg(long, value_name = "PICTURE", requires = "image")]
    out: Option<PathBuf>,
    /// Raw bytes of the model's input, one sample; several inputs of one network follow each other in one file.
    /// May be repeated: a run per file.
    #[arg(long, value_name = "BIN")]
    input: Vec<PathBuf>,
    /// Where the raw bytes of the output of each --input go; several outputs follow each other.
    #[arg(long, value_name = "BIN", requires = "input")]
    output: Vec<PathBuf>,
}

/// Inputs of all runs, checked against the model.
pub(super) struct Work {
    /// Raw bytes per run and input.
    pub(super) cases: Vec<Tensors>,
    photo: Option<RgbImage>,
}

/// Part of a picture that a class covers, or the score of a class.
#[derive(Debug, Serialize)]
pub(super) struct ClassResult {
    /// Label.
    label: usize,
    /// Name of the class, empty where the file has none.
    name: String,
    /// Part of the pixels, 0 to 1; for classifiers the real score.
    value: f32,
}

impl Source {
    /// Reads what the command line names; `outputs_needed` where a result without a file would be lost.
    pub(super) fn read(&self, model: &Model<'_>, outputs_needed: bool) -> Result<Work> {
        let given = (self.input.len(), self.output.len());
        if given.0 != given.1 && (outputs_needed || given.1 != 0) {
            bail!(
                help = "give one --output for every --input, in the same order",
                "{} --input and {} --output were given",
                given.0,
                given.1
            );
        }
        if let Some(path) = &self.image {
            let (photo, bytes) = picture(model, path)?;
            return Ok(Work { cases: vec![vec![bytes]], photo: Some(photo) });
        }
        let cases = self.input.iter().map(|path| raw(model, path)).collect::<Result<_>>()?;
        Ok(Work { cases, photo: None })
    }

    /// Writes raw outputs, or the picture; returns what the classes got where the input was a picture.
    pub(super) fn write(
        &self,
        model: &Model<'_>,
        work: &Work,
        outputs: &[Vec<Output>],
    ) -> Result<Vec<ClassResult>> {
        for (path, tensors) in self.output.iter().zip(outputs) {
            let bytes: Vec<u8> = tensors.iter().flat_map(|t| t.bytes.iter().copied()).collect();
            write(path, &bytes)?;
        }
        let (Some(photo), Some([output, ..])) = (&work.photo, outputs.first().map(Vec::as_slice)) else {
            return Ok(Vec::new());
        };
        let mut names = labels(model);
        if output.shape.pixels() == 1 {
            if let Some(path) = &self.out {
                bail!(
                    help = "leave --out away; the scores are printed",
                    "{}: a classifier has no picture to draw",
                    path.display()
                );
            }
            return Ok(results(scores(output), &names));
        }
        let map = output.labels();
        let count = map.iter().map(|&l| usize::from(l) + 1).max().unwrap_or(0).max(names.len());
        names.extend((names.len()..count).map(|l| format!("label {l}")));
        let palette = class_palette(&names);
        if let Some(path) = &self.out {
            let map = LabelMap { labels: &map, width: output.shape.w, height: output.shape.h };
            write_picture(path, &overlay(photo, &map, &Classes { names: &names, palette: &palette }))?;
        }
        Ok(shares(&map, &names))
    }

    /// Files written, for messages.
    pub(super) fn written(&self) -> impl Iterator<Item = &Path> {
        self.out.iter().chain(&self.output).map(PathBuf::as_path)
    }
}

/// Class names in the file.
fn labels(model: &Model<'_>) -> Vec<String> {
    model.metadata().map(|m| m.labels.lines().map(Into::into).collect()).unwrap_or_default()
}

/// One raw input file, cut into the network's inputs.
fn raw(model: &Model<'_>, path: &Path) -> Result<Tensors> {
    let bytes = std::fs::read(path)
        .map_err(|e| miette!(help = "--input names an existing file", "{}: {e}", path.display()))?;
    let sizes: Vec<usize> = model.inputs().map(|t| t.bytes() as usize).collect();
    let total: usize = sizes.iter().sum();
    if bytes.len() != total {
        let parts: Vec<String> =
            model.inputs().map(|t| format!("{:?} {} = {} bytes", t.dtype, t.shape, t.bytes())).collect();
        bail!(
            help = format!("the input is, in this order: {}; `dunlin inspect` shows it", parts.join(", ")),
            "{}: {} bytes, the model takes {total}",
            path.display(),
            bytes.len()
        );
    }
    let mut rest = bytes.as_slice();
    Ok(sizes
        .into_iter()
        .map(|size| {
            let (part, tail) = rest.split_at(size);
            rest = tail;
            part.to_vec()
        })
        .collect())
}

/// A picture file and its bytes as the model's input.
fn picture(model: &Model<'_>, path: &Path) -> Result<(RgbImage, Vec<u8>)> {
    let help = "use a png, jpg, bmp or ppm picture";
    let photo = image::open(path).map_err(|e| miette!(help = help, "{}: {e}", path.display()))?;
    let bytes = input_of(model, &photo)?;
    Ok((photo.to_rgb8(), bytes))
}

/// A photograph as the bytes of the model's only input.
pub(super) fn input_of(model: &Model<'_>, photo: &DynamicImage) -> Result<Vec<u8>> {
    let inputs: Vec<&Tensor> = model.inputs().collect();
    let &[tensor] = inputs.as_slice() else {
        bail!(
            help = "use --input with raw bytes",
            "the model has {} inputs, a picture fills one",
            inputs.len()
        );
    };
    let s = tensor.shape;
    if s.n != 1 || !matches!(s.c, 1 | 3) || s.h * s.w == 1 {
        bail!(help = "use --input with raw bytes", "the model's input {s} is no grey or colour picture");
    }
    let pixels = resized(photo, s.h, s.w, s.c == 1);
    let scaling = model.metadata().map_or(Scaling::NONE, |m: Metadata<'_>| m.scaling);
    quantise(tensor, &scaling, &pixels)
}

/// The pixels of a photograph at the model's size, NHWC.
fn resized(photo: &DynamicImage, h: u32, w: u32, grey: bool) -> Vec<u8> {
    let small = if (photo.width(), photo.height()) == (w, h) {
        photo.clone()
    } else {
        photo.resize_exact(w, h, FilterType::Triangle)
    };
    if grey { small.to_luma8().into_raw() } else { small.to_rgb8().into_raw() }
}

/// 8-bit pixels as the bytes of an input tensor.
fn quantise(tensor: &Tensor, scaling: &Scaling, pixels: &[u8]) -> Result<Vec<u8>> {
    let c = tensor.shape.c as usize;
    let real = |i: usize, raw: u8| scaling.real(f32::from(raw), i % c);
    let each = pixels.iter().enumerate();
    match tensor.dtype {
        DType::I8 => Ok(each.map(|(i, &p)| tensor.quant.quantize(real(i, p)) as u8).collect()),
        DType::F32 => Ok(each.flat_map(|(i, &p)| real(i, p).to_le_bytes()).collect()),
        DType::U8 => Ok(pixels.to_vec()),
        other => bail!(help = "use --input with raw bytes", "the model's input is {other:?}, not pixels"),
    }
}

/// Real scores of a classifier; a classifier that gives one label gives it the whole score.
fn scores(output: &Output) -> Vec<f32> {
    match (output.dtype, output.bytes.first()) {
        (DType::U8, Some(&label)) if output.shape.c == 1 => {
            (0..=label).map(|l| if l == label { 1.0 } else { 0.0 }).collect()
        }
        _ => output.real(),
    }
}

fn shares(map: &[u8], names: &[String]) -> Vec<ClassResult> {
    let mut counts = vec![0usize; names.len()];
    map.iter().for_each(|&l| counts[usize::from(l)] += 1);
    let part = |n: usize| n as f32 / map.len().max(1) as f32;
    results(counts.into_iter().map(part), names).into_iter().filter(|r| r.value > 0.0).collect()
}

fn results(values: impl IntoIterator<Item = f32>, names: &[String]) -> Vec<ClassResult> {
    let name = |label: usize| names.get(label).cloned().unwrap_or_default();
    let mut all: Vec<ClassResult> = values
        .into_iter()
        .enumerate()
        .map(|(label, value)| ClassResult { label, name: name(label), value })
        .collect();
    all.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.label.cmp(&b.label)));
    all
}

/// Prints what [`Source::write`] returned and which files were written.
pub(super) fn print(source: &Source, model: &Model<'_>, results: &[ClassResult]) {
    let classifier = model.outputs().next().is_some_and(|t| t.shape.pixels() == 1);
    for r in results.iter().take(if classifier { 5 } else { usize::MAX }) {
        let name = if r.name.is_empty() { format!("class {}", r.label) } else { r.name.clone() };
        if classifier {
            println!("{name:<20} {:>10.4}", r.value);
        } else {
            println!("{name:<20} {:>6.1} % of the pixels", 100.0 * r.value);
        }
    }
    for path in source.written() {
        println!("wrote {}", path.display());
    }
}
