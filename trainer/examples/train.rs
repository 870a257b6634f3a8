//! Trains a model of the zoo: `train MODEL DATA OUT [epochs]`.
use dunlin_trainer::{train::supervised, zoo};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).unwrap();
    let split = zoo::data(&args[1], Some(Path::new(&args[2]))).unwrap().unwrap();
    let mut recipe = zoo::recipe(&args[1]).unwrap();
    let mut graph = zoo::graph(&args[1], split.train.classes.len() as u32).unwrap().unwrap();
    if let Some(e) = args.get(4) {
        recipe.epochs = e.parse().unwrap();
    }
    println!("{} weights, {} MACs", graph.weight_count(), graph.macs());
    let options = supervised::Options {
        out: Path::new(&args[3]),
        resume: true,
        keep_weights: false,
        stop: &STOP,
        quiet: false,
        tap: None,
    };
    println!("{:?}", supervised::run(&mut graph, &recipe, &split, &options));
}
