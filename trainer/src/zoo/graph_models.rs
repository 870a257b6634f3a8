//! The models that learn from graphs: data, network, recipe and how they are measured.

use super::{gcn, graph_network, message_passing, scarselli};
use crate::data::graphs::{Fold, GraphSet};
use crate::data::{DataError, cora, esol, tu};
use crate::graph::{Graph, GraphError};
use crate::quantise::Method;
use crate::train::Recipe;
use std::path::Path;

/// How data is split for a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Protocol {
    /// The split that comes with the data.
    Public,
    /// A random split for each seed: parts for training and validation, the rest for the test.
    Random([f64; 2]),
    /// Cross-validation over so many folds, dealt anew for each seed.
    Folds(usize),
}

impl Protocol {
    /// Folds for one seed.
    pub fn folds(self, set: &GraphSet, seed: u64) -> Vec<Fold> {
        match self {
            Self::Public => set.public.iter().cloned().collect(),
            Self::Random(parts) => vec![set.split(parts, seed)],
            Self::Folds(parts) => set.folds(parts, seed),
        }
    }

    /// In words, for a card.
    pub fn words(self) -> String {
        match self {
            Self::Public => "the public split".into(),
            Self::Random([train, validation]) => {
                let percent = |part: f64| (100.0 * part).round();
                let test = percent(1.0 - train - validation);
                format!("a random split for each seed ({}/{}/{test} %)", percent(train), percent(validation))
            }
            Self::Folds(parts) => {
                format!("{parts} folds that are dealt anew for each seed, each held out once")
            }
        }
    }
}

/// A model that learns from graphs.
#[derive(Clone, Copy, Debug)]
pub struct GraphModel {
    /// Its name.
    pub name: &'static str,
    /// Folder of its data, inside of the folder of all data.
    pub folder: &'static str,
    /// Reads the folder.
    pub read: fn(&Path) -> Result<GraphSet, DataError>,
    /// Makes the network.
    pub network: fn(&GraphSet) -> Result<Graph, GraphError>,
    /// How it is trained.
    pub recipe: fn() -> Recipe,
    /// How it is measured.
    pub protocol: Protocol,
    /// How its scales are chosen.
    pub calibration: Method,
    /// Epochs of quantisation-aware training after that.
    pub aware: usize,
}

/// All of them.
pub const ALL: [GraphModel; 4] = [
    GraphModel {
        name: "gcn-cora",
        folder: "planetoid_cora",
        read: cora::read,
        network: gcn::graph,
        recipe: gcn::recipe,
        protocol: Protocol::Public,
        // The sum of a node with 168 neighbours would make the scale of all others coarse.
        calibration: Method::Percentile { keep: 0.9998 },
        aware: 0,
    },
    GraphModel {
        name: "mpnn-esol",
        folder: "esol",
        read: esol::read,
        network: |set| message_passing::graph(set, message_passing::ESOL),
        recipe: message_passing::recipe,
        protocol: Protocol::Random([0.8, 0.1]),
        calibration: Method::MinMax,
        aware: 0,
    },
    GraphModel {
        name: "gn-mutag",
        folder: "graphs_tu",
        read: |dir| tu::read(dir, "MUTAG"),
        network: graph_network::graph,
        recipe: graph_network::recipe,
        protocol: Protocol::Folds(10),
        calibration: Method::MinMax,
        // Global values are means that differ little from graph to graph, and normalisation enlarges what int8 loses of them.
        aware: 20,
    },
    GraphModel {
        name: "gnn-scarselli",
        folder: "graphs_tu",
        read: |dir| tu::read(dir, "MUTAG"),
        network: |set| scarselli::graph(set, scarselli::STEPS),
        recipe: scarselli::recipe,
        protocol: Protocol::Folds(10),
        calibration: Method::MinMax,
        aware: 0,
    },
];

/// The model of a name.
pub fn find(name: &str) -> Option<&'static GraphModel> {
    ALL.iter().find(|model| model.name == name)
}
