//! The golden files: models that together have every operator, their inputs and their outputs.
//!
//! One model has the operators that a version of the format began with, [`operators`] those that were appended to it.
//! Released files load and give the same bytes for ever. They are made once, by the program `golden`.

pub mod operators;

pub(crate) mod network;

use crate::cases::Kind;
use crate::draw::Draw;
use crate::host::Tables;
use dunlin::format::{DType, OwnedMetadata, Place, Scaling, Tensor, encode};
use dunlin::ops::*;
use dunlin::quant::{Clamp, QParams};
use dunlin::shape::{Pad as Border, Padding, Shape, Window};
use dunlin::{AlignedVec, Model, Session};
use network::{Network, factor};
use std::path::PathBuf;

/// Rows of the first bounded dimension in each run; the first count is its bound.
pub const COUNTS: [u32; 3] = [4, 0, 2];

/// Rows of every bounded dimension of a model in run `run`: the same part of each bound.
pub fn counts(model: &Model<'_>, run: usize) -> Vec<u32> {
    model.dims().iter().map(|bound| bound * COUNTS[run] / COUNTS[0]).collect()
}

/// Kinds of operator that version 1 began with: those of its first golden model.
pub const KINDS: usize = 22;

/// The folder of the golden files of a version.
pub fn folder(version: u16) -> PathBuf {
    named(&format!("v{version}"))
}

/// The folder of the golden files that have this name.
fn named(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// Image branch: from real pixels over every operator on images to a label map, tensors `(labels, scores)`.
fn image_branch(net: &mut Network, pixels: u16) -> (u16, u16) {
    let images = |h, w, c| Shape::image(h, w, c);
    let quantised = net.int8(images(6, 6, 2), 0.05, -10);
    net.node(Op::Quantize(Quantize {}), &[pixels], &[quantised]);

    let same = Window::square(3, 1).resolve(Padding::Same, 6, 6).expect("a window that fits");
    let features = net.int8(images(6, 6, 4), 0.1, 3);
    let filter = net.filter(4, 3 * 3 * 2 * 4, 18);
    net.node(Op::Conv2d(Conv2d { window: same, filter, labels: None }), &[quantised], &[features]);

    let depthwise = net.int8(images(6, 6, 4), 0.08, -4);
    let filter = net.filter(4, 9 * 4, 9);
    let op = DepthwiseConv2d { window: same, filter, multiplier: 1 };
    net.node(Op::DepthwiseConv2d(op), &[features], &[depthwise]);

    let sum = net.over(features, images(6, 6, 4));
    let op = Add {
        inputs: [factor(0.5), factor(0.4)],
        output: factor(2.0 / f64::from(1 << 20)),
        left_shift: 20,
        clamp: Clamp::FULL,
    };
    net.node(Op::Add(op), &[features, depthwise], &[sum]);

    let halve = Window::square(2, 2);
    let (pooled, positions) =
        (net.int8(images(3, 3, 4), 0.1, 3), net.tensor(DType::U8, images(3, 3, 4), QParams::UNIT));
    net.node(Op::MaxPool2dWithIndices(MaxPool2dWithIndices { window: halve }), &[sum], &[pooled, positions]);

    let gate = Place::Data(net.spec.data.push(&[90i8, -40, 127, 5]).0);
    let shape = Shape::vector(4);
    let gate = net.push(Tensor {
        dtype: DType::I8,
        shape,
        quant: QParams { scale: 0.01, zero_point: 0 },
        place: gate,
        rows: None,
    });
    let gated = net.over(pooled, images(3, 3, 4));
    net.node(Op::Mul(Mul { output: factor(0.01), clamp: Clamp::FULL }), &[pooled, gate], &[gated]);

    let unpooled = net.int8(images(6, 6, 4), 0.1, 3);
    let op = MaxUnpool2d { window: halve, output_h: 6, output_w: 6 };
    net.node(Op::MaxUnpool2d(op), &[gated, positions], &[unpooled]);

    let maxima = net.int8(images(3, 3, 4), 0.1, 3);
    net.node(Op::MaxPool2d(MaxPool2d { window: halve, clamp: Clamp::FULL }), &[unpooled], &[maxima]);
    let means = net.int8(images(3, 3, 4), 0.1, 3);
    let window = Window::square(3, 1).padded(Border::all(1));
    let op = AveragePool2d { window, clamp: Clamp::FULL, rounding: AverageRounding::HalfAwayFromZero };
    net.node(Op::AveragePool2d(op), &[maxima], &[means]);
    let joined = net.int8(images(3, 3, 8), 0.1, 3);
    net.node(Op::Concat(Concat { axis: Axis::C }), &[maxima, means], &[joined]);

    let up = net.int8(images(6, 6, 3), 0.2, 0);
    let filter = net.filter(3, 2 * 2 * 8 * 3, 8);
    let op = TransposeConv2d { window: halve, output_h: 6, output_w: 6, filter, labels: None };
    net.node(Op::TransposeConv2d(op), &[joined], &[up]);

    let large = net.int8(images(9, 7, 3), 0.2, 0);
    let op = ResizeNearest { rows: net.indices(6, 9), columns: net.indices(6, 7) };
    net.node(Op::ResizeNearest(op), &[up], &[large]);
    let cropped = net.int8(images(7, 6, 3), 0.2, 0);
    net.node(Op::Slice(Slice { begin: [0, 2, 1, 0] }), &[large], &[cropped]);
    let padded = net.int8(images(8, 9, 3), 0.2, 0);
    let op = Pad { before: [0, 1, 2, 0], after: [0, 0, 1, 0], value: 0 };
    net.node(Op::Pad(op), &[cropped], &[padded]);

    let scores = net.int8(images(5, 5, 3), 0.2, 0);
    let op = ResizeBilinear {
        output_h: 5,
        output_w: 5,
        half_pixel_centers: true,
        align_corners: false,
        labels: None,
    };
    net.node(Op::ResizeBilinear(op), &[padded], &[scores]);
    let labels = net.tensor(DType::U8, images(5, 5, 1), QParams::UNIT);
    net.node(Op::ArgMax(ArgMax {}), &[scores], &[labels]);
    (labels, scores)
}

/// Classes of the scores: logits, probabilities, and the logits added to a persistent tensor.
fn class_branch(net: &mut Network, scores: u16) -> (u16, u16) {
    let flat = net.over(scores, Shape::vector(75));
    net.node(Op::Reshape(Reshape {}), &[scores], &[flat]);
    let logits = net.int8(Shape::vector(5), 0.1, 0);
    let filter = net.filter(5, 75 * 5, 75);
    net.node(Op::Dense(Dense { filter }), &[flat], &[logits]);

    let state = Tensor { place: Place::State(0), ..net.get(logits) };
    net.spec.state_len = 5;
    let state = net.push(state);
    let op = Add {
        inputs: [factor(0.5); 2],
        output: factor(2.0 / f64::from(1 << 20)),
        left_shift: 20,
        clamp: Clamp::FULL,
    };
    net.node(Op::Add(op), &[state, logits], &[state]);

    let probabilities = net.int8(Shape::vector(5), 1.0 / 256.0, -128);
    let table = dunlin::fixed::softmax_table(f64::from(0.1f32), 1.0).expect("a positive scale");
    let op = Softmax { exp: net.spec.data.push(&table) };
    net.node(Op::Softmax(op), &[logits], &[probabilities]);
    let real = net.tensor(DType::F32, Shape::vector(5), QParams::UNIT);
    net.node(Op::Dequantize(Dequantize {}), &[probabilities], &[real]);
    (real, state)
}

/// Row branch: a bounded set of rows, each transformed in place.
fn row_branch(net: &mut Network, rows: u16) -> u16 {
    let shape = Shape::rows(4, 3);
    let curve: Vec<i8> = (0..256).map(|i| ((i as i64 - 128) * (i as i64 - 128) / 130 - 100) as i8).collect();
    let op = Op::Lut(Lut { table: net.spec.data.push(&curve) });
    let bent = net.over(rows, shape);
    net.node(op, &[rows], &[bent]);
    let scaled = net.over(bent, shape);
    net.spec.tensors[usize::from(scaled)].quant = QParams { scale: 0.07, zero_point: 11 };
    net.node(Op::Requantize(Requantize { scale: factor(0.05 / 0.07) }), &[bent], &[scaled]);
    let output = net.int8(Shape::rows(4, 2), 0.1, -5);
    let output = net.rows(output);
    let filter = net.filter(2, 6, 3);
    net.node(Op::Dense(Dense { filter }), &[scaled], &[output]);
    output
}

/// The golden model of version 1, as it was first written.
pub fn model() -> AlignedVec {
    let metadata = OwnedMetadata {
        name: "golden".into(),
        recipe: "every operator once, weights of seed 1".into(),
        data_licence: "no data".into(),
        labels: ["sky", "road", "tree"].map(String::from).to_vec(),
        scaling: Scaling { factor: 1.0 / 255.0, mean: [0.5, 0.4, 0.3, 0.0], std: [0.25, 0.25, 0.25, 1.0] },
    };
    let mut net = Network::new(vec![4], 1, metadata);
    let pixels = net.tensor(DType::F32, Shape::image(6, 6, 2), QParams::UNIT);
    let rows = net.int8(Shape::rows(4, 3), 0.05, 2);
    net.rows(rows);
    let (labels, scores) = image_branch(&mut net, pixels);
    let (probabilities, state) = class_branch(&mut net, scores);
    let output = row_branch(&mut net, rows);
    net.spec.inputs = vec![pixels, rows];
    net.spec.outputs = vec![labels, probabilities, state, output];
    encode(&net.spec).expect("the golden model is valid")
}

/// Inputs of run `run`.
pub fn inputs(run: usize) -> [Vec<u8>; 2] {
    let mut draw = Draw::seeded(100 + run as u64);
    let pixels = (0..72).flat_map(|_| (draw.range(-600, 600) as f32 / 100.0).to_le_bytes()).collect();
    let rows = (0..COUNTS[run] * 3).map(|_| draw.range(-128, 127) as u8).collect();
    [pixels, rows]
}

/// Outputs of all runs of a model, in one session.
///
/// # Errors
/// The model or its session is refused.
pub fn run<R: AsRef<[Vec<u8>]>>(
    model: &Model<'_>,
    runs: &[R],
) -> Result<Vec<Vec<Vec<u8>>>, dunlin::SessionError> {
    let (mut arena, mut state) =
        (AlignedVec::zeroed(model.arena_bytes()), AlignedVec::zeroed(model.state_bytes()));
    let mut session = Session::with_state(model, arena.as_mut_slice(), state.as_mut_slice())?;
    session.reset_state();
    let mut results = Vec::new();
    for (run, inputs) in runs.iter().enumerate() {
        for (dim, count) in counts(model, run).into_iter().enumerate() {
            session.set_len(dim, count)?;
        }
        for (i, bytes) in inputs.as_ref().iter().enumerate() {
            session.set_input_bytes(i, bytes)?;
        }
        session.run();
        let outputs = (0..model.outputs().len()).map(|i| session.output_bytes(i).map(<[u8]>::to_vec));
        results.push(outputs.collect::<Result<_, _>>()?);
    }
    Ok(results)
}

/// Every golden file as it is made today: where it is, and its contents.
pub fn all_files() -> Vec<(PathBuf, Vec<u8>)> {
    let first = files().into_iter().map(|(name, bytes)| (folder(1).join(name), bytes));
    let appended =
        operators::files().into_iter().map(|(name, bytes)| (operators::folder().join(name), bytes));
    first.chain(appended).collect()
}

/// Every file of the first golden model of version 1 as it is made today: name and contents.
fn files() -> Vec<(String, Vec<u8>)> {
    let file = model();
    let mut tables = Tables::new();
    let parsed = Model::parse(file.as_slice(), &mut tables).expect("the encoder has parsed it");
    let runs: Vec<_> = (0..COUNTS.len()).map(inputs).collect();
    let outputs = run(&parsed, &runs).expect("as much memory as the model asks for");
    let mut files = vec![("model.dun".to_owned(), file.as_slice().to_vec())];
    for (run, (inputs, outputs)) in runs.into_iter().zip(outputs).enumerate() {
        let named = |what: &str, i: usize, bytes: Vec<u8>| (format!("run{run}-{what}{i}.bin"), bytes);
        files.extend(inputs.into_iter().enumerate().map(|(i, bytes)| named("input", i, bytes)));
        files.extend(outputs.into_iter().enumerate().map(|(i, bytes)| named("output", i, bytes)));
    }
    files
}

/// Kinds of operator that a model has, each once.
pub fn kinds(model: &Model<'_>) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = model.nodes().iter().map(|node| Kind::of(&node.op)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
