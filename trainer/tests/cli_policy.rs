//! `dunlin train`, `eval` and `play` for policies, as a person calls them.

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use std::path::Path;

fn dunlin() -> Command {
    Command::cargo_bin("dunlin").expect("the command is built")
}

fn json(command: &mut Command) -> Value {
    let output = command.assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).expect("standard output is one JSON object")
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A short training of the smallest network.
fn train(out: &Path, more: &[&str]) -> Command {
    let mut command = dunlin();
    command
        .args(["train", "cartpole-ppo", "--quiet", "--json", "--out"])
        .arg(out)
        .args(["--steps", "12000"])
        .args(more);
    command
}

#[test]
fn a_policy_is_trained_measured_and_played() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let report = json(&mut train(&out, &["--seeds", "2"]));
    assert_eq!((&report["model"], &report["interrupted"]), (&"cartpole-ppo".into(), &false.into()));
    let metrics = &report["metrics"];
    assert_eq!((&metrics["metric"], &metrics["examples"]), (&"mean return".into(), &100.into()));
    let runs = metrics["repeated"]["runs"].as_array().expect("a list of the seeds");
    assert_eq!(runs.iter().map(|r| r["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    assert!(runs[0]["confidence"][0].as_f64().unwrap() >= 0.0);
    for name in [
        "card.md",
        "recipe.toml",
        "learning.png",
        "arena.png",
        "metrics.json",
        "history.jsonl",
        "best.safetensors",
    ] {
        assert!(!read(&out.join(name)).is_empty(), "{name}");
    }
    let file = out.join("cartpole-ppo.dun");

    // What was measured is measured again.
    let eval = json(dunlin().arg("eval").arg(&file).args(["--episodes", "100", "--seed", "1", "--json"]));
    assert_eq!((&eval["mean_return"], &eval["episodes"]), (&metrics["int8"], &100.into()));
    let [low, high] = [0, 1].map(|i| eval["confidence_interval"][i].as_f64().unwrap());
    let (mean, half) = (eval["mean_return"].as_f64().unwrap(), metrics["confidence"][1].as_f64().unwrap());
    assert!((mean - half - low).abs() < 1e-9 && (mean + half - high).abs() < 1e-9);
    let other = json(dunlin().arg("eval").arg(&file).args(["--episodes", "100", "--seed", "2", "--json"]));
    assert_ne!(other["mean_return"], eval["mean_return"], "other episodes");
    let float =
        json(dunlin().arg("eval").arg(&file).arg("--float").arg(&out).args(["--episodes", "100", "--json"]));
    assert_eq!(float["float"], metrics["float"]);

    // An episode, as numbers, as text and as a picture.
    let played = json(dunlin().arg("play").arg(&file).args(["--seed", "3", "--json"]));
    let steps = played["steps"].as_u64().unwrap();
    assert_eq!(played["actions"].as_array().unwrap().len() as u64, steps);
    assert_eq!(played["total"].as_f64().unwrap(), steps as f64, "a reward of 1 a step");
    dunlin()
        .arg("play")
        .arg(&file)
        .args(["--seed", "3", "--every", "50"])
        .assert()
        .success()
        .stdout(predicate::str::contains(format!("return {steps}.00 after {steps} steps")));
    let gif = dir.path().join("pictures/episode.gif");
    dunlin().arg("play").arg(&file).args(["--steps", "10", "--gif"]).arg(&gif).assert().success();
    assert_eq!(&read(&gif)[..6], b"GIF89a");
}

#[test]
fn a_resumed_command_keeps_what_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let first = json(&mut train(&out, &["--seeds", "1"]));
    let weights = out.join("runs/seed1/best.safetensors");
    let before = std::fs::metadata(&weights).unwrap().modified().unwrap();
    let again = json(&mut train(&out, &["--seeds", "1", "--resume"]));
    assert_eq!(first["metrics"], again["metrics"]);
    assert_eq!(std::fs::metadata(&weights).unwrap().modified().unwrap(), before, "nothing is trained again");
    train(&out, &["--seeds", "1", "--resume", "--lr", "0.5"])
        .assert()
        .failure()
        .stderr(predicate::str::contains("another recipe"));
}

#[test]
fn a_table_is_planned_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("lake");
    let report =
        json(dunlin().args(["train", "frozenlake8x8-planned", "--quiet", "--json", "--out"]).arg(&out));
    assert_eq!(report["metrics"]["float"], report["metrics"]["int8"], "a table is exact in int8");
    let played = json(dunlin().arg("play").arg(out.join("frozenlake8x8-planned.dun")).arg("--json"));
    assert!(played["success"].is_boolean());
    dunlin()
        .args(["train", "frozenlake8x8-planned", "--seeds", "2", "--out"])
        .arg(&out)
        .assert()
        .failure()
        .stderr(predicate::str::contains("nothing in it is random"));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let says = |args: &[&str], text: &str| {
        dunlin().current_dir(dir.path()).args(args).assert().failure().stderr(predicate::str::contains(text));
    };
    says(&["train", "cartpole-ppo", "--out", "x", "--epochs", "3"], "--steps");
    says(&["train", "cartpole-ppo", "--out", "x", "--folds", "3"], "learns by acting");
    says(&["train", "digits", "--out", "x", "--steps", "3"], "--steps is for policies");
    let digits = models.join("digits/digits.dun");
    let digits = digits.to_str().unwrap();
    says(&["play", digits], "does not act in an environment");
    says(&["eval", digits, "--episodes", "3"], "is not a policy");
    says(&["play", "missing.dun"], "missing.dun");
    std::fs::write(dir.path().join("bad.toml"), "model = 3").unwrap();
    says(&["train", "cartpole-ppo", "--out", "x", "--recipe", "bad.toml"], "bad.toml");
}
