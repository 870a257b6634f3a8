//! From a trained graph to the bytes of a `.dun` file, or of an ONNX file.

pub mod onnx;

use crate::data::Examples;
use crate::eval;
use crate::exec::{self, Device, Mode, NoTap, Tensor, Weights};
use crate::graph::{Graph, GraphError};
use crate::passes::{self, Applied};
use crate::plan::{Plan, PlanOptions, TooLarge};
use crate::quantise::{
    LowerOptions, Method, QGraph, QuantiseError, Ranges, RewriteOptions, calibrate, lower, rewrite,
    round_weights,
};
use dunlin::format::EncodeError;
use dunlin::{AlignedVec, Model, ParseError, Storage, Target};

/// Choices of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Choices of lowering.
    pub lower: LowerOptions,
    /// Choices of the rewrites of the integer program.
    pub rewrite: RewriteOptions,
    /// Choices of planning.
    pub plan: PlanOptions,
}

/// Why a graph cannot become a file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The graph is not valid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The graph cannot be quantised.
    #[error(transparent)]
    Quantise(#[from] QuantiseError),
    /// The program cannot be written.
    #[error("{0}")]
    Encode(EncodeError),
    /// The file is no model.
    #[error("{0}")]
    Parse(ParseError),
    /// The file is packed for a core.
    #[error("already packed for {0}: name the portable file that it was made of")]
    Packed(&'static str),
    /// The bound of RAM is too small.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The float network cannot be run.
    #[error(transparent)]
    Float(#[from] crate::exec::ExecError),
    /// No sample to calibrate with.
    #[error("`{0}` has no example to calibrate with")]
    NoSamples(String),
}

/// Lowers, rewrites, plans and encodes a graph that the passes have run on.
///
/// # Errors
/// A graph that cannot be quantised, or a program that the runtime refuses.
pub fn dun(graph: &Graph, ranges: &Ranges, options: &Options) -> Result<(Plan, AlignedVec), ExportError> {
    let mut program = lower(graph, ranges, options.lower)?;
    rewrite(&mut program, options.rewrite);
    let plan = Plan::new(program, &options.plan);
    let file = plan.encode().map_err(ExportError::Encode)?;
    Ok((plan, file))
}

/// Exports a graph that carries the quantisation it was imported with; nothing is calibrated, and no pass runs,
/// because each operator's rounding is the file's.
///
/// # Errors
/// A value without quantisation, or a program that the runtime refuses.
pub fn pinned(graph: &Graph, options: &Options) -> Result<(Plan, AlignedVec), ExportError> {
    graph.validate()?;
    dun(graph, &Ranges::new(graph), options)
}

/// Plans a portable `.dun` file anew and packs it for the core that `options` name, within `max_ram` bytes of arena.
///
/// # Errors
/// A file that the runtime refuses or that is packed already, or a bound that cannot be kept.
pub fn for_core(
    file: &[u8],
    options: &PlanOptions,
    max_ram: Option<u32>,
) -> Result<(Plan, AlignedVec), ExportError> {
    let bytes = AlignedVec::from_slice(file);
    let mut storage = Box::new(Storage::<4096, 8192, 16384>::new());
    let model = Model::parse(bytes.as_slice(), &mut storage).map_err(ExportError::Parse)?;
    if model.target() != Target::Portable {
        return Err(ExportError::Packed(model.target().name()));
    }
    let graph = QGraph::from_model(&model);
    let plan = match max_ram {
        Some(max) => Plan::within(&graph, options, max)?,
        None => Plan::new(graph, options),
    };
    let file = plan.encode().map_err(ExportError::Encode)?;
    Ok((plan, file))
}

/// Everything that post-training quantisation makes.
#[derive(Debug)]
pub struct Quantised {
    /// The graph after the passes.
    pub graph: Graph,
    /// What the passes did.
    pub passes: Vec<Applied>,
    /// The scales.
    pub ranges: Ranges,
    /// The memory plan.
    pub plan: Plan,
    /// The `.dun` file.
    pub file: AlignedVec,
}

/// Runs the passes on a trained graph, calibrates on `count` examples spread over the set, and exports.
///
/// # Errors
/// A graph that cannot be quantised, examples that do not fit it.
pub fn post_training(
    trained: &Graph,
    examples: &Examples,
    count: usize,
    method: Method,
    options: &Options,
) -> Result<Quantised, ExportError> {
    let batches = calibration_batches(trained, examples, count)?;
    post_training_on(trained, &batches, method, options)
}

/// [`post_training`] on batches, each with one tensor per input.
///
/// # Errors
/// A graph that cannot be quantised, batches that do not fit it.
pub fn post_training_on(
    trained: &Graph,
    batches: &[Vec<Tensor<4>>],
    method: Method,
    options: &Options,
) -> Result<Quantised, ExportError> {
    post_training_adjusted(trained, batches, method, options, |_, _, _| Ok(()))
}

/// [`post_training_on`] for a network whose first output holds scores of which only the largest counts, as a policy's: the range of
/// the scores is the one that loses least by rounding ([`Ranges::narrow_to_choices`]) on the first batch.
///
/// # Errors
/// As [`post_training_on`].
pub fn post_training_of_choices(
    trained: &Graph,
    batches: &[Vec<Tensor<4>>],
    method: Method,
    options: &Options,
) -> Result<Quantised, ExportError> {
    post_training_adjusted(trained, batches, method, options, |graph, weights, ranges| {
        let (Some(batch), Some(&scores)) = (batches.first(), graph.outputs.first()) else { return Ok(()) };
        let run = exec::run(graph, weights, batch, &[scores], Mode::Evaluate, &mut NoTap)?;
        let values: Vec<f32> = run.float().into_data().try_into_vec().expect("scores are f32");
        ranges.narrow_to_choices(scores, &values, graph.shape(scores).elements());
        Ok(round_weights(graph, ranges, batch)?)
    })
}

fn post_training_adjusted(
    trained: &Graph,
    batches: &[Vec<Tensor<4>>],
    method: Method,
    options: &Options,
    adjust: impl FnOnce(&mut Graph, &Weights, &mut Ranges) -> Result<(), ExportError>,
) -> Result<Quantised, ExportError> {
    let mut graph = trained.clone();
    let optimise =
        if options.rewrite.keep_dead_channels { passes::optimise_keeping } else { passes::optimise };
    let passes = optimise(&mut graph)?;
    let weights = Weights::from_graph(&graph, &Device::flex());
    let mut ranges = calibrate(&graph, &weights, batches, method)?;
    adjust(&mut graph, &weights, &mut ranges)?;
    let (plan, file) = dun(&graph, &ranges, options)?;
    Ok(Quantised { graph, passes, ranges, plan, file })
}

/// `count` examples, spread evenly over the set, each as a batch of its own.
///
/// # Errors
/// An empty set.
pub fn calibration_batches(
    graph: &Graph,
    examples: &Examples,
    count: usize,
) -> Result<Vec<Vec<Tensor<4>>>, ExportError> {
    let count = count.min(examples.len());
    if count == 0 {
        return Err(ExportError::NoSamples(examples.name.clone()));
    }
    let sample = |i: usize| {
        let at = i * examples.len() / count;
        vec![eval::batch(graph, examples, at..at + 1, &Device::flex()).0]
    };
    Ok((0..count).map(sample).collect())
}

#[cfg(test)]
mod elementwise_tests;
#[cfg(test)]
mod movement_tests;
#[cfg(test)]
mod qat_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wide_tests;
