//! Wall time beside other engines.

use std::path::{Path, PathBuf};

use crate::cross::host_cargo;
use crate::paths;
use crate::steps::call;

/// Times every `NAME/model.tflite` of `folder`, else of `tflite` in `DUNLIN_CONFORMANCE` or `../shared/conformance`.
pub(crate) fn measure(folder: Option<&str>) -> Result<(), String> {
    let given = std::env::var_os("DUNLIN_CONFORMANCE").map(PathBuf::from);
    let beside = given.unwrap_or_else(|| paths::root().join("../shared/conformance")).join("tflite");
    let folder = folder.map_or(beside, PathBuf::from);
    let models = paths::target().join("peers");
    std::fs::create_dir_all(&models).map_err(|e| format!("{}: {e}", models.display()))?;
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries.flatten() {
        let (model, name) = (entry.path().join("model.tflite"), entry.file_name());
        if model.is_file() {
            convert(&model, &models.join(name))?;
        }
    }
    let mut command = host_cargo();
    command.env("CARGO_TARGET_DIR", paths::target().join("peers-build"));
    command
        .args(["run", "--quiet", "--release", "--manifest-path", "tests/peers/Cargo.toml", "--"])
        .arg(models);
    call(&mut command)
}

/// The model as the engines take it: `STEM.dun`, `STEM.onnx` in float and `STEM.tflite`.
fn convert(model: &Path, stem: &Path) -> Result<(), String> {
    let file = |extension: &str| stem.with_extension(extension);
    std::fs::copy(model, file("tflite")).map_err(|e| format!("{}: {e}", model.display()))?;
    let dunlin = |command: &str, flags: &[&str], option: &str, out: PathBuf| {
        let mut cargo = host_cargo();
        cargo.args(["run", "--quiet", "--package", "dunlin-trainer", "--bin", "dunlin", "--", command]);
        call(cargo.args(flags).arg(model).arg(option).arg(out))
    };
    // tract does not remove channels, so neither do we.
    dunlin("import", &["--keep-dead-channels", "--quiet"], "--output", file("dun"))?;
    // Some operators have no ONNX form; the table then says so.
    if let Err(reason) = dunlin("export", &[], "--onnx", file("onnx")) {
        eprintln!("{}: {reason}", model.display());
    }
    Ok(())
}
