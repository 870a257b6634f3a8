//! Whatever sharing of memory the parser accepts, the result is that of no sharing at all.
//!
//! Drawn programs of a few nodes get drawn places, most of them wrong. Those that the parser accepts are run, and so
//! is the same program with every tensor in memory of its own; all outputs must be equal.

use dunlin::format::{
    DType, DataSection, NodeSpec, OwnedMetadata, Place, ProgramSpec, Scratch, Tensor, encode,
};
use dunlin::ops::{
    Add, Concat, Convert, Div, Lut, MaxPool2d, MinMax, Mul, Op, PRelu, Requantize, Reshape, Slice,
    SquaredDifference, StridedSlice, Sub, Tile,
};
use dunlin::quant::{Clamp, QParams, Requant};
use dunlin::shape::{Shape, Window};
use dunlin::{AlignedVec, Model, ParseError, Session};
use dunlin_tests::draw::Draw;
use dunlin_tests::host::Tables;

/// Programs that are drawn.
const PROGRAMS: u64 = 60_000;
/// Least part of them that must be accepted with shared memory, so that the test tests something.
const LEAST_SHARING: u64 = 3_000;

const SHAPE: Shape = Shape::new(1, 1, 4, 2);
const BYTES: u32 = 8;

/// An operator that takes `inputs` tensors of [`SHAPE`] and gives one.
fn operator(draw: &mut Draw<'_>, data: &mut DataSection) -> (Op, usize) {
    let factor = Requant { multiplier: 1_300_000_000, shift: draw.pick(&[0, 1, -1]) };
    let clamp = Clamp::FULL;
    match draw.range(0, 15) {
        0 | 1 => {
            let table: Vec<i8> = draw.bytes(256);
            (Op::Lut(Lut { table: data.push(&table) }), 1)
        }
        2 => (Op::Add(Add { inputs: [factor; 2], output: factor, left_shift: 0, clamp }), 2),
        3 => (Op::Mul(Mul { output: factor, clamp }), 2),
        4 => (Op::Requantize(Requantize { scale: factor }), 1),
        5 => (Op::Reshape(Reshape {}), 1),
        6 => (Op::Slice(Slice { begin: [0; 4] }), 1),
        7 => (Op::Sub(Sub { inputs: [factor; 2], output: factor, left_shift: 0, clamp }), 2),
        8 => (Op::Div(Div { output: factor, clamp, modular: false }), 2),
        9 => (Op::MinMax(MinMax { largest: draw.chance(50) }), 2),
        10 => {
            let op = SquaredDifference { inputs: [factor; 2], output: factor, left_shift: 0 };
            (Op::SquaredDifference(op), 2)
        }
        11 => (Op::PRelu(PRelu { positive: factor, negative: factor }), 2),
        12 => (Op::Convert(Convert { scale: factor, truncate: false }), 1),
        13 => (Op::StridedSlice(StridedSlice { begin: [0, 0, 3, 1], step: [1, 1, -1, -1] }), 1),
        14 => (Op::Tile(Tile {}), 1),
        _ => (Op::MaxPool2d(MaxPool2d { window: Window::square(1, 1), clamp }), 1),
    }
}

fn program(draw: &mut Draw<'_>) -> ProgramSpec {
    let tensor = |place| Tensor {
        dtype: DType::I8,
        shape: SHAPE,
        quant: QParams { scale: 0.5, zero_point: 3 },
        place,
        rows: None,
    };
    // Few places, some of which overlap by halves.
    let slot = |draw: &mut Draw<'_>| Place::Arena(draw.pick(&[0, 0, 8, 8, 16, 24, 4]));
    let mut data = DataSection::new();
    let constant = Place::Data(data.push(&draw.bytes(BYTES as usize)).0);
    let state = Place::State(draw.pick(&[0, 8]));
    let mut tensors = vec![tensor(constant), tensor(state), tensor(slot(draw))];
    let mut inputs = vec![2];
    if draw.chance(30) {
        tensors.push(tensor(slot(draw)));
        inputs.push(3);
    }
    let mut nodes = Vec::new();
    for _ in 0..draw.range(1, 6) {
        let (op, count) = operator(draw, &mut data);
        // The newest values most, as a network does.
        let last = tensors.len() as i64 - 1;
        let read = |draw: &mut Draw<'_>| (last - draw.pick(&[0, 0, 0, 1, 1, 2, 3, 4])).max(0) as u16;
        let sources: Vec<u16> = (0..count).map(|_| read(draw)).collect();
        let output = if draw.chance(15) {
            1
        } else {
            let place = match draw.chance(40) {
                true => tensors[usize::from(sources[0])].place,
                false => slot(draw),
            };
            tensors.push(tensor(place));
            last as u16 + 1
        };
        nodes.push(NodeSpec { op, inputs: sources, outputs: vec![output], scratch: Scratch::default() });
    }
    if draw.chance(20) {
        // Joins whatever there is, through a window of the arena for its output.
        let sources: Vec<u16> =
            (0..draw.range(1, 4)).map(|_| draw.range(0, tensors.len() as i64 - 1) as u16).collect();
        let shape = Shape { w: 4 * sources.len() as u32, ..SHAPE };
        tensors.push(Tensor { shape, ..tensor(slot(draw)) });
        let op = Op::Concat(Concat { axis: dunlin::ops::Axis::W });
        let output = tensors.len() as u16 - 1;
        nodes.push(NodeSpec { op, inputs: sources, outputs: vec![output], scratch: Scratch::default() });
    }
    let mut outputs = vec![tensors.len() as u16 - 1, 1];
    let other = draw.range(0, tensors.len() as i64 - 1) as u16;
    if !outputs.contains(&other) {
        outputs.push(other);
    }
    ProgramSpec {
        dims: Vec::new(),
        tensors,
        nodes,
        inputs,
        outputs,
        target: dunlin::Target::Portable,
        arena_len: 64,
        state_len: 16,
        data,
        metadata: OwnedMetadata::default(),
    }
}

/// The same program with every tensor in memory of its own.
fn apart(spec: &ProgramSpec) -> ProgramSpec {
    let mut spec = spec.clone();
    spec.arena_len = 0;
    for tensor in &mut spec.tensors {
        if let Place::Arena(_) = tensor.place {
            tensor.place = Place::Arena(spec.arena_len);
            spec.arena_len += tensor.bytes();
        }
    }
    spec
}

/// Outputs of three runs; the inputs of a run are drawn from its number.
fn outputs(spec: &ProgramSpec) -> Result<Vec<Vec<u8>>, ParseError> {
    let file = match encode(spec) {
        Ok(file) => file,
        Err(dunlin::format::EncodeError::Refused(error)) => return Err(error),
        Err(other) => panic!("{other}"),
    };
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables)?;
    let (mut arena, mut state) =
        (AlignedVec::zeroed(model.arena_bytes()), AlignedVec::zeroed(model.state_bytes()));
    let mut session =
        Session::with_state(&model, arena.as_mut_slice(), state.as_mut_slice()).expect("memory enough");
    let mut results = Vec::new();
    for run in 0..3 {
        for i in 0..spec.inputs.len() {
            let bytes = Draw::seeded(run * 16 + i as u64).bytes(BYTES as usize);
            session.input_mut::<i8>(i).expect("an int8 input").copy_from_slice(&bytes);
        }
        session.run();
        results.extend((0..spec.outputs.len()).map(|i| session.output_bytes(i).expect("an output").to_vec()));
    }
    Ok(results)
}

fn shares(spec: &ProgramSpec) -> bool {
    let range = |t: &Tensor| match t.place {
        Place::Arena(start) => Some((start, start + t.bytes())),
        Place::State(_) | Place::Data(_) => None,
    };
    let ranges: Vec<_> = spec.tensors.iter().filter_map(range).collect();
    ranges.iter().enumerate().any(|(i, a)| ranges[..i].iter().any(|b| a.0 < b.1 && b.0 < a.1))
}

#[test]
fn accepted_sharing_does_not_change_a_result() {
    let (mut accepted, mut sharing) = (0u64, 0u64);
    for seed in 0..PROGRAMS {
        let spec = program(&mut Draw::seeded(seed));
        let Ok(shared) = outputs(&spec) else { continue };
        accepted += 1;
        if !shares(&spec) {
            continue;
        }
        sharing += 1;
        let alone = outputs(&apart(&spec)).unwrap_or_else(|e| panic!("program {seed} apart: {e}"));
        assert_eq!(shared, alone, "program {seed}: {:?} {:?}", spec.nodes, spec.tensors);
    }
    println!("{PROGRAMS} programs, {accepted} accepted, {sharing} of them share memory");
    assert!(sharing >= LEAST_SHARING, "only {sharing} of {accepted} accepted programs share memory");
}
