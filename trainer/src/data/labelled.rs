//! Labelled data of any kind that Dunlin knows, told apart by what lies in the folder: CIFAR-10's strips, MNIST's
//! IDX files, or a folder for each class.
//!
//! Class folders are `DIR/<class>/…` or `DIR/train/<class>/…` beside `DIR/val/<class>/…` (or `test`); classes are in
//! the order of their names. Without held-out folders every fifth example of a class is held out.

use super::samples::{Files, Spec, push};
use super::{DataError, Examples, Split, cifar, idx, palette};
use dunlin::shape::Shape;
use std::path::{Path, PathBuf};

/// One of so many examples of a class is held out where the person has not chosen.
const HELD_OUT: usize = 5;

/// Reads the folder for a network with this input.
///
/// # Errors
/// A folder in which no labelled data is recognised, files that cannot be read or do not fit the input, fewer than
/// two classes or more than 256.
pub fn read(dir: &Path, spec: &Spec) -> Result<Split, DataError> {
    if !dir.is_dir() {
        return Err(DataError::missing(dir, "expected a folder that holds a folder for each class"));
    }
    let Shape { h, w, .. } = spec.shape;
    if cifar::is_here(dir) {
        return cifar::read(dir, h, w);
    }
    if idx::is_here(dir) {
        return idx::digits(dir);
    }
    let train = dir.join("train");
    if !train.is_dir() {
        return Ok(hold_out(&classes(dir, spec)?));
    }
    let held_out = ["val", "test"].map(|name| dir.join(name)).into_iter().find(|p| p.is_dir());
    let train = classes(&train, spec)?;
    let Some(held_out) = held_out else { return Ok(hold_out(&train)) };
    let val = classes(&held_out, spec)?;
    if val.classes != train.classes {
        let problem =
            format!("has the classes {}, train has {}", val.classes.join(", "), train.classes.join(", "));
        return Err(DataError::content(held_out, problem));
    }
    Ok(Split { train, val })
}

fn classes(dir: &Path, spec: &Spec) -> Result<Examples, DataError> {
    let entries = std::fs::read_dir(dir).map_err(|source| DataError::Read { path: dir.into(), source })?;
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_dir()).collect();
    folders.sort();
    let name = |p: &PathBuf| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    folders.retain(|p| !name(p).starts_with('.'));
    if !(2..=256).contains(&folders.len()) {
        let problem = format!("holds {} folders, expected one for each of 2 to 256 classes", folders.len());
        return Err(DataError::content(dir, problem));
    }
    let classes: Vec<String> = folders.iter().map(name).collect();
    let mut set = Examples {
        name: name(&dir.to_path_buf()),
        shape: spec.shape,
        label_shape: Shape::vector(1),
        palette: palette(classes.len()),
        classes,
        ignore: None,
        licence: licence(dir),
        images: Vec::new(),
        reals: Vec::new(),
        labels: Vec::new(),
    };
    for (label, folder) in folders.iter().enumerate() {
        let mut files = Files::new(folder, spec)?;
        for i in 0..files.len() {
            let sample = files.read(i)?;
            push(&mut set, files.path(i), sample, label as u8)?;
        }
    }
    Ok(set)
}

/// The first line of a `LICENSE` or `LICENCE` file in the folder.
fn licence(dir: &Path) -> String {
    let text = ["LICENSE", "LICENCE"].iter().find_map(|name| std::fs::read_to_string(dir.join(name)).ok());
    let line = text.as_ref().and_then(|t| t.lines().map(str::trim).find(|l| !l.is_empty()));
    line.unwrap_or("not stated").to_string()
}

fn hold_out(all: &Examples) -> Split {
    let mut seen = vec![0usize; all.classes.len()];
    let held: Vec<bool> = all
        .labels
        .iter()
        .map(|l| {
            let count = &mut seen[usize::from(l[0])];
            *count += 1;
            count.is_multiple_of(HELD_OUT)
        })
        .collect();
    let part = |name: &str, wanted: bool| {
        let mut set = Examples {
            name: name.into(),
            images: Vec::new(),
            reals: Vec::new(),
            labels: Vec::new(),
            ..all.clone()
        };
        for i in (0..all.len()).filter(|&i| held[i] == wanted) {
            set.images.extend(all.images.get(i).cloned());
            set.reals.extend(all.reals.get(i).cloned());
            set.labels.push(all.labels[i].clone());
        }
        set
    };
    Split { train: part("train", false), val: part("val", true) }
}
