//! What tracking costs on the emulated cores, by the number of people in a frame: the table of `docs/performance.md`, and the bars.
//!
//! `DUNLIN_PERFORMANCE=overwrite`, which `cargo xtask performance` sets, writes the table. Every step of the tracker is a region
//! of the cycle meter: from the detections in memory to the rows in memory.

use dunlin::Target;
use dunlin_emulator::board::{Board, MPS2_AN386, MPS3_AN547};
use dunlin_emulator::meter::{RegionProfile, profile_tracking};
use dunlin_emulator::{
    Options, Step, TrackJob, TrackReport, emulation_is_off, find_image, flash_bytes, leave_out,
    track_on_host, unless_left_out,
};
use dunlin_tests::packed::packed;
use dunlin_tests::table::{number, replace};
use dunlin_tests::walkers::{PICTURE, walking};
use dunlin_track::Settings;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// People in a frame.
const PEOPLE: [usize; 5] = [5, 10, 20, 40, 64];
/// Frames of each recording, and the first that is measured: tracks have their full memory then.
const FRAMES: u32 = 60;
const FIRST: usize = 30;
/// Frames a second that the bars ask for, with so many people in a frame.
const RATE: f64 = 10.0;
const AT: usize = 20;
/// Board, core that the network is packed for, its clock in MHz.
const BOARDS: [(&Board, Target, f64); 2] =
    [(&MPS2_AN386, Target::CortexM4, 180.0), (&MPS3_AN547, Target::CortexM55, 160.0)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Tracks under the meter and compares with the host: the bytes of the packed network, what the board says, what each step cost.
/// `None` where that cannot be done here.
fn measure(board: &Board, target: Target, people: usize) -> Option<(usize, TrackReport, Vec<RegionProfile>)> {
    let path = root().join("models/mpn-mot15/mpn-mot15.dun");
    let model = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let settings = Settings::new(RATE as f32, Some(PICTURE));
    let frames = walking(people, FRAMES);
    let job = TrackJob { name: format!("{people} people"), model, settings, frames };
    let host = track_on_host(&job).expect("the network is a tracker's");
    let model = packed(&job.model, target).expect("a portable file").as_slice().to_vec();
    let options = Options { time_limit: Duration::from_secs(900), ..Options::default() };
    let bytes = model.len();
    let profiled = profile_tracking(board, &TrackJob { model, ..job }, &options);
    let (report, frames) = unless_left_out(board.name, profiled)?;
    assert_eq!(report.tracks, host, "{people} people on {}", board.name);
    Some((bytes, report, frames))
}

/// Whether a function belongs to the network: kernels and what runs them.
fn of_network(name: &str) -> bool {
    name.contains("dunlin_core")
}

/// The most expensive of the frames that count: its place, instructions, cycles, and the part of the cycles that is the network's.
fn dearest(frames: &[RegionProfile]) -> (usize, u64, f64, f64) {
    let cycles = |frame: &RegionProfile| frame.cost.cycles.expect("a table for the core");
    let most = frames.iter().enumerate().skip(FIRST).max_by(|a, b| cycles(a.1).total_cmp(&cycles(b.1)));
    let (at, frame) = most.expect("frames enough");
    let network = frame.functions.iter().filter(|f| of_network(&f.name)).filter_map(|f| f.cost.cycles);
    (at, frame.cost.instructions, cycles(frame), network.sum::<f64>() / cycles(frame))
}

#[test]
fn twenty_people_are_tracked_ten_times_a_second() {
    if emulation_is_off() {
        return leave_out("cost of tracking", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let mut table = String::from(
        "| core | people a frame | nodes | edges | instructions | estimated cycles | of the network | frames a second |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut memory = String::from(
        "| core | image, bytes of flash | more than the one that runs any model | network | arena, bytes of RAM | decoded tables | tracker | deepest stack |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut missed = Vec::new();
    for (board, target, clock) in BOARDS {
        let mut stack = 0;
        for people in PEOPLE {
            let Some((file, report, frames)) = measure(board, target, people) else { return };
            let (at, instructions, cycles, network) = dearest(&frames);
            let rate = clock * 1e6 / cycles;
            let Step { graph: [nodes, edges], .. } = report.tracks.steps[at];
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "| {}, {clock} MHz | {people} | {nodes} | {edges} | {} | {} | {:.0} % | {rate:.0} |",
                board.core,
                number(instructions),
                number(cycles as u64),
                100.0 * network
            );
            if people == AT && rate < RATE {
                missed.push(format!("{people} people on {}: {rate:.1} frames a second", board.name));
            }
            stack = stack.max(report.peak_stack_bytes);
            if people == PEOPLE[PEOPLE.len() - 1] {
                let plain =
                    find_image(board).and_then(|image| flash_bytes(&image)).expect("as the other image");
                let flash = [report.flash_bytes, report.flash_bytes - plain, file as u64];
                let ram = [report.arena_bytes, report.table_bytes, report.tracker_bytes, stack];
                let bytes = flash.into_iter().chain(ram.map(u64::from)).map(number);
                let bytes = bytes.collect::<Vec<_>>().join(" | ");
                let _ = writeln!(memory, "| {} | {bytes} |", board.core);
            }
        }
    }
    let table = format!("{table}\n{memory}");
    println!("{table}");
    if std::env::var("DUNLIN_PERFORMANCE").is_ok_and(|mode| mode == "overwrite") {
        let path = root().join("docs/performance.md");
        let document = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        std::fs::write(&path, replace(&document, "tracking", &table))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    assert!(missed.is_empty(), "missed bars:\n{}", missed.join("\n"));
}
