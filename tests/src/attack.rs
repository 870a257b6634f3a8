//! What the parser and a run must withstand: any bytes at all.
//!
//! The two bodies, [`Attacker::parse`] and [`Attacker::parse_then_run`], serve the seeded mutator of the test
//! command and the fuzz targets under `fuzz/`. Both repair length and checksum first, so that damage reaches what
//! lies behind them.

use crate::host::Tables;
use dunlin::format::reseal;
use dunlin::ops::{NO_ROW, Op};
use dunlin::shape::Window;
use dunlin::{AlignedVec, Model, ParseError, Session, SessionError};

/// Longest file that is attacked, in bytes.
pub const MAX_FILE: usize = 1 << 16;
/// Largest arena and state that a run is given; a model that asks for more is refused by the session.
pub const MAX_MEMORY: usize = 1 << 14;
/// Multiply-accumulates beyond which an accepted model is not run: it would be right but slow.
const MAX_WORK: u64 = 1 << 17;
/// Bytes before and after a memory that a run must not touch.
const GUARD: usize = 32;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The parser refused it.
    Refused(ParseError),
    /// The session refused it: it asks for more memory than the attacker has.
    TooLarge,
    /// It was accepted, and asks for more work than the attacker has time for.
    TooLong,
    /// It was accepted and ran within its memory.
    Ran,
}

/// Memory for many attacks.
pub struct Attacker {
    file: AlignedVec,
    memories: [AlignedVec; 2],
    tables: Box<Tables>,
    outputs: Vec<u8>,
    lists: u64,
}

impl Default for Attacker {
    fn default() -> Self {
        Self::new()
    }
}

/// Time that the inner loops of a run take, in multiply-accumulates.
fn work(model: &Model<'_>) -> u64 {
    let size = |list: &[u16]| -> u64 {
        let bytes = list.iter().map(|&id| u64::from(model.tensors()[usize::from(id)].bytes()));
        bytes.sum()
    };
    let node = |node: &dunlin::format::Node| {
        let (inputs, outputs) = (model.ids(node.inputs), model.ids(node.outputs));
        let shape = |list: &[u16]| list.first().map(|&id| model.tensors()[usize::from(id)].shape);
        let c = |list: &[u16]| shape(list).map_or(0, |shape| u64::from(shape.c));
        let rows = |list: &[u16]| shape(list).map_or(0, |shape| u64::from(shape.w));
        let taps = |w: &Window| w.taps() as u64;
        let scores = |labels: Option<dunlin::ops::LabelScores>| labels.map_or(1, |l| u64::from(l.channels));
        let per_output = match &node.op {
            Op::Conv2d(op) => taps(&op.window) * c(inputs) * scores(op.labels),
            Op::TransposeConv2d(op) => taps(&op.window) * c(inputs) * scores(op.labels),
            Op::ResizeBilinear(op) => 4 * scores(op.labels),
            Op::ResizeBilinearF32(_) | Op::ResizeBilinear16(_) => 4,
            Op::DepthwiseConv2d(op) => taps(&op.window),
            Op::MaxPool2d(op) => taps(&op.window),
            Op::MaxPool2dWithIndices(op) => taps(&op.window),
            Op::AveragePool2d(op) => taps(&op.window),
            Op::Dense(_) | Op::Dense16x8(_) => c(inputs),
            Op::Conv2d16x8(op) => taps(&op.window) * c(inputs),
            Op::DepthwiseConv2d16x8(op) => taps(&op.window),
            Op::TransposeConv2d16x8(op) => taps(&op.window) * c(inputs),
            Op::MaxPool2d16(op) => taps(&op.window),
            Op::AveragePool2d16(op) => taps(&op.window),
            Op::BatchMatMul(_) | Op::BatchMatMul16(_) => c(inputs).max(rows(inputs)),
            Op::Lstm(_) | Op::Lstm16x8(_) => 4 * (c(inputs) + c(outputs)),
            Op::Svdf(op) => u64::from(op.rank) * (c(inputs) + inputs.get(1..).map_or(0, c)),
            _ => 1,
        };
        size(inputs).saturating_add(size(outputs).saturating_mul(per_output))
    };
    model.nodes().iter().map(node).fold(0, u64::saturating_add)
}

impl Attacker {
    /// A fresh attacker.
    pub fn new() -> Self {
        let memory = || AlignedVec::zeroed(MAX_MEMORY + 2 * GUARD);
        Self {
            file: AlignedVec::zeroed(MAX_FILE),
            memories: [memory(), memory()],
            tables: Box::new(Tables::new()),
            outputs: Vec::new(),
            lists: 0,
        }
    }

    /// Lists of indices that sessions have taken.
    pub fn lists(&self) -> u64 {
        self.lists
    }

    fn load(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(MAX_FILE);
        let file = &mut self.file.as_mut_slice()[..len];
        file.copy_from_slice(&bytes[..len]);
        reseal(file);
        len
    }

    /// Repairs length and checksum of `bytes` and parses them.
    ///
    /// # Errors
    /// What the parser says.
    pub fn parse(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        let len = self.load(bytes);
        Model::parse(&self.file.as_slice()[..len], &mut self.tables).map(|_| ())
    }

    /// Repairs length and checksum of `bytes`, parses them and, if they are accepted, runs the model twice for each
    /// count of rows, from memory of different contents.
    ///
    /// # Panics
    /// A run writes outside of its memory, its result depends on what was in the arena before, or parser and
    /// session disagree.
    pub fn parse_then_run(&mut self, bytes: &[u8]) -> Verdict {
        let len = self.load(bytes);
        let Self { file, memories: [arena, state], tables, outputs, lists } = self;
        let model = match Model::parse(&file.as_slice()[..len], tables) {
            Ok(model) => model,
            Err(error) => return Verdict::Refused(error),
        };
        assert!(model.metadata().is_some(), "metadata of an accepted file");
        let needed = [model.arena_bytes(), model.state_bytes()];
        if needed.iter().any(|&n| n > MAX_MEMORY) {
            let (arena, state) =
                (&mut arena.as_mut_slice()[..MAX_MEMORY], &mut state.as_mut_slice()[..MAX_MEMORY]);
            let missing = |n: usize| (n.saturating_sub(MAX_MEMORY) as u32, n as u32);
            let expected = match (missing(needed[0]), missing(needed[1])) {
                ((0, _), (missing, needed)) => SessionError::State { missing, needed },
                ((missing, needed), _) => SessionError::Arena { missing, needed },
            };
            assert_eq!(Session::with_state(&model, arena, state).err(), Some(expected));
            return Verdict::TooLarge;
        }
        if work(&model) > MAX_WORK {
            return Verdict::TooLong;
        }
        for count in [u32::MAX, 0, 1] {
            if count != u32::MAX && model.dims().is_empty() {
                break;
            }
            outputs.clear();
            for poison in [0xa5, 0x5a] {
                *lists += run_once(&model, arena, state, poison, count, outputs);
            }
            let (first, second) = outputs.split_at(outputs.len() / 2);
            assert_eq!(first, second, "the result depends on what the arena held before");
        }
        Verdict::Ran
    }
}

/// Runs `model` in the middle of guards and appends its outputs; returns how many lists of indices it took.
fn run_once(
    model: &Model<'_>,
    arena: &mut AlignedVec,
    state: &mut AlignedVec,
    poison: u8,
    count: u32,
    outputs: &mut Vec<u8>,
) -> u64 {
    let needed = [model.arena_bytes(), model.state_bytes()];
    let guarded = |memory: &mut AlignedVec, needed: usize| {
        memory.as_mut_slice()[..needed + 2 * GUARD].fill(poison);
    };
    let mut lists = 0;
    guarded(arena, needed[0]);
    guarded(state, needed[1]);
    {
        // Longer than needed by half of the guard: what is not the model's stays untouched even inside the slice.
        let middle = |needed: usize| GUARD..GUARD + needed + GUARD / 2;
        let arena = &mut arena.as_mut_slice()[middle(needed[0])];
        let state = &mut state.as_mut_slice()[GUARD..GUARD + needed[1]];
        let mut session =
            Session::with_state(model, arena, state).expect("as much memory as the model asks for");
        session.reset_state();
        for (dim, &bound) in model.dims().iter().enumerate() {
            session.set_len(dim, count.min(bound)).expect("a count within its bound");
        }
        for i in 0..model.inputs().len() {
            match session.input_bytes_mut(i) {
                Ok(input) => input.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 37 + i) as u8),
                Err(_) => {
                    let tensor = model.inputs().nth(i).expect("an input below the count");
                    let rows = if tensor.rows.is_some() { count.min(tensor.shape.w) } else { tensor.shape.w };
                    // Of as many rows as the list may name; one that is refused stays void.
                    let taken = [3, 1].into_iter().any(|limit| {
                        let entry = |at: u32| if at % 5 == 4 { NO_ROW } else { (at % limit) as u16 };
                        let entries: Vec<u16> = (0..rows).map(entry).collect();
                        session.set_indices(i, &entries).is_ok()
                    });
                    lists += u64::from(taken && rows > 0);
                }
            }
        }
        session.run();
        for i in 0..model.outputs().len() {
            outputs.extend_from_slice(session.output_bytes(i).expect("an output below the count"));
        }
    }
    for (memory, needed) in [(&*arena, needed[0]), (&*state, needed[1])] {
        let bytes = memory.as_slice();
        let mut guards = bytes[..GUARD].iter().chain(&bytes[GUARD + needed..needed + 2 * GUARD]);
        assert!(guards.all(|&byte| byte == poison), "a run wrote outside of its memory");
    }
    lists
}
