//! What each operator asks of its operands, attributes, constants and scratch.

use crate::{QUANT, lut, operator_fault, refused, single, tensor};
use dunlin::format::{Blob, DType, DataSection, EncodeError, Place, Scratch, Tensor, encode};
use dunlin::ops::*;
use dunlin::quant::{Clamp, QParams, Requant};
use dunlin::shape::{Shape, Window};
use dunlin::{NodeFault, ParseError};

fn filter(data: &mut DataSection, weights: usize, channels: usize) -> Filter {
    Filter {
        weights: data.push(&vec![1i8; weights]),
        bias: data.push(&vec![0i32; channels]),
        multiplier: data.push(&vec![1i32 << 30; channels]),
        shift: data.push(&vec![-3i8; channels]),
        weight_zero: 0,
        clamp: Clamp::FULL,
    }
}

#[test]
fn scratch_memory() {
    let shape = Shape::image(4, 4, 1);
    let mut data = DataSection::new();
    let filter = filter(&mut data, 9, 1);
    let op = Op::Conv2d(Conv2d { window: Window::square(3, 1), filter, labels: None });
    let mut spec = single(op, &[tensor(shape, 0)], tensor(Shape::image(2, 2, 1), 0), data);
    let needed = dunlin::scratch_bytes(&op, &spec.tensors, &[0], &[1], dunlin::IsaKind::Scalar) as u32;
    spec.arena_len = 128 + needed;
    let mut with = |offset, len| {
        spec.nodes[0].scratch = Scratch { offset, len };
        encode(&spec).map(|_| ())
    };
    let fault = |found| {
        Err(EncodeError::Refused(ParseError::Node { node: 0, fault: NodeFault::Scratch { found, needed } }))
    };
    assert_eq!(with(128, needed), Ok(()));
    assert_eq!(with(128, needed - 1), fault(needed - 1));
    assert_eq!(with(0, 0), fault(0));
    assert_eq!(with(129, needed), fault(needed));
    assert_eq!(with(144, needed), fault(needed));
    assert_eq!(with(u32::MAX - 15, needed.max(16)), fault(needed.max(16)));
    assert_eq!(with(0, needed), fault(needed), "over the input");
    assert_eq!(with(64, needed), fault(needed), "over the output");
}

#[test]
fn types_shapes_and_quantisation() {
    let labels = Tensor { dtype: DType::U8, ..tensor(Shape::rows(4, 1), 0) };
    let rows = tensor(Shape::rows(4, 4), 0);
    let none = DataSection::new;
    let argmax = Op::ArgMax(ArgMax {});
    assert_eq!(operator_fault(argmax, &[labels], labels, none()), NodeFault::DType(0));
    assert_eq!(operator_fault(argmax, &[rows], tensor(Shape::rows(4, 1), 0), none()), NodeFault::DType(1));
    let expected = NodeFault::OutputShape { found: Shape::rows(3, 1), expected: Shape::rows(4, 1) };
    let short = Tensor { shape: Shape::rows(3, 1), ..labels };
    assert_eq!(operator_fault(argmax, &[rows], short, none()), expected);
    let wide = Tensor { place: Place::State(0), ..tensor(Shape::vector(257), 0) };
    let mut spec = single(argmax, &[wide], Tensor { shape: Shape::vector(1), ..labels }, none());
    spec.state_len = 257;
    assert_eq!(
        refused(&spec),
        ParseError::Node { node: 0, fault: NodeFault::InputShape(Shape::vector(257)) }
    );
    let other = Tensor { quant: QParams { scale: 0.25, zero_point: 0 }, ..rows };
    let slice = Op::Slice(Slice { begin: [0; 4] });
    assert_eq!(operator_fault(slice, &[rows], other, none()), NodeFault::Quantisation(0));
    let other = Tensor { quant: QParams { zero_point: 1, ..QUANT }, ..rows };
    let concat = Op::Concat(Concat { axis: dunlin::ops::Axis::W });
    let joined = tensor(Shape::rows(8, 4), 0);
    assert_eq!(operator_fault(concat, &[rows, other], joined, none()), NodeFault::Quantisation(1));
    assert_eq!(operator_fault(concat, &[], rows, none()), NodeFault::Inputs { found: 0, expected: 1 });
    let narrow = tensor(Shape::rows(4, 3), 0);
    assert_eq!(operator_fault(concat, &[rows, narrow], joined, none()), NodeFault::InputShape(narrow.shape));
    let less = tensor(Shape::rows(4, 3), 0);
    assert_eq!(
        operator_fault(Op::Reshape(Reshape {}), &[rows], less, none()),
        NodeFault::InputShape(rows.shape)
    );
    let beyond = Op::Slice(Slice { begin: [0, 0, 1, 0] });
    assert_eq!(operator_fault(beyond, &[rows], rows, none()), NodeFault::InputShape(rows.shape));
    let overflow = Op::Slice(Slice { begin: [u32::MAX; 4] });
    assert_eq!(operator_fault(overflow, &[rows], rows, none()), NodeFault::InputShape(rows.shape));
    let pad = Op::Pad(Pad { before: [0, 0, 1, 0], after: [0; 4], value: 0 });
    let expected = NodeFault::OutputShape { found: rows.shape, expected: Shape::rows(5, 4) };
    assert_eq!(operator_fault(pad, &[rows], rows, none()), expected);
}

#[test]
fn windows_and_attributes() {
    let image = tensor(Shape::image(4, 4, 1), 0);
    let pool = |window, clamp| Op::MaxPool2d(MaxPool2d { window, clamp });
    let none = DataSection::new;
    for window in
        [Window::square(5, 1), Window::square(0, 1), Window::square(2, 0), Window::square(2, 1).dilated(0)]
    {
        assert_eq!(operator_fault(pool(window, Clamp::FULL), &[image], image, none()), NodeFault::Window);
    }
    // A window that lies in the padding alone has no maximum.
    let beside = Window::square(1, 1).padded(dunlin::shape::Pad::all(1));
    let grown = tensor(Shape::image(6, 6, 1), 0);
    assert_eq!(operator_fault(pool(beside, Clamp::FULL), &[image], grown, none()), NodeFault::Window);
    let backwards = Clamp { min: 1, max: 0 };
    assert_eq!(
        operator_fault(pool(Window::square(1, 1), backwards), &[image], image, none()),
        NodeFault::Attribute
    );
    let overlapping = Op::MaxUnpool2d(MaxUnpool2d { window: Window::square(2, 1), output_h: 4, output_w: 4 });
    let small = tensor(Shape::image(3, 3, 1), 0);
    let positions = Tensor { dtype: DType::U8, ..small };
    assert_eq!(operator_fault(overlapping, &[small, positions], image, none()), NodeFault::Attribute);
    let both = ResizeBilinear {
        output_h: 4,
        output_w: 4,
        half_pixel_centers: true,
        align_corners: true,
        labels: None,
    };
    assert_eq!(operator_fault(Op::ResizeBilinear(both), &[image], image, none()), NodeFault::Attribute);
    let sampling =
        |output_w, flags| Sampling { output_h: 4, output_w, half_pixel_centers: flags, align_corners: flags };
    let bilinear = |w, flags| Op::ResizeBilinearF32(ResizeBilinearF32 { sampling: sampling(w, flags) });
    let wide = Tensor { dtype: DType::I16, ..image };
    let bilinear16 = |w, flags| Op::ResizeBilinear16(ResizeBilinear16 { sampling: sampling(w, flags) });
    let other = Tensor { quant: QParams { scale: 0.25, ..QUANT }, ..image };
    assert_eq!(operator_fault(bilinear(4, true), &[image], image, none()), NodeFault::Attribute);
    assert_eq!(operator_fault(bilinear(0, false), &[image], image, none()), NodeFault::Attribute);
    assert_eq!(operator_fault(bilinear(4, false), &[wide], image, none()), NodeFault::DType(0));
    assert_eq!(operator_fault(bilinear(4, false), &[image], other, none()), NodeFault::Quantisation(0));
    let expected = NodeFault::OutputShape { found: image.shape, expected: Shape::image(4, 3, 1) };
    assert_eq!(operator_fault(bilinear(3, false), &[image], image, none()), expected);
    assert_eq!(operator_fault(bilinear16(4, true), &[wide], wide, none()), NodeFault::Attribute);
    assert_eq!(operator_fault(bilinear16(4, false), &[image], wide, none()), NodeFault::DType(0));
    let half = Requant { multiplier: 1 << 30, shift: 0 };
    let sum = |left_shift, factor| {
        Op::Add(Add { inputs: [half, factor], output: half, left_shift, clamp: Clamp::FULL })
    };
    assert_eq!(operator_fault(sum(23, half), &[image, image], image, none()), NodeFault::Attribute);
    for bad in [(1 << 30) - 1, -1, i32::MIN] {
        let factor = Requant { multiplier: bad, shift: 0 };
        let fault = operator_fault(sum(20, factor), &[image, image], image, none());
        assert_eq!(fault, NodeFault::Requant { channel: 0 }, "{bad}");
    }
}

#[test]
fn labels_of_no_or_too_many_channels() {
    let image = tensor(Shape::image(4, 4, 1), 0);
    let labels = Tensor { dtype: DType::U8, ..image };
    for channels in [0u16, 257] {
        let mut data = DataSection::new();
        let filter = filter(&mut data, usize::from(channels), usize::from(channels));
        let labels_of = Some(LabelScores { channels, zero_point: 0 });
        let op = Op::Conv2d(Conv2d { window: Window::square(1, 1), filter, labels: labels_of });
        assert_eq!(operator_fault(op, &[image], labels, data), NodeFault::Attribute, "{channels}");
    }
}

#[test]
fn constants() {
    let rows = tensor(Shape::rows(4, 4), 0);
    for offset in [8u32, 16, u32::MAX - 15] {
        let mut data = DataSection::new();
        lut(&mut data);
        let op = Op::Lut(Lut { table: Blob(offset) });
        assert_eq!(
            operator_fault(op, &[rows], rows, data),
            NodeFault::Constant { offset, len: 256 },
            "{offset}"
        );
    }
    let image = tensor(Shape::image(2, 2, 1), 0);
    let mut data = DataSection::new();
    let op = Op::ResizeNearest(ResizeNearest { rows: data.push(&[0u16, 1]), columns: data.push(&[1u16, 2]) });
    assert_eq!(operator_fault(op, &[image], image, data), NodeFault::Index { at: 1, found: 2 });
    let mut data = DataSection::new();
    let op = Op::Softmax(Softmax { exp: data.push(&[1i32; 256]) });
    let out = Tensor { quant: QParams { scale: 1.0 / 256.0, zero_point: -128 }, ..rows };
    assert_eq!(operator_fault(op, &[rows], out, data), NodeFault::Index { at: 0, found: 1 });
    let mut data = DataSection::new();
    let op = Op::Softmax(Softmax { exp: data.push(&[i32::MAX; 256]) });
    assert_eq!(operator_fault(op, &[rows], rows, data), NodeFault::Quantisation(1));
}

#[test]
fn reductions_that_could_overflow() {
    let dense = |taps: u32, bias: i32, weight_zero: i8, shift: i8| {
        let mut data = DataSection::new();
        let weights = data.push(&vec![1i8; taps as usize]);
        let filter = Filter {
            weights,
            bias: data.push(&[bias]),
            multiplier: data.push(&[1i32 << 30]),
            shift: data.push(&[shift]),
            weight_zero,
            clamp: Clamp::FULL,
        };
        let input = Tensor { place: Place::State(0), ..tensor(Shape::vector(taps), 0) };
        let mut spec = single(Op::Dense(Dense { filter }), &[input], tensor(Shape::vector(1), 0), data);
        spec.state_len = taps;
        encode(&spec).map(|_| ())
    };
    let fault = |fault| Err(EncodeError::Refused(ParseError::Node { node: 0, fault }));
    // (2^31 - 1) / (255 * 128) and / (255 * 255), rounded down.
    assert_eq!(dense(65_793, 0, 0, 0), Ok(()));
    assert_eq!(dense(65_794, 0, 0, 0), fault(NodeFault::Reduction { found: 65_794, limit: 65_793 }));
    assert_eq!(dense(33_025, 0, 1, 0), Ok(()));
    assert_eq!(dense(33_026, 0, 1, 0), fault(NodeFault::Reduction { found: 33_026, limit: 33_025 }));
    assert_eq!(dense(1, i32::MAX - 32_640, 0, 0), Ok(()));
    assert_eq!(dense(1, i32::MAX - 32_639, 0, 0), fault(NodeFault::Reduction { found: 1, limit: 0 }));
    assert_eq!(dense(1, i32::MIN, 0, 0), fault(NodeFault::Reduction { found: 1, limit: 0 }));
    assert_eq!(dense(1, 0, 0, 31), fault(NodeFault::Requant { channel: 0 }));
    assert_eq!(dense(1, 0, 0, -32), fault(NodeFault::Requant { channel: 0 }));
}

#[test]
fn operands_that_do_not_fit_each_other() {
    let factor = Requant { multiplier: 1 << 30, shift: 0 };
    let sub = Op::Sub(Sub { inputs: [factor; 2], output: factor, left_shift: 20, clamp: Clamp::FULL });
    let none = DataSection::new;
    let column = tensor(Shape::image(4, 1, 2), 0);
    let row = tensor(Shape::image(1, 3, 2), 0);
    let fault = operator_fault(sub, &[column, row], column, none());
    let joined = Shape::image(4, 3, 2);
    assert_eq!(fault, NodeFault::OutputShape { found: column.shape, expected: joined });
    let other = tensor(Shape::image(1, 5, 2), 0);
    let fault = operator_fault(sub, &[row, other], other, none());
    assert_eq!(fault, NodeFault::InputShape(other.shape));
    let wide = Tensor { dtype: DType::I16, ..row };
    assert_eq!(operator_fault(sub, &[wide, row], row, none()), NodeFault::DType(0));
    let real = Tensor { dtype: DType::F32, ..row };
    let largest = Op::MinMax(MinMax { largest: true });
    assert_eq!(operator_fault(largest, &[real, real], real, none()), NodeFault::DType(0));
    let rectifier = Op::PRelu(PRelu { positive: factor, negative: factor });
    assert_eq!(operator_fault(rectifier, &[wide, wide], wide, none()), NodeFault::DType(1));
    let convert = Op::Convert(Convert { scale: factor, truncate: false });
    assert_eq!(operator_fault(convert, &[real], real, none()), NodeFault::DType(1));
    let wide_column = Tensor { dtype: DType::I16, ..column };
    let shifted = |left_shift| {
        let clamp = dunlin::quant::Clamp16::FULL;
        Op::Sub16(Sub16 { inputs: [factor; 2], output: factor, left_shift, clamp })
    };
    assert_eq!(operator_fault(shifted(16), &[wide_column; 2], wide_column, none()), NodeFault::Attribute);
}
