use super::super::testing::{Net, Weights, run, unchanged};
use super::*;
use dunlin::ops::{self, AverageRounding, Op};
use dunlin::quant::{Clamp, Requant};
use dunlin::shape::{Pad, Shape, Window};

fn folded(program: &QGraph) -> (QGraph, Folded) {
    let mut done = Folded::default();
    let after = unchanged(program, |p| done = fold(p));
    (after, done)
}

/// Sets the weights of these outputs, `per` each, to the zero point.
fn kill(w: &mut Weights, per: usize, dead: &[usize]) {
    dead.iter().for_each(|&o| w.weights[o * per..(o + 1) * per].fill(w.zero));
}

fn channels(program: &QGraph) -> Vec<u32> {
    program.tensors.iter().map(|t| t.shape.c).collect()
}

/// A dead channel that is the zero point or not, read by a convolution with this padding.
fn one_dead_channel(zero: bool, pad: u16, weight_zero: i8) -> QGraph {
    let (mut net, x) = Net::new(3, Shape::image(6, 5, 2), 9);
    let mut w = net.weights(4 * 2, 4);
    kill(&mut w, 2, &[1]);
    w.bias[1] = if zero { 0 } else { 40_000 };
    let a = net.conv(x, Window::square(1, 1), &w, 12);
    let mut w = net.weights(3 * 9 * 4, 3);
    w.zero = weight_zero;
    let y = net.conv(a, Window::square(3, 1).padded(Pad::all(pad)), &w, -5);
    net.finish(&[y])
}

#[test]
fn a_constant_goes_into_the_bias_where_no_border_cuts_it() {
    for (zero, pad, weight_zero, gone) in [
        (true, 1, 0, 1),
        (true, 0, 0, 1),
        (false, 0, 0, 1),
        (false, 1, 0, 0),
        (false, 0, 7, 1),
        (true, 2, -4, 1),
    ] {
        let program = one_dead_channel(zero, pad, weight_zero);
        let (after, done) = folded(&program);
        assert_eq!(after.data.len() < program.data.len(), gone > 0, "the section of constants");
        assert_eq!(done.channels, gone, "zero {zero}, padding {pad}, weight zero {weight_zero}");
        assert_eq!(channels(&after), [2, 4 - gone as u32, 3]);
        let pixels = 30 - if pad == 0 { 18 } else { 0 };
        if gone == 1 && pad < 2 {
            assert_eq!(done.macs, 30 * 2 + pixels * 9 * 3);
        }
    }
}

/// A dead channel that is one step from zero, a padded depthwise convolution whose border the rounding or the clamp hides
/// or does not, and a layer that reads it.
fn border(weight: i8, clamp: Clamp) -> QGraph {
    let (mut net, x) = Net::new(8, Shape::image(5, 5, 3), 0);
    let mut w = net.weights(3 * 3, 3);
    kill(&mut w, 3, &[2]);
    w.bias = vec![100, -200, 2_000_000];
    w.clamp = Clamp { min: -128, max: 1 };
    let a = net.conv(x, Window::square(1, 1), &w, 0);
    let mut w = net.weights(9 * 3, 3);
    w.weights.iter_mut().skip(2).step_by(3).for_each(|w| *w = weight);
    w.bias[2] = 0;
    w.clamp = clamp;
    let b = net.depthwise(a, Window::square(3, 1).padded(Pad::all(1)), &w, 3);
    let w = net.weights(4 * 3, 4);
    let y = net.conv(b, Window::square(1, 1), &w, 1);
    net.finish(&[y])
}

#[test]
fn a_border_that_rounding_or_the_clamp_hides_is_none() {
    // Sums of 4, 6 and 9 times the weight, times 0.02 at most: 0 for all of them.
    assert_eq!(folded(&border(1, Clamp::FULL)).1.channels, 1);
    assert_eq!(folded(&border(90, Clamp { min: 3, max: 3 })).1.channels, 1);
    // The clamp cuts all of them off.
    let negative = folded(&border(-90, Clamp { min: 3, max: 60 }));
    assert_eq!((negative.1.channels, channels(&negative.0)), (1, vec![3, 2, 2, 4]));
    // The runtime's own values differ at the border, so the channel stays.
    let program = border(90, Clamp::FULL);
    assert_eq!(folded(&program).1, Folded::default());
}

#[test]
fn a_network_of_dead_channels_keeps_one_of_each_tensor_and_its_outputs() {
    let (mut net, x) = Net::new(1, Shape::image(4, 4, 3), -7);
    let mut w = net.weights(5 * 3, 5);
    kill(&mut w, 3, &[0, 1, 2, 3, 4]);
    let a = net.conv(x, Window::square(1, 1), &w, 20);
    let w = net.weights(6 * 5, 6);
    let y = net.dense(a, &w, -3);
    let (after, done) = folded(&net.finish(&[y]));
    assert_eq!((channels(&after), done.channels), (vec![3, 1, 6], 4));
}

#[test]
fn channels_that_nobody_reads_go_and_a_reader_that_is_no_layer_keeps_them() {
    let build = |softmax: bool| {
        let (mut net, x) = Net::new(2, Shape::image(4, 4, 3), 4);
        let w = net.weights(4 * 3, 4);
        let a = net.conv(x, Window::square(1, 1), &w, 20);
        let mut w = net.weights(6 * 4, 6);
        w.weights.iter_mut().skip(2).step_by(4).for_each(|w| *w = 0);
        let y = net.dense(a, &w, -3);
        let z = net.push(Op::ArgMax(ops::ArgMax {}), &[a], net.shape(a).with_c(1), 0);
        net.program.tensors[usize::from(z)].dtype = DType::U8;
        if !softmax {
            net.program.nodes.pop();
            net.program.tensors.pop();
            return net.finish(&[y]);
        }
        net.finish(&[y, z])
    };
    let (after, done) = folded(&build(false));
    assert_eq!((channels(&after), done.channels), (vec![3, 3, 6], 1));
    assert_eq!(folded(&build(true)).1, Folded::default());
}

#[test]
fn labels_keep_all_their_scores() {
    let (mut net, x) = Net::new(6, Shape::image(4, 4, 3), 4);
    let mut w = net.weights(4 * 3, 4);
    kill(&mut w, 3, &[0, 2]);
    let a = net.conv(x, Window::square(1, 1), &w, 20);
    let mut w = net.weights(5 * 4, 5);
    kill(&mut w, 4, &[1]);
    let y = net.conv(a, Window::square(1, 1), &w, 0);
    if let Some(Op::Conv2d(o)) = net.program.nodes.last_mut().map(|n| &mut n.op) {
        o.labels = Some(ops::LabelScores { channels: 5, zero_point: -3 });
    }
    let labels = &mut net.program.tensors[usize::from(y)];
    (labels.dtype, labels.shape.c) = (DType::U8, 1);
    let program = net.finish(&[y]);
    let labels: Vec<u8> = run(&program, 2).concat();
    assert!(labels.iter().any(|l| *l != labels[0]), "one label everywhere proves nothing");
    let (after, done) = folded(&program);
    assert_eq!((channels(&after), done.channels), (vec![3, 2, 1], 2));
}

#[test]
fn a_program_without_dead_channels_is_not_touched() {
    let (mut net, x) = Net::new(6, Shape::image(4, 4, 3), 4);
    let w = net.weights(4 * 3, 4);
    let y = net.conv(x, Window::square(1, 1), &w, 20);
    let program = net.finish(&[y]);
    let (after, done) = folded(&program);
    assert_eq!((after.data.len(), done), (program.data.len(), Folded::default()));
    assert_eq!(after.nodes, program.nodes);
}

/// Draws a window that fits.
fn window(net: &mut Net, x: u16, largest_pad: i32) -> Option<Window> {
    let mut draw = |low, high| net.range(low, high) as u16;
    let pad = |draw: &mut dyn FnMut(i32, i32) -> u16| draw(0, largest_pad);
    let window = Window {
        kernel_h: draw(1, 3),
        kernel_w: draw(1, 3),
        stride_h: draw(1, 2),
        stride_w: draw(1, 2),
        dilation_h: 1 + draw(0, 3) / 3,
        dilation_w: 1 + draw(0, 3) / 3,
        pad: Pad { top: pad(&mut draw), bottom: pad(&mut draw), left: pad(&mut draw), right: pad(&mut draw) },
    };
    window.output(net.shape(x).h, net.shape(x).w).map(|_| window)
}

/// Drawn weights `[outputs, taps, inputs]`, some outputs dead, some reading few inputs, some constants large.
fn layer(net: &mut Net, outputs: usize, taps: usize, inputs: usize) -> Weights {
    let mut w = net.weights(outputs * taps * inputs, outputs);
    w.zero = [0, 0, 5][net.range(0, 2) as usize];
    for o in 0..outputs {
        match net.range(0, 4) {
            0 => kill(&mut w, taps * inputs, &[o]),
            1 => {
                let read = net.range(0, inputs as i32 - 1) as usize;
                let own = &mut w.weights[o * taps * inputs..(o + 1) * taps * inputs];
                own.iter_mut().enumerate().filter(|(k, _)| k % inputs != read).for_each(|(_, v)| *v = w.zero);
            }
            _ => {}
        }
        if net.range(0, 2) == 0 {
            w.bias[o] *= 10;
        }
    }
    let unread = net.range(0, 2 * inputs as i32) as usize;
    w.weights.iter_mut().enumerate().filter(|(k, _)| k % inputs == unread).for_each(|(_, v)| *v = w.zero);
    let low = net.range(-128, 20) as i8;
    w.clamp = Clamp { min: low, max: net.range(i32::from(low), 127) as i8 };
    w
}

/// Adds one drawn node that reads `x`; the tensor that it writes.
fn step(net: &mut Net, x: u16) -> Option<u16> {
    let (shape, own) = (net.shape(x), net.zero(x));
    let zero = net.range(-128, 127) as i16;
    let c = shape.c as usize;
    let factor = |net: &mut Net| Requant::from_real(f64::from(net.range(50, 1500)) / 1000.0).unwrap();
    let like = |net: &mut Net| {
        let table: Vec<i8> = (0..256).map(|_| net.range(-128, 127) as i8).collect();
        net.table(x, &table, own)
    };
    Some(match net.range(0, 12) {
        0..=2 => {
            let (outputs, window) = (net.range(2, 6) as usize, window(net, x, 2)?);
            let w = layer(net, outputs, window.taps(), c);
            net.conv(x, window, &w, zero)
        }
        3 | 4 => {
            let (multiplier, window) = (net.range(1, 2) as usize, window(net, x, 2)?);
            let mut w = layer(net, c * multiplier, window.taps(), 1);
            // Drawn as `[outputs, taps]`, stored as `[taps, outputs]`.
            let (taps, outputs) = (window.taps(), c * multiplier);
            let old = w.weights.clone();
            w.weights = (0..taps * outputs).map(|k| old[k % outputs * taps + k / outputs]).collect();
            net.depthwise(x, window, &w, zero)
        }
        5 => {
            let outputs = net.range(2, 6) as usize;
            let w = layer(net, outputs, 1, c);
            net.dense(x, &w, zero)
        }
        6 => {
            let other = like(net);
            let inputs = [factor(net), factor(net)];
            let output = Requant::from_real(2e-6).unwrap();
            let op = ops::Add { inputs, output, left_shift: 20, clamp: Clamp::FULL };
            net.push(Op::Add(op), &[x, other], shape, zero)
        }
        7 => {
            let values: Vec<i8> = (0..c).map(|_| net.range(-128, 127) as i8).collect();
            let other = net.constant(Shape::vector(c as u32), 3, &values);
            let output = Requant::from_real(0.02).unwrap();
            net.push(Op::Mul(ops::Mul { output, clamp: Clamp::FULL }), &[x, other], shape, zero)
        }
        8 => {
            let scale = factor(net);
            net.push(Op::Requantize(ops::Requantize { scale }), &[x], shape, zero)
        }
        9 => {
            let window = Window { dilation_h: 1, dilation_w: 1, ..window(net, x, 0)? };
            let (h, w) = window.output(shape.h, shape.w)?;
            let clamp = Clamp { min: -90, max: 100 };
            let rounding = AverageRounding::HalfAwayFromZero;
            let op = match net.range(0, 1) {
                0 => Op::MaxPool2d(ops::MaxPool2d { window, clamp }),
                _ => Op::AveragePool2d(ops::AveragePool2d { window, clamp, rounding }),
            };
            net.push(op, &[x], shape.with_hw(h, w), own)
        }
        10 => {
            let value = net.range(-128, 127) as i8;
            let op = ops::Pad { before: [0, 1, 0, 0], after: [0, 0, 2, 0], value };
            net.push(Op::Pad(op), &[x], shape.with_hw(shape.h + 1, shape.w + 2), own)
        }
        11 => {
            let other = like(net);
            net.push(
                Op::Concat(ops::Concat { axis: ops::Axis::C }),
                &[x, other],
                shape.with_c(2 * shape.c),
                own,
            )
        }
        _ => {
            let factor = Requant::from_real(1.0 / shape.pixels() as f64).unwrap();
            let op = ops::ReduceSum { axes: [false, true, true, false], factor };
            net.push(Op::ReduceSum(op), &[x], Shape::vector(shape.c), zero)
        }
    })
}

#[test]
fn drawn_networks_lose_channels_and_no_byte_changes() {
    const NETWORKS: u64 = 400;
    let (mut smaller, mut gone, mut lively) = (0, 0, 0);
    for seed in 0..NETWORKS {
        let (mut net, mut x) = Net::new(seed, Shape::image(6, 7, 3), (seed % 255) as i16 - 127);
        let mut tensors = vec![x];
        for _ in 0..6 {
            // Mostly a chain, sometimes a branch.
            let from = if net.range(0, 3) == 0 {
                tensors[net.range(0, tensors.len() as i32 - 1) as usize]
            } else {
                x
            };
            if let Some(y) = step(&mut net, from) {
                x = y;
                tensors.push(y);
            }
        }
        let w = net.weights(4 * net.shape(x).c as usize, 4);
        let y = net.dense(x, &w, 0);
        let program = net.finish(&[y]);
        let (after, done) = folded(&program);
        let outputs = run(&program, 2);
        lively += usize::from(outputs[0] != outputs[1]);
        assert!(after.tensors.iter().all(|t| t.shape.c > 0));
        smaller += usize::from(done.channels > 0);
        gone += done.channels;
    }
    // Otherwise the test would prove nothing.
    assert!(smaller > NETWORKS as usize / 4, "{smaller} networks lost {gone} channels");
    assert!(lively > NETWORKS as usize / 3, "{lively} networks depend on their input");
}
