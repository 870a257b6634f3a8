//! Every way in which a program can be wrong, and the error that says so, by value.

mod files;
mod graphs;
mod movement;
mod operators;
mod program;
mod states;
mod wide;

use dunlin::format::{
    DType, DataSection, EncodeError, NodeSpec, OwnedMetadata, Place, ProgramSpec, Scratch, Tensor, encode,
};
use dunlin::ops::{Lut, Op};
use dunlin::quant::QParams;
use dunlin::shape::Shape;
use dunlin::{AlignedVec, Model, NodeFault, ParseError, Storage, TensorFault};

const QUANT: QParams = QParams { scale: 0.5, zero_point: 0 };

fn tensor(shape: Shape, at: u32) -> Tensor {
    Tensor { dtype: DType::I8, shape, quant: QUANT, place: Place::Arena(at), rows: None }
}

fn node(op: Op, inputs: &[u16], outputs: &[u16]) -> NodeSpec {
    NodeSpec { op, inputs: inputs.to_vec(), outputs: outputs.to_vec(), scratch: Scratch::default() }
}

fn lut(data: &mut DataSection) -> Op {
    Op::Lut(Lut { table: data.push(&[7i8; 256]) })
}

/// Two lookups in a row: tensors 0, 1 and 2 of 16 bytes at 0, 16 and 32.
fn chain() -> ProgramSpec {
    let mut data = DataSection::new();
    let op = lut(&mut data);
    let shape = Shape::rows(4, 4);
    ProgramSpec {
        dims: Vec::new(),
        tensors: vec![tensor(shape, 0), tensor(shape, 16), tensor(shape, 32)],
        nodes: vec![node(op, &[0], &[1]), node(op, &[1], &[2])],
        inputs: vec![0],
        outputs: vec![2],
        target: dunlin::Target::Portable,
        arena_len: 48,
        state_len: 16,
        data,
        metadata: OwnedMetadata::default(),
    }
}

/// One operator from `inputs` to `output`, in an arena of 64 bytes an operand.
fn single(op: Op, inputs: &[Tensor], output: Tensor, data: DataSection) -> ProgramSpec {
    let count = inputs.len() as u16;
    let mut tensors = inputs.to_vec();
    tensors.push(output);
    for (i, tensor) in tensors.iter_mut().enumerate() {
        if matches!(tensor.place, Place::Arena(_)) {
            tensor.place = Place::Arena(64 * i as u32);
        }
    }
    let ids: Vec<u16> = (0..count).collect();
    ProgramSpec {
        dims: Vec::new(),
        nodes: vec![node(op, &ids, &[count])],
        inputs: ids,
        outputs: vec![count],
        target: dunlin::Target::Portable,
        arena_len: 64 * u32::from(count + 1),
        state_len: 0,
        data,
        metadata: OwnedMetadata::default(),
        tensors,
    }
}

#[track_caller]
fn refused(spec: &ProgramSpec) -> ParseError {
    match encode(spec) {
        Err(EncodeError::Refused(error)) => error,
        Err(other) => panic!("not written: {other}"),
        Ok(_) => panic!("accepted: {spec:?}"),
    }
}

#[track_caller]
fn tensor_fault(tensor: u16, change: impl FnOnce(&mut ProgramSpec)) -> TensorFault {
    let mut spec = chain();
    encode(&spec).expect("the chain is valid before the change");
    change(&mut spec);
    match refused(&spec) {
        ParseError::Tensor { tensor: found, fault } if found == tensor => fault,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn node_fault(node: u16, change: impl FnOnce(&mut ProgramSpec)) -> NodeFault {
    let mut spec = chain();
    change(&mut spec);
    match refused(&spec) {
        ParseError::Node { node: found, fault } if found == node => fault,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn operator_fault(op: Op, inputs: &[Tensor], output: Tensor, data: DataSection) -> NodeFault {
    match refused(&single(op, inputs, output, data)) {
        ParseError::Node { node: 0, fault } => fault,
        other => panic!("{other:?}"),
    }
}
fn parse(bytes: &[u8]) -> Result<(), ParseError> {
    let file = AlignedVec::from_slice(bytes);
    let mut tables = Storage::<4, 4, 8>::new();
    Model::parse(file.as_slice(), &mut tables).map(|_| ())
}

fn chain_file() -> Vec<u8> {
    encode(&chain()).unwrap().as_slice().to_vec()
}

fn word(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
}
#[test]
fn errors_name_what_was_found_and_what_to_do() {
    let text = ParseError::Version { found: 9, supported: 1 }.to_string();
    assert!(text.contains('9') && text.contains("export again"), "{text}");
    let fault = NodeFault::OutputShape { found: Shape::vector(3), expected: Shape::vector(4) };
    let text = ParseError::Node { node: 7, fault }.to_string();
    assert!(text.contains("node 7") && text.contains("1x1x1x3") && text.contains("1x1x1x4"), "{text}");
}
