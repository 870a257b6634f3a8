//! Graphs as examples: nodes, edges and what is to be learnt of them; several as one; and how they are split.

use super::DataError;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use std::path::Path;

/// One graph. Features are row-major, a row for each node or edge. Edges have a direction: a link that has none is two
/// edges.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphSample {
    /// Features of the nodes.
    pub nodes: Vec<f32>,
    /// Features of the edges; empty where they have none.
    pub edges: Vec<f32>,
    /// The node at which each edge begins.
    pub from: Vec<u32>,
    /// The node at which each edge ends.
    pub to: Vec<u32>,
    /// Number of nodes.
    pub count: usize,
}

/// What is to be learnt.
#[derive(Clone, Debug, PartialEq)]
pub enum Answers {
    /// A class for each node of the only graph.
    Nodes {
        /// Names of the classes.
        classes: Vec<String>,
        /// Class of each node.
        labels: Vec<u8>,
    },
    /// A class for each graph.
    Graphs {
        /// Names of the classes.
        classes: Vec<String>,
        /// Class of each graph.
        labels: Vec<u8>,
    },
    /// A real number for each graph.
    Values {
        /// Its unit.
        unit: &'static str,
        /// The numbers.
        values: Vec<f32>,
    },
}

/// Graphs with answers.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphSet {
    /// Name of the set, for messages.
    pub name: String,
    /// Licence of the data.
    pub licence: String,
    /// Features of a node.
    pub node_features: usize,
    /// Features of an edge.
    pub edge_features: usize,
    /// The graphs.
    pub graphs: Vec<GraphSample>,
    /// What is to be learnt.
    pub answers: Answers,
    /// The split that comes with the data.
    pub public: Option<Fold>,
}

/// Which items (graphs, or nodes where nodes have answers) serve for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    /// For the optimiser.
    pub train: Vec<usize>,
    /// To watch a training; may be empty. Neither gradients nor the choice of weights depend on it.
    pub validation: Vec<usize>,
    /// For the metric.
    pub test: Vec<usize>,
}

impl GraphSet {
    /// Number of items that have an answer.
    pub fn len(&self) -> usize {
        match &self.answers {
            Answers::Nodes { labels, .. } | Answers::Graphs { labels, .. } => labels.len(),
            Answers::Values { values, .. } => values.len(),
        }
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the classes; none where a number is to be learnt.
    pub fn classes(&self) -> &[String] {
        match &self.answers {
            Answers::Nodes { classes, .. } | Answers::Graphs { classes, .. } => classes,
            Answers::Values { .. } => &[],
        }
    }

    /// The graphs that hold some items, as one: all of the only graph where its nodes have the answers.
    pub fn union(&self, items: &[usize]) -> Union {
        match self.answers {
            Answers::Nodes { .. } => Union::of(&self.graphs),
            Answers::Graphs { .. } | Answers::Values { .. } => {
                Union::of(items.iter().map(|&i| &self.graphs[i]))
            }
        }
    }

    /// `parts` folds: each item is tested in one of them, and trained on in the others. Classes are spread evenly.
    pub fn folds(&self, parts: usize, seed: u64) -> Vec<Fold> {
        let mut rng = Pcg64::new(u128::from(seed), FOLDS);
        let mut dealt: Vec<Vec<usize>> = vec![Vec::new(); parts];
        let mut next = 0;
        let mut deal = |mut items: Vec<usize>| {
            items.shuffle(&mut rng);
            for item in items {
                dealt[next % parts].push(item);
                next += 1;
            }
        };
        match &self.answers {
            Answers::Values { values, .. } => deal((0..values.len()).collect()),
            Answers::Nodes { classes, labels } | Answers::Graphs { classes, labels } => {
                let of = |class: usize| (0..labels.len()).filter(move |&i| usize::from(labels[i]) == class);
                (0..classes.len()).for_each(|class| deal(of(class).collect()));
            }
        }
        (0..parts)
            .map(|test| {
                let train = dealt.iter().enumerate().filter(|(i, _)| *i != test);
                let mut train: Vec<usize> = train.flat_map(|(_, items)| items).copied().collect();
                train.sort_unstable();
                Fold { train, validation: Vec::new(), test: dealt[test].clone() }
            })
            .collect()
    }

    /// A random split: the first part for training, the second for validation, the rest for the test.
    pub fn split(&self, parts: [f64; 2], seed: u64) -> Fold {
        let mut items: Vec<usize> = (0..self.len()).collect();
        items.shuffle(&mut Pcg64::new(u128::from(seed), SPLIT));
        let at = |part: f64| ((part * items.len() as f64) as usize).min(items.len());
        let (first, second) = (at(parts[0]), at(parts[0] + parts[1]));
        Fold {
            train: items[..first].to_vec(),
            validation: items[first..second].to_vec(),
            test: items[second..].to_vec(),
        }
    }
}

/// Streams of the random numbers of folds and splits.
const FOLDS: u128 = 0x10;
const SPLIT: u128 = 0x11;

/// Several graphs as one: the nodes and edges of one after those of the other, without an edge between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Union {
    /// Features of the nodes.
    pub nodes: Vec<f32>,
    /// Features of the edges.
    pub edges: Vec<f32>,
    /// The node at which each edge begins.
    pub from: Vec<u32>,
    /// The node at which each edge ends.
    pub to: Vec<u32>,
    /// The graph of each node.
    pub node_graph: Vec<u32>,
    /// The graph of each edge.
    pub edge_graph: Vec<u32>,
    /// Number of graphs.
    pub graphs: usize,
}

impl Union {
    /// These graphs as one.
    pub fn of<'a>(graphs: impl IntoIterator<Item = &'a GraphSample>) -> Self {
        let mut all = Self::default();
        for graph in graphs {
            let (first, number) = (all.node_graph.len() as u32, all.graphs as u32);
            all.nodes.extend(&graph.nodes);
            all.edges.extend(&graph.edges);
            all.from.extend(graph.from.iter().map(|i| i + first));
            all.to.extend(graph.to.iter().map(|i| i + first));
            all.node_graph.extend(std::iter::repeat_n(number, graph.count));
            all.edge_graph.extend(std::iter::repeat_n(number, graph.from.len()));
            all.graphs += 1;
        }
        all
    }

    /// What a network's input of this name takes: `nodes`, `edges` (features), `from`, `to`, `node_graph`, `edge_graph`
    /// (indices), or `scale`: 1 over the square root of how many edges end at each node. `None` for other names.
    pub fn input(&self, name: &str) -> Option<Vec<f32>> {
        let list = |list: &[u32]| list.iter().map(|&i| i as f32).collect();
        Some(match name {
            "nodes" => self.nodes.clone(),
            "edges" => self.edges.clone(),
            "from" => list(&self.from),
            "to" => list(&self.to),
            "node_graph" => list(&self.node_graph),
            "edge_graph" => list(&self.edge_graph),
            "scale" => {
                let mut degree = vec![0u32; self.node_graph.len()];
                self.to.iter().for_each(|&i| degree[i as usize] += 1);
                degree.iter().map(|&d| 1.0 / (d.max(1) as f32).sqrt()).collect()
            }
            _ => return None,
        })
    }

    /// The number behind a bounded dimension of this name: `nodes`, `edges` or `graphs`.
    pub fn count(&self, dim: &str) -> Option<usize> {
        match dim {
            "nodes" => Some(self.node_graph.len()),
            "edges" => Some(self.from.len()),
            "graphs" => Some(self.graphs),
            _ => None,
        }
    }
}

/// The text of a file that a data set needs.
pub(super) fn text(path: &Path, expected: &str) -> Result<String, DataError> {
    if !path.is_file() {
        return Err(DataError::missing(path, expected));
    }
    std::fs::read_to_string(path).map_err(|source| DataError::Read { path: path.into(), source })
}

/// An error in one line, counted from 1.
pub(super) fn in_line(path: &Path, line: usize, problem: impl std::fmt::Display) -> DataError {
    DataError::content(path, format!("line {line}: {problem}"))
}
