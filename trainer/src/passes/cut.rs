//! Transfer learning's rewrites: a graph cut at a node, another head on it, the old part frozen.

use crate::graph::{Graph, GraphError, ValueId};
use crate::ops::{Activation, AvgPool, DType, Dense};
use dunlin::shape::Window;

/// Prefix of the names of a head that [`rehead`] puts on.
pub const HEAD: &str = "head";

/// Names that a message about an unknown node lists.
const NEAR: usize = 8;

/// Why a graph cannot be cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// No node of that name.
    #[error("`{graph}` has no node `{name}`; near it are: {}", near.join(", "))]
    Unknown {
        /// Name of the graph.
        graph: String,
        /// The name that was asked for.
        name: String,
        /// Names of nodes like it, most alike first.
        near: Vec<String>,
    },
    /// A node whose output is not real.
    #[error("node `{name}` gives {found}s, a head needs real features: cut before it")]
    Type {
        /// Name of the node.
        name: String,
        /// What it gives.
        found: DType,
    },
    /// A graph with other than one input.
    #[error("`{graph}` has {inputs} inputs where it is cut, transfer learning takes networks with one")]
    Inputs {
        /// Name of the graph.
        graph: String,
        /// Inputs that the part before the cut has.
        inputs: usize,
    },
}

/// Makes the first output of node `name` the only output of the graph and drops what comes after it.
///
/// # Errors
/// No such node, or one whose output is no feature.
pub fn cut(graph: &mut Graph, name: &str) -> Result<(), CutError> {
    // A converter joins the names of what it has fused with semicolons: any of them will do.
    let exact = graph.nodes.iter().find(|n| n.name == name);
    let part = || graph.nodes.iter().find(|n| n.name.split(';').any(|part| part == name));
    let Some(node) = exact.or_else(part) else {
        return Err(CutError::Unknown {
            graph: graph.name.clone(),
            name: name.into(),
            near: near(graph, name),
        });
    };
    let value = node.outputs[0];
    let found = graph.value(value).dtype;
    if found != DType::Float {
        return Err(CutError::Type { name: name.into(), found });
    }
    graph.outputs = vec![value];
    graph.remove_dead();
    match graph.inputs.len() {
        1 => Ok(()),
        inputs => Err(CutError::Inputs { graph: graph.name.clone(), inputs }),
    }
}

/// Puts a classifier on the only output: the mean over the pixels where there are several, and one dense layer with
/// `classes` outputs, whose parameters are filled from `seed`. Returns the features that the dense layer reads.
///
/// # Errors
/// A graph that already has such a head.
pub fn rehead(graph: &mut Graph, classes: u32, seed: u64) -> Result<ValueId, GraphError> {
    let mut features = graph.outputs[0];
    let s = graph.shape(features);
    if s.pixels() > 1 {
        let window = Window { kernel_h: s.h as u16, kernel_w: s.w as u16, ..Window::square(1, 1) };
        features =
            graph.push(&format!("{HEAD}.mean"), AvgPool { window, fused: Activation::None }, &[features])?[0];
    }
    let old = graph.params.len();
    let dense = Dense { out_features: classes, bias: true, fused: Activation::None };
    let scores = graph.push(&format!("{HEAD}.score"), dense, &[features])?[0];
    graph.outputs = vec![scores];
    let trained: Vec<Vec<f32>> =
        graph.params[..old].iter_mut().map(|p| std::mem::take(&mut p.data)).collect();
    graph.initialise(seed);
    for (param, data) in graph.params.iter_mut().zip(trained) {
        param.data = data;
    }
    Ok(features)
}

/// What [`rehead`] put after `features` as a network of its own, with the same names and parameters.
///
/// # Errors
/// A graph without such a head.
pub fn head_of(graph: &Graph, features: ValueId) -> Result<Graph, GraphError> {
    let mut head = Graph::new(format!("{} {HEAD}", graph.name));
    let mut at = head.add_input("features", graph.shape(features))?;
    for node in graph.nodes.iter().filter(|n| n.inputs == [features] && n.name.starts_with(HEAD)) {
        at = head.push(&node.name, node.op.clone(), &[at])?[0];
        for id in &node.params {
            let param = graph.param(*id);
            if let Some(copy) = head.params.iter_mut().find(|p| p.name == param.name) {
                copy.data.clone_from(&param.data);
            }
        }
    }
    head.add_output(at);
    head.validate()?;
    Ok(head)
}

/// Says for every parameter before the head whether training may change it. Running statistics never change so.
pub fn freeze(graph: &mut Graph, frozen: bool) {
    let statistics = |name: &str| name.ends_with(".mean") || name.ends_with(".variance");
    for param in &mut graph.params {
        let head = param.name.starts_with(&format!("{HEAD}."));
        param.trainable = head || !(frozen || statistics(&param.name));
    }
}

/// Names of nodes like `name`.
fn near(graph: &Graph, name: &str) -> Vec<String> {
    let wanted = name.to_lowercase();
    let mut all: Vec<(bool, usize, &str)> = graph
        .nodes
        .iter()
        .map(|n| {
            let short = n.name.split(';').next().unwrap_or_default();
            let other = short.to_lowercase();
            let inside = other.contains(&wanted) || wanted.contains(&other);
            (!inside, distance(&wanted, &other), short)
        })
        .collect();
    all.sort_by_key(|(outside, distance, _)| (*outside, *distance));
    all.into_iter().take(NEAR).map(|(_, _, name)| name.to_string()).collect()
}

/// Characters to insert, delete or replace to turn one name into the other (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Net;
    use crate::passes::testing::{filled, inputs, outputs};
    use dunlin::shape::Shape;

    fn network() -> Graph {
        let mut n = Net::new("small");
        let x = n.input("image", Shape::image(8, 8, 3)).unwrap();
        let x = n.conv_bn_relu("block1", x, 4, Window::square(3, 2)).unwrap();
        let x = n.conv_bn_relu("block2", x, 6, Window::square(3, 2)).unwrap();
        let x = n.global_avg_pool("mean", x).unwrap();
        let x = n.dense("score", x, 7).unwrap();
        filled(n.finish(x).unwrap(), 5)
    }

    #[test]
    fn a_cut_keeps_the_features_and_a_head_classifies_them() {
        let whole = network();
        let mut g = whole.clone();
        cut(&mut g, "block2.relu").unwrap();
        assert!(g.nodes.iter().all(|n| n.name.starts_with("block")), "{:?}", g.nodes);
        let mut features = whole.clone();
        features.outputs = vec![whole.nodes.iter().find(|n| n.name == "block2.relu").unwrap().outputs[0]];
        let x = inputs(&whole, 1);
        assert_eq!(outputs(&g, &x), outputs(&features, &x));

        rehead(&mut g, 5, 1).unwrap();
        g.validate().unwrap();
        assert_eq!(g.shape(g.outputs[0]), Shape::vector(5));
        let param = |name: &str| g.params.iter().find(|p| p.name == name).unwrap().data.clone();
        let old = whole.params.iter().find(|p| p.name == "block1.weight").unwrap();
        assert_eq!(param("block1.weight"), old.data);
        assert!(param("head.score.weight").iter().any(|v| *v != 0.0));
    }

    #[test]
    fn freezing_leaves_the_head_alone() {
        let mut g = network();
        cut(&mut g, "mean").unwrap();
        rehead(&mut g, 2, 1).unwrap();
        freeze(&mut g, true);
        let trainable: Vec<&str> = g.params.iter().filter(|p| p.trainable).map(|p| p.name.as_str()).collect();
        assert_eq!(trainable, ["head.score.weight", "head.score.bias"]);
        freeze(&mut g, false);
        let fixed: Vec<&str> = g.params.iter().filter(|p| !p.trainable).map(|p| p.name.as_str()).collect();
        assert_eq!(fixed, ["block1.bn.mean", "block1.bn.variance", "block2.bn.mean", "block2.bn.variance"]);
    }

    #[test]
    fn an_unknown_node_is_answered_with_names_like_it() {
        let error = cut(&mut network(), "blok2.relu").unwrap_err();
        let CutError::Unknown { near, .. } = &error else { panic!("{error}") };
        assert_eq!(near[0], "block2.relu");
        assert!(error.to_string().contains("`small` has no node `blok2.relu`"), "{error}");
        let error = cut(&mut network(), "Block2").unwrap_err();
        assert!(error.to_string().contains("near it are: block2, block2.bn, block2.relu"), "{error}");
    }
}
