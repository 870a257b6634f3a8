//! Targets of the toolchain that runs `xtask`, installed by rustup.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{AARCH64, ARMV7, THUMB, Toolchain};
use crate::paths::program;
use crate::steps::show;

/// For the first target: whoever cannot reach the server learns it in this time.
const FIRST: Duration = Duration::from_secs(60);
/// For each target after it, on a slow line.
const LATER: Duration = Duration::from_secs(600);

pub(super) fn find_or_install() -> Result<Toolchain, String> {
    if program("rustup").is_none() {
        return Err("rustup is not installed".to_owned());
    }
    let installed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let installed = installed.map_err(|error| format!("rustup: {error}"))?;
    if !installed.status.success() {
        return Err(format!("rustup: {}", String::from_utf8_lossy(&installed.stderr).trim()));
    }
    let installed = String::from_utf8_lossy(&installed.stdout);
    let wanted = THUMB.into_iter().chain([AARCH64, ARMV7]);
    let mut limit = FIRST;
    for target in wanted.filter(|target| !installed.lines().any(|line| line == *target)) {
        eprintln!("installing Rust target: {target}");
        add(target, limit)?;
        limit = LATER;
    }
    Ok(Toolchain::Rustup)
}

fn add(target: &str, limit: Duration) -> Result<(), String> {
    let mut command = Command::new("rustup");
    command.args(["target", "add", target]).env("RUSTUP_MAX_RETRIES", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let shown = show(&command);
    let mut child = command.spawn().map_err(|error| format!("{shown}: {error}"))?;
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("`{shown}` failed ({status})")),
            Ok(None) if started.elapsed() < limit => sleep(Duration::from_millis(50)),
            Ok(None) | Err(_) => {
                // It may just have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("`{shown}` had not ended after {} s", limit.as_secs()));
            }
        }
    }
}
