//! CIFAR-10 (Krizhevsky 2009) as strips: `train*.png` and `test*.png`, whose rows are 32 x 32 pictures, each beside
//! a `.labels.u8` of the same name with one byte per picture.

use super::{DataError, Examples, Split, folders, palette};
use dunlin::shape::Shape;
use image::imageops::FilterType;
use image::{RgbImage, imageops};
use std::path::{Path, PathBuf};

/// Licence of CIFAR-10.
pub const LICENCE: &str = "CIFAR-10: none stated";

/// Names of the classes, by label.
pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Rows and columns of a picture.
const SIZE: u32 = 32;

/// Whether `dir` holds such strips.
pub fn is_here(dir: &Path) -> bool {
    find(dir, "train").is_ok()
}

/// Reads the folder; the pictures are resized to `h x w` (bilinear).
///
/// # Errors
/// A missing file, a strip that is not 1024 pixels wide, labels of another number or above 9.
pub fn read(dir: &Path, h: u32, w: u32) -> Result<Split, DataError> {
    Ok(Split { train: part(dir, "train", h, w)?, val: part(dir, "test", h, w)? })
}

fn part(dir: &Path, name: &str, h: u32, w: u32) -> Result<Examples, DataError> {
    let path = find(dir, name)?;
    let strip = folders::open(&path)?.to_rgb8();
    if strip.width() != SIZE * SIZE {
        let problem = format!("{} pixels wide, a strip has a picture of 1024 in each row", strip.width());
        return Err(DataError::content(path, problem));
    }
    let labels_path = path.with_extension("labels.u8");
    if !labels_path.is_file() {
        return Err(DataError::missing(labels_path, format!("expected the labels of {}", path.display())));
    }
    let labels = std::fs::read(&labels_path)
        .map_err(|source| DataError::Read { path: labels_path.clone(), source })?;
    if labels.len() != strip.height() as usize {
        let problem = format!("{} labels for {} pictures", labels.len(), strip.height());
        return Err(DataError::content(labels_path, problem));
    }
    if let Some(at) = labels.iter().position(|&l| usize::from(l) >= CLASSES.len()) {
        return Err(DataError::content(labels_path, format!("label {at} is {}, above 9", labels[at])));
    }
    let row = (SIZE * SIZE * 3) as usize;
    let resized = |pixels: &[u8]| -> Box<[u8]> {
        let small = RgbImage::from_raw(SIZE, SIZE, pixels.to_vec()).unwrap_or_default();
        if (h, w) == (SIZE, SIZE) {
            return small.into_raw().into();
        }
        imageops::resize(&small, w, h, FilterType::Triangle).into_raw().into()
    };
    Ok(Examples {
        name: name.to_string(),
        shape: Shape::image(h, w, 3),
        label_shape: Shape::vector(1),
        classes: CLASSES.iter().map(ToString::to_string).collect(),
        palette: palette(CLASSES.len()),
        ignore: None,
        licence: LICENCE.into(),
        images: strip.as_raw().chunks_exact(row).map(resized).collect(),
        reals: Vec::new(),
        labels: labels.iter().map(|&l| vec![l].into()).collect(),
    })
}

/// The first strip whose name starts with `name`.
fn find(dir: &Path, name: &str) -> Result<PathBuf, DataError> {
    let found = folders::pictures(dir)?.into_iter().find(|path| {
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        stem.starts_with(name) && path.with_extension("labels.u8").is_file()
    });
    found.ok_or_else(|| {
        DataError::missing(dir.join(format!("{name}*.png")), "expected a strip of 32 x 32 pictures in rows")
    })
}
