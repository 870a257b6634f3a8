//! What a training gave that ended before, so that a resumed command does not do it again.

use super::write;
use dunlin_trainer::report::repeated::RunMetrics;
use miette::{Result, bail, miette};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// File in the folder of a finished training: its recipe and what it gave.
const RESULT: &str = "result.json";

#[derive(Serialize, Deserialize)]
struct Finished {
    recipe: String,
    result: RunMetrics,
}

fn text(recipe: &impl Serialize) -> String {
    toml::to_string(recipe).unwrap_or_default()
}

/// Writes what the training in `out` gave.
pub(super) fn write_result(out: &Path, recipe: &impl Serialize, result: &RunMetrics) -> Result<()> {
    let done = Finished { recipe: text(recipe), result: result.clone() };
    let json = serde_json::to_string_pretty(&done).map_err(|e| miette!("{e}"))?;
    write(&out.join(RESULT), json.as_bytes())
}

/// What the training in `out` gave, where it is finished; it must be that of `recipe`, measured on so many examples.
pub(super) fn read(out: &Path, recipe: &impl Serialize, examples: usize) -> Result<Option<RunMetrics>> {
    let path = out.join(RESULT);
    if !path.exists() {
        return Ok(None);
    }
    let old = std::fs::read_to_string(&path).map_err(|e| miette!("{}: {e}", path.display()))?;
    let old: Finished = serde_json::from_str(&old)
        .map_err(|e| miette!(help = "remove it to train again", "{}: {e}", path.display()))?;
    if old.recipe != text(recipe) || old.result.examples != examples {
        bail!(
            help = "resume with the command that began it, or choose another folder",
            "{} was made by another recipe or measured on other examples",
            path.display()
        );
    }
    Ok(Some(old.result))
}
