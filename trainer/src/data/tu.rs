//! Graph classification sets of TU Dortmund (Morris et al. 2020) in the text form of Xu et al. 2019 and Zhang et al. 2018:
//! MUTAG, ENZYMES, NCI1 and others.
//!
//! The first line is the number of graphs. A graph is a line `nodes label` and a line for each node: `tag neighbours
//! index…`, with the indices of its neighbours from 0. Node features are the tag, one-hot.

use super::DataError;
use super::graphs::{Answers, GraphSample, GraphSet, in_line, text};
use std::collections::BTreeSet;
use std::path::Path;
use std::str::SplitAsciiWhitespace;

/// Licence of the collection.
pub const LICENCE: &str = "TU Dortmund graph sets as in pytorch_DGCNN: MIT";

/// Largest tag of a node: features are one-hot.
const MAX_TAG: usize = 1023;

/// Reads `DIR/NAME.txt`.
///
/// # Errors
/// A missing file; a line that is not as above, with its number.
pub fn read(dir: &Path, name: &str) -> Result<GraphSet, DataError> {
    let path = dir.join(format!("{name}.txt"));
    let text =
        text(&path, &format!("expected the graphs of {name}: name their folder with --data or DUNLIN_DATA"))?;
    parse(&text, name, &path)
}

fn parse(text: &str, name: &str, path: &Path) -> Result<GraphSet, DataError> {
    let mut lines = Lines { lines: text.lines().enumerate(), number: 0, path };
    let mut head = lines.next("the number of graphs")?;
    let count = head.number("the number of graphs")?;
    head.end()?;
    let (mut parsed, mut largest) = (Vec::new(), 0);
    for _ in 0..count {
        let (graph, tags, label) = lines.graph()?;
        largest = tags.iter().copied().fold(largest, usize::max);
        parsed.push((graph, tags, label));
    }
    if let Some((at, line)) = lines.lines.find(|(_, line)| !line.trim().is_empty()) {
        return Err(in_line(path, at + 1, format!("`{line}` after the last of {count} graphs")));
    }
    let features = largest + 1;
    let names: BTreeSet<usize> = parsed.iter().map(|(_, _, label)| *label).collect();
    if names.len() > usize::from(u8::MAX) {
        return Err(DataError::content(path, format!("{} classes, at most 255 are possible", names.len())));
    }
    let class = |label: usize| names.iter().position(|&n| n == label).unwrap_or(0) as u8;
    let labels = parsed.iter().map(|(_, _, label)| class(*label)).collect();
    let graphs = parsed.into_iter().map(|(mut graph, tags, _)| {
        graph.nodes = vec![0.0; tags.len() * features];
        tags.iter().enumerate().for_each(|(i, tag)| graph.nodes[i * features + tag] = 1.0);
        graph
    });
    Ok(GraphSet {
        name: name.into(),
        licence: LICENCE.into(),
        node_features: features,
        edge_features: 0,
        graphs: graphs.collect(),
        answers: Answers::Graphs { classes: names.iter().map(usize::to_string).collect(), labels },
        public: None,
    })
}

struct Lines<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    number: usize,
    path: &'a Path,
}

impl<'a> Lines<'a> {
    fn next(&mut self, expected: &str) -> Result<Words<'a>, DataError> {
        let Some((at, line)) = self.lines.next() else {
            return Err(in_line(self.path, self.number + 1, format!("the file ends, expected {expected}")));
        };
        self.number = at + 1;
        Ok(Words { words: line.split_ascii_whitespace(), line: self.number, path: self.path })
    }

    /// A graph without node features, the tags of its nodes and its label.
    fn graph(&mut self) -> Result<(GraphSample, Vec<usize>, usize), DataError> {
        let mut head = self.next("nodes and label of a graph")?;
        let (count, label) = (head.number("the number of nodes")?, head.number("a label")?);
        head.end()?;
        let mut graph = GraphSample { count, ..GraphSample::default() };
        let mut tags = Vec::new();
        for node in 0..count {
            let mut words = self.next("a node")?;
            let tag = words.number("a tag")?;
            if tag > MAX_TAG {
                return Err(words.wrong(format!("tag {tag} is above {MAX_TAG}")));
            }
            tags.push(tag);
            for _ in 0..words.number("the number of neighbours")? {
                let other = words.number("a neighbour")?;
                if other >= count {
                    return Err(words.wrong(format!("neighbour {other} of a graph of {count} nodes")));
                }
                graph.from.push(other as u32);
                graph.to.push(node as u32);
            }
            words.end()?;
        }
        Ok((graph, tags, label))
    }
}

struct Words<'a> {
    words: SplitAsciiWhitespace<'a>,
    line: usize,
    path: &'a Path,
}

impl Words<'_> {
    fn wrong(&self, problem: String) -> DataError {
        in_line(self.path, self.line, problem)
    }

    fn number(&mut self, expected: &str) -> Result<usize, DataError> {
        let word = self.words.next().ok_or_else(|| self.wrong(format!("ends, expected {expected}")))?;
        word.parse().map_err(|_| self.wrong(format!("`{word}` is not {expected}")))
    }

    fn end(&mut self) -> Result<(), DataError> {
        match self.words.next() {
            None => Ok(()),
            Some(word) => Err(self.wrong(format!("`{word}` is more than expected"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "2\n3 7\n2 1 1\n0 2 0 2\n2 1 1\n1 -0\n";

    fn read(text: &str) -> Result<GraphSet, String> {
        parse(text, "test", Path::new("test.txt")).map_err(|e| e.to_string())
    }

    #[test]
    fn tags_become_features_and_links_two_edges() {
        let set = read(&TWO.replace("1 -0", "1 5\n1 0")).unwrap();
        let first = &set.graphs[0];
        assert_eq!((set.node_features, first.count), (3, 3));
        assert_eq!(first.nodes, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let edges: Vec<_> = first.from.iter().zip(&first.to).map(|(a, b)| (*a, *b)).collect();
        assert_eq!(edges, [(1, 0), (0, 1), (2, 1), (1, 2)]);
        assert_eq!((set.graphs[1].count, set.graphs[1].from.len()), (1, 0));
        let classes = vec!["5".to_string(), "7".to_string()];
        assert_eq!(set.answers, Answers::Graphs { classes, labels: vec![1, 0] });
    }

    #[test]
    fn a_bad_line_is_named() {
        let cases = [
            ("", "line 1: the file ends, expected the number of graphs"),
            (TWO, "line 6: `-0` is not a label"),
            ("1\n2 0\n0 1 1\n0 1 2\n", "line 4: neighbour 2 of a graph of 2 nodes"),
            ("1\n2 0\n0 1 1\n", "line 4: the file ends, expected a node"),
            ("1\n1 0\n0 1\n", "line 3: ends, expected a neighbour"),
            ("1\n1 0\n0 0 4\n", "line 3: `4` is more than expected"),
            ("1\n1 0\n0 0\n9\n", "line 4: `9` after the last of 1 graphs"),
            ("1\n1 0\n4000 0\n", "line 3: tag 4000 is above 1023"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err();
            assert!(error.starts_with("test.txt: ") && error.contains(expected), "{text:?}: {error}");
        }
    }
}
