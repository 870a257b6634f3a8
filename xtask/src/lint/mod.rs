//! `cargo xtask lint`: formatting, clippy, rustdoc, and the rules that only this repository has.

mod imports;
mod lexer;
mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dunlin_emulator::board::{BOARDS, Board, TRACKING};

use crate::cross::{Cross, host_cargo};
use crate::setup::{DISTRIBUTION_CLIPPY, Setup, Toolchain};
use crate::steps::{Steps, call, show};
use crate::{firmware, paths};

/// Folders whose Rust sources are checked, relative to the checkout.
const SOURCES: [&str; 7] = ["runtime", "trainer", "models", "tests", "emulator", "xtask", "firmware"];

pub(crate) fn lint() -> Result<(), String> {
    let mut steps = Steps::new();
    steps.run("rules of this repository", rules);
    if let Err(reason) = components() {
        steps.run("rustfmt and clippy", || Err(reason));
        return steps.finish();
    }
    steps.run("rustfmt", || call(host_cargo().args(["fmt", "--all", "--check"])));
    steps.run("rustfmt, firmware", || {
        call(host_cargo().args(["fmt", "--all", "--check"]).current_dir(paths::root().join("firmware")))
    });
    let plugin = || paths::root().join("tests/cyclemeter");
    steps.run("rustfmt, cycle meter", || call(host_cargo().args(["fmt", "--check"]).current_dir(plugin())));
    steps.run("clippy, cycle meter", || {
        let mut command = host_cargo();
        command
            .args(["clippy", "--release", "--locked", "--target-dir"])
            .arg(paths::cross("host").join("cyclemeter"));
        call(command.args(["--", "-D", "warnings"]).current_dir(plugin()))
    });
    steps.run("clippy", || {
        call(host_cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    // Of the firmware, what the host can build.
    let on_host = |arguments: &[&str]| {
        let mut command = host_cargo();
        command.args(arguments).current_dir(paths::root().join("firmware"));
        call(command.env("RUSTDOCFLAGS", "-D warnings"))
    };
    for (what, package) in [("tracker", "dunlin-track"), ("plant", "dunlin-plant")] {
        steps.run(&format!("clippy, {what}"), || {
            on_host(&["clippy", "--package", package, "--all-targets", "--", "-D", "warnings"])
        });
        steps.run(&format!("rustdoc, {what}"), || on_host(&["doc", "--package", package, "--no-deps"]));
    }
    let setup = Setup::find_or_install();
    match firmware_clippy(&setup) {
        Ok(toolchain) => {
            steps.run("clippy, firmware", || {
                BOARDS.iter().try_for_each(|board| clippy_board(toolchain, board, &[]))?;
                TRACKING.iter().try_for_each(|board| clippy_board(toolchain, board, &["--features", "track"]))
            });
        }
        Err(reason) => steps.left_out("clippy, firmware", &reason),
    }
    steps.run("rustdoc", || {
        let mut command = host_cargo();
        command.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
        call(&mut command)
    });
    oldest_compiler(&mut steps);
    steps.finish()
}

/// Installs rustfmt and clippy where they are missing.
fn components() -> Result<(), String> {
    let found = |tool: &str| {
        let output = host_cargo().args([tool, "--version"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if found("fmt") && found("clippy") {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.args(["component", "add", "rustfmt", "clippy"]);
    eprintln!("installing rustfmt and clippy");
    call(&mut add).map_err(|error| format!("rustfmt or clippy is missing; run `{}` ({error})", show(&add)))
}

/// The rules that only this repository has.
pub(crate) fn rules() -> Result<(), String> {
    let mut findings = imports::check(&paths::root())?;
    findings.extend(source::check(&paths::root(), &SOURCES)?);
    findings.extend(firmware::check_table().err());
    if findings.is_empty() {
        Ok(())
    } else {
        Err(format!("{} findings\n{}", findings.len(), findings.join("\n")))
    }
}

fn firmware_clippy(setup: &Setup) -> Result<&Toolchain, String> {
    let toolchain = setup.toolchain.as_ref().map_err(|error| format!("no cross compiler: {error}"))?;
    match toolchain {
        Toolchain::Distribution { .. } if !Path::new(DISTRIBUTION_CLIPPY).is_file() => {
            Err(format!("{DISTRIBUTION_CLIPPY} is missing; run `apt-get install rust-web-clippy`"))
        }
        _ => Ok(toolchain),
    }
}

fn clippy_board(toolchain: &Toolchain, board: &Board, features: &[&str]) -> Result<(), String> {
    let mut command = Cross::new(toolchain).cargo("clippy", board.target);
    // The shared crates are checked for the target of every board.
    command.args([
        "--release",
        "--package",
        "dunlin-app",
        "--package",
        "dunlin-qemu",
        "--package",
        board.name,
    ]);
    command.args(features).args(["--", "-D", "warnings"]);
    call(command.current_dir(paths::root().join("firmware/boards").join(board.name)))
}

/// The manifest's `rust-version` is true if that release compiles the runtime.
fn oldest_compiler(steps: &mut Steps) {
    let manifest = fs::read_to_string(paths::root().join("Cargo.toml")).unwrap_or_default();
    let stated = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let Some(stated) = stated else {
        steps.run("oldest Rust", || Err("Cargo.toml states no rust-version".to_owned()));
        return;
    };
    let name = format!("oldest Rust, {stated}");
    let version = |command: &mut Command| {
        let output = command.arg("--version").output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).starts_with(&format!("rustc {stated}.")))
    };
    if version(&mut Command::new("rustc")) == Some(true) {
        // Clippy above has compiled everything with it.
        steps.run(&name, || Ok(()));
        return;
    }
    let proxy = [format!("+{stated}"), format!("+{stated}.0")]
        .into_iter()
        .find(|toolchain| version(Command::new("rustc").arg(toolchain)) == Some(true));
    match proxy {
        Some(toolchain) => {
            steps.run(&name, || {
                let mut command = Command::new("cargo");
                command.args([&toolchain, "check", "--package", "dunlin"]).env_remove("RUSTUP_TOOLCHAIN");
                command.env("CARGO_TARGET_DIR", paths::target().join("oldest")).current_dir(paths::root());
                call(&mut command)
            });
        }
        None => steps.left_out(&name, &format!("no such toolchain; run `rustup toolchain install {stated}`")),
    }
}

/// All Rust files under `folder`, sorted, without build directories.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
