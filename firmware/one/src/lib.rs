//! Board-agnostic firmware with one model in it, as a product would have it: no parser, no tables in RAM, no operator that the
//! model does not use.
//!
//! The variable `DUNLIN_MODEL` names the file when this is compiled.
#![no_std]
#![warn(missing_docs)]

use dunlin::format::DType;

dunlin::model! {
    /// The model.
    pub mod model = env!("DUNLIN_MODEL");
}

/// What persists from run to run.
pub type State = model::State;
/// Memory of a run.
pub type Arena = model::Arena;

/// Starts the model, runs it once on a ramp and logs what it says. `timed` runs a closure and returns the instructions that
/// it took.
pub fn run(arena: &'static mut Arena, state: &'static mut State, timed: impl Fn(&mut dyn FnMut()) -> u32) {
    let (mut memory, mut session) = (Some((arena, state)), None);
    let start = timed(&mut || {
        if let Some((arena, state)) = memory.take() {
            let mut new = dunlin::Session::fitted(&model::MODEL, arena.as_mut_slice(), state.as_mut_slice());
            if model::STATE_BYTES > 0 {
                new.reset_state();
            }
            session = Some(new);
        }
    });
    let Some(mut session) = session else { return };
    for input in 0..model::INPUTS.len() {
        // The index is below the count, so there is such an input; a list of indices stays empty.
        let Ok(bytes) = session.input_bytes_mut(input) else { continue };
        bytes.iter_mut().zip(0u8..=255).for_each(|(byte, value)| *byte = value);
    }
    let run = timed(&mut || session.run());
    let Ok(output) = session.output_bytes(0) else { return };
    let best = match model::OUTPUTS[0].dtype {
        DType::I8 => largest(output),
        _ => output.first().map_or(0, |&label| usize::from(label)),
    };
    defmt::info!("start {=u32} run {=u32} label {=usize} {=str}", start, run, best, name(best));
}

fn largest(scores: &[u8]) -> usize {
    let mut best = (0, i8::MIN);
    for (index, &score) in scores.iter().enumerate() {
        if score as i8 > best.1 {
            best = (index, score as i8);
        }
    }
    best.0
}

fn name(label: usize) -> &'static str {
    model::LABELS.get(label).copied().unwrap_or("")
}
