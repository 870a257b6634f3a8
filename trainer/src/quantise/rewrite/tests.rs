//! Paddings, activations and reshapes that go, and those that have to stay.

use super::drawn::drawn;
use super::testing::{Net, run, unchanged};
use super::*;
use dunlin::ops::{self, AverageRounding, Op};
use dunlin::quant::{Clamp, QParams, Requant};
use dunlin::shape::{Pad, Shape, Window};

const KEEP: RewriteOptions = RewriteOptions { keep_dead_channels: true };

/// The program after all rewrites but that of dead channels; no byte may change.
fn rewritten(program: &QGraph) -> QGraph {
    unchanged(program, |p| rewrite(p, KEEP))
}

fn names(program: &QGraph) -> Vec<&'static str> {
    program.nodes.iter().map(|n| n.op.name()).collect()
}

fn padding(net: &mut Net, x: u16, value: i8) -> u16 {
    let s = net.shape(x);
    let op = ops::Pad { before: [0, 1, 2, 0], after: [0, 0, 1, 0], value };
    net.push(Op::Pad(op), &[x], s.with_hw(s.h + 1, s.w + 3), net.zero(x))
}

/// A convolution, a padding with `value` and what `reader` makes of it.
fn padded(value: i8, clamp: Clamp, reader: impl FnOnce(&mut Net, u16) -> u16) -> QGraph {
    let (mut net, x) = Net::new(4, Shape::image(6, 6, 3), 9);
    let mut w = net.weights(9 * 3 * 4, 4);
    w.clamp = clamp;
    let a = net.conv(x, Window::square(3, 1), &w, -20);
    let p = padding(&mut net, a, value);
    let y = reader(&mut net, p);
    net.finish(&[y])
}

fn convolution(net: &mut Net, x: u16) -> u16 {
    let w = net.weights(9 * 4 * 5, 5);
    let window = Window::square(3, 2).padded(Pad { top: 0, bottom: 1, left: 1, right: 0 });
    net.conv(x, window, &w, 7)
}

fn depthwise(net: &mut Net, x: u16) -> u16 {
    let w = net.weights(9 * 4, 4);
    net.depthwise(x, Window::square(3, 2), &w, 7)
}

fn largest(net: &mut Net, x: u16, window: Window) -> u16 {
    let (h, w) = window.output(net.shape(x).h, net.shape(x).w).unwrap();
    let op = ops::MaxPool2d { window, clamp: Clamp::FULL };
    net.push(Op::MaxPool2d(op), &[x], net.shape(x).with_hw(h, w), net.zero(x))
}

#[test]
fn a_padding_with_the_zero_point_is_one_of_the_convolution() {
    let after = rewritten(&padded(-20, Clamp::FULL, convolution));
    assert_eq!((names(&after), after.rewritten.pads), (vec!["Conv2d", "Conv2d"], 1));
    let Op::Conv2d(o) = after.nodes[1].op else { panic!("{:?}", after.nodes[1].op) };
    assert_eq!(o.window.pad, Pad { top: 1, bottom: 1, left: 3, right: 1 });
    assert_eq!(after.tensors.len(), 3, "the padded copy is gone");
    assert_eq!(names(&rewritten(&padded(-20, Clamp::FULL, depthwise))), ["Conv2d", "DepthwiseConv2d"]);
    for reader in [convolution, depthwise] {
        assert_eq!(names(&rewritten(&padded(-19, Clamp::FULL, reader)))[1], "Pad", "another value");
    }
}

#[test]
fn a_padding_below_everything_is_one_of_the_maximum_pool() {
    let pool = |net: &mut Net, x| largest(net, x, Window::square(3, 2));
    assert_eq!(names(&rewritten(&padded(-128, Clamp::FULL, pool))), ["Conv2d", "MaxPool2d"]);
    // After a rectifier nothing is below zero.
    let relu = Clamp { min: -20, max: 127 };
    assert_eq!(names(&rewritten(&padded(-20, relu, pool))), ["Conv2d", "MaxPool2d"]);
    assert_eq!(names(&rewritten(&padded(-20, Clamp::FULL, pool)))[1], "Pad");
    // Its first window lies in the padding alone, which a pool cannot do.
    let small = |net: &mut Net, x| largest(net, x, Window::square(2, 1));
    assert_eq!(names(&rewritten(&padded(-128, Clamp::FULL, small)))[1], "Pad");
}

#[test]
fn a_padding_stays_where_another_reader_needs_it() {
    let average = |net: &mut Net, x: u16| {
        let window = Window::square(3, 1);
        let (h, w) = window.output(net.shape(x).h, net.shape(x).w).unwrap();
        let rounding = AverageRounding::HalfAwayFromZero;
        let op = ops::AveragePool2d { window, clamp: Clamp::FULL, rounding };
        net.push(Op::AveragePool2d(op), &[x], net.shape(x).with_hw(h, w), net.zero(x))
    };
    assert_eq!(names(&rewritten(&padded(-20, Clamp::FULL, average)))[1], "Pad");
    let both = |net: &mut Net, x| {
        let a = average(net, x);
        net.program.outputs.push(a);
        convolution(net, x)
    };
    let mut program = padded(-20, Clamp::FULL, both);
    program.outputs.push(3);
    assert_eq!(names(&rewritten(&program))[1], "Pad");
    let mut program = padded(-20, Clamp::FULL, convolution);
    program.outputs.push(2);
    assert_eq!(names(&rewritten(&program))[1], "Pad", "it is an output");
    let pointwise = |net: &mut Net, x| {
        let w = net.weights(4 * 5, 5);
        net.conv(x, Window::square(1, 1), &w, 7)
    };
    assert_eq!(names(&rewritten(&padded(-20, Clamp::FULL, pointwise)))[1], "Pad", "a product of matrices");
}

/// A dense layer limited to -50 to 90 and what `activation` makes of it.
fn activated(activation: impl FnOnce(&mut Net, u16) -> u16) -> QGraph {
    let (mut net, x) = Net::new(4, Shape::rows(5, 6), 9);
    let mut w = net.weights(6 * 4, 4);
    w.clamp = Clamp { min: -50, max: 90 };
    let a = net.dense(x, &w, -20);
    let y = activation(&mut net, a);
    net.finish(&[y])
}

fn table(net: &mut Net, x: u16, f: impl Fn(i32) -> i32, zero: i16) -> u16 {
    let table: Vec<i8> = (-128..=127).map(|q| f(q) as i8).collect();
    net.table(x, &table, zero)
}

fn range(program: &QGraph) -> Clamp {
    let Op::Dense(o) = program.nodes[0].op else { panic!("{:?}", program.nodes[0].op) };
    o.filter.clamp
}

#[test]
fn an_activation_that_limits_is_part_of_the_layer_before_it() {
    let minimum = |net: &mut Net, x: u16| {
        let limit = net.constant(Shape::vector(1), -20, &[33]);
        net.push(Op::MinMax(ops::MinMax { largest: false }), &[x, limit], net.shape(x), -20)
    };
    let maximum = |net: &mut Net, x: u16| {
        let limit = net.constant(Shape::vector(4), -20, &[-20; 4]);
        net.push(Op::MinMax(ops::MinMax { largest: true }), &[limit, x], net.shape(x), -20)
    };
    let same_scale = |net: &mut Net, x: u16| {
        let scale = Requant::from_real(1.0).unwrap();
        net.push(Op::Requantize(ops::Requantize { scale }), &[x], net.shape(x), -20)
    };
    type Case = (QGraph, (i8, i8));
    let cases: [Case; 6] = [
        (activated(|net, x| table(net, x, |q| q.clamp(-20, 40), -20)), (-20, 40)),
        // What the table says of values that do not occur is of no account.
        (activated(|net, x| table(net, x, |q| if q < -50 { 7 } else { q.min(60) }, -20)), (-50, 60)),
        (activated(|net, x| table(net, x, |_| 5, -20)), (5, 5)),
        (activated(minimum), (-50, 33)),
        (activated(maximum), (-20, 90)),
        (activated(same_scale), (-50, 90)),
    ];
    for (program, (min, max)) in cases {
        let after = rewritten(&program);
        assert_eq!((names(&after), after.rewritten.clamps), (vec!["Dense"], 1));
        assert_eq!(range(&after), Clamp { min, max });
        assert!(after.data.len() < program.data.len() || names(&program)[1] == "Requantize");
        assert_eq!(after.tensors.len(), 2);
    }
}

#[test]
fn an_activation_that_does_more_than_limit_stays() {
    let differing = |net: &mut Net, x: u16| {
        let limit = net.constant(Shape::vector(4), -20, &[-20, -20, -20, 0]);
        net.push(Op::MinMax(ops::MinMax { largest: true }), &[limit, x], net.shape(x), -20)
    };
    let scaled = |net: &mut Net, x: u16| {
        let scale = Requant::from_real(1.01).unwrap();
        net.push(Op::Requantize(ops::Requantize { scale }), &[x], net.shape(x), -20)
    };
    let programs = [
        activated(|net, x| table(net, x, |q| q / 2, -20)),
        activated(|net, x| table(net, x, |q| q.clamp(-20, 40), -21)),
        activated(|net, x| table(net, x, |q| if q == 17 { 18 } else { q }, -20)),
        activated(differing),
        activated(scaled),
    ];
    for program in programs {
        assert_eq!(names(&rewritten(&program)), names(&program));
    }
    let mut program = activated(|net, x| table(net, x, |q| q.clamp(-20, 40), -20));
    program.outputs.push(1);
    assert_eq!(names(&rewritten(&program)), ["Dense", "Lut"], "the value before it is an output");
}

#[test]
fn a_reshape_to_the_same_goes_and_any_other_stays() {
    let reshape = |net: &mut Net, x: u16, shape, scale| {
        let y = net.push(Op::Reshape(ops::Reshape {}), &[x], shape, -20);
        net.program.tensors[usize::from(y)].quant = QParams { scale, zero_point: -20 };
        y
    };
    let after = rewritten(&activated(|net, x| reshape(net, x, net.shape(x), 0.5)));
    assert_eq!((names(&after), after.rewritten.reshapes), (vec!["Dense"], 1));
    for program in [
        activated(|net, x| reshape(net, x, net.shape(x), 0.25)),
        activated(|net, x| reshape(net, x, Shape::rows(4, 5), 0.5)),
    ] {
        assert_eq!(names(&rewritten(&program)), ["Dense", "Reshape"]);
    }
    let (mut net, x) = Net::new(4, Shape::rows(5, 6), 9);
    let y = reshape(&mut net, x, Shape::rows(5, 6), 0.5);
    net.program.tensors[usize::from(y)].quant.zero_point = 9;
    assert_eq!(names(&rewritten(&net.finish(&[y]))), ["Reshape"], "from input to output");
}

#[test]
fn drawn_networks_keep_their_bytes_through_all_rewrites() {
    const NETWORKS: u64 = 600;
    let mut total = Rewritten::default();
    for seed in 1000..1000 + NETWORKS {
        let after = unchanged(&drawn(seed), |p| rewrite(p, RewriteOptions::default()));
        let done = after.rewritten;
        total.pads += done.pads;
        total.clamps += done.clamps;
        total.reshapes += done.reshapes;
        total.dead.channels += done.dead.channels;
    }
    let few = |count: usize| count < 20;
    assert!(
        ![total.pads, total.clamps, total.reshapes, total.dead.channels].into_iter().any(few),
        "{total:?}"
    );
}

#[test]
fn a_program_that_the_runtime_refuses_stays_as_it_is() {
    let mut program = padded(-20, Clamp::FULL, convolution);
    program.tensors[3].shape.h += 1;
    let (nodes, tensors) = (program.nodes.clone(), program.tensors.clone());
    rewrite(&mut program, RewriteOptions::default());
    assert_eq!((program.nodes, program.tensors, program.rewritten), (nodes, tensors, Rewritten::default()));
}

#[test]
fn drawn_networks_are_not_all_constant() {
    let lively = (1000..1100).filter(|&seed| {
        let outputs = run(&drawn(seed), 2);
        outputs[0] != outputs[1]
    });
    assert!(lively.count() > 30);
}
