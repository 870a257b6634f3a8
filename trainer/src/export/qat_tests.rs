//! Quantisation-aware training as it is used: passes, calibration, the training loop with a tap, export.

use super::{Options, calibration_batches, dun, post_training};
use crate::data::augment::Augment;
use crate::data::{Examples, Split};
use crate::eval;
use crate::exec::{Device, Tap, Weights};
use crate::graph::{Graph, InputScaling};
use crate::net::Net;
use crate::passes;
use crate::quantise::{FakeQuant, Method, calibrate};
use crate::train::supervised::{self, Options as Run};
use crate::train::{Optimiser, Recipe, Schedule};
use dunlin::shape::{Shape, Window};
use rand::Rng;
use rand_pcg::Pcg64;
use std::sync::atomic::AtomicBool;

/// Pictures whose class is the brighter half: left, right, neither clearly above the noise.
fn examples(count: usize, seed: u64) -> Examples {
    let mut rng = Pcg64::new(u128::from(seed), 0);
    let mut images = Vec::new();
    let mut labels = Vec::new();
    for i in 0..count {
        let class = i % 2;
        let pixel = |x: usize, rng: &mut Pcg64| {
            let bright = if (x < 4) == (class == 0) { 60 } else { 0 };
            (60 + bright + rng.random_range(0..80u32)) as u8
        };
        images.push((0..64).map(|p| pixel(p % 8, &mut rng)).collect());
        labels.push(vec![class as u8].into_boxed_slice());
    }
    Examples {
        name: "halves".into(),
        shape: Shape::image(8, 8, 1),
        label_shape: Shape::vector(1),
        classes: vec!["left".into(), "right".into()],
        palette: vec![[0; 3], [255; 3]],
        ignore: None,
        licence: "generated".into(),
        images,
        reals: Vec::new(),
        labels,
    }
}

fn network() -> Graph {
    let mut n = Net::new("halves");
    let x = n.input("image", Shape::image(8, 8, 1)).unwrap();
    let x = n.conv_bn_relu("a", x, 4, Window::square(3, 2)).unwrap();
    let x = n.conv_bn_relu("b", x, 8, Window::square(3, 2)).unwrap();
    let x = n.push("flat", crate::ops::Reshape { shape: Shape::vector(32) }, &[x]).unwrap();
    let x = n.dense("score", x, 2).unwrap();
    let mut g = n.finish(x).unwrap();
    g.initialise(3);
    g.meta.input = Some(InputScaling { mean: vec![0.5], std: vec![0.25] });
    g
}

fn recipe() -> Recipe {
    Recipe {
        model: "halves".into(),
        epochs: 4,
        batch: 16,
        optimiser: Optimiser::AdamW { rate: 5e-3, decay: 0.0 },
        schedule: Schedule::Cosine { warm_up: 0.0, last: 0.1 },
        average: 0.0,
        augment: Augment::default(),
        clip: None,
        contraction: None,
        ..crate::zoo::digits::recipe()
    }
}

/// Trains with fake quantisation and returns the file and its accuracy on the held-out examples.
fn train(split: &Split) -> (Vec<u8>, f64) {
    let mut graph = network();
    passes::optimise(&mut graph).unwrap();
    let batches = calibration_batches(&graph, &split.train, 16).unwrap();
    let weights = Weights::from_graph(&graph, &Device::flex());
    let ranges = calibrate(&graph, &weights, &batches, Method::MinMax).unwrap();
    let recipe = recipe();
    let steps = split.train.len() / recipe.batch;
    let fake = FakeQuant::new(&graph, &ranges).unwrap().following(0.9, 2 * steps, recipe.threads);
    let tap = || Box::new(fake.tap()) as Box<dyn Tap>;
    let out = tempfile::tempdir().unwrap();
    let options = Run {
        out: out.path(),
        resume: false,
        keep_weights: true,
        stop: &AtomicBool::new(false),
        quiet: true,
        tap: Some(&tap),
    };
    let outcome = supervised::run(&mut graph, &recipe, split, &options).unwrap();
    let (_, file) = dun(&graph, &fake.ranges(), &Options::default()).unwrap();
    let accuracy = eval::int8::evaluate(file.as_slice(), &split.val, 2).unwrap().accuracy();
    // What training saw is what the runtime does, up to the few pictures on the border of the classes.
    assert!((outcome.best - accuracy).abs() <= 0.05, "{} while training, {accuracy} in int8", outcome.best);
    (file.as_slice().to_vec(), accuracy)
}

#[test]
fn training_with_fake_quantisation_learns_and_is_repeatable() {
    let split = Split { train: examples(128, 1), val: examples(64, 2) };
    let untrained = post_training(&network(), &split.train, 16, Method::Mse, &Options::default()).unwrap();
    let before = eval::int8::evaluate(untrained.file.as_slice(), &split.val, 1).unwrap().accuracy();
    let (file, accuracy) = train(&split);
    assert!(accuracy > 0.9 && accuracy > before + 0.1, "{before} before, {accuracy} after");
    assert_eq!(file, train(&split).0);
}
