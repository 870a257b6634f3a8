//! Tracking: the metrics against TrackEval's own figures, SORT against its published ones, bad input, the command.

use assert_cmd::Command;
use dunlin_trainer::assign::{fixed, heaviest};
use dunlin_trainer::data::mot::{self, DETECTIONS, Info, Row, Sequence, Truth};
use dunlin_trainer::eval::tracking::{HotaSums, Metrics, prepare};
use dunlin_trainer::track::flow::{FlowParams, SocialParams};
use dunlin_trainer::track::sort::SortParams;
use dunlin_trainer::track::tune::{Tuner, objective};
use dunlin_trainer::track::{Scene, Settings};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Largest difference from a figure printed with all digits: sums of a few thousand numbers in another order.
const PRINTED: f64 = 1e-11;

fn dunlin() -> Command {
    let mut command = Command::cargo_bin("dunlin").expect("the binary is built with the tests");
    command.env_remove("DUNLIN_DATA").env("NO_COLOR", "1");
    command
}

/// The folder `name` of the data; where it is absent, says what is left out.
fn shared(name: &str, what: &str) -> Option<PathBuf> {
    let named = std::env::var_os("DUNLIN_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = named.unwrap_or_else(beside).join(name);
    if !folder.is_dir() {
        eprintln!("LEFT OUT: {what}: no {name}; name the folder of the data with DUNLIN_DATA");
        return None;
    }
    Some(folder)
}

fn metrics(sequence: &Sequence, rows: &[Row]) -> Metrics {
    let truth = sequence.truth.as_deref().expect("the sequence has ground truth");
    Metrics::of(&sequence.info.name, sequence.info.frames, truth, rows).expect("known classes")
}

fn overall(sequences: &[Sequence], rows: impl Fn(&Sequence) -> Vec<Row>) -> Metrics {
    let all: Vec<Metrics> = sequences.iter().map(|s| metrics(s, &rows(s))).collect();
    all.iter().sum()
}

/// A figure at one overlap.
type Figure = fn(&HotaSums) -> f64;

/// Every figure of a line of TrackEval's table, by its heading.
fn figures(m: &Metrics) -> HashMap<String, f64> {
    let (clear, identity) = (&m.clear, &m.identity);
    let first = &m.hota.at[0];
    let people = (clear.mostly_tracked + clear.partly_tracked + clear.mostly_lost).max(1) as f64;
    let (tp, fp, misses) = (clear.true_positives as f64, clear.false_positives as f64, clear.misses as f64);
    let mut found: HashMap<String, f64> = [
        ("HOTA(0)", first.hota()),
        ("LocA(0)", first.loc_a()),
        ("HOTALocA(0)", first.hota() * first.loc_a()),
        ("MOTA", clear.mota()),
        ("MOTP", clear.motp()),
        ("MODA", clear.moda()),
        ("CLR_Re", clear.recall()),
        ("CLR_Pr", clear.precision()),
        ("MTR", clear.mostly_tracked as f64 / people),
        ("PTR", clear.partly_tracked as f64 / people),
        ("MLR", clear.mostly_lost as f64 / people),
        ("sMOTA", clear.smota()),
        ("CLR_F1", tp / (tp + 0.5 * misses + 0.5 * fp)),
        ("FP_per_frame", fp / clear.frames as f64),
        ("MOTAL", clear.motal()),
        ("MOTP_sum", clear.overlap),
        ("CLR_TP", tp),
        ("CLR_FN", misses),
        ("CLR_FP", fp),
        ("IDSW", clear.id_switches as f64),
        ("MT", clear.mostly_tracked as f64),
        ("PT", clear.partly_tracked as f64),
        ("ML", clear.mostly_lost as f64),
        ("Frag", clear.fragmentations as f64),
        ("CLR_Frames", clear.frames as f64),
        ("IDF1", identity.idf1()),
        ("IDR", identity.idr()),
        ("IDP", identity.idp()),
        ("IDTP", identity.true_positives as f64),
        ("IDFN", identity.misses as f64),
        ("IDFP", identity.false_positives as f64),
        ("Dets", m.boxes as f64),
        ("GT_Dets", m.truth_boxes as f64),
        ("IDs", m.ids as f64),
        ("GT_IDs", m.truth_ids as f64),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_string(), value))
    .collect();
    let curves: [(&str, Figure); 12] = [
        ("HOTA", HotaSums::hota),
        ("DetA", HotaSums::det_a),
        ("AssA", HotaSums::ass_a),
        ("DetRe", HotaSums::det_re),
        ("DetPr", HotaSums::det_pr),
        ("AssRe", HotaSums::ass_re),
        ("AssPr", HotaSums::ass_pr),
        ("LocA", HotaSums::loc_a),
        ("RHOTA", HotaSums::rhota),
        ("HOTA_TP", |at| at.true_positives as f64),
        ("HOTA_FN", |at| at.misses as f64),
        ("HOTA_FP", |at| at.false_positives as f64),
    ];
    for (name, figure) in curves {
        for (i, at) in m.hota.at.iter().enumerate() {
            found.insert(format!("{name}___{}", 5 * (i + 1)), figure(at));
        }
        found.insert(format!("{name}___AUC"), m.hota.mean(figure));
    }
    found
}

#[test]
fn metrics_are_those_of_trackeval() {
    let Some(folder) = shared("mot17_metrics", "metrics against TrackEval's") else { return };
    let table = std::fs::read_to_string(folder.join("expected_trackeval.csv")).expect("the expected table");
    let mut lines = table.lines();
    let heads: Vec<&str> = lines.next().expect("a heading").split(',').collect();
    let mut compared = 0;
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let name = cells[0];
        let info = Info::read(&folder.join(name)).expect("seqinfo.ini");
        let truth = mot::read_truth(&folder.join(name).join("gt/gt.txt"), info.frames).expect("gt.txt");
        let rows = mot::read_results(&folder.join(name).join("tracker_result.txt"), info.frames)
            .expect("tracker_result.txt");
        let found = figures(&Metrics::of(name, info.frames, &truth, &rows).expect("known classes"));
        for (head, cell) in heads.iter().zip(&cells).skip(1) {
            let expected: f64 = cell.parse().expect("a number");
            let found = found.get(*head).unwrap_or_else(|| panic!("{head} is not computed"));
            assert!(
                (found - expected).abs() <= PRINTED * expected.abs().max(1.0),
                "{name}: {head} is {found}, TrackEval has {expected}"
            );
            compared += 1;
        }
    }
    assert!(compared >= 2 * 270, "only {compared} figures were compared");
}

/// The detections themselves as rows, each with the id of the person that it is matched with, others left out.
fn perfect(sequence: &Sequence) -> Vec<Row> {
    let truth: &[Truth] = sequence.truth.as_deref().expect("ground truth");
    let mut rows = Vec::new();
    for (frame, detections) in (1..).zip(&sequence.detections) {
        let people: Vec<&Truth> = truth.iter().filter(|t| t.frame == frame && t.counts).collect();
        let overlap = |i: usize, j: usize| people[i].bbox.iou(&detections[j].bbox);
        for (i, j) in heaviest(people.len(), detections.len(), |i, j| fixed(overlap(i, j))) {
            if overlap(i, j) >= 0.5 {
                let mot::Detection { bbox, score } = detections[j];
                rows.push(Row { frame, id: people[i].id, bbox, score });
            }
        }
    }
    rows
}

fn tenth(ratio: f64) -> f64 {
    (1000.0 * ratio).round() / 10.0
}

#[test]
fn sort_gives_its_known_figures() {
    let Some(folder) = shared("mot15", "SORT's figures on MOT15") else { return };
    let sequences = mot::read(&folder, DETECTIONS).expect("five sequences");
    let both = |m: &Metrics| (tenth(m.clear.mota()), tenth(m.identity.idf1()));
    let sort = |params| overall(&sequences, |s| Settings::Sort(params).track(s));
    assert_eq!(both(&sort(SortParams::default())), (48.0, 48.9));
    let patient = SortParams { score: Some(0.8), max_age: 10, ..SortParams::default() };
    assert_eq!(both(&sort(patient)), (50.4, 53.0));
    assert_eq!(both(&overall(&sequences, perfect)), (70.3, 82.6));
}

#[test]
fn flow_trackers_do_what_was_measured() {
    let Some(folder) = shared("mot15", "the flow trackers on MOT15") else { return };
    let sequences = mot::read(&folder, DETECTIONS).expect("five sequences");
    // Measured: 50.5 and 52.9 for the plain one, 50.5 and 52.8 for the social one.
    for settings in [Settings::Flow(FlowParams::default()), Settings::Social(SocialParams::default())] {
        let m = overall(&sequences, |s| settings.track(s));
        let (mota, idf1) = (tenth(m.clear.mota()), tenth(m.identity.idf1()));
        assert!(mota >= 50.0 && idf1 >= 52.0, "{settings:?}: MOTA {mota}, IDF1 {idf1}");
    }
}

/// Writes a sequence of `frames` frames in which two people pass each other, detected with a gap.
fn write_walk(folder: &Path, name: &str, frames: usize, truth: bool) -> PathBuf {
    let folder = folder.join(name);
    std::fs::create_dir_all(folder.join("det")).expect("a folder");
    let info = format!(
        "[Sequence]\nname={name}\nimDir=img1\nframeRate=10\nseqLength={frames}\nimWidth=320\nimHeight=240\nimExt=.jpg\n"
    );
    std::fs::write(folder.join("seqinfo.ini"), info).expect("a file");
    let (mut detections, mut people) = (String::new(), String::new());
    for frame in 1..=frames {
        for (id, x, y) in [(1, 10 + 4 * frame, 60), (2, 260 - 4 * frame, 110)] {
            writeln!(people, "{frame},{id},{x},{y},40,90,1,-1,-1,-1").expect("a string");
            if !(12..15).contains(&frame) {
                writeln!(detections, "{frame},-1,{x},{y},40,90,0.99,-1,-1,-1").expect("a string");
            }
        }
    }
    std::fs::write(folder.join("det/det.txt"), detections).expect("a file");
    if truth {
        std::fs::create_dir_all(folder.join("gt")).expect("a folder");
        std::fs::write(folder.join("gt/gt.txt"), people).expect("a file");
    }
    folder
}

#[test]
fn flow_fills_gaps_that_sort_leaves() {
    let folder = TempDir::new().expect("a folder");
    let sequences = mot::read(&write_walk(folder.path(), "walk", 30, true), DETECTIONS).expect("a sequence");
    for settings in [Settings::Flow(FlowParams::default()), Settings::Social(SocialParams::default())] {
        let m = overall(&sequences, |s| settings.track(s));
        assert_eq!((m.clear.mota(), m.identity.idf1(), m.ids), (1.0, 1.0, 2), "{settings:?}");
    }
    let sort =
        overall(&sequences, |s| Settings::Sort(SortParams { max_age: 5, ..SortParams::default() }).track(s));
    assert_eq!((sort.clear.misses, sort.clear.id_switches, sort.ids), (2 * (3 + 2), 0, 2));
}

#[test]
fn rows_are_final_once_returned() {
    let folder = TempDir::new().expect("a folder");
    let sequence =
        &mot::read(&write_walk(folder.path(), "walk", 30, true), DETECTIONS).expect("a sequence")[0];
    for settings in [
        Settings::Sort(SortParams::default()),
        Settings::Flow(FlowParams::default()),
        Settings::Social(SocialParams::default()),
    ] {
        let mut tracker = settings.tracker(Scene::from(&sequence.info));
        let latency = tracker.latency().unwrap_or(usize::MAX);
        let mut rows = Vec::new();
        for (frame, detections) in (1..).zip(&sequence.detections) {
            let new = tracker.push(detections);
            assert!(new.iter().all(|row| row.frame <= frame && frame - row.frame <= latency));
            rows.extend(new);
        }
        rows.extend(tracker.finish());
        let mut keys: Vec<(usize, u32)> = rows.iter().map(|row| (row.frame, row.id)).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count, "{settings:?}");
        assert!(count > 40, "{settings:?}: {count} rows");
    }
}

#[test]
fn a_search_finds_what_is_better_than_its_start() {
    let folder = TempDir::new().expect("a folder");
    write_walk(folder.path(), "a", 30, true);
    write_walk(folder.path(), "b", 26, true);
    let sequences = mot::read(folder.path(), DETECTIONS).expect("two sequences");
    let kind = Settings::Sort(SortParams::default());
    let found = Tuner::new(&sequences, |_| ()).leave_one_out(&kind).expect("known classes");
    assert_eq!(found.len(), 2);
    for (sequence, settings) in sequences.iter().zip(&found) {
        let (tuned, plain) =
            (metrics(sequence, &settings.track(sequence)), metrics(sequence, &kind.track(sequence)));
        assert!(objective(&tuned) > objective(&plain), "{settings:?}");
    }
}

/// What reading the sequence says after `change` of one of its files.
fn complaint(file: &str, change: impl Fn(&str) -> String) -> String {
    let folder = TempDir::new().expect("a folder");
    let sequence = write_walk(folder.path(), "walk", 5, true);
    let path = sequence.join(file);
    let text = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, change(&text)).expect("a file");
    mot::read(&sequence, DETECTIONS).expect_err("the file is bad").to_string()
}

#[test]
fn bad_rows_are_named_by_file_and_line() {
    let second = |line: &str| {
        let line = line.to_string();
        move |text: &str| {
            let mut lines: Vec<&str> = text.lines().collect();
            lines[1] = &line;
            lines.join("\n")
        }
    };
    for (file, line, problem) in [
        ("det/det.txt", "1,-1,3,4,5", "5 columns, expected at least 7"),
        ("det/det.txt", "1,-1,3,4,five,6,0.5", "width is `five`"),
        ("det/det.txt", "0,-1,3,4,5,6,0.5", "frame is 0, expected a whole number from 1 to 5"),
        ("det/det.txt", "6,-1,3,4,5,6,0.5", "frame is 6"),
        ("det/det.txt", "1.5,-1,3,4,5,6,0.5", "frame is 1.5"),
        ("det/det.txt", "nan,-1,3,4,5,6,0.5", "frame is nan"),
        ("det/det.txt", "1,-1,3,4,5,6,high", "score is `high`"),
        ("gt/gt.txt", "1,2,3,4,-5,6,1", "3,4,-5,6 is no box"),
        ("gt/gt.txt", "1,2,nan,4,5,6,1", "NaN,4,5,6 is no box"),
        ("gt/gt.txt", "1,2,3,4,inf,6,1", "3,4,inf,6 is no box"),
        ("gt/gt.txt", "1,1,3,4,5,6,1", "id 1 is in frame 1 a second time"),
        ("gt/gt.txt", "1,-2,3,4,5,6,1", "id is -2"),
        ("gt/gt.txt", "1,2,3,4,5,6,nan", "mark is NaN"),
        ("gt/gt.txt", "1,2,3,4,5,6,1,300,1", "class is 300"),
        ("seqinfo.ini", "name", "`name`: expected `key=value`"),
    ] {
        let message = complaint(file, second(line));
        assert!(message.contains(file) && message.contains("line 2: "), "{line}: {message}");
        assert!(message.contains(problem), "{line}: {message}");
    }
    for (key, value, problem) in [
        ("seqLength=5", "seqLength=0", "line 5: seqLength is `0`"),
        ("frameRate=10", "frameRate=fast", "line 4: frameRate is `fast`"),
        ("imWidth=320", "imWidth=1e9", "line 6: imWidth is `1e9`"),
        ("imHeight=240", "", "no line `imHeight=…`"),
    ] {
        let message = complaint("seqinfo.ini", |text| text.replace(key, value));
        assert!(message.contains("seqinfo.ini") && message.contains(problem), "{message}");
    }
}

#[test]
fn detections_that_are_no_boxes_are_dropped_and_counted() {
    let folder = TempDir::new().expect("a folder");
    let path = write_walk(folder.path(), "walk", 5, false);
    let bad =
        "1,-1,nan,4,5,6,0.5\n2,-1,3,4,inf,6,0.5\n3,-1,3,4,0,6,0.5\n4,-1,3,4,5,-6,0.5\n5,-1,3,4,5,6,nan\n";
    let text = std::fs::read_to_string(path.join(DETECTIONS)).expect("a file");
    std::fs::write(path.join(DETECTIONS), format!("{text}\n{bad}")).expect("a file");
    let sequence = &mot::read(&path, DETECTIONS).expect("a sequence")[0];
    assert_eq!((sequence.dropped, sequence.truth.is_none()), (5, true));
    assert_eq!(sequence.detections.iter().map(Vec::len).collect::<Vec<_>>(), [2; 5]);
    dunlin()
        .args(["track", "--tracker", "sort"])
        .arg(&path)
        .assert()
        .success()
        .stdout(contains("5 rows of detections are no boxes").and(contains("no gt/gt.txt")));
}

#[test]
fn the_command_writes_results_pictures_and_json() {
    let folder = TempDir::new().expect("a folder");
    write_walk(folder.path(), "a", 30, true);
    write_walk(folder.path(), "b", 20, false);
    let (out, gif) = (folder.path().join("results"), folder.path().join("tracks.gif"));
    for tracker in ["sort", "flow", "social"] {
        let output = dunlin()
            .args(["track", "--json", "--tracker", tracker])
            .arg(folder.path())
            .arg("--out")
            .arg(&out)
            .arg("--draw")
            .arg(&gif)
            .args(["--draw-from", "11", "--draw-every", "2", "--draw-frames", "4", "--draw-width", "160"])
            .output()
            .expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
        assert_eq!(json["tracker"], tracker);
        assert_eq!(json["overall"]["mota"], json["sequences"]["a"]["mota"]);
        assert_eq!(json["sequences"]["b"]["mota"], Value::Null);
        for key in ["mota", "motp", "idf1", "hota", "deta", "assa", "idsw", "mt", "ml", "frag", "fp", "fn"] {
            assert!(json["overall"][key].is_number(), "{key}: {json}");
        }
        let rows = mot::read_results(&out.join("b.txt"), 20).expect("results can be read");
        assert_eq!(Some(rows.len() as u64), json["sequences"]["b"]["rows"].as_u64());
        for name in ["tracks-a.gif", "tracks-b.gif"] {
            let bytes = std::fs::read(folder.path().join(name)).expect("a picture");
            let mut decoder = gif::DecodeOptions::new().read_info(bytes.as_slice()).expect("a GIF");
            assert_eq!((decoder.width(), decoder.height()), (160, 120));
            let mut frames = 0;
            while decoder.read_next_frame().expect("a GIF").is_some() {
                frames += 1;
            }
            assert_eq!(frames, 4);
        }
    }
}

#[test]
fn frames_that_are_there_are_drawn() {
    let folder = TempDir::new().expect("a folder");
    let path = write_walk(folder.path(), "walk", 3, false);
    std::fs::create_dir(path.join("img1")).expect("a folder");
    let ini = std::fs::read_to_string(path.join("seqinfo.ini")).expect("a file");
    std::fs::write(path.join("seqinfo.ini"), ini.replace(".jpg", ".png")).expect("a file");
    let photo = image::RgbImage::from_pixel(320, 240, image::Rgb([20, 120, 20]));
    photo.save(path.join("img1/000001.png")).expect("a picture");
    let gif = folder.path().join("walk.gif");
    dunlin().args(["track", "--tracker", "sort"]).arg(&path).arg("--draw").arg(&gif).assert().success();
    let bytes = std::fs::read(&gif).expect("a picture");
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes.as_slice()).expect("a GIF");
    let mut corner = || decoder.read_next_frame().expect("a GIF").expect("a frame").buffer[..3].to_vec();
    let green = corner();
    assert!(green[1] > 100 && green[0] < 60, "{green:?}");
    assert!(corner().iter().all(|&channel| channel > 230), "the second frame has no picture");
    std::fs::write(path.join("img1/000002.png"), "no picture").expect("a file");
    let command = dunlin().args(["track", "--tracker", "sort"]).arg(&path).arg("--draw").arg(&gif).assert();
    command.failure().stderr(contains("000002.png"));
}

#[test]
fn wrong_calls_say_what_to_do() {
    let folder = TempDir::new().expect("a folder");
    let path = write_walk(folder.path(), "walk", 5, false);
    let run = |args: &[&str]| dunlin().arg("track").arg(&path).args(args).assert().failure();
    run(&["--leave-one-out"]).stderr(contains("there is only one"));
    run(&["--detections", "det/none.txt"]).stderr(contains("none.txt does not exist"));
    let gif = folder.path().join("x.gif");
    let drawn = gif.to_str().expect("a plain path");
    run(&["--draw", drawn, "--draw-from", "6"]).stderr(contains("no frame to draw"));
    assert!(!gif.exists(), "nothing was drawn");
    let settings = folder.path().join("sort.toml");
    std::fs::write(&settings, "max_aeg = 3\n").expect("a file");
    run(&["--tracker", "sort", "--settings", settings.to_str().expect("a plain path")])
        .stderr(contains("max_aeg"));
    write_walk(folder.path(), "bare", 5, false);
    dunlin()
        .args(["track", "--leave-one-out"])
        .arg(folder.path())
        .assert()
        .failure()
        .stderr(contains("bare does not have"));
    dunlin()
        .arg("track")
        .arg(folder.path().join("nowhere"))
        .assert()
        .failure()
        .stderr(contains("does not exist"));
}

#[test]
fn distractors_take_tracks_away() {
    let bbox = |x: f64| mot::BBox { x, y: 0.0, w: 10.0, h: 20.0 };
    let person = |id, x, class, counts| Truth { frame: 1, id, bbox: bbox(x), counts, class: Some(class) };
    let row = |id, x| Row { frame: 1, id, bbox: bbox(x), score: 1.0 };
    let truth = [
        person(1, 0.0, 1, true),
        person(2, 50.0, 7, false),
        person(3, 100.0, 1, false),
        person(4, 150.0, 6, true),
    ];
    let rows = [row(1, 1.0), row(2, 51.0), row(3, 101.0), row(4, 151.0)];
    let kept = |name: &str| {
        let data = prepare(name, 1, &truth, &rows).expect("known classes");
        (data.frames[0].truth.len(), data.frames[0].tracks.len())
    };
    assert_eq!(kept("MOT17-01"), (1, 3));
    assert_eq!(kept("MOT20-01"), (1, 2));
    let plain: Vec<Truth> = truth.iter().map(|t| Truth { class: None, ..*t }).collect();
    let data = prepare("PETS", 1, &plain, &rows).expect("no classes");
    assert_eq!((data.frames[0].truth.len(), data.frames[0].tracks.len()), (2, 4));
    let unknown = [person(1, 0.0, 14, true)];
    let message = prepare("MOT17-01", 1, &unknown, &rows).expect_err("no such class").to_string();
    assert!(message.contains("MOT17-01") && message.contains("class 14"), "{message}");
}
