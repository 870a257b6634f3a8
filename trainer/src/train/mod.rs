//! Training loops and what they share: recipes, losses, optimisers, checkpoints, progress.

pub mod checkpoint;
mod loss;
mod optimiser;
mod progress;
mod recipe;
pub mod reinforcement;
pub mod supervised;
pub mod task;
pub mod tracking;

pub use loss::{Targets, cross_entropy, squared_error};
pub use optimiser::optimiser;
pub use recipe::{ClassWeights, Contraction, Optimiser, Recipe, Schedule};

/// Runs `f` so that parallel loops inside burn stay on one thread: the batch is split among threads instead,
/// which is faster (and keeps sums in one order).
pub fn single_threaded<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(f),
        // Without a pool the result is the same, only slower.
        Err(_) => f(),
    }
}
