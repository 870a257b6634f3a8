//! `dunlin track --board`: rows from an emulated board.

use assert_cmd::Command;
use dunlin_emulator::board::MPS2_AN386;
use dunlin_emulator::{emulation_is_off, find_tracking_image, leave_out};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

/// A sequence of two people who pass each other, one of them unseen for two frames.
fn sequence(folder: &Path) {
    let info = "[Sequence]\nname=pair\nframeRate=10\nseqLength=40\nimWidth=640\nimHeight=480\n";
    let mut detections = String::new();
    for frame in 1..=40 {
        let x = 5 * frame;
        let _ = writeln!(detections, "{frame},-1,{},100,40,100,0.98,-1,-1,-1", 40 + x);
        if !(20..22).contains(&frame) {
            let _ = writeln!(detections, "{frame},-1,{},130,50,120,0.97,-1,-1,-1", 500 - x);
        }
    }
    std::fs::create_dir(folder.join("det")).expect("an empty folder");
    std::fs::write(folder.join("seqinfo.ini"), info).expect("a folder that can be written");
    std::fs::write(folder.join("det/det.txt"), detections).expect("a folder that can be written");
}

fn dunlin() -> Command {
    Command::cargo_bin("dunlin").expect("the program is built")
}

#[test]
fn rows_come_from_the_board_and_are_the_host_s() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    sequence(folder.path());
    let args = |out: &str| {
        ["track".into(), folder.path().into(), "--json".into(), "--out".into(), folder.path().join(out)]
    };
    let board = ["--board", MPS2_AN386.name];

    let refused =
        dunlin().args(args("sort")).args(board).args(["--tracker", "sort"]).output().expect("it runs");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no other tracker runs on a board"));

    if emulation_is_off() {
        return leave_out("dunlin track --board", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    if let Err(error) = find_tracking_image(&MPS2_AN386) {
        return leave_out("dunlin track --board", &error.to_string());
    }
    dunlin().args(args("host")).assert().success();
    let done = dunlin().args(args("board")).args(board).assert().success();
    let json: Value = serde_json::from_slice(&done.get_output().stdout).expect("JSON");
    let board = &json["sequences"]["pair"]["board"];
    assert_eq!(board["board"], MPS2_AN386.name);
    assert!(
        board["nodes"] == 4 && board["instructions"][1].as_u64() > board["instructions"][0].as_u64(),
        "{board}"
    );
    let read = |out: &str| std::fs::read(folder.path().join(out).join("pair.txt")).expect("results");
    assert!(!read("host").is_empty() && read("host") == read("board"));
}
