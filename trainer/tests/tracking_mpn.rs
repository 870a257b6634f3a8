//! The message passing tracker: what the committed networks are worth on sequences that they have not seen, beside the
//! trackers that people know.

use assert_cmd::Command;
use dunlin_trainer::data::mot::{self, DETECTIONS, Row, Sequence};
use dunlin_trainer::eval::tracking::{Metrics, Summary};
use dunlin_trainer::graph::Graph;
use dunlin_trainer::track::mpn::{Mpn, MpnParams, Solver, SolverError, track};
use dunlin_trainer::track::tune::Tuner;
use dunlin_trainer::track::{self, Scene, Settings, Tracker};
use dunlin_trainer::train::checkpoint;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Least MOTA and IDF1 in percent on sequences left out.
const BARS: (f64, f64) = (50.5, 55.0);
/// How far int8 may be below float, in points.
const INT8: f64 = 0.5;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/mpn-mot15")
}

/// The five sequences; where they are absent, says what is left out.
fn sequences(what: &str) -> Option<Vec<Sequence>> {
    let named = std::env::var_os("DUNLIN_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = named.unwrap_or_else(beside).join("mot15");
    if !folder.is_dir() {
        eprintln!("LEFT OUT: {what}: no mot15; name the folder of the data with DUNLIN_DATA");
        return None;
    }
    Some(mot::read(&folder, DETECTIONS).expect("the data is good"))
}

fn metrics(sequence: &Sequence, rows: &[Row]) -> Metrics {
    let truth = sequence.truth.as_deref().expect("the sequence has ground truth");
    Metrics::of(&sequence.info.name, sequence.info.frames, truth, rows).expect("known classes")
}

/// The networks that were trained without the sequence `name`: float and int8.
fn fold(name: &str) -> [Solver; 2] {
    let folds = folder().join("folds");
    let text = std::fs::read_to_string(folder().join("graph.json")).expect("the committed graph");
    let mut graph: Graph = serde_json::from_str(&text).expect("a graph");
    checkpoint::load_weights(&folds.join(format!("{name}.safetensors")), &mut graph).expect("its weights");
    let file = std::fs::read(folds.join(format!("{name}.dun"))).expect("a committed network");
    [Solver::Float(Box::new(graph)), Solver::Int8(file)]
}

fn overall(sequences: &[Sequence], rows: impl Fn(&Sequence) -> Vec<Row>) -> Summary {
    let all: Vec<Metrics> = sequences.iter().map(|s| metrics(s, &rows(s))).collect();
    all.iter().sum::<Metrics>().summary()
}

#[test]
fn left_out_sequences_are_tracked_better_than_by_sort_and_by_the_linear_programs() {
    let Some(sequences) = sequences("the message passing tracker on sequences left out") else { return };
    let by = |kind: usize| {
        overall(&sequences, |s| {
            track(&fold(&s.info.name)[kind], &MpnParams::default(), s).expect("a tracker's network")
        })
    };
    let (float, int8) = (by(0), by(1));
    eprintln!("mpn float {:.2} {:.2}, int8 {:.2} {:.2}", float.mota, float.idf1, int8.mota, int8.idf1);
    for (name, found) in [("float", &float), ("int8", &int8)] {
        assert!(found.mota >= BARS.0 && found.idf1 >= BARS.1, "{name}: {:.2} {:.2}", found.mota, found.idf1);
    }
    assert!(int8.mota >= float.mota - INT8 && int8.idf1 >= float.idf1 - INT8);
    // Each tuned on the other sequences, and as it comes.
    for kind in [
        Settings::Sort(Default::default()),
        Settings::Flow(Default::default()),
        Settings::Social(Default::default()),
    ] {
        let tuned = Tuner::new(&sequences, |_| {}).leave_one_out(&kind).expect("known classes");
        let found: Vec<Metrics> =
            sequences.iter().zip(&tuned).map(|(s, settings)| metrics(s, &settings.track(s))).collect();
        let tuned = found.iter().sum::<Metrics>().summary();
        let plain = overall(&sequences, |s| kind.track(s));
        for (how, other) in [("tuned", tuned), ("default", plain)] {
            eprintln!("{kind:?} {how}: {:.2} {:.2}", other.mota, other.idf1);
            assert!(int8.mota > other.mota && int8.idf1 > other.idf1, "{kind:?}, {how}");
        }
    }
}

#[test]
fn what_the_parts_of_the_tracker_are_worth() {
    let Some(sequences) = sequences("what the parts of the message passing tracker are worth") else {
        return;
    };
    let full = MpnParams::default();
    let variants = [
        ("as it comes", full),
        ("edge logits count fully", MpnParams { edge_weight: 1.0, edge_threshold: -4.0, ..full }),
        ("edge logits do not count", MpnParams { edge_weight: 0.0, edge_threshold: -2.0, ..full }),
        ("node logits do not count", MpnParams { node_threshold: -1000.0, ..full }),
        ("greedy rounding", MpnParams { greedy: true, ..full }),
        ("frame by frame", MpnParams { latency: 0, ..full }),
    ];
    let found = variants.map(|(name, params)| {
        let found =
            overall(&sequences, |s| track(&fold(&s.info.name)[1], &params, s).expect("a tracker's network"));
        eprintln!("| {name} | {:.2} | {:.2} | {:.2} | {} |", found.mota, found.idf1, found.hota, found.idsw);
        found
    });
    let [full, _, _, no_nodes, _, at_once] = &found;
    assert!(full.mota > no_nodes.mota + 0.5, "the node classifier earns its place");
    assert!(full.mota > at_once.mota && full.idf1 > at_once.idf1, "the window earns its latency");
}

#[test]
fn the_figures_of_the_card_are_those_of_the_committed_networks() {
    let Some(sequences) = sequences("the figures of the tracker's card") else { return };
    let text = std::fs::read_to_string(folder().join("tracking.json")).expect("committed figures");
    let all: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    assert!(all.len() >= 3, "three seeds");
    for sequence in &sequences {
        let name = &sequence.info.name;
        let rows = track(&fold(name)[1], &MpnParams::default(), sequence).expect("a tracker's network");
        let found = metrics(sequence, &rows).summary();
        let told = &all[0]["int8"]["sequences"][name];
        assert_eq!(told["idsw"], found.idsw, "{name}");
        assert!((told["mota"].as_f64().unwrap() - found.mota).abs() < 1e-9, "{name}");
        assert!((told["idf1"].as_f64().unwrap() - found.idf1).abs() < 1e-9, "{name}");
    }
    let mean = |key: &str| {
        all.iter().map(|l| l["int8"]["overall"][key].as_f64().unwrap()).sum::<f64>() / all.len() as f64
    };
    let (mota, idf1) = (mean("mota"), mean("idf1"));
    assert!(mota >= BARS.0 && idf1 >= BARS.1, "mean over seeds: {mota:.2} {idf1:.2}");
}

#[test]
fn rows_come_with_the_stated_latency_in_order_and_once() {
    let Some(sequences) = sequences("the latency of the tracker") else { return };
    let sequence = sequences.iter().min_by_key(|s| s.info.frames).expect("five sequences");
    let settings = MpnParams::default().settings(Scene::from(&sequence.info));
    let mut tracker = Mpn::new(&Solver::built_in(), settings).expect("the built-in network");
    let latency = tracker.latency().expect("a window");
    let mut last = 0;
    let mut seen = std::collections::HashSet::new();
    let mut check = |rows: Vec<Row>, now: usize, end: bool| {
        for row in rows {
            assert!(row.frame >= last && row.frame <= now, "frame {} after {last}, at {now}", row.frame);
            assert!(end || row.frame + latency == now, "frame {} at {now}", row.frame);
            assert!(seen.insert((row.frame, row.id)), "twice");
            last = row.frame;
        }
    };
    for (at, detections) in sequence.detections.iter().enumerate() {
        check(tracker.push(detections), at + 1, false);
    }
    check(tracker.finish(), sequence.info.frames, true);
    assert!(seen.len() > 100);
}

#[test]
fn another_model_is_refused_by_name() {
    let digits = std::fs::read(folder().join("../digits/digits.dun")).expect("a committed model");
    let refused = Mpn::new(&Solver::Int8(digits.clone()), dunlin_track::Settings::new(25.0, None)).err();
    assert!(matches!(refused, Some(SolverError::Interface(_))), "{refused:?}");
    let refused =
        Mpn::new(&Solver::Int8(digits[..100].to_vec()), dunlin_track::Settings::new(25.0, None)).err();
    assert!(matches!(refused, Some(SolverError::Runner(_))), "{refused:?}");
}

#[test]
fn the_command_tracks_with_the_built_in_network() {
    let Some(sequences) = sequences("dunlin track with the message passing tracker") else { return };
    let sequence = sequences.iter().min_by_key(|s| s.info.frames).expect("five sequences");
    let named = std::env::var_os("DUNLIN_DATA").map(PathBuf::from);
    let data = named.unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let mut command = Command::cargo_bin("dunlin").expect("the binary is built with the tests");
    let output = command
        .args(["track", "--json", "--tracker", "mpn"])
        .arg(data.join("mot15").join(&sequence.info.name))
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = track::run(
        &mut *Settings::Mpn(MpnParams::default()).tracker(Scene::from(&sequence.info)),
        &sequence.detections,
    );
    let found = metrics(sequence, &rows).summary();
    assert_eq!(report["overall"]["idsw"], found.idsw);
    assert!((report["overall"]["mota"].as_f64().unwrap() - found.mota).abs() < 1e-9);
    assert_eq!(report["latency"], 10);
}
