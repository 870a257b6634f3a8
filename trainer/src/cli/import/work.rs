//! The steps of an import: read samples, check, calibrate, train on, compare.

use super::super::network::{self, Onnx};
use super::super::quantize;
use super::Args;
use dunlin_trainer::data::augment::Augment;
use dunlin_trainer::data::samples::{Files, Sample, Spec, spread};
use dunlin_trainer::data::{Split, labelled};
use dunlin_trainer::eval::agreement::{self, Agreement};
use dunlin_trainer::eval::{float, int8};
use dunlin_trainer::exec::{Device, Weights};
use dunlin_trainer::export::{self, Quantised};
use dunlin_trainer::graph::Graph;
use dunlin_trainer::passes;
use dunlin_trainer::plan::{self, ValueError};
use dunlin_trainer::quantise::{Ranges, RewriteOptions, calibrate};
use dunlin_trainer::train::{ClassWeights, Optimiser, Recipe, Schedule};
use indicatif::ProgressBar;
use miette::{Result, bail, miette};
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

/// An import before its first step.
pub(super) struct Work<'a> {
    args: &'a Args,
    graph: Graph,
    onnx: Option<Onnx>,
    samples: Vec<Vec<Vec<f32>>>,
    labelled: Option<Split>,
    progress: ProgressBar,
}

/// What an import gave.
pub(super) struct Done {
    /// The float graph as it was imported.
    imported: Graph,
    /// The int8 model.
    pub(super) quantised: Quantised,
    /// Loss of every value on the first sample.
    pub(super) errors: Vec<ValueError>,
    /// Int8 against float on the samples.
    pub(super) agreement: Option<Agreement>,
    /// Whether the float graph was compared with the reference, and why not where it was not.
    pub(super) reference: Reference,
    /// Accuracy in float and in int8, and the number of examples.
    pub(super) accuracy: Option<(f64, f64, usize)>,
}

/// The float graph against an independent implementation.
pub(super) enum Reference {
    /// There is none for this format, or no sample.
    None,
    /// Largest difference as a part of the largest value.
    Checked(f32),
    /// The reference cannot run the model.
    Refused(String),
}

/// Samples on which the reference runs: it plans the model anew for each.
const REFERENCE_SAMPLES: usize = 4;

/// Largest difference between two orders of float additions, as a part of the largest value of an output.
const REFERENCE_TOLERANCE: f32 = 1e-3;

impl Done {
    pub(super) fn file(&self) -> &[u8] {
        self.quantised.file.as_slice()
    }

    /// The graph to go on with: trained where it was trained.
    pub(super) fn graph(&self) -> &Graph {
        &self.imported
    }
}

impl<'a> Work<'a> {
    /// Reads all data that the command line names.
    pub(super) fn new(args: &'a Args, mut graph: Graph, onnx: Option<Onnx>) -> Result<Self> {
        let terminal = std::io::stderr().is_terminal() && !args.quiet && !args.json;
        let progress = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        progress.enable_steady_tick(Duration::from_millis(100));
        let scaling = args.pixels.scaling(&graph)?;
        let (mut samples, mut pictures) = (Vec::new(), false);
        if let Some(path) = &args.calibrate {
            progress.set_message(format!("reading {}", path.display()));
            let specs = network::specs(&graph, &scaling);
            (samples, pictures) = read(path, &specs, args.calibration.count())?;
        } else if !graph.is_pinned() {
            bail!(
                help = "name a folder of samples (pictures, .npy, .csv or .bin) with --calibrate",
                "{}: a float network needs samples to choose its int8 scales",
                args.model.display()
            );
        }
        let labelled = match &args.data {
            None => None,
            Some(path) => {
                let spec = network::spec(&graph, &scaling)?;
                let split = labelled::read(path, &spec).map_err(|e| {
                    miette!(help = "--data names a folder that holds a folder for each class", "{e}")
                })?;
                Some(split)
            }
        };
        // What pixels mean is known where pictures were read with it, or somebody said it; values that came from
        // elsewhere say nothing of pixels.
        pictures |= labelled.as_ref().is_some_and(|split| !split.train.images.is_empty());
        let said = args.pixels.given() || graph.meta.input.is_some() || network::dictated(&graph).is_some();
        if network::takes_pictures(&graph) && (said || pictures) {
            graph.meta.input = Some(scaling);
        }
        if let (Some(split), true) = (&labelled, graph.meta.classes.is_empty()) {
            graph.meta.classes.clone_from(&split.train.classes);
            graph.meta.palette.clone_from(&split.train.palette);
        }
        Ok(Self { args, graph, onnx, samples, labelled, progress })
    }

    pub(super) fn run(&mut self) -> Result<Done> {
        let reference = self.reference()?;
        let mut quantised = if self.graph.is_pinned() { self.pinned()? } else { self.calibrated()? };
        let mut imported = self.graph.clone();
        if let (Some(epochs), Some(split)) = (self.args.calibration.qat.filter(|e| *e > 0), &self.labelled) {
            let folder = match &self.args.keep_graph {
                Some(folder) => folder.join("qat"),
                None => self.args.output.with_extension("qat"),
            };
            let epochs = epochs as usize;
            self.progress.set_message("training with fake quantisation");
            let how =
                quantize::Aware { out: &folder, epochs, quiet: self.args.quiet, export: &self.options() };
            quantize::aware(&mut quantised, split, &recipe(split), &how)?;
            imported = quantised.graph.clone();
        }
        self.progress.set_message("comparing int8 with float");
        let errors = self.errors(&quantised)?;
        let agreement = match self.samples.as_slice() {
            [] => None,
            samples => Some(
                agreement::compare(&imported, quantised.file.as_slice(), samples)
                    .map_err(|e| miette!("{e}"))?,
            ),
        };
        let accuracy =
            self.labelled.as_ref().map(|split| accuracy(&imported, &quantised, split)).transpose()?;
        self.progress.finish_and_clear();
        Ok(Done { imported, quantised, errors, agreement, reference, accuracy })
    }

    /// Runs the float graph and the reference on the first samples. A quantised network is compared elsewhere: its
    /// float values are not rounded here.
    fn reference(&self) -> Result<Reference> {
        let Some(onnx) = self.onnx.as_ref().filter(|_| !self.graph.is_pinned() && !self.samples.is_empty())
        else {
            return Ok(Reference::None);
        };
        self.progress.set_message("comparing with tract");
        let weights = Weights::from_graph(&self.graph, &Device::flex());
        let mut largest = 0.0f32;
        let samples = &self.samples[..REFERENCE_SAMPLES.min(self.samples.len())];
        for sample in samples {
            let theirs = match onnx.reference(sample) {
                Ok(outputs) => outputs,
                Err(e) => return Ok(Reference::Refused(e.to_string())),
            };
            let ours = agreement::float(&self.graph, &weights, sample).map_err(|e| miette!("{e}"))?;
            for ((id, ours), theirs) in self.graph.outputs.iter().zip(&ours).zip(&theirs) {
                let size = theirs.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
                let far = ours.iter().zip(theirs).fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / size;
                // A difference that is not a number is none that is small.
                if ours.len() != theirs.len() || far.is_nan() || far > REFERENCE_TOLERANCE {
                    bail!(
                        help = "this is a defect of the importer: please report it with the model; nothing was written",
                        "{}: output `{}` differs from tract's by {far:.1e} of its largest value",
                        self.args.model.display(),
                        self.graph.value(*id).name
                    );
                }
                largest = largest.max(far);
            }
        }
        Ok(Reference::Checked(largest))
    }

    fn options(&self) -> export::Options {
        let rewrite = RewriteOptions { keep_dead_channels: self.args.keep_dead_channels };
        export::Options { rewrite, ..export::Options::default() }
    }

    /// A quantised network keeps its parameters.
    fn pinned(&self) -> Result<Quantised> {
        self.progress.set_message("planning");
        let graph = self.graph.clone();
        let ranges = Ranges::new(&graph);
        let (plan, file) = export::dun(&graph, &ranges, &self.options())
            .map_err(|e| miette!("{}: {e}", self.args.model.display()))?;
        Ok(Quantised { graph, passes: Vec::new(), ranges, plan, file })
    }

    fn calibrated(&self) -> Result<Quantised> {
        let refuse = |e: &dyn std::fmt::Display| miette!("{}: {e}", self.args.model.display());
        let mut graph = self.graph.clone();
        self.progress.set_message(format!("calibrating on {} samples", self.samples.len()));
        let optimise = if self.args.keep_dead_channels { passes::optimise_keeping } else { passes::optimise };
        let passes = optimise(&mut graph).map_err(|e| refuse(&e))?;
        let weights = Weights::from_graph(&graph, &Device::flex());
        let batches: Vec<_> = self.samples.iter().map(|s| agreement::tensors(&graph, s)).collect();
        let ranges = calibrate(&graph, &weights, &batches, self.args.calibration.method()?)
            .map_err(|e| miette!(help = "--calibrate names samples like those of use", "{e}"))?;
        let (plan, file) = export::dun(&graph, &ranges, &self.options()).map_err(|e| refuse(&e))?;
        Ok(Quantised { graph, passes, ranges, plan, file })
    }

    fn errors(&self, q: &Quantised) -> Result<Vec<ValueError>> {
        let Some(sample) = self.samples.first() else { return Ok(Vec::new()) };
        let weights = Weights::from_graph(&q.graph, &Device::flex());
        let sample = agreement::tensors(&q.graph, sample);
        plan::compare(&q.graph, &weights, &q.ranges, &sample).map_err(|e| miette!("{e}"))
    }
}

/// `count` samples of every input, spread over those that there are, and whether they were pictures.
fn read(path: &Path, specs: &[Spec], count: usize) -> Result<(Vec<Vec<Vec<f32>>>, bool)> {
    let refuse = |e: &dyn std::fmt::Display| {
        miette!(help = "--calibrate names pictures, .npy, .csv or .bin files that fit the input", "{e}")
    };
    let mut files = Vec::new();
    for spec in specs {
        let place = if specs.len() == 1 { path.to_path_buf() } else { path.join(&spec.name) };
        files.push(Files::new(&place, spec).map_err(|e| refuse(&e))?);
    }
    let of = files.first().map_or(0, Files::len);
    if let Some((spec, other)) = specs.iter().zip(&files).find(|(_, f)| f.len() != of) {
        let first = &specs[0].name;
        bail!("{} samples of `{first}` but {} of `{}`: each needs as many", of, other.len(), spec.name);
    }
    let mut pictures = false;
    let sample = |i: usize| {
        let inputs = files.iter_mut().zip(specs);
        inputs
            .map(|(f, spec)| {
                let sample = f.read(i).map_err(|e| refuse(&e))?;
                pictures |= matches!(sample, Sample::Pixels(_));
                Ok(sample.values(spec))
            })
            .collect::<Result<Vec<_>>>()
    };
    let samples = spread(of, count).map(sample).collect::<Result<_>>()?;
    Ok((samples, pictures))
}

fn accuracy(graph: &Graph, q: &Quantised, split: &Split) -> Result<(f64, f64, usize)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let help = "the classes must be those of the network, in its order";
    let in_float = float::evaluate(graph, &split.val, threads).map_err(|e| miette!(help = help, "{e}"))?;
    let in_int8 =
        int8::evaluate(q.file.as_slice(), &split.val, threads).map_err(|e| miette!(help = help, "{e}"))?;
    Ok((in_float.accuracy(), in_int8.accuracy(), split.val.len()))
}

/// How an imported network learns on; quantisation-aware training takes a tenth of the rate.
fn recipe(split: &Split) -> Recipe {
    Recipe {
        model: "import".into(),
        seed: 1,
        epochs: 1,
        batch: 32.min(split.train.len()),
        threads: std::thread::available_parallelism().map_or(1, usize::from).min(4),
        optimiser: Optimiser::AdamW { rate: 1e-3, decay: 1e-3 },
        schedule: Schedule::Cosine { warm_up: 0.0, last: 0.01 },
        class_weights: ClassWeights::Equal,
        label_smoothing: 0.0,
        average: 0.98,
        evaluate_every: 1,
        patience: 0,
        augment: Augment::default(),
        clip: None,
        contraction: None,
    }
}
