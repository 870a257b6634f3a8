//! Weights and training state in safetensors files, written to a temporary name and renamed.
//!
//! A weights file holds one f32 tensor per parameter under its name. A training state holds `weights/…`,
//! `average/…` and the optimiser's bytes under `optimiser`, with [`Progress`] as JSON in the header: one file, so
//! that an interruption never leaves parts of two states.

use crate::graph::Graph;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Key of the header entry with the JSON.
const KEY: &str = "dunlin";

/// Where a run stands. Order and augmentation follow from the recipe's seed, the epoch and the step, so these
/// are the whole state of the random numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs finished.
    pub epoch: usize,
    /// Steps finished in the epoch after those.
    pub step: usize,
    /// Sum of the losses of these steps.
    pub loss_sum: f64,
    /// Best metric so far.
    pub best: Option<f64>,
    /// Epoch of the best metric.
    pub best_epoch: usize,
    /// Evaluations since.
    pub stale: usize,
    /// Seconds of training so far.
    pub seconds: f64,
    /// The recipe, as TOML.
    pub recipe: String,
}

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a checkpoint, or of another model.
    #[error("{path}: {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
}

impl CheckpointError {
    fn content(path: &Path, problem: impl ToString) -> Self {
        Self::Content { path: path.into(), problem: problem.to_string() }
    }
}

/// Writes `bytes` to `path` so that a reader sees the old file or the new one, never a part.
///
/// # Errors
/// The file system refuses.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let fail = |source| CheckpointError::Io { path: path.into(), source };
    std::fs::write(&temporary, bytes).map_err(fail)?;
    std::fs::rename(&temporary, path).map_err(fail)
}

/// Writes the parameters of `graph`; `note` goes into the header under `dunlin`.
///
/// # Errors
/// The file system refuses.
pub fn save_weights(path: &Path, graph: &Graph, note: &str) -> Result<(), CheckpointError> {
    let mut file = Writer::default();
    file.add_graph("", graph);
    file.write(path, note)
}

/// Reads a weights file into the parameters of `graph`, by name.
///
/// # Errors
/// A file that cannot be read, or whose names or sizes are not those of `graph`.
pub fn load_weights(path: &Path, graph: &mut Graph) -> Result<(), CheckpointError> {
    let bytes = read(path)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| CheckpointError::content(path, e))?;
    fill(path, &tensors, "", graph)
}

/// A training state as read from a file.
#[derive(Clone, Debug)]
pub struct State {
    /// Where the run stands.
    pub progress: Progress,
    /// Bytes of the optimiser's state.
    pub optimiser: Vec<u8>,
}

/// Writes a training state: the weights in `graph`, their average, the optimiser and the progress.
///
/// # Errors
/// The file system refuses.
pub fn save_state(path: &Path, graph: &Graph, average: &Graph, state: &State) -> Result<(), CheckpointError> {
    let note = serde_json::to_string(&state.progress).map_err(|e| CheckpointError::content(path, e))?;
    save_parts(path, &note, &[("weights/", graph), ("average/", average)], &[(OPTIMISER, &state.optimiser)])
}

/// Reads a training state into `graph` and `average`.
///
/// # Errors
/// A file that cannot be read, is no training state, or is of another model.
pub fn load_state(path: &Path, graph: &mut Graph, average: &mut Graph) -> Result<State, CheckpointError> {
    let graphs = &mut [("weights/", graph), ("average/", average)];
    let (progress, mut bytes) = load_parts(path, graphs, &[OPTIMISER])?;
    Ok(State { progress, optimiser: bytes.remove(0) })
}

/// Name of the update rule's state in a file.
pub const OPTIMISER: &str = "optimiser";

/// Writes graphs, each with a prefix, and bytes by name into one file with `note`, a JSON value, in its header.
///
/// # Errors
/// The file system refuses.
pub fn save_parts(
    path: &Path,
    note: &str,
    graphs: &[(&str, &Graph)],
    bytes: &[(&str, &[u8])],
) -> Result<(), CheckpointError> {
    let mut file = Writer::default();
    graphs.iter().for_each(|(prefix, graph)| file.add_graph(prefix, graph));
    for (name, bytes) in bytes {
        file.tensors.push(((*name).into(), Dtype::U8, vec![bytes.len()], bytes.to_vec()));
    }
    file.write(path, note)
}

/// Reads what [`save_parts`] wrote: the graphs are filled, note and bytes returned.
///
/// # Errors
/// A file that cannot be read, has another note, or is of other graphs.
pub fn load_parts<N: serde::de::DeserializeOwned>(
    path: &Path,
    graphs: &mut [(&str, &mut Graph)],
    names: &[&str],
) -> Result<(N, Vec<Vec<u8>>), CheckpointError> {
    let bytes = read(path)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| CheckpointError::content(path, e))?;
    let note = header.metadata().as_ref().and_then(|m| m.get(KEY));
    let note = note.ok_or_else(|| CheckpointError::content(path, "not a training state of Dunlin"))?;
    let note = serde_json::from_str(note)
        .map_err(|e| CheckpointError::content(path, format!("header does not hold a progress: {e}")))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| CheckpointError::content(path, e))?;
    for (prefix, graph) in graphs {
        fill(path, &tensors, prefix, graph)?;
    }
    let bytes = |name: &&str| {
        let tensor = tensors.tensor(name).map_err(|e| CheckpointError::content(path, e))?;
        Ok(tensor.data().to_vec())
    };
    let bytes: Result<_, CheckpointError> = names.iter().map(bytes).collect();
    Ok((note, bytes?))
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    std::fs::read(path).map_err(|source| CheckpointError::Io { path: path.into(), source })
}

fn fill(
    path: &Path,
    tensors: &SafeTensors<'_>,
    prefix: &str,
    graph: &mut Graph,
) -> Result<(), CheckpointError> {
    for param in &mut graph.params {
        let tensor = tensors.tensor(&format!("{prefix}{}", param.name)).map_err(|_| {
            CheckpointError::content(
                path,
                format!("`{}` is missing: the file belongs to another model than {}", param.name, graph.name),
            )
        })?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != param.dims {
            return Err(CheckpointError::content(
                path,
                format!(
                    "`{}` is {:?} {:?}, expected F32 {:?}",
                    param.name,
                    tensor.dtype(),
                    tensor.shape(),
                    param.dims
                ),
            ));
        }
        param.data =
            tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    }
    Ok(())
}

#[derive(Default)]
struct Writer {
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Writer {
    fn add_graph(&mut self, prefix: &str, graph: &Graph) {
        for p in &graph.params {
            let bytes = p.data.iter().flat_map(|v| v.to_le_bytes()).collect();
            self.tensors.push((format!("{prefix}{}", p.name), Dtype::F32, p.dims.clone(), bytes));
        }
    }

    fn write(&self, path: &Path, note: &str) -> Result<(), CheckpointError> {
        let mut views = Vec::with_capacity(self.tensors.len());
        for (name, dtype, dims, bytes) in &self.tensors {
            let view = TensorView::new(*dtype, dims.clone(), bytes)
                .map_err(|e| CheckpointError::content(path, e))?;
            views.push((name.as_str(), view));
        }
        let header = HashMap::from([(KEY.to_string(), note.to_string())]);
        let bytes = serialize(views, Some(header)).map_err(|e| CheckpointError::content(path, e))?;
        write_atomically(path, &bytes)
    }
}
