//! Runs a file on the host, between guards.

use crate::cases::{Case, Run};
use dunlin::{AlignedVec, IsaKind, Model, Session, SessionError, Storage};

/// Bytes before and after each memory that a run must not touch.
const GUARD: usize = 64;
/// What guards, and an arena before its first run, are filled with.
const POISON: u8 = 0xa5;

/// Tables for the models of this crate, the golden one included.
pub type Tables = Storage<32, 64, 96>;

/// Memory for a session in the middle of guards, longer than the model asks for.
pub struct Guarded {
    memory: AlignedVec,
    needed: usize,
}

impl Guarded {
    /// Memory for `needed` bytes.
    pub fn new(needed: usize) -> Self {
        let mut memory = AlignedVec::zeroed(needed + 2 * GUARD);
        memory.as_mut_slice().fill(POISON);
        Self { memory, needed }
    }

    /// What the session gets: as much as it needs and a tail that it must leave alone.
    pub fn slice(&mut self) -> &mut [u8] {
        let end = GUARD + self.needed + GUARD / 2;
        &mut self.memory.as_mut_slice()[GUARD..end]
    }

    /// Whether guards and tail are as they were.
    pub fn intact(&self) -> bool {
        let bytes = self.memory.as_slice();
        let guards = bytes[..GUARD].iter().chain(&bytes[GUARD + self.needed..]);
        guards.into_iter().all(|&b| b == POISON)
    }
}

/// Bytes of every output after each run, or why there are none.
///
/// # Errors
/// A message that begins with the name of the case.
pub fn outputs(case: &Case) -> Result<Vec<Vec<Vec<u8>>>, String> {
    outputs_of(case, &case.model, None)
}

/// As [`outputs`], of a file that is the program of the case, on an instruction set or on that of new sessions.
fn outputs_of(case: &Case, model: &[u8], isa: Option<IsaKind>) -> Result<Vec<Vec<Vec<u8>>>, String> {
    let file = AlignedVec::from_slice(model);
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables).map_err(|e| format!("{}: {e}", case.name))?;
    let (mut arena, mut state) = (Guarded::new(model.arena_bytes()), Guarded::new(model.state_bytes()));
    let result = {
        let mut session =
            Session::with_state(&model, arena.slice(), &mut state.slice()[..model.state_bytes()])
                .and_then(|session| match isa {
                    Some(isa) => session.with_isa(isa),
                    None => Ok(session),
                })
                .map_err(|e| format!("{}: {e}", case.name))?;
        session.reset_state();
        let run = |run: &Run| one(&mut session, run).map_err(|e| format!("{}: {e}", case.name));
        case.runs.iter().map(run).collect()
    };
    if !arena.intact() || !state.intact() {
        return Err(format!("{}: the run wrote outside of its memory", case.name));
    }
    result
}

fn one(session: &mut Session<'_, '_>, run: &Run) -> Result<Vec<Vec<u8>>, SessionError> {
    for (dim, &count) in run.counts.iter().enumerate() {
        session.set_len(dim, count)?;
    }
    for (i, bytes) in run.inputs.iter().enumerate() {
        session.set_input_bytes(i, bytes)?;
    }
    session.run();
    (0..session.model().outputs().len()).map(|i| session.output_bytes(i).map(<[u8]>::to_vec)).collect()
}

/// The expected outputs of a case, in the form of [`outputs`].
pub fn expected(case: &Case) -> Vec<Vec<Vec<u8>>> {
    case.runs.iter().map(|run| run.outputs.clone()).collect()
}

/// Whether the case's file, on every instruction set of this machine, and those packed for other cores give what the
/// case expects; real outputs that are not numbers are equal by their bits.
pub fn check(case: &Case) -> Result<(), String> {
    let portable = IsaKind::ALL.into_iter().filter(|isa| isa.is_available());
    let portable = portable.map(|isa| (isa.name(), &case.model, Some(isa)));
    let packed = case.packed.iter().map(|(target, file)| (target.name(), file, None));
    portable.chain(packed).try_for_each(|(name, file, isa)| {
        let (found, expected) = (outputs_of(case, file, isa)?, expected(case));
        if found == expected {
            return Ok(());
        }
        let run = found.iter().zip(&expected).position(|(f, e)| f != e).unwrap_or(0);
        Err(format!(
            "{} ({name}) differs in run {run}:\n found    {:?}\n expected {:?}\n inputs   {:?}\n features {:?}",
            case.name, found[run], expected[run], case.runs[run].inputs, case.features
        ))
    })
}
