//! What operators that move or reduce elements ask for.

use crate::{QUANT, operator_fault, refused, single, tensor};
use dunlin::format::{DType, DataSection, Place, Tensor};
use dunlin::ops::*;
use dunlin::quant::{QParams, Requant};
use dunlin::shape::{Pad as Border, Shape};
use dunlin::{NodeFault, ParseError};

fn none() -> DataSection {
    DataSection::new()
}

#[test]
fn axes_and_steps() {
    let x = tensor(Shape::image(2, 3, 4), 0);
    for perm in [[0, 1, 2, 2], [0, 1, 2, 4], [3; 4]] {
        let op = Op::Transpose(Transpose { perm });
        assert_eq!(operator_fault(op, &[x], x, none()), NodeFault::Attribute, "{perm:?}");
    }
    let expected = NodeFault::OutputShape { found: x.shape, expected: Shape::image(3, 2, 4) };
    let op = Op::Transpose(Transpose { perm: [0, 2, 1, 3] });
    assert_eq!(operator_fault(op, &[x], x, none()), expected);
    let slice = |begin, step| Op::StridedSlice(StridedSlice { begin, step });
    let out = tensor(Shape::image(1, 2, 1), 0);
    assert_eq!(operator_fault(slice([0; 4], [1, 1, 0, 1]), &[x], out, none()), NodeFault::Attribute);
    let outside = NodeFault::InputShape(x.shape);
    for (begin, step) in [(2, 1), (0, 3), (0, -1), (3, -1), (u32::MAX, -1), (0, i32::MAX), (1, i32::MIN)] {
        let op = slice([0, 0, begin, 0], [1, 1, step, 1]);
        assert_eq!(operator_fault(op, &[x], out, none()), outside, "{begin} {step}");
    }
    let other = Tensor { quant: QParams { scale: 0.25, ..QUANT }, ..x };
    for op in [slice([0; 4], [1; 4]), Op::Tile(Tile {}), Op::Transpose(Transpose { perm: [0, 1, 2, 3] })] {
        assert_eq!(operator_fault(op, &[x], other, none()), NodeFault::Quantisation(0));
    }
}

#[test]
fn mirrors_tiles_and_blocks_that_do_not_fit() {
    let x = tensor(Shape::image(2, 3, 4), 0);
    let outside = NodeFault::InputShape(x.shape);
    for (mirror, widest) in [(Mirror::Reflect, 2), (Mirror::Symmetric, 3)] {
        for (before, after) in [(widest + 1, 0), (0, widest + 1), (u16::MAX, 0)] {
            let op = MirrorPad { before: [0, 0, before, 0], after: [0, 0, after, 0], mirror };
            assert_eq!(operator_fault(Op::MirrorPad(op), &[x], x, none()), outside);
        }
    }
    let tiled = tensor(Shape::image(2, 4, 4), 0);
    assert_eq!(operator_fault(Op::Tile(Tile {}), &[x], tiled, none()), outside);
    for block in [0, 3, u16::MAX] {
        let deep = Op::DepthToSpace(DepthToSpace { block, order: BlockOrder::ChannelInnermost });
        assert_eq!(operator_fault(deep, &[x], x, none()), outside, "{block}");
        let flat = Op::SpaceToDepth(SpaceToDepth { block });
        assert_eq!(operator_fault(flat, &[x], x, none()), outside, "{block}");
    }
    for block in [[0, 1], [1, 0], [1, 2], [u16::MAX; 2]] {
        let op = Op::SpaceToBatch(SpaceToBatch { block, pad: Border::NONE });
        assert_eq!(operator_fault(op, &[x], x, none()), outside, "{block:?}");
        let op = Op::BatchToSpace(BatchToSpace { block, crop: Border::NONE });
        assert_eq!(operator_fault(op, &[x], x, none()), outside, "{block:?}");
    }
    let beyond = Border { top: 1, ..Border::NONE };
    let op = Op::BatchToSpace(BatchToSpace { block: [1, 1], crop: beyond });
    assert_eq!(operator_fault(op, &[x], x, none()), outside);
}

#[test]
fn constant_indices_outside() {
    let x = tensor(Shape::image(2, 3, 4), 0);
    let out = tensor(Shape::image(2, 2, 4), 0);
    let op = Op::Gather(Gather { axis: Axis::W });
    let real = Tensor { dtype: DType::F32, shape: Shape::vector(2), ..x };
    assert_eq!(operator_fault(op, &[x, real], out, none()), NodeFault::DType(1));
    let dtype = DType::I32;
    let computed = Tensor { dtype, shape: Shape::vector(3), quant: QParams::UNIT, ..x };
    let expected = NodeFault::OutputShape { found: out.shape, expected: x.shape };
    assert_eq!(operator_fault(op, &[x, computed], out, none()), expected);
    for index in [3, -1, i32::MIN, i32::MAX] {
        let mut data = none();
        let place = Place::Data(data.push(&[2, index]).0);
        let constant = Tensor { place, shape: Shape::vector(2), ..computed };
        let mut spec = single(op, &[x, constant], out, data);
        spec.inputs = vec![0];
        let fault = NodeFault::Index { at: 1, found: index as u32 };
        assert_eq!(refused(&spec), ParseError::Node { node: 0, fault });
    }
}

#[test]
fn reductions_and_their_factors() {
    let x = tensor(Shape::image(2, 3, 4), 0);
    let mean = |factor| Op::ReduceSum(ReduceSum { axes: [false, true, true, false], factor });
    let out = tensor(Shape::vector(4), 0);
    for (multiplier, shift) in [(-1, 0), (i32::MIN, 0), (1, -32), (1, 31)] {
        let fault = operator_fault(mean(Requant { multiplier, shift }), &[x], out, none());
        assert_eq!(fault, NodeFault::Requant { channel: 0 }, "{multiplier} {shift}");
    }
    let good = Requant { multiplier: 1, shift: -31 };
    let expected = NodeFault::OutputShape { found: x.shape, expected: out.shape };
    assert_eq!(operator_fault(mean(good), &[x], x, none()), expected);
    let labels = Tensor { dtype: DType::U8, quant: QParams::UNIT, ..x };
    assert_eq!(operator_fault(mean(good), &[labels], out, none()), NodeFault::DType(0));
    let real = Tensor { dtype: DType::F32, shape: Shape::image(1, 2, 3), ..x };
    let extreme = Op::ReduceExtreme(ReduceExtreme { axes: [true; 4], largest: true });
    assert_eq!(operator_fault(extreme, &[real], real, none()), NodeFault::DType(0));
    let search = Op::ArgExtreme(ArgExtreme { axis: Axis::C, largest: true });
    assert_eq!(operator_fault(search, &[real], real, none()), NodeFault::DType(0));
    let narrow = tensor(Shape::image(2, 3, 1), 0);
    assert_eq!(operator_fault(search, &[x], narrow, none()), NodeFault::DType(1));
}

#[test]
fn norms_have_the_scale_of_the_reference() {
    let x = tensor(Shape::rows(2, 3), 0);
    let norm = Op::L2Normalize(L2Normalize { value_first: false });
    assert_eq!(operator_fault(norm, &[x], x, none()), NodeFault::Quantisation(1));
    let logarithm = |difference: i32, reverse| {
        let mut data = DataSection::new();
        let (exp, difference) = (data.push(&[i32::MAX; 256]), data.push(&[difference; 256]));
        (Op::LogSoftmax(LogSoftmax { exp, difference, reverse, radius: 255 }), data)
    };
    let half = Requant { multiplier: 1 << 30, shift: 0 };
    let (op, data) = logarithm(0, half);
    assert_eq!(operator_fault(op, &[x], x, data), NodeFault::Quantisation(1));
    let out = Tensor { quant: QParams { scale: 1.0 / 16.0, zero_point: 127 }, ..x };
    let (op, data) = logarithm(1, half);
    assert_eq!(operator_fault(op, &[x], out, data), NodeFault::Index { at: 0, found: 1 });
    let (op, data) = logarithm(0, Requant { multiplier: 1 << 30, shift: 1 });
    assert_eq!(operator_fault(op, &[x], out, data), NodeFault::Attribute);
    let (op, data) = logarithm(0, Requant { multiplier: 1, shift: 0 });
    assert_eq!(operator_fault(op, &[x], out, data), NodeFault::Requant { channel: 0 });
    let wide = Tensor { place: Place::State(0), ..tensor(Shape::vector(33_026), 0) };
    let mut spec = single(norm, &[wide], wide, none());
    spec.state_len = 2 * 33_040;
    spec.tensors[1].place = Place::State(33_040);
    let fault = NodeFault::Reduction { found: 33_026, limit: 33_025 };
    assert_eq!(refused(&spec), ParseError::Node { node: 0, fault });
}

#[test]
fn layer_norms_and_their_constants() {
    let x = tensor(Shape::rows(2, 3), 0);
    let norm = |gamma: &[i16], beta: &[i32], epsilon, scale| {
        let mut data = DataSection::new();
        let (gamma, beta) = (data.push(gamma), data.push(beta));
        (Op::LayerNorm(LayerNorm { gamma, beta, epsilon, scale }), data)
    };
    let good = Requant { multiplier: 1 << 30, shift: -20 };
    let (gamma, beta) = ([1i16, -32_767, 32_767], [0, 1 << 30, -(1 << 30)]);
    let fault = |(op, data), out| operator_fault(op, &[x], out, data);
    let wide = tensor(Shape::rows(2, 4), 0);
    let expected = NodeFault::OutputShape { found: wide.shape, expected: x.shape };
    assert_eq!(fault(norm(&gamma, &beta, 0, good), wide), expected);
    let (op, data) = norm(&gamma, &beta, 1 << 62, good);
    assert!(dunlin::format::encode(&single(op, &[x], x, data)).is_ok());
    assert_eq!(fault(norm(&gamma, &beta, (1 << 62) + 1, good), x), NodeFault::Attribute);
    let index = |at, found: i32| NodeFault::Index { at, found: found as u32 };
    assert_eq!(fault(norm(&[0, i16::MIN, 0], &beta, 0, good), x), index(1, i32::from(i16::MIN)));
    for outside in [(1 << 30) + 1, -(1 << 30) - 1, i32::MIN] {
        assert_eq!(fault(norm(&gamma, &[0, 0, outside], 0, good), x), index(2, outside));
    }
    for (multiplier, shift) in [(-1, 0), (1, 0), (1 << 30, 31), (1 << 30, -32)] {
        let bad = Requant { multiplier, shift };
        assert_eq!(fault(norm(&gamma, &beta, 0, bad), x), NodeFault::Requant { channel: 0 });
    }
    let long = tensor(Shape::rows(1, 4097), 0);
    let (op, data) = norm(&[1; 4097], &[0; 4097], 0, good);
    let mut spec = single(op, &[long], long, data);
    (spec.tensors[1].place, spec.arena_len) = (Place::Arena(4112), 8224);
    let fault_of_long = NodeFault::Reduction { found: 4097, limit: 4096 };
    assert_eq!(refused(&spec), ParseError::Node { node: 0, fault: fault_of_long });
    let labels = Tensor { dtype: DType::U8, quant: QParams::UNIT, ..x };
    let (op, data) = norm(&gamma, &beta, 0, good);
    assert_eq!(operator_fault(op, &[labels], x, data), NodeFault::DType(0));
    let (op, data) = norm(&gamma, &[], 0, good);
    assert!(matches!(operator_fault(op, &[x], x, data), NodeFault::Constant { .. }));
}
