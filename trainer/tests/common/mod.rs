//! What the tests that measure models have in common: the published ones of the conformance folder, and a run on a board.

use dunlin::{AlignedVec, Model, Storage};
use dunlin_emulator::board::Board;
use dunlin_emulator::meter::{ModelProfile, drawn_inputs, profile};
pub(crate) use dunlin_emulator::unless_left_out;
use dunlin_emulator::{Job, Options as Emulation, Run};
use dunlin_trainer::export::{Options, pinned};
use dunlin_trainer::import::tflite;
use dunlin_trainer::plan::Plan;
use dunlin_trainer::quantise::Int8Runner;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Prints a line that the test harness does not capture.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the published models, where it is there.
pub(crate) fn conformance() -> Option<PathBuf> {
    let named = std::env::var_os("DUNLIN_CONFORMANCE").filter(|v| !v.is_empty()).map(PathBuf::from);
    Some(named.unwrap_or(root().join("../shared/conformance")).join("tflite")).filter(|p| p.is_dir())
}

/// The model `name` of `folder`, imported.
pub(crate) fn published(folder: &Path, name: &str, options: &Options) -> (Plan, Vec<u8>) {
    let path = folder.join(name).join("model.tflite");
    let model = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let graph = tflite::import(&model, name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (plan, file) = pinned(&graph, options).unwrap_or_else(|e| panic!("{name}: {e}"));
    (plan, file.as_slice().to_vec())
}

/// A model with drawn inputs and what this machine says of them.
pub(crate) struct Sample {
    name: String,
    pub(crate) inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
}

impl Sample {
    /// Of the portable file `file`.
    pub(crate) fn new(name: &str, file: &[u8]) -> Self {
        let bytes = AlignedVec::from_slice(file);
        let mut storage = Box::new(Storage::<2048, 4096, 8192>::new());
        let model = Model::parse(bytes.as_slice(), &mut storage).unwrap_or_else(|e| panic!("{name}: {e}"));
        let inputs = drawn_inputs(&model);
        let mut runner = Int8Runner::new(file).unwrap_or_else(|e| panic!("{name}: {e}"));
        let given: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let outputs = runner.run_bytes(&given).unwrap_or_else(|e| panic!("{name}: {e}"));
        let outputs = outputs.into_iter().map(|output| output.bytes).collect();
        Self { name: name.to_string(), inputs, outputs }
    }

    /// One run of `file`, a form of the same program, on `board` under the cycle meter; the outputs are this machine's.
    /// `None` where nothing can be emulated here.
    pub(crate) fn profile(&self, board: &Board, file: &[u8]) -> Option<ModelProfile> {
        let run = Run { inputs: self.inputs.clone(), counts: Vec::new() };
        let job = Job { name: self.name.clone(), model: file.to_vec(), runs: vec![run] };
        let options = Emulation { time_limit: Duration::from_secs(900), ..Emulation::default() };
        let profile = unless_left_out(board.name, profile(board, &job, &options))?;
        let result = profile.report.jobs[0].outcome.result().expect("profile returns jobs that ran");
        assert!(
            result.runs[0].outputs == self.outputs,
            "{} on {}: other bytes than here",
            self.name,
            board.name
        );
        Some(profile)
    }
}
