//! Finding the plugin.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::EmulateError;

/// The plugin: what `$DUNLIN_CYCLEMETER` names if that variable is set; else, in a checkout, what
/// `cargo xtask cyclemeter` builds (fast when nothing has changed).
///
/// # Errors
/// [`EmulateError::NoPlugin`] with the reason.
pub fn find_plugin() -> Result<PathBuf, EmulateError> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let missing = |reason: String| EmulateError::NoPlugin { reason };
    if let Some(path) = std::env::var_os("DUNLIN_CYCLEMETER") {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(missing(format!("{} is not there (DUNLIN_CYCLEMETER names it)", path.display())))
        };
    }
    BUILT.get_or_init(build).clone().map_err(missing)
}

fn build() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !root.join("tests/cyclemeter/Cargo.toml").is_file() {
        return Err("DUNLIN_CYCLEMETER is not set and this program is outside of its checkout".to_owned());
    }
    let mut command = Command::new("cargo");
    command.args(["xtask", "cyclemeter"]).current_dir(&root).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("cargo cannot be started: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.lines().last().map(PathBuf::from) {
        Some(path) if output.status.success() && path.is_file() => Ok(path),
        _ => Err(format!("the build in {} failed ({})", root.display(), output.status)),
    }
}
