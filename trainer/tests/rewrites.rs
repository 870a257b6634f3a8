//! Rewrites of integer programs change no output byte of any network at hand.

use dunlin::AlignedVec;
use dunlin_trainer::eval::agreement;
use dunlin_trainer::exec::{Device, Weights};
use dunlin_trainer::export::{Options, dun};
use dunlin_trainer::graph::Graph;
use dunlin_trainer::import::{onnx, tflite};
use dunlin_trainer::ops::Op;
use dunlin_trainer::passes;
use dunlin_trainer::plan::{Plan, PlanOptions};
use dunlin_trainer::quantise::{
    Folded, Int8Runner, LowerOptions, Method, Ranges, RewriteOptions, Rewritten, calibrate, lower,
};
use dunlin_trainer::report::facts::{Facts, Totals};
use dunlin_trainer::train::supervised;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use safetensors::SafeTensors;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Runs of each network, in one session.
const RUNS: usize = 3;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn made(graph: &Graph, ranges: &Ranges, keep_dead_channels: bool) -> (AlignedVec, Rewritten) {
    let options = Options { rewrite: RewriteOptions { keep_dead_channels }, ..Options::default() };
    let (plan, file) = dun(graph, ranges, &options).unwrap_or_else(|e| panic!("{}: {e}", graph.name));
    (file, plan.graph().rewritten)
}

/// Outputs for drawn bytes.
fn outputs(file: &[u8], name: &str) -> Vec<Vec<u8>> {
    let mut runner = Int8Runner::new(file).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut rng = Pcg64::seed_from_u64(5);
    let sizes: Vec<u32> = runner.session(|s| s.model().inputs().map(|t| t.bytes()).collect()).unwrap();
    let run = |_| {
        let inputs: Vec<Vec<u8>> = sizes.iter().map(|&n| (0..n).map(|_| rng.random()).collect()).collect();
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        runner.run_bytes(&inputs).unwrap().into_iter().flat_map(|o| o.bytes).collect()
    };
    (0..RUNS).map(run).collect()
}

/// What the rewrites did; every byte is compared with the program as it was lowered, and with the one that keeps its dead
/// channels.
fn same_bytes(graph: &Graph, ranges: &Ranges) -> (Rewritten, [Totals; 2]) {
    let lowered = lower(graph, ranges, LowerOptions::default()).unwrap();
    let plain = Plan::new(lowered, &PlanOptions::default()).encode().unwrap();
    let ((kept, none), (folded, rewritten)) = (made(graph, ranges, true), made(graph, ranges, false));
    assert_eq!(none, Rewritten { dead: Folded::default(), ..rewritten }, "{}", graph.name);
    let files = [&plain, &kept, &folded];
    let [before, between, after] = files.map(|file| Facts::read(file.as_slice()).unwrap().totals);
    assert_eq!(before.macs, between.macs, "{}", graph.name);
    assert_eq!(before.macs - after.macs, rewritten.dead.macs, "{}", graph.name);
    let [plain, kept, folded] = files.map(|file| outputs(file.as_slice(), &graph.name));
    assert_eq!(plain, kept, "{}", graph.name);
    assert_eq!(plain, folded, "{}", graph.name);
    (rewritten, [before, after])
}

fn imported(bytes: &[u8], name: &str) -> Graph {
    tflite::import(bytes, name).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn published_models_lose_their_dead_channels_and_no_byte_changes() {
    let named = std::env::var_os("DUNLIN_CONFORMANCE").filter(|v| !v.is_empty()).map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let root = named.unwrap_or(beside).join("tflite");
    if !root.is_dir() {
        eprintln!("LEFT OUT: no conformance vectors; name their folder with DUNLIN_CONFORMANCE");
        return;
    }
    for name in ["ad", "hello", "ic", "kws", "lstm", "person", "speech", "vww"] {
        let model = std::fs::read(root.join(name).join("model.tflite")).expect("a model");
        let graph = imported(&model, name);
        let (Rewritten { dead, .. }, [before, after]) = same_bytes(&graph, &Ranges::new(&graph));
        println!(
            "{name}: {} channels; MACs {} to {}, constants {} to {} bytes, arena {} to {} bytes",
            dead.channels,
            before.macs,
            after.macs,
            before.data_bytes,
            after.data_bytes,
            before.arena_bytes,
            after.arena_bytes
        );
        assert!(after.arena_bytes <= before.arena_bytes, "{name}");
        match name {
            "vww" => {
                assert_eq!((before.macs, after.macs, dead.channels), (7_489_664, 3_733_073, 975));
                assert!(after.data_bytes < before.data_bytes / 5);
            }
            "person" => assert_eq!(dead.channels, 1),
            _ => assert_eq!(dead.channels, 0, "{name}"),
        }
        let graph = planted(graph);
        let dead = same_bytes(&graph, &Ranges::new(&graph)).0.dead;
        println!("{name} with more dead channels: {dead:?}");
        assert!(dead.channels > 0 || ["lstm", "speech"].contains(&name), "{name}");
    }
}

#[test]
fn committed_operators_and_networks_with_planted_channels_keep_their_bytes() {
    let packed = std::fs::read(fixtures().join("tflite/vectors.safetensors.gz")).expect("committed vectors");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (mut compared, mut smaller, mut fused) = (0, 0, 0);
    for name in file.names().into_iter().filter_map(|n| n.strip_suffix("/model")) {
        let graph = imported(file.tensor(&format!("{name}/model")).unwrap().data(), name);
        if graph.is_pinned() {
            let graph = planted(graph);
            compared += 1;
            let done = same_bytes(&graph, &Ranges::new(&graph)).0;
            smaller += usize::from(done.dead.channels > 0);
            fused += done.pads + done.clamps + done.reshapes;
            if done.pads + done.clamps + done.reshapes > 0 {
                println!("{name}: {done:?}");
            }
        }
    }
    println!("{compared} models, {smaller} of them smaller, {fused} nodes fused");
    assert!(compared > 600 && smaller > 10 && fused > 10, "{compared}, {smaller}, {fused}");
}

/// Zeroes the weights of every third output channel, and leaves every fourth input channel unread.
fn planted(mut graph: Graph) -> Graph {
    for n in 0..graph.nodes.len() {
        if !matches!(graph.nodes[n].op, Op::Conv2d(_) | Op::Dense(_)) {
            continue;
        }
        let weight = &mut graph.params[graph.nodes[n].params[0].0];
        let (outputs, inputs) = (weight.dims[0], *weight.dims.last().expect("an axis of inputs"));
        let per = weight.data.len() / outputs;
        for k in (0..weight.data.len()).filter(|k| k / per % 3 == 1 || k % inputs % 4 == 3) {
            weight.data[k] = 0.0;
            if let Some(pin) = &mut weight.pin {
                pin.ints[k] = i64::from(pin.zero_point);
            }
        }
    }
    graph
}

/// Calibrates on noise, with dead channels planted after the float passes have run.
fn calibrated(graph: &Graph) -> Rewritten {
    let mut graph = graph.clone();
    passes::optimise_keeping(&mut graph).unwrap();
    let graph = planted(graph);
    let mut rng = Pcg64::seed_from_u64(9);
    let noise = |v: &dunlin_trainer::graph::ValueId| -> Vec<f32> {
        (0..graph.shape(*v).elements()).map(|_| rng.random_range(-1.0..1.0)).collect()
    };
    let sample: Vec<Vec<f32>> = graph.inputs.iter().map(noise).collect();
    let weights = Weights::from_graph(&graph, &Device::flex());
    let batches = [agreement::tensors(&graph, &sample)];
    let ranges = calibrate(&graph, &weights, &batches, Method::MinMax).unwrap();
    same_bytes(&graph, &ranges).0
}

#[test]
fn trained_networks_with_planted_channels_keep_their_bytes() {
    for name in ["digits", "fcn8s", "mobilenet-cifar10", "segnet"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name);
        let done = calibrated(&supervised::load(&folder).expect("committed weights"));
        println!("{name}: {done:?}");
        assert!(done.dead.channels > 4, "{name}: {done:?}");
    }
    for name in ["resnet", "mobilenet", "vgg", "unet", "dscnn", "wave", "tensorflow", "shufflenet"] {
        let bytes = std::fs::read(fixtures().join("onnx").join(format!("{name}.onnx"))).expect("a fixture");
        let done = calibrated(&onnx::import(&bytes, &onnx::Options::default()).unwrap().graph);
        println!("{name}: {done:?}");
        // A shuffle mixes channels by a transposition, at which folding stops.
        assert_eq!(done.dead.channels > 0, name != "shufflenet", "{name}: {done:?}");
    }
}
