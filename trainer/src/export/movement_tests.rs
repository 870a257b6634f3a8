//! Operators that move, reduce or normalise: the runtime against the float executor.

use super::{Options, dun};
use crate::exec::{self, Device, Mode, NoTap, Tensor, TensorData, Weights};
use crate::graph::{Graph, Pin, Scheme};
use crate::ops::*;
use crate::passes::testing::outputs;
use crate::plan;
use crate::quantise::*;
use dunlin::format::DType as Element;
use dunlin::ops::BlockOrder;
use dunlin::quant::QParams;
use dunlin::shape::{Pad, Shape};
use rand::Rng;
use rand_pcg::Pcg64;

/// An element in a wrong place leaves 0 decibels or less, the rounding of 8 bits some 40.
const ENOUGH: f64 = 30.0;

const IMAGE: Shape = Shape { n: 1, h: 4, w: 6, c: 5 };

/// One random sample for each input.
fn sample(graph: &Graph, seed: u64) -> Vec<Tensor<4>> {
    let mut rng = Pcg64::new(u128::from(seed), 3);
    let random = |id: &crate::graph::ValueId| {
        let s = graph.shape(*id);
        let data: Vec<f32> = (0..s.elements()).map(|_| rng.random_range(-2.0..2.0)).collect();
        let dims = [s.n, s.h, s.w, s.c].map(|d| d as usize);
        Tensor::from_data(TensorData::new(data, dims), &Device::flex())
    };
    graph.inputs.iter().map(random).collect()
}

/// A graph of one operator.
fn single(op: impl Into<Op>, shapes: &[Shape]) -> Graph {
    let mut g = Graph::new("one");
    let input = |(i, s): (usize, &Shape)| g.add_input(&format!("x{i}"), *s).unwrap();
    let inputs: Vec<_> = shapes.iter().enumerate().map(input).collect();
    let y = g.push("y", op, &inputs).unwrap()[0];
    g.add_output(y);
    g
}

fn ranges(graph: &Graph) -> Ranges {
    let batches: Vec<_> = (0..4).map(|seed| sample(graph, seed)).collect();
    calibrate(graph, &Weights::from_graph(graph, &Device::flex()), &batches, Method::MinMax).unwrap()
}

fn assert_close(graph: &Graph) {
    let weights = Weights::from_graph(graph, &Device::flex());
    let errors = plan::compare(graph, &weights, &ranges(graph), &sample(graph, 1)).unwrap();
    assert!(!errors.is_empty());
    for e in errors {
        assert!(e.snr > ENOUGH, "{:?}: {}: {:.1} dB, {:.1} steps", graph.nodes, e.name, e.snr, e.steps);
    }
}

#[test]
fn rows_are_normalised_with_any_scales_and_shifts() {
    // As trained, all negative, shifts only, shifts far larger than the scales, none at all, and a row that epsilon rules.
    let cases = [(1.0, 0.5, 1e-5), (-3.0, 0.0, 1e-5), (0.0, 1.0, 1e-5), (1e-4, 8.0, 1e-5), (1.0, 0.0, 30.0)];
    for channels in [2, 5, 32, 300] {
        for (gamma, beta, epsilon) in cases {
            let mut g = single(LayerNorm { epsilon }, &[Shape::rows(6, channels)]);
            let wave = |k: usize| 1.0 + 0.3 * (k as f32).sin();
            for (param, size) in g.params.iter_mut().zip([gamma, beta]) {
                param.data = (0..channels as usize).map(|k| size * wave(k)).collect();
            }
            assert_close(&g);
        }
    }
}

#[test]
fn elements_go_where_the_float_graph_puts_them() {
    let slice = StridedSlice { begin: [0, 3, 0, 4], size: [1, 2, 3, 3], step: [1, -2, 2, -1] };
    let gather = |axis, indices: &[u32]| Gather { axis, indices: Some(indices.to_vec()) };
    let deep = Shape::image(3, 2, 8);
    let edges = Pad { top: 1, bottom: 1, left: 3, right: 0 };
    let pad = |mode| PadOp { pad: edges, channels: [2, 1], mode, value: 0.5, ..PadOp::default() };
    let samples = Shape { n: 4, h: 3, w: 2, c: 5 };
    let crop = Pad { top: 1, bottom: 0, left: 0, right: 1 };
    let cases: Vec<(Op, Shape)> = vec![
        (Transpose { perm: [0, 2, 3, 1] }.into(), IMAGE),
        (Transpose { perm: [3, 1, 0, 2] }.into(), IMAGE),
        (slice.into(), IMAGE),
        (StridedSlice { begin: [1, 0, 1, 0], size: [2, 3, 1, 5], step: [1; 4] }.into(), samples),
        (gather(Axis::H, &[3, 0, 0]).into(), IMAGE),
        (gather(Axis::C, &[4, 1, 1, 0, 2, 3]).into(), IMAGE),
        (gather(Axis::N, &[2]).into(), samples),
        (Tile { shape: Shape { n: 2, h: 4, w: 12, c: 15 } }.into(), IMAGE),
        (Tile { shape: IMAGE }.into(), Shape::vector(5)),
        (DepthToSpace { block: 2, order: BlockOrder::ChannelInnermost }.into(), deep),
        (DepthToSpace { block: 2, order: BlockOrder::ChannelOutermost }.into(), deep),
        (SpaceToDepth { block: 2 }.into(), IMAGE),
        (SpaceToBatch { block: [2, 3], pad: edges }.into(), IMAGE),
        (BatchToSpace { block: [2, 2], crop }.into(), samples),
        (pad(PadMode::Constant).into(), IMAGE),
        (pad(PadMode::Reflect).into(), IMAGE),
        (pad(PadMode::Symmetric).into(), IMAGE),
        (PadOp { samples: [1, 0], ..PadOp::default() }.into(), samples),
    ];
    for (op, shape) in cases {
        assert_close(&single(op, &[shape]));
    }
    for axis in [Axis::N, Axis::H, Axis::W, Axis::C] {
        assert_close(&single(Concat { axis }, &[IMAGE, IMAGE]));
    }
}

#[test]
fn reductions_and_norms_stay_close_to_float() {
    let samples = Shape { n: 4, h: 3, w: 2, c: 5 };
    for function in [ReduceFn::Mean, ReduceFn::Sum, ReduceFn::Max, ReduceFn::Min] {
        for axes in [[false, true, true, false], [false, false, false, true], [false, true, false, false]] {
            assert_close(&single(Reduce { function, axes }, &[IMAGE]));
        }
        assert_close(&single(Reduce { function, axes: [true, false, true, true] }, &[samples]));
    }
    assert_close(&single(LogSoftmax, &[IMAGE]));
    assert_close(&single(L2Normalize, &[IMAGE]));
}

#[test]
fn indices_equal_those_of_the_float_graph() {
    for (axis, largest) in [(Axis::C, true), (Axis::W, false), (Axis::H, true), (Axis::N, false)] {
        let graph = single(ArgExtreme { axis, largest }, &[Shape { n: 3, ..IMAGE }]);
        let file = dun(&graph, &ranges(&graph), &Options::default()).unwrap().1;
        let input = sample(&graph, 1);
        let float = outputs(&graph, &input).remove(0);
        let values: Vec<f32> = input[0].clone().into_data().try_into_vec().unwrap();
        let found = Int8Runner::new(file.as_slice()).unwrap().run_real(&[&values]).unwrap().remove(0);
        assert_eq!(found.dtype, Element::I32);
        let equal = found.real().iter().zip(&float).filter(|(a, b)| a == b).count();
        // Two values within one step of int8 are a tie there.
        assert!(equal * 10 >= float.len() * 9, "{axis:?}: {equal} of {} equal", float.len());
    }
}

#[test]
fn computed_indices_gather_in_float_and_int8_alike() {
    let mut g = Graph::new("gather");
    let x = g.add_input("x", IMAGE).unwrap();
    let scores = g.add_input("scores", Shape::rows(3, 6)).unwrap();
    let best = g.push("best", ArgExtreme { axis: Axis::C, largest: true }, &[scores]).unwrap()[0];
    let y = g.push("y", Gather { axis: Axis::W, indices: None }, &[x, best]).unwrap()[0];
    g.add_output(y);
    assert_eq!(g.shape(y), Shape::image(4, 3, 5));
    assert_close(&g);
}

#[test]
fn samples_that_an_operator_mixes_run_one_by_one() {
    let graph = single(Transpose { perm: [3, 1, 2, 0] }, &[IMAGE]);
    let two: Vec<_> = (0..2).map(|seed| sample(&graph, seed).remove(0)).collect();
    let both = Tensor::cat(two.clone(), 0);
    let weights = Weights::from_graph(&graph, &Device::flex());
    let run = |x: Tensor<4>| -> Vec<f32> {
        let run = exec::run(&graph, &weights, &[x], &graph.outputs, Mode::Evaluate, &mut NoTap).unwrap();
        run.float().into_data().try_into_vec().unwrap()
    };
    let apart: Vec<f32> = two.into_iter().flat_map(&run).collect();
    assert_eq!(run(both), apart);
}

#[test]
fn a_16_bit_constant_pads_with_all_its_bits() {
    let quant = QParams { scale: 0.001, zero_point: 0 };
    for (value, steps) in [(22.269, 22_269i16), (-0.1, -100), (99.0, i16::MAX)] {
        let pad = Pad { top: 1, bottom: 0, left: 2, right: 1 };
        let mut graph =
            single(PadOp { pad, channels: [0, 1], value, ..PadOp::default() }, &[Shape::image(2, 2, 1)]);
        for v in &mut graph.values {
            v.pin = Some(Pin { dtype: Element::I16, quant, scheme: Scheme::Int8 });
        }
        let file = dun(&graph, &Ranges::new(&graph), &Options::default()).unwrap().1;
        let input: Vec<u8> = [1i16, 2, 3, 4].iter().flat_map(|v| v.to_le_bytes()).collect();
        let found = Int8Runner::new(file.as_slice()).unwrap().run_bytes(&[&input]).unwrap().remove(0);
        let found: Vec<i16> = found.bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        let mut expected = vec![steps; 3 * 5 * 2];
        for (at, v) in [(7, 1), (8, 2), (12, 3), (13, 4)] {
            expected[2 * at] = v;
        }
        assert_eq!(found, expected);
    }
}
