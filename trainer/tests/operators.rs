//! Every float operator against a naive reference that shares no code with it, and gradients against finite
//! differences.

use burn::tensor::{Device, Tensor, TensorData};
use dunlin::shape::{Pad, Padding, Shape, Window};
use dunlin_trainer::exec::{self, Mode, NoTap, Weights};
use dunlin_trainer::graph::{Graph, GraphError, ValueId};
use dunlin_trainer::ops::*;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// Sums of some hundred products of numbers below 1 in f32.
const TOLERANCE: f32 = 1e-4;
/// Central differences of step 1e-2 in f32: rounding of the loss (1e-6 relative) over the step, and curvature.
const GRADIENT_TOLERANCE: f32 = 2e-2;

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = Pcg64::seed_from_u64(seed);
    (0..count).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect()
}

/// A graph of one node with random parameters.
fn single(op: impl Into<Op>, shapes: &[Shape]) -> Graph {
    let mut graph = Graph::new("one");
    let inputs: Vec<ValueId> =
        shapes.iter().enumerate().map(|(i, s)| graph.add_input(&format!("x{i}"), *s).unwrap()).collect();
    for value in graph.push("op", op, &inputs).unwrap() {
        graph.add_output(value);
    }
    for (i, p) in graph.params.iter_mut().enumerate() {
        p.data = random(100 + i as u64, p.data.len());
    }
    graph
}

fn tensor(data: &[f32], n: usize, s: Shape, device: &Device) -> Tensor<4> {
    let dims = [n, s.h as usize, s.w as usize, s.c as usize];
    Tensor::from_data(TensorData::new(data.to_vec(), dims), device)
}

/// First output of the graph for two samples, NHWC.
fn forward(graph: &Graph, inputs: &[Vec<f32>]) -> Vec<f32> {
    let device = Device::flex();
    let weights = Weights::from_graph(graph, &device);
    let tensors: Vec<_> =
        graph.inputs.iter().zip(inputs).map(|(v, d)| tensor(d, 2, graph.shape(*v), &device)).collect();
    let run = exec::run(graph, &weights, &tensors, &graph.outputs[..1], Mode::Evaluate, &mut NoTap).unwrap();
    run.float().into_data().try_into_vec().unwrap()
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() < TOLERANCE, "element {i}: found {f}, expected {e}");
    }
}

/// NHWC element, 0 outside of the image.
fn at(x: &[f32], s: Shape, n: usize, y: i64, xx: i64, c: usize) -> f32 {
    if y < 0 || xx < 0 || y >= i64::from(s.h) || xx >= i64::from(s.w) {
        return 0.0;
    }
    let row = n * s.h as usize + y as usize;
    x[(row * s.w as usize + xx as usize) * s.c as usize + c]
}

/// Calls `f(n, y, x, c)` for every element of the output, in order.
fn each(n: usize, s: Shape, mut f: impl FnMut(usize, i64, i64, usize) -> f32) -> Vec<f32> {
    let mut out = Vec::new();
    for n in 0..n {
        for y in 0..i64::from(s.h) {
            for x in 0..i64::from(s.w) {
                for c in 0..s.c as usize {
                    out.push(f(n, y, x, c));
                }
            }
        }
    }
    out
}

fn windows() -> Vec<(Window, Padding)> {
    let tall = Window { kernel_h: 3, kernel_w: 2, stride_h: 1, stride_w: 3, ..Window::square(1, 1) };
    let explicit = Pad { top: 2, bottom: 0, left: 1, right: 3 };
    vec![
        (Window::square(1, 1), Padding::Valid),
        (Window::square(3, 1), Padding::Same),
        (Window::square(3, 2), Padding::Same),
        (Window::square(2, 1), Padding::Same),
        (Window::square(3, 1).dilated(2), Padding::Same),
        (Window::square(1, 2), Padding::Valid),
        (tall, Padding::Same),
        (Window::square(3, 2), Padding::Explicit(explicit)),
    ]
}

#[test]
fn convolutions_equal_the_definition() {
    for (h, w) in [(7, 6), (8, 9)] {
        let s = Shape::image(h, w, 3);
        for (window, padding) in windows() {
            let window = window.resolve(padding, h, w).unwrap();
            let conv = Conv2d { out_channels: 5, window, bias: true, fused: Activation::Relu };
            let graph = single(conv, &[s]);
            let x = random(1, 2 * s.elements());
            let (weight, bias) = (&graph.params[0].data, &graph.params[1].data);
            let (kh, kw) = (window.kernel_h as usize, window.kernel_w as usize);
            let expected = each(2, graph.shape(graph.outputs[0]), |n, y, xx, o| {
                let mut sum = bias[o];
                for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                    let iy = y * i64::from(window.stride_h) + (ky * window.dilation_h as usize) as i64;
                    let ix = xx * i64::from(window.stride_w) + (kx * window.dilation_w as usize) as i64;
                    let (iy, ix) = (iy - i64::from(window.pad.top), ix - i64::from(window.pad.left));
                    for i in 0..3 {
                        sum += at(&x, s, n, iy, ix, i) * weight[((o * kh + ky) * kw + kx) * 3 + i];
                    }
                }
                sum.max(0.0)
            });
            assert_close(&forward(&graph, &[x]), &expected);
        }
    }
}

#[test]
fn depthwise_convolutions_equal_the_definition() {
    let s = Shape::image(7, 6, 3);
    for multiplier in [1, 2] {
        for (window, padding) in windows() {
            let window = window.resolve(padding, 7, 6).unwrap();
            let op = DepthwiseConv2d { multiplier, window, bias: true, fused: Activation::None };
            let graph = single(op, &[s]);
            let x = random(2, 2 * s.elements());
            let (weight, bias) = (&graph.params[0].data, &graph.params[1].data);
            let (kh, kw, out) = (window.kernel_h as usize, window.kernel_w as usize, 3 * multiplier as usize);
            let expected = each(2, graph.shape(graph.outputs[0]), |n, y, xx, o| {
                let mut sum = bias[o];
                for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                    let iy = y * i64::from(window.stride_h) + (ky * window.dilation_h as usize) as i64;
                    let ix = xx * i64::from(window.stride_w) + (kx * window.dilation_w as usize) as i64;
                    let (iy, ix) = (iy - i64::from(window.pad.top), ix - i64::from(window.pad.left));
                    sum += at(&x, s, n, iy, ix, o / multiplier as usize) * weight[(ky * kw + kx) * out + o];
                }
                sum
            });
            assert_close(&forward(&graph, &[x]), &expected);
        }
    }
}

#[test]
fn transpose_convolutions_equal_the_definition() {
    let s = Shape::image(4, 3, 2);
    for (kernel, stride, pad) in [
        (4, 2, Pad::all(1)),
        (3, 2, Pad::NONE),
        (5, 2, Pad { top: 1, bottom: 2, left: 0, right: 1 }),
        (3, 1, Pad::all(1)),
        (16, 8, Pad::all(4)),
    ] {
        let window = Window::square(kernel, stride).padded(pad);
        let op = TransposeConv2d {
            out_channels: 3,
            window,
            bias: true,
            bilinear: false,
            fused: Activation::None,
            extra: [0; 2],
        };
        let graph = single(op, &[s]);
        let y = graph.shape(graph.outputs[0]);
        let x = random(3, 2 * s.elements());
        let (weight, bias) = (&graph.params[0].data, &graph.params[1].data);
        let k = i64::from(kernel);
        let expected = each(2, y, |n, oy, ox, o| {
            let mut sum = bias[o];
            for iy in 0..i64::from(s.h) {
                for ix in 0..i64::from(s.w) {
                    let ky = oy + i64::from(pad.top) - iy * i64::from(stride);
                    let kx = ox + i64::from(pad.left) - ix * i64::from(stride);
                    if (0..k).contains(&ky) && (0..k).contains(&kx) {
                        for i in 0..2 {
                            let w = ((o as i64 * k + ky) * k + kx) as usize * 2 + i;
                            sum += at(&x, s, n, iy, ix, i) * weight[w];
                        }
                    }
                }
            }
            sum
        });
        assert_close(&forward(&graph, &[x]), &expected);
    }
}

#[test]
fn bilinear_upsampling_keeps_a_constant_inside() {
    let mut net = dunlin_trainer::net::Net::new("up");
    let x = net.input("x", Shape::image(6, 5, 2)).unwrap();
    let y = net.upsample("up", x, 4, (24, 20)).unwrap();
    let mut graph = net.finish(y).unwrap();
    graph.initialise(1);
    let found = forward(&graph, &[vec![3.0; 2 * 60]]);
    let s = graph.shape(y);
    for yy in 2..22 {
        for xx in 2..18 {
            assert!((at(&found, s, 1, yy, xx, 1) - 3.0).abs() < TOLERANCE);
        }
    }
}

fn pool_reference(
    x: &[f32],
    s: Shape,
    y: Shape,
    v: &Window,
    c_last: impl Fn(&[(usize, f32)]) -> f32,
) -> Vec<f32> {
    each(2, y, |n, oy, ox, c| {
        let mut seen = Vec::new();
        for ky in 0..i64::from(v.kernel_h) {
            for kx in 0..i64::from(v.kernel_w) {
                let iy = oy * i64::from(v.stride_h) + ky - i64::from(v.pad.top);
                let ix = ox * i64::from(v.stride_w) + kx - i64::from(v.pad.left);
                if iy >= 0 && ix >= 0 && iy < i64::from(s.h) && ix < i64::from(s.w) {
                    seen.push(((ky * i64::from(v.kernel_w) + kx) as usize, at(x, s, n, iy, ix, c)));
                }
            }
        }
        c_last(&seen)
    })
}

#[test]
fn pools_ignore_the_padding() {
    let s = Shape::image(7, 5, 3);
    let x: Vec<f32> = random(4, 2 * s.elements()).iter().map(|v| v - 2.0).collect();
    for (kernel, stride, padding) in
        [(2, 2, Padding::Same), (3, 2, Padding::Same), (3, 1, Padding::Same), (2, 1, Padding::Valid)]
    {
        let window = Window::square(kernel, stride).resolve(padding, 7, 5).unwrap();
        let graph = single(MaxPool { window, fused: Activation::None }, &[s]);
        let y = graph.shape(graph.outputs[0]);
        let largest = |seen: &[(usize, f32)]| seen.iter().fold(f32::NEG_INFINITY, |a, b| a.max(b.1));
        assert_close(&forward(&graph, std::slice::from_ref(&x)), &pool_reference(&x, s, y, &window, largest));
        let graph = single(AvgPool { window, fused: Activation::None }, &[s]);
        let mean = |seen: &[(usize, f32)]| seen.iter().map(|b| b.1).sum::<f32>() / seen.len() as f32;
        assert_close(&forward(&graph, std::slice::from_ref(&x)), &pool_reference(&x, s, y, &window, mean));
    }
    let window = Window { kernel_h: 7, kernel_w: 5, ..Window::square(1, 1) };
    let graph = single(AvgPool { window, fused: Activation::None }, &[s]);
    let mean = |seen: &[(usize, f32)]| seen.iter().map(|b| b.1).sum::<f32>() / seen.len() as f32;
    assert_close(
        &forward(&graph, std::slice::from_ref(&x)),
        &pool_reference(&x, s, Shape::vector(3), &window, mean),
    );
}

#[test]
fn pooling_positions_are_the_first_maximum_and_drive_the_unpool() {
    for padding in [Padding::Same, Padding::Valid] {
        let s = Shape::image(5, 7, 2);
        // Few distinct values, so that ties are common.
        let x: Vec<f32> = random(5, 2 * s.elements()).iter().map(|v| (v * 2.0).round()).collect();
        let window = Window::square(2, 2).resolve(padding, 5, 7).unwrap();
        let mut graph = single(MaxPoolIndices { window }, &[s]);
        let device = Device::flex();
        let weights = Weights::from_graph(&graph, &device);
        let input = tensor(&x, 2, s, &device);
        let run = |g: &Graph, want: &[ValueId]| {
            exec::run(g, &weights, std::slice::from_ref(&input), want, Mode::Evaluate, &mut NoTap).unwrap()
        };
        let found: Vec<i64> =
            run(&graph, &graph.outputs[1..]).int().into_data().convert::<i64>().try_into_vec().unwrap();
        let y = graph.shape(graph.outputs[0]);
        let first = |seen: &[(usize, f32)]| {
            let mut best = seen[0];
            for candidate in seen {
                if candidate.1 > best.1 {
                    best = *candidate;
                }
            }
            best.0 as f32
        };
        let expected = pool_reference(&x, s, y, &window, first);
        assert_eq!(found.iter().map(|p| *p as f32).collect::<Vec<_>>(), expected);

        let (values, positions) = (graph.outputs[0], graph.outputs[1]);
        let unpool = MaxUnpool { window, out_h: 5, out_w: 7 };
        let restored = graph.push("unpool", unpool, &[values, positions]).unwrap()[0];
        let back: Vec<f32> = run(&graph, &[restored]).float().into_data().try_into_vec().unwrap();
        let mut kept = vec![0.0; x.len()];
        for n in 0..2 {
            for (oy, ox, c) in (0..y.h as usize)
                .flat_map(|oy| (0..y.w as usize).flat_map(move |ox| (0..2).map(move |c| (oy, ox, c))))
            {
                let p = expected[((n * y.h as usize + oy) * y.w as usize + ox) * 2 + c] as usize;
                let (iy, ix) = (2 * oy + p / 2, 2 * ox + p % 2);
                let i = ((n * 5 + iy) * 7 + ix) * 2 + c;
                kept[i] = x[i];
            }
        }
        assert_eq!(back, kept);
    }
}

#[test]
fn resizes_follow_the_coordinate_rules() {
    let s = Shape::image(4, 5, 2);
    let x = random(6, 2 * s.elements());
    for mode in [ResizeMode::Nearest, ResizeMode::Bilinear] {
        for (half_pixel_centers, align_corners) in [(false, false), (true, false), (false, true)] {
            for (out_h, out_w) in [(8, 10), (3, 2), (7, 5), (1, 1)] {
                let graph = single(Resize { mode, half_pixel_centers, align_corners, out_h, out_w }, &[s]);
                let source = |o: i64, input: u32, output: u32| {
                    let (o, i, out) = (o as f64, f64::from(input), f64::from(output));
                    let scale = if align_corners && output > 1 { (i - 1.0) / (out - 1.0) } else { i / out };
                    let half = if half_pixel_centers { 0.5 } else { 0.0 };
                    let back = if mode == ResizeMode::Bilinear { half } else { 0.0 };
                    (o + half) * scale - back
                };
                let expected = each(2, Shape::image(out_h, out_w, 2), |n, y, xx, c| {
                    let (fy, fx) = (source(y, s.h, out_h), source(xx, s.w, out_w));
                    let read = |y: f64, col: f64| {
                        at(&x, s, n, y.clamp(0.0, 3.0) as i64, col.clamp(0.0, 4.0) as i64, c)
                    };
                    match mode {
                        ResizeMode::Nearest if align_corners => read(fy.round(), fx.round()),
                        ResizeMode::Nearest => read(fy.floor(), fx.floor()),
                        ResizeMode::Bilinear => {
                            let (ty, tx) = ((fy - fy.floor()) as f32, (fx - fx.floor()) as f32);
                            let row = |y: f64| read(y, fx.floor()) * (1.0 - tx) + read(y, fx.ceil()) * tx;
                            row(fy.floor()) * (1.0 - ty) + row(fy.ceil()) * ty
                        }
                    }
                });
                assert_close(&forward(&graph, std::slice::from_ref(&x)), &expected);
            }
        }
    }
}

#[test]
fn simple_operators_equal_the_definition() {
    let s = Shape::image(3, 4, 5);
    let (a, b) = (random(7, 2 * 60), random(8, 2 * 60));
    let zip = |f: fn(f32, f32) -> f32| a.iter().zip(&b).map(|(x, y)| f(*x, *y)).collect::<Vec<_>>();
    let both = [a.clone(), b.clone()];
    assert_close(&forward(&single(Add { fused: Activation::None }, &[s, s]), &both), &zip(|x, y| x + y));
    assert_close(&forward(&single(Mul::default(), &[s, s]), &both), &zip(|x, y| x * y));
    let gate = random(9, 10);
    let gated: Vec<f32> = a.iter().enumerate().map(|(i, v)| v * gate[i / 60 * 5 + i % 5]).collect();
    assert_close(&forward(&single(Mul::default(), &[s, Shape::vector(5)]), &[a.clone(), gate]), &gated);
    let joined = each(2, s.with_c(10), |n, y, x, c| at(if c < 5 { &a } else { &b }, s, n, y, x, c % 5));
    assert_close(&forward(&single(Concat { axis: Axis::C }, &[s, s]), &both), &joined);
    let joined = each(2, s.with_hw(3, 8), |n, y, x, c| at(if x < 4 { &a } else { &b }, s, n, y, x % 4, c));
    assert_close(&forward(&single(Concat { axis: Axis::W }, &[s, s]), &both), &joined);
    let padded = each(2, s.with_hw(6, 4), |n, y, x, c| at(&a, s, n, y - 1, x, c));
    let pad = Pad { top: 1, bottom: 2, left: 0, right: 0 };
    assert_close(&forward(&single(PadOp::zeros(pad), &[s]), &both[..1]), &padded);
    assert_close(&forward(&single(Reshape { shape: Shape::image(6, 1, 10) }, &[s]), &both[..1]), &a);
    let cut = each(2, Shape::image(2, 3, 2), |n, y, x, c| at(&a, s, n, y + 1, x + 1, c + 3));
    assert_close(&forward(&single(Slice { begin: [1, 1, 3], size: [2, 3, 2] }, &[s]), &both[..1]), &cut);
    let soft: Vec<f32> = a
        .chunks(5)
        .flat_map(|p| {
            let e: Vec<f32> = p.iter().map(|v| (2.0 * v).exp()).collect();
            let sum: f32 = e.iter().sum();
            e.into_iter().map(move |v| v / sum)
        })
        .collect();
    assert_close(&forward(&single(Softmax { beta: 2.0 }, &[s]), &both[..1]), &soft);
    let dense = single(Dense { out_features: 3, bias: true, fused: Activation::Relu6 }, &[s]);
    let (w, bias) = (&dense.params[0].data, &dense.params[1].data);
    let expected: Vec<f32> = a
        .chunks(5)
        .flat_map(|p| {
            (0..3)
                .map(|o| {
                    (bias[o] + p.iter().zip(&w[o * 5..]).map(|(x, w)| x * w).sum::<f32>()).clamp(0.0, 6.0)
                })
                .collect::<Vec<_>>()
        })
        .collect();
    assert_close(&forward(&dense, &both[..1]), &expected);
}

#[test]
fn unary_functions_equal_their_f64_definition() {
    let s = Shape::image(2, 5, 4);
    let x: Vec<f32> = random(10, 80).iter().map(|v| v * 5.0).collect();
    for function in [
        UnaryFn::Relu,
        UnaryFn::Relu6,
        UnaryFn::Clamp { lo: -1.5, hi: 2.5 },
        UnaryFn::LeakyRelu { alpha: 0.2 },
        UnaryFn::Sigmoid,
        UnaryFn::Tanh,
        UnaryFn::HardSwish,
        UnaryFn::Elu { alpha: 0.7 },
        UnaryFn::Gelu,
        UnaryFn::Abs,
        UnaryFn::Neg,
        UnaryFn::Square,
        UnaryFn::Erf,
        UnaryFn::Sign,
        UnaryFn::HardSigmoid { alpha: 0.2, beta: 0.5 },
        UnaryFn::GeluTanh,
        UnaryFn::Softplus,
        UnaryFn::Softsign,
        UnaryFn::Selu { alpha: 1.67, gamma: 1.05 },
        UnaryFn::Celu { alpha: 0.8 },
        UnaryFn::ThresholdedRelu { alpha: 0.9 },
        UnaryFn::Mish,
        UnaryFn::Shrink { lambda: 1.5, bias: 0.5 },
        UnaryFn::Floor,
        UnaryFn::Ceil,
        UnaryFn::Round,
        UnaryFn::Sin,
        UnaryFn::Cos,
    ] {
        let expected: Vec<f32> = x.iter().map(|v| function.eval(f64::from(*v)) as f32).collect();
        assert_close(&forward(&single(Unary { function }, &[s]), std::slice::from_ref(&x)), &expected);
    }
    let positive: Vec<f32> = x.iter().map(|v| v.abs() + 0.1).collect();
    for function in [
        UnaryFn::Sqrt,
        UnaryFn::Rsqrt,
        UnaryFn::Log,
        UnaryFn::Reciprocal,
        UnaryFn::Pow { exponent: 1.7 },
        UnaryFn::Pow { exponent: -0.5 },
    ] {
        let expected: Vec<f32> = positive.iter().map(|v| function.eval(f64::from(*v)) as f32).collect();
        let found = forward(&single(Unary { function }, &[s]), std::slice::from_ref(&positive));
        assert_close(&found, &expected);
    }
}

#[test]
fn either_operand_of_a_pair_is_repeated() {
    let (tall, flat) = (Shape::image(3, 1, 5), Shape::image(1, 4, 1));
    let joined = Shape::image(3, 4, 5);
    let (a, b) = (random(11, 2 * 15), random(12, 2 * 4).iter().map(|v| v + 3.0).collect::<Vec<_>>());
    type Pair = (Op, fn(f32, f32) -> f32);
    let operators: [Pair; 7] = [
        (Add { fused: Activation::Relu }.into(), |a, b| (a + b).max(0.0)),
        (Sub { fused: Activation::None }.into(), |a, b| a - b),
        (Mul { fused: Activation::Relu }.into(), |a, b| (a * b).max(0.0)),
        (Div { fused: Activation::None }.into(), |a, b| a / b),
        (MinMax { largest: true }.into(), f32::max),
        (MinMax { largest: false }.into(), f32::min),
        (SquaredDifference.into(), |a, b| (a - b) * (a - b)),
    ];
    for (op, f) in operators {
        let graph = single(op.clone(), &[tall, flat]);
        assert_eq!(graph.shape(graph.outputs[0]), joined);
        let expected = each(2, joined, |n, y, x, c| f(at(&a, tall, n, y, 0, c), at(&b, flat, n, 0, x, 0)));
        assert_close(&forward(&graph, &[a.clone(), b.clone()]), &expected);
        let swapped = single(op, &[flat, tall]);
        let expected = each(2, joined, |n, y, x, c| f(at(&b, flat, n, 0, x, 0), at(&a, tall, n, y, 0, c)));
        assert_close(&forward(&swapped, &[b.clone(), a.clone()]), &expected);
    }
}

#[test]
fn slopes_of_a_rectifier_are_repeated() {
    let s = Shape::image(3, 4, 5);
    let x = random(13, 2 * 60);
    for slopes in [Shape::vector(5), Shape::vector(1), Shape::image(3, 4, 5), Shape::image(3, 1, 5)] {
        let graph = single(PRelu { slopes }, &[s]);
        let alpha = &graph.params[0].data;
        let expected = each(2, s, |n, y, xx, c| {
            let of = |size: u32, i: i64| if size == 1 { 0 } else { i };
            let c_slope = of(slopes.c, c as i64) as usize;
            let (v, slope) =
                (at(&x, s, n, y, xx, c), at(alpha, slopes, 0, of(slopes.h, y), of(slopes.w, xx), c_slope));
            if v >= 0.0 { v } else { v * slope }
        });
        assert_close(&forward(&graph, std::slice::from_ref(&x)), &expected);
    }
    let mut graph = Graph::new("bad");
    let input = graph.add_input("x", s).unwrap();
    assert!(matches!(
        graph.push("p", PRelu { slopes: Shape::vector(4) }, &[input]),
        Err(GraphError::Op { .. })
    ));
}

#[test]
fn argmax_takes_the_first_of_equal_channels() {
    let s = Shape::image(1, 2, 3);
    let graph = single(ArgMax, &[s]);
    let device = Device::flex();
    let weights = Weights::from_graph(&graph, &device);
    let input = tensor(&[1.0, 5.0, 5.0, 2.0, 2.0, 2.0, 0.0, 1.0, 3.0, -1.0, -2.0, -1.0], 2, s, &device);
    let run = exec::run(&graph, &weights, &[input], &graph.outputs, Mode::Evaluate, &mut NoTap).unwrap();
    assert_eq!(run.int().into_data().convert::<i64>().try_into_vec::<i64>().unwrap(), [1, 0, 2, 0]);
}

#[test]
fn batch_normalisation_uses_batch_or_running_statistics() {
    let s = Shape::image(3, 2, 2);
    let mut graph = single(BatchNorm { epsilon: 1e-3 }, &[s]);
    for (p, data) in graph.params.iter_mut().zip([[2.0, 0.5], [0.1, -0.2], [0.3, 0.4], [1.5, 0.7]]) {
        p.data = data.to_vec();
    }
    let x = random(11, 24);
    let g = graph.clone();
    let normal = |mean: [f32; 2], var: [f32; 2]| -> Vec<f32> {
        let p = |i: usize, c: usize| g.params[i].data[c];
        x.iter()
            .enumerate()
            .map(|(i, v)| p(0, i % 2) * (v - mean[i % 2]) / (var[i % 2] + 1e-3).sqrt() + p(1, i % 2))
            .collect()
    };
    assert_close(&forward(&graph, std::slice::from_ref(&x)), &normal([0.3, 0.4], [1.5, 0.7]));
    let device = Device::flex().autodiff();
    let weights = Weights::from_graph(&graph, &device);
    let mut rng = Pcg64::seed_from_u64(0);
    let input = tensor(&x, 2, s, &device);
    let run =
        exec::run(&graph, &weights, &[input], &graph.outputs, Mode::Train(&mut rng), &mut NoTap).unwrap();
    let of = |c: usize| x.iter().skip(c).step_by(2).copied().collect::<Vec<f32>>();
    let mean = [0, 1].map(|c| of(c).iter().sum::<f32>() / 12.0);
    let var = [0, 1].map(|c| of(c).iter().map(|v| (v - mean[c]).powi(2)).sum::<f32>() / 12.0);
    assert_close(&run.float().into_data().try_into_vec::<f32>().unwrap(), &normal(mean, var));
    let reported: Vec<f32> = run.statistics[0].variance.clone().into_data().try_into_vec().unwrap();
    assert_close(&reported, &var);
}

/// Gradient of `Σ y · r` for fixed random `r`, with respect to the first input, against central differences.
fn check_gradient(graph: &Graph, x: &[f32]) {
    let device = Device::flex().autodiff();
    let weights = Weights::from_graph(graph, &device);
    let s = graph.shape(graph.inputs[0]);
    let y = graph.shape(*graph.outputs.last().unwrap());
    let r = random(77, 2 * y.elements());
    let loss = |input: Tensor<4>| {
        let want = &graph.outputs[graph.outputs.len() - 1..];
        let run = exec::run(graph, &weights, &[input], want, Mode::Evaluate, &mut NoTap).unwrap();
        (run.float() * tensor(&r, 2, y, &device)).sum()
    };
    let input = tensor(x, 2, s, &device).require_grad();
    let found: Vec<f32> =
        input.grad(&loss(input.clone()).backward()).unwrap().into_data().try_into_vec().unwrap();
    let step = 1e-2;
    for i in (0..x.len()).step_by(3) {
        let shifted = |d: f32| {
            let mut x = x.to_vec();
            x[i] += d;
            loss(tensor(&x, 2, s, &device)).into_scalar::<f32>()
        };
        let expected = (shifted(step) - shifted(-step)) / (2.0 * step);
        assert!((found[i] - expected).abs() < GRADIENT_TOLERANCE, "{i}: {} against {expected}", found[i]);
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let s = Shape::image(5, 4, 2);
    // Distinct values, far enough apart that no step changes which one is the largest.
    let x: Vec<f32> = (0..80).map(|i| ((i * 37) % 80) as f32 * 0.05).collect();
    for (window, padding) in windows() {
        let window = window.resolve(padding, 5, 4).unwrap();
        let conv = Conv2d { out_channels: 3, window, bias: true, fused: Activation::None };
        check_gradient(&single(conv, &[s]), &x);
        let depthwise = DepthwiseConv2d { multiplier: 2, window, bias: true, fused: Activation::None };
        check_gradient(&single(depthwise, &[s]), &x);
    }
    let window = Window::square(3, 2).padded(Pad::all(1));
    let up = TransposeConv2d {
        out_channels: 3,
        window,
        bias: true,
        bilinear: false,
        fused: Activation::None,
        extra: [0; 2],
    };
    check_gradient(&single(up, &[s]), &x);
    // Away from the kink, where a difference sees both sides.
    let apart: Vec<f32> = x.iter().map(|v| v + 0.05 * v.signum()).collect();
    check_gradient(&single(PRelu { slopes: Shape::vector(2) }, &[s]), &apart);
    let window = Window::square(3, 2).resolve(Padding::Same, 5, 4).unwrap();
    check_gradient(&single(AvgPool { window, fused: Activation::None }, &[s]), &x);
    let resize = Resize {
        mode: ResizeMode::Bilinear,
        half_pixel_centers: true,
        align_corners: false,
        out_h: 7,
        out_w: 9,
    };
    check_gradient(&single(resize, &[s]), &x);

    let moved: [Op; 8] = [
        Transpose { perm: [0, 3, 1, 2] }.into(),
        StridedSlice { begin: [0, 4, 0, 1], size: [1, 2, 3, 2], step: [1, -3, 1, -1] }.into(),
        Gather { axis: Axis::W, indices: Some(vec![3, 0, 0, 1]) }.into(),
        Tile { shape: Shape::image(5, 8, 4) }.into(),
        DepthToSpace { block: 1, order: dunlin::ops::BlockOrder::ChannelOutermost }.into(),
        SpaceToDepth { block: 1 }.into(),
        PadOp { pad: Pad::all(2), mode: PadMode::Reflect, ..PadOp::default() }.into(),
        PadOp { pad: Pad::all(1), channels: [1, 0], value: 3.0, ..PadOp::default() }.into(),
    ];
    let axes = [false, true, false, true];
    let reduced = [ReduceFn::Mean, ReduceFn::Sum, ReduceFn::Max, ReduceFn::Min];
    let reduced = reduced.map(|function| Reduce { function, axes }.into());
    for op in moved.into_iter().chain(reduced).chain([LogSoftmax.into(), L2Normalize.into()]) {
        check_gradient(&single(op, &[s]), &x);
    }

    let mut norm = single(LayerNorm { epsilon: 0.1 }, &[Shape::image(4, 2, 5)]);
    norm.params[0].data = vec![1.0, -0.5, 2.0, 0.25, 1.5];
    norm.params[1].data = vec![0.0, 0.5, -1.0, 3.0, 0.1];
    check_gradient(&norm, &x);

    let window = Window::square(2, 2).resolve(Padding::Same, 5, 4).unwrap();
    let mut graph = single(MaxPoolIndices { window }, &[s]);
    let [values, positions] = [graph.outputs[0], graph.outputs[1]];
    let unpool =
        graph.push("unpool", MaxUnpool { window, out_h: 5, out_w: 4 }, &[values, positions]).unwrap()[0];
    graph.outputs = vec![unpool];
    check_gradient(&graph, &x);
}

#[test]
fn impossible_nodes_are_refused_with_their_name() {
    let mut graph = Graph::new("bad");
    let x = graph.add_input("x", Shape::image(4, 4, 3)).unwrap();
    let y = graph.add_input("y", Shape::image(4, 5, 3)).unwrap();
    let big = Conv2d { out_channels: 2, window: Window::square(5, 1), bias: true, fused: Activation::None };
    let error = graph.push("conv", big, &[x]).unwrap_err();
    assert_eq!(error.to_string(), "node `conv` (conv2d): the window 5x5 does not fit into input 1x4x4x3");
    assert!(matches!(graph.push("sum", Add::default(), &[x, y]), Err(GraphError::Op { .. })));
    assert!(matches!(graph.push("sum", Add::default(), &[x]), Err(GraphError::Op { .. })));
    assert!(matches!(graph.push("cat", Concat { axis: Axis::C }, &[x, y]), Err(GraphError::Op { .. })));
    assert!(matches!(graph.push("id", Identity, &[ValueId(9)]), Err(GraphError::Order { .. })));
    assert!(matches!(graph.add_input("x", Shape::vector(1)), Err(GraphError::Name(_))));
    assert!(matches!(graph.add_input("z", Shape::vector(0)), Err(GraphError::Size { .. })));
    let label = graph.push("label", ArgMax, &[x]).unwrap()[0];
    assert!(matches!(graph.push("again", ArgMax, &[label]), Err(GraphError::Type { .. })));
    assert!(matches!(graph.push("label", ArgMax, &[x]), Err(GraphError::Name(_))));
    let slice = Slice { begin: [0, 3, 0], size: [1, 2, 1] };
    assert!(matches!(graph.push("cut", slice, &[x]), Err(GraphError::Op { .. })));
    assert_eq!(graph.validate(), Err(GraphError::NoOutput("bad".into())));
    graph.add_output(label);
    graph.validate().unwrap();
    graph.nodes[0].inputs[0] = label;
    assert!(graph.validate().is_err());
}

#[test]
fn dead_nodes_and_their_parameters_go() {
    let mut graph = Graph::new("dead");
    let x = graph.add_input("x", Shape::image(4, 4, 3)).unwrap();
    let dense = |n| Dense { out_features: n, bias: true, fused: Activation::None };
    let used = graph.push("used", dense(2), &[x]).unwrap()[0];
    graph.push("unused", dense(5), &[x]).unwrap();
    let last = graph.push("last", dense(4), &[used]).unwrap()[0];
    graph.add_output(last);
    graph.remove_dead();
    graph.validate().unwrap();
    let names: Vec<_> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["used", "last"]);
    assert_eq!(graph.params.len(), 4);
    assert_eq!(graph.values.len(), 3);
    assert_eq!(graph.shape(graph.outputs[0]), Shape::image(4, 4, 4));
}
