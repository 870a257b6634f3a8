//! The training loop: determinism, resumption, interruption, errors; and the zoo's limits.

use dunlin::shape::Window;
use dunlin_trainer::data::{Split, street};
use dunlin_trainer::graph::{Graph, ParamId};
use dunlin_trainer::ops::{ArgMax, Op};
use dunlin_trainer::train::supervised::{self, History, Options, Outcome, TrainError};
use dunlin_trainer::train::{ClassWeights, Optimiser, Recipe, Schedule, checkpoint};
use dunlin_trainer::zoo;
use std::path::Path;
use std::sync::atomic::AtomicBool;

static NEVER: AtomicBool = AtomicBool::new(false);

fn data() -> Split {
    street::generate(3, 16, 24, 20, 6)
}

fn network() -> Graph {
    let mut n = dunlin_trainer::net::Net::new("tiny");
    let x = n.input("image", dunlin::shape::Shape::image(16, 24, 3)).unwrap();
    let x = n.conv_bn_relu("a", x, 8, Window::square(3, 1)).unwrap();
    let (x, at) = n.max_pool_indices("pool", x, 2).unwrap();
    let x = n.conv_bn_relu("b", x, 8, Window::square(3, 1)).unwrap();
    let x = n.max_unpool("unpool", x, at).unwrap();
    let x = n.conv("score", x, 11, Window::square(3, 1)).unwrap();
    let x = n.push("label", ArgMax, &[x]).unwrap();
    n.finish(x).unwrap()
}

fn recipe() -> Recipe {
    let mut recipe = zoo::street::recipe();
    recipe.epochs = 3;
    recipe.batch = 4;
    recipe
}

fn options(out: &Path, resume: bool) -> Options<'_> {
    Options { out, resume, keep_weights: false, stop: &NEVER, quiet: true, tap: None }
}

fn train(recipe: &Recipe, options: &Options<'_>) -> (Graph, Outcome) {
    let mut graph = network();
    let outcome = supervised::run(&mut graph, recipe, &data(), options).unwrap();
    (graph, outcome)
}

fn last_weights(dir: &Path) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let (mut graph, mut average) = (network(), network());
    checkpoint::load_state(&dir.join("last.safetensors"), &mut graph, &mut average).unwrap();
    let of = |g: Graph| g.params.into_iter().map(|p| p.data).collect();
    (of(graph), of(average))
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_does_not() {
    let [a, b, c] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    train(&recipe(), &options(a.path(), false));
    train(&recipe(), &options(b.path(), false));
    assert_eq!(last_weights(a.path()), last_weights(b.path()));
    let other = Recipe { seed: 2, ..recipe() };
    train(&other, &options(c.path(), false));
    assert_ne!(last_weights(a.path()), last_weights(c.path()));
}

/// Raises the flag as soon as the run has written anything for an epoch, so that it stops inside the next.
fn interrupt_after_first_epoch(dir: &Path, recipe: &Recipe) {
    let stop = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let options = Options { stop: &stop, ..options(dir, true) };
            train(recipe, &options).1
        });
        let history = dir.join("history.jsonl");
        while !running.is_finished() && std::fs::read_to_string(&history).unwrap_or_default().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        running.join().unwrap()
    });
    assert!(outcome.interrupted);
    assert!(outcome.epochs < recipe.epochs);
}

#[test]
fn an_interrupted_and_resumed_run_equals_an_uninterrupted_one() {
    for optimiser in [
        Optimiser::AdamW { rate: 5e-3, decay: 1e-3 },
        Optimiser::Sgd { rate: 2e-2, momentum: 0.9, decay: 1e-4 },
    ] {
        let recipe = Recipe { optimiser, epochs: 6, label_smoothing: 0.1, ..recipe() };
        let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        train(&recipe, &options(whole.path(), false));
        interrupt_after_first_epoch(parts.path(), &recipe);
        let (_, outcome) = train(&recipe, &options(parts.path(), true));
        assert!(!outcome.interrupted);
        assert_eq!(outcome.epochs, 6);
        assert_eq!(last_weights(whole.path()), last_weights(parts.path()));
        let losses = |dir: &Path| -> Vec<(usize, f64, Option<f64>)> {
            let text = std::fs::read_to_string(dir.join("history.jsonl")).unwrap();
            let lines = text.lines().map(|l| serde_json::from_str::<History>(l).unwrap());
            lines.map(|h| (h.epoch, h.loss, h.mean_iou)).collect()
        };
        assert_eq!(losses(whole.path()), losses(parts.path()));
        assert_eq!(losses(whole.path()).len(), 6);
    }
}

#[test]
fn training_learns_and_the_folder_gives_the_best_weights_back() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = Recipe { epochs: 30, ..recipe() };
    let (graph, outcome) = train(&recipe, &options(dir.path(), false));
    let text = std::fs::read_to_string(dir.path().join("history.jsonl")).unwrap();
    let history: Vec<History> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(history[29].loss < 0.6 * history[0].loss, "{} to {}", history[0].loss, history[29].loss);
    let loaded = supervised::load(dir.path()).unwrap();
    assert_eq!(loaded.params, graph.params);
    assert_eq!(loaded.meta.classes.len(), 11);
    let weights = dunlin_trainer::exec::Weights::from_graph(&loaded, &burn::tensor::Device::flex());
    let confusion = dunlin_trainer::eval::evaluate(&loaded, &weights, &data().val, 1, &|| {
        Box::new(dunlin_trainer::exec::NoTap)
    })
    .unwrap();
    assert_eq!(confusion.mean_iou(), outcome.best);
    assert_eq!(confusion.total(), 6 * 16 * 24);
}

#[test]
fn early_stopping_ends_a_run_that_does_not_improve() {
    let dir = tempfile::tempdir().unwrap();
    let still = Optimiser::Sgd { rate: 0.0, momentum: 0.0, decay: 0.0 };
    let recipe = Recipe { optimiser: still, epochs: 50, patience: 2, average: 0.0, ..recipe() };
    let (_, outcome) = train(&recipe, &options(dir.path(), false));
    assert!(outcome.epochs < 50, "{outcome:?}");
    assert_eq!(outcome.epochs, outcome.best_epoch + 2);
}

#[test]
fn what_cannot_be_trained_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let refuse = |graph: &mut Graph, recipe: &Recipe, data: &Split| {
        supervised::run(graph, recipe, data, &options(dir.path(), true)).unwrap_err()
    };
    let error = refuse(&mut network(), &Recipe { batch: 21, ..recipe() }, &data());
    assert!(error.to_string().contains("too few"), "{error}");
    let error = refuse(&mut network(), &recipe(), &street::generate(3, 20, 24, 20, 6));
    assert!(error.to_string().contains("labels"), "{error}");
    let wild = Optimiser::Sgd { rate: 1e30, momentum: 0.0, decay: 0.0 };
    let error = refuse(&mut network(), &Recipe { optimiser: wild, ..recipe() }, &data());
    assert!(error.to_string().contains("learning rate"), "{error}");

    train(&recipe(), &options(dir.path(), false));
    let error = refuse(&mut network(), &Recipe { epochs: 4, ..recipe() }, &data());
    assert!(error.to_string().contains("another recipe"), "{error}");
    let last = dir.path().join("last.safetensors");
    let bytes = std::fs::read(&last).unwrap();
    std::fs::write(&last, &bytes[..bytes.len() / 2]).unwrap();
    let error = refuse(&mut network(), &recipe(), &data());
    assert!(matches!(&error, TrainError::Checkpoint(_)) && error.to_string().contains("last.safetensors"));
    let mut other = zoo::street::graph(16, 24, 11).unwrap();
    let error = checkpoint::load_weights(&dir.path().join("best.safetensors"), &mut other).unwrap_err();
    assert!(error.to_string().contains("another model"), "{error}");
}

#[test]
fn schedules_warm_up_and_fall() {
    let cosine = Schedule::Cosine { warm_up: 2.0, last: 0.1 };
    assert_eq!(cosine.factor(1.0, 10.0), 0.5);
    assert_eq!(cosine.factor(2.0, 10.0), 1.0);
    assert!((cosine.factor(6.0, 10.0) - 0.55).abs() < 1e-12);
    assert!((cosine.factor(10.0, 10.0) - 0.1).abs() < 1e-12);
    let step = Schedule::Step { warm_up: 0.0, every: 3.0, factor: 0.5 };
    assert_eq!([0.0, 2.9, 3.0, 6.5].map(|e| step.factor(e, 10.0)), [1.0, 1.0, 0.5, 0.25]);
}

#[test]
fn class_weights_have_mean_one_over_the_labels() {
    let weights = ClassWeights::SqrtInverse.weights(&[900, 100, 0]);
    assert!((0.9 * weights[0] + 0.1 * weights[1] - 1.0).abs() < 1e-6);
    assert!((weights[1] / weights[0] - 3.0).abs() < 1e-6, "inverse square root of 9 to 1");
    assert_eq!(ClassWeights::Equal.weights(&[5, 1]), [1.0, 1.0]);
}

/// Largest sum of bytes (one per element) of the tensors alive while a node runs, with batch normalisation,
/// rectifiers and argmax fused into the operator before them.
fn largest_live_set(graph: &Graph) -> usize {
    let mut alias: Vec<usize> = (0..graph.values.len()).collect();
    let mut size: Vec<usize> = graph.values.iter().map(|v| v.shape.elements()).collect();
    for node in &graph.nodes {
        let fused = matches!(node.op, Op::BatchNorm(_) | Op::Unary(_) | Op::ArgMax(_) | Op::Identity(_));
        let produced = graph.producer(node.inputs[0]).is_some();
        if fused && produced && graph.consumers(node.inputs[0]).len() == 1 {
            let root = alias[node.inputs[0].0];
            alias[node.outputs[0].0] = root;
            size[root] = graph.shape(node.outputs[0]).elements();
        }
    }
    let count = graph.nodes.len();
    let (mut first, mut last) = (vec![usize::MAX; size.len()], vec![0; size.len()]);
    for v in &graph.inputs {
        first[v.0] = 0;
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        for v in &node.outputs {
            let root = alias[v.0];
            first[root] = first[root].min(at);
        }
        for v in node.inputs.iter().chain(&node.outputs) {
            last[alias[v.0]] = at;
        }
    }
    let live = |at: usize| {
        (0..size.len()).filter(|&v| alias[v] == v && first[v] <= at && at <= last[v]).map(|v| size[v]).sum()
    };
    (0..count).map(live).max().unwrap_or(0)
}

#[test]
fn the_zoo_keeps_within_its_limits() {
    for name in zoo::NAMES {
        let classes = if name == "digits" { 10 } else { 11 };
        let graph = zoo::graph(name, classes).unwrap().unwrap();
        let (weights, arena) = if name == "digits" { (16_000, 8_000) } else { (300_000, 256_000) };
        let live = largest_live_set(&graph);
        println!("{name}: {} weights, {live} bytes alive, {} MACs", graph.weight_count(), graph.macs());
        assert!(graph.weight_count() <= weights, "{name}: {} weights", graph.weight_count());
        assert!(live <= arena, "{name}: {live} bytes");
        assert_eq!(zoo::recipe(name).unwrap().model, name);
        let text = toml::to_string(&zoo::recipe(name).unwrap()).unwrap();
        assert_eq!(toml::from_str::<Recipe>(&text).unwrap(), zoo::recipe(name).unwrap());
    }
    assert!(zoo::graph("resnet", 2).is_none());
    assert!(zoo::recipe("resnet").is_none());
}

#[test]
fn statistics_of_batch_normalisation_move_only_while_training() {
    let dir = tempfile::tempdir().unwrap();
    let (graph, _) = train(&recipe(), &options(dir.path(), false));
    let fresh = {
        let mut g = network();
        g.initialise(recipe().seed);
        g
    };
    let id = graph.params.iter().position(|p| p.name == "a.bn.mean").unwrap();
    assert_ne!(graph.param(ParamId(id)).data, fresh.param(ParamId(id)).data);
    assert!(!graph.param(ParamId(id)).trainable);
}
