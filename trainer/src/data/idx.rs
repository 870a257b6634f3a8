//! IDX files, as of the MNIST database, plain or gzip.
//!
//! Layout: two zero bytes, type (8 = u8), number of dimensions, the dimensions as big-endian u32, the elements.

use super::{DataError, Examples, Split, palette};
use dunlin::shape::Shape;
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Licence of MNIST.
pub const LICENCE: &str = "MNIST: none stated";

/// Whether `dir` holds MNIST's files.
pub fn is_here(dir: &Path) -> bool {
    find(dir, "train", "-images-idx3-ubyte").is_ok()
}

/// Sizes and elements of one IDX file of bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    /// Sizes, slowest first.
    pub dims: Vec<usize>,
    /// Elements.
    pub data: Vec<u8>,
}

/// Reads a file, through gzip where its name ends in `.gz`.
///
/// # Errors
/// A missing or unreadable file, a wrong header, or another number of elements than the header says.
pub fn read(path: &Path) -> Result<Idx, DataError> {
    let fail = |source| DataError::Read { path: path.into(), source };
    let file = File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|e| e == "gz") {
        GzDecoder::new(file).read_to_end(&mut bytes).map_err(fail)?;
    } else {
        let mut file = file;
        file.read_to_end(&mut bytes).map_err(fail)?;
    }
    let header = |problem: String| DataError::content(path, problem);
    let [0, 0, kind, rank, rest @ ..] = bytes.as_slice() else {
        return Err(header("not an IDX file: it must start with two zero bytes, a type and a rank".into()));
    };
    if *kind != 8 {
        return Err(header(format!("element type {kind:#04x}, only 0x08 (unsigned byte) is supported")));
    }
    let rank = usize::from(*rank);
    if rank == 0 || rest.len() < 4 * rank {
        return Err(header(format!("truncated header: {rank} dimensions announced")));
    }
    let (sizes, data) = rest.split_at(4 * rank);
    let dims: Vec<usize> =
        sizes.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).collect();
    let expected = dims.iter().try_fold(1usize, |a, &d| a.checked_mul(d));
    if expected != Some(data.len()) {
        return Err(header(format!(
            "{} elements found, {dims:?} announced: the file is truncated or damaged",
            data.len()
        )));
    }
    Ok(Idx { dims, data: data.to_vec() })
}

/// Reads a folder with the digits: `train*-images-idx3-ubyte`, `train*-labels-idx1-ubyte` and `t10k-…`, each plain
/// or `.gz`.
///
/// # Errors
/// A missing file, and see [`read`]; images and labels of different counts; a label above 9.
pub fn digits(dir: &Path) -> Result<Split, DataError> {
    if !dir.is_dir() {
        return Err(DataError::missing(dir, "expected a folder with MNIST's IDX files (--data names it)"));
    }
    Ok(Split { train: part(dir, "train")?, val: part(dir, "t10k")? })
}

fn part(dir: &Path, prefix: &str) -> Result<Examples, DataError> {
    let images_path = find(dir, prefix, "-images-idx3-ubyte")?;
    let labels_path = find(dir, prefix, "-labels-idx1-ubyte")?;
    let images = read(&images_path)?;
    let labels = read(&labels_path)?;
    let &[count, h, w] = images.dims.as_slice() else {
        return Err(DataError::content(
            images_path,
            format!("{:?} found, images have three dimensions", images.dims),
        ));
    };
    if labels.dims != [count] {
        return Err(DataError::content(
            labels_path,
            format!("{:?} labels for {count} images of {}", labels.dims, images_path.display()),
        ));
    }
    if let Some(at) = labels.data.iter().position(|&l| l > 9) {
        return Err(DataError::content(labels_path, format!("label {at} is {}, above 9", labels.data[at])));
    }
    if count == 0 || h * w == 0 {
        return Err(DataError::content(images_path, "no images"));
    }
    Ok(Examples {
        name: prefix.to_string(),
        shape: Shape::image(h as u32, w as u32, 1),
        label_shape: Shape::vector(1),
        classes: (0..10).map(|d| d.to_string()).collect(),
        palette: palette(10),
        ignore: None,
        licence: LICENCE.into(),
        images: images.data.chunks_exact(h * w).map(Into::into).collect(),
        reals: Vec::new(),
        labels: labels.data.iter().map(|&l| vec![l].into()).collect(),
    })
}

fn find(dir: &Path, prefix: &str, suffix: &str) -> Result<PathBuf, DataError> {
    let entries = std::fs::read_dir(dir).map_err(|source| DataError::Read { path: dir.into(), source })?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| {
            let name = p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            name.starts_with(prefix) && name.trim_end_matches(".gz").ends_with(suffix)
        })
        .collect();
    found.sort();
    found.into_iter().next().ok_or_else(|| {
        let pattern = dir.join(format!("{prefix}*{suffix}[.gz]"));
        DataError::missing(pattern, "expected one of MNIST's four IDX files")
    })
}
