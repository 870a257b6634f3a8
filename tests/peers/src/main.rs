//! Wall time of models on one thread of the host: the runtime beside tract, in float and, where it can, in int8.
//!
//! `dunlin-peers FOLDER` takes every `NAME.dun` of the folder with `NAME.onnx` (the network in float) and `NAME.tflite`
//! beside it, and prints a Markdown table; `cargo xtask peers` makes the folder and calls this. Medians of criterion.

use criterion::Criterion;
use dunlin::{AlignedVec, IsaKind, Model, Session, Storage};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tract_onnx::prelude::*;

/// Tables for any of the models.
type Tables = Storage<1024, 2048, 4096>;

/// Any failure, as a person reads it.
type Outcome<T> = Result<T, String>;

/// What a benchmark of one model on one engine is called, and how its folder is.
const OURS: &str = "dunlin";
const FLOAT: &str = "tract-f32";
const INT8: &str = "tract-int8";

fn main() -> Outcome<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("dunlin-peers FOLDER")?;
    let results = folder.join("criterion");
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .output_directory(&results);
    let names = names(&folder)?;
    let mut left_out = Vec::new();
    let mut rows = Vec::new();
    for name in &names {
        let file = |extension: &str| folder.join(format!("{name}.{extension}"));
        let mut times = [None; 3];
        let runs = [
            (OURS, ours(&mut criterion, name, &file("dun"))),
            (FLOAT, float(&file("onnx")).and_then(|model| tract(&mut criterion, name, FLOAT, model))),
            (INT8, int8(&file("tflite")).and_then(|model| tract(&mut criterion, name, INT8, model))),
        ];
        for ((engine, run), time) in runs.into_iter().zip(&mut times) {
            match run {
                Ok(()) => *time = Some(median(&results.join(name).join(engine))?),
                Err(reason) => {
                    let reason = reason.lines().next().unwrap_or_default();
                    left_out.push(format!("{name}, {engine}: {reason}"));
                }
            }
        }
        rows.push((name, times));
    }
    println!(
        "\n| model | Dunlin ({}), µs | tract f32, µs | ratio | tract int8, µs | ratio |",
        IsaKind::native().name()
    );
    println!("|---|---|---|---|---|---|");
    for (name, [ours, float, int8]) in rows {
        let time = |t: Option<f64>| t.map_or("–".into(), |t| format!("{:.1}", t / 1000.0));
        let ratio = |t: Option<f64>| t.zip(ours).map_or("–".into(), |(t, ours)| format!("{:.2}", ours / t));
        let (float_ratio, int8_ratio) = (ratio(float), ratio(int8));
        println!(
            "| {name} | {} | {} | {float_ratio} | {} | {int8_ratio} |",
            time(ours),
            time(float),
            time(int8)
        );
    }
    println!("\n(one thread, medians; ratio: Dunlin's time over tract's)");
    left_out.iter().for_each(|line| println!("left out: {line}"));
    Ok(())
}

/// The models of a folder.
fn names(folder: &Path) -> Outcome<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "dun"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn ours(criterion: &mut Criterion, name: &str, path: &Path) -> Outcome<()> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let file = AlignedVec::from_slice(&bytes);
    let mut tables = Box::new(Tables::new());
    let model = Model::parse(file.as_slice(), &mut tables).map_err(|e| e.to_string())?;
    let (mut arena, mut state) =
        (AlignedVec::zeroed(model.arena_bytes()), AlignedVec::zeroed(model.state_bytes()));
    let mut session =
        Session::with_state(&model, arena.as_mut_slice(), state.as_mut_slice()).map_err(|e| e.to_string())?;
    session.reset_state();
    criterion.benchmark_group(name).bench_function(OURS, |bencher| bencher.iter(|| session.run()));
    Ok(())
}

fn float(path: &Path) -> Outcome<TypedModel> {
    let model = tract_onnx::onnx().model_for_path(path).map_err(|e| format!("{e:#}"))?;
    model.into_optimized().map_err(|e| format!("{e:#}"))
}

/// tract's reader panics at some files.
fn int8(path: &Path) -> Outcome<TypedModel> {
    let read = || tract_tflite::tflite().model_for_path(path)?.into_optimized();
    let model = std::panic::catch_unwind(read).map_err(|_| "tract panicked while it read the file")?;
    model.map_err(|e| format!("{e:#}"))
}

/// Measures a model of tract with inputs of zeros; a run that fails is an error.
fn tract(criterion: &mut Criterion, name: &str, engine: &str, model: TypedModel) -> Outcome<()> {
    let mut inputs: TVec<TValue> = tvec!();
    for i in 0..model.inputs.len() {
        let fact = model.input_fact(i).map_err(|e| format!("{e:#}"))?;
        let shape = fact.shape.as_concrete().ok_or("a shape is not known")?;
        let zeros = Tensor::zero_dt(fact.datum_type, shape).map_err(|e| format!("{e:#}"))?;
        inputs.push(zeros.into());
    }
    let plan = model.into_runnable().map_err(|e| format!("{e:#}"))?;
    plan.run(inputs.clone()).map_err(|e| format!("{e:#}"))?;
    criterion.benchmark_group(name).bench_function(engine, |bencher| {
        bencher.iter(|| plan.run(inputs.clone()).expect("it has run before"));
    });
    Ok(())
}

/// The median of a benchmark, ns.
fn median(folder: &Path) -> Outcome<f64> {
    let path = folder.join("new/estimates.json");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    json["median"]["point_estimate"].as_f64().ok_or_else(|| format!("{}: no median", path.display()))
}
