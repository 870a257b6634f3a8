//! The tracker with a network in int8, through a session.

use crate::common::{at, settings, walker};
use dunlin::format::{
    DType, DataSection, NodeSpec, OwnedMetadata, Place, ProgramSpec, Scratch, Tensor, encode,
};
use dunlin::ops::{Dense, Filter, GatherRows, Op};
use dunlin::quant::{Clamp, QParams, Requant};
use dunlin::shape::Shape;
use dunlin::{AlignedVec, Model, Session, Storage};
use dunlin_track::{
    EDGE_FEATURES, Int8, Int8Error, NODE_FEATURES, Network, Settings, Standard, Tracked, Tracker,
};

const BOUNDS: [u32; 2] = [Standard::NODES as u32, Standard::EDGES as u32];
/// Steps of a feature, and of a logit.
const FEATURE: QParams = QParams { scale: 1.0 / 64.0, zero_point: 3 };
const LOGIT: QParams = QParams { scale: 1.0 / 16.0, zero_point: -5 };
/// The feature of an edge that is its overlap, as edges see it: after those of the node where it begins.
const OVERLAP: usize = NODE_FEATURES + 4;

/// A layer with one output: `weight` times feature `of`, in steps of a logit for a step of a feature, and `bias` steps.
fn layer(data: &mut DataSection, inputs: usize, of: usize, weight: f64, bias: i32) -> Op {
    let mut weights = vec![0i8; inputs];
    weights[of] = 100;
    let factor = Requant::from_real(weight / 100.0).unwrap();
    let filter = Filter {
        weights: data.push(&weights),
        bias: data.push(&[(f64::from(bias) * 100.0 / weight) as i32]),
        multiplier: data.push(&[factor.multiplier]),
        shift: data.push(&[factor.shift]),
        weight_zero: 0,
        clamp: Clamp::FULL,
    };
    Op::Dense(Dense { filter })
}

/// A network whose edge logit is four times the overlap and whose node logit is 1, whatever is told.
fn program([nodes, edges]: [u32; 2]) -> ProgramSpec {
    let mut data = DataSection::new();
    let mut end = 0u32;
    let mut rows = |dim: u8, dtype: DType, c: usize, quant| {
        let shape = Shape::rows(if dim == 0 { nodes } else { edges }, c as u32);
        let start = end.next_multiple_of(16);
        end = start + shape.elements() as u32 * dtype.size();
        Tensor { dtype, shape, quant, place: Place::Arena(start), rows: Some(dim) }
    };
    let seen = 2 * NODE_FEATURES + EDGE_FEATURES;
    let tensors = vec![
        rows(0, DType::I8, NODE_FEATURES, FEATURE),
        rows(1, DType::I8, EDGE_FEATURES, FEATURE),
        rows(1, DType::U16, 1, QParams::UNIT),
        rows(1, DType::U16, 1, QParams::UNIT),
        rows(1, DType::I8, seen, FEATURE),
        rows(1, DType::I8, 1, LOGIT),
        rows(0, DType::I8, 1, LOGIT),
    ];
    let node = |op, inputs: &[u16], output| NodeSpec {
        op,
        inputs: inputs.to_vec(),
        outputs: vec![output],
        scratch: Scratch::default(),
    };
    ProgramSpec {
        dims: vec![nodes, edges],
        nodes: vec![
            node(Op::GatherRows(GatherRows { gathered: 0b101 }), &[0, 1, 0, 2, 3], 4),
            node(layer(&mut data, seen, OVERLAP, 1.0, 0), &[4], 5),
            node(layer(&mut data, NODE_FEATURES, 0, 1e-4, 16), &[0], 6),
        ],
        tensors,
        inputs: vec![0, 1, 2, 3],
        outputs: vec![5, 6],
        target: dunlin::Target::Portable,
        arena_len: end,
        state_len: 0,
        data,
        metadata: OwnedMetadata::default(),
    }
}

fn with_session<R>(spec: &ProgramSpec, body: impl FnOnce(&mut Session<'_, '_>) -> R) -> R {
    let file = encode(spec).expect("a valid network");
    let mut tables = Storage::<8, 16, 16>::new();
    let model = Model::parse(file.as_slice(), &mut tables).unwrap();
    let mut arena = AlignedVec::zeroed(model.arena_bytes());
    body(&mut Session::new(&model, arena.as_mut_slice()).unwrap())
}

#[test]
fn features_go_in_and_logits_come_out() {
    with_session(&program(BOUNDS), |session| {
        let mut net = Int8::new(session, BOUNDS[0], BOUNDS[1]).unwrap();
        net.begin(3, 2);
        (0..3).for_each(|at| net.node(at, &[0.5; NODE_FEATURES]));
        for (at, overlap) in [(0, 0.25), (1, 0.75)] {
            let mut features = [0.1; EDGE_FEATURES];
            features[4] = overlap;
            net.edge(at, &features);
        }
        net.run(&[0, 1], &[2, 2]);
        assert_eq!([0, 1].map(|at| net.edge_logit(at)), [1.0, 3.0]);
        assert_eq!([0, 1, 2].map(|at| net.node_logit(at)), [1.0; 3]);
        // Of what is not there, the least.
        let least = LOGIT.scale * (-128.0 - f32::from(LOGIT.zero_point));
        assert_eq!([net.edge_logit(2), net.node_logit(3)], [least; 2]);
        net.begin(1, 0);
        net.node(0, &[f32::NAN; NODE_FEATURES]);
        net.run(&[], &[]);
        assert_eq!((net.edge_logit(0), net.node_logit(0)), (least, 1.0));
    });
}

#[test]
fn a_tracker_follows_people_with_it() {
    with_session(&program(BOUNDS), |session| {
        let mut tracker = Box::new(Standard::new(Settings { edge_threshold: 0.5, ..settings() }));
        let mut rows: Vec<Tracked> = Vec::new();
        for frame in 0..40 {
            let mut net = Int8::new(session, BOUNDS[0], BOUNDS[1]).unwrap();
            let other = at(700.0 - 3.0 * frame as f32, 60.0);
            tracker.step(&mut net, frame, &[other, walker(frame)], &mut |row| rows.push(row));
        }
        tracker.finish(&mut |row| rows.push(row));
        let of = |id| rows.iter().filter(|r| r.id == id).map(|r| (r.frame, r.bounds.y)).collect::<Vec<_>>();
        let all = |y| (0..40).map(|frame| (frame, y)).collect::<Vec<_>>();
        assert_eq!((of(1), of(2), rows.len()), (all(60.0), all(50.0), 80));
    });
}

#[test]
fn another_network_is_refused() {
    let refused = |change: &dyn Fn(&mut ProgramSpec)| {
        let mut spec = program(BOUNDS);
        change(&mut spec);
        with_session(&spec, |session| Int8::new(session, BOUNDS[0], BOUNDS[1]).err())
    };
    assert_eq!(refused(&|_| {}), None);
    let changes: [&dyn Fn(&mut ProgramSpec); 7] = [
        &|s| s.inputs.swap(0, 1),
        &|s| s.outputs.swap(0, 1),
        &|s| s.outputs.truncate(1),
        &|s| s.outputs.push(4),
        &|s| s.dims.push(7),
        // An input more, which nobody would give.
        &|s| {
            let extra = Tensor { place: Place::Arena(s.arena_len.next_multiple_of(16)), ..s.tensors[6] };
            s.arena_len = s.arena_len.next_multiple_of(16) + BOUNDS[0];
            s.tensors.push(extra);
            s.inputs.push(7);
        },
        &|s| {
            // Nodes without a bounded number.
            let wide = s.tensors[0];
            s.tensors.push(Tensor {
                rows: None,
                place: Place::Arena(s.arena_len.next_multiple_of(16)),
                ..wide
            });
            s.arena_len = s.arena_len.next_multiple_of(16) + wide.shape.elements() as u32;
            s.inputs = vec![7, 1, 2, 3, 0];
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(refused(change), Some(Int8Error::Interface), "change {number}");
    }
    let (small, large) = ([BOUNDS[0] - 1, BOUNDS[1]], [BOUNDS[0], BOUNDS[1] - 1]);
    for model in [small, large] {
        let error = with_session(&program(model), |session| Int8::new(session, BOUNDS[0], BOUNDS[1]).err());
        let expected = Int8Error::Bounds { model, tracker: BOUNDS };
        assert_eq!(error, Some(expected));
        assert!(expected.to_string().contains(&format!("{} nodes and {} edges", model[0], model[1])));
    }
    // A smaller tracker has room in it.
    type Small = Tracker<8, 4, 20, 21>;
    let error = with_session(&program([12, 20]), |session| {
        Int8::new(session, Small::NODES as u32, Small::EDGES as u32).err()
    });
    assert_eq!(error, None);
}
