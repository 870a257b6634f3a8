//! `dunlin train` for models of graphs, on a small set written here: rings against chains.

use assert_cmd::Command;
use predicates::str::contains;
use std::fmt::Write as _;
use std::path::Path;

fn dunlin() -> Command {
    let mut command = Command::cargo_bin("dunlin").expect("the binary is built with the tests");
    command.env_remove("DUNLIN_DATA").env("NO_COLOR", "1");
    command
}

/// Rings (label 1) and chains (label 0) of 4 to 9 nodes: every second node of a ring is of another kind.
fn rings_and_chains(dir: &Path, count: usize) {
    let mut text = format!("{count}\n");
    for i in 0..count {
        let (nodes, ring) = (4 + i / 2 % 6, i % 2 == 1);
        let _ = writeln!(text, "{nodes} {}", i % 2);
        for node in 0..nodes {
            let around = [(node + nodes - 1) % nodes, (node + 1) % nodes];
            let beside = |other: &&usize| ring || other.abs_diff(node) == 1;
            let neighbours: Vec<String> = around.iter().filter(beside).map(usize::to_string).collect();
            let tag = usize::from(ring) * (node % 2);
            let _ = writeln!(text, "{tag} {} {}", neighbours.len(), neighbours.join(" "));
        }
    }
    std::fs::create_dir_all(dir.join("graphs_tu")).unwrap();
    std::fs::write(dir.join("graphs_tu/MUTAG.txt"), text).unwrap();
}

fn json(command: &mut Command) -> serde_json::Value {
    let output = command.output().expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON value")
}

#[test]
fn a_training_is_repeated_over_seeds_and_folds_and_what_is_finished_is_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    rings_and_chains(folder.path(), 72);
    let command = |resume: bool| {
        let mut command = dunlin();
        command
            .args(["train", "gn-mutag", "--epochs", "60", "--batch", "16", "--folds", "2", "--seeds", "2"]);
        command.args(["--json", "--data"]).arg(folder.path()).arg("--out").arg(&out);
        if resume {
            command.arg("--resume");
        }
        command
    };
    let first = json(&mut command(false));
    let repeated = &first["metrics"]["repeated"];
    let runs = repeated["runs"].as_array().expect("a list");
    let cases: Vec<_> = runs.iter().map(|r| (r["seed"].as_u64(), r["fold"].as_u64())).collect();
    assert_eq!(cases, [(1, 1), (1, 2), (2, 1), (2, 2)].map(|(seed, fold)| (Some(seed), Some(fold))));
    assert!(repeated["float"]["mean"].as_f64() > Some(0.9), "{repeated}");
    assert!(repeated["int8"]["mean"].as_f64() > Some(0.85), "{repeated}");
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("metrics.json")).unwrap()).unwrap();
    assert_eq!(written, first["metrics"]);
    for name in
        ["graph.json", "best.safetensors", "recipe.toml", "learning.png", "confusion.png", "gn-mutag.dun"]
    {
        assert!(out.join(name).is_file(), "{name} is missing");
    }
    let card = std::fs::read_to_string(out.join("card.md")).unwrap();
    assert!(card.contains("2 folds that are dealt anew") && card.contains("| **mean** |"), "{card}");

    // A training that did not finish is done again; the others are not touched.
    let result = |case: &str| out.join("runs").join(case).join("result.json");
    let time = |case: &str| std::fs::metadata(result(case)).unwrap().modified().unwrap();
    let kept = time("seed1-fold2");
    std::fs::remove_file(result("seed2-fold1")).unwrap();
    let again = json(&mut command(true));
    assert_eq!(again["metrics"], first["metrics"]);
    assert_eq!(time("seed1-fold2"), kept);
    assert!(result("seed2-fold1").is_file());

    let mut other = command(true);
    other.args(["--lr", "0.1"]);
    other.assert().failure().code(1).stderr(contains("another recipe"));
}

#[test]
fn what_cannot_be_trained_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    rings_and_chains(folder.path(), 72);
    let refused = |arguments: &[&str]| {
        let mut command = dunlin();
        command.arg("train").args(arguments).arg("--quiet").arg("--data").arg(folder.path());
        command.arg("--out").arg(folder.path().join("x"));
        let output = command.assert().failure().code(1).get_output().clone();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&["gcn-cora"]).contains("nodes.csv does not exist"));
    assert!(refused(&["street", "--seeds", "2"]).contains("--seeds and --folds are for models of graphs"));
    assert!(refused(&["mpnn-esol", "--folds", "5"]).contains("delaney-processed.csv does not exist"));
    assert!(refused(&["gn-mutag", "--folds", "90"]).contains("too few"));
    std::fs::write(folder.path().join("graphs_tu/MUTAG.txt"), "1\n1 0\n0 1 7\n").unwrap();
    let text = refused(&["gn-mutag"]);
    assert!(text.contains("MUTAG.txt: line 3: neighbour 7 of a graph of 1 nodes"), "{text}");
}

#[test]
fn a_model_of_graphs_is_not_measured_on_pictures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    rings_and_chains(folder.path(), 72);
    let out = folder.path().join("run");
    let mut train = dunlin();
    train.args(["train", "gnn-scarselli", "--epochs", "1", "--quiet", "--data"]).arg(folder.path());
    train.arg("--out").arg(&out).assert().success().stdout(contains("the model: accuracy"));
    let mut eval = dunlin();
    eval.arg("eval")
        .arg(out.join("gnn-scarselli.dun"))
        .assert()
        .failure()
        .stderr(contains("learns from graphs"));
}
