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
use dunlin_trainer::exec::{self, Device, Mode, NoTap, Tensor, TensorData, Weights};
use dunlin_trainer::export::{Options, pinned};
use dunlin_trainer::import::tflite;
use dunlin_trainer::ops::{DType, Data};
use dunlin_trainer::quantise::Int8Runner;
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Models among the committed vectors.
const COMMITTED: usize = 830;
/// Sums of up to some hundred products of size one, in another order than the reference's.
const TOLERANCE: f32 = 1e-4;
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
fn import(model: &[u8]) -> Result<AlignedVec, String> {
    let graph = tflite::import(model, "model").map_err(|e| e.to_string())?;
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

/// A model with runs and what the reference gave.
struct Vectors {
    model: Vec<u8>,
    /// One session over all runs, instead of a reset state for each.
    sequence: bool,
    runs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Vectors {
    fn of_folder(folder: &Path) -> Result<Self, String> {
        let read = |name: &str| std::fs::read(folder.join(name)).map_err(|e| format!("{name}: {e}"));
        let mut runs = Vec::new();
        while let Ok(input) = read(&format!("input_{}.bin", runs.len())) {
            let output = read(&format!("output_{}.bin", runs.len()))?;
            runs.push((input, output));
        }
        Ok(Self { model: read("model.tflite")?, sequence: folder.join("sequence").is_file(), runs })
    }

    /// Compares the float graph of a model of real numbers with what the reference gave, in its first run: the executor
    /// carries no state from run to run.
    fn check_float(&self) -> Result<usize, String> {
        let graph = tflite::import(&self.model, "model").map_err(|e| e.to_string())?;
        let weights = Weights::from_graph(&graph, &Device::flex());
        let (input, expected) = self.runs.first().ok_or("no input")?;
        let mut rest = input.as_slice();
        let mut tensors = Vec::new();
        for id in &graph.inputs {
            let s = graph.shape(*id);
            let (bytes, more) = rest.split_at_checked(4 * s.elements()).ok_or("input too short")?;
            rest = more;
            let word = |b: &[u8; 4]| match graph.value(*id).dtype {
                DType::Float => f32::from_le_bytes(*b),
                _ => i32::from_le_bytes(*b) as f32,
            };
            let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(word).collect();
            let dims = [s.n, s.h, s.w, s.c].map(|d| d as usize);
            tensors.push(Tensor::from_data(TensorData::new(values, dims), &Device::flex()));
        }
        let run = exec::run(&graph, &weights, &tensors, &graph.outputs, Mode::Evaluate, &mut NoTap);
        let mut found: Vec<f32> = Vec::new();
        let mut real: Vec<bool> = Vec::new();
        for value in run.map_err(|e| e.to_string())?.values {
            let (tensor, is_real) = match value {
                Data::Float(t) => (t, true),
                Data::Int(t) => (t.float(), false),
            };
            let values: Vec<f32> = tensor.into_data().try_into_vec().map_err(|e| format!("{e:?}"))?;
            real.extend(vec![is_real; values.len()]);
            found.extend(values);
        }
        if 4 * found.len() != expected.len() {
            return Err(format!("{} values, expected {}", found.len(), expected.len() / 4));
        }
        for (i, (found, word)) in found.iter().zip(expected.as_chunks::<4>().0).enumerate() {
            let expected = if real[i] { f32::from_le_bytes(*word) } else { i32::from_le_bytes(*word) as f32 };
            let close = (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0);
            let same = *found == expected || found.is_nan() && expected.is_nan();
            if !(close || same) {
                return Err(format!("value {i} is {found}, expected {expected}"));
            }
        }
        Ok(1)
    }

    /// Compares every run; how many there were, or what differs.
    fn check(&self) -> Result<usize, String> {
        let file = import(&self.model)?;
        let fresh = || Int8Runner::new(file.as_slice()).map_err(|e| e.to_string());
        let mut runner = fresh()?;
        for (k, (input, expected)) in self.runs.iter().enumerate() {
            if k > 0 && !self.sequence {
                runner = fresh()?;
            }
            let given = inputs(&mut runner, input)?;
            let outputs = runner.run_bytes(&given).map_err(|e| e.to_string())?;
            let found: Vec<u8> = outputs.into_iter().flat_map(|o| o.bytes).collect();
            if found != *expected {
                let wrong = found.iter().zip(expected).filter(|(a, b)| a != b).count();
                let (a, b) = (found.len(), expected.len());
                return Err(format!("input {k}: {wrong} of {b} bytes differ ({a} found)"));
            }
        }
        if self.runs.is_empty() { Err("no input".into()) } else { Ok(self.runs.len()) }
    }
}

/// The committed vectors, by name: small models of one operator or a few, drawn at random, with the bytes of the
/// reference kernels (tflite-micro 0.dev20261023 for int8 and int16, LiteRT 2.3.0 for what it lacks and for uint8).
fn committed() -> BTreeMap<String, Vectors> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tflite/vectors.safetensors.gz");
    let packed = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let names = file.names().into_iter().filter_map(|n| n.strip_suffix("/model"));
    let part = |name: String| file.tensor(&name).ok().map(|t| t.data().to_vec());
    let vectors = |name: &str| {
        let run = |k: usize| Some((part(format!("{name}/input_{k}"))?, part(format!("{name}/output_{k}"))?));
        Vectors {
            model: part(format!("{name}/model")).unwrap(),
            sequence: part(format!("{name}/sequence")).is_some(),
            runs: (0..).map_while(run).collect(),
        }
    };
    names.map(|name| (name.to_string(), vectors(name))).collect()
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
        let runs =
            Vectors::of_folder(&folder).and_then(|v| v.check()).unwrap_or_else(|e| panic!("{name}: {e}"));
        println!("{name}: {runs} inputs equal");
    }
}

/// Jobs of a model for a board, and what each of their runs must give.
fn jobs(name: &str, vectors: &Vectors) -> Vec<(Job, Vec<Vec<u8>>)> {
    let file = import(&vectors.model).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut runner = Int8Runner::new(file.as_slice()).unwrap();
    let run = |input: &[u8], runner: &mut Int8Runner| {
        let given = inputs(runner, input).unwrap_or_else(|e| panic!("{name}: {e}"));
        Run { inputs: given.iter().map(|b| b.to_vec()).collect(), counts: Vec::new() }
    };
    // A job starts from a reset state, as the reference did for each input that is not one of a sequence.
    let share = if vectors.sequence { vectors.runs.len() } else { 1 };
    let parts = vectors.runs.chunks(share).enumerate().map(|(k, part)| {
        let runs = part.iter().map(|(input, _)| run(input, &mut runner)).collect();
        let job = Job { name: format!("{name}/{k}"), model: file.as_slice().to_vec(), runs };
        (job, part.iter().map(|(_, output)| output.clone()).collect())
    });
    parts.collect()
}

/// Runs all on the emulated M4 and M55 and compares every byte.
fn on_boards(all: &[(Job, Vec<Vec<u8>>)]) {
    if emulation_is_off() {
        return leave_out("TensorFlow Lite models", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let jobs: Vec<Job> = all.iter().map(|(job, _)| job.clone()).collect();
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
        for (outcome, (_, expected)) in report.jobs.iter().zip(all) {
            let name = format!("{} on {}", outcome.name, board.name);
            let JobOutcome::Ran(result) = &outcome.outcome else { panic!("{name}: {:?}", outcome.outcome) };
            let found: Vec<Vec<u8>> = result.runs.iter().map(|r| r.outputs.concat()).collect();
            assert_eq!(&found, expected, "{name}");
        }
        println!("{} ({}): {} jobs equal", board.name, board.core, jobs.len());
    }
}

#[test]
fn published_models_give_the_reference_bytes_on_emulated_boards() {
    let Some(root) = conformance() else {
        eprintln!("LEFT OUT: no conformance vectors; name their folder with DUNLIN_CONFORMANCE");
        return;
    };
    let all: Vec<_> = folders(&root)
        .iter()
        .flat_map(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let vectors = Vectors::of_folder(folder).unwrap_or_else(|e| panic!("{name}: {e}"));
            jobs(&name, &vectors)
        })
        .collect();
    on_boards(&all);
}

#[test]
fn single_operators_and_small_networks_give_the_reference_bytes_on_emulated_boards() {
    let all = committed();
    let integer = all.iter().filter(|(name, _)| !is_float(name));
    let all: Vec<_> = integer.flat_map(|(name, vectors)| jobs(name, vectors)).collect();
    on_boards(&all);
}

/// Whether a vector is one of real numbers, by its name.
fn is_float(name: &str) -> bool {
    ["_f32_", "_f16w_"].iter().any(|part| name.contains(part)) && !name.starts_with("quantize")
}

/// Checks all; prints how many are equal and fails with a line for each that is not.
fn check_all(vectors: impl Iterator<Item = (String, Result<Vectors, String>)>) -> usize {
    let (mut good, mut bad) = (0, Vec::new());
    for (name, vectors) in vectors {
        let checked = vectors.and_then(|v| {
            std::panic::catch_unwind(|| if is_float(&name) { v.check_float() } else { v.check() })
                .unwrap_or_else(|_| Err("it panicked".into()))
        });
        match checked {
            Ok(_) => good += 1,
            Err(problem) => bad.push(format!("{name}: {problem}")),
        }
    }
    println!("{good} models equal");
    assert!(bad.is_empty(), "{} models differ:\n{}", bad.len(), bad.join("\n"));
    good
}

#[test]
fn single_operators_and_small_networks_give_the_reference_bytes() {
    let checked = check_all(committed().into_iter().map(|(name, vectors)| (name, Ok(vectors))));
    assert!(checked >= COMMITTED, "{checked} models, expected {COMMITTED}");
}

#[test]
fn vectors_of_ones_own_give_the_reference_bytes() {
    let Ok(roots) = std::env::var("DUNLIN_TFLITE_VECTORS") else { return };
    let only = std::env::var("DUNLIN_ONLY").unwrap_or_default();
    let all = roots.split(':').filter(|r| !r.is_empty()).flat_map(|root| folders(Path::new(root)));
    let named = all.map(|f| (f.file_name().unwrap_or_default().to_string_lossy().into_owned(), f));
    let chosen = named.filter(|(name, _)| name.starts_with(&only));
    check_all(chosen.map(|(name, folder)| (name, Vectors::of_folder(&folder))));
}
