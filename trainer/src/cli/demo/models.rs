//! The models of the demonstration, each with a picture to run on.

use crate::cli::io::input_of;
use dunlin::{AlignedVec, Model};
use dunlin_trainer::data::{class_palette, folders, idx, street};
use dunlin_trainer::quantise::Output;
use dunlin_trainer::report::artifact::{self, METRICS};
use dunlin_trainer::report::card::Metrics;
use dunlin_trainer::report::facts::Facts;
use dunlin_trainer::report::overlay::{Classes, LabelMap, overlay};
use image::{DynamicImage, RgbImage};
use miette::{Result, miette};
use std::path::{Path, PathBuf};

/// A model and its input.
pub(super) struct Entry {
    /// Name of the model.
    pub(super) name: String,
    /// The `.dun` file.
    pub(super) file: Vec<u8>,
    /// What is in it.
    pub(super) facts: Facts,
    /// Its quality, where it was measured.
    pub(super) metrics: Option<Metrics>,
    /// Raw input bytes.
    pub(super) input: Vec<u8>,
    photo: RgbImage,
}

impl Entry {
    /// `photo` is made into the model's input.
    pub(super) fn new(
        name: &str,
        file: Vec<u8>,
        metrics: Option<Metrics>,
        photo: RgbImage,
        what: &str,
    ) -> Result<Self> {
        let facts = Facts::read(&file).map_err(|e| miette!("{name}: {e}"))?;
        let aligned = AlignedVec::from_slice(&file);
        let mut storage = crate::cli::dun::DunFile::storage();
        let model = Model::parse(aligned.as_slice(), &mut storage).map_err(|e| miette!("{name}: {e}"))?;
        let input = input_of(&model, &DynamicImage::ImageRgb8(photo.clone()))
            .map_err(|e| miette!("{name} on {what}: {e}"))?;
        Ok(Self { name: name.into(), file, facts, metrics, input, photo })
    }

    /// The segmentation over the photograph; none for classifiers.
    pub(super) fn overlay(&self, outputs: &[Output]) -> Option<RgbImage> {
        let output = outputs.first().filter(|o| o.shape.pixels() > 1)?;
        let labels = output.labels();
        let palette = class_palette(&self.facts.labels);
        let map = LabelMap { labels: &labels, width: output.shape.w, height: output.shape.h };
        Some(overlay(&self.photo, &map, &Classes { names: &self.facts.labels, palette: &palette }))
    }
}

/// The models under `models/` of the checkout, by name.
pub(super) fn committed(data: Option<&Path>, left_out: &mut Vec<String>) -> Result<Vec<Entry>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|folder| std::fs::read_dir(folder.path()).ok())
        .flat_map(|files| files.flatten().map(|f| f.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "dun"))
        .collect();
    files.sort();
    if files.is_empty() {
        left_out.push(format!("committed models: there is none in {}", root.display()));
    }
    let (mut entries, mut others) = (Vec::new(), Vec::new());
    for path in &files {
        match entry(path, data, left_out)? {
            Ok(entry) => entries.push(entry),
            Err(name) => others.push(format!("`{name}`")),
        }
    }
    if !others.is_empty() {
        let others = others.join(", ");
        left_out.push(format!(
            "models that take no picture (policies: `dunlin play`; all: `dunlin emulate`): {others}"
        ));
    }
    Ok(entries)
}

/// A committed model, or the name of one that does not take a picture.
fn entry(path: &Path, data: Option<&Path>, left_out: &mut Vec<String>) -> Result<Result<Entry, String>> {
    let file = std::fs::read(path).map_err(|e| miette!("{}: {e}", path.display()))?;
    let facts = Facts::read(&file).map_err(|e| miette!("{}: {e}", path.display()))?;
    let metrics = std::fs::read_to_string(path.with_file_name(METRICS))
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let shapes: Vec<[u32; 4]> = facts.inputs.iter().map(|&id| facts.tensors[usize::from(id)].shape).collect();
    let &[input] = shapes.as_slice() else { return Ok(Err(name)) };
    if !is_picture(input) {
        return Ok(Err(name));
    }
    let (photo, what) = photo(input, data);
    if what != REAL {
        left_out.push(format!("a real picture for `{name}`: it runs on {what}"));
    }
    Entry::new(&name, file, metrics, photo, what).map(Ok)
}

/// Whether an input of this shape is a grey or colour picture.
fn is_picture([_, h, w, c]: [u32; 4]) -> bool {
    h * w > 1 && (c == 1 || c == 3)
}

const REAL: &str = "a real picture";

/// A held-out picture of the size of a model's input: real where there is data, else generated.
fn photo([_, h, w, c]: [u32; 4], data: Option<&Path>) -> (RgbImage, &'static str) {
    let set = match (data, c) {
        (Some(root), 1) => idx::digits(&root.join("mnist")).ok(),
        (Some(root), _) => folders::read(&root.join("camvid"), h, w).ok(),
        (None, _) => None,
    };
    match set {
        Some(split) => (artifact::photo(&split.val, split.val.len() / 2), REAL),
        None => {
            let scenes = street::generate(1, h, w, 0, 1).val;
            (artifact::photo(&scenes, 0), "a generated scene")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::committed;

    #[test]
    fn every_committed_model_runs_on_a_picture_or_is_named() {
        let mut left_out = Vec::new();
        let entries = committed(None, &mut left_out).unwrap();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["digits", "fcn8s", "mobilenet-cifar10", "segnet"]);
        let others = left_out.last().unwrap();
        assert!(
            ["`gcn-cora`", "`pendulum-ppo`", "`breakout-dqn`"].iter().all(|name| others.contains(name)),
            "{others}"
        );
    }
}
