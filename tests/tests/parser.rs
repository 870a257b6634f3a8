//! The parser against damaged files: every truncation, every changed byte, and every way to be wrong, each with
//! its own error.

use dunlin::ParseError;
use dunlin_tests::attack::{Attacker, Verdict};
use dunlin_tests::cases::{Case, Kind, seeded};
use dunlin_tests::host::Tables;

/// Longest file whose every byte is set to every value, bytes; of a longer one these are all but its constants.
const LONGEST: usize = 700;

/// One small valid file of each operator.
fn files() -> Vec<Case> {
    let cases = seeded();
    let mut files: Vec<Case> = Vec::new();
    for kind in Kind::ALL {
        let smallest = cases.iter().filter(|c| c.kind == *kind).min_by_key(|c| c.model.len());
        files.extend(smallest.cloned());
    }
    assert_eq!(files.len(), Kind::ALL.len());
    files
}

/// How many bytes of a file, from its start, are set to every value.
fn changed(case: &Case) -> usize {
    match case.model.len() {
        len @ 0..=LONGEST => len,
        _ => dunlin::format::Header::parse(&case.model).expect("a valid file").data.0 as usize,
    }
}

fn parse(bytes: &[u8]) -> Result<(), ParseError> {
    let file = dunlin::AlignedVec::from_slice(bytes);
    dunlin::Model::parse(file.as_slice(), &mut Tables::new()).map(|_| ())
}

#[test]
fn a_truncated_file_is_refused() {
    for case in files() {
        let whole = case.model.len() as u32;
        for len in 0..case.model.len() {
            let needed = if len < 64 { 64 } else { whole };
            let expected = ParseError::Truncated { needed, found: len as u32 };
            assert_eq!(parse(&case.model[..len]), Err(expected), "{} cut at {len}", case.name);
        }
    }
}

#[test]
fn a_truncated_file_with_a_repaired_header_is_refused() {
    let mut attacker = Attacker::new();
    for case in files() {
        let header = dunlin::format::Header::parse(&case.model).unwrap();
        for len in 64..case.model.len() {
            let error = attacker.parse(&case.model[..len]).expect_err("a part is missing");
            // The first part that reaches beyond the file, by the offset of its field.
            let ends = [header.program, header.metadata, header.data].map(|(start, len)| start + len);
            let part = ends.iter().position(|&end| end > len as u32).unwrap();
            let found = [header.program.0, header.metadata.0, header.data.0][part];
            let expected = ParseError::Header { offset: 16 + 8 * part as u32, found };
            assert_eq!(error, expected, "{} cut at {len}", case.name);
        }
    }
}

#[test]
fn a_changed_byte_is_refused_by_the_header_or_the_checksum() {
    let mut changes = 0u64;
    for case in files() {
        let mut file = dunlin::AlignedVec::from_slice(&case.model);
        for at in 0..changed(&case) {
            for value in 0..=255u8 {
                let original = case.model[at];
                if value == original {
                    continue;
                }
                file.as_mut_slice()[at] = value;
                let result = dunlin::Model::parse(file.as_slice(), &mut Tables::new()).map(|_| ());
                file.as_mut_slice()[at] = original;
                let error = result.expect_err("a change that a checksum of 32 bits cannot miss");
                let right = match at {
                    0..=3 => matches!(error, ParseError::Magic { .. }),
                    4..=5 => matches!(error, ParseError::Version { supported: 1, .. }),
                    6 if dunlin::Target::from_number(value).is_some() => {
                        matches!(error, ParseError::Checksum { .. })
                    }
                    6 => error == ParseError::Target { found: value },
                    7 | 57..=63 => error == ParseError::Header { offset: at as u32, found: u32::from(value) },
                    8..=11 => matches!(
                        error,
                        ParseError::Truncated { .. }
                            | ParseError::Checksum { .. }
                            | ParseError::Header { offset: 8, .. }
                    ),
                    _ => matches!(error, ParseError::Checksum { .. }),
                };
                assert!(right, "{}: byte {at} from {original} to {value} gave {error:?}", case.name);
                changes += 1;
            }
        }
    }
    println!("{changes} changes");
}

#[test]
fn a_changed_byte_behind_a_repaired_checksum_is_refused_or_harmless() {
    let mut attacker = Attacker::new();
    let (mut refused, mut harmless, mut unable) = (0u64, 0u64, 0u64);
    for case in files() {
        let mut file = case.model.clone();
        for at in 0..changed(&case) {
            let original = file[at];
            for value in (0..=255u8).filter(|&v| v != original) {
                file[at] = value;
                match attacker.parse_then_run(&file) {
                    Verdict::Refused(_) => refused += 1,
                    Verdict::Ran => harmless += 1,
                    Verdict::TooLarge | Verdict::TooLong => unable += 1,
                }
            }
            file[at] = original;
        }
    }
    println!("{refused} changes refused, {harmless} ran harmlessly, {unable} not run for memory or time");
    assert!(refused > 100_000 && harmless > 100_000, "{refused} refused, {harmless} ran");
}
