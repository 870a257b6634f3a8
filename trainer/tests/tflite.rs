//! TensorFlow Lite models give the bytes of the reference kernels, on this machine and on emulated boards.
//!
//! Vectors are folders with `model.tflite`, `input_K.bin` and `output_K.bin`. A folder with a file `sequence` is one
//! session over all its inputs; in any other each input starts from a reset state. `DUNLIN_CONFORMANCE` names a folder
//! that holds such folders in `tflite/`, else `../shared/conformance` is taken; `DUNLIN_TFLITE_VECTORS` names more of
//! them, separated by colons, for vectors of one's own.

use dunlin::AlignedVec;
use dunlin_emulator::board::BOARDS;
use dunlin_emulator::{
    EmulateError, Job, JobOutcome, Options as Emulation, Run, emulation_is_off, leave_out, run as emulate,
};
use dunlin_trainer::export::{Options, pinned};
use dunlin_trainer::import::tflite;
use dunlin_trainer::quantise::Int8Runner;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Models that the conformance folder must hold.
const MODELS: usize = 8;

fn conformance() -> Option<PathBuf> {
    let named = std::env::var_os("DUNLIN_CONFORMANCE").filter(|v| !v.is_empty()).map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    Some(named.unwrap_or(beside).join("tflite")).filter(|p| p.is_dir())
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).unwrap_or_else(|e| panic!("{}: {e}", root.display()));
    let mut folders: Vec<PathBuf> =
        entries.map(|e| e.unwrap().path()).filter(|p| p.join("model.tflite").is_file()).collect();
    folders.sort();
    folders
}

/// The `.dun` file of a model.
fn import(folder: &Path) -> Result<AlignedVec, String> {
    let bytes = std::fs::read(folder.join("model.tflite")).map_err(|e| e.to_string())?;
    let graph = tflite::import(&bytes, "model").map_err(|e| e.to_string())?;
    let (_, file) = pinned(&graph, &Options::default()).map_err(|e| e.to_string())?;
    Ok(file)
}

/// The inputs of a model, which follow each other in one file.
fn inputs<'b>(runner: &mut Int8Runner, bytes: &'b [u8]) -> Result<Vec<&'b [u8]>, String> {
    let sizes = runner
        .session(|s| s.model().inputs().map(|t| t.bytes() as usize).collect::<Vec<_>>())
        .map_err(|e| e.to_string())?;
    if sizes.iter().sum::<usize>() != bytes.len() {
        return Err(format!("inputs of {sizes:?} bytes, {} given", bytes.len()));
    }
    let mut rest = bytes;
    let parts = sizes.iter().map(|&size| {
        let (input, more) = rest.split_at(size);
        rest = more;
        input
    });
    Ok(parts.collect())
}

/// Runs a model on inputs that follow each other in one file, in the order of its inputs.
fn run(runner: &mut Int8Runner, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let inputs = inputs(runner, bytes)?;
    let outputs = runner.run_bytes(&inputs).map_err(|e| e.to_string())?;
    Ok(outputs.into_iter().flat_map(|o| o.bytes).collect())
}

/// Compares every vector of a folder; how many there were, or what differs.
fn check(folder: &Path) -> Result<usize, String> {
    let file = import(folder)?;
    let fresh = || Int8Runner::new(file.as_slice()).map_err(|e| e.to_string());
    let sequence = folder.join("sequence").is_file();
    let mut runner = fresh()?;
    let mut count = 0;
    while let Ok(input) = std::fs::read(folder.join(format!("input_{count}.bin"))) {
        let expected =
            std::fs::read(folder.join(format!("output_{count}.bin"))).map_err(|e| e.to_string())?;
        if count > 0 && !sequence {
            runner = fresh()?;
        }
        let found = run(&mut runner, &input)?;
        if found != expected {
            let wrong = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
            let (a, b) = (found.len(), expected.len());
            return Err(format!("input {count}: {wrong} of {b} bytes differ ({a} found)"));
        }
        count += 1;
    }
    if count == 0 { Err("no input_0.bin".into()) } else { Ok(count) }
}

#[test]
fn published_models_give_the_reference_bytes() {
    let Some(root) = conformance() else {
        eprintln!("LEFT OUT: no conformance vectors; name their folder with DUNLIN_CONFORMANCE");
        return;
    };
    let folders = folders(&root);
    assert!(folders.len() >= MODELS, "{}: {} models, expected {MODELS}", root.display(), folders.len());
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let runs = check(&folder).unwrap_or_else(|e| panic!("{name}: {e}"));
        println!("{name}: {runs} inputs equal");
    }
}

#[test]
fn published_models_give_the_reference_bytes_on_emulated_boards() {
    let Some(root) = conformance() else {
        eprintln!("LEFT OUT: no conformance vectors; name their folder with DUNLIN_CONFORMANCE");
        return;
    };
    if emulation_is_off() {
        return leave_out("published models", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let (mut jobs, mut expected) = (Vec::new(), Vec::new());
    for folder in folders(&root) {
        let file = import(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut runner = Int8Runner::new(file.as_slice()).unwrap();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for k in 0.. {
            let Ok(bytes) = std::fs::read(folder.join(format!("input_{k}.bin"))) else { break };
            let given = inputs(&mut runner, &bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
            let run = Run { inputs: given.iter().map(|b| b.to_vec()).collect(), counts: Vec::new() };
            // A job of its own starts from a reset state, as the reference did for each input.
            jobs.push(Job { name: format!("{name}/{k}"), model: file.as_slice().to_vec(), runs: vec![run] });
            expected.push(std::fs::read(folder.join(format!("output_{k}.bin"))).unwrap());
        }
    }
    for board in BOARDS.iter().filter(|b| ["mps2-an386", "mps3-an547"].contains(&b.name)) {
        let options = Emulation { time_limit: Duration::from_secs(900), ..Emulation::default() };
        let report = match emulate(board, &jobs, &options) {
            Ok(report) => report,
            Err(error @ (EmulateError::NoImage { .. } | EmulateError::NoQemu { .. })) => {
                leave_out(board.name, &error.to_string());
                continue;
            }
            Err(error) => panic!("{}: {error}", board.name),
        };
        assert_eq!(report.jobs.len(), jobs.len());
        for (outcome, expected) in report.jobs.iter().zip(&expected) {
            let name = format!("{} on {}", outcome.name, board.name);
            let JobOutcome::Ran(result) = &outcome.outcome else { panic!("{name}: {:?}", outcome.outcome) };
            assert_eq!(&result.runs[0].outputs.concat(), expected, "{name}");
        }
        println!("{} ({}): {} runs equal", board.name, board.core, jobs.len());
    }
}

#[test]
fn further_vectors_give_the_reference_bytes() {
    let Ok(roots) = std::env::var("DUNLIN_TFLITE_VECTORS") else { return };
    let only = std::env::var("DUNLIN_ONLY").unwrap_or_default();
    let (mut good, mut bad) = (0, Vec::new());
    for root in roots.split(':').filter(|r| !r.is_empty()) {
        for folder in folders(Path::new(root)) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with(&only) {
                continue;
            }
            match std::panic::catch_unwind(|| check(&folder)).unwrap_or_else(|_| Err("PANIC".into())) {
                Ok(_) => good += 1,
                Err(problem) => bad.push(format!("{name}: {problem}")),
            }
        }
    }
    println!("{good} folders equal");
    assert!(bad.is_empty(), "{} folders differ:\n{}", bad.len(), bad.join("\n"));
}
