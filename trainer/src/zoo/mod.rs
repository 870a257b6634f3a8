//! The models: one file each, architecture and recipe.

pub mod control;
pub mod digits;
pub mod fcn;
pub mod gcn;
pub mod gradients;
pub mod graph_models;
pub mod graph_network;
pub mod grid_dqn;
pub mod message_passing;
pub mod mobilenet;
pub mod mpn;
pub mod policies;
pub mod policy;
pub mod scarselli;
pub mod segnet;
pub mod street;

use crate::data::augment::Augment;
use crate::data::{DataError, Split, cifar, folders, idx, street as scenes};
use crate::graph::{Graph, GraphError};
use crate::train::{ClassWeights, Optimiser, Recipe, Schedule};
use std::path::Path;

/// Models that learn from pictures, by name; [`graph_models::ALL`] learn from graphs.
pub const NAMES: [&str; 7] = ["digits", "street", "segnet", "fcn32s", "fcn16s", "fcn8s", "mobilenet"];

/// Rows and columns of the pictures that the CamVid models take.
pub const CAMVID_SIZE: (u32, u32) = (120, 160);

/// The recipe of a model, or `None` for a name that is not in [`NAMES`].
pub fn recipe(name: &str) -> Option<Recipe> {
    Some(match name {
        "digits" => digits::recipe(),
        "street" => street::recipe(),
        "segnet" => segnet::recipe(),
        "mobilenet" => mobilenet::recipe(),
        _ => fcn::recipe(stride(name)?),
    })
}

/// How the segmenters are trained on CamVid: class weights for its rare classes, and flips, crops of every scale
/// and colours because it has only 367 pictures.
fn camvid_recipe(model: &str, epochs: usize) -> Recipe {
    Recipe {
        model: model.into(),
        seed: 1,
        epochs,
        batch: 8,
        threads: 2,
        optimiser: Optimiser::AdamW { rate: 3e-3, decay: 1e-2 },
        schedule: Schedule::Cosine { warm_up: 2.0, last: 0.01 },
        class_weights: ClassWeights::SqrtInverse,
        label_smoothing: 0.0,
        average: 0.998,
        evaluate_every: 1,
        patience: 0,
        augment: Augment {
            flip: true,
            scale: [0.6, 2.0],
            aspect: 1.2,
            brightness: 0.2,
            contrast: 0.2,
            saturation: 0.3,
            ..Augment::default()
        },
        clip: None,
        contraction: None,
    }
}

/// The network of a model for `classes` classes, or `None` for a name that is not in [`NAMES`].
pub fn graph(name: &str, classes: u32) -> Option<Result<Graph, GraphError>> {
    let (h, w) = CAMVID_SIZE;
    Some(match name {
        "digits" => digits::graph(),
        "street" => street::graph(street::HEIGHT, street::WIDTH, classes),
        "segnet" => segnet::graph(h, w, classes),
        "mobilenet" => mobilenet::graph(mobilenet::SIZE, mobilenet::SIZE, classes),
        _ => fcn::graph(stride(name)?, h, w, classes),
    })
}

/// The data of a model. `root` holds `mnist`, `camvid` and `cifar10`, or is the folder of the one that is needed; without
/// it, the generator's scenes stand in for street pictures. `None` for a name that is not in [`NAMES`].
pub fn data(name: &str, root: Option<&Path>) -> Option<Result<Split, DataError>> {
    let (h, w) = CAMVID_SIZE;
    let inside = |root: &Path, folder: &str| {
        let below = root.join(folder);
        if below.is_dir() { below } else { root.to_path_buf() }
    };
    let seed = recipe(name)?.seed;
    Some(match (name, root) {
        ("street", _) => {
            let (train, val) = street::EXAMPLES;
            Ok(scenes::generate(seed, street::HEIGHT, street::WIDTH, train, val))
        }
        ("digits", Some(root)) => idx::digits(&inside(root, "mnist")),
        ("digits", None) => Err(DataError::Missing {
            path: "mnist".into(),
            expected: "the digits need MNIST's IDX files: name their folder with --data or DUNLIN_DATA"
                .into(),
        }),
        ("mobilenet", Some(root)) => cifar::read(&inside(root, "cifar10"), mobilenet::SIZE, mobilenet::SIZE),
        ("mobilenet", None) => Err(DataError::Missing {
            path: "cifar10".into(),
            expected: "the mobilenet needs CIFAR-10's strips: name their folder with --data or DUNLIN_DATA"
                .into(),
        }),
        (_, Some(root)) => folders::read(&inside(root, "camvid"), h, w),
        (_, None) => Ok(scenes::generate(seed, h, w, 367, 101)),
    })
}

fn stride(name: &str) -> Option<fcn::Stride> {
    [fcn::Stride::S32, fcn::Stride::S16, fcn::Stride::S8].into_iter().find(|s| s.model() == name)
}
