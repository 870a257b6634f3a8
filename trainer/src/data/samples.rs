//! A person's own inputs, for calibration and for labelled data: pictures, `.npy`, `.csv` and raw files.
//!
//! | file | samples | values |
//! |---|---|---|
//! | png, jpg, bmp, ppm | one | resized to the input (bilinear), scaled as [`Spec::scaling`] says |
//! | `.npy` | one, or a batch along the first axis; NHWC or NCHW as its shape says | bytes are pixels, the rest as it stands |
//! | `.csv` | one a row, NHWC; a first row of words is a heading | as they stand |
//! | `.bin` | one or more, NHWC | little-endian f32, or the model's own type where [`Spec::own`] names it |

use super::folders::{self, ENDINGS, ending};
use super::npy::{self, Kind};
use super::{DataError, Examples};
use crate::graph::InputScaling;
use dunlin::format::DType;
use dunlin::quant::QParams;
use dunlin::shape::Shape;
use image::imageops::FilterType;
use std::path::{Path, PathBuf};

/// Endings of files of numbers.
const NUMBERS: [&str; 3] = ["npy", "csv", "bin"];

/// What a network's input takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// How pixels become its values.
    pub scaling: InputScaling,
    /// Its own type with scale and zero point, where the model is quantised: raw bytes may then be of that type.
    pub own: Option<(DType, QParams)>,
}

/// One sample's pixels before scaling, or its values.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// 8-bit pixels, NHWC.
    Pixels(Box<[u8]>),
    /// The network's input as it stands, NHWC.
    Values(Box<[f32]>),
}

impl Sample {
    /// The network's input.
    pub fn values(&self, spec: &Spec) -> Vec<f32> {
        let c = spec.shape.c as usize;
        match self {
            Self::Pixels(p) => {
                p.iter().enumerate().map(|(i, &v)| spec.scaling.apply(f32::from(v), i % c)).collect()
            }
            Self::Values(v) => v.to_vec(),
        }
    }
}

/// The samples of a file or folder, in the order of their paths; a folder's folders are read too.
#[derive(Clone, Debug)]
pub struct Files {
    spec: Spec,
    items: Vec<(PathBuf, usize)>,
    /// The file of numbers that was read last.
    open: Option<(PathBuf, Vec<Sample>)>,
}

impl Files {
    /// Finds all samples under `path` for the input `spec`.
    ///
    /// # Errors
    /// A path that does not exist or holds no such file, a file that cannot be read or does not fit the input.
    pub fn new(path: &Path, spec: &Spec) -> Result<Self, DataError> {
        if !path.exists() {
            return Err(DataError::missing(
                path,
                "expected pictures, .npy, .csv or .bin files, or a folder of them",
            ));
        }
        let mut found = Vec::new();
        collect(path, &mut found)?;
        found.sort();
        let mut files = Self { spec: spec.clone(), items: Vec::new(), open: None };
        for path in found {
            let count = if is_picture(&path) { 1 } else { files.numbers(&path)?.len() };
            files.items.extend((0..count).map(|i| (path.clone(), i)));
        }
        if files.items.is_empty() {
            return Err(DataError::content(
                path,
                "holds no png, jpg, bmp, ppm, npy, csv or bin file with a sample",
            ));
        }
        Ok(files)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True where there is none; [`Files::new`] refuses that.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The file in which a sample lies.
    pub fn path(&self, index: usize) -> &Path {
        &self.items[index].0
    }

    /// Reads one sample.
    ///
    /// # Errors
    /// A picture that cannot be read, a file that has changed since [`Files::new`].
    pub fn read(&mut self, index: usize) -> Result<Sample, DataError> {
        let (path, at) = self.items[index].clone();
        if is_picture(&path) {
            return picture(&path, self.spec.shape);
        }
        let samples = self.numbers(&path)?;
        samples.get(at).cloned().ok_or_else(|| DataError::content(&path, "has changed while it was read"))
    }

    fn numbers(&mut self, path: &Path) -> Result<&[Sample], DataError> {
        if self.open.as_ref().is_none_or(|(open, _)| open != path) {
            let samples = match ending(path).as_str() {
                "npy" => array(path, &self.spec)?,
                "csv" => table(path, &self.spec)?,
                _ => raw(path, &self.spec)?,
            };
            self.open = Some((path.into(), samples));
        }
        Ok(self.open.as_ref().map_or(&[], |(_, samples)| samples))
    }
}

/// Indices of `count` of `of` samples, spread evenly.
pub fn spread(of: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(of);
    (0..count).map(move |i| i * of / count)
}

/// Puts samples into `set`: all of them must be pixels, or all values.
///
/// # Errors
/// A sample of the other kind than those before it.
pub(super) fn push(set: &mut Examples, path: &Path, sample: Sample, label: u8) -> Result<(), DataError> {
    match sample {
        Sample::Pixels(p) if set.reals.is_empty() => set.images.push(p),
        Sample::Values(v) if set.images.is_empty() => set.reals.push(v),
        _ => {
            return Err(DataError::content(
                path,
                "pictures and files of numbers lie side by side; take one of them",
            ));
        }
    }
    set.labels.push(vec![label].into());
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    ENDINGS.contains(&ending(path).as_str())
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), DataError> {
    if path.is_dir() {
        let entries =
            std::fs::read_dir(path).map_err(|source| DataError::Read { path: path.into(), source })?;
        for entry in entries {
            let entry = entry.map_err(|source| DataError::Read { path: path.into(), source })?;
            collect(&entry.path(), found)?;
        }
    } else if is_picture(path) || NUMBERS.contains(&ending(path).as_str()) {
        found.push(path.into());
    }
    Ok(())
}

fn picture(path: &Path, shape: Shape) -> Result<Sample, DataError> {
    if !matches!(shape.c, 1 | 3) || shape.n != 1 || shape.pixels() == 1 {
        return Err(DataError::content(
            path,
            format!("is a picture, but the input {shape} is no grey or colour picture"),
        ));
    }
    let photo = folders::open(path)?;
    let same = (photo.width(), photo.height()) == (shape.w, shape.h);
    let small = if same { photo } else { photo.resize_exact(shape.w, shape.h, FilterType::Triangle) };
    let pixels = if shape.c == 1 { small.to_luma8().into_raw() } else { small.to_rgb8().into_raw() };
    Ok(Sample::Pixels(pixels.into()))
}

/// How the elements of one sample lie in a file.
enum Layout {
    Nhwc,
    Nchw,
}

/// The layout of a sample of these sizes; sizes of one do not count.
fn layout(dims: &[usize], shape: Shape) -> Option<Layout> {
    let real = |d: &[usize]| d.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
    let [n, h, w, c] = [shape.n, shape.h, shape.w, shape.c].map(|d| d as usize);
    let given = real(dims);
    if given == real(&[n, h, w, c]) || given == [n * h * w * c] || given.is_empty() {
        Some(Layout::Nhwc)
    } else if given == real(&[n, c, h, w]) {
        Some(Layout::Nchw)
    } else {
        None
    }
}

fn array(path: &Path, spec: &Spec) -> Result<Vec<Sample>, DataError> {
    let file = npy::read(path)?;
    let (shape, size) = (spec.shape, spec.shape.elements());
    let product = |d: &[usize]| d.iter().product::<usize>();
    let whole = product(&file.dims) == size;
    let sample: &[usize] = match file.dims.split_first() {
        Some((_, rest)) if product(rest) == size => rest,
        _ => &file.dims,
    };
    let layout = layout(sample, shape).filter(|_| whole || product(sample) == size);
    let Some(layout) = layout else {
        let problem = format!(
            "has the shape {:?}, the input `{}` is {shape} (NHWC) after a batch",
            file.dims, spec.name
        );
        return Err(DataError::content(path, problem));
    };
    let plane = shape.pixels();
    let c = shape.c as usize;
    let samples = file.data.chunks_exact(size.max(1)).map(|values| {
        let values: Vec<f32> = match layout {
            Layout::Nhwc => values.to_vec(),
            Layout::Nchw => (0..size)
                .map(|i| values[i / (plane * c) * plane * c + i % c * plane + i / c % plane])
                .collect(),
        };
        match (file.kind, spec.own) {
            (Kind::U8, Some((DType::U8, q))) | (Kind::I8, Some((DType::I8, q))) => {
                Sample::Values(values.iter().map(|&v| q.scale * (v - f32::from(q.zero_point))).collect())
            }
            (Kind::U8, _) => Sample::Pixels(values.iter().map(|&v| v as u8).collect()),
            _ => Sample::Values(values.into()),
        }
    });
    Ok(samples.collect())
}

fn table(path: &Path, spec: &Spec) -> Result<Vec<Sample>, DataError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| DataError::Read { path: path.into(), source })?;
    let size = spec.shape.elements();
    let mut samples = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let cells = line.split([',', ';', '\t']).map(str::trim);
        let row: Vec<Option<f32>> = cells.map(|cell| cell.parse().ok()).collect();
        if samples.is_empty() && number == 0 && row.iter().all(Option::is_none) {
            continue;
        }
        let bad = |problem: String| DataError::content(path, format!("line {}: {problem}", number + 1));
        if row.len() != size {
            return Err(bad(format!("{} numbers, the input `{}` has {size}", row.len(), spec.name)));
        }
        let values: Option<Box<[f32]>> = row.into_iter().collect();
        samples.push(Sample::Values(values.ok_or_else(|| bad("a cell that is no number".into()))?));
    }
    Ok(samples)
}

fn raw(path: &Path, spec: &Spec) -> Result<Vec<Sample>, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.into(), source })?;
    let size = spec.shape.elements();
    if let Some((dtype, q)) = spec.own.filter(|(dtype, _)| *dtype != DType::F32)
        && bytes.len().is_multiple_of(size * dtype.size() as usize)
    {
        let real = |v: f32| q.scale * (v - f32::from(q.zero_point));
        let values: Vec<f32> = match dtype {
            DType::I8 => bytes.iter().map(|&b| real(f32::from(b as i8))).collect(),
            DType::U8 => bytes.iter().map(|&b| real(f32::from(b))).collect(),
            DType::I16 => words(&bytes, |b: [u8; 2]| real(f32::from(i16::from_le_bytes(b)))),
            _ => words(&bytes, |b: [u8; 4]| real(i32::from_le_bytes(b) as f32)),
        };
        return Ok(values.chunks_exact(size).map(|v| Sample::Values(v.into())).collect());
    }
    if bytes.is_empty() || !bytes.len().is_multiple_of(4 * size) {
        let own = spec.own.map_or(String::new(), |(dtype, _)| format!(" or {size} {dtype:?}"));
        let problem = format!("{} bytes, a sample of `{}` is {size} f32{own}", bytes.len(), spec.name);
        return Err(DataError::content(path, problem));
    }
    let values = words(&bytes, f32::from_le_bytes);
    Ok(values.chunks_exact(size).map(|v| Sample::Values(v.into())).collect())
}

fn words<const N: usize>(bytes: &[u8], real: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|b| real(*b)).collect()
}
