//! `dunlin train` and what follows it, on generated scenes: the whole way to an int8 file in one epoch.

use assert_cmd::Command;
use dunlin::shape::{Shape, Window};
use dunlin_trainer::net::Net;
use dunlin_trainer::train::supervised;
use predicates::prelude::*;
use predicates::str::contains;
use std::path::{Path, PathBuf};

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

/// A small trained network (so it is called), as the folder of a run.
fn backbone(folder: &Path) -> PathBuf {
    let mut n = Net::new("backbone");
    let x = n.input("image", Shape::image(12, 12, 3)).unwrap();
    let x = n.conv_bn_relu("block1", x, 8, Window::square(3, 2)).unwrap();
    let x = n.conv_bn_relu("block2", x, 8, Window::square(3, 2)).unwrap();
    let x = n.global_avg_pool("mean", x).unwrap();
    let x = n.dense("score", x, 7).unwrap();
    let mut graph = n.finish(x).unwrap();
    graph.initialise(3);
    let run = folder.join("backbone");
    supervised::save(&run, &graph, "untrained").unwrap();
    run
}

/// Dark and bright pictures in a folder for each class.
fn pictures(folder: &Path) -> PathBuf {
    let data = folder.join("pictures");
    for (class, level) in [("bright", 170u32), ("dark", 40)] {
        std::fs::create_dir_all(data.join(class)).unwrap();
        for i in 0..20u32 {
            let picture = image::RgbImage::from_fn(10, 14, |x, y| {
                let v = (level + (x * 7 + y * 3 + i * 11) % 40) as u8;
                image::Rgb([v, v / 2, v])
            });
            picture.save(data.join(class).join(format!("{i:02}.png"))).unwrap();
        }
    }
    data
}

#[test]
fn a_new_head_learns_on_frozen_features_and_then_everything() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (run, data) = (backbone(folder.path()), pictures(folder.path()));
    let finetune = |out: &Path| {
        let mut command = dunlin();
        command.arg("finetune").arg(&run).args(["--cut", "block2.relu", "--head", "classes=2", "--data"]);
        command.arg(&data).args(["--batch", "8", "--quiet", "--json", "-o"]).arg(out);
        command
    };
    let frozen = folder.path().join("frozen");
    let report = json(finetune(&frozen).args(["--freeze", "--head-epochs", "40"]));
    assert_eq!((&report["frozen"], &report["best"]), (&true.into(), &1.0.into()), "{report}");
    assert_eq!(report["quantised"]["metrics"]["int8"], 1.0);
    for name in [
        "graph.json",
        "best.safetensors",
        "recipe.toml",
        "history.jsonl",
        "learning.png",
        "frozen.dun",
        "card.md",
    ] {
        assert!(frozen.join(name).is_file(), "{name} is missing");
    }
    let before = supervised::load(&run).unwrap();
    let after = supervised::load(&frozen).unwrap();
    assert!(after.nodes.iter().all(|n| n.name != "score"), "the old head is gone");
    assert!(after.params.iter().filter(|p| p.trainable).all(|p| p.name.starts_with("head.")));
    assert_ne!(before.params[0].data, after.params[0].data, "batch normalisation is folded into the weights");

    let whole = folder.path().join("whole");
    let compare = format!("frozen={}", frozen.display());
    let report = json(finetune(&whole).args(["--epochs", "2", "--input", "16x16", "--compare", &compare]));
    assert_eq!(report["frozen"], false);
    let card = String::from_utf8(bytes(&whole.join("card.md"))).unwrap();
    assert!(card.contains("| frozen | 1.0000 | 1.0000 |") && card.contains("input i8 16x16x3"), "{card}");

    // The run goes on like any other.
    let again = folder.path().join("again/whole.dun");
    let quantised = json(
        dunlin().arg("quantize").arg(&whole).arg("--data").arg(&data).arg("-o").arg(&again).arg("--json"),
    );
    assert_eq!(quantised["metrics"], report["quantised"]["metrics"]);
}

#[test]
fn what_cannot_be_fine_tuned_is_said_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (run, data, out) = (backbone(folder.path()), pictures(folder.path()), folder.path().join("out"));
    let refuse = |cut: &str, head: &str, data: &Path, more: &[&str], expected: &[&str]| {
        let mut command = dunlin();
        command.arg("finetune").arg(&run).args(["--cut", cut, "--head", head, "--data"]).arg(data).args(more);
        let mut assert = command.arg("-o").arg(&out).assert().failure();
        for text in expected {
            assert = assert.stderr(contains(*text));
        }
        assert!(!out.exists(), "{cut}");
    };
    refuse("block2.rel", "classes=2", &data, &[], &["no node `block2.rel`", "near it are: block2.relu"]);
    refuse("mean", "classes=3", &data, &[], &["has 2 classes (bright, dark), not 3", "--head classes=2"]);
    refuse("mean", "classes=2", &folder.path().join("none"), &[], &["none does not exist"]);
    refuse("mean", "classes=1", &data, &[], &["expected classes=N"]);
    refuse("mean", "classes=2", &data, &["--input", "12"], &["expected HxW"]);
    refuse("mean", "classes=2", &data, &["--lr", "0"], &["not a learning rate"]);
    refuse("mean", "classes=2", &data, &["--std", "1,2"], &["2 values for 3 channels"]);
    refuse("mean", "classes=2", &data, &["--compare", "x=nowhere"], &["nowhere"]);
}

#[test]
fn a_network_is_exported_as_onnx_in_float_and_in_int8() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (run, data) = (backbone(folder.path()), pictures(folder.path()));
    let (float, int8) = (folder.path().join("new/float.onnx"), folder.path().join("int8.onnx"));
    let report = json(dunlin().arg("export").arg(&run).arg("--json").arg("--onnx").arg(&float));
    assert_eq!((&report["quantised"], &report["nodes"]), (&false.into(), &8.into()));
    json(
        dunlin()
            .arg("export")
            .arg(&run)
            .args(["--json", "--qdq", "--data"])
            .arg(&data)
            .arg("--onnx")
            .arg(&int8),
    );
    let has = |path: &Path, name: &str| bytes(path).windows(name.len()).any(|w| w == name.as_bytes());
    assert!(has(&float, "BatchNormalization") && !has(&float, "QuantizeLinear"));
    assert!(has(&int8, "DequantizeLinear") && !has(&int8, "BatchNormalization"));
    let nowhere = dunlin().args(["export", "nowhere", "--onnx", "x.onnx"]).assert().failure().code(1);
    nowhere.stderr(contains("nowhere").and(contains("help:")));
}
