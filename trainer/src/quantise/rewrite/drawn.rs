//! Networks drawn at random, with dead channels, superfluous paddings, activations and reshapes.

use super::testing::{Net, Weights};
use crate::quantise::QGraph;
use dunlin::ops::{self, AverageRounding, Op};
use dunlin::quant::{Clamp, Requant};
use dunlin::shape::{Pad, Shape, Window};

/// Sets the weights of these outputs, `per` each, to the zero point.
pub(super) fn kill(w: &mut Weights, per: usize, dead: &[usize]) {
    dead.iter().for_each(|&o| w.weights[o * per..(o + 1) * per].fill(w.zero));
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
    Some(match net.range(0, 17) {
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
        10 | 16 | 17 => {
            // Often what a convolution or a maximum pool pads with.
            let value = [own as i8, i8::MIN, net.range(-128, 127) as i8][net.range(0, 2) as usize];
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
        12 => net.push(Op::Reshape(ops::Reshape {}), &[x], shape, own),
        13 => {
            // An activation: a range as a table, or as a minimum.
            let (low, high) = (net.range(-128, 0), net.range(0, 127));
            let table: Vec<i8> = (-128..=127).map(|q: i32| q.clamp(low, high) as i8).collect();
            net.table(x, &table, own)
        }
        14 => {
            let limit = net.range(-60, 100) as i8;
            let limit = net.constant(Shape::vector(1), own, &[limit]);
            net.push(Op::MinMax(ops::MinMax { largest: false }), &[x, limit], shape, own)
        }
        _ => {
            let factor = Requant::from_real(1.0 / shape.pixels() as f64).unwrap();
            let op = ops::ReduceSum { axes: [false, true, true, false], factor };
            net.push(Op::ReduceSum(op), &[x], Shape::vector(shape.c), zero)
        }
    })
}

/// A network of six nodes and a dense layer.
pub(super) fn drawn(seed: u64) -> QGraph {
    let (mut net, mut x) = Net::new(seed, Shape::image(6, 7, 3), (seed % 255) as i16 - 127);
    let mut tensors = vec![x];
    for _ in 0..6 {
        // Mostly a chain, sometimes a branch.
        let last = tensors.len() as i32 - 1;
        let from = if net.range(0, 3) == 0 { tensors[net.range(0, last) as usize] } else { x };
        if let Some(y) = step(&mut net, from) {
            x = y;
            tensors.push(y);
        }
    }
    let w = net.weights(4 * net.shape(x).c as usize, 4);
    let y = net.dense(x, &w, 0);
    net.finish(&[y])
}
