//! ESOL (Delaney 2004): how well 1,128 molecules dissolve in water.
//!
//! `delaney-processed.csv` has a heading; the columns `smiles` and `measured log solubility in mols per litre` are read.

use super::graphs::{Answers, GraphSet, in_line, text};
use super::{DataError, molecule};
use std::path::Path;

/// Licence of the file.
pub const LICENCE: &str = "ESOL (Delaney 2004) as in csjtx1021/DGBO: MIT";

const FILE: &str = "delaney-processed.csv";
const SMILES: &str = "smiles";
const SOLUBILITY: &str = "measured log solubility in mols per litre";

/// Reads `DIR/delaney-processed.csv`.
///
/// # Errors
/// A missing file or column; a line whose molecule or solubility cannot be read, with its number.
pub fn read(dir: &Path) -> Result<GraphSet, DataError> {
    let path = dir.join(FILE);
    let text = text(&path, "expected the molecules of ESOL: name their folder with --data or DUNLIN_DATA")?;
    parse(&text, &path)
}

fn parse(text: &str, path: &Path) -> Result<GraphSet, DataError> {
    let mut lines = text.lines().enumerate();
    let heading: Vec<&str> = lines.next().map_or("", |(_, line)| line).split(',').map(str::trim).collect();
    let column = |name: &str| {
        let found = heading.iter().position(|h| *h == name);
        found.ok_or_else(|| in_line(path, 1, format!("no column `{name}`")))
    };
    let (smiles, solubility) = (column(SMILES)?, column(SOLUBILITY)?);
    let (mut graphs, mut values) = (Vec::new(), Vec::new());
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |problem: String| in_line(path, at + 1, problem);
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        // A field in quotes may hold a comma; neither SMILES nor numbers do.
        if fields.len() != heading.len() || line.contains('"') {
            return Err(wrong(format!("{} fields without quotes, expected {}", fields.len(), heading.len())));
        }
        match fields[solubility].parse::<f32>() {
            Ok(value) if value.is_finite() => values.push(value),
            _ => return Err(wrong(format!("solubility `{}` is not a number", fields[solubility]))),
        }
        graphs.push(molecule::graph(fields[smiles]).map_err(wrong)?);
    }
    Ok(GraphSet {
        name: "ESOL".into(),
        licence: LICENCE.into(),
        node_features: molecule::ATOM_FEATURES,
        edge_features: molecule::BOND_FEATURES,
        graphs,
        answers: Answers::Values { unit: "log mol/L", values },
        public: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn molecules_and_solubilities_are_read_by_their_headings() {
        let text = format!("{SMILES},weight,{SOLUBILITY}\nCCO ,46.1,1.1\nC,16.0,-0.9\n");
        let set = parse(&text, Path::new("x.csv")).unwrap();
        assert_eq!(set.answers, Answers::Values { unit: "log mol/L", values: vec![1.1, -0.9] });
        assert_eq!((set.graphs[0].count, set.graphs[1].count), (3, 1));
        let error = parse("smiles,x\nC,1\n", Path::new("x.csv")).unwrap_err().to_string();
        assert!(error.contains("x.csv: line 1: no column `measured"), "{error}");
        for (row, expected) in
            [("C(,1", "line 3: `C(`"), ("C,much", "line 3: solubility `much`"), ("C", "line 3")]
        {
            let text = format!("{SMILES},{SOLUBILITY}\nC,1\n{row}\n");
            let error = parse(&text, Path::new("x.csv")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
