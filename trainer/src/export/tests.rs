//! From graph to running program: every operator, fused labels, fake quantisation against the runtime.

use super::{Options, dun};
use crate::exec::{self, Device, Mode, Tap, Tensor, Weights};
use crate::graph::{Graph, InputScaling, ValueId};
use crate::ops::*;
use crate::passes::testing::{filled, inputs};
use crate::plan::{self, Plan, PlanOptions, TooLarge};
use crate::quantise::*;
use crate::zoo;
use dunlin::Target;
use dunlin::shape::{Pad, Shape, Window};

/// Signal to noise that 8 bits leave over the depth of these graphs, in decibels.
const ENOUGH: f64 = 20.0;

fn weights(graph: &Graph) -> Weights {
    Weights::from_graph(graph, &Device::flex())
}

fn ranges(graph: &Graph, method: Method) -> Ranges {
    let batches: Vec<_> = (0..4).map(|seed| inputs(graph, seed)).collect();
    calibrate(graph, &weights(graph), &batches, method).unwrap()
}

/// The first of two random samples.
fn sample(graph: &Graph) -> Vec<Tensor<4>> {
    inputs(graph, 1).into_iter().map(|t| t.narrow(0, 0, 1)).collect()
}

fn floats(t: &Tensor<4>) -> Vec<f32> {
    t.clone().into_data().try_into_vec().unwrap()
}

fn conv(out: u32, kernel: u16, pad: u16, fused: Activation) -> Conv2d {
    Conv2d { out_channels: out, window: Window::square(kernel, 1).padded(Pad::all(pad)), bias: true, fused }
}

fn push(g: &mut Graph, name: &str, op: impl Into<Op>, x: &[ValueId]) -> ValueId {
    g.push(name, op, x).unwrap()[0]
}

/// A graph with every operator, three outputs.
fn every_operator() -> Graph {
    let mut g = Graph::new("every");
    let x = g.add_input("x", Shape::image(12, 12, 3)).unwrap();
    let g = &mut g;
    let a = push(g, "conv", conv(8, 3, 1, Activation::Relu), &[x]);
    let window = Window::square(3, 1).padded(Pad::all(1));
    let dw = DepthwiseConv2d { multiplier: 1, window, bias: true, fused: Activation::Relu6 };
    let b = push(g, "depthwise", dw, &[a]);
    let sum = push(g, "add", Add { fused: Activation::None }, &[a, b]);
    let pooled = g.push("pool", MaxPoolIndices { window: Window::square(2, 2) }, &[sum]).unwrap();
    let narrow = push(g, "narrow", conv(8, 1, 0, Activation::None), &[pooled[0]]);
    let unpool = MaxUnpool { window: Window::square(2, 2), out_h: 12, out_w: 12 };
    let up = push(g, "unpool", unpool, &[narrow, pooled[1]]);
    let window = Window::square(4, 2).padded(Pad::all(1));
    let transpose = TransposeConv2d {
        out_channels: 4,
        window,
        bias: true,
        bilinear: false,
        fused: Activation::None,
        extra: [0; 2],
    };
    let t = push(g, "transpose", transpose, &[narrow]);
    let joined = push(g, "concat", Concat { axis: Axis::C }, &[up, t]);
    let resize =
        |mode, out| Resize { mode, half_pixel_centers: true, align_corners: false, out_h: out, out_w: out };
    let big = push(g, "bilinear", resize(ResizeMode::Bilinear, 24), &[t]);
    let small = push(g, "nearest", resize(ResizeMode::Nearest, 12), &[big]);
    let cut = push(g, "slice", Slice { begin: [1, 2, 0], size: [10, 8, 4] }, &[small]);
    let padded = push(g, "pad", PadOp::zeros(Pad { top: 1, bottom: 1, left: 2, right: 2 }), &[cut]);
    let gate = push(g, "sigmoid", Unary { function: UnaryFn::Sigmoid }, &[padded]);
    let gated = push(g, "mul", Mul::default(), &[t, gate]);
    let mixed = push(g, "mixed", Concat { axis: Axis::C }, &[gate, gated]);
    let swish = push(g, "swish", Unary { function: UnaryFn::HardSwish }, &[mixed]);
    let max = push(g, "max", MaxPool { window: Window::square(2, 2), fused: Activation::None }, &[swish]);
    let mean = push(g, "mean", AvgPool { window: Window::square(6, 1), fused: Activation::None }, &[max]);
    let flat = push(g, "flat", Reshape { shape: Shape::vector(8) }, &[mean]);
    let dense = Dense { out_features: 5, bias: true, fused: Activation::None };
    let scores = push(g, "dense", dense, &[flat]);
    let chance = push(g, "softmax", Softmax { beta: 1.0 }, &[scores]);
    let fine = push(g, "fine", conv(5, 3, 1, Activation::None), &[joined]);
    let labels = push(g, "labels", ArgMax, &[fine]);
    for v in [chance, labels, max] {
        g.add_output(v);
    }
    filled(g.clone(), 21)
}

#[test]
fn every_operator_stays_close_to_float() {
    let graph = every_operator();
    let ranges = ranges(&graph, Method::MinMax);
    let errors = plan::compare(&graph, &weights(&graph), &ranges, &sample(&graph)).unwrap();
    assert_eq!(errors.len(), 22, "every float value of a node is compared");
    for e in &errors {
        // The position of a maximum may move to a neighbour of almost the same size, which displaces the
        // values that the unpool places; everything after it inherits that.
        let displaced = ["unpool", "concat", "fine"].contains(&e.name.as_str());
        assert!(displaced || e.snr > ENOUGH, "{}: {:.1} dB, {:.1} steps", e.name, e.snr, e.steps);
    }
}

#[test]
fn the_whole_program_runs_and_is_made_the_same_twice() {
    let graph = every_operator();
    for method in [
        Method::MinMax,
        Method::MovingAverage { momentum: 0.9 },
        Method::Percentile { keep: 0.9999 },
        Method::Mse,
    ] {
        let make = || dun(&graph, &ranges(&graph, method), &Options::default()).unwrap();
        let (plan, file) = make();
        assert_eq!(file.as_slice(), make().1.as_slice(), "{method:?}");
        assert!(f64::from(plan.arena_bytes()) <= plan::BAR * f64::from(plan.live_bytes()));
        let outputs = run(&graph, file.as_slice());
        let (chance, labels) = (outputs[0].real(), &outputs[1]);
        assert!((chance.iter().sum::<f32>() - 1.0).abs() < 0.05);
        assert_eq!((labels.shape, labels.bytes.len()), (Shape::image(12, 12, 1), 144));
        assert!(labels.bytes.iter().all(|&l| l < 5));
        assert!(labels.bytes.iter().any(|&l| l != labels.bytes[0]));
    }
}

fn run(graph: &Graph, file: &[u8]) -> Vec<Output> {
    let inputs: Vec<Vec<f32>> = sample(graph).iter().map(floats).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    Int8Runner::new(file).unwrap().run_real(&inputs).unwrap()
}

#[test]
fn reused_memory_and_another_order_change_nothing() {
    for graph in [every_operator(), residual()] {
        let ranges = ranges(&graph, Method::MinMax);
        let plain = PlanOptions { reuse: false, fuse: false, reorder: false, ..PlanOptions::default() };
        let options = Options { plan: plain, ..Options::default() };
        let (loose, reference) = dun(&graph, &ranges, &options).unwrap();
        let (tight, planned) = dun(&graph, &ranges, &Options::default()).unwrap();
        assert!(tight.arena_bytes() < loose.arena_bytes() / 2);
        assert!(tight.in_place() > 0);
        assert_eq!(run(&graph, reference.as_slice()), run(&graph, planned.as_slice()));
    }
}

/// Two residual blocks: the shortcut is the block's input, then a convolution of it, either operand of the sum.
fn residual() -> Graph {
    let mut g = Graph::new("residual");
    let x = g.add_input("x", Shape::image(32, 32, 3)).unwrap();
    let g = &mut g;
    let a = push(g, "a", conv(8, 3, 1, Activation::Relu), &[x]);
    let b = push(g, "b", conv(8, 3, 1, Activation::Relu), &[a]);
    let c = push(g, "c", conv(8, 3, 1, Activation::None), &[b]);
    let first = push(g, "first", Add { fused: Activation::Relu }, &[a, c]);
    let d = push(g, "d", conv(6, 3, 1, Activation::None), &[first]);
    let shortcut = push(g, "shortcut", conv(6, 1, 0, Activation::None), &[first]);
    let second = push(g, "second", Add { fused: Activation::None }, &[d, shortcut]);
    g.add_output(second);
    filled(g.clone(), 5)
}

/// Strided, padded and pooled layers of one chain.
fn chain() -> Graph {
    let mut g = Graph::new("chain");
    let x = g.add_input("x", Shape::image(53, 38, 3)).unwrap();
    let g = &mut g;
    let a = push(g, "a", conv(8, 3, 1, Activation::Relu), &[x]);
    let window = Window::square(5, 2).padded(Pad { top: 2, bottom: 1, left: 2, right: 2 });
    let dw = DepthwiseConv2d { multiplier: 2, window, bias: true, fused: Activation::Relu6 };
    let d = push(g, "d", dw, &[a]);
    let p = push(g, "p", conv(12, 1, 0, Activation::None), &[d]);
    let h = push(g, "h", Unary { function: UnaryFn::HardSwish }, &[p]);
    let window = Window::square(3, 1).padded(Pad::all(1));
    let mean = push(g, "mean", AvgPool { window, fused: Activation::None }, &[h]);
    let m = push(g, "m", MaxPool { window: Window::square(2, 2), fused: Activation::None }, &[mean]);
    let y = push(g, "y", conv(4, 3, 1, Activation::None), &[m]);
    g.add_output(y);
    filled(g.clone(), 8)
}

#[test]
fn a_network_in_bands_needs_less_memory_and_gives_the_same_bytes() {
    for graph in [residual(), chain()] {
        let ranges = ranges(&graph, Method::MinMax);
        let program = lower(&graph, &ranges, LowerOptions::default()).unwrap();
        for target in Target::ALL {
            let options = PlanOptions { target, ..PlanOptions::default() };
            let whole = Plan::new(program.clone(), &options);
            // What was fused before is split as well.
            let fused = Plan::new(program.clone(), &PlanOptions::default()).graph().clone();
            assert_eq!(Plan::within(&fused, &options, 1).unwrap_err().smallest, {
                Plan::within(&program, &options, 1).unwrap_err().smallest
            });
            let reference = run(&graph, whole.encode().unwrap().as_slice());
            let (mut max, mut plans) = (whole.arena_bytes() - 1, 0);
            let smallest = loop {
                match Plan::within(&program, &options, max) {
                    Ok(plan) => {
                        assert!(plan.arena_bytes() <= max);
                        let outputs = run(&graph, plan.encode().unwrap().as_slice());
                        assert_eq!(outputs, reference, "{} bytes for {}", max, target.name());
                        max = plan.arena_bytes() - 1;
                        plans += 1;
                    }
                    Err(TooLarge { smallest, max: allowed }) => {
                        assert_eq!(allowed, max);
                        break smallest;
                    }
                }
            };
            assert!(plans >= 2, "{}: {plans}", target.name());
            assert!(smallest < whole.arena_bytes());
            assert!(Plan::within(&program, &options, smallest).is_ok());
        }
    }
}

#[test]
fn sums_of_a_residual_network_are_fused_and_take_the_place_of_the_shortcut() {
    let graph = residual();
    let ranges = ranges(&graph, Method::MinMax);
    let (plan, file) = dun(&graph, &ranges, &Options::default()).unwrap();
    let names: Vec<&str> = plan.graph().nodes.iter().map(|n| n.op.name()).collect();
    assert_eq!(names.iter().filter(|n| **n == "Conv2dAdd").count(), 2, "{names:?}");
    assert!(!names.contains(&"Add"));
    assert_eq!(plan.in_place(), 2);
    // Two images of 8 channels and what a convolution needs; without fusion three of them are alive.
    assert!(plan.arena_bytes() < 3 * 32 * 32 * 8, "{}", plan.picture());
    for target in Target::ALL {
        let options =
            Options { plan: PlanOptions { target, ..PlanOptions::default() }, ..Options::default() };
        let (_, packed) = dun(&graph, &ranges, &options).unwrap();
        assert_eq!(run(&graph, packed.as_slice()), run(&graph, file.as_slice()), "{}", target.name());
    }
}

#[test]
fn fused_labels_equal_those_of_separate_scores() {
    let resize = |mode| Resize { mode, half_pixel_centers: true, align_corners: false, out_h: 51, out_w: 57 };
    let transpose = TransposeConv2d {
        out_channels: 6,
        window: Window::square(4, 2).padded(Pad::all(1)),
        bias: true,
        bilinear: false,
        fused: Activation::None,
        extra: [0; 2],
    };
    let heads: [Op; 5] = [
        conv(6, 3, 1, Activation::None).into(),
        conv(6, 1, 0, Activation::None).into(),
        transpose.into(),
        resize(ResizeMode::Bilinear).into(),
        resize(ResizeMode::Nearest).into(),
    ];
    for head in heads {
        let mut g = Graph::new("labels");
        let x = g.add_input("x", Shape::image(27, 30, 3)).unwrap();
        let a = push(&mut g, "a", conv(8, 3, 1, Activation::None), &[x]);
        let s = push(&mut g, "scores", head.clone(), &[a]);
        let l = push(&mut g, "labels", ArgMax, &[s]);
        g.add_output(l);
        let g = filled(g, 2);
        let ranges = ranges(&g, Method::MinMax);
        let made = |fuse_argmax| {
            let options = Options {
                lower: LowerOptions { fuse_argmax, ..LowerOptions::default() },
                ..Options::default()
            };
            dun(&g, &ranges, &options).unwrap()
        };
        let ((fused, a), (separate, b)) = (made(true), made(false));
        assert!(fused.live_bytes() < separate.live_bytes(), "{head:?}");
        let (a, b) = (run(&g, a.as_slice()), run(&g, b.as_slice()));
        assert_eq!(a[0].bytes, b[0].bytes, "{head:?}");
        assert!(a[0].bytes.iter().any(|&l| l != a[0].bytes[0]), "one label everywhere proves nothing");
    }
}

/// A small network of everything that fake quantisation rounds.
fn rounded_network() -> Graph {
    let mut g = Graph::new("rounded");
    let x = g.add_input("x", Shape::image(8, 8, 3)).unwrap();
    let a = push(&mut g, "a", conv(6, 3, 1, Activation::Relu), &[x]);
    let p = push(&mut g, "p", MaxPool { window: Window::square(2, 2), fused: Activation::None }, &[a]);
    let window = Window::square(3, 1).padded(Pad::all(1));
    let dw = DepthwiseConv2d { multiplier: 1, window, bias: true, fused: Activation::None };
    let d = push(&mut g, "d", dw, &[p]);
    let s = push(&mut g, "s", Add { fused: Activation::None }, &[p, d]);
    let y = push(&mut g, "y", Dense { out_features: 4, bias: true, fused: Activation::None }, &[s]);
    g.add_output(y);
    filled(g, 8)
}

/// Where the float sum lies within its own rounding error of half a step, the integer may fall the other way,
/// and later layers carry that on: one step in the output, rarely.
const STEP: f32 = 1.0;

#[test]
fn fake_quantisation_is_what_the_runtime_computes() {
    let graph = rounded_network();
    let ranges = ranges(&graph, Method::MinMax);
    let (_, file) = dun(&graph, &ranges, &Options::default()).unwrap();
    let output = &run(&graph, file.as_slice())[0];
    let mut tap = FakeQuant::new(&graph, &ranges).unwrap().tap();
    let run = exec::run(&graph, &weights(&graph), &sample(&graph), &graph.outputs, Mode::Evaluate, &mut tap)
        .unwrap();
    let fake = floats(&run.float());
    let mut exact = 0;
    for (fake, real) in fake.iter().zip(output.real()) {
        let steps = (fake - real).abs() / output.quant.scale;
        assert!(steps < STEP + 0.01, "{fake} fake, {real} in int8: {steps} steps");
        exact += usize::from(steps < 0.01);
    }
    assert!(exact * 10 >= fake.len() * 8, "{exact} of {} equal", fake.len());
}

#[test]
fn a_channel_of_zero_weights_keeps_its_bias() {
    let mut graph = rounded_network();
    let bias = graph.nodes[0].params[1];
    let taps = graph.params[0].data.len() / 6;
    graph.params[0].data[..taps].fill(0.0);
    graph.params[bias.0].data[0] = 0.37;
    let ranges = ranges(&graph, Method::MinMax);
    let a = graph.nodes[0].outputs[0];
    let mut tap = FakeQuant::new(&graph, &ranges).unwrap().tap();
    let run = exec::run(&graph, &weights(&graph), &sample(&graph), &[a], Mode::Evaluate, &mut tap).unwrap();
    let fake = floats(&run.float())[0];
    let step = ranges.qparams(&graph, a).unwrap().scale;
    assert!((fake - 0.37).abs() <= step / 2.0 + 1e-6, "{fake} in steps of {step}");
    let errors = plan::compare(&graph, &weights(&graph), &ranges, &sample(&graph)).unwrap();
    assert!(errors[0].snr > ENOUGH, "{errors:?}");
}

#[test]
fn gradients_pass_straight_through_and_stop_beyond_the_range() {
    let graph = rounded_network();
    let ranges = ranges(&graph, Method::MinMax);
    let fake = FakeQuant::new(&graph, &ranges).unwrap();
    let weights = Weights::from_graph(&graph, &Device::flex().autodiff());
    let input = |factor: f32| {
        let t = inputs(&graph, 1).remove(0).mul_scalar(factor);
        Tensor::from_data(t.into_data(), &Device::flex().autodiff())
    };
    let gradient = |factor: f32, tap: &mut dyn Tap| {
        let x = input(factor).require_grad();
        let run = exec::run(&graph, &weights, std::slice::from_ref(&x), &graph.outputs, Mode::Evaluate, tap);
        let gradients = run.unwrap().float().sum().backward();
        floats(&x.grad(&gradients).unwrap())
    };
    let plain = gradient(1.0, &mut exec::NoTap);
    let through = gradient(1.0, &mut fake.tap());
    let dot: f32 = plain.iter().zip(&through).map(|(a, b)| a * b).sum();
    let norm = |v: &[f32]| v.iter().map(|v| v * v).sum::<f32>().sqrt();
    let cosine = dot / (norm(&plain) * norm(&through));
    assert!(cosine > 0.9, "gradients point elsewhere: cosine {cosine}");
    // Far beyond the calibrated range the clamp is flat almost everywhere.
    let flat = gradient(100.0, &mut fake.tap()).iter().filter(|g| **g == 0.0).count();
    assert!(flat * 10 > plain.len() * 9, "{flat} of {} gradients are 0", plain.len());
}

#[test]
fn ranges_follow_whole_steps_and_then_freeze() {
    let graph = rounded_network();
    let start = ranges(&graph, Method::MinMax);
    let weights = Weights::from_graph(&graph, &Device::flex().autodiff());
    let follow = |order: [u64; 2]| {
        let fake = FakeQuant::new(&graph, &start).unwrap().following(0.5, 1, 2);
        for seed in order.into_iter().chain([7, 8]) {
            let x = inputs(&graph, seed).remove(0).mul_scalar(3.0);
            let x = Tensor::from_data(x.into_data(), &Device::flex().autodiff());
            let mut rng = rand_pcg::Pcg64::new(0, 0);
            exec::run(&graph, &weights, &[x], &graph.outputs, Mode::Train(&mut rng), &mut fake.tap())
                .unwrap();
        }
        fake.ranges()
    };
    let (a, b) = (follow([1, 2]), follow([2, 1]));
    assert_ne!(a, start);
    assert_eq!(a, b, "the order of a step's shares does not matter, and later steps change nothing");
    // Evaluation is not training.
    let fake = FakeQuant::new(&graph, &start).unwrap().following(0.5, 1, 1);
    let plain = Weights::from_graph(&graph, &Device::flex());
    exec::run(&graph, &plain, &inputs(&graph, 1), &graph.outputs, Mode::Evaluate, &mut fake.tap()).unwrap();
    assert_eq!(fake.ranges(), start);
}

#[test]
fn pixels_fix_the_range_of_the_input() {
    let mut g = rounded_network();
    g.meta.input = Some(InputScaling { mean: vec![0.5, 0.4, 0.6], std: vec![0.25, 0.2, 0.3] });
    let ranges = ranges(&g, Method::MinMax);
    let range = ranges.range(g.inputs[0]).unwrap();
    assert_eq!(range, Range { lo: -2.0, hi: 3.0 });
    let (_, file) = dun(&g, &ranges, &Options::default()).unwrap();
    let mut runner = Int8Runner::new(file.as_slice()).unwrap();
    let black = vec![0u8; 8 * 8 * 3];
    let error = runner.label_images([&black[1..]].into_iter(), |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("192 pixel bytes but 191"), "{error}");
    let mut seen = 0;
    runner.label_images([black.as_slice()].into_iter(), |_, labels| seen = labels.len()).unwrap();
    assert_eq!(seen, 16);
}

#[test]
fn what_cannot_be_quantised_is_named() {
    let mut g = Graph::new("bad");
    let x = g.add_input("x", Shape::vector(70_000)).unwrap();
    let y = push(&mut g, "long", Dense { out_features: 1, bias: true, fused: Activation::None }, &[x]);
    g.add_output(y);
    let ranges = ranges(&g, Method::MinMax);
    let error = lower(&g, &ranges, LowerOptions::default()).unwrap_err();
    assert!(error.to_string().contains("`long`") && error.to_string().contains("70000"), "{error}");

    let mut g = Graph::new("bad");
    let x = g.add_input("x", Shape::image(2, 2, 3)).unwrap();
    let y = push(&mut g, "norm", BatchNorm { epsilon: 1e-3 }, &[x]);
    g.add_output(y);
    let g = filled(g, 1);
    let unseen = Ranges::new(&g);
    assert!(unseen.qparams(&g, y).unwrap_err().to_string().contains("`norm`"));
    let error = lower(&g, &self::ranges(&g, Method::MinMax), LowerOptions::default()).unwrap_err();
    assert!(error.to_string().contains("`norm`") && error.to_string().contains("passes"), "{error}");

    let mut g = rounded_network();
    let ranges = self::ranges(&g, Method::MinMax);
    g.params[0].data[3] = f32::NAN;
    let error = lower(&g, &ranges, LowerOptions::default()).unwrap_err();
    assert!(error.to_string().contains("`a.weight`"), "{error}");
    let batches = [vec![inputs(&g, 1).remove(0).mul_scalar(f32::NAN)]];
    let broken = calibrate(&g, &weights(&g), &batches, Method::Mse).unwrap();
    let error = lower(&g, &broken, LowerOptions::default()).unwrap_err();
    assert!(error.to_string().contains("`x`") && error.to_string().contains("NaN"), "{error}");
}

#[test]
fn every_model_of_the_zoo_meets_the_bar() {
    for name in zoo::NAMES {
        let mut graph = zoo::graph(name, 11).unwrap().unwrap();
        graph.initialise(1);
        crate::passes::optimise(&mut graph).unwrap();
        let sample: Vec<_> = inputs(&graph, 1).into_iter().map(|t| t.narrow(0, 0, 1)).collect();
        let ranges = calibrate(&graph, &weights(&graph), &[sample], Method::MinMax).unwrap();
        let plan =
            Plan::new(lower(&graph, &ranges, LowerOptions::default()).unwrap(), &PlanOptions::default());
        let (arena, live) = (plan.arena_bytes(), plan.live_bytes());
        println!(
            "{name}: arena {arena}, largest live set {live}, ratio {:.3}",
            f64::from(arena) / f64::from(live)
        );
        assert!(f64::from(arena) <= plan::BAR * f64::from(live), "{}", plan.picture());
        assert!(arena <= 256_000, "{name}: {arena} bytes");
        plan.encode().unwrap();
    }
}
