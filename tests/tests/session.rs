//! The session: memory, counts, persistent tensors, steps, observers.

use dunlin::format::{DType, Place, ProgramSpec, Tensor};
use dunlin::ops::{Add, Op};
use dunlin::quant::Clamp;
use dunlin::shape::Shape;
use dunlin::{AlignedVec, Arena, IsaKind, Model, Observer, Session, SessionError};
use dunlin_tests::cases::{Feature, Kind, seeded};
use dunlin_tests::draw::Draw;
use dunlin_tests::golden;
use dunlin_tests::host::Tables;

fn golden_model<R>(body: impl FnOnce(&Model<'_>) -> R) -> R {
    let file = golden::model();
    let mut tables = Tables::new();
    body(&Model::parse(file.as_slice(), &mut tables).unwrap())
}

fn memories(model: &Model<'_>) -> [AlignedVec; 2] {
    [AlignedVec::zeroed(model.arena_bytes()), AlignedVec::zeroed(model.state_bytes())]
}

#[test]
fn too_little_memory_is_an_error_that_says_how_much_is_missing() {
    golden_model(|model| {
        let [mut arena, mut state] = memories(model);
        let (a, s) = (model.arena_bytes(), model.state_bytes());
        assert!(a > 100 && s == 5);
        for missing in [1, 7, a] {
            let error =
                Session::with_state(model, &mut arena.as_mut_slice()[..a - missing], state.as_mut_slice());
            let expected = SessionError::Arena { missing: missing as u32, needed: a as u32 };
            assert_eq!(error.err(), Some(expected));
            assert!(expected.to_string().contains(&format!("{missing} bytes too small")));
        }
        let error = Session::with_state(model, arena.as_mut_slice(), &mut state.as_mut_slice()[..2]).err();
        assert_eq!(error, Some(SessionError::State { missing: 3, needed: 5 }));
        assert_eq!(
            Session::new(model, arena.as_mut_slice()).err(),
            Some(SessionError::State { missing: 5, needed: 5 })
        );
        assert!(Session::with_state(model, arena.as_mut_slice(), state.as_mut_slice()).is_ok());
    });
}

#[test]
fn memory_must_be_aligned() {
    golden_model(|model| {
        let mut arena = AlignedVec::zeroed(model.arena_bytes() + 16);
        let mut state = AlignedVec::zeroed(model.state_bytes() + 16);
        let error = Session::with_state(model, &mut arena.as_mut_slice()[3..], state.as_mut_slice()).err();
        assert_eq!(error, Some(SessionError::Misaligned { remainder: 3 }));
        let error = Session::with_state(model, arena.as_mut_slice(), &mut state.as_mut_slice()[8..]).err();
        assert_eq!(error, Some(SessionError::Misaligned { remainder: 8 }));
    });
}

#[test]
fn wrong_questions_are_errors() {
    golden_model(|model| {
        let [mut arena, mut state] = memories(model);
        let mut session = Session::with_state(model, arena.as_mut_slice(), state.as_mut_slice()).unwrap();
        assert_eq!(session.set_len(0, 5), Err(SessionError::Count { count: 5, bound: 4 }));
        assert_eq!(session.set_len(1, 1), Err(SessionError::NoSuch { index: 1, count: 1 }));
        assert_eq!(session.input_bytes_mut(2).err(), Some(SessionError::NoSuch { index: 2, count: 2 }));
        assert_eq!(session.output_bytes(4).err(), Some(SessionError::NoSuch { index: 4, count: 4 }));
        assert_eq!(session.input_mut::<i8>(0).err(), Some(SessionError::WrongType { found: DType::F32 }));
        assert_eq!(session.output::<i8>(0).err(), Some(SessionError::WrongType { found: DType::U8 }));
        assert_eq!(session.input_mut::<f32>(0).map(|x| x.len()), Ok(72));
        assert_eq!(session.output::<u8>(0).map(<[u8]>::len), Ok(25));
        // A refused count leaves the one before.
        session.set_len(0, 3).unwrap();
        let _ = session.set_len(0, 9);
        assert_eq!(session.input_mut::<i8>(1).map(|x| x.len()), Ok(9));
        assert_eq!(session.output::<i8>(3).map(<[i8]>::len), Ok(6));
    });
}

#[derive(Default)]
struct Log(Vec<(bool, usize)>);

impl Observer for Log {
    fn before(&mut self, node: usize) {
        self.0.push((false, node));
    }

    fn after(&mut self, node: usize) {
        self.0.push((true, node));
    }
}

#[test]
fn an_observer_sees_every_node_before_and_after() {
    golden_model(|model| {
        let [mut arena, mut state] = memories(model);
        let mut session = Session::with_state(model, arena.as_mut_slice(), state.as_mut_slice()).unwrap();
        let mut log = Log::default();
        session.run_observed(&mut log);
        let expected: Vec<_> = (0..model.nodes().len()).flat_map(|n| [(false, n), (true, n)]).collect();
        assert_eq!(log.0, expected);
    });
}

#[test]
fn steps_give_what_a_run_gives_and_start_again() {
    golden_model(|model| {
        let inputs = golden::inputs(0);
        let expected = golden::run(model, std::slice::from_ref(&inputs)).unwrap().remove(0);
        let [mut arena, mut state] = memories(model);
        let mut session = Session::with_state(model, arena.as_mut_slice(), state.as_mut_slice()).unwrap();
        for _ in 0..2 {
            session.reset_state();
            for (i, bytes) in inputs.iter().enumerate() {
                session.set_input_bytes(i, bytes).unwrap();
            }
            let mut steps = 1;
            while session.step(&mut ()) {
                steps += 1;
            }
            assert_eq!(steps, model.nodes().len());
            let outputs: Vec<_> = (0..4).map(|i| session.output_bytes(i).unwrap().to_vec()).collect();
            assert_eq!(outputs, expected);
        }
        // A run in the middle of a round starts from the first node, whatever was stepped.
        session.reset_state();
        session.step(&mut ());
        for (i, bytes) in inputs.iter().enumerate() {
            session.set_input_bytes(i, bytes).unwrap();
        }
        session.run();
        assert_eq!(session.output_bytes(2).unwrap(), expected[2]);
    });
}

/// A persistent sum: `state = state + x`, both with scale 1 and zero point 0, in place.
fn accumulator() -> ProgramSpec {
    let shape = Shape::vector(4);
    let quant = dunlin::quant::QParams { scale: 1.0, zero_point: 0 };
    let tensor = |place| Tensor { dtype: DType::I8, shape, quant, place, rows: None };
    let factor = |real| dunlin::quant::Requant::from_real(real).unwrap();
    let op = Op::Add(Add {
        // Half of each input, and twice the sum: the scales of input and output are equal.
        inputs: [factor(0.5); 2],
        output: factor(2.0 / f64::from(1 << 20)),
        left_shift: 20,
        clamp: Clamp::FULL,
    });
    ProgramSpec {
        dims: Vec::new(),
        tensors: vec![tensor(Place::State(0)), tensor(Place::Arena(0))],
        nodes: vec![dunlin::format::NodeSpec {
            op,
            inputs: vec![0, 1],
            outputs: vec![0],
            scratch: dunlin::format::Scratch::default(),
        }],
        inputs: vec![1],
        outputs: vec![0],
        target: dunlin::Target::Portable,
        arena_len: 4,
        state_len: 4,
        data: dunlin::format::DataSection::new(),
        metadata: dunlin::format::OwnedMetadata::default(),
    }
}

#[test]
fn a_persistent_tensor_outlives_sessions_until_it_is_reset() {
    let file = dunlin::format::encode(&accumulator()).unwrap();
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables).unwrap();
    let mut arena = Arena::<16>::new();
    let mut state = Arena::<16>::new();
    let mut add = |x: [i8; 4], reset: bool| {
        let mut session = Session::with_state(&model, arena.as_mut_slice(), state.as_mut_slice()).unwrap();
        if reset {
            session.reset_state();
        }
        session.input_mut::<i8>(0).unwrap().copy_from_slice(&x);
        session.run();
        session.output::<i8>(0).unwrap().to_vec()
    };
    assert_eq!(add([1, -2, 100, -100], false), [1, -2, 100, -100]);
    assert_eq!(add([1, -2, 100, -100], false), [2, -4, 127, -128]);
    assert_eq!(add([0, 1, -1, 1], false), [2, -3, 126, -127]);
    assert_eq!(add([5, 6, 7, 8], true), [5, 6, 7, 8]);
}

#[test]
fn two_models_share_an_arena_one_after_the_other() {
    let cases = seeded();
    let pick = |kind| cases.iter().find(|c| c.kind == kind && c.runs_at_bounds() && !has_state(c)).unwrap();
    let (a, b) = (pick(Kind::Conv2d), pick(Kind::Softmax));
    let (file_a, file_b) = (AlignedVec::from_slice(&a.model), AlignedVec::from_slice(&b.model));
    let (mut tables_a, mut tables_b) = (Tables::new(), Tables::new());
    let model_a = Model::parse(file_a.as_slice(), &mut tables_a).unwrap();
    let model_b = Model::parse(file_b.as_slice(), &mut tables_b).unwrap();
    let mut arena = AlignedVec::zeroed(model_a.arena_bytes().max(model_b.arena_bytes()));
    for _ in 0..3 {
        for (case, model) in [(a, &model_a), (b, &model_b)] {
            let mut session = Session::new(model, arena.as_mut_slice()).unwrap();
            for run in &case.runs {
                for (i, bytes) in run.inputs.iter().enumerate() {
                    session.set_input_bytes(i, bytes).unwrap();
                }
                session.run();
                assert_eq!(session.output_bytes(0).unwrap(), run.outputs[0], "{}", case.name);
            }
        }
    }
}

fn has_state(case: &dunlin_tests::cases::Case) -> bool {
    case.features.contains(&Feature::Persistent)
}

#[test]
fn bounded_rows_are_computed_up_to_their_count_and_no_further() {
    // A fully connected layer over rows: find a drawn case with some.
    let case = (0..).map(|seed| Kind::Dense.case(&mut Draw::seeded(seed)));
    let case = case.take(1000).find(|c| c.features.contains(&Feature::Bounded) && !has_state(c)).unwrap();
    let file = AlignedVec::from_slice(&case.model);
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables).unwrap();
    let bound = model.dims()[0];
    let output = *model.outputs().next().unwrap();
    let Place::Arena(start) = output.place else { panic!("an output in the arena") };
    let row = output.shape.c as usize;
    let full = case.runs.iter().find(|r| r.counts == [bound]).unwrap();
    for count in 0..=bound {
        let mut arena = AlignedVec::zeroed(model.arena_bytes());
        arena.as_mut_slice().fill(0xa5);
        let mut session = Session::new(&model, arena.as_mut_slice()).unwrap();
        session.set_len(0, count).unwrap();
        let input = session.input_bytes_mut(0).unwrap();
        let len = input.len();
        input.copy_from_slice(&full.inputs[0][..len]);
        session.run();
        let rows = count as usize * row;
        assert_eq!(session.output_bytes(0).unwrap(), &full.outputs[0][..rows], "{count} rows");
        let start = start as usize;
        let beyond = &arena.as_slice()[start + rows..start + bound as usize * row];
        assert!(beyond.iter().all(|&b| b == 0xa5), "{count} rows: a row beyond the count was written");
    }
}

#[test]
fn the_isa_of_a_session_has_a_name() {
    golden_model(|model| {
        let [mut arena, mut state] = memories(model);
        let session = Session::with_state(model, arena.as_mut_slice(), state.as_mut_slice()).unwrap();
        assert_eq!(session.isa(), dunlin::IsaKind::native());
        assert!(!session.isa().name().is_empty());
        assert_eq!(session.model().nodes().len(), model.nodes().len());
    });
}

#[test]
fn a_reset_state_is_real_zero() {
    let mut case = Kind::Svdf.case(&mut Draw::seeded(1));
    case.runs.clear();
    let file = AlignedVec::from_slice(&case.model);
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables).unwrap();
    let [mut arena, mut state] = memories(&model);
    state.as_mut_slice().fill(0x55);
    let mut session = Session::with_state(&model, arena.as_mut_slice(), state.as_mut_slice()).unwrap();
    session.reset_state();
    let persistent = model.tensors().iter().find(|t| matches!(t.place, Place::State(_))).unwrap();
    let zero = persistent.quant.zero_point as u8;
    let Some(output) = model.outputs().position(|t| t == persistent) else {
        panic!("the state is an output")
    };
    assert!(session.output_bytes(output).unwrap().iter().all(|&b| b == zero));
}

#[test]
fn a_session_runs_on_any_instruction_set_of_the_core_and_on_no_other() {
    let file = golden::model();
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables).unwrap();
    for isa in IsaKind::ALL {
        let [mut arena, mut state] = memories(&model);
        let session = Session::with_state(&model, arena.as_mut_slice(), state.as_mut_slice()).unwrap();
        match session.with_isa(isa) {
            Ok(session) => assert!(isa.is_available() && session.isa() == isa),
            Err(error) => {
                assert!(!isa.is_available());
                assert_eq!(error, SessionError::Isa { wanted: isa.name() });
                assert!(error.to_string().starts_with("the instruction set "));
            }
        }
    }
    // Every core has plain Rust, and none is of two architectures.
    assert!(IsaKind::Scalar.is_available() && IsaKind::native().is_available());
    assert!(!(IsaKind::Neon.is_available() && IsaKind::Avx2.is_available()));
}

#[test]
fn a_packed_file_runs_on_its_own_instruction_set_alone() {
    let packed = seeded().into_iter().flat_map(|case| case.packed).next().expect("a case is packed");
    let file = AlignedVec::from_slice(&packed.1);
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables).unwrap();
    let own = packed.0.isa().expect("hosts run every target");
    for isa in IsaKind::ALL {
        let [mut arena, mut state] = memories(&model);
        let session = Session::with_state(&model, arena.as_mut_slice(), state.as_mut_slice()).unwrap();
        assert_eq!(session.with_isa(isa).is_ok(), isa == own, "{}", isa.name());
    }
}
