//! The file as a whole: decoding, operator sets, the order of nodes.

use super::super::{ImportError, UnsupportedNode};
use super::node::Node;
use prost::Message;
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::{GraphProto, ModelProto};

/// Largest file that is read; protobuf itself has the limit of 2 GiB.
const MAX_BYTES: usize = 1 << 30;
/// Most nodes; the graph looks up names one by one.
const MAX_NODES: usize = 1 << 13;
/// Operator sets of ONNX that are read: the first with the present meaning of broadcasting, and the newest that the
/// importer was written for (ONNX 1.20).
const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

/// Parses the protobuf.
///
/// # Errors
/// Bytes that are no model.
pub(super) fn decode(bytes: &[u8]) -> Result<ModelProto, ImportError> {
    if bytes.len() > MAX_BYTES {
        let size = bytes.len();
        return Err(ImportError::malformed("file", format!("{size} bytes; at most {MAX_BYTES} are read")));
    }
    let model = ModelProto::decode(bytes)
        .map_err(|e| ImportError::malformed("file", format!("is no ONNX model: {e}")))?;
    if model.graph.is_none() {
        return Err(ImportError::malformed("file", "is no ONNX model: it has no graph"));
    }
    Ok(model)
}

/// Version of ONNX's own operator set.
pub(super) fn opset(model: &ModelProto) -> Result<i64, ImportError> {
    let own = model.opset_import.iter().filter(|set| is_own(&set.domain)).map(|set| set.version).max();
    // A file of the first IR version names no operator set: it is the first.
    let version = own.unwrap_or(1);
    if OPSETS.contains(&version) {
        return Ok(version);
    }
    let (low, high) = (OPSETS.start(), OPSETS.end());
    let instead = format!("convert the model to one of the versions {low} to {high}");
    Err(ImportError::Unsupported(vec![UnsupportedNode {
        node: "model".into(),
        op: format!("operator set {version}"),
        reason: "is not read".into(),
        instead,
    }]))
}

/// Whether a domain is ONNX's own.
fn is_own(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// Names that are taken, and how often each was asked for.
#[derive(Default)]
pub(super) struct Names {
    taken: HashMap<String, usize>,
}

impl Names {
    /// `base` where it is free, else with a number behind it.
    pub(super) fn unique(&mut self, base: &str) -> String {
        let mut name = base.to_string();
        while self.taken.contains_key(&name) {
            let count = self.taken.entry(base.to_string()).or_insert(1);
            *count += 1;
            name = format!("{base}_{count}");
        }
        self.taken.insert(name.clone(), 1);
        name
    }
}

/// The nodes with unique names, each after those whose outputs it reads.
///
/// # Errors
/// Names written twice, names that nothing writes, cycles.
pub(super) fn nodes(graph: &GraphProto, opset: i64) -> Result<Vec<Node<'_>>, ImportError> {
    if graph.node.len() > MAX_NODES {
        let problem = format!("{} nodes; at most {MAX_NODES} are read", graph.node.len());
        return Err(ImportError::malformed("graph", problem));
    }
    let mut names = Names::default();
    let mut nodes = Vec::with_capacity(graph.node.len());
    for (i, proto) in graph.node.iter().enumerate() {
        let first = proto.output.iter().find(|o| !o.is_empty());
        let name = match (proto.name.as_str(), first) {
            ("", Some(output)) => output.clone(),
            ("", None) => format!("{}_{i}", proto.op_type),
            (name, _) => name.to_string(),
        };
        nodes.push(Node::new(proto, names.unique(&name), !is_own(&proto.domain), opset));
    }
    sorted(graph, nodes)
}

fn sorted<'a>(graph: &'a GraphProto, nodes: Vec<Node<'a>>) -> Result<Vec<Node<'a>>, ImportError> {
    let given = graph.input.iter().map(|i| i.name.as_str());
    let given: HashSet<&str> = given.chain(graph.initializer.iter().map(|t| t.name.as_str())).collect();
    let mut writer = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for output in (0..node.outputs()).filter_map(|o| node.output(o)) {
            if given.contains(output) || writer.insert(output, i).is_some() {
                let place = format!("node `{}`", node.name);
                return Err(ImportError::malformed(
                    place,
                    format!("writes `{output}`, which exists already"),
                ));
            }
        }
    }
    // Kahn's algorithm; the order of the file is kept where it is one.
    let mut waits = vec![0usize; nodes.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        for input in (0..node.inputs()).filter_map(|k| node.input(k)) {
            match writer.get(input) {
                Some(&w) => {
                    if let (Some(n), Some(list)) = (waits.get_mut(i), readers.get_mut(w)) {
                        *n += 1;
                        list.push(i);
                    }
                }
                None if given.contains(input) => {}
                None => {
                    let place = format!("node `{}`", node.name);
                    return Err(ImportError::malformed(
                        place,
                        format!("reads `{input}`, which nothing writes"),
                    ));
                }
            }
        }
    }
    let mut ready: std::collections::BTreeSet<usize> =
        waits.iter().enumerate().filter(|(_, n)| **n == 0).map(|(i, _)| i).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(i) = ready.pop_first() {
        order.push(i);
        for reader in readers.get(i).into_iter().flatten() {
            if let Some(n) = waits.get_mut(*reader) {
                *n -= 1;
                if *n == 0 {
                    ready.insert(*reader);
                }
            }
        }
    }
    let mut slots: Vec<Option<Node<'a>>> = nodes.into_iter().map(Some).collect();
    let sorted: Vec<Node<'a>> =
        order.into_iter().filter_map(|i| slots.get_mut(i).and_then(Option::take)).collect();
    match slots.into_iter().flatten().next() {
        None => Ok(sorted),
        Some(node) => {
            let place = format!("node `{}`", node.name);
            Err(ImportError::malformed(place, "is part of a cycle: it reads what depends on its own output"))
        }
    }
}

/// The nodes that read each name.
pub(super) fn readers<'a>(nodes: &[Node<'a>]) -> HashMap<&'a str, Vec<usize>> {
    let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for name in (0..node.inputs()).filter_map(|k| node.input(k)) {
            readers.entry(name).or_default().push(i);
        }
    }
    readers
}
