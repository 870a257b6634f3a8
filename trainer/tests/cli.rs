//! The `dunlin` command as a script sees it: exit codes, messages, files, JSON keys.

use assert_cmd::Command;
use dunlin::format::{
    DType, DataSection, NodeSpec, OwnedMetadata, Place, ProgramSpec, Scaling, Scratch, Tensor, encode,
};
use dunlin::ops::{ArgMax, Op, Reshape};
use dunlin::quant::QParams;
use dunlin::shape::Shape;
use predicates::prelude::*;
use predicates::str::contains;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Size of the little models' pictures.
const H: u32 = 4;
const W: u32 = 6;

fn dunlin() -> Command {
    let mut command = Command::cargo_bin("dunlin").expect("the binary is built with the tests");
    command.env_remove("DUNLIN_DATA").env("NO_COLOR", "1");
    command
}

fn tensor(dtype: DType, shape: Shape, offset: u32) -> Tensor {
    Tensor {
        dtype,
        shape,
        quant: QParams { scale: 1.0, zero_point: 0 },
        place: Place::Arena(offset),
        rows: None,
    }
}

fn model(
    folder: &Path,
    name: &str,
    op: Op,
    input: Shape,
    output: (DType, Shape),
    labels: &[&str],
) -> PathBuf {
    let bytes = input.elements() as u32;
    let at = bytes.next_multiple_of(16);
    let spec = ProgramSpec {
        dims: Vec::new(),
        tensors: vec![tensor(DType::I8, input, 0), tensor(output.0, output.1, at)],
        nodes: vec![NodeSpec { op, inputs: vec![0], outputs: vec![1], scratch: Scratch::default() }],
        inputs: vec![0],
        outputs: vec![1],
        target: dunlin::Target::Portable,
        arena_len: at + output.1.elements() as u32,
        state_len: 0,
        data: DataSection::new(),
        metadata: OwnedMetadata {
            name: name.into(),
            recipe: "by hand".into(),
            data_licence: "none".into(),
            labels: labels.iter().map(|l| l.to_string()).collect(),
            // Raw pixel 0..255 becomes the int8 -128..127.
            scaling: Scaling { factor: 1.0, mean: [128.0; 4], std: [1.0; 4] },
        },
    };
    let path = folder.join(format!("{name}.dun"));
    std::fs::write(&path, encode(&spec).expect("a valid program").as_slice()).expect("a writable folder");
    path
}

/// Labels each pixel with its largest colour.
fn segmenter(folder: &Path) -> PathBuf {
    let (input, output) = (Shape::image(H, W, 3), Shape::image(H, W, 1));
    model(folder, "colours", Op::ArgMax(ArgMax {}), input, (DType::U8, output), &["road", "sky", "car"])
}

/// Scores four classes by the four pixels of a grey picture.
fn classifier(folder: &Path) -> PathBuf {
    let (input, output) = (Shape::image(2, 2, 1), Shape::vector(4));
    let names = ["north", "east", "south", "west"];
    model(folder, "corners", Op::Reshape(Reshape {}), input, (DType::I8, output), &names)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a writable folder");
}

#[test]
fn help_names_every_subcommand_and_each_has_examples() {
    let commands =
        ["train", "import", "quantize", "finetune", "export", "eval", "inspect", "run", "emulate", "demo"];
    let mut help = dunlin().arg("--help").assert().success();
    for name in commands {
        help = help.stdout(contains(format!("  {name} ")));
        dunlin()
            .args([name, "--help"])
            .assert()
            .success()
            .stdout(contains("Examples:").and(contains("Usage:")));
    }
}

#[test]
fn a_missing_model_is_named_with_what_to_do() {
    for arguments in [
        ["inspect", "no/such.dun"].as_slice(),
        &["eval", "no/such.dun"],
        &["run", "no/such.dun", "--input", "a", "--output", "b"],
        &["emulate", "no/such.dun", "--input", "a"],
    ] {
        let expected = contains("no/such.dun").and(contains("help: name a .dun file"));
        dunlin().args(arguments).assert().failure().code(1).stderr(expected);
    }
}

#[test]
fn every_truncation_and_a_damaged_byte_are_refused() {
    let folder = folder();
    let bytes = std::fs::read(segmenter(folder.path())).unwrap();
    let path = folder.path().join("damaged.dun");
    for len in [0, 3, 63, 64, bytes.len() - 1] {
        write(&path, &bytes[..len]);
        dunlin()
            .arg("inspect")
            .arg(&path)
            .assert()
            .failure()
            .code(1)
            .stderr(contains("cut off").and(contains("damaged.dun")));
    }
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    write(&path, &damaged);
    dunlin().arg("inspect").arg(&path).assert().failure().code(1).stderr(contains("checksum"));
    write(&path, b"\x89PNG, which is another format, and long enough for a header of 64 bytes ...");
    dunlin().arg("inspect").arg(&path).assert().failure().code(1).stderr(contains("not a .dun file"));
}

#[test]
fn inspect_prints_the_documented_keys() {
    let folder = folder();
    let output = dunlin().arg("inspect").arg(segmenter(folder.path())).arg("--json").output().unwrap();
    assert!(output.status.success());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = |v: &serde_json::Value| -> Vec<String> { v.as_object().unwrap().keys().cloned().collect() };
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.into_iter().map(String::from).collect::<Vec<_>>()
    };
    let mut top = keys(&json);
    top.sort();
    let expected = vec![
        "name",
        "recipe",
        "data_licence",
        "labels",
        "scaling",
        "format_version",
        "inputs",
        "outputs",
        "dims",
        "nodes",
        "tensors",
        "totals",
        "storage",
    ];
    assert_eq!(top, sorted(expected));
    let mut node = keys(&json["nodes"][0]);
    node.sort();
    let expected = vec![
        "index",
        "op",
        "inputs",
        "outputs",
        "input_shape",
        "output_shape",
        "window",
        "fused_argmax",
        "macs",
        "weight_bytes",
        "weights_at",
        "scratch_bytes",
        "scratch_offset",
    ];
    assert_eq!(node, sorted(expected));
    let mut totals = keys(&json["totals"]);
    totals.sort();
    let expected = vec![
        "file_bytes",
        "program_bytes",
        "metadata_bytes",
        "data_bytes",
        "weight_bytes",
        "macs",
        "arena_bytes",
        "state_bytes",
        "largest_live_bytes",
        "largest_live_node",
    ];
    assert_eq!(totals, sorted(expected));
    assert_eq!(json["nodes"][0]["op"], "ArgMax");
    assert_eq!(json["nodes"][0]["output_shape"], serde_json::json!([1, H, W, 1]));
    assert_eq!(json["totals"]["arena_bytes"], 80 + 24);
    assert_eq!(json["totals"]["largest_live_bytes"], 72 + 24);
    assert_eq!(json["storage"], serde_json::json!({ "nodes": 1, "tensors": 2, "ids": 2 }));
    assert_eq!(json["tensors"][0]["first"], 0);
    assert_eq!(json["tensors"][0]["last"], 1);
    assert_eq!(json["tensors"][1]["last"], 2);
}

#[test]
fn inspect_draws_the_arena_as_text_and_as_picture() {
    let folder = folder();
    let plot = folder.path().join("new/arena.png");
    dunlin()
        .arg("inspect")
        .arg(segmenter(folder.path()))
        .arg("--plot")
        .arg(&plot)
        .assert()
        .success()
        .stdout(contains("  0 ArgMax").and(contains("arena 104 bytes")).and(contains("Storage::<1, 2, 2>")));
    assert!(image::open(plot).unwrap().width() > 100);
}

#[test]
fn raw_runs_give_the_runtime_s_bytes_for_every_pair() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let inputs: Vec<Vec<u8>> =
        (0..2u32).map(|seed| (0..H * W * 3).map(|i| ((i * 37 + seed * 101) % 251) as u8).collect()).collect();
    write(&at("a.bin"), &inputs[0]);
    write(&at("b.bin"), &inputs[1]);
    let mut command = dunlin();
    command.arg("run").arg(segmenter(folder.path()));
    for name in ["a", "b"] {
        command
            .arg("--input")
            .arg(at(&format!("{name}.bin")))
            .arg("--output")
            .arg(at(&format!("{name}.out")));
    }
    command.assert().success();
    for (name, input) in ["a", "b"].iter().zip(&inputs) {
        let largest = |p: &[u8]| {
            let score = |i: usize| (i32::from(p[i] as i8), -(i as i32));
            (0..3).max_by_key(|&i| score(i)).unwrap() as u8
        };
        let expected: Vec<u8> = input.chunks_exact(3).map(largest).collect();
        assert_eq!(std::fs::read(at(&format!("{name}.out"))).unwrap(), expected);
    }
}

#[test]
fn inputs_of_another_size_and_unpaired_files_are_refused() {
    let folder = folder();
    let model = segmenter(folder.path());
    let (input, output) = (folder.path().join("in.bin"), folder.path().join("out.bin"));
    for len in [71, 73] {
        write(&input, &vec![0; len]);
        let expected = contains(format!("{len} bytes")).and(contains("takes 72")).and(contains("I8 1x4x6x3"));
        let mut command = dunlin();
        command.arg("run").arg(&model).arg("--input").arg(&input).arg("--output").arg(&output);
        command.assert().failure().code(1).stderr(expected);
        assert!(!output.exists());
    }
    let mut command = dunlin();
    command.arg("run").arg(&model).arg("--input").arg(&input);
    command.assert().failure().code(1).stderr(contains("1 --input and 0 --output"));
    dunlin().arg("run").arg(&model).assert().failure().code(2).stderr(contains("--image"));
}

#[test]
fn a_photograph_becomes_an_overlay_with_legend_and_shares() {
    let folder = folder();
    let (photo, out) = (folder.path().join("photo.png"), folder.path().join("overlay.png"));
    // Left half red (label 0), right half blue (label 2), at twice the model's size.
    let colour = |x| if x < W { image::Rgb([200u8, 10, 10]) } else { image::Rgb([10, 10, 200]) };
    image::RgbImage::from_fn(2 * W, 2 * H, |x, _| colour(x)).save(&photo).unwrap();
    let mut command = dunlin();
    command
        .arg("run")
        .arg(segmenter(folder.path()))
        .arg("--image")
        .arg(&photo)
        .arg("--out")
        .arg(&out)
        .arg("--json");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["model"], "colours");
    assert_eq!(json["classes"][0], serde_json::json!({ "label": 0, "name": "road", "value": 0.5 }));
    assert_eq!(json["classes"][1], serde_json::json!({ "label": 2, "name": "car", "value": 0.5 }));
    let overlay = image::open(&out).unwrap().to_rgb8();
    // Enlarged sixteen times, the most there is, and a legend to the right.
    assert_eq!(overlay.height(), 16 * H + 20);
    assert!(overlay.width() > 16 * W + 100);
    let (left, right) = (*overlay.get_pixel(8, 8), *overlay.get_pixel(16 * W - 8, 8));
    assert!(left[0] > left[2] && right[2] > right[0], "{left:?} {right:?}");
}

#[test]
fn a_classifier_prints_its_best_class_first() {
    let folder = folder();
    let photo = folder.path().join("photo.png");
    image::GrayImage::from_raw(2, 2, vec![10, 40, 250, 90]).unwrap().save(&photo).unwrap();
    let model = classifier(folder.path());
    let output = dunlin().arg("run").arg(&model).arg("--image").arg(&photo).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let first: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(first, ["south", "122.0000"]);
    let mut command = dunlin();
    command.arg("run").arg(&model).arg("--image").arg(&photo).arg("--out").arg(folder.path().join("x.png"));
    command.assert().failure().code(1).stderr(contains("no picture to draw"));
}

#[test]
fn a_file_that_is_no_picture_is_named() {
    let folder = folder();
    let photo = folder.path().join("photo.png");
    write(&photo, b"text");
    let mut command = dunlin();
    command.arg("run").arg(segmenter(folder.path())).arg("--image").arg(&photo);
    command.assert().failure().code(1).stderr(contains("photo.png").and(contains("use a png")));
}

#[test]
fn wrong_data_models_and_runs_are_named() {
    let folder = folder();
    let out = folder.path().join("run");
    let train = |arguments: &[&str]| {
        let mut command = dunlin();
        command.arg("train").args(arguments).arg("--out").arg(&out);
        command.assert().failure()
    };
    train(&["resnet"]).code(2).stderr(contains("segnet").and(contains("digits")));
    train(&["segnet", "--data", "no/such/data"])
        .code(1)
        .stderr(contains("no/such/data: no such folder (--data)"));
    let empty = folder.path().to_str().unwrap();
    train(&["segnet", "--data", empty]).code(1).stderr(contains("classes.txt"));
    train(&["digits", "--data", empty]).code(1).stderr(contains("images-idx3-ubyte"));
    train(&["street", "--lr", "-1"]).code(2);
    train(&["street", "--lr", "0"]).code(1).stderr(contains("not a learning rate"));
    train(&["street", "--epochs", "0"]).code(2);
    let mut command = dunlin();
    command.args(["quantize", "no/such/run", "-o", "x.dun"]);
    command.assert().failure().code(1).stderr(contains("no/such/run").and(contains("dunlin train")));
    let mut command = dunlin();
    command.arg("train").args(["street", "--out"]).arg(&out).env("DUNLIN_DATA", "no/such/place");
    command.assert().failure().code(1).stderr(contains("no/such/place: no such folder (DUNLIN_DATA)"));
    assert!(!out.exists());
}

/// A data set of one held-out picture of the segmenter's size: the left half red and labelled 0, the right half
/// blue and labelled 2 but for one pixel, which is labelled 1, and one that does not count.
fn data_set(folder: &Path, classes: &str) -> PathBuf {
    let data = folder.join("data");
    for part in ["train", "val"] {
        std::fs::create_dir_all(data.join(part)).unwrap();
        std::fs::create_dir_all(data.join(format!("{part}annot"))).unwrap();
        let colour = |x| if x < W / 2 { image::Rgb([200u8, 10, 10]) } else { image::Rgb([10, 10, 200]) };
        let picture = image::RgbImage::from_fn(W, H, |x, _| colour(x));
        let label = |x, y| match (x, y) {
            (0, 0) => 3,
            (x, _) if x < W / 2 => 0,
            (x, 0) if x == W - 1 => 1,
            _ => 2,
        };
        let mask = image::GrayImage::from_fn(W, H, |x, y| image::Luma([label(x, y)]));
        picture.save(data.join(part).join("a.png")).unwrap();
        mask.save(data.join(format!("{part}annot")).join("a.png")).unwrap();
    }
    write(&data.join("classes.txt"), classes.as_bytes());
    data
}

#[test]
fn eval_measures_what_the_runtime_gives() {
    let folder = folder();
    let model = segmenter(folder.path());
    let data = data_set(folder.path(), "0 road\n1 sky\n2 car\n3 nothing (ignore)\n");
    let plot = folder.path().join("confusion.png");
    let mut command = dunlin();
    command.arg("eval").arg(&model).arg("--data").arg(&data).arg("--json").arg("--plot").arg(&plot);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // 11 of 11 road pixels are right; 11 of 12 that are called car are; the one of the sky is not found.
    let car = 11.0 / 12.0;
    assert_eq!(json["metric"], "mIoU");
    assert_eq!(json["value"], (1.0 + 0.0 + car) / 3.0);
    assert_eq!(json["accuracy"], 22.0 / 23.0);
    assert_eq!(json["examples"], 1);
    assert_eq!(json["float"], serde_json::Value::Null);
    let class = serde_json::json!({ "label": 2, "name": "car", "iou": car, "float_iou": null });
    assert_eq!(json["classes"][2], class);
    assert!(image::open(plot).unwrap().width() > 100);
}

#[test]
fn eval_refuses_data_of_other_classes_and_says_which() {
    let folder = folder();
    let model = segmenter(folder.path());
    let data = data_set(folder.path(), "0 road\n1 sea\n2 boat\n3 nothing (ignore)\n");
    let mut command = dunlin();
    command.arg("eval").arg(&model).arg("--data").arg(&data);
    command.assert().failure().code(1).stderr(contains("road, sky, car").and(contains("road, sea, boat")));
}

#[test]
fn emulate_says_which_board_or_image_is_missing() {
    let folder = folder();
    let model = segmenter(folder.path());
    let input = folder.path().join("in.bin");
    write(&input, &[0; 72]);
    let mut command = dunlin();
    command.arg("emulate").arg(&model).args(["--board", "arduino"]).arg("--input").arg(&input);
    command.assert().failure().code(2).stderr(contains("mps2-an386").and(contains("microbit")));
    let mut command = dunlin();
    command.arg("emulate").arg(&model).arg("--input").arg(&input).env("DUNLIN_FIRMWARE", folder.path());
    command.assert().failure().code(1).stderr(contains("mps2-an386.elf").and(contains("cargo xtask")));
}

#[test]
fn a_profile_adds_up() {
    if dunlin_emulator::emulation_is_off() {
        return dunlin_emulator::leave_out("profile", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let folder = folder();
    let model = segmenter(folder.path());
    let input = folder.path().join("in.bin");
    write(&input, &[0; 72]);
    let emulate = |more: &[&str]| {
        let mut command = dunlin();
        command.arg("emulate").arg(&model).arg("--input").arg(&input).arg("--profile").args(more);
        command.assert().success().get_output().stdout.clone()
    };
    let json: serde_json::Value = serde_json::from_slice(&emulate(&["--json"])).expect("JSON");
    let profile = &json["profile"];
    let number = |value: &serde_json::Value, key: &str| value[key].as_f64().expect("a number");
    let nodes = profile["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), json["nodes"].as_array().expect("nodes").len());
    for key in ["macs", "instructions", "cycles"] {
        let sum: f64 = nodes.iter().map(|node| number(node, key)).sum();
        let slack = if key == "macs" { 0.0 } else { 600.0 };
        let all = number(profile, key);
        assert!(sum <= all && all - sum <= slack, "{key}: {sum} in nodes, {all} in all");
    }
    // The timer counts the same run, with an error of its own.
    let timed = number(&json, "instructions");
    assert!(
        (number(profile, "instructions") - timed).abs() <= dunlin_emulator::record::TIMER_ERROR as f64,
        "{timed} by the timer: {profile}"
    );
    let text = String::from_utf8(emulate(&["--functions", "2"])).expect("text");
    assert!(text.contains("MAC/cycle") && text.contains("without what it calls"), "{text}");
}

#[test]
fn what_cannot_be_imported_is_said_and_nothing_is_written() {
    let folder = folder();
    let out = folder.path().join("out.dun");
    let refuse = |name: &str, bytes: Option<&[u8]>, more: &[&str], expected: &[&str]| {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            write(&path, bytes);
        }
        let mut command = dunlin();
        let mut assert =
            command.arg("import").arg(&path).args(more).arg("-o").arg(&out).assert().failure().code(1);
        for text in expected {
            assert = assert.stderr(contains(*text));
        }
        assert!(!out.exists(), "{name}");
    };
    refuse("none.tflite", None, &[], &["none.tflite", "help: name a TensorFlow Lite or ONNX file"]);
    refuse("cut.tflite", Some(b"\x1c\0\0\0TFL3"), &[], &["cut.tflite"]);
    refuse("empty.tflite", Some(b""), &[], &["empty.tflite: not a TensorFlow Lite file"]);
    refuse("a.tflite", Some(b"\x1c\0\0\0TFL3"), &["--qat", "3"], &["--qat needs labelled data", "--data"]);
    refuse("a.tflite", None, &["--labels", "none.txt"], &["none.txt", "--labels names a text file"]);
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits/digits.dun");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dunlin"));
    let output =
        command.args(["inspect", model]).stdout(writer).stderr(std::process::Stdio::piped()).output();
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
