//! The real images under the real QEMU: what they report and what they refuse.

use std::time::Duration;

use dunlin::format::{
    DType, DataSection, NodeSpec, OwnedMetadata, Place, ProgramSpec, Scratch, Tensor, encode,
};
use dunlin::ops::{Lut, Op};
use dunlin::quant::QParams;
use dunlin::shape::Shape;
use dunlin_emulator::board::{BOARDS, Board, MICROBIT, MPS2_AN386};
use dunlin_emulator::record::TIMER_ERROR;
use dunlin_emulator::{EmulateError, Job, JobOutcome, Options, Run, Stage, emulation_is_off, run};

/// A chain of two lookups over `elements` values: negation, then adding one; both saturate.
fn model(elements: u32) -> Vec<u8> {
    let table = |f: fn(i8) -> i8| -> Vec<i8> { (i8::MIN..=i8::MAX).map(f).collect() };
    let mut data = DataSection::new();
    let negate = data.push(&table(|x| x.saturating_neg()));
    let increment = data.push(&table(|x| x.saturating_add(1)));
    let tensor = |offset| Tensor {
        dtype: DType::I8,
        shape: Shape::vector(elements),
        quant: QParams::UNIT,
        place: Place::Arena(offset),
        rows: None,
    };
    let node = |table, input, output| NodeSpec {
        op: Op::Lut(Lut { table }),
        inputs: vec![input],
        outputs: vec![output],
        scratch: Scratch::default(),
    };
    let step = elements.next_multiple_of(16);
    let spec = ProgramSpec {
        target: dunlin::Target::Portable,
        dims: Vec::new(),
        tensors: (0..3).map(|index| tensor(index * step)).collect(),
        nodes: vec![node(negate, 0, 1), node(increment, 1, 2)],
        inputs: vec![0],
        outputs: vec![2],
        arena_len: 3 * step,
        state_len: 0,
        data,
        metadata: OwnedMetadata::default(),
    };
    encode(&spec).expect("a valid program").as_slice().to_vec()
}

fn job(name: &str, model: Vec<u8>, inputs: &[&[i8]]) -> Job {
    let run =
        |input: &&[i8]| Run { inputs: vec![input.iter().map(|&x| x as u8).collect()], counts: Vec::new() };
    Job { name: name.to_owned(), model, runs: inputs.iter().map(run).collect() }
}

/// The boards, or none, said aloud, where nothing can be emulated.
fn boards() -> &'static [Board] {
    if emulation_is_off() {
        println!("left out: {} boards, DUNLIN_EMULATION is 0", BOARDS.len());
        return &[];
    }
    &BOARDS
}

#[test]
fn every_board_runs_what_it_is_given_and_says_what_it_cost() {
    for board in boards() {
        let inputs: [&[i8]; 2] = [&[-128, -1, 0, 1, 127], &[5, 4, 3, 2, 1]];
        let mut damaged = model(5);
        *damaged.last_mut().unwrap() ^= 1;
        let jobs = [
            job("good", model(5), &inputs),
            job("damaged", damaged, &inputs),
            job("long input", model(5), &[&[1; 6]]),
            job("again", model(64), &[&[7; 64]]),
        ];
        let report = run(board, &jobs, &Options { profile: true, ..Options::default() }).unwrap();
        assert_eq!(report.board, board.name);
        assert_eq!(report.jobs.len(), jobs.len());

        let good = report.jobs[0].outcome.result().unwrap();
        let expect = |values: [i8; 5]| vec![values.map(|x| x as u8).to_vec()];
        assert_eq!(good.runs[0].outputs, expect([127, 2, 1, 0, -126]), "{}", board.name);
        assert_eq!(good.runs[1].outputs, expect([-4, -3, -2, -1, 0]), "{}", board.name);
        assert_eq!((good.isa.as_str(), good.arena_bytes, good.state_bytes), (board.isa, 48, 0));
        for one in &good.runs {
            let nodes: u64 = one.nodes.iter().map(|node| node.instructions).sum();
            assert_eq!(one.nodes.len(), 2);
            assert!(nodes > 2 * 5 && nodes <= one.instructions + 2 * TIMER_ERROR, "{}: {one:?}", board.name);
            assert!(
                one.stack_bytes >= 16 && one.stack_bytes < report.peak_stack_bytes,
                "{}: {one:?}",
                board.name
            );
        }
        let long = &report.jobs[3].outcome.result().unwrap().runs[0];
        assert!(long.instructions > good.runs[0].instructions, "64 values cost no more than 5");

        match &report.jobs[1].outcome {
            JobOutcome::Failed(failure) => {
                assert_eq!(failure.stage, Stage::Parse);
                assert!(failure.text.contains("Checksum"), "{failure:?}");
            }
            other => panic!("{}: a damaged model gave {other:?}", board.name),
        }
        match &report.jobs[2].outcome {
            JobOutcome::Failed(failure) => {
                assert_eq!(failure.stage, Stage::Input);
                assert_eq!(failure.text, "input 0 has 6 bytes, the model takes 5");
            }
            other => panic!("{}: an input that is too long gave {other:?}", board.name),
        }
        assert!(report.flash_bytes > 10_000 && report.table_capacity_bytes > good.table_bytes);
    }
}

#[test]
fn two_emulations_count_the_same() {
    for board in boards() {
        let jobs = [job("same", model(100), &[&[3; 100]])];
        let count = || run(board, &jobs, &Options::default()).unwrap().jobs[0].outcome.clone();
        assert_eq!(count(), count(), "{}", board.name);
    }
}

#[test]
fn what_a_small_board_cannot_hold_is_told() {
    for board in boards().iter().filter(|board| **board == MICROBIT) {
        let jobs = [
            job("arena", model(4000), &[&[0; 4000]]),
            Job { model: vec![0; 200_000], ..job("flash", Vec::new(), &[&[0]]) },
            job("small", model(8), &[&[0; 8]]),
        ];
        let report = run(board, &jobs, &Options::default()).unwrap();
        match &report.jobs[0].outcome {
            JobOutcome::Failed(failure) => {
                assert_eq!(failure.stage, Stage::Session);
                assert!(failure.text.contains("missing: "), "{failure:?}");
            }
            other => panic!("12,000 bytes of arena on the micro:bit gave {other:?}"),
        }
        let does_not_fit = &report.jobs[1].outcome;
        let room = board.job_bytes as usize;
        let told = matches!(does_not_fit, JobOutcome::DoesNotFit { available, .. } if *available == room);
        assert!(told, "{does_not_fit:?}");
        assert_eq!(report.jobs[2].outcome.result().unwrap().runs[0].outputs, [vec![1; 8]]);
    }
}

#[test]
fn the_time_limit_ends_an_emulation() {
    for board in boards().iter().filter(|board| **board == MPS2_AN386) {
        let options = Options { time_limit: Duration::ZERO, ..Options::default() };
        let error = run(board, &[job("late", model(8), &[&[0; 8]])], &options).unwrap_err();
        assert!(matches!(error, EmulateError::TimeLimit { .. }), "{error}");
        assert!(error.to_string().contains("QEMU was killed"));
    }
}

#[test]
fn a_program_that_is_no_image_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("board.elf");
    let start = || {
        run(
            &MPS2_AN386,
            &[job("x", model(8), &[&[0; 8]])],
            &Options { image: Some(image.clone()), ..Options::default() },
        )
    };
    assert!(start().unwrap_err().to_string().contains("board.elf"));
    std::fs::write(&image, b"not an ELF file").unwrap();
    let error = start().unwrap_err();
    assert!(matches!(error, EmulateError::BadImage { .. }), "{error}");
}
