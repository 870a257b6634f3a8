//! The golden file of every version of the format loads and gives the same bytes.

use dunlin::format::{Scaling, VERSION};
use dunlin::{AlignedVec, Model};
use dunlin_tests::cases::Kind;
use dunlin_tests::golden::operators::{self, PARTS};
use dunlin_tests::golden::{COUNTS, KINDS, all_files, folder, kinds, run};
use dunlin_tests::host::Tables;

fn read(version: u16, name: &str) -> Vec<u8> {
    let path = folder(version).join(name);
    std::fs::read(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; `cargo run -p dunlin-tests --bin golden`", path.display()))
}

#[test]
fn every_version_has_its_golden_file() {
    for version in 1..=VERSION {
        assert!(folder(version).join("model.dun").is_file(), "no golden model of version {version}");
    }
}

#[test]
fn version_1_loads_and_gives_the_same_bytes() {
    let file = AlignedVec::from_slice(&read(1, "model.dun"));
    assert_eq!(file.as_slice()[4..6], [1, 0]);
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables).expect("version 1 loads for ever");
    assert_eq!(kinds(&model).len(), KINDS);
    let metadata = model.metadata().unwrap();
    assert_eq!((metadata.name, metadata.label(1), metadata.label(3)), ("golden", Some("road"), None));
    let scaling = Scaling { factor: 1.0 / 255.0, mean: [0.5, 0.4, 0.3, 0.0], std: [0.25, 0.25, 0.25, 1.0] };
    assert_eq!(metadata.scaling, scaling);
    let inputs: Vec<_> = (0..COUNTS.len())
        .map(|run| [0, 1].map(|input| read(1, &format!("run{run}-input{input}.bin"))))
        .collect();
    let outputs = run(&model, &inputs).unwrap();
    for (run, outputs) in outputs.iter().enumerate() {
        for (i, output) in outputs.iter().enumerate() {
            assert_eq!(output, &read(1, &format!("run{run}-output{i}.bin")), "run {run}, output {i}");
        }
    }
}

#[test]
fn the_newest_golden_model_has_every_operator_that_its_version_began_with() {
    let file = AlignedVec::from_slice(&read(VERSION, "model.dun"));
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables).unwrap();
    assert_eq!(kinds(&model), Kind::ALL[..KINDS]);
}

fn read_operators(name: &str) -> Vec<u8> {
    let path = operators::folder().join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Takes the first `len` bytes of `bytes`.
fn take<'a>(bytes: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (first, rest) = bytes.split_at(len);
    *bytes = rest;
    first
}

#[test]
fn the_appended_operators_of_version_1_load_and_give_the_same_bytes() {
    for part in PARTS {
        let file = AlignedVec::from_slice(&read_operators(&part.model_file()));
        assert_eq!(file.as_slice()[4..6], [1, 0]);
        let mut tables = Tables::new();
        let model = Model::parse(file.as_slice(), &mut tables).expect("version 1 loads for ever");
        let inputs: Vec<Vec<Vec<u8>>> = (0..COUNTS.len())
            .map(|run| {
                let bytes = read_operators(&part.run_file(run, "inputs"));
                let mut rest = &bytes[..];
                let made = operators::inputs(&model, run);
                let inputs = made.iter().map(|input| take(&mut rest, input.len()).to_vec()).collect();
                assert!(rest.is_empty(), "{}, run {run}: more inputs than the model has", part.name);
                inputs
            })
            .collect();
        for (run, outputs) in run(&model, &inputs).unwrap().iter().enumerate() {
            let bytes = read_operators(&part.run_file(run, "outputs"));
            let mut rest = &bytes[..];
            for (node, output) in model.nodes().iter().zip(outputs) {
                assert_eq!(output, take(&mut rest, output.len()), "{}, run {run}", node.op.name());
                let varied = output.iter().any(|byte| byte != &output[0]);
                assert!(varied || output.is_empty(), "{}, run {run}: constant {output:?}", node.op.name());
            }
            assert!(rest.is_empty(), "{}, run {run}: fewer outputs than there were", part.name);
        }
    }
}

#[test]
fn every_operator_is_in_a_golden_model() {
    let mut files = vec![read(1, "model.dun")];
    files.extend(PARTS.iter().map(|part| read_operators(&part.model_file())));
    let mut found = Vec::new();
    for file in files {
        let file = AlignedVec::from_slice(&file);
        let mut tables = Tables::new();
        found.extend(kinds(&Model::parse(file.as_slice(), &mut tables).unwrap()));
    }
    found.sort_unstable();
    assert_eq!(found, Kind::ALL, "each operator in one golden model");
}

#[test]
fn the_encoder_still_writes_the_golden_files() {
    for (path, bytes) in all_files() {
        let name = path.display();
        let written = std::fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(bytes, written, "{name}; `cargo run -p dunlin-tests --bin golden` shows how it differs");
    }
}

#[test]
fn the_golden_outputs_hold_something() {
    let distinct = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.sort_unstable();
        bytes.dedup();
        bytes.len()
    };
    // Labels of three classes, probabilities, an accumulator, and rows: none of them constant.
    for (output, least) in [(0, 2), (1, 4), (2, 3), (3, 3)] {
        let bytes = read(1, &format!("run0-output{output}.bin"));
        assert!(distinct(&bytes) >= least, "output {output}: {bytes:?}");
    }
    assert_ne!(read(1, "run0-output2.bin"), read(1, "run1-output2.bin"), "the state goes on");
    assert!(read(1, "run1-output3.bin").is_empty(), "no rows");
}
