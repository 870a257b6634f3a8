//! `dunlin train` and what follows it, on generated scenes: the whole way to an int8 file in one epoch.

use assert_cmd::Command;
use predicates::str::contains;
use std::path::Path;

fn dunlin() -> Command {
    let mut command = Command::cargo_bin("dunlin").expect("the binary is built with the tests");
    command.env_remove("DUNLIN_DATA").env("NO_COLOR", "1");
    command
}

fn json(command: &mut Command) -> serde_json::Value {
    let output = command.output().expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON value")
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn a_trained_model_is_quantised_again_and_measured_with_the_same_result() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("run");
    let trained =
        json(dunlin().args(["train", "street", "--epochs", "1", "--quiet", "--json", "--out"]).arg(&run));
    assert_eq!((&trained["epochs"], &trained["interrupted"]), (&1.into(), &false.into()));
    let metrics = &trained["quantised"]["metrics"];
    assert_eq!((&metrics["metric"], &metrics["examples"]), (&"mIoU".into(), &64.into()));
    for name in ["recipe.toml", "learning.png", "samples.png", "confusion.png", "arena.png", "card.md"] {
        assert!(run.join(name).is_file(), "{name} is missing");
    }
    let written: serde_json::Value = serde_json::from_slice(&bytes(&run.join("metrics.json"))).unwrap();
    assert_eq!(&written, metrics);

    let again = folder.path().join("again/street.dun");
    let quantised = json(dunlin().arg("quantize").arg(&run).arg("-o").arg(&again).arg("--json"));
    assert_eq!(quantised["metrics"], *metrics);
    assert_eq!(bytes(&again), bytes(&run.join("street.dun")));
    let snr = quantised["snr"].as_array().expect("a list");
    assert!(snr.iter().any(|v| v["value"] == "enc1" && v["decibels"].as_f64() > Some(20.0)), "{snr:?}");

    // The card says how to make it again, with what differs from the model's own recipe.
    let card = String::from_utf8(bytes(&again.with_file_name("card.md"))).unwrap();
    let train = format!("dunlin train street --out {} --epochs 1\n", run.display());
    assert!(card.contains(&train) && card.contains("dunlin quantize "), "{card}");

    let eval = json(dunlin().arg("eval").arg(&again).arg("--float").arg(&run).arg("--json"));
    assert_eq!((&eval["value"], &eval["float"]), (&metrics["int8"], &metrics["float"]));

    let mut other = dunlin();
    other.args(["train", "street", "--epochs", "2", "--quiet", "--resume", "--out"]).arg(&run);
    other.assert().failure().code(1).stderr(contains("another recipe"));
}
