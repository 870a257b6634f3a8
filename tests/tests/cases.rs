//! Every seeded case, byte for byte, and that the set exercises what it should.

use dunlin_tests::cases::{Feature, Kind, seeded};
use dunlin_tests::host;
use std::collections::BTreeMap;

/// Fewest cases of the seeded set that exercise any one feature.
const FEWEST: usize = 3;

#[test]
fn every_seeded_case_equals_the_oracle() {
    let cases = seeded();
    let wrong: Vec<String> = cases.iter().filter_map(|case| host::check(case).err()).collect();
    assert!(wrong.is_empty(), "{} of {} cases differ; the first: {}", wrong.len(), cases.len(), wrong[0]);
    let runs: usize = cases.iter().map(|c| c.runs.len()).sum();
    let isas: Vec<_> =
        dunlin::IsaKind::ALL.iter().filter(|isa| isa.is_available()).map(|isa| isa.name()).collect();
    println!("{} cases, {runs} runs on {}", cases.len(), isas.join(", "));
}

#[test]
fn the_seeded_set_exercises_every_feature() {
    let mut count: BTreeMap<Feature, usize> = BTreeMap::new();
    for case in seeded() {
        for feature in case.features {
            *count.entry(feature).or_default() += 1;
        }
    }
    println!("{count:?}");
    let rare: Vec<_> = Feature::ALL.iter().filter(|f| count.get(f).copied().unwrap_or(0) < FEWEST).collect();
    assert!(rare.is_empty(), "fewer than {FEWEST} cases of {rare:?}; all: {count:?}");
}

#[test]
fn the_seeded_set_is_the_same_every_time() {
    let (a, b) = (seeded(), seeded());
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert_eq!((&a.model, &a.runs), (&b.model, &b.runs), "{}", a.name);
    }
}

#[test]
fn outputs_of_the_seeded_set_are_not_all_alike() {
    // A generator whose results always saturate would pass with most of a kernel deleted.
    let cases = seeded();
    for kind in Kind::ALL {
        let outputs = cases.iter().filter(|c| c.kind == *kind).flat_map(|c| &c.runs).flat_map(|r| &r.outputs);
        let varied = outputs.filter(|bytes| bytes.iter().any(|b| b != &bytes[0])).count();
        assert!(varied >= 15, "{kind:?}: only {varied} outputs hold different values");
    }
}
