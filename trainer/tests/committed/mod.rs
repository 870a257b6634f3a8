//! The committed models, as tests read them.

use dunlin_trainer::report::artifact::METRICS;
use dunlin_trainer::report::card::Metrics;
use std::path::{Path, PathBuf};

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name)
}

pub(crate) fn metrics(name: &str) -> Metrics {
    let text = std::fs::read_to_string(folder(name).join(METRICS)).expect("committed metrics");
    serde_json::from_str(&text).expect("metrics as `dunlin train` writes them")
}

pub(crate) fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder(name).join(format!("{name}.dun"))).expect("a committed model")
}
