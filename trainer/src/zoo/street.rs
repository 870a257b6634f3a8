//! A SegNet of half the depth for generated street scenes: trains in under two minutes on two cores.

use crate::data::augment::Augment;
use crate::graph::{Graph, GraphError};
use crate::net::Net;
use crate::ops::ArgMax;
use crate::train::{ClassWeights, Optimiser, Recipe, Schedule};
use dunlin::shape::{Shape, Window};

/// Rows of a generated picture.
pub const HEIGHT: u32 = 48;
/// Columns of a generated picture.
pub const WIDTH: u32 = 64;
/// Generated pictures to train on and to hold out.
pub const EXAMPLES: (usize, usize) = (320, 64);

/// The network for `h x w` colour pictures and `classes` classes; gives the label of every pixel, `1,h,w,1`.
///
/// # Errors
/// A size that the two pools reduce below one pixel.
pub fn graph(h: u32, w: u32, classes: u32) -> Result<Graph, GraphError> {
    let k3 = Window::square(3, 1);
    let mut n = Net::new("street");
    let x = n.input("image", Shape::image(h, w, 3))?;
    let x = n.conv_bn_relu("enc1", x, 8, k3)?;
    let (x, at1) = n.max_pool_indices("pool1", x, 2)?;
    let x = n.conv_bn_relu("enc2", x, 16, k3)?;
    let (x, at2) = n.max_pool_indices("pool2", x, 2)?;
    let x = n.conv_bn_relu("mid1", x, 32, k3)?;
    let x = n.conv_bn_relu("mid2", x, 32, k3.dilated(2))?;
    let x = n.conv_bn_relu("mid3", x, 16, k3.dilated(4))?;
    let x = n.max_unpool("unpool2", x, at2)?;
    let x = n.conv_bn_relu("dec2", x, 8, k3)?;
    let x = n.max_unpool("unpool1", x, at1)?;
    let x = n.conv("score", x, classes, k3)?;
    let x = n.push("label", ArgMax, &[x])?;
    n.finish(x)
}

/// How it is trained on the generator's scenes.
pub fn recipe() -> Recipe {
    Recipe {
        model: "street".into(),
        seed: 1,
        epochs: 20,
        batch: 8,
        threads: 2,
        optimiser: Optimiser::AdamW { rate: 5e-3, decay: 1e-3 },
        schedule: Schedule::Cosine { warm_up: 1.0, last: 0.01 },
        class_weights: ClassWeights::SqrtInverse,
        label_smoothing: 0.0,
        average: 0.98,
        evaluate_every: 1,
        patience: 0,
        augment: Augment { flip: true, brightness: 0.1, contrast: 0.1, ..Augment::default() },
        clip: None,
        contraction: None,
    }
}
