//! Every way in which a program can be wrong, and the error that says so, by value.

use dunlin::format::{
    Blob, DType, DataSection, EncodeError, HEADER_LEN, NodeSpec, OwnedMetadata, Place, ProgramSpec, Scratch,
    Tensor, encode, reseal,
};
use dunlin::ops::{
    Add, ArgMax, Concat, Conv2d, Dense, Filter, LabelScores, Lut, MaxPool2d, MaxUnpool2d, Op, Pad, Reshape,
    ResizeBilinear, ResizeNearest, Slice, Softmax,
};
use dunlin::quant::{Clamp, QParams, Requant};
use dunlin::shape::{Shape, Window};
use dunlin::{AlignedVec, Model, NodeFault, ParseError, Part, Storage, TensorFault};

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
fn headers() {
    let good = chain_file();
    assert_eq!(parse(&good), Ok(()));
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        reseal(&mut file);
        parse(&file)
    };
    assert_eq!(with(0, b"dunl"), Err(ParseError::Magic { found: u32::from_le_bytes(*b"dunl") }));
    assert_eq!(with(4, &[0, 0]), Err(ParseError::Version { found: 0, supported: 1 }));
    assert_eq!(with(4, &[2, 0]), Err(ParseError::Version { found: 2, supported: 1 }));
    assert_eq!(with(4, &[1, 1]), Err(ParseError::Version { found: 257, supported: 1 }));
    assert_eq!(with(6, &[3]), Err(ParseError::Target { found: 3 }));
    assert_eq!(with(7, &[1]), Err(ParseError::Header { offset: 7, found: 1 }));
    assert_eq!(with(60, &[9]), Err(ParseError::Header { offset: 60, found: 9 }));
    assert_eq!(with(48, &[0xff, 0xff]), Err(ParseError::Header { offset: 48, found: 65_535 }));
    for (at, bad) in [(16, 0u32), (16, u32::MAX), (24, 64), (32, u32::MAX - 15)] {
        assert_eq!(
            with(at, &bad.to_le_bytes()),
            Err(ParseError::Header { offset: at as u32, found: bad }),
            "{at}"
        );
    }
    for at in [20usize, 28, 36] {
        let found = word(&good, at - 4);
        assert_eq!(with(at, &[0xff; 4]), Err(ParseError::Header { offset: at as u32 - 4, found }), "{at}");
    }
    // The data section one byte later ends beyond the file; one byte shorter as well, it is only misaligned.
    let (start, len) = (word(&good, 32), word(&good, 36));
    let moved: Vec<u8> = [start + 1, len - 1].into_iter().flat_map(u32::to_le_bytes).collect();
    assert_eq!(with(32, &moved), Err(ParseError::Header { offset: 32, found: start + 1 }));

    let mut short = good.clone();
    short[8..12].copy_from_slice(&63u32.to_le_bytes());
    assert_eq!(parse(&short), Err(ParseError::Header { offset: 8, found: 63 }));
    let mut damaged = good.clone();
    damaged[70] ^= 4;
    let computed = dunlin::format::checksum(&damaged);
    assert_eq!(parse(&damaged), Err(ParseError::Checksum { computed, expected: word(&good, 12) }));
    let mut longer = good.clone();
    longer.extend([1, 2, 3]);
    assert_eq!(parse(&longer), Ok(()), "bytes after the stated length do not count");
}

#[test]
fn memory_that_is_not_aligned() {
    let good = chain_file();
    let mut bytes = AlignedVec::zeroed(good.len() + 16);
    for shift in 1..16usize {
        bytes.as_mut_slice()[shift..shift + good.len()].copy_from_slice(&good);
        let result = Model::parse(&bytes.as_slice()[shift..], &mut Storage::<4, 4, 8>::new()).map(|_| ());
        assert_eq!(result, Err(ParseError::Misaligned { remainder: shift as u8 }));
    }
}

#[test]
fn tables_that_the_storage_cannot_hold() {
    let file = encode(&chain()).unwrap();
    let capacity = |part, needed, capacity| Err(ParseError::Capacity { part, needed, capacity });
    let parse = |result: Result<Model<'_>, ParseError>| result.map(|_| ());
    let bytes = file.as_slice();
    assert_eq!(parse(Model::parse(bytes, &mut Storage::<1, 4, 8>::new())), capacity(Part::Nodes, 2, 1));
    assert_eq!(parse(Model::parse(bytes, &mut Storage::<2, 2, 8>::new())), capacity(Part::Tensors, 3, 2));
    assert_eq!(parse(Model::parse(bytes, &mut Storage::<2, 3, 3>::new())), capacity(Part::Ids, 4, 3));
    assert_eq!(parse(Model::parse(bytes, &mut Storage::<2, 3, 4>::new())), Ok(()));
    let with = |at: usize, value: u8| {
        let mut file = file.clone();
        file.as_mut_slice()[at] = value;
        reseal(file.as_mut_slice());
        parse(Model::parse(file.as_slice(), &mut Storage::<2, 3, 4>::new()))
    };
    assert_eq!(with(54, 9), capacity(Part::Dims, 9, 8));
    assert_eq!(with(55, 17), capacity(Part::Interface, 17, 16));
    assert_eq!(with(56, 17), capacity(Part::Interface, 17, 16));
}

#[test]
fn counts_that_do_not_fit_the_program() {
    let mut file = chain_file();
    let end = word(&file, 16) + word(&file, 20);
    // One node less: bytes are left over, and decoding stops where they begin.
    file[48] = 1;
    reseal(&mut file);
    let Err(ParseError::Decode { offset, part: Part::Nodes }) = parse(&file) else {
        panic!("{:?}", parse(&file))
    };
    assert!(offset > HEADER_LEN as u32 && offset < end);
    // One node more: the program ends first.
    file[48] = 3;
    reseal(&mut file);
    assert_eq!(parse(&file), Err(ParseError::Decode { offset: end, part: Part::Nodes }));
    // Bytes that are no tensor: a type that does not exist.
    let mut file = chain_file();
    file[HEADER_LEN] = 9;
    reseal(&mut file);
    assert_eq!(parse(&file), Err(ParseError::Decode { offset: 64, part: Part::Tensors }));
    // A name that is longer than the metadata.
    let mut file = chain_file();
    let at = word(&file, 24) as usize;
    file[at] = 0x7f;
    reseal(&mut file);
    assert_eq!(parse(&file), Err(ParseError::Decode { offset: at as u32, part: Part::Metadata }));
}

#[test]
fn tensors() {
    for shape in
        [Shape::rows(0, 4), Shape::new(u32::MAX, u32::MAX, u32::MAX, u32::MAX), Shape::vector((1 << 28) + 1)]
    {
        assert_eq!(tensor_fault(1, |s| s.tensors[1].shape = shape), TensorFault::Shape(shape));
    }
    for scale in [0.0, -1.0, f32::INFINITY] {
        assert_eq!(tensor_fault(2, |s| s.tensors[2].quant.scale = scale), TensorFault::Scale(scale));
    }
    let nan = tensor_fault(2, |s| s.tensors[2].quant.scale = f32::NAN);
    assert!(matches!(nan, TensorFault::Scale(scale) if scale.is_nan()));
    for zero in [-129, 128, i16::MIN] {
        assert_eq!(tensor_fault(0, |s| s.tensors[0].quant.zero_point = zero), TensorFault::ZeroPoint(zero));
    }
    let unsigned = tensor_fault(0, |s| {
        s.tensors[0].dtype = DType::U8;
        s.tensors[0].quant.zero_point = -1;
    });
    assert_eq!(unsigned, TensorFault::ZeroPoint(-1));
    let odd = tensor_fault(0, |s| {
        s.tensors[0].dtype = DType::F32;
        s.tensors[0].place = Place::Arena(2);
    });
    assert_eq!(odd, TensorFault::Alignment(2));
    let bounds = |place, end, region| {
        assert_eq!(tensor_fault(1, |s| s.tensors[1].place = place), TensorFault::Bounds { end, region });
    };
    bounds(Place::Arena(33), 49, 48);
    bounds(Place::Arena(u32::MAX), u32::MAX, 48);
    bounds(Place::State(1), 17, 16);
    bounds(Place::Data(241), 257, 256);
    assert_eq!(tensor_fault(0, |s| s.arena_len = 15), TensorFault::Bounds { end: 16, region: 15 });
}

#[test]
fn bounded_rows() {
    assert_eq!(tensor_fault(0, |s| s.tensors[0].rows = Some(0)), TensorFault::Rows(0));
    let other_bound = tensor_fault(0, |s| {
        s.dims = vec![5];
        s.tensors[0].rows = Some(0);
    });
    assert_eq!(other_bound, TensorFault::Rows(0));
    let an_image = tensor_fault(0, |s| {
        s.dims = vec![4];
        s.tensors[0].shape = Shape::new(1, 2, 4, 2);
        s.tensors[0].rows = Some(0);
    });
    assert_eq!(an_image, TensorFault::Rows(0));
    let one_side = node_fault(0, |s| {
        s.dims = vec![4];
        s.tensors[0].rows = Some(0);
    });
    assert_eq!(one_side, NodeFault::Rows(1));
    let mut spec = single(
        Op::Reshape(Reshape {}),
        &[tensor(Shape::rows(4, 4), 0)],
        tensor(Shape::rows(4, 4), 0),
        DataSection::new(),
    );
    spec.dims = vec![4];
    spec.tensors.iter_mut().for_each(|t| t.rows = Some(0));
    assert_eq!(refused(&spec), ParseError::Node { node: 0, fault: NodeFault::Rows(0) });
}

#[test]
fn interfaces() {
    assert_eq!(tensor_fault(0, |s| s.inputs = vec![0, 0]), TensorFault::Interface);
    assert_eq!(tensor_fault(2, |s| s.outputs = vec![2, 1, 2]), TensorFault::Interface);
    assert_eq!(tensor_fault(7, |s| s.outputs = vec![7]), TensorFault::Interface);
    assert_eq!(tensor_fault(0, |s| s.tensors[0].place = Place::Data(0)), TensorFault::Interface);
    assert_eq!(
        tensor_fault(3, |s| {
            s.tensors.push(tensor(Shape::vector(1), 0));
            s.outputs = vec![3];
        }),
        TensorFault::NeverWritten
    );
}

#[test]
fn order_of_nodes() {
    // A node that needs what a later one writes.
    assert_eq!(node_fault(0, |s| s.nodes.swap(0, 1)), NodeFault::ReadBeforeWrite(1));
    // Two nodes that each need the other, and one that needs itself.
    assert_eq!(node_fault(0, |s| s.nodes[0].inputs = vec![2]), NodeFault::ReadBeforeWrite(2));
    assert_eq!(node_fault(0, |s| s.nodes[0].inputs = vec![1]), NodeFault::ReadBeforeWrite(1));
    assert_eq!(node_fault(0, |s| s.inputs.clear()), NodeFault::ReadBeforeWrite(0));
    assert_eq!(node_fault(1, |s| s.nodes[1].outputs = vec![0]), NodeFault::WrittenTwice(0));
    assert_eq!(node_fault(1, |s| s.nodes[1].outputs = vec![1]), NodeFault::WrittenTwice(1));
    assert_eq!(node_fault(1, |s| s.tensors[2].place = Place::Data(0)), NodeFault::WrittenTwice(2));
    assert_eq!(node_fault(1, |s| s.nodes[1].inputs = vec![9]), NodeFault::UnknownTensor(9));
    assert_eq!(node_fault(1, |s| s.nodes[1].outputs = vec![3]), NodeFault::UnknownTensor(3));
    assert_eq!(node_fault(0, |s| s.nodes[0].inputs.clear()), NodeFault::Inputs { found: 0, expected: 1 });
    assert_eq!(
        node_fault(0, |s| s.nodes[0].inputs = vec![0, 0]),
        NodeFault::Inputs { found: 2, expected: 1 }
    );
    assert_eq!(node_fault(1, |s| s.nodes[1].outputs.clear()), NodeFault::Outputs { found: 0, expected: 1 });
}

#[test]
fn lists_outside_of_the_id_table() {
    let mut file = chain_file();
    // The last node ends with: first and length of its inputs, of its outputs, offset and length of scratch.
    let end = (word(&file, 16) + word(&file, 20)) as usize;
    assert_eq!(file[end - 6..end], [2, 1, 3, 1, 0, 0]);
    for (at, value) in [(end - 6, 4), (end - 5, 3), (end - 4, 9), (end - 3, 200)] {
        let original = std::mem::replace(&mut file[at], value);
        reseal(&mut file);
        assert_eq!(parse(&file), Err(ParseError::Node { node: 1, fault: NodeFault::Ids }), "byte {at}");
        file[at] = original;
    }
}

#[test]
fn memory_shared_by_live_tensors() {
    let overlap = |change: fn(&mut ProgramSpec)| {
        let mut spec = chain();
        change(&mut spec);
        refused(&spec)
    };
    let pair = |first, second| ParseError::Overlap { first, second };
    assert_eq!(overlap(|s| s.tensors[1].place = Place::Arena(15)), pair(0, 1));
    assert_eq!(overlap(|s| s.tensors[1].place = Place::Arena(8)), pair(0, 1));
    // An output lives on, so the node after it may not take its place.
    assert_eq!(
        overlap(|s| {
            s.outputs = vec![1, 2];
            s.tensors[2].place = Place::Arena(16);
        }),
        pair(1, 2)
    );
    // In place only where the input is not needed any more ...
    assert_eq!(
        overlap(|s| {
            s.tensors[1].place = Place::Arena(0);
            s.nodes[1].inputs = vec![0];
            s.outputs = vec![2, 1];
        }),
        pair(0, 1)
    );
    // ... by an operator that can.
    let argmax = Op::ArgMax(ArgMax {});
    let labels = Tensor { dtype: DType::U8, ..tensor(Shape::rows(4, 1), 0) };
    let mut spec = single(argmax, &[tensor(Shape::rows(4, 1), 0)], labels, DataSection::new());
    spec.tensors[1].place = Place::Arena(0);
    assert_eq!(refused(&spec), pair(0, 1));
    assert_eq!(
        overlap(|s| {
            s.state_len = 24;
            s.tensors[0].place = Place::State(0);
            s.tensors[1].place = Place::State(8);
        }),
        pair(0, 1)
    );
    // The right way round, the same tensors are accepted.
    let mut spec = chain();
    spec.tensors[1].place = Place::Arena(0);
    spec.tensors[2].place = Place::Arena(0);
    assert!(encode(&spec).is_ok());
}

#[test]
fn persistent_tensors_updated_by_an_operator_that_cannot() {
    let shape = Shape::rows(4, 4);
    let op = Op::Slice(Slice { begin: [0; 4] });
    let mut spec = single(op, &[tensor(shape, 0)], tensor(shape, 0), DataSection::new());
    spec.state_len = 16;
    spec.tensors[0].place = Place::State(0);
    spec.nodes[0].outputs = vec![0];
    spec.inputs.clear();
    spec.outputs = vec![0];
    assert_eq!(refused(&spec), ParseError::Overlap { first: 0, second: 0 });
    // Twice an operand, and updated: the second read would see half of the update.
    let half = Requant { multiplier: 1 << 30, shift: 0 };
    spec.nodes[0] = node(
        Op::Add(Add { inputs: [half; 2], output: half, left_shift: 20, clamp: Clamp::FULL }),
        &[0, 0],
        &[0],
    );
    assert_eq!(refused(&spec), ParseError::Overlap { first: 0, second: 0 });
    // As the second operand only.
    spec.tensors[1].place = Place::Arena(0);
    spec.inputs = vec![1];
    spec.nodes[0].inputs = vec![1, 0];
    assert_eq!(refused(&spec), ParseError::Node { node: 0, fault: NodeFault::WrittenTwice(0) });
    spec.nodes[0].inputs = vec![0, 1];
    assert!(encode(&spec).is_ok());
}

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
    let needed = dunlin::scratch_bytes(&op, &spec.tensors, &[0], &[1], dunlin::IsaKind::native()) as u32;
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
    assert_eq!(operator_fault(Op::Reshape(Reshape {}), &[rows], other, none()), NodeFault::Quantisation(0));
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
fn errors_name_what_was_found_and_what_to_do() {
    let text = ParseError::Version { found: 9, supported: 1 }.to_string();
    assert!(text.contains('9') && text.contains("export again"), "{text}");
    let fault = NodeFault::OutputShape { found: Shape::vector(3), expected: Shape::vector(4) };
    let text = ParseError::Node { node: 7, fault }.to_string();
    assert!(text.contains("node 7") && text.contains("1x1x1x3") && text.contains("1x1x1x4"), "{text}");
}
