//! A small convolutional network for handwritten digits: the quick model, small enough for 16 kB of RAM.

use crate::data::augment::Augment;
use crate::graph::{Graph, GraphError};
use crate::net::Net;
use crate::train::{ClassWeights, Optimiser, Recipe, Schedule};
use dunlin::shape::{Shape, Window};

/// The network for 28 x 28 grey pictures; gives ten scores, `1,1,1,10`.
///
/// # Errors
/// None in practice: the sizes are fixed.
pub fn graph() -> Result<Graph, GraphError> {
    let mut n = Net::new("digits");
    let x = n.input("image", Shape::image(28, 28, 1))?;
    let x = n.conv_bn_relu("conv1", x, 8, Window::square(5, 2))?;
    let x = n.conv_bn_relu("conv2", x, 16, Window::square(3, 1))?;
    let x = n.max_pool("pool2", x, 2)?;
    let x = n.conv_bn_relu("conv3", x, 32, Window::square(3, 1))?;
    let x = n.conv_bn_relu("conv4", x, 32, Window::square(3, 2))?;
    let x = n.global_avg_pool("mean", x)?;
    let x = n.dense("score", x, 10)?;
    n.finish(x)
}

/// How it is trained on MNIST.
pub fn recipe() -> Recipe {
    Recipe {
        model: "digits".into(),
        seed: 1,
        epochs: 15,
        batch: 64,
        threads: 2,
        optimiser: Optimiser::AdamW { rate: 4e-3, decay: 1e-2 },
        schedule: Schedule::Cosine { warm_up: 1.0, last: 0.01 },
        class_weights: ClassWeights::Equal,
        label_smoothing: 0.0,
        average: 0.998,
        evaluate_every: 1,
        patience: 0,
        augment: Augment { scale: [0.85, 1.15], rotate: 12.0, shift: 0.06, ..Augment::default() },
        clip: None,
        contraction: None,
    }
}
