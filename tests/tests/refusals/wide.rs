//! What operators on 16-bit values ask of their operands, attributes and constants.

use crate::{operator_fault, single, tensor};
use dunlin::fixed16::softmax_tables;
use dunlin::format::{Blob, DType, DataSection, EncodeError, Place, Tensor, encode};
use dunlin::ops::*;
use dunlin::quant::{Clamp16, QParams, Requant};
use dunlin::shape::{Shape, Window};
use dunlin::{NodeFault, ParseError};

const UNIT: QParams = QParams { scale: 1.0 / 32768.0, zero_point: 0 };
const HALF: Requant = Requant { multiplier: 1 << 30, shift: 0 };

fn wide(shape: Shape) -> Tensor {
    Tensor { dtype: DType::I16, ..tensor(shape, 0) }
}

fn dense(
    taps: u32,
    bias: i64,
    weight_zero: i8,
    accumulator: Accumulator,
    shift: i8,
) -> Result<(), EncodeError> {
    let mut data = DataSection::new();
    let filter = WideFilter {
        weights: data.push(&vec![1i8; taps as usize]),
        bias: match accumulator {
            Accumulator::Bits32 => data.push(&[bias as i32]),
            Accumulator::Bits64 => data.push(&[bias]),
        },
        multiplier: data.push(&[1i32 << 30]),
        shift: data.push(&[shift]),
        weight_zero,
        accumulator,
        clamp: Clamp16::FULL,
    };
    let input = Tensor { place: Place::State(0), ..wide(Shape::vector(taps)) };
    let mut spec = single(Op::Dense16x8(Dense16x8 { filter }), &[input], wide(Shape::vector(1)), data);
    spec.state_len = 2 * taps;
    encode(&spec).map(|_| ())
}

fn refused(fault: NodeFault) -> Result<(), EncodeError> {
    Err(EncodeError::Refused(ParseError::Node { node: 0, fault }))
}

#[test]
fn sums_that_could_leave_their_range() {
    use Accumulator::{Bits32, Bits64};
    let top = (1i64 << 47) - 1;
    assert_eq!(dense(1, top - (1 << 22), 0, Bits64, 0), Ok(()));
    let fault = NodeFault::Reduction { found: 1, limit: 0 };
    assert_eq!(dense(1, top - (1 << 22) + 1, 0, Bits64, 0), refused(fault));
    assert_eq!(dense(1, -(top - (1 << 22)), 0, Bits64, 0), Ok(()));
    assert_eq!(dense(1, i64::MIN, 0, Bits64, 0), refused(fault));
    assert_eq!(dense(1, top - (255 << 15), 1, Bits64, 0), Ok(()));
    assert_eq!(dense(1, top - (255 << 15) + 1, 1, Bits64, 0), refused(fault));
    // 32-bit sums wrap, whatever they are.
    assert_eq!(dense(70_000, i64::from(i32::MIN), 1, Bits32, 0), Ok(()));
    assert_eq!(dense(1, 0, 0, Bits64, 14), Ok(()));
    assert_eq!(dense(1, 0, 0, Bits64, 15), refused(NodeFault::Requant { channel: 0 }));
    assert_eq!(dense(1, 0, 0, Bits64, -32), refused(NodeFault::Requant { channel: 0 }));
    assert_eq!(dense(1, 0, 0, Bits32, 30), Ok(()));
    assert_eq!(dense(1, 0, 0, Bits32, 31), refused(NodeFault::Requant { channel: 0 }));
}

#[test]
fn types_scales_and_ranges() {
    let rows = wide(Shape::rows(4, 4));
    let narrow = tensor(Shape::rows(4, 4), 0);
    let none = DataSection::new;
    let backwards = Clamp16 { min: 1, max: 0 };
    let rectify = |positive, negative, clamp| {
        Op::Rectify16(Rectify16 { scale: [positive, negative], flip: [false; 2], clamp })
    };
    let plain = rectify(HALF, HALF, Clamp16::FULL);
    assert_eq!(operator_fault(plain, &[narrow], rows, none()), NodeFault::DType(0));
    assert_eq!(operator_fault(plain, &[rows], narrow, none()), NodeFault::DType(1));
    assert_eq!(operator_fault(rectify(HALF, HALF, backwards), &[rows], rows, none()), NodeFault::Attribute);
    let bad = Requant { multiplier: 1, shift: 0 };
    for op in [rectify(bad, HALF, Clamp16::FULL), rectify(HALF, bad, Clamp16::FULL)] {
        assert_eq!(operator_fault(op, &[rows], rows, none()), NodeFault::Requant { channel: 0 });
    }
    let image = wide(Shape::image(4, 4, 1));
    let pool = |window, clamp| Op::MaxPool2d16(MaxPool2d16 { window, clamp });
    let one = Window::square(1, 1);
    assert_eq!(operator_fault(pool(one, backwards), &[image], image, none()), NodeFault::Attribute);
    let other = Tensor { quant: UNIT, ..image };
    assert_eq!(operator_fault(pool(one, Clamp16::FULL), &[image], other, none()), NodeFault::Quantisation(0));
    let off = Tensor { quant: QParams { zero_point: i16::MIN, ..rows.quant }, ..rows };
    assert_eq!(operator_fault(plain, &[off], rows, none()), NodeFault::Quantisation(0));
    assert_eq!(operator_fault(plain, &[rows], off, none()), NodeFault::Quantisation(1));
    let mut data = none();
    let filter = WideFilter {
        weights: data.push(&[1i8]),
        bias: data.push(&[0i64]),
        multiplier: data.push(&[1i32 << 30]),
        shift: data.push(&[0i8]),
        weight_zero: 0,
        accumulator: Accumulator::Bits64,
        clamp: backwards,
    };
    let conv = Op::Conv2d16x8(Conv2d16x8 { window: one, filter });
    assert_eq!(operator_fault(conv, &[image], image, data), NodeFault::Attribute);
}

#[test]
fn a_factor_of_inverse_roots_that_is_none() {
    let rows = wide(Shape::rows(4, 4));
    let rsqrt = |multiplier, shift| Op::Rsqrt16(Rsqrt16 { scale: Requant { multiplier, shift } });
    for (multiplier, shift) in [(1, 0), (-1, 0), (1 << 30, 31), (1 << 30, -32)] {
        let fault = operator_fault(rsqrt(multiplier, shift), &[rows], rows, DataSection::new());
        assert_eq!(fault, NodeFault::Requant { channel: 0 });
    }
    let narrow = tensor(Shape::rows(4, 4), 0);
    assert_eq!(operator_fault(rsqrt(1 << 30, 0), &[narrow], rows, DataSection::new()), NodeFault::DType(0));
}

#[test]
fn tables() {
    let rows = wide(Shape::rows(4, 4));
    let unit = Tensor { quant: UNIT, ..rows };
    let short = |len: usize| {
        let mut data = DataSection::new();
        data.push(&vec![0u16; len]);
        data
    };
    let sigmoid = |shift| Op::Logistic16(Logistic16 { multiplier: 3, shift, table: Blob(0) });
    assert_eq!(operator_fault(sigmoid(32), &[rows], unit, short(256)), NodeFault::Attribute);
    assert_eq!(operator_fault(sigmoid(0), &[rows], rows, short(256)), NodeFault::Quantisation(1));
    assert_eq!(
        operator_fault(sigmoid(0), &[rows], unit, short(255)),
        NodeFault::Constant { offset: 0, len: 512 }
    );
    let tanh = Op::Tanh16(Tanh16 { multiplier: 3, shift: 0, table: Blob(16) });
    assert_eq!(operator_fault(tanh, &[rows], unit, short(256)), NodeFault::Constant { offset: 16, len: 512 });
    let mut data = DataSection::new();
    let table = dunlin::fixed::softmax_table(0.5, 1.0).expect("a positive scale");
    let to16 = Op::SoftmaxTo16(SoftmaxTo16 { exp: data.push(&table) });
    assert_eq!(operator_fault(to16, &[tensor(Shape::rows(4, 4), 0)], unit, data), NodeFault::Quantisation(1));
    let lut = Op::Lut16(Lut16 { table: Blob(0) });
    assert_eq!(operator_fault(lut, &[rows], rows, short(512)), NodeFault::Constant { offset: 0, len: 1026 });
    let softmax = |change: &dyn Fn(&mut [i16])| {
        let [mut exp, reciprocal] = softmax_tables();
        change(&mut exp);
        let mut data = DataSection::new();
        let op = Softmax16 { scale: HALF, exp: data.push(&exp), reciprocal: data.push(&reciprocal) };
        operator_fault(Op::Softmax16(op), &[rows], unit, data)
    };
    assert_eq!(softmax(&|t| t[0] = -1), NodeFault::Index { at: 0, found: u32::MAX });
    assert_eq!(softmax(&|t| t[9] = 0), NodeFault::Index { at: 9, found: 0 });
    assert_eq!(softmax(&|t| t[..512].fill(1)), NodeFault::Index { at: 511, found: 1 });
}
