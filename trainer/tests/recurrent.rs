//! Layers with a memory and products of matrices: float against the definition, int8 against float, runs that go on.

use burn::tensor::{Device, Tensor, TensorData};
use dunlin::format::{DType, Tensor as Tensor8};
use dunlin::shape::Shape;
use dunlin_trainer::exec::{self, Mode, NoTap, Weights};
use dunlin_trainer::export::{self, Options};
use dunlin_trainer::graph::{Graph, Pin, Scheme, Value, ValueId};
use dunlin_trainer::ops::*;
use dunlin_trainer::quantise::{Int8Runner, Method, Ranges, calibrate};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// Sums of some ten products of numbers below 1 in f32.
const TOLERANCE: f32 = 1e-5;
/// Largest difference of an int8 result from float, in steps of the output: rounding of inputs, weights and gates.
const STEPS: f32 = 4.0;
/// Central differences of step 1e-2 in f32: rounding of the loss over the step, and curvature.
const GRADIENT_TOLERANCE: f32 = 2e-2;

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = Pcg64::seed_from_u64(seed);
    (0..count).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect()
}

fn filled(mut graph: Graph) -> Graph {
    for (i, p) in graph.params.iter_mut().enumerate() {
        p.data = random(100 + i as u64, p.data.len());
    }
    graph
}

fn tensor(data: &[f32], s: Shape, device: &Device) -> Tensor<4> {
    let dims = [data.len() / s.elements() * s.n as usize, s.h as usize, s.w as usize, s.c as usize];
    Tensor::from_data(TensorData::new(data.to_vec(), dims), device)
}

/// Output `which` of the graph, NHWC.
fn forward(graph: &Graph, inputs: &[Vec<f32>], which: usize) -> Vec<f32> {
    let device = Device::flex();
    let weights = Weights::from_graph(graph, &device);
    let tensors: Vec<_> =
        graph.inputs.iter().zip(inputs).map(|(v, d)| tensor(d, graph.shape(*v), &device)).collect();
    let want = &graph.outputs[which..=which];
    let run = exec::run(graph, &weights, &tensors, want, Mode::Evaluate, &mut NoTap).unwrap();
    run.float().into_data().try_into_vec().unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance, "element {i}: found {f}, expected {e}");
    }
}

const LSTM: Lstm = Lstm { units: 3, cell_clip: None, logistic_cell_gate: false };
const SVDF: Svdf = Svdf { units: 2, rank: 2, memory: 3, fused: Activation::None };
const STEPS_OF_A_SEQUENCE: u32 = 5;

/// One recurrent node; with `states` as inputs, or from zero.
fn layer(op: impl Into<Op>, steps: u32, states: &[Shape]) -> Graph {
    let mut g = Graph::new("layer");
    let mut inputs = vec![g.add_input("x", Shape::rows(steps, 4)).unwrap()];
    for (i, s) in states.iter().enumerate() {
        inputs.push(g.add_input(&format!("state{i}"), *s).unwrap());
    }
    for v in g.push("layer", op, &inputs).unwrap() {
        g.add_output(v);
    }
    filled(g)
}

/// Hidden and cell state of every step of one sequence.
fn lstm(graph: &Graph, x: &[f32], h: &[f32], c: &[f32], clip: f32) -> (Vec<f32>, Vec<f32>) {
    let [w, r, b] = [0, 1, 2].map(|i| &graph.params[i].data);
    let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
    let (mut h, mut c, mut all) = (h.to_vec(), c.to_vec(), (Vec::new(), Vec::new()));
    for x in x.chunks(4) {
        let gate = |g: usize, u: usize| {
            let row = g * 3 + u;
            let from_x: f32 = (0..4).map(|i| w[row * 4 + i] * x[i]).sum();
            let from_h: f32 = (0..3).map(|i| r[row * 3 + i] * h[i]).sum();
            from_x + from_h + b[row]
        };
        let next: Vec<(f32, f32)> = (0..3)
            .map(|u| {
                let cell = sigmoid(gate(1, u)) * c[u] + sigmoid(gate(0, u)) * gate(2, u).tanh();
                let cell = cell.clamp(-clip, clip);
                (sigmoid(gate(3, u)) * cell.tanh(), cell)
            })
            .collect();
        (h, c) = next.into_iter().unzip();
        all.0.extend(&h);
        all.1.extend(&c);
    }
    all
}

#[test]
fn long_short_term_memory_equals_the_definition() {
    let state = Shape::vector(3);
    for clip in [None, Some(0.3)] {
        let op = Lstm { cell_clip: clip, ..LSTM };
        let graph = layer(op.clone(), STEPS_OF_A_SEQUENCE, &[state; 2]);
        let (x, h, c) = (random(1, 2 * 20), random(2, 2 * 3), random(3, 2 * 3));
        let inputs = [x.clone(), h.clone(), c.clone()];
        let [mut y, mut cells, mut last, mut last_cell] = [(); 4].map(|()| Vec::new());
        for n in 0..2 {
            let of = |v: &[f32], len: usize| v[n * len..(n + 1) * len].to_vec();
            let (hidden, cell) = lstm(&graph, &of(&x, 20), &of(&h, 3), &of(&c, 3), clip.unwrap_or(f32::MAX));
            last.extend(&hidden[12..]);
            last_cell.extend(&cell[12..]);
            y.extend(hidden);
            cells.extend(cell);
        }
        for (which, expected) in [&y, &last, &last_cell, &cells].into_iter().enumerate() {
            assert_close(&forward(&graph, &inputs, which), expected, TOLERANCE);
        }
        let graph = layer(op, STEPS_OF_A_SEQUENCE, &[]);
        let zero = [0.0; 3];
        let expected = lstm(&graph, &x[..20], &zero, &zero, clip.unwrap_or(f32::MAX)).0;
        assert_close(&forward(&graph, &[x[..20].to_vec()], 0), &expected, TOLERANCE);
    }
}

#[test]
fn a_filter_equals_the_definition() {
    let state = Shape::new(1, 1, 4, 3);
    let graph = layer(Svdf { fused: Activation::Relu, ..SVDF }, STEPS_OF_A_SEQUENCE, &[state]);
    let (x, past) = (random(4, 20), random(5, 12));
    let [w, t, b] = [0, 1, 2].map(|i| &graph.params[i].data);
    let mut memory: Vec<Vec<f32>> = past.chunks(3).map(<[f32]>::to_vec).collect();
    let mut expected = Vec::new();
    for x in x.chunks(4) {
        for (f, memory) in memory.iter_mut().enumerate() {
            memory.remove(0);
            memory.push((0..4).map(|i| w[f * 4 + i] * x[i]).sum());
        }
        let filter = |f: usize| -> f32 { (0..3).map(|m| t[f * 3 + m] * memory[f][m]).sum() };
        expected.extend((0..2).map(|u| (b[u] + filter(2 * u) + filter(2 * u + 1)).max(0.0)));
    }
    let inputs = [x, past];
    assert_close(&forward(&graph, &inputs, 0), &expected, TOLERANCE);
    assert_close(&forward(&graph, &inputs, 1), &memory.concat(), TOLERANCE);
}

fn matrices(transpose_a: bool, transpose_b: bool) -> (Graph, [Shape; 2]) {
    let shape = |h, turn: bool, rows, columns| {
        if turn { Shape::new(1, h, columns, rows) } else { Shape::new(1, h, rows, columns) }
    };
    let shapes = [shape(2, transpose_a, 3, 4), shape(1, transpose_b, 4, 5)];
    let mut g = Graph::new("product");
    let inputs = [0, 1].map(|i| g.add_input(["a", "b"][i], shapes[i]).unwrap());
    let y = g.push("product", BatchMatMul { transpose_a, transpose_b }, &inputs).unwrap()[0];
    g.add_output(y);
    (g, shapes)
}

#[test]
fn products_of_matrices_equal_the_definition() {
    for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true), (true, true)] {
        let (graph, shapes) = matrices(transpose_a, transpose_b);
        assert_eq!(graph.shape(graph.outputs[0]), Shape::new(1, 2, 3, 5));
        let (a, b) = (random(6, 2 * shapes[0].elements()), random(7, 2 * shapes[1].elements()));
        let mut expected = Vec::new();
        for (n, h) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let left =
                |m: usize, k: usize| a[(n * 2 + h) * 12 + if transpose_a { k * 3 + m } else { m * 4 + k }];
            let right = |k: usize, c: usize| b[n * 20 + if transpose_b { c * 4 + k } else { k * 5 + c }];
            for m in 0..3 {
                expected.extend((0..5).map(|c| (0..4).map(|k| left(m, k) * right(k, c)).sum::<f32>()));
            }
        }
        assert_close(&forward(&graph, &[a, b], 0), &expected, TOLERANCE);
    }
}

#[test]
fn gradients_flow_through_time() {
    for graph in [layer(LSTM, STEPS_OF_A_SEQUENCE, &[]), layer(SVDF, STEPS_OF_A_SEQUENCE, &[])] {
        let device = Device::flex().autodiff();
        let weights = Weights::from_graph(&graph, &device);
        let (x, s) = (random(8, 20), graph.shape(graph.inputs[0]));
        // The last step alone, so that every other one is reached through the memory only.
        let loss = |input: Tensor<4>| {
            let run = exec::run(&graph, &weights, &[input], &graph.outputs[..1], Mode::Evaluate, &mut NoTap)
                .unwrap();
            let y = run.float();
            let steps = y.dims()[2];
            y.narrow(2, steps - 1, 1).sum()
        };
        let input = tensor(&x, s, &device).require_grad();
        let found: Vec<f32> =
            input.grad(&loss(input.clone()).backward()).unwrap().into_data().try_into_vec().unwrap();
        assert!(found[8..12].iter().any(|g| g.abs() > 1e-3), "the third step has no gradient");
        let step = 1e-2;
        for i in 0..x.len() {
            let shifted = |d: f32| {
                let mut x = x.clone();
                x[i] += d;
                loss(tensor(&x, s, &device)).into_scalar::<f32>()
            };
            let expected = (shifted(step) - shifted(-step)) / (2.0 * step);
            assert!((found[i] - expected).abs() < GRADIENT_TOLERANCE, "{i}: {} for {expected}", found[i]);
        }
    }
}

/// The int8 program of a graph, calibrated on `samples`: with others, what they do not reach is cut off.
fn quantised(graph: &Graph, samples: &[Vec<Vec<f32>>]) -> Int8Runner {
    let device = Device::flex();
    let weights = Weights::from_graph(graph, &device);
    let batch = |sample: &Vec<Vec<f32>>| -> Vec<Tensor<4>> {
        graph.inputs.iter().zip(sample).map(|(v, d)| tensor(d, graph.shape(*v), &device)).collect()
    };
    let batches: Vec<_> = samples.iter().map(batch).collect();
    let ranges = calibrate(graph, &weights, &batches, Method::MinMax).unwrap();
    let (_, file) = export::dun(graph, &ranges, &Options::default()).unwrap();
    Int8Runner::new(file.as_slice()).unwrap()
}

/// Compares outputs of a run with those of the float graph, all but those that int8 programs do not have.
fn assert_near(runner: &mut Int8Runner, given: &[Vec<f32>], expected: &[Vec<f32>]) {
    let tensors: Vec<Tensor8> = runner.session(|s| s.model().inputs().copied().collect()).unwrap();
    let bytes = |(t, values): (&Tensor8, &Vec<f32>)| -> Vec<u8> {
        match t.dtype {
            DType::I16 => {
                let wide = values.iter().map(|v| (v / t.quant.scale).round() as i16);
                wide.flat_map(i16::to_le_bytes).collect()
            }
            _ => values.iter().map(|v| t.quant.quantize(*v) as u8).collect(),
        }
    };
    let given: Vec<Vec<u8>> = tensors.iter().zip(given).map(bytes).collect();
    let found = runner.run_bytes(&given.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        // 16-bit states have the error of what they remember, which is of 8 bits.
        let step = found.quant.scale.max(2.0 / 255.0);
        assert_close(&found.real(), expected, STEPS * step);
    }
}

#[test]
fn int8_is_close_to_float() {
    for (op, states) in [
        (Op::Lstm(LSTM), vec![]),
        (Op::Lstm(LSTM), vec![Shape::vector(3); 2]),
        (Op::Svdf(Svdf { fused: Activation::Relu, ..SVDF }), vec![Shape::new(1, 1, 4, 3)]),
    ] {
        let mut graph = layer(op, STEPS_OF_A_SEQUENCE, &states);
        graph.outputs.pop();
        let size = |v: &ValueId| graph.shape(*v).elements();
        let sample = |seed: u64| graph.inputs.iter().map(|v| random(50 + seed, size(v))).collect();
        let samples: Vec<Vec<Vec<f32>>> = (0..3).map(sample).collect();
        let mut runner = quantised(&graph, &samples);
        for inputs in samples {
            let expected: Vec<_> = (0..graph.outputs.len()).map(|i| forward(&graph, &inputs, i)).collect();
            assert_near(&mut runner, &inputs, &expected);
        }
    }
    for (transpose_a, transpose_b) in [(false, false), (true, true)] {
        let (graph, shapes) = matrices(transpose_a, transpose_b);
        let inputs: Vec<_> = shapes.iter().map(|s| random(60, s.elements())).collect();
        let expected = vec![forward(&graph, &inputs, 0)];
        assert_near(&mut quantised(&graph, std::slice::from_ref(&inputs)), &inputs, &expected);
    }
}

/// A layer of one step whose states are persistent.
fn streaming(op: impl Into<Op>, states: &[Shape]) -> Graph {
    let mut g = Graph::new("stream");
    let mut inputs = vec![g.add_input("x", Shape::rows(1, 4)).unwrap()];
    inputs.extend(states.iter().enumerate().map(|(i, s)| g.add_state(&format!("state{i}"), *s).unwrap()));
    let outputs = g.push("layer", op, &inputs).unwrap();
    for (i, state) in inputs[1..].iter().enumerate() {
        g.set_state(*state, outputs[1 + i]).unwrap();
    }
    g.add_output(outputs[0]);
    filled(g)
}

#[test]
fn runs_go_on_where_the_last_one_ended() {
    let lstm_states = vec![Shape::vector(3); 2];
    for (op, states) in [(Op::Lstm(LSTM), lstm_states), (Op::Svdf(SVDF), vec![Shape::new(1, 1, 4, 3)])] {
        let whole = layer(op.clone(), STEPS_OF_A_SEQUENCE, &[]);
        let graph = streaming(op, &states);
        let x = random(70, 20);
        let expected = forward(&whole, std::slice::from_ref(&x), 0);
        // Ranges of single steps from zero would be too small: the whole sequence shows what is remembered.
        let device = Device::flex();
        let batches: Vec<_> = (1..5)
            .map(|seed| vec![tensor(&random(seed, 4 * 20), whole.shape(whole.inputs[0]), &device)])
            .collect();
        let observed =
            calibrate(&whole, &Weights::from_graph(&whole, &device), &batches, Method::MinMax).unwrap();
        let mut pinned = graph.clone();
        let last = whole.nodes[0].outputs.len() - 1;
        let same = |of: ValueId, v: &mut Value, wide: bool| {
            let quant = observed.qparams(&whole, of).unwrap();
            let dtype = if wide { DType::I16 } else { DType::I8 };
            v.pin = Some(Pin { dtype, quant, scheme: Scheme::Int8 });
        };
        let node = whole.nodes[0].clone();
        for (i, &v) in graph.nodes[0].outputs.iter().enumerate() {
            let wide = i >= last - 1;
            same(node.outputs[i], &mut pinned.values[v.0], wide);
        }
        for state in &graph.states {
            pinned.values[state.read.0].pin = pinned.values[state.write.0].pin;
        }
        same(node.inputs[0], &mut pinned.values[graph.inputs[0].0], false);
        let ranges = Ranges::new(&pinned);
        let (plan, file) = export::dun(&pinned, &ranges, &Options::default()).unwrap();
        assert_eq!(plan.graph().nodes.len(), 1, "the layer updates its states itself");
        let mut runner = Int8Runner::new(file.as_slice()).unwrap();
        for (x, y) in x.chunks(4).zip(expected.chunks(expected.len() / 5)) {
            assert_near(&mut runner, &[x.to_vec()], &[y.to_vec()]);
        }
    }
}

#[test]
fn impossible_layers_are_refused() {
    let mut g = Graph::new("bad");
    let x = g.add_input("x", Shape::rows(2, 4)).unwrap();
    let image = g.add_input("image", Shape::image(2, 2, 4)).unwrap();
    let error =
        |g: &mut Graph, op: Op, inputs: &[ValueId]| g.push("bad", op, inputs).unwrap_err().to_string();
    let found = error(&mut g, Op::Lstm(LSTM), &[image]);
    assert!(found.contains("sequence"), "{found}");
    let found = error(&mut g, Op::Lstm(LSTM), &[x, x]);
    assert!(found.contains("1 or 3"), "{found}");
    let found = error(&mut g, Op::Svdf(SVDF), &[x, x]);
    assert!(found.contains("state: expected 1x1x4x3"), "{found}");
    let found = error(&mut g, Op::BatchMatMul(BatchMatMul::default()), &[x, x]);
    assert!(found.contains("second factor"), "{found}");
    // A memory that does not persist would be lost after each run.
    let graph = layer(SVDF, 2, &[]);
    let device = Device::flex();
    let batch = vec![tensor(&random(1, 8), graph.shape(graph.inputs[0]), &device)];
    let ranges = calibrate(&graph, &Weights::from_graph(&graph, &device), &[batch], Method::MinMax).unwrap();
    let refused = export::dun(&graph, &ranges, &Options::default()).unwrap_err().to_string();
    assert!(refused.contains("persistent tensor"), "{refused}");
}
