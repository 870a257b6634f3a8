//! Shows how the golden files that would be made today differ from those in the repository.
//!
//! `cargo run -p dunlin-tests --bin golden` prints the differences and fails if there are any; with `--overwrite`
//! it writes the files. Golden files of a version that has been released change for no reason: a difference is
//! either a defect or a new version of the format.

use dunlin_tests::golden::all_files;
use std::process::ExitCode;

/// Differing bytes that are printed of a file.
const SHOWN: usize = 8;

fn differences(old: &[u8], new: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    if old.len() != new.len() {
        lines.push(format!("  {} bytes -> {} bytes", old.len(), new.len()));
    }
    let differing: Vec<_> = old.iter().zip(new).enumerate().filter(|(_, (old, new))| old != new).collect();
    for (at, (old, new)) in differing.iter().take(SHOWN) {
        lines.push(format!("  byte {at}: {old:02x} -> {new:02x}"));
    }
    if differing.len() > SHOWN {
        lines.push(format!("  and {} bytes more", differing.len() - SHOWN));
    }
    lines
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let overwrite = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--overwrite"] => true,
        _ => {
            eprintln!("usage: golden [--overwrite]");
            return ExitCode::from(2);
        }
    };
    let mut changed = 0;
    for (path, new) in all_files() {
        let lines = match std::fs::read(&path) {
            Ok(old) if old == new => continue,
            Ok(old) => differences(&old, &new),
            Err(error) => vec![format!("  {error}")],
        };
        changed += 1;
        println!("{}", path.display());
        lines.iter().for_each(|line| println!("{line}"));
        if overwrite {
            let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            let written = folder.and_then(|()| std::fs::write(&path, &new));
            if let Err(error) = written {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    match (changed, overwrite) {
        (0, _) => println!("the golden files are what is made today"),
        (_, true) => println!("{changed} files written"),
        (_, false) => {
            println!("{changed} files differ; `--overwrite` writes them");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
