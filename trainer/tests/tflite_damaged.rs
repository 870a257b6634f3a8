//! Damaged TensorFlow Lite files give an error or a model that runs, never a panic.

use dunlin_trainer::export::{Options, pinned};
use dunlin_trainer::import::{ImportError, tflite};
use dunlin_trainer::quantise::Int8Runner;
use safetensors::SafeTensors;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Mutants of every model.
const MUTANTS: u64 = 40;
/// A damaged file may ask for more than a test should spend; what is larger is imported but not run.
const LARGEST_ARENA: usize = 1 << 22;

/// A number that looks random (SplitMix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Models to damage: one of every kind among the committed vectors.
fn models() -> Vec<(String, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tflite/vectors.safetensors.gz");
    let packed = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut models: Vec<(String, Vec<u8>)> = file
        .names()
        .into_iter()
        .filter_map(|n| Some((n.strip_suffix("/model")?.to_string(), file.tensor(n).ok()?.data().to_vec())))
        .collect();
    models.sort();
    models
}

/// Imports, lowers, encodes and runs once on zeros.
fn use_it(bytes: &[u8]) -> Result<(), ImportError> {
    let graph = tflite::import(bytes, "damaged")?;
    let Ok((plan, file)) = pinned(&graph, &Options::default()) else { return Ok(()) };
    if plan.arena_bytes() as usize > LARGEST_ARENA {
        return Ok(());
    }
    let mut runner = Int8Runner::new(file.as_slice()).expect("the encoder parses what it writes");
    runner.session(|session| session.run()).expect("a session of a model that was parsed");
    Ok(())
}

fn must_not_panic(name: &str, bytes: &[u8]) -> bool {
    match catch_unwind(AssertUnwindSafe(|| use_it(bytes))) {
        Ok(result) => result.is_ok(),
        Err(_) => panic!("{name} panicked"),
    }
}

#[test]
fn mutants_of_every_model_are_refused_or_run() {
    let (mut refused, mut ran) = (0, 0);
    for (m, (name, model)) in models().into_iter().enumerate() {
        assert!(must_not_panic(&name, &model), "{name} is undamaged");
        for k in 0..MUTANTS {
            let mut seed = (m as u64) << 32 | k;
            let mut mutant = model.clone();
            for _ in 0..=next(&mut seed) % 3 {
                let at = (next(&mut seed) % mutant.len() as u64) as usize;
                match next(&mut seed) % 4 {
                    0 => mutant[at] ^= 1 << (next(&mut seed) % 8),
                    1 => mutant[at] = next(&mut seed) as u8,
                    // A whole word: sizes, offsets and scales.
                    2 => {
                        let word = [0u32, 1, u32::MAX, i32::MAX as u32, 0x7fc0_0000, 0x7f80_0000, 4, 65_536]
                            [(next(&mut seed) % 8) as usize];
                        let at = at & !3;
                        if let Some(slot) = mutant.get_mut(at..at + 4) {
                            slot.copy_from_slice(&word.to_le_bytes());
                        }
                    }
                    _ => mutant.truncate(at.max(8)),
                }
            }
            if must_not_panic(&format!("{name}, mutant {k}"), &mutant) {
                ran += 1;
            } else {
                refused += 1;
            }
        }
    }
    println!("{refused} mutants refused, {ran} imported");
    assert!(refused > 1000 && ran > 1000, "the mutants say little: {refused} refused, {ran} imported");
}

#[test]
fn every_truncation_is_refused_by_name() {
    let (name, model) = models().into_iter().min_by_key(|(_, m)| m.len()).unwrap();
    for len in 0..model.len() {
        match catch_unwind(AssertUnwindSafe(|| tflite::import(&model[..len], "cut"))) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => assert!(!error.to_string().is_empty()),
            Err(_) => panic!("{name}, cut to {len} bytes, panicked"),
        }
    }
}

/// Files of one's own, one fault each: `DUNLIN_DAMAGED` names their folder.
#[test]
fn damaged_files_of_ones_own_do_not_panic() {
    let Ok(folder) = std::env::var("DUNLIN_DAMAGED") else { return };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "tflite") {
            let bytes = std::fs::read(&path).unwrap();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            must_not_panic(&name, &bytes);
            match tflite::import(&bytes, "damaged") {
                Ok(_) => println!("{name}: imported"),
                Err(error) => println!("{name}: {error}"),
            }
        }
    }
}
