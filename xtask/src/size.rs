//! What images weigh: the generic ones, and one for each model.

use std::path::{Path, PathBuf};

use dunlin_emulator::board::{BOARDS, Board, MPS2_AN386, MPS3_AN547};

use crate::cross::host_cargo;
use crate::setup::{Setup, Toolchain};
use crate::{firmware, paths};

/// Boards that have an image with one model, and the core that its constants are packed for.
const ONE: [(&Board, &str); 2] = [(&MPS2_AN386, "cortex-m4"), (&MPS3_AN547, "cortex-m55")];

/// A model for single-board computers: its arena of 4 MB exceeds the RAM of both boards.
const TOO_LARGE: &str = "gcn-cora";

/// Most bytes of code that an image with one model may have, and most instructions until its session is ready.
const MOST_CODE: u64 = 30_000;
const MOST_START: u32 = 20_000;

/// Builds and starts the image with the committed model that has most kinds of layers, and holds it against the limits.
pub(crate) fn check(toolchain: &Toolchain) -> Result<(), String> {
    let file = paths::root().join("models/mobilenet-cifar10/mobilenet-cifar10.dun");
    for (board, target) in ONE {
        println!("{}", row(toolchain, &file, board, target)?);
    }
    Ok(())
}

/// Prints the tables; `models` are files of the caller, the committed ones always count.
pub(crate) fn print(models: &[&str]) -> Result<(), String> {
    let setup = Setup::find_or_install();
    let toolchain = setup.toolchain.as_ref().map_err(Clone::clone)?;
    println!("| board | core | code flash without a model, all operators and the parser, bytes |");
    println!("|---|---|---:|");
    for board in &BOARDS {
        let flash = firmware::weigh(&firmware::build(toolchain, board)?)?;
        println!("| {} | {} | {} |", board.name, board.core, flash.all);
    }
    let mut files: Vec<PathBuf> = models.iter().map(PathBuf::from).collect();
    files.extend(committed()?.into_iter().filter(|file| !file.ends_with(format!("{TOO_LARGE}.dun"))));
    println!();
    println!(
        "| image with one model | board | code, bytes | tables of the model, bytes | its constants, bytes | start-up, \
         instructions | label |"
    );
    println!("|---|---|---:|---:|---:|---:|---|");
    for file in &files {
        for (board, target) in ONE {
            println!("{}", row(toolchain, file, board, target)?);
        }
    }
    println!("LEFT OUT: {TOO_LARGE}, which needs more RAM than these boards have");
    println!("(cargo xtask size {}, {} toolchain)", models.join(" "), toolchain.name());
    Ok(())
}

/// The models of the repository.
fn committed() -> Result<Vec<PathBuf>, String> {
    let folder = paths::root().join("models");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let files = entries.flatten().map(|entry| {
        let name = entry.file_name();
        entry.path().join(name).with_extension("dun")
    });
    let mut files: Vec<PathBuf> = files.filter(|file| file.is_file()).collect();
    files.sort();
    Ok(files)
}

fn row(toolchain: &Toolchain, file: &Path, board: &Board, target: &str) -> Result<String, String> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let packed = paths::images().join(format!("{name}-{target}.dun"));
    let mut command = host_cargo();
    command.args(["run", "--quiet", "--package", "dunlin-tests", "--bin", "pack", "--", target]);
    crate::steps::call(command.arg(file).arg(&packed))?;
    let image = firmware::build_one(toolchain, board, &packed)?;
    let flash = firmware::weigh(&image)?;
    let log = firmware::log(board, &image)?;
    let said = log.lines().find_map(|line| line.split_once("start "));
    let words: Vec<&str> = said.map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    let (Some(start), Some(label)) = (words.first(), words.get(4)) else {
        return Err(format!("{name} on {} did not say how it started: {log}", board.name));
    };
    let code = flash.all - flash.data - flash.tables;
    let instructions: u32 = start.parse().map_err(|_| format!("{name} on {}: {log}", board.name))?;
    if code > MOST_CODE || instructions > MOST_START {
        return Err(format!(
            "{name} on {}: {code} bytes of code (at most {MOST_CODE}), {instructions} instructions to start (at most {MOST_START})",
            board.name
        ));
    }
    Ok(format!(
        "| {name} | {} | {code} | {} | {} | {start} | {label} |",
        board.name, flash.tables, flash.data
    ))
}
