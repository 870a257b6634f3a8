//! Packages of Debian and its relatives.

use std::process::Command;

use crate::paths::program;
use crate::steps::{call, show};

/// Installs `packages`, printing them; the error names the command that a person can run.
pub(super) fn install(packages: &[&str]) -> Result<(), String> {
    let mut packages = packages.to_vec();
    packages.sort_unstable();
    packages.dedup();
    let by_hand = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if program("apt-get").is_none() {
        return Err(format!("this is not Debian; install what `{by_hand}` installs there"));
    }
    let Some(prefix) = privileges() else {
        return Err(format!("not root, and sudo asks for a password; run `sudo {by_hand}`"));
    };
    eprintln!("installing packages: {}", packages.join(" "));
    let mut install = apt(&prefix);
    install.args(["install", "--yes", "--no-install-recommends"]).args(&packages);
    // The lists of a fresh machine may be missing or old: only then are they fetched.
    if call(&mut install).is_ok() {
        return Ok(());
    }
    let updated = call(apt(&prefix).arg("update"));
    updated.and_then(|()| call(&mut install)).map_err(|error| {
        format!("{} failed ({error}); without a network, install by hand: `{by_hand}`", show(&install))
    })
}

fn apt(prefix: &[&str]) -> Command {
    let words = [prefix, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command.args([
        "-o",
        "Acquire::Retries=2",
        "-o",
        "Acquire::http::Timeout=30",
        "-o",
        "DPkg::Lock::Timeout=120",
    ]);
    // What apt prints is progress; the standard output of `xtask firmware` belongs to the paths.
    command.stdout(std::io::stderr());
    command
}

/// What to put before a command to run it as root, if that is possible without asking.
fn privileges() -> Option<Vec<&'static str>> {
    let answer = |words: &[&str]| {
        Command::new(words[0]).args(&words[1..]).output().ok().filter(|o| o.status.success())
    };
    if answer(&["id", "-u"])?.stdout.trim_ascii() == b"0" {
        return Some(Vec::new());
    }
    answer(&["sudo", "-n", "true"]).map(|_| vec!["sudo", "-n"])
}
