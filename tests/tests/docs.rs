//! The documents say what the code does, as far as a program can read them.

use dunlin::format::{HEADER_LEN, VERSION};
use dunlin::ops::Op;
use dunlin::{ParseError, Part};
use dunlin_tests::cases::{Kind, seeded};

fn document(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Cells of the rows of all tables.
fn rows(text: &str) -> Vec<Vec<String>> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    rows.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn the_operator_table_has_every_operator_in_the_order_of_the_file() {
    let rows = rows(&document("operators.md"));
    let listed: Vec<&Vec<String>> = rows.iter().filter(|row| row[0].parse::<usize>().is_ok()).collect();
    assert_eq!(listed.len(), Kind::ALL.len());
    let cases = seeded();
    for (number, (row, kind)) in listed.iter().zip(Kind::ALL).enumerate() {
        assert_eq!(
            (row[0].as_str(), row[1].as_str()),
            (number.to_string().as_str(), format!("`{kind:?}`").as_str())
        );
        let op = operator(&cases.iter().find(|case| case.kind == *kind).unwrap().model);
        assert_eq!(row[7] == "yes", op.in_place(), "{kind:?}: works in place?");
    }
}

fn operator(file: &[u8]) -> Op {
    let file = dunlin::AlignedVec::from_slice(file);
    let mut tables = dunlin_tests::host::Tables::new();
    dunlin::Model::parse(file.as_slice(), &mut tables).unwrap().nodes()[0].op
}

#[test]
fn the_documents_give_the_numbers_of_cases_and_operators() {
    let (cases, operators) = (seeded().len(), Kind::ALL.len());
    let expected = [
        ("../README.md", format!("checked on {cases} cases")),
        ("../README.md", format!("all {operators} operators")),
        ("../tests/README.md", format!("{cases} drawn one-operator models")),
        ("../tests/README.md", format!("each of {operators} operators")),
    ];
    for (name, phrase) in expected {
        let text = document(name).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&phrase), "{name} does not say `{phrase}`");
    }
}

#[test]
fn the_kinds_are_in_the_order_of_the_file() {
    for case in seeded() {
        // Without nodes, decoding stops where the one node begins: at the variant of its operator.
        let mut file = dunlin::AlignedVec::from_slice(&case.model);
        file.as_mut_slice()[48] = 0;
        dunlin::format::reseal(file.as_mut_slice());
        let mut tables = dunlin_tests::host::Tables::new();
        match dunlin::Model::parse(file.as_slice(), &mut tables).err() {
            Some(ParseError::Decode { offset, part: Part::Nodes }) => {
                assert_eq!(case.model[offset as usize], case.kind as u8, "{}", case.name);
            }
            other => panic!("{}: {other:?}", case.name),
        }
    }
}

#[test]
fn the_byte_map_covers_the_header() {
    let text = document("format.md");
    assert!(text.contains(&format!("Version {VERSION}.")));
    let mut next = 0;
    for row in rows(&text) {
        let (Ok(offset), Some(bytes)) = (row[0].parse::<usize>(), row.get(1)) else { continue };
        let Ok(bytes) = bytes.split('+').map(|n| n.trim().parse::<usize>()).sum::<Result<usize, _>>() else {
            continue;
        };
        assert_eq!(offset, next, "a gap or an overlap in the byte map");
        next = offset + bytes;
    }
    assert_eq!(next, HEADER_LEN);
}
