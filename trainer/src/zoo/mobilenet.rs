//! MobileNet, version 1, a quarter as wide (Howard et al. 2017), for CIFAR-10's ten classes enlarged to 64 x 64.
//!
//! A convolution, then thirteen pairs of a depthwise and a pointwise convolution, each with batch normalisation and
//! a rectifier cut at 6, the mean over the picture and one dense layer.

use crate::data::augment::Augment;
use crate::graph::{Graph, GraphError};
use crate::net::Net;
use crate::train::{ClassWeights, Optimiser, Recipe, Schedule};
use dunlin::shape::{Shape, Window};

/// Rows and columns of the pictures.
pub const SIZE: u32 = 64;

/// Channels of each pointwise convolution and the stride of the depthwise one before it.
const BLOCKS: [(u32, u16); 13] = [
    (16, 1),
    (32, 2),
    (32, 1),
    (64, 2),
    (64, 1),
    (128, 2),
    (128, 1),
    (128, 1),
    (128, 1),
    (128, 1),
    (128, 1),
    (256, 2),
    (256, 1),
];

/// The network for `h x w` colour pictures and `classes` classes; gives a score per class, `1,1,1,classes`.
///
/// # Errors
/// A size that the five strides reduce below one pixel.
pub fn graph(h: u32, w: u32, classes: u32) -> Result<Graph, GraphError> {
    let mut n = Net::new("mobilenet");
    let x = n.input("image", Shape::image(h, w, 3))?;
    let mut x = n.conv_bn_relu6("conv0", x, 8, Window::square(3, 2))?;
    for (i, (channels, stride)) in BLOCKS.into_iter().enumerate() {
        let block = i + 1;
        x = n.depthwise_bn_relu6(&format!("conv{block}.depthwise"), x, Window::square(3, stride))?;
        x = n.conv_bn_relu6(&format!("conv{block}"), x, channels, Window::square(1, 1))?;
    }
    let x = n.global_avg_pool("mean", x)?;
    let x = n.dense("score", x, classes)?;
    n.finish(x)
}

/// How it is trained from scratch on 5,000 pictures of CIFAR-10.
pub fn recipe() -> Recipe {
    Recipe {
        model: "mobilenet".into(),
        seed: 1,
        epochs: 20,
        batch: 32,
        threads: 2,
        optimiser: Optimiser::AdamW { rate: 3e-3, decay: 1e-2 },
        schedule: Schedule::Cosine { warm_up: 1.0, last: 0.01 },
        class_weights: ClassWeights::Equal,
        label_smoothing: 0.0,
        average: 0.998,
        evaluate_every: 1,
        patience: 0,
        augment: augment(),
        clip: None,
        contraction: None,
    }
}

/// Random changes of CIFAR-10's pictures.
pub fn augment() -> Augment {
    Augment {
        flip: true,
        scale: [0.9, 1.25],
        shift: 0.06,
        brightness: 0.1,
        contrast: 0.1,
        saturation: 0.1,
        ..Augment::default()
    }
}
