use super::super::drawn::{drawn, kill};
use super::super::testing::{Net, run, unchanged};
use super::*;
use dunlin::ops::{self, Op};
use dunlin::quant::Clamp;
use dunlin::shape::{Pad, Shape, Window};

fn folded(program: &QGraph) -> (QGraph, Folded) {
    let mut done = Folded::default();
    let after = unchanged(program, |p| done = fold(p));
    (after, done)
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

#[test]
fn drawn_networks_lose_channels_and_no_byte_changes() {
    const NETWORKS: u64 = 400;
    let (mut smaller, mut gone, mut lively) = (0, 0, 0);
    for seed in 0..NETWORKS {
        let program = drawn(seed);
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
