//! Finding the plugin, and the program that runs models on AArch64.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::EmulateError;

/// The plugin: what `$DUNLIN_CYCLEMETER` names if that variable is set; else, in a checkout, what
/// `cargo xtask cyclemeter` builds (fast when nothing has changed).
///
/// # Errors
/// [`EmulateError::NoPlugin`] with the reason.
pub fn find_plugin() -> Result<PathBuf, EmulateError> {
    find("DUNLIN_CYCLEMETER", "cyclemeter")
}

/// The program that runs a model on AArch64 between markers: what `$DUNLIN_METERED` names if that variable is set; else,
/// in a checkout, what `cargo xtask metered` builds.
///
/// # Errors
/// [`EmulateError::NoPlugin`] with the reason.
pub fn find_metered() -> Result<PathBuf, EmulateError> {
    find("DUNLIN_METERED", "metered")
}

fn find(variable: &str, task: &'static str) -> Result<PathBuf, EmulateError> {
    let missing = |reason: String| EmulateError::NoPlugin { reason, task };
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(missing(format!("{} is not there ({variable} names it)", path.display())))
        };
    }
    // Once per process: the sources do not change under a running program, and cargo takes a moment.
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(task) {
        return Ok(path.clone());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !root.join("tests/cyclemeter/Cargo.toml").is_file() {
        return Err(missing(format!("{variable} is not set and this program is outside of its checkout")));
    }
    let mut command = Command::new("cargo");
    command.args(["xtask", task]).current_dir(&root).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| missing(format!("cargo cannot be started: {error}")))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.lines().last().map(PathBuf::from) {
        Some(path) if output.status.success() && path.is_file() => {
            built.insert(task, path.clone());
            Ok(path)
        }
        _ => Err(missing(format!("the build in {} failed ({})", root.display(), output.status))),
    }
}
