//! Where data is found.

use dunlin::Model;
use dunlin::shape::Shape;
use dunlin_trainer::data::samples::Spec;
use dunlin_trainer::data::{DataError, Split, cifar, folders, idx, labelled, street};
use dunlin_trainer::graph::{Graph, InputScaling};
use dunlin_trainer::zoo::{self, graph_models};
use miette::{Result, bail, miette};
use std::path::{Path, PathBuf};

/// Environment variable that names the folder of all data sets.
const VARIABLE: &str = "DUNLIN_DATA";

/// Refuses a model that learnt from graphs: its examples are no pictures.
fn refuse_graphs(name: &str) -> Result<()> {
    match graph_models::find(name) {
        None => Ok(()),
        Some(_) => bail!(
            help = format!("dunlin train {name} --resume --out DIR quantises and measures it"),
            "`{name}` learns from graphs, which only `dunlin train` reads"
        ),
    }
}

/// The folder of the data.
#[derive(Debug, clap::Args)]
pub(super) struct DataArgs {
    /// Folder that holds camvid/, mnist/, cifar10/, planetoid_cora/, esol/ and graphs_tu/, or is one of them, or holds a
    /// folder for each class. Without it: the folder in DUNLIN_DATA, else ../shared/data beside the checkout, else the generator's street scenes
    /// where they serve.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataArgs {
    /// The folder named on the command line.
    pub(super) fn named(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// The folder, where there is one. A folder that was named but does not exist is an error.
    pub(super) fn root(&self) -> Result<Option<PathBuf>> {
        let named = match (&self.data, std::env::var_os(VARIABLE)) {
            (Some(path), _) => Some((path.clone(), "--data")),
            (None, Some(path)) if !path.is_empty() => Some((path.into(), VARIABLE)),
            _ => None,
        };
        if let Some((path, how)) = named {
            if !path.is_dir() {
                bail!(
                    help = "name the folder that holds camvid/ and mnist/, or one of them",
                    "{}: no such folder ({how})",
                    path.display()
                );
            }
            return Ok(Some(path));
        }
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        Ok(beside.canonicalize().ok().filter(|p| p.is_dir()))
    }

    /// The data of a model of the zoo.
    pub(super) fn of_zoo(&self, name: &str) -> Result<Split> {
        let root = self.root()?;
        match zoo::data(name, root.as_deref()) {
            Some(split) => split.map_err(|e| refuse(&e)),
            None => bail!(help = format!("models: {}", zoo::NAMES.join(", ")), "no model is called `{name}`"),
        }
    }

    /// The data that a `.dun` file was made from.
    pub(super) fn of_file(&self, model: &Model<'_>) -> Result<Split> {
        let (Some(input), Some(output)) = (model.inputs().next(), model.outputs().next()) else {
            bail!("the model has no input or no output");
        };
        let meta = model.metadata();
        let (name, licence) = meta.map_or(("", ""), |m| (m.name, m.data_licence));
        refuse_graphs(name)?;
        let split = self.of_kind(name, licence, input.shape, output.shape.pixels() > 1)?;
        let labels: Vec<String> =
            meta.map(|m| m.labels.lines().map(Into::into).collect()).unwrap_or_default();
        if !labels.is_empty() && labels != split.val.classes {
            bail!(
                help = "name the data that the model was made for with --data",
                "`{name}` has the classes {}, the data has {}",
                labels.join(", "),
                split.val.classes.join(", ")
            );
        }
        Ok(split)
    }

    /// The data that a run's graph was trained on.
    pub(super) fn of_graph(&self, graph: &Graph) -> Result<Split> {
        let (Some(input), Some(output)) = (graph.inputs.first(), graph.outputs.first()) else {
            bail!("the model has no input or no output");
        };
        refuse_graphs(&graph.name)?;
        let segmentation = graph.shape(*output).pixels() > 1;
        self.of_kind(&graph.name, &graph.meta.data_licence, graph.shape(*input), segmentation)
    }

    /// Generated scenes where the model learnt from those and no other data is named; else pictures with masks
    /// for a segmenter, and for a classifier what it learnt from: CIFAR-10, MNIST, or a folder for each class.
    fn of_kind(&self, name: &str, licence: &str, input: Shape, segmentation: bool) -> Result<Split> {
        let (train, val) = zoo::street::EXAMPLES;
        if licence == street::LICENCE && self.data.is_none() {
            return match zoo::data(name, None) {
                Some(split) => split.map_err(|e| refuse(&e)),
                None => Ok(street::generate(1, input.h, input.w, train, val)),
            };
        }
        let Some(root) = self.root()? else {
            bail!(
                help = "name the folder of the data with --data or DUNLIN_DATA",
                "`{name}` was trained on real data ({licence}), of which there is none here"
            );
        };
        let inside = |folder: &str| {
            let below = root.join(folder);
            if below.is_dir() { below } else { root.clone() }
        };
        let split = match licence {
            _ if segmentation => folders::read(&inside("camvid"), input.h, input.w),
            cifar::LICENCE => cifar::read(&inside("cifar10"), input.h, input.w),
            idx::LICENCE => idx::digits(&inside("mnist")),
            _ => {
                let scaling = InputScaling::unit(input.c as usize);
                labelled::read(&root, &Spec { name: name.into(), shape: input, scaling, own: None })
            }
        };
        split.map_err(|e| refuse(&e))
    }
}

/// A data error with what to do about it.
pub(super) fn refuse(error: &DataError) -> miette::Report {
    let help = match error {
        DataError::Missing { .. } => {
            "name the folder that holds camvid/, mnist/ or cifar10/, or is one of them, or has a folder for each class, with --data"
        }
        DataError::Read { .. } => "make the file readable",
        DataError::Content { .. } => "fetch the data set again, or name another with --data",
    };
    miette!(help = help, "{error}")
}
