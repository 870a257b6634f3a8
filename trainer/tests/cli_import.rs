//! `dunlin import` and what follows it: files from elsewhere to files that run.

use assert_cmd::Command;
use predicates::str::contains;
use safetensors::SafeTensors;
use std::io::Read as _;
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

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Model, first input and first output of the first committed vector of a kind.
fn vector(kind: &str) -> [Vec<u8>; 3] {
    let packed = std::fs::read(fixture("tflite/vectors.safetensors.gz")).expect("committed vectors");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).expect("gzip");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let names = file.names().into_iter().filter_map(|n| n.strip_suffix("/model"));
    let name = names.filter(|n| n.starts_with(kind)).min().unwrap_or_else(|| panic!("no vector {kind}*"));
    ["model", "input_0", "output_0"]
        .map(|part| file.tensor(&format!("{name}/{part}")).expect("a part").data().to_vec())
}

#[test]
fn two_commands_take_a_tflite_file_to_the_reference_bytes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    for kind in ["net_convchain_i8_", "conv_u8_", "fc_i16_"] {
        let [model, input, output] = vector(kind);
        std::fs::write(path("model.tflite"), model).unwrap();
        std::fs::write(path("in.bin"), input).unwrap();
        dunlin().arg("import").arg(path("model.tflite")).arg("-o").arg(path("model.dun")).assert().success();
        let mut run = dunlin();
        run.arg("run").arg(path("model.dun")).arg("--input").arg(path("in.bin"));
        run.arg("--output").arg(path("out.bin")).assert().success();
        assert_eq!(std::fs::read(path("out.bin")).unwrap(), output, "{kind}");
    }
}

#[test]
fn dead_channels_go_unless_they_are_to_be_kept() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let named = std::env::var_os("DUNLIN_CONFORMANCE").filter(|v| !v.is_empty()).map(PathBuf::from);
    let model = named.unwrap_or(beside).join("tflite/vww/model.tflite");
    if !model.is_file() {
        eprintln!("LEFT OUT: no conformance vectors; name their folder with DUNLIN_CONFORMANCE");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let import = |options: &[&str]| {
        let mut command = dunlin();
        command.arg("import").arg(&model).arg("-o").arg(folder.path().join("vww.dun"));
        json(command.args(["--quiet", "--json"]).args(options))
    };
    let (folded, kept) = (import(&[]), import(&["--keep-dead-channels"]));
    let removed = folded["dead_channels"]["macs"].as_u64().expect("a number");
    assert!(removed > 3_000_000, "{removed}");
    assert_eq!(folded["macs"].as_u64().unwrap() + removed, kept["macs"].as_u64().unwrap());
    assert_eq!(kept["dead_channels"]["channels"], 0);
}

/// Pictures of two classes, dark and light, of the size of the fixture's input.
fn pictures(folder: &Path, size: u32) {
    for (class, level) in [("dark", 40u8), ("light", 200)] {
        std::fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..6u8 {
            let colour = |x: u32, y: u32| image::Rgb([level + i, (x * 7 % 50) as u8, (y * 5 % 50) as u8]);
            let picture = image::RgbImage::from_fn(size, size, colour);
            picture.save(folder.join(class).join(format!("{i}.png"))).unwrap();
        }
    }
}

#[test]
fn a_float_network_is_calibrated_on_pictures_and_its_file_says_how_they_were_scaled() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("net.dun");
    pictures(folder.path(), 32);
    let done = json(
        dunlin()
            .arg("import")
            .arg(fixture("onnx/resnet.onnx"))
            .arg("-o")
            .arg(&out)
            .args(["--quiet", "--json", "--mean", "127.5", "--std", "127.5", "--calibrate"])
            .arg(folder.path().join("dark")),
    );
    assert!(done["agreement"]["top1"].as_f64().expect("a number") > 0.5);
    assert!(done["reference"].as_f64().expect("compared with tract") < 1e-4);
    let facts = json(dunlin().arg("inspect").arg(&out).arg("--json"));
    let close = |value: &serde_json::Value, expected: f64| {
        assert!((value.as_f64().expect("a number") - expected).abs() < 1e-6, "{value}, expected {expected}");
    };
    close(&facts["scaling"]["factor"], 1.0 / 255.0);
    close(&facts["scaling"]["mean"][0], 0.5);
    close(&facts["scaling"]["std"][0], 0.5);
    // Without a word about pixels, those that were read as samples were divided by 255.
    let plain = folder.path().join("plain.dun");
    dunlin()
        .arg("import")
        .arg(fixture("onnx/resnet.onnx"))
        .arg("-o")
        .arg(&plain)
        .args(["--quiet", "--calibrate"])
        .arg(folder.path().join("light"))
        .assert()
        .success();
    let facts = json(dunlin().arg("inspect").arg(&plain).arg("--json"));
    close(&facts["scaling"]["factor"], 1.0 / 255.0);
    close(&facts["scaling"]["mean"][0], 0.0);
}

#[test]
fn a_refused_import_writes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("net.dun");
    let cut = folder.path().join("cut.onnx");
    let whole = std::fs::read(fixture("onnx/unet.onnx")).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    dunlin().arg("import").arg(&cut).arg("-o").arg(&out).assert().failure().stderr(contains("cut.onnx"));
    dunlin()
        .arg("import")
        .arg(fixture("onnx/unet.onnx"))
        .arg("-o")
        .arg(&out)
        .assert()
        .failure()
        .stderr(contains("--calibrate"));
    assert!(!out.exists());
}
