//! What operators with states, and products of matrices, ask of their operands and attributes.

use crate::{QUANT, refused, single, tensor};
use dunlin::fixed16::sigmoid_table;
use dunlin::format::{DType, DataSection, EncodeError, Place, ProgramSpec, Tensor, encode};
use dunlin::ops::*;
use dunlin::quant::{Clamp, QParams, Requant};
use dunlin::shape::Shape;
use dunlin::{NodeFault, ParseError};

const HALF: Requant = Requant { multiplier: 1 << 30, shift: 0 };

#[track_caller]
fn fault(spec: &ProgramSpec) -> NodeFault {
    match refused(spec) {
        ParseError::Node { node: 0, fault } => fault,
        other => panic!("{other:?}"),
    }
}

/// Tensors 0: input, 1: state of 2 filters and 3 steps, 2: output.
fn svdf(inputs: u32, rank: u16) -> ProgramSpec {
    let mut data = DataSection::new();
    let op = Svdf {
        features: data.push(&vec![1i8; 2 * inputs as usize]),
        time: data.push(&[1i16; 6]),
        bias: data.push(&[0i32; 2]),
        rank,
        state: HALF,
        output: HALF,
        clamp: Clamp::FULL,
    };
    let quant = QParams { zero_point: 0, ..QUANT };
    let state =
        Tensor { dtype: DType::I16, quant, place: Place::State(0), ..tensor(Shape::new(1, 1, 2, 3), 0) };
    let units = 2u32.checked_div(u32::from(rank)).unwrap_or(2).max(1);
    let input = Tensor { place: Place::Arena(0), ..tensor(Shape::rows(1, inputs), 0) };
    let mut spec = single(Op::Svdf(op), &[input, state], tensor(Shape::rows(1, units), 0), data);
    spec.tensors[1].place = Place::State(0);
    spec.tensors[2].place = Place::Arena(inputs.next_multiple_of(16));
    spec.inputs = vec![0];
    spec.arena_len = inputs + 32;
    spec.state_len = 16;
    spec
}

#[test]
fn a_state_is_persistent_and_no_other_operand() {
    assert_eq!(encode(&svdf(4, 1)).map(|_| ()), Ok(()));
    let mut spec = svdf(4, 1);
    spec.tensors[1].place = Place::Arena(32);
    spec.inputs.push(1);
    spec.arena_len = 64;
    assert_eq!(fault(&spec), NodeFault::State(1));
    let mut spec = svdf(4, 1);
    spec.tensors[1].place = Place::Data(spec.data.push(&[0i16; 6]).0);
    assert_eq!(fault(&spec), NodeFault::State(1));
    let mut spec = svdf(4, 1);
    spec.nodes[0].inputs = vec![1, 1];
    assert_eq!(fault(&spec), NodeFault::State(1));
    let mut spec = svdf(4, 1);
    spec.nodes[0].outputs = vec![1];
    assert_eq!(fault(&spec), NodeFault::WrittenTwice(1));
    let mut spec = svdf(4, 1);
    spec.nodes[0].inputs = vec![0];
    assert_eq!(fault(&spec), NodeFault::State(0));
}

#[test]
fn filters_fit_their_state() {
    for rank in [0, 3] {
        assert_eq!(fault(&svdf(4, rank)), NodeFault::Attribute, "{rank}");
    }
    let mut spec = svdf(4, 1);
    spec.tensors[1].dtype = DType::F32;
    spec.state_len = 32;
    assert_eq!(fault(&spec), NodeFault::DType(1));
    let mut spec = svdf(4, 1);
    spec.tensors[1].shape = Shape::new(2, 1, 2, 3);
    spec.state_len = 32;
    assert_eq!(fault(&spec), NodeFault::InputShape(Shape::new(2, 1, 2, 3)));
    let mut spec = svdf(4, 1);
    spec.dims = vec![2];
    spec.tensors[1].rows = Some(0);
    assert_eq!(fault(&spec), NodeFault::Rows(1));
    assert_eq!(encode(&svdf(65_793, 1)).map(|_| ()), Ok(()));
    assert_eq!(fault(&svdf(65_794, 1)), NodeFault::Reduction { found: 65_794, limit: 65_793 });
}

struct Memory {
    bias: i64,
    shifts: [i32; 11],
    power: i8,
    clip: Option<i16>,
    wide: bool,
}

const MEMORY: Memory = Memory { bias: 0, shifts: [-3; 11], power: -12, clip: None, wide: false };

/// Tensors 0: input, 1: hidden state, 2: cell state, 3: output; 4 inputs, 2 units.
fn lstm(m: Memory) -> ProgramSpec {
    let mut data = DataSection::new();
    let cell = LstmCell {
        weights: data.push(&[1i8; 32]),
        recurrent: data.push(&[1i8; 16]),
        bias: if m.wide { data.push(&[m.bias; 8]) } else { data.push(&[m.bias as i32; 8]) },
        factors: data.push(&m.shifts.map(|shift| [1i32 << 30, shift]).concat()),
        sigmoid: data.push(&sigmoid_table()),
        cell_gate: CellFunction::Tanh,
        cell_power: m.power,
        cell_clip: m.clip,
        reset: false,
    };
    let op = if m.wide { Op::Lstm16x8(Lstm16x8 { cell }) } else { Op::Lstm(Lstm { cell }) };
    let dtype = if m.wide { DType::I16 } else { DType::I8 };
    let quant = QParams { zero_point: 0, ..QUANT };
    let of = |shape| Tensor { dtype, quant, ..tensor(shape, 0) };
    let state = Shape::vector(2);
    let cell = Tensor { dtype: DType::I16, ..of(state) };
    let mut spec = single(op, &[of(Shape::rows(3, 4)), of(state), cell], of(Shape::rows(3, 2)), data);
    spec.tensors[1].place = Place::State(0);
    spec.tensors[2].place = Place::State(16);
    spec.inputs = vec![0];
    spec.state_len = 20;
    spec.nodes[0].scratch = dunlin::format::Scratch { offset: spec.arena_len, len: 16 };
    spec.arena_len += 16;
    spec
}

#[test]
fn a_cell_has_factors_and_sums_in_range() {
    let accepted = |m| encode(&lstm(m)).map(|_| ());
    assert_eq!(accepted(MEMORY), Ok(()));
    assert_eq!(accepted(Memory { power: 2, clip: Some(0), ..MEMORY }), Ok(()));
    for (power, clip) in [(3, None), (-29, None), (-12, Some(-1))] {
        assert_eq!(fault(&lstm(Memory { power, clip, ..MEMORY })), NodeFault::Attribute, "{power} {clip:?}");
    }
    for (at, shift) in [(0, 31), (7, -32), (10, 256 - 3), (3, i32::MIN)] {
        let mut shifts = MEMORY.shifts;
        shifts[at] = shift;
        let expected = NodeFault::Requant { channel: at as u32 };
        assert_eq!(fault(&lstm(Memory { shifts, ..MEMORY })), expected, "{at} {shift}");
    }
    // Factors of 64-bit sums have smaller shifts, those of products of 16 bits do not.
    let mut shifts = MEMORY.shifts;
    (shifts[2], shifts[9]) = (Requant::WIDE_SHIFT as i32 + 1, 20);
    assert_eq!(accepted(Memory { shifts, ..MEMORY }), Ok(()));
    assert_eq!(fault(&lstm(Memory { shifts, wide: true, ..MEMORY })), NodeFault::Requant { channel: 2 });
    let room = i64::from(i32::MAX) - 4 * 255 * 128;
    assert_eq!(accepted(Memory { bias: room, ..MEMORY }), Ok(()));
    let expected = NodeFault::Reduction { found: 4, limit: 3 };
    assert_eq!(fault(&lstm(Memory { bias: room + 1, ..MEMORY })), expected);
    let room = (1i64 << 47) - (4 << 22);
    assert_eq!(accepted(Memory { bias: -room, wide: true, ..MEMORY }), Ok(()));
    assert_eq!(fault(&lstm(Memory { bias: -room - 1, wide: true, ..MEMORY })), expected);
}

#[test]
fn a_cell_has_its_states() {
    let mut spec = lstm(MEMORY);
    spec.tensors[2].dtype = DType::I8;
    assert_eq!(fault(&spec), NodeFault::DType(2));
    let mut spec = lstm(MEMORY);
    spec.tensors[1].quant.zero_point = 5;
    assert_eq!(fault(&spec), NodeFault::Quantisation(1));
    let mut spec = lstm(MEMORY);
    spec.tensors[2].shape = Shape::vector(1);
    assert_eq!(fault(&spec), NodeFault::InputShape(Shape::vector(1)));
    let mut spec = lstm(MEMORY);
    spec.nodes[0].inputs = vec![0, 1, 1];
    assert_eq!(fault(&spec), NodeFault::State(1));
    let mut spec = lstm(MEMORY);
    spec.nodes[0].scratch = dunlin::format::Scratch::default();
    assert_eq!(fault(&spec), NodeFault::Scratch { found: 0, needed: 16 });
}

#[test]
fn matrices_fit_each_other() {
    let product = |a: Shape, b: Shape, out: Shape, turned: [bool; 2], zero_b: i16| {
        let [transpose_a, transpose_b] = turned;
        let op = Op::BatchMatMul(BatchMatMul { output: HALF, transpose_a, transpose_b });
        let mut b = tensor(b, 0);
        b.quant.zero_point = zero_b;
        let mut spec = single(op, &[tensor(a, 0), b], tensor(out, 0), DataSection::new());
        // Large operands live in the state memory, one after another.
        let mut end = 0u32;
        for tensor in &mut spec.tensors {
            tensor.place = Place::State(end);
            end = (end + tensor.bytes()).next_multiple_of(16);
        }
        spec.state_len = end;
        let needed = dunlin::scratch_bytes(&op, &spec.tensors, &[0, 1], &[2], dunlin::IsaKind::Scalar);
        spec.nodes[0].scratch = dunlin::format::Scratch { offset: 0, len: needed as u32 };
        spec.arena_len = needed as u32;
        match encode(&spec) {
            Ok(_) => Ok(()),
            Err(EncodeError::Refused(ParseError::Node { node: 0, fault })) => Err(fault),
            Err(other) => panic!("{other:?}"),
        }
    };
    let [a, b] = [Shape::new(2, 1, 3, 4), Shape::new(1, 2, 4, 5)];
    let out = Shape::new(2, 2, 3, 5);
    assert_eq!(product(a, b, out, [false; 2], 0), Ok(()));
    assert_eq!(product(a, b, out, [false, true], 0), Err(NodeFault::InputShape(b)));
    let three = Shape::new(3, 1, 4, 5);
    assert_eq!(product(a, three, out, [false; 2], 0), Err(NodeFault::InputShape(three)));
    let found = Shape::new(2, 1, 3, 5);
    let expected = NodeFault::OutputShape { found, expected: out };
    assert_eq!(product(a, b, found, [false; 2], 0), Err(expected));
    for (depth, zero, limit) in [(65_793, 0, 65_793), (33_025, 7, 33_025)] {
        let row = Shape::rows(1, depth);
        assert_eq!(product(row, row, Shape::rows(1, 1), [false, true], zero), Ok(()));
        let row = Shape::rows(1, depth + 1);
        let expected = NodeFault::Reduction { found: depth + 1, limit };
        assert_eq!(product(row, row, Shape::rows(1, 1), [false, true], zero), Err(expected));
    }
}
