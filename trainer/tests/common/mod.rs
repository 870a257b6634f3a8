//! The published models of the conformance folder, for the tests that measure them.

use dunlin_trainer::export::{Options, pinned};
use dunlin_trainer::import::tflite;
use dunlin_trainer::plan::Plan;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Prints a line that the test harness does not capture.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the published models, where it is there.
pub(crate) fn conformance() -> Option<PathBuf> {
    let named = std::env::var_os("DUNLIN_CONFORMANCE").filter(|v| !v.is_empty()).map(PathBuf::from);
    Some(named.unwrap_or(root().join("../shared/conformance")).join("tflite")).filter(|p| p.is_dir())
}

/// The model `name` of `folder`, imported.
pub(crate) fn published(folder: &Path, name: &str, options: &Options) -> (Plan, Vec<u8>) {
    let path = folder.join(name).join("model.tflite");
    let model = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let graph = tflite::import(&model, name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (plan, file) = pinned(&graph, options).unwrap_or_else(|e| panic!("{name}: {e}"));
    (plan, file.as_slice().to_vec())
}
