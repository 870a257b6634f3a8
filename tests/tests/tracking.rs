//! The tracker on the emulated boards: its rows against the host's, byte for byte.
//!
//! Where nothing can be emulated these tests say so and count as left out, as in `boards.rs`.

use dunlin::Target;
use dunlin_emulator::board::{Board, MPS2_AN386, MPS3_AN547};
use dunlin_emulator::tracking::Frame;
use dunlin_emulator::{
    EmulateError, Options, TrackJob, TrackReport, Tracks, emulation_is_off, leave_out, track, track_on_host,
};
use dunlin_tests::packed::packed;
use dunlin_tests::walkers::{PICTURE, crowd, trouble};
use dunlin_track::{Detection, Rect, Rounding, Settings, Standard};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIME_LIMIT: Duration = Duration::from_secs(900);
/// Each board and the core that its files are packed for.
const BOARDS: [(&Board, Target); 2] = [(&MPS2_AN386, Target::CortexM4), (&MPS3_AN547, Target::CortexM55)];

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The trained network.
fn model() -> Vec<u8> {
    let path = root().join("models/mpn-mot15/mpn-mot15.dun");
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The report of a board; `None` where it cannot be emulated here.
fn emulate(board: &Board, job: &TrackJob) -> Option<TrackReport> {
    if emulation_is_off() {
        leave_out(board.name, "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
        return None;
    }
    let options = Options { time_limit: TIME_LIMIT, ..Options::default() };
    match track(board, job, &options) {
        Ok(report) => Some(report),
        Err(error @ (EmulateError::NoImage { .. } | EmulateError::NoQemu { .. })) => {
            leave_out(board.name, &error.to_string());
            None
        }
        Err(error) => panic!("{}: {error}", board.name),
    }
}

/// Tracks on the host and on every board, with the portable and with the packed network, and compares.
fn compare(job: &TrackJob) -> Tracks {
    let host = track_on_host(job).expect("the network is a tracker's");
    for (board, target) in BOARDS {
        let file = packed(&job.model, target).expect("a portable file").as_slice().to_vec();
        for (form, model) in [("portable", job.model.clone()), ("packed", file)] {
            let Some(report) = emulate(board, &TrackJob { model, ..job.clone() }) else { continue };
            let name = format!("{} on {}, {form}", job.name, board.name);
            assert_eq!(report.isa, board.isa, "{name}");
            for (board, host) in report.tracks.steps.iter().zip(&host.steps) {
                assert_eq!(board.graph, host.graph, "{name}: graph of frame {}", host.frame);
                assert_eq!(board.rows, host.rows, "{name}: rows with frame {}", host.frame);
            }
            assert_eq!(report.tracks, host, "{name}");
            assert!(report.tracks.bytes() == host.bytes(), "{name}: bytes");
            let most = report.instructions.iter().max().copied().unwrap_or(0);
            say(&format!(
                "{name}: {} frames, {} rows, at most {most} instructions a frame, arena {} B, tracker {} B, deepest stack {} B, {:.1} s",
                host.steps.len(),
                host.rows().count(),
                report.arena_bytes,
                report.tracker_bytes,
                report.peak_stack_bytes,
                report.seconds
            ));
        }
    }
    host
}

#[test]
fn trouble_is_tracked_alike_on_boards_and_host() {
    for rounding in [Rounding::Exact, Rounding::Greedy] {
        let settings = Settings { rounding, ..Settings::new(10.0, Some(PICTURE)) };
        let job = TrackJob { name: "trouble".into(), model: model(), settings, frames: trouble() };
        let host = compare(&job);
        // That the recording has everything in it which it is made for.
        let counts = host.counts;
        assert!(counts.repeated == 1 && counts.restarted == 1, "{counts:?}");
        assert!(counts.invalid == 6 && counts.unsure == 1 && counts.duplicates == 6, "{counts:?}");
        assert!(counts.crowded == 16 * (90 - 64), "{counts:?}");
        assert!(host.rows().any(|row| row.interpolated) && host.rows().any(|row| row.frame > 500));
        assert!(host.steps.iter().any(|step| step.graph[1] > 100));
    }
}

#[test]
fn the_largest_graph_is_tracked_alike_on_boards_and_host() {
    let full = [Standard::NODES as u32, Standard::EDGES as u32];
    // Without a link every detection begins a track; each has an edge to as many tracks as it can.
    let settings = Settings {
        neighbours: 16,
        gap_per_hit: 5,
        edge_threshold: 1e6,
        min_hits: 1,
        node_threshold: -1e6,
        ..Settings::new(10.0, Some(PICTURE))
    };
    let unlinked = TrackJob { name: "crowd".into(), model: model(), settings, frames: crowd(64, 12) };
    let host = compare(&unlinked);
    assert!(host.steps.iter().filter(|step| step.graph == full).count() >= 4);
    assert!(host.counts.unborn > 0 && host.rows().count() > 100, "{:?}", host.counts);
    // With every link allowed, rounding has the most to do.
    let settings = Settings { edge_threshold: -1e6, ..settings };
    let host = compare(&TrackJob { name: "crowd, linked".into(), settings, ..unlinked });
    assert!(host.steps.iter().any(|step| step.graph[1] == full[1]));
}

/// The detections of a sequence of the MOTChallenge, frame by frame.
fn sequence(folder: &Path, frames: u32) -> Vec<Frame> {
    let path = folder.join("det/det.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut list: Vec<Frame> = (1..=frames).map(|number| Frame { number, detections: Vec::new() }).collect();
    for line in text.lines() {
        let values: Vec<f32> = line.split(',').map(|word| word.trim().parse().expect("a number")).collect();
        let bounds = Rect { x: values[2], y: values[3], w: values[4], h: values[5] };
        list[values[0] as usize - 1].detections.push(Detection { bounds, score: values[6] });
    }
    list
}

#[test]
fn a_whole_sequence_is_tracked_alike_on_boards_and_host() {
    let named = std::env::var_os("DUNLIN_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = named.unwrap_or_else(|| root().join("../shared/data")).join("mot15/TUD-Stadtmitte");
    if !folder.is_dir() {
        return say(
            "LEFT OUT: TUD-Stadtmitte on boards: no mot15; name the folder of the data with DUNLIN_DATA",
        );
    }
    let settings = Settings::new(25.0, Some([640.0, 480.0]));
    let frames = sequence(&folder, 179);
    let job = TrackJob { name: "TUD-Stadtmitte".into(), model: model(), settings, frames };
    let host = compare(&job);
    // Rows leave as soon as they are final, and people are followed.
    assert!(host.rest.iter().all(|row| row.frame + settings.latency > 179));
    assert!(host.rows().count() > 600, "{} rows", host.rows().count());
}

#[test]
fn another_model_is_refused_with_the_reason() {
    let path = root().join("models/digits/digits.dun");
    let model = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let job =
        TrackJob { name: "digits".into(), model, settings: Settings::new(25.0, None), frames: Vec::new() };
    let said = track_on_host(&job).expect_err("digits is no tracker");
    assert!(said.contains("no tracker"), "{said}");
    if emulation_is_off() {
        return leave_out("digits", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    match track(&MPS2_AN386, &job, &Options::default()) {
        Err(EmulateError::Refused { reason, .. }) => {
            assert!(reason.contains("digits: Tracker") && reason.contains("Interface"), "{reason}");
        }
        Err(error @ (EmulateError::NoImage { .. } | EmulateError::NoQemu { .. })) => {
            leave_out(MPS2_AN386.name, &error.to_string());
        }
        other => panic!("{other:?}"),
    }
}
