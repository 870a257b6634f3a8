//! Runs a model on this machine with the runtime that a board would use.

use super::dun::DunFile;
use dunlin_trainer::quantise::{Int8Runner, Output};
use miette::{Result, miette};

/// Raw bytes of every input of one run.
pub(super) type Tensors = Vec<Vec<u8>>;

/// Runs the model on each of `cases`, one after another in one session, so that a model with state sees a
/// sequence.
pub(super) fn run(file: &DunFile, cases: &[Tensors]) -> Result<Vec<Vec<Output>>> {
    let refuse = |e| miette!("{}: {e}", file.path.display());
    let mut runner = Int8Runner::new(file.bytes()).map_err(refuse)?;
    let each = cases.iter().map(|inputs| {
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        runner.run_bytes(&inputs).map_err(refuse)
    });
    each.collect()
}
