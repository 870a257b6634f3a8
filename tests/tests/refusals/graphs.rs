//! What lists of indices and the operators of graphs ask for.

use crate::{QUANT, node, refused, tensor};
use dunlin::fixed::softmax_table;
use dunlin::format::{Blob, DType, DataSection, OwnedMetadata, Place, ProgramSpec, Scratch, Tensor, encode};
use dunlin::ops::*;
use dunlin::quant::{QParams, Requant};
use dunlin::shape::Shape;
use dunlin::{NodeFault, ParseError, TensorFault};

const HALF: Requant = Requant { multiplier: 1 << 30, shift: 0 };
const SHARE: QParams = QParams { scale: 1.0 / 256.0, zero_point: -128 };
const NODES: u32 = 4;
const EDGES: u32 = 6;

fn rows(count: u32, c: u32, dim: Option<u8>, at: u32) -> Tensor {
    Tensor { rows: dim, ..tensor(Shape::rows(count, c), at) }
}

fn list(count: u32, dim: Option<u8>, at: u32) -> Tensor {
    Tensor { dtype: DType::U16, quant: QParams::UNIT, ..rows(count, 1, dim, at) }
}

/// Tensors 0: nodes, 1: edges, 2: from, 3: to, 4: what edges see, 5: the softmax of it, 6: what nodes hear, 7: free to
/// use. Node 0 gathers, 1 is the softmax, 2 scatters.
fn graph() -> ProgramSpec {
    let mut data = DataSection::new();
    let exp = data.push(&softmax_table(f64::from(QUANT.scale), 1.0).unwrap());
    let softmax = SegmentSoftmax { exp, segments: NODES, dim: Some(0) };
    let scatter = ScatterReduce { aggregation: Aggregation::Sum, factor: HALF };
    let tensors = vec![
        rows(NODES, 2, Some(0), 0),
        rows(EDGES, 2, Some(1), 16),
        list(EDGES, Some(1), 32),
        list(EDGES, Some(1), 48),
        rows(EDGES, 6, Some(1), 64),
        Tensor { quant: SHARE, ..rows(EDGES, 6, Some(1), 112) },
        rows(NODES, 6, Some(0), 160),
        rows(EDGES, 2, Some(1), 384),
    ];
    let mut nodes = vec![
        node(Op::GatherRows(GatherRows { gathered: 0b101 }), &[0, 1, 0, 2, 3], &[4]),
        node(Op::SegmentSoftmax(softmax), &[4, 3], &[5]),
        node(Op::ScatterReduce(scatter), &[4, 3], &[6]),
    ];
    nodes[1].scratch = Scratch { offset: 192, len: 2 * 4 * NODES * 6 };
    nodes[2].scratch = Scratch { offset: 192, len: 4 * NODES * 7 };
    ProgramSpec {
        dims: vec![NODES, EDGES],
        tensors,
        nodes,
        inputs: vec![0, 1, 2, 3],
        outputs: vec![5, 6],
        target: dunlin::Target::Portable,
        arena_len: 448,
        state_len: 16,
        data,
        metadata: OwnedMetadata::default(),
    }
}

#[track_caller]
fn error(change: impl FnOnce(&mut ProgramSpec)) -> ParseError {
    let mut spec = graph();
    change(&mut spec);
    refused(&spec)
}

#[track_caller]
fn fault(node: u16, change: impl FnOnce(&mut ProgramSpec)) -> NodeFault {
    match error(change) {
        ParseError::Node { node: found, fault } if found == node => fault,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn accepted(change: impl FnOnce(&mut ProgramSpec)) {
    let mut spec = graph();
    change(&mut spec);
    if let Err(error) = encode(&spec) {
        panic!("{error:?}");
    }
}

fn gather(spec: &mut ProgramSpec, gathered: u16, inputs: &[u16]) {
    spec.nodes[0] = node(Op::GatherRows(GatherRows { gathered }), inputs, &[4]);
}

fn scatter(spec: &mut ProgramSpec, aggregation: Aggregation, factor: Requant) {
    spec.nodes[2].op = Op::ScatterReduce(ScatterReduce { aggregation, factor });
}

fn softmax(spec: &mut ProgramSpec, change: impl FnOnce(&mut SegmentSoftmax)) {
    let Op::SegmentSoftmax(op) = &mut spec.nodes[1].op else { panic!("node 1 is the softmax") };
    change(op);
}

#[test]
fn the_graph_is_valid_before_each_change() {
    accepted(|_| {});
    // A list may be a constant, and may stand before other lists.
    accepted(|s| {
        s.inputs = vec![3, 0, 1];
        s.tensors[2].place = Place::Data(s.data.push(&[0u16; EDGES as usize]).0);
    });
}

#[test]
fn a_list_is_an_input_in_the_arena_and_nothing_else() {
    let interface = |tensor| ParseError::Tensor { tensor, fault: TensorFault::Interface };
    assert_eq!(error(|s| s.outputs.push(2)), interface(2));
    assert_eq!(error(|s| s.tensors[2].place = Place::State(0)), interface(2));
    assert_eq!(error(|s| s.tensors[3].place = Place::Data(0)), interface(3));
    // Persistent, and no input.
    let kept = |s: &mut ProgramSpec| {
        s.inputs = vec![0, 1, 3];
        s.tensors[2].place = Place::State(0);
    };
    assert_eq!(fault(0, kept), NodeFault::Indices(2));
    assert_eq!(fault(0, |s| s.inputs = vec![0, 1, 3]), NodeFault::ReadBeforeWrite(2));
    assert_eq!(fault(0, |s| s.nodes[0].outputs = vec![2]), NodeFault::WrittenTwice(2));
}

#[test]
fn no_node_computes_a_list() {
    let written = |op: Op, inputs: &'static [u16]| {
        fault(3, move |s: &mut ProgramSpec| {
            s.tensors[7] = list(EDGES, Some(1), 384);
            s.nodes.push(node(op, inputs, &[7]));
        })
    };
    assert_eq!(written(Op::Reshape(Reshape {}), &[1]), NodeFault::Indices(7));
    assert_eq!(written(Op::Reshape(Reshape {}), &[2]), NodeFault::Indices(7));
    assert_eq!(written(Op::GatherRows(GatherRows { gathered: 0 }), &[1]), NodeFault::Indices(7));
    assert_eq!(
        written(Op::ScatterReduce(ScatterReduce { aggregation: Aggregation::Max, factor: HALF }), &[4, 3]),
        NodeFault::Indices(7)
    );
}

#[test]
fn no_operator_reads_a_list_as_data() {
    let read = |op: Op, inputs: &'static [u16]| {
        fault(3, move |s: &mut ProgramSpec| s.nodes.push(node(op, inputs, &[7])))
    };
    let reading = [
        Op::Reshape(Reshape {}),
        Op::Slice(Slice { begin: [0; 4] }),
        Op::Concat(Concat { axis: Axis::C }),
        Op::Tile(Tile {}),
        Op::Transpose(Transpose { perm: [0, 1, 2, 3] }),
        Op::Convert(Convert { scale: HALF, truncate: false }),
        Op::Dequantize(Dequantize {}),
        Op::Lut(Lut { table: Blob(0) }),
        Op::GatherRows(GatherRows { gathered: 0 }),
    ];
    for op in reading {
        assert_eq!(read(op, &[2]), NodeFault::Indices(2), "{}", op.name());
    }
    // The indices of other operators are of another type, and the rows of these are no lists.
    assert_eq!(read(Op::Gather(Gather { axis: Axis::W }), &[1, 2]), NodeFault::Indices(2));
    assert_eq!(read(Op::GatherRows(GatherRows { gathered: 1 }), &[2, 3]), NodeFault::Indices(2));
    assert_eq!(
        read(Op::ScatterReduce(ScatterReduce { aggregation: Aggregation::Max, factor: HALF }), &[2, 3]),
        NodeFault::Indices(2)
    );
    assert_eq!(
        read(Op::SegmentSoftmax(SegmentSoftmax { exp: Blob(0), segments: NODES, dim: Some(0) }), &[2, 3]),
        NodeFault::Indices(2)
    );
}

#[test]
fn a_list_points_to_one_set() {
    let two = NodeFault::Indices(3);
    // Edges instead of nodes: in another node, and in the same.
    let edges =
        |s: &mut ProgramSpec| s.nodes.push(node(Op::GatherRows(GatherRows { gathered: 1 }), &[1, 3], &[7]));
    assert_eq!(fault(3, edges), two);
    assert_eq!(fault(0, |s| gather(s, 0b111, &[0, 1, 0, 3, 3, 2])), two);
    // As many rows, but not those of a run.
    let fixed = |s: &mut ProgramSpec| {
        s.tensors[7] = rows(NODES, 2, None, 384);
        s.inputs.push(7);
        gather(s, 0b101, &[0, 1, 7, 2, 3]);
    };
    assert_eq!(fault(1, fixed), two);
    for (segments, dim) in
        [(NODES, None), (NODES - 1, Some(0)), (NODES + 1, Some(0)), (EDGES, Some(1)), (NODES, Some(2))]
    {
        let change = |s: &mut ProgramSpec| softmax(s, |op| (op.segments, op.dim) = (segments, dim));
        assert_eq!(fault(1, change), two, "{segments} {dim:?}");
    }
    // A dimension that is not there, where no other node says what the list means.
    let alone = |segments, dim| {
        move |s: &mut ProgramSpec| {
            s.tensors[7] = list(EDGES, Some(1), 384);
            s.inputs.push(7);
            s.nodes[1].inputs = vec![4, 7];
            softmax(s, |op| (op.segments, op.dim) = (segments, dim));
        }
    };
    accepted(alone(NODES, Some(0)));
    accepted(alone(NODES, None));
    for (segments, dim) in [(NODES, Some(2)), (NODES, Some(u8::MAX)), (NODES - 1, Some(0))] {
        assert_eq!(fault(1, alone(segments, dim)), NodeFault::Indices(7), "{segments} {dim:?}");
    }
}

#[test]
fn no_row_has_the_number_of_none() {
    let many = |count: u32| {
        move |s: &mut ProgramSpec| {
            s.tensors[7] = list(EDGES, Some(1), 384);
            s.inputs.push(7);
            s.nodes[1].inputs = vec![4, 7];
            s.nodes[1].scratch = Scratch { offset: 448, len: 2 * 4 * count * 6 };
            s.arena_len = 448 + 2 * 4 * count * 6;
            softmax(s, |op| (op.segments, op.dim) = (count, None));
        }
    };
    accepted(many(u32::from(NO_ROW)));
    assert_eq!(fault(1, many(u32::from(NO_ROW) + 1)), NodeFault::Indices(7));
    assert_eq!(fault(1, many(u32::from(u16::MAX) + 2)), NodeFault::Indices(7));
    let part = |count: u32| {
        move |s: &mut ProgramSpec| {
            s.dims[0] = count;
            s.tensors[0] = rows(count, 2, Some(0), 448);
            s.arena_len = 448 + 2 * count;
            s.tensors[6].rows = None;
            s.nodes.truncate(1);
            s.outputs = vec![4];
        }
    };
    accepted(part(u32::from(NO_ROW)));
    assert_eq!(fault(0, part(u32::from(NO_ROW) + 1)), NodeFault::Indices(2));
}

#[test]
fn a_list_lives_the_whole_run() {
    let overlap = |a: u16, b: u16| ParseError::Overlap { first: a.min(b), second: a.max(b) };
    // Long after its last reader, and before its first.
    assert_eq!(error(|s| s.tensors[6].place = Place::Arena(32)), overlap(2, 6));
    assert_eq!(error(|s| s.tensors[5].place = Place::Arena(16)), overlap(2, 5));
    assert_eq!(error(|s| s.tensors[1].place = Place::Arena(36)), overlap(1, 2));
    assert_eq!(error(|s| s.tensors[3].place = Place::Arena(32)), overlap(2, 3));
    // Other inputs make room for what comes after them.
    accepted(|s| s.tensors[6].place = Place::Arena(0));
    // One that nothing reads lives, too.
    let unread = |s: &mut ProgramSpec| {
        s.tensors[7] = list(EDGES, Some(1), 160);
        s.inputs.push(7);
    };
    assert_eq!(error(unread), overlap(6, 7));
    let needed = 4 * NODES * 7;
    assert_eq!(fault(2, |s| s.nodes[2].scratch.offset = 0), NodeFault::Scratch { found: needed, needed });
    let only_list = |s: &mut ProgramSpec| {
        s.tensors[2].place = Place::Arena(192);
    };
    let needed = 2 * 4 * NODES * 6;
    assert_eq!(fault(1, only_list), NodeFault::Scratch { found: needed, needed });
}

#[test]
fn a_list_has_an_entry_for_each_row() {
    for at in [2, 3] {
        assert_eq!(fault(0, |s| s.tensors[at].rows = None), NodeFault::Rows(at as u16));
        let wide = Shape::rows(EDGES, 2);
        let change = |s: &mut ProgramSpec| {
            s.tensors[at].shape = wide;
            s.tensors[at].place = Place::Arena(384);
        };
        assert_eq!(fault(0, change), NodeFault::InputShape(wide));
        let short = Shape::rows(EDGES - 1, 1);
        let change = |s: &mut ProgramSpec| (s.tensors[at].shape, s.tensors[at].rows) = (short, None);
        assert_eq!(fault(0, change), NodeFault::InputShape(short));
        let change = |s: &mut ProgramSpec| {
            s.tensors[at].dtype = DType::I16;
        };
        assert_eq!(fault(0, change), NodeFault::DType(at as u16));
    }
    let fixed = |s: &mut ProgramSpec| {
        s.tensors[7] = list(EDGES, None, 384);
        s.inputs.push(7);
    };
    for reader in [1, 2] {
        let change = |s: &mut ProgramSpec| {
            fixed(s);
            s.nodes[reader].inputs = vec![4, 7];
        };
        assert_eq!(fault(reader as u16, change), NodeFault::Rows(7));
    }
    // A zero point of a list would mean nothing.
    let zero = ParseError::Tensor { tensor: 2, fault: TensorFault::ZeroPoint(1) };
    assert_eq!(error(|s| s.tensors[2].quant.zero_point = 1), zero);
}

#[test]
fn rows_side_by_side() {
    // Bits beyond the parts, no part, more than 16.
    for (gathered, inputs) in [(0b10, &[1, 1][..]), (1 << 15, &[1, 1]), (1, &[1]), (0, &[1; 17])] {
        assert_eq!(
            fault(0, |s| gather(s, gathered, inputs)),
            NodeFault::Attribute,
            "{gathered:b} {inputs:?}"
        );
    }
    let sixteen = |s: &mut ProgramSpec| {
        s.tensors[7] = rows(EDGES, 32, Some(1), 384);
        s.arena_len = 640;
        s.nodes.push(node(Op::GatherRows(GatherRows { gathered: 0 }), &[1; 16], &[7]));
    };
    accepted(sixteen);
    let two = |s: &mut ProgramSpec| s.nodes[0].outputs = vec![4, 7];
    assert_eq!(fault(0, two), NodeFault::Outputs { found: 2, expected: 1 });
    assert_eq!(fault(0, |s| s.tensors[0].dtype = DType::U8), NodeFault::DType(0));
    let other = |s: &mut ProgramSpec| s.tensors[1].quant.scale = 0.25;
    assert_eq!(fault(0, other), NodeFault::Quantisation(1));
    let other = |s: &mut ProgramSpec| s.tensors[0].quant.zero_point = 3;
    assert_eq!(fault(0, other), NodeFault::Quantisation(0));
    // Rows in order are those of the output.
    assert_eq!(fault(0, |s| gather(s, 0b1, &[0, 0, 1, 2])), NodeFault::Rows(0));
    let image = Shape::image(2, 3, 2);
    let fixed = |shape: Shape| {
        move |s: &mut ProgramSpec| {
            s.tensors[7] = tensor(shape, 384);
            s.inputs.push(7);
            gather(s, 0b101, &[0, 7, 0, 2, 3]);
            for id in [2, 3, 4, 5] {
                s.tensors[id].rows = None;
            }
        }
    };
    accepted(fixed(Shape::rows(EDGES, 2)));
    assert_eq!(fault(0, fixed(image)), NodeFault::InputShape(image));
    let short = Shape::rows(EDGES - 1, 2);
    assert_eq!(fault(0, fixed(short)), NodeFault::InputShape(short));
    let narrow = Shape::rows(EDGES, 5);
    let expected = NodeFault::OutputShape { found: narrow, expected: Shape::rows(EDGES, 6) };
    assert_eq!(fault(0, |s| s.tensors[4].shape = narrow), expected);
}

#[test]
fn sums_and_means_and_maxima_of_rows() {
    let with = |inputs: &'static [u16]| move |s: &mut ProgramSpec| s.nodes[2].inputs = inputs.to_vec();
    assert_eq!(fault(2, with(&[4])), NodeFault::Inputs { found: 1, expected: 2 });
    assert_eq!(fault(2, with(&[4, 3, 1])), NodeFault::Inputs { found: 3, expected: 2 });
    assert_eq!(fault(2, with(&[3, 4])), NodeFault::Indices(3));
    assert_eq!(fault(2, with(&[4, 1])), NodeFault::DType(1));
    assert_eq!(fault(2, |s| s.tensors[6].dtype = DType::U8), NodeFault::DType(6));
    let unsigned = |s: &mut ProgramSpec| {
        s.tensors[7].dtype = DType::U8;
        s.inputs.push(7);
        s.nodes[2].inputs = vec![7, 3];
    };
    assert_eq!(fault(2, unsigned), NodeFault::DType(7));
    let narrow = Shape::rows(NODES, 5);
    let expected = NodeFault::OutputShape { found: narrow, expected: Shape::rows(NODES, 6) };
    assert_eq!(fault(2, |s| s.tensors[6].shape = narrow), expected);
    for aggregation in [Aggregation::Sum, Aggregation::Mean] {
        for factor in [Requant { multiplier: 1, shift: 0 }, Requant { multiplier: 1 << 30, shift: 31 }] {
            let change = |s: &mut ProgramSpec| scatter(s, aggregation, factor);
            assert_eq!(fault(2, change), NodeFault::Requant { channel: 0 }, "{aggregation:?}");
        }
        accepted(|s| {
            scatter(s, aggregation, HALF);
            s.tensors[6].quant.zero_point = 9;
        });
    }
    // A maximum has the scale of its input, and its factor no meaning.
    accepted(|s| scatter(s, Aggregation::Max, Requant { multiplier: 1, shift: 0 }));
    let scaled = |s: &mut ProgramSpec| {
        scatter(s, Aggregation::Max, HALF);
        s.tensors[6].quant.zero_point = 9;
    };
    assert!(matches!(fault(2, scaled), NodeFault::Quantisation(4 | 6)));
    // Counters, and for sums a word for each element.
    for (aggregation, needed) in [(Aggregation::Sum, 112), (Aggregation::Mean, 112), (Aggregation::Max, 16)] {
        let with = |len| {
            move |s: &mut ProgramSpec| {
                scatter(s, aggregation, HALF);
                s.nodes[2].scratch.len = len;
            }
        };
        accepted(with(needed));
        assert_eq!(fault(2, with(needed - 1)), NodeFault::Scratch { found: needed - 1, needed });
    }
}

#[test]
fn sums_of_rows_fit_32_bits() {
    let limit = i32::MAX as u32 / 255;
    let rows_of = |count: u32| {
        let list_at = count.next_multiple_of(16);
        let output_at = (list_at + 2 * count).next_multiple_of(16);
        let op = Op::ScatterReduce(ScatterReduce { aggregation: Aggregation::Mean, factor: HALF });
        let mut spec = ProgramSpec {
            dims: Vec::new(),
            tensors: vec![rows(count, 1, None, 0), list(count, None, list_at), rows(2, 1, None, output_at)],
            nodes: vec![node(op, &[0, 1], &[2])],
            inputs: vec![0, 1],
            outputs: vec![2],
            arena_len: output_at + 32,
            ..graph()
        };
        spec.nodes[0].scratch = Scratch { offset: output_at + 16, len: 16 };
        spec
    };
    assert!(encode(&rows_of(limit)).is_ok());
    let fault = NodeFault::Reduction { found: limit + 1, limit };
    assert_eq!(refused(&rows_of(limit + 1)), ParseError::Node { node: 0, fault });
}

#[test]
fn shares_of_segments() {
    let with = |inputs: &'static [u16]| move |s: &mut ProgramSpec| s.nodes[1].inputs = inputs.to_vec();
    assert_eq!(fault(1, with(&[4])), NodeFault::Inputs { found: 1, expected: 2 });
    assert_eq!(fault(1, with(&[4, 1])), NodeFault::DType(1));
    assert_eq!(fault(1, |s| s.tensors[5].rows = None), NodeFault::Rows(5));
    let unsigned = |s: &mut ProgramSpec| {
        s.tensors[5].dtype = DType::U8;
        s.tensors[5].quant.zero_point = 0;
    };
    assert_eq!(fault(1, unsigned), NodeFault::DType(5));
    let narrow = Shape::rows(EDGES, 5);
    let expected = NodeFault::OutputShape { found: narrow, expected: Shape::rows(EDGES, 6) };
    assert_eq!(fault(1, |s| s.tensors[5].shape = narrow), expected);
    for quant in [QParams { zero_point: 0, ..SHARE }, QParams { scale: 1.0 / 255.0, ..SHARE }, QUANT] {
        assert_eq!(fault(1, |s| s.tensors[5].quant = quant), NodeFault::Quantisation(5));
    }
    let none = |s: &mut ProgramSpec| {
        s.tensors[7] = list(EDGES, Some(1), 384);
        s.inputs.push(7);
        s.nodes[1].inputs = vec![4, 7];
        softmax(s, |op| (op.segments, op.dim) = (0, None));
    };
    assert_eq!(fault(1, none), NodeFault::Attribute);
    let outside = fault(1, |s| softmax(s, |op| op.exp = Blob(16)));
    assert_eq!(outside, NodeFault::Constant { offset: 16, len: 1024 });
    let falling = |s: &mut ProgramSpec| {
        let exp = s.data.push(&[1i32; 256]);
        softmax(s, |op| op.exp = exp);
    };
    assert_eq!(fault(1, falling), NodeFault::Index { at: 0, found: 1 });
    let needed = 2 * 4 * NODES * 6;
    let short = |s: &mut ProgramSpec| s.nodes[1].scratch.len = needed - 4;
    assert_eq!(fault(1, short), NodeFault::Scratch { found: needed - 4, needed });
}
