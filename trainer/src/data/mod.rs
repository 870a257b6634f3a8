//! Data sets: IDX files, image folders with masks, CIFAR-10, MOTChallenge sequences, a person's own files, a street-scene
//! generator, and graphs.

pub mod augment;
pub mod cifar;
pub mod cora;
pub mod esol;
pub mod folders;
pub mod graphs;
pub mod idx;
pub mod labelled;
pub mod molecule;
pub mod mot;
pub mod npy;
pub mod samples;
pub mod street;
pub mod tu;

use crate::graph::InputScaling;
use dunlin::shape::Shape;
use std::path::PathBuf;

/// Labelled examples held in memory: 8-bit pixels or real values, NHWC; one label byte per example or per pixel.
#[derive(Clone, Debug)]
pub struct Examples {
    /// Name of the set, for messages.
    pub name: String,
    /// Shape of one image.
    pub shape: Shape,
    /// Shape of one image's labels: `1,1,1,1`, or `1,h,w,1` for segmentation.
    pub label_shape: Shape,
    /// Class names by label.
    pub classes: Vec<String>,
    /// Colour of each class, RGB.
    pub palette: Vec<[u8; 3]>,
    /// Label that counts neither in the loss nor in a metric.
    pub ignore: Option<u8>,
    /// Licence of the data.
    pub licence: String,
    /// Pixels of each image.
    pub images: Vec<Box<[u8]>>,
    /// Values of each example where they are not 8-bit pixels: the network's input as it stands. Then `images`
    /// is empty, and neither scaling nor augmentation applies.
    pub reals: Vec<Box<[f32]>>,
    /// Labels of each image.
    pub labels: Vec<Box<[u8]>>,
}

/// Training and held-out examples.
#[derive(Clone, Debug)]
pub struct Split {
    /// For the optimiser.
    pub train: Examples,
    /// For the metric only.
    pub val: Examples,
}

impl Examples {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.images.len() + self.reals.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True where every pixel has a label.
    pub fn is_segmentation(&self) -> bool {
        self.label_shape.pixels() > 1
    }

    /// Mean and standard deviation per channel over all pixels; of real values, which are not scaled, none.
    pub fn scaling(&self) -> InputScaling {
        let c = self.shape.c as usize;
        if self.images.is_empty() {
            return InputScaling::unit(c);
        }
        let mut sum = vec![0u64; c];
        let mut square = vec![0u64; c];
        for (i, &v) in self.images.iter().flat_map(|image| image.iter().enumerate()) {
            sum[i % c] += u64::from(v);
            square[i % c] += u64::from(v) * u64::from(v);
        }
        let count = (self.len() * self.shape.pixels()) as f64;
        let mean: Vec<f64> = sum.iter().map(|&s| s as f64 / count / 255.0).collect();
        let std = square
            .iter()
            .zip(&mean)
            .map(|(&s, m)| (s as f64 / count / 65025.0 - m * m).max(1e-6).sqrt() as f32)
            .collect();
        InputScaling { mean: mean.iter().map(|&m| m as f32).collect(), std }
    }

    /// How often each class occurs; ignored labels do not count.
    pub fn class_counts(&self) -> Vec<u64> {
        let mut counts = vec![0u64; self.classes.len()];
        for &label in self.labels.iter().flat_map(|l| l.iter()) {
            if Some(label) != self.ignore {
                counts[usize::from(label)] += 1;
            }
        }
        counts
    }

    /// The first `count` examples.
    pub fn truncate(&mut self, count: usize) {
        self.images.truncate(count);
        self.reals.truncate(count);
        self.labels.truncate(count);
    }
}

/// Why a data set cannot be used. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder that is not there.
    #[error("{path} does not exist: {expected}")]
    Missing {
        /// What was looked for.
        path: PathBuf,
        /// What should be there and how to name another place.
        expected: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file whose content is not what its name promises.
    #[error("{path}: {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
}

impl DataError {
    fn content(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::Content { path: path.into(), problem: problem.into() }
    }

    fn missing(path: impl Into<PathBuf>, expected: impl Into<String>) -> Self {
        Self::Missing { path: path.into(), expected: expected.into() }
    }
}

/// Spreads `count` colours over the hue circle, for classes that have none of their own.
pub fn palette(count: usize) -> Vec<[u8; 3]> {
    (0..count)
        .map(|i| {
            let hue = 6.0 * i as f32 / count.max(1) as f32;
            let channel = |shift: f32| {
                let d = ((hue + shift).rem_euclid(6.0) - 3.0).abs() - 1.0;
                (40.0 + 200.0 * d.clamp(0.0, 1.0)) as u8
            };
            [channel(0.0), channel(4.0), channel(2.0)]
        })
        .collect()
}

/// A colour for each class: the customary one of a street class, else one of the hue circle.
pub fn class_palette(names: &[String]) -> Vec<[u8; 3]> {
    let known = |name: &String| street::CLASSES.iter().find(|(n, _)| n == name).map(|(_, colour)| *colour);
    names.iter().zip(palette(names.len())).map(|(name, other)| known(name).unwrap_or(other)).collect()
}
