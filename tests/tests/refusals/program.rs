//! Tensors, interfaces, the order of nodes, and memory that they share.

use crate::{chain, chain_file, node, node_fault, parse, refused, single, tensor, tensor_fault, word};
use dunlin::format::{DType, DataSection, Place, ProgramSpec, Tensor, encode, reseal};
use dunlin::ops::{Add, ArgMax, Op, Reshape, Slice};
use dunlin::quant::{Clamp, Requant};
use dunlin::shape::Shape;
use dunlin::{NodeFault, ParseError, TensorFault};

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
    // An end beyond 32 bits is outside of the largest region, too.
    let beyond = tensor_fault(1, |s| {
        s.arena_len = u32::MAX;
        s.tensors[1].place = Place::Arena(u32::MAX - 8);
    });
    assert_eq!(beyond, TensorFault::Bounds { end: u32::MAX, region: u32::MAX });
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
