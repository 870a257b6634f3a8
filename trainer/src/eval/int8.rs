//! The metric of an int8 model, as the runtime computes its labels.

use super::metrics::Confusion;
use crate::data::Examples;
use crate::quantise::{Int8Runner, Output, RunnerError};

/// Confusion matrix of the `.dun` file over all of `set`, on `threads` threads.
///
/// # Errors
/// The runtime refuses the file, or its input does not have the size of the images.
pub fn evaluate(file: &[u8], set: &Examples, threads: usize) -> Result<Confusion, RunnerError> {
    let indices: Vec<usize> = (0..set.len()).collect();
    let share = indices.len().div_ceil(threads.max(1)).max(1);
    let count = |chunk: &[usize]| {
        let mut confusion = Confusion::new(set.classes.len(), set.ignore);
        let mut runner = Int8Runner::new(file)?;
        if set.images.is_empty() {
            for &i in chunk {
                let output = runner.run_real(&[&*set.reals[i]])?;
                let labels = output.first().map(Output::labels).unwrap_or_default();
                confusion.add_all(&set.labels[i], &labels);
            }
            return Ok(confusion);
        }
        let images = chunk.iter().map(|&i| &*set.images[i]);
        runner.label_images(images, |at, labels| confusion.add_all(&set.labels[chunk[at]], labels))?;
        Ok(confusion)
    };
    let parts: Vec<Result<Confusion, RunnerError>> = std::thread::scope(|scope| {
        let handles: Vec<_> = indices.chunks(share).map(|chunk| scope.spawn(move || count(chunk))).collect();
        handles.into_iter().map(|h| h.join().expect("the runtime does not panic")).collect()
    });
    let mut total = Confusion::new(set.classes.len(), set.ignore);
    for part in parts {
        total.merge(&part?);
    }
    Ok(total)
}
