//! What ONNX files compute, in tract, against the executor.

use super::*;
use crate::exec::{self, Device, Tensor, Weights};
use crate::net::Net;
use crate::ops::*;
use crate::passes::{self, testing};
use crate::quantise::{Method, calibrate};
use crate::zoo;
use dunlin::shape::{Pad, Shape, Window};
use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, TValue};

/// Two implementations add float products in another order; values are of size one to a hundred.
const TOLERANCE: f32 = 2e-4;

fn floats(tensor: &exec::Tensor<4>) -> Vec<f32> {
    tensor.clone().into_data().try_into_vec().expect("activations are f32")
}

/// All outputs of an ONNX file in tract, as floats.
fn in_tract(file: &[u8], inputs: &[Tensor<4>]) -> Vec<Vec<f32>> {
    let mut bytes = file;
    let model = tract_onnx::onnx().model_for_read(&mut bytes).expect("tract reads the file");
    let model = model.into_optimized().expect("tract understands it").into_runnable().expect("a plan");
    let inputs = inputs.iter().map(|t| {
        let tensor = tract_onnx::prelude::Tensor::from_shape(&t.dims(), &floats(t)).expect("a tensor");
        TValue::from(tensor)
    });
    let outputs = model.run(inputs.collect()).expect("tract runs it");
    let real = |t: &TValue| {
        let t = t.cast_to::<f32>().expect("a number");
        t.to_plain_array_view::<f32>().expect("numbers").iter().copied().collect()
    };
    outputs.iter().map(real).collect()
}

fn one_sample(graph: &Graph, seed: u64) -> Vec<Tensor<4>> {
    testing::inputs(graph, seed).into_iter().map(|t| t.narrow(0, 0, 1)).collect()
}

fn assert_close(name: &str, ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let size = ours.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * size, "{name}: element {i} is {a} here, {b} in tract");
    }
}

fn assert_same(graph: &Graph) {
    let sample = one_sample(graph, 5);
    let file = write(graph, None).expect("the graph has an ONNX form");
    let (ours, theirs) = (testing::outputs(graph, &sample), in_tract(&file, &sample));
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(&theirs) {
        assert_close(&graph.name, a, b, TOLERANCE);
    }
}

#[test]
fn models_of_the_zoo_compute_the_same_in_tract() {
    for name in ["digits", "mobilenet", "fcn8s", "fcn32s"] {
        let mut graph = testing::filled(zoo::graph(name, 11).unwrap().unwrap(), 3);
        // Scores, not labels: a tie would be decided by rounding.
        graph.outputs = vec![graph.logits()];
        graph.remove_dead();
        assert_same(&graph);
        passes::optimise(&mut graph).unwrap();
        assert_same(&graph);
    }
}

#[test]
fn labels_are_bytes_of_the_same_picture() {
    let mut n = Net::new("labels");
    let x = n.input("image", Shape::image(5, 6, 3)).unwrap();
    let x = n.conv("score", x, 4, Window::square(3, 1)).unwrap();
    let x = n.push("label", ArgMax, &[x]).unwrap();
    assert_same(&testing::filled(n.finish(x).unwrap(), 7));
}

#[test]
fn each_operator_has_its_form() {
    let unary = [
        UnaryFn::Relu,
        UnaryFn::Relu6,
        UnaryFn::Clamp { lo: -0.5, hi: 0.7 },
        UnaryFn::LeakyRelu { alpha: 0.1 },
        UnaryFn::Sigmoid,
        UnaryFn::Tanh,
        UnaryFn::HardSwish,
        UnaryFn::Elu { alpha: 0.5 },
        UnaryFn::Gelu,
        UnaryFn::Exp,
        UnaryFn::Abs,
        UnaryFn::Neg,
    ];
    let mut all: Vec<(String, Op)> =
        unary.into_iter().map(|f| (format!("{f:?}"), Unary { function: f }.into())).collect();
    let pad = Pad { top: 1, bottom: 2, left: 0, right: 3 };
    all.push(("pad".into(), PadOp { pad, value: 0.5, channels: [1, 0], ..PadOp::default() }.into()));
    all.push(("transpose".into(), Transpose { perm: [0, 3, 1, 2] }.into()));
    let steps = StridedSlice { begin: [0, 4, 1, 0], size: [1, 3, 2, 4], step: [1, -2, 3, 1] };
    all.push(("steps".into(), steps.into()));
    all.push(("log softmax".into(), LogSoftmax.into()));
    all.push(("layer norm".into(), LayerNorm { epsilon: 1e-3 }.into()));
    for function in [ReduceFn::Mean, ReduceFn::Sum, ReduceFn::Max, ReduceFn::Min] {
        let op = Reduce { function, axes: [false, true, false, true] };
        all.push((format!("{function:?} of rows and channels"), op.into()));
    }
    all.push(("tile".into(), Tile { shape: Shape::image(10, 6, 4) }.into()));
    all.push(("slice".into(), Slice { begin: [1, 0, 2], size: [3, 4, 2] }.into()));
    all.push(("softmax".into(), Softmax { beta: 0.7 }.into()));
    all.push(("reshape".into(), Reshape { shape: Shape::image(2, 15, 4) }.into()));
    all.push(("flatten".into(), Reshape { shape: Shape::vector(120) }.into()));
    for (half_pixel_centers, align_corners) in [(false, false), (true, false), (false, true)] {
        for mode in [ResizeMode::Bilinear, ResizeMode::Nearest] {
            let op = Resize { mode, half_pixel_centers, align_corners, out_h: 10, out_w: 12 };
            all.push((format!("{mode:?} {half_pixel_centers} {align_corners}"), op.into()));
        }
    }
    for (name, op) in all {
        let mut graph = Graph::new(name);
        let x = graph.add_input("x", Shape::image(5, 6, 4)).unwrap();
        let y = graph.push("y", op, &[x]).unwrap()[0];
        graph.add_output(y);
        assert_same(&graph);
    }
}

#[test]
fn quantised_digits_give_the_integers_of_the_runtime_but_for_a_step() {
    let mut graph = testing::filled(zoo::graph("digits", 10).unwrap().unwrap(), 3);
    passes::optimise(&mut graph).unwrap();
    let samples: Vec<Vec<Tensor<4>>> = (0..4).map(|seed| one_sample(&graph, seed)).collect();
    let weights = Weights::from_graph(&graph, &Device::flex());
    let ranges = calibrate(&graph, &weights, &samples, Method::MinMax).unwrap();
    let file = write(&graph, Some(&Numbers::new(&ranges))).unwrap();
    let (_, dun) = crate::export::dun(&graph, &ranges, &crate::export::Options::default()).unwrap();
    let mut runner = crate::quantise::Int8Runner::new(dun.as_slice()).unwrap();
    let scale = ranges.qparams(&graph, graph.outputs[0]).unwrap().scale;
    for sample in &samples {
        let theirs = in_tract(&file, sample).remove(0);
        let ours = runner.run_real(&[&floats(&sample[0])]).unwrap().remove(0).real();
        for (a, b) in ours.iter().zip(&theirs) {
            // Rounding between layers is of two kinds: Q31 here, float there; it moves a sum by a step or two.
            assert!((a - b).abs() <= 2.5 * scale, "{ours:?}\n{theirs:?}");
        }
    }
}

#[test]
fn an_unpooling_network_is_written_with_flat_positions() {
    let graph = testing::filled(zoo::graph("segnet", 11).unwrap().unwrap(), 3);
    let file = write(&graph, None).unwrap();
    let proto: tract_onnx::pb::ModelProto = prost::Message::decode(file.as_slice()).unwrap();
    let nodes = proto.graph.unwrap().node;
    let unpools: Vec<_> = nodes.iter().filter(|n| n.op_type == "MaxUnpool").collect();
    assert_eq!(unpools.len(), 3);
    for node in unpools {
        assert!(nodes.iter().any(|n| n.op_type == "MaxPool" && n.output.get(1) == node.input.get(1)));
    }
}
