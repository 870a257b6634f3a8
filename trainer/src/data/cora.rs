//! Cora (Sen et al. 2008) with the public split of Yang et al. 2016: 2,708 papers, the words that each contains, and who
//! cites whom.
//!
//! `nodes.csv` has the columns `node,label,split,feature_indices` (the indices apart by spaces; the split is `train`,
//! `val`, `test` or anything else for none), `edges.csv` the columns `u,v`, each link once.

use super::DataError;
use super::graphs::{Answers, Fold, GraphSample, GraphSet, in_line, text};
use std::path::Path;

/// Licence of the files.
pub const LICENCE: &str = "Cora as in kimiyoung/planetoid: MIT";

/// Words that are counted.
pub const WORDS: usize = 1433;

/// Names of the classes, by label.
pub const CLASSES: [&str; 7] = [
    "Theory",
    "Reinforcement Learning",
    "Genetic Algorithms",
    "Neural Networks",
    "Probabilistic Methods",
    "Case Based",
    "Rule Learning",
];

/// Reads the folder. The features of a node are its words, of sum 1; each link is an edge in both directions, and every
/// node has an edge to itself.
///
/// # Errors
/// A missing file; a line that is not as above, with its number.
pub fn read(dir: &Path) -> Result<GraphSet, DataError> {
    let expected = "expected nodes.csv and edges.csv of Cora: name their folder with --data or DUNLIN_DATA";
    let (nodes, edges) = (dir.join("nodes.csv"), dir.join("edges.csv"));
    let Nodes { features, labels, fold } = parse_nodes(&text(&nodes, expected)?, &nodes)?;
    let count = labels.len();
    let mut graph = GraphSample { nodes: features, count, ..GraphSample::default() };
    for [u, v] in parse_edges(&text(&edges, expected)?, &edges, count)? {
        graph.from.extend([u, v]);
        graph.to.extend([v, u]);
    }
    graph.from.extend(0..count as u32);
    graph.to.extend(0..count as u32);
    Ok(GraphSet {
        name: "Cora".into(),
        licence: LICENCE.into(),
        node_features: WORDS,
        edge_features: 0,
        graphs: vec![graph],
        answers: Answers::Nodes { classes: CLASSES.map(String::from).to_vec(), labels },
        public: Some(fold),
    })
}

struct Nodes {
    features: Vec<f32>,
    labels: Vec<u8>,
    fold: Fold,
}

fn parse_nodes(text: &str, path: &Path) -> Result<Nodes, DataError> {
    let mut nodes = Nodes { features: Vec::new(), labels: Vec::new(), fold: Fold::default() };
    for (at, line) in text.lines().enumerate().skip(1) {
        let wrong = |problem: String| in_line(path, at + 1, problem);
        let fields: Vec<&str> = line.split(',').collect();
        let &[node, label, split, words] = fields.as_slice() else {
            return Err(wrong(format!("{} fields, expected node, label, split and words", fields.len())));
        };
        let number = nodes.labels.len();
        if node.parse() != Ok(number) {
            return Err(wrong(format!("node `{node}`, expected {number}")));
        }
        match label.parse::<u8>() {
            Ok(label) if usize::from(label) < CLASSES.len() => nodes.labels.push(label),
            _ => return Err(wrong(format!("label `{label}`, expected 0 to {}", CLASSES.len() - 1))),
        }
        match split {
            "train" => nodes.fold.train.push(number),
            "val" => nodes.fold.validation.push(number),
            "test" => nodes.fold.test.push(number),
            _ => {}
        }
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        let start = nodes.features.len();
        nodes.features.resize(start + WORDS, 0.0);
        for word in &words {
            match word.parse::<usize>() {
                Ok(index) if index < WORDS => nodes.features[start + index] = 1.0 / words.len() as f32,
                _ => return Err(wrong(format!("word `{word}`, expected 0 to {}", WORDS - 1))),
            }
        }
    }
    Ok(nodes)
}

fn parse_edges(text: &str, path: &Path, nodes: usize) -> Result<Vec<[u32; 2]>, DataError> {
    let edge = |(at, line): (usize, &str)| {
        let end = |word: &str| word.trim().parse::<u32>().ok().filter(|i| (*i as usize) < nodes);
        let ends = line.split_once(',').and_then(|(u, v)| Some([end(u)?, end(v)?]));
        ends.ok_or_else(|| {
            in_line(path, at + 1, format!("`{line}`, expected two nodes of 0 to {}", nodes.max(1) - 1))
        })
    };
    text.lines().enumerate().skip(1).map(edge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(nodes: &str, edges: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("nodes.csv"), nodes).unwrap();
        std::fs::write(dir.path().join("edges.csv"), edges).unwrap();
        dir
    }

    const NODES: &str = "node,label,split,feature_indices\n0,3,train,2 5\n1,0,val,1432\n2,6,test,\n3,1,,0\n";

    #[test]
    fn words_sum_to_one_and_links_go_both_ways() {
        let set = read(write(NODES, "u,v\n0,2\n").path()).unwrap();
        let graph = &set.graphs[0];
        assert_eq!((graph.nodes[2], graph.nodes[5], graph.nodes[2 * WORDS - 1]), (0.5, 0.5, 1.0));
        assert_eq!(graph.nodes.iter().sum::<f32>(), 3.0);
        assert_eq!((&*graph.from, &*graph.to), (&[0, 2, 0, 1, 2, 3][..], &[2, 0, 0, 1, 2, 3][..]));
        let fold = Fold { train: vec![0], validation: vec![1], test: vec![2] };
        assert_eq!((set.public.as_ref(), set.len()), (Some(&fold), 4));
        let scale = set.union(&[]).input("scale").unwrap();
        assert_eq!(scale, [1.0 / 2f32.sqrt(), 1.0, 1.0 / 2f32.sqrt(), 1.0]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let cases = [
            (NODES.replace("1,0,val,1432", "1,0,val"), "u,v\n", "nodes.csv: line 3: 3 fields"),
            (NODES.replace("1,0,val,1432", "4,0,val,1"), "u,v\n", "nodes.csv: line 3: node `4`, expected 1"),
            (NODES.replace("2,6", "2,7"), "u,v\n", "nodes.csv: line 4: label `7`"),
            (NODES.replace("1432", "1433"), "u,v\n", "nodes.csv: line 3: word `1433`"),
            (NODES.into(), "u,v\n0,1\n0,4\n", "edges.csv: line 3: `0,4`, expected two nodes of 0 to 3"),
        ];
        for (nodes, edges, expected) in cases {
            let error = read(write(&nodes, edges).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = read(Path::new("/nowhere")).unwrap_err();
        assert!(matches!(error, DataError::Missing { .. }), "{error}");
    }
}
