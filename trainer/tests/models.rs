//! The models of the repository against real data: the bars that they must reach, and that their cards are true.

use dunlin_trainer::data::{Split, cifar, folders, idx};
use dunlin_trainer::eval::{float, int8};
use dunlin_trainer::report::artifact::METRICS;
use dunlin_trainer::report::card::{Metrics, headline};
use dunlin_trainer::report::facts::Facts;
use dunlin_trainer::train::supervised;
use std::path::{Path, PathBuf};

/// Threads of an evaluation; counts of labels do not depend on it.
const THREADS: usize = 2;

/// Float arithmetic may add in another order on another machine, which moves a few pixels of 1.9 million.
const FLOAT_TOLERANCE: f64 = 1e-3;

/// What a model must reach on the held-out examples.
struct Bar {
    name: &'static str,
    float: f64,
    int8: f64,
    /// Largest loss from float to int8.
    loss: f64,
    weight_bytes: u64,
    arena_bytes: usize,
}

const BARS: [Bar; 4] = [
    Bar { name: "segnet", float: 0.53, int8: 0.52, loss: 0.01, weight_bytes: 300_000, arena_bytes: 256_000 },
    Bar { name: "fcn8s", float: 0.48, int8: 0.47, loss: 0.01, weight_bytes: 300_000, arena_bytes: 256_000 },
    Bar { name: "digits", float: 0.985, int8: 0.985, loss: 0.005, weight_bytes: 16_000, arena_bytes: 8_192 },
    Bar {
        name: "mobilenet-cifar10",
        float: 0.74,
        int8: 0.74,
        loss: 0.005,
        weight_bytes: 220_000,
        arena_bytes: 20_480,
    },
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name)
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder(name).join(format!("{name}.dun"))).expect("a committed model")
}

fn metrics(name: &str) -> Metrics {
    let text = std::fs::read_to_string(folder(name).join(METRICS)).expect("committed metrics");
    serde_json::from_str(&text).expect("metrics as `dunlin quantize` writes them")
}

/// The data of a model; none where there is none on this machine, which is said.
fn data(name: &str) -> Option<Split> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = std::env::var_os("DUNLIN_DATA").map_or(beside, PathBuf::from);
    if !root.is_dir() {
        println!("LEFT OUT: `{name}` on real data: no {} (set DUNLIN_DATA)", root.display());
        return None;
    }
    let split = match name {
        "digits" => idx::digits(&root.join("mnist")),
        "mobilenet-cifar10" => cifar::read(&root.join("cifar10"), 64, 64),
        _ => folders::read(&root.join("camvid"), 120, 160),
    };
    Some(split.expect("the data set is whole"))
}

#[test]
fn models_keep_their_budgets_and_their_arenas_are_tight() {
    for bar in &BARS {
        let totals = Facts::read(&file(bar.name)).expect("the runtime accepts it").totals;
        assert!(totals.weight_bytes <= bar.weight_bytes, "{}: {} weights", bar.name, totals.weight_bytes);
        assert!(totals.arena_bytes <= bar.arena_bytes, "{}: arena {}", bar.name, totals.arena_bytes);
        let bound = totals.largest_live_bytes as f64 * 1.05;
        assert!(totals.arena_bytes as f64 <= bound, "{}: {} over {bound}", bar.name, totals.arena_bytes);
    }
}

#[test]
fn models_reach_their_bars_on_real_data_and_their_cards_are_true() {
    for bar in &BARS {
        let Some(split) = data(bar.name) else { continue };
        let set = &split.val;
        let segmentation = set.is_segmentation();
        let graph = supervised::load(&folder(bar.name)).expect("committed float weights");
        let in_float = float::evaluate(&graph, set, THREADS).expect("the data fits");
        let in_int8 = int8::evaluate(&file(bar.name), set, THREADS).expect("the data fits");
        let (metric, in_float) = headline(segmentation, &in_float);
        let in_int8 = headline(segmentation, &in_int8).1;
        println!("{}: {metric} float {in_float:.4}, int8 {in_int8:.4}", bar.name);
        assert!(in_float >= bar.float, "{}: float {in_float}", bar.name);
        assert!(in_int8 >= bar.int8, "{}: int8 {in_int8}", bar.name);
        assert!(in_float - in_int8 <= bar.loss, "{}: {in_float} to {in_int8}", bar.name);
        let card = metrics(bar.name);
        assert_eq!((card.examples, card.int8), (set.len(), in_int8), "{}: the card", bar.name);
        assert!((card.float - in_float).abs() <= FLOAT_TOLERANCE, "{}: {} {in_float}", bar.name, card.float);
    }
}
