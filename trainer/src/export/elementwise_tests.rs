//! Operators on pairs of elements and functions of one: float against the integer program, imported types.

use super::{Options, dun};
use crate::exec::{Device, Weights};
use crate::graph::{Graph, Pin, ValueId};
use crate::ops::*;
use crate::passes::testing::{filled, inputs};
use crate::plan;
use crate::quantise::*;
use dunlin::format::DType;
use dunlin::ops as int8;
use dunlin::quant::QParams;
use dunlin::shape::Shape;

/// Signal to noise that 8 bits leave over the depth of these graphs, in decibels.
const ENOUGH: f64 = 20.0;

fn push(g: &mut Graph, name: &str, op: impl Into<Op>, x: &[ValueId]) -> ValueId {
    g.push(name, op, x).unwrap()[0]
}

fn unary(g: &mut Graph, name: &str, function: UnaryFn, x: ValueId) -> ValueId {
    push(g, name, Unary { function }, &[x])
}

/// Every operator on pairs, with either operand broadcast, and functions of their results.
fn pairs() -> Graph {
    let mut graph = Graph::new("pairs");
    let g = &mut graph;
    let x = g.add_input("x", Shape::image(6, 5, 4)).unwrap();
    let column = g.add_input("column", Shape::image(6, 1, 4)).unwrap();
    let row = g.add_input("row", Shape::image(1, 5, 1)).unwrap();
    let sum = push(g, "sum", Add { fused: Activation::None }, &[column, row]);
    let difference = push(g, "difference", Sub { fused: Activation::Relu }, &[row, x]);
    let product = push(g, "product", Mul { fused: Activation::Relu6 }, &[column, x]);
    let largest = push(g, "largest", MinMax { largest: true }, &[x, sum]);
    let smallest = push(g, "smallest", MinMax { largest: false }, &[largest, row]);
    let squared = push(g, "squared", SquaredDifference, &[column, x]);
    // Divisor and arguments that eight bits hold well: of small ones they leave nothing.
    let divisor = unary(g, "divisor", UnaryFn::Sigmoid, x);
    let quotient = push(g, "quotient", Div { fused: Activation::None }, &[smallest, divisor]);
    let rectified = push(g, "rectified", PRelu { slopes: Shape::vector(4) }, &[quotient]);
    let erf = unary(g, "erf", UnaryFn::Erf, rectified);
    let positive = unary(g, "positive", UnaryFn::Softplus, x);
    let root = unary(g, "root", UnaryFn::Sqrt, positive);
    let log = unary(g, "log", UnaryFn::Log, positive);
    let joined = push(g, "joined", Concat { axis: Axis::C }, &[difference, product]);
    for v in [joined, squared, root, log, erf] {
        g.add_output(v);
    }
    filled(graph, 5)
}

#[test]
fn operators_on_pairs_stay_close_to_float() {
    let graph = pairs();
    let weights = Weights::from_graph(&graph, &Device::flex());
    let batches: Vec<_> = (0..4).map(|seed| inputs(&graph, seed)).collect();
    let ranges = calibrate(&graph, &weights, &batches, Method::MinMax).unwrap();
    let sample: Vec<_> = inputs(&graph, 1).into_iter().map(|t| t.narrow(0, 0, 1)).collect();
    let errors = plan::compare(&graph, &weights, &ranges, &sample).unwrap();
    assert!(errors.len() >= 14, "every float value of a node is compared, not {}", errors.len());
    for e in &errors {
        assert!(e.snr > ENOUGH, "{}: {:.1} dB, {:.1} steps", e.name, e.snr, e.steps);
    }
    dun(&graph, &ranges, &Options::default()).unwrap();
}

/// A pinned graph of one operator, lowered: its only node.
fn pinned(op: impl Into<Op>, dtype: DType, scales: [f32; 3]) -> Result<int8::Op, QuantiseError> {
    let mut g = Graph::new("pinned");
    let a = g.add_input("a", Shape::rows(3, 4)).unwrap();
    let b = g.add_input("b", Shape::vector(4)).unwrap();
    let y = push(&mut g, "y", op, &[a, b]);
    for (v, scale) in [a, b, y].into_iter().zip(scales) {
        let quant = QParams { scale, zero_point: 0 };
        g.values[v.0].pin = Some(Pin { dtype, quant, ..Pin::int8(1.0, 0) });
    }
    g.add_output(y);
    let ranges = Ranges::new(&g);
    dun(&g, &ranges, &Options::default()).expect("the runtime takes what lowering makes");
    lower(&g, &ranges, LowerOptions::default()).map(|program| program.nodes[0].op)
}

#[test]
fn types_of_an_imported_model_choose_the_operator() {
    let scales = [0.01, 0.02, 0.03];
    let add = pinned(Add { fused: Activation::Relu }, DType::I16, scales).unwrap();
    let int8::Op::Add16(add) = add else { panic!("{add:?}") };
    assert_eq!((add.left_shift, add.clamp.min, add.clamp.max), (15, 0, 32_767));
    let sub = pinned(Sub { fused: Activation::None }, DType::I16, scales).unwrap();
    assert!(matches!(sub, int8::Op::Sub16(_)), "{sub:?}");
    let mul = pinned(Mul { fused: Activation::None }, DType::I16, scales).unwrap();
    assert!(matches!(mul, int8::Op::Mul16(_)), "{mul:?}");
    let div = pinned(Div { fused: Activation::None }, DType::I8, scales).unwrap();
    assert!(matches!(div, int8::Op::Div(int8::Div { modular: true, .. })), "{div:?}");
    // Stored values are compared, whatever the scales.
    let largest = pinned(MinMax { largest: true }, DType::I16, scales).unwrap();
    assert_eq!(largest, int8::Op::MinMax(int8::MinMax { largest: true }));
    let squared = pinned(SquaredDifference, DType::I16, scales).unwrap();
    let int8::Op::SquaredDifference(squared) = squared else { panic!("{squared:?}") };
    assert_eq!(squared.left_shift, 0);
}
