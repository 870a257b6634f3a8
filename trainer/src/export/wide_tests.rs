//! 16-bit activations: a float graph in 16x8 is closer to float than in int8, and pinned layers keep their integers.

use super::{Options, dun};
use crate::exec::{self, Device, Mode, Tensor, Weights};
use crate::graph::{Graph, Pin, PinnedParam, Scheme, ValueId};
use crate::ops::*;
use crate::passes::testing::{filled, inputs};
use crate::quantise::*;
use dunlin::format::DType;
use dunlin::ops as runtime;
use dunlin::quant::QParams;
use dunlin::shape::{Pad, Shape, Window};

/// Signal to noise that 16-bit activations leave over the depth of this graph where the weights are exact, in
/// decibels.
const ENOUGH: f64 = 60.0;

fn push(g: &mut Graph, name: &str, op: impl Into<Op>, x: &[ValueId]) -> ValueId {
    g.push(name, op, x).unwrap()[0]
}

/// Every operator that has a 16-bit form of its own, and those that move values of any type.
fn network() -> Graph {
    let mut g = Graph::new("wide");
    let x = g.add_input("x", Shape::image(8, 8, 3)).unwrap();
    let g = &mut g;
    let (none, window) = (Activation::None, Window::square(3, 1).padded(Pad::all(1)));
    let conv = Conv2d { out_channels: 6, window, bias: true, fused: Activation::Relu6 };
    let a = push(g, "conv", conv, &[x]);
    let depthwise = DepthwiseConv2d { multiplier: 2, window, bias: true, fused: none };
    let a = push(g, "depthwise", depthwise, &[a]);
    let unary = |g: &mut Graph, name: &str, function, x| push(g, name, Unary { function }, &[x]);
    let a = unary(g, "leaky", UnaryFn::LeakyRelu { alpha: -0.2 }, a);
    let max = push(g, "max", MaxPool { window: Window::square(2, 2), fused: none }, &[a]);
    let mean = push(g, "mean", AvgPool { window: Window::square(2, 2), fused: none }, &[a]);
    let mean = unary(g, "swish", UnaryFn::HardSwish, mean);
    let joined = push(g, "concat", Concat { axis: Axis::C }, &[max, mean]);
    let window = Window::square(4, 2).padded(Pad::all(1));
    let up =
        TransposeConv2d { out_channels: 4, window, bias: true, bilinear: false, fused: none, extra: [0; 2] };
    let up = push(g, "up", up, &[joined]);
    let up = unary(g, "tanh", UnaryFn::Tanh, up);
    let up = unary(g, "neg", UnaryFn::Neg, up);
    let point = Conv2d { out_channels: 5, window: Window::square(1, 1), bias: false, fused: none };
    let scores = push(g, "scores", point, &[up]);
    let flat = push(g, "flat", Reshape { shape: Shape::vector(320) }, &[scores]);
    let flat = unary(g, "abs", UnaryFn::Abs, flat);
    let dense = push(g, "dense", Dense { out_features: 7, bias: true, fused: none }, &[flat]);
    let gate = unary(g, "sigmoid", UnaryFn::Sigmoid, dense);
    let chance = push(g, "softmax", Softmax { beta: 1.0 }, &[dense]);
    let labels = push(g, "labels", ArgMax, &[scores]);
    for v in [gate, chance, labels] {
        g.add_output(v);
    }
    exact_weights(filled(g.clone(), 5))
}

/// The graph with every weight rounded to 8 bits, so that only activations lose precision.
fn exact_weights(mut graph: Graph) -> Graph {
    for i in 0..graph.nodes.len() {
        let node = graph.nodes[i].clone();
        let Some(last) = params::channel_last(&node.op) else { continue };
        let channels = graph.shape(node.outputs[0]).c as usize;
        let data = &mut graph.params[node.params[0].0].data;
        let scales = params::weight_scales(data, None, channels, last, 1.0, 1);
        for at in 0..data.len() {
            let scale = scales[params::channel_of(at, data.len(), channels, last)];
            data[at] = f32::from(params::weight(data[at], scale)) * scale;
        }
    }
    graph
}

/// Signal to noise of the real outputs of a program, and whether the labels are labels.
fn quality(graph: &Graph, precision: Precision) -> Vec<f64> {
    let weights = Weights::from_graph(graph, &Device::flex());
    let batches: Vec<_> = (0..4).map(|seed| inputs(graph, seed)).collect();
    let ranges = calibrate(graph, &weights, &batches, Method::MinMax).unwrap();
    let lower = LowerOptions { precision, ..LowerOptions::default() };
    let (_, file) = dun(graph, &ranges, &Options { lower, ..Options::default() }).unwrap();
    let sample: Vec<Tensor<4>> = inputs(graph, 1).into_iter().map(|t| t.narrow(0, 0, 1)).collect();
    let floats = |t: &Tensor<4>| -> Vec<f32> { t.clone().into_data().try_into_vec().unwrap() };
    let given: Vec<Vec<f32>> = sample.iter().map(floats).collect();
    let given: Vec<&[f32]> = given.iter().map(Vec::as_slice).collect();
    let outputs = Int8Runner::new(file.as_slice()).unwrap().run_real(&given).unwrap();
    assert_eq!((outputs[2].dtype, outputs[2].bytes.len()), (DType::U8, 64));
    let exact = exec::run(graph, &weights, &sample, &graph.outputs[..2], Mode::Evaluate, &mut exec::NoTap)
        .unwrap()
        .values;
    let snr = |(float, output): (&Data, &Output)| {
        let exact = floats(&float.float());
        let power: f64 = exact.iter().map(|v| f64::from(*v).powi(2)).sum();
        let noise: f64 = exact.iter().zip(output.real()).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        10.0 * (power / noise).log10()
    };
    exact.iter().zip(&outputs).map(snr).collect()
}

#[test]
fn sixteen_bits_are_closer_to_float_than_eight() {
    let graph = network();
    let (narrow, wide) = (quality(&graph, Precision::Int8), quality(&graph, Precision::Int16x8));
    for (narrow, wide) in narrow.iter().zip(&wide) {
        assert!(wide > narrow && *wide > ENOUGH, "{wide:.1} dB in 16x8, {narrow:.1} dB in int8");
    }
}

#[test]
fn the_width_of_a_pinned_bias_is_that_of_the_sum() {
    for (bits, expected) in [(32, runtime::Accumulator::Bits32), (64, runtime::Accumulator::Bits64)] {
        let mut g = Graph::new("pinned");
        let x = g.add_input("x", Shape::vector(2)).unwrap();
        let dense = Dense { out_features: 1, bias: true, fused: Activation::Relu };
        let y = push(&mut g, "dense", dense, &[x]);
        g.add_output(y);
        let wide =
            |scale| Pin { dtype: DType::I16, quant: QParams { scale, zero_point: 0 }, ..Pin::int8(1.0, 0) };
        g.values[x.0].pin = Some(wide(0.5));
        g.values[y.0].pin = Some(wide(1.0));
        let pinned = |ints: &[i64], bits| {
            Some(PinnedParam { scales: vec![0.25], zero_point: 0, bits, ints: ints.to_vec() })
        };
        g.params[0].pin = pinned(&[100, -3], 8);
        g.params[1].pin = pinned(&[-50], bits);
        let program = lower(&g, &Ranges::new(&g), LowerOptions::default()).unwrap();
        let runtime::Op::Dense16x8(op) = program.nodes[0].op else { panic!("{:?}", program.nodes) };
        assert_eq!((op.filter.accumulator, op.filter.clamp.min), (expected, 0));
        let file = crate::plan::Plan::new(program, &crate::plan::PlanOptions::default()).encode().unwrap();
        let mut runner = Int8Runner::new(file.as_slice()).unwrap();
        let input: Vec<u8> = [1000i16, 7].iter().flat_map(|v| v.to_le_bytes()).collect();
        // (1000 · 100 − 7 · 3 − 50) / 8, rounded.
        assert_eq!(runner.run_bytes(&[&input]).unwrap()[0].bytes, 12_491i16.to_le_bytes());
    }
}

/// What one pinned operator becomes, and the bytes that it makes of `input`.
fn pinned_node(op: impl Into<Op>, pins: [Pin; 2], shape: Shape, input: &[u8]) -> (runtime::Op, Vec<u8>) {
    let mut g = Graph::new("pinned");
    let x = g.add_input("x", shape).unwrap();
    let y = push(&mut g, "y", op, &[x]);
    g.add_output(y);
    g.values[x.0].pin = Some(pins[0]);
    g.values[y.0].pin = Some(pins[1]);
    let program = lower(&g, &Ranges::new(&g), LowerOptions::default()).unwrap();
    let op = program.nodes[0].op;
    let file = crate::plan::Plan::new(program, &crate::plan::PlanOptions::default()).encode().unwrap();
    let outputs = Int8Runner::new(file.as_slice()).unwrap().run_bytes(&[input]).unwrap();
    (op, outputs[0].bytes.clone())
}

fn wide_pin(scale: f32) -> Pin {
    Pin { dtype: DType::I16, quant: QParams { scale, zero_point: 0 }, ..Pin::int8(1.0, 0) }
}

fn words(values: &[i16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn a_bilinear_resize_follows_the_scheme_and_the_width() {
    let resize = Resize {
        mode: ResizeMode::Bilinear,
        half_pixel_centers: false,
        align_corners: false,
        out_h: 1,
        out_w: 4,
    };
    let shape = Shape::image(1, 2, 1);
    let run = |pin, input: &[u8]| pinned_node(resize.clone(), [pin; 2], shape, input);
    let (op, bytes) = run(Pin::int8(0.5, 3), &[0x80, 0x7f]);
    assert!(matches!(op, runtime::Op::ResizeBilinear(_)));
    assert_eq!(bytes, [0x80, 0xff, 0x7f, 0x7f]);
    // 127.5 of the unsigned values 0 and 255 is rounded up.
    let (op, bytes) = run(Pin { scheme: Scheme::Uint8, ..Pin::int8(0.5, 3) }, &[0x80, 0x7f]);
    assert!(matches!(op, runtime::Op::ResizeBilinearF32(_)));
    assert_eq!(bytes, [0x80, 0x00, 0x7f, 0x7f]);
    let (op, bytes) = run(wide_pin(0.5), &words(&[-30_000, 20_001]));
    assert!(matches!(op, runtime::Op::ResizeBilinear16(_)));
    assert_eq!(bytes, words(&[-30_000, -5_000, 20_001, 20_001]));
}

#[test]
fn inverse_roots_of_16_bits_are_not_interpolated() {
    let rsqrt = Unary { function: UnaryFn::Rsqrt };
    let input = words(&[-3, 0, 1, 2, 16, 100, 400, i16::MAX]);
    let pins = [wide_pin(0.25), wide_pin(1.0 / 16_384.0)];
    let (op, bytes) = pinned_node(rsqrt, pins, Shape::vector(8), &input);
    assert!(matches!(op, runtime::Op::Rsqrt16(_)));
    // 1 / √(x / 4) in steps of 1/16,384.
    assert_eq!(bytes, words(&[32_767, 32_767, 32_767, 23_170, 8_192, 3_277, 1_638, 181]));
}
