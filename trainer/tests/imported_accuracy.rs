//! Imported networks keep their accuracy on real data: quantised ones give the reference's predictions image by image,
//! float ones quantised here lose no more than the int8 files that their authors published.
//!
//! Data: `cifar10`, `kws_mfcc` and `models_tflite` in `DUNLIN_DATA`, else `../shared/data`. The reference's predictions
//! are in `fixtures/tflite`: the largest output of the reference kernels (tflite-micro 0.dev20261023) for every example.

use dunlin_trainer::exec::{self, Device, Mode, NoTap, Tensor, TensorData, Weights};
use dunlin_trainer::export::{Options, dun, pinned};
use dunlin_trainer::graph::Graph;
use dunlin_trainer::import::tflite;
use dunlin_trainer::ops::largest;
use dunlin_trainer::passes;
use dunlin_trainer::quantise::{Int8Runner, Method, calibrate};
use std::path::{Path, PathBuf};

/// What int8 may lose against float, in parts of one (NUMERICS: half a point of accuracy).
const LOSS: f64 = 0.005;
/// Bins of a spectrum of the anomaly detector (MLPerf Tiny).
const BINS: usize = 128;
/// Frames of a window of the anomaly detector.
const FRAMES: usize = 5;

/// The folder of the data, where it is there.
fn data(part: &str) -> Option<PathBuf> {
    let named = std::env::var_os("DUNLIN_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = named.unwrap_or(beside).join(part);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("LEFT OUT: no {part}; name the folder of the data with DUNLIN_DATA");
    None
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn fixture(name: &str) -> Vec<u8> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tflite").join(name))
}

fn import(path: &Path) -> Graph {
    tflite::import(&read(path), "model").unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn equal(found: &[u8], expected: &[u8]) -> f64 {
    found.iter().zip(expected).filter(|(a, b)| a == b).count() as f64 / expected.len() as f64
}

/// Predictions of a quantised model, the way a board makes them.
fn predictions<'a>(model: &Path, inputs: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let (_, file) = pinned(&import(model), &Options::default()).unwrap();
    let mut runner = Int8Runner::new(file.as_slice()).unwrap();
    inputs
        .map(|input| {
            let scores: Vec<i8> =
                runner.run_bytes(&[input]).unwrap()[0].bytes.iter().map(|&b| b as i8).collect();
            largest(&scores) as u8
        })
        .collect()
}

#[test]
fn resnet8_predicts_what_the_reference_predicts_for_every_image_of_cifar10() {
    let (Some(models), Some(cifar)) = (data("models_tflite/mlperf_tiny"), data("cifar10")) else { return };
    let picture = image::open(cifar.join("test1k.png")).unwrap().to_rgb8();
    // A row of the picture is one image of 32 x 32 RGB; the model takes int8.
    let pixels: Vec<u8> = picture.into_raw().iter().map(|p| p ^ 0x80).collect();
    let found = predictions(&models.join("pretrainedResnet_quant.tflite"), pixels.chunks_exact(32 * 32 * 3));
    assert_eq!(found, fixture("ic-cifar10-test1k.labels.u8"));
    let accuracy = equal(&found, &read(&cifar.join("test1k.labels.u8")));
    println!("ResNet-8 on CIFAR-10: {} images equal, accuracy {accuracy:.4}", found.len());
}

#[test]
fn the_keyword_spotter_predicts_what_the_reference_predicts_for_every_recording() {
    let (Some(models), Some(kws)) = (data("models_tflite/mlperf_tiny"), data("kws_mfcc")) else { return };
    let features = read(&kws.join("features_i8_Nx49x10.bin"));
    let found = predictions(&models.join("kws_ref_model.tflite"), features.chunks_exact(490));
    assert_eq!(found, fixture("kws-mfcc.labels.u8"));
    let accuracy = equal(&found, &read(&kws.join("labels.u8")));
    println!("DS-CNN on Speech Commands: {} recordings equal, accuracy {accuracy:.4}", found.len());
}

/// Outputs of a float graph for each input.
fn float(graph: &Graph, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let weights = Weights::from_graph(graph, &Device::flex());
    let run = |input: &Vec<f32>| {
        let run =
            exec::run(graph, &weights, &[tensor(graph, input)], &graph.outputs, Mode::Evaluate, &mut NoTap);
        run.unwrap().float().into_data().try_into_vec().unwrap()
    };
    inputs.iter().map(run).collect()
}

fn tensor(graph: &Graph, input: &[f32]) -> Tensor<4> {
    let s = graph.shape(graph.inputs[0]);
    let dims = [s.n, s.h, s.w, s.c].map(|d| d as usize);
    Tensor::from_data(TensorData::new(input.to_vec(), dims), &Device::flex())
}

/// Outputs of a float graph quantised here, calibrated on `samples`.
fn quantised(graph: &Graph, samples: &[Vec<f32>], inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut graph = graph.clone();
    passes::optimise(&mut graph).unwrap();
    let weights = Weights::from_graph(&graph, &Device::flex());
    let batches: Vec<Vec<Tensor<4>>> = samples.iter().map(|s| vec![tensor(&graph, s)]).collect();
    let ranges = calibrate(&graph, &weights, &batches, Method::MinMax).unwrap();
    let (_, file) = dun(&graph, &ranges, &Options::default()).unwrap();
    int8(file.as_slice(), inputs)
}

fn int8(file: &[u8], inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut runner = Int8Runner::new(file).unwrap();
    inputs.iter().map(|input| runner.run_real(&[input]).unwrap()[0].real()).collect()
}

#[test]
fn the_float_keyword_spotter_quantised_here_is_as_good_as_the_published_int8_file() {
    const CALIBRATION: usize = 100;
    /// Scale and zero point of the published model's input, with which the features are stored.
    const INPUT: (f32, f32) = (0.584_702_9, 83.0);
    let (Some(models), Some(kws)) = (data("models_tflite/mlperf_tiny"), data("kws_mfcc")) else { return };
    let features = read(&kws.join("features_i8_Nx49x10.bin"));
    let real = |q: &u8| INPUT.0 * (f32::from(*q as i8) - INPUT.1);
    let inputs: Vec<Vec<f32>> = features.chunks_exact(490).map(|f| f.iter().map(real).collect()).collect();
    let labels = read(&kws.join("labels.u8"));
    let accuracy = |outputs: &[Vec<f32>]| {
        let found: Vec<u8> = outputs.iter().map(|o| largest(o) as u8).collect();
        equal(&found, &labels)
    };
    let graph = import(&models.join("kws_ref_model_float32.tflite"));
    let in_float = accuracy(&float(&graph, &inputs));
    let here = accuracy(&quantised(&graph, &inputs[..CALIBRATION], &inputs));
    let published =
        equal(&predictions(&models.join("kws_ref_model.tflite"), features.chunks_exact(490)), &labels);
    println!("DS-CNN: float {in_float:.4}, quantised here {here:.4}, published int8 {published:.4}");
    assert!(in_float - here <= LOSS, "float {in_float}, int8 {here}");
    assert!(here >= published, "quantised here {here}, published {published}");
}

/// Signal to noise of `found` against `expected`, in decibels.
fn snr(expected: &[Vec<f32>], found: &[Vec<f32>]) -> f64 {
    let pairs =
        || expected.iter().flatten().zip(found.iter().flatten()).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let signal: f64 = pairs().map(|(a, _)| a * a).sum();
    let noise: f64 = pairs().map(|(a, b)| (a - b) * (a - b)).sum();
    10.0 * (signal / noise).log10()
}

/// The anomaly score of a recording: mean squared error of the reconstruction (MLPerf Tiny).
fn score(inputs: &[Vec<f32>], outputs: &[Vec<f32>]) -> f64 {
    let pairs = inputs.iter().flatten().zip(outputs.iter().flatten());
    let squares: f64 = pairs.map(|(a, b)| f64::from(a - b) * f64::from(a - b)).sum();
    squares / (inputs.len() * BINS * FRAMES) as f64
}

#[test]
fn the_float_anomaly_detector_quantised_here_is_as_good_as_the_published_int8_file() {
    let Some(models) = data("models_tflite/mlperf_tiny") else { return };
    let bytes = read(&models.join("ad01_normal_id_01_00000000_hist_librosa.f32.bin"));
    let spectrum: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    // Windows of five consecutive frames; every other one calibrates, the rest measure.
    let windows: Vec<Vec<f32>> = spectrum.windows(BINS * FRAMES).step_by(BINS).map(<[f32]>::to_vec).collect();
    let samples: Vec<Vec<f32>> = windows.iter().step_by(2).cloned().collect();
    let inputs: Vec<Vec<f32>> = windows.iter().skip(1).step_by(2).cloned().collect();
    let graph = import(&models.join("ad01_fp32.tflite"));
    let in_float = float(&graph, &inputs);
    let here = quantised(&graph, &samples, &inputs);
    let (_, file) = pinned(&import(&models.join("ad01_int8.tflite")), &Options::default()).unwrap();
    let published = int8(file.as_slice(), &inputs);
    let (float_score, our_score, their_score) =
        (score(&inputs, &in_float), score(&inputs, &here), score(&inputs, &published));
    let (ours, theirs) = (snr(&in_float, &here), snr(&in_float, &published));
    println!(
        "autoencoder: score float {float_score:.4}, quantised here {our_score:.4} ({ours:.1} dB), published int8 {their_score:.4} ({theirs:.1} dB)"
    );
    assert!((our_score / float_score - 1.0).abs() <= LOSS, "score {our_score}, float {float_score}");
    assert!(ours >= theirs, "{ours} dB here, {theirs} dB published");
}
