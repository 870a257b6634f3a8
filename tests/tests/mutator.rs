//! Ten million mutants of valid files, each parsed and, where accepted, run.
//!
//! The same mutants on every machine. A failure names its mutant; `DUNLIN_MUTANT=<number>` runs that one alone and
//! `DUNLIN_MUTANTS=<count>` another number of them.

use dunlin::ParseError;
use dunlin::format::{Header, MAGIC};
use dunlin::ops::Aggregation;
use dunlin_tests::attack::{Attacker, Verdict};
use dunlin_tests::cases::{Case, Kind, seeded};
use dunlin_tests::golden;
use dunlin_tests::host::Tables;
use dunlin_tests::mutate::Parts;
use dunlin_tests::passing;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Executions of the test command.
const EXECUTIONS: u64 = 10_000_000;
/// Longest valid file that is mutated where an operator has shorter ones, bytes: a longer one costs time in its
/// checksum and finds no more.
const LONGEST: usize = 1200;
/// Mutants of one file before the next is taken.
const BLOCK: u64 = 1000;

/// The valid files: golden models of many operators and of graphs, a network of message passing, in which several nodes
/// share lists of indices, and cases of each operator: small ones, or the smallest.
fn bases() -> Vec<Parts> {
    let small = |case: &&Case| case.model.len() <= LONGEST;
    let cases = seeded();
    let graphs =
        golden::operators::PARTS.iter().find(|part| part.name == "graphs").expect("lists of indices");
    let mut bases = vec![
        Parts::of(golden::model().as_slice()),
        Parts::of(graphs.model().as_slice()),
        Parts::of(passing::model([3, 5], 1, Aggregation::Mean).as_slice()),
    ];
    for kind in Kind::ALL {
        let of_kind = || cases.iter().filter(|c| c.kind == *kind);
        let before = bases.len();
        bases.extend(of_kind().filter(small).take(6).map(|c| Parts::of(&c.model)));
        if bases.len() == before {
            let smallest = of_kind().min_by_key(|c| c.model.len()).expect("cases of every operator");
            bases.push(Parts::of(&smallest.model));
        }
    }
    bases
}

#[derive(Default)]
struct Tally {
    ran: u64,
    too_large: u64,
    too_long: u64,
    /// Lists of indices that were taken.
    lists: u64,
    refused: BTreeMap<String, u64>,
}

/// The name of an error without its numbers.
fn name(error: &ParseError) -> String {
    let text = match error {
        ParseError::Tensor { fault, .. } => format!("Tensor {fault:?}"),
        ParseError::Node { fault, .. } => format!("Node {fault:?}"),
        ParseError::Decode { part, .. } => return format!("Decode {part:?}"),
        ParseError::Capacity { part, .. } => return format!("Capacity {part:?}"),
        other => format!("{other:?}"),
    };
    text.split(['(', '{']).next().unwrap_or_default().trim().to_owned()
}

fn mutant(bases: &[Parts], number: u64, parts: &mut Parts, file: &mut Vec<u8>) {
    let base = &bases[(number / BLOCK) as usize % bases.len()];
    base.mutant(number.wrapping_mul(0x2545_f491_4f6c_dd1d), parts, file);
}

fn attack(bases: &[Parts], from: u64, to: u64, current: &AtomicU64) -> Tally {
    let (mut attacker, mut file, mut parts) = (Attacker::new(), Vec::new(), bases[0].clone());
    let mut tally = Tally::default();
    for number in from..to {
        current.store(number, Ordering::Relaxed);
        mutant(bases, number, &mut parts, &mut file);
        match attacker.parse_then_run(&file) {
            Verdict::Ran => tally.ran += 1,
            Verdict::TooLarge => tally.too_large += 1,
            Verdict::TooLong => tally.too_long += 1,
            Verdict::Refused(error) => *tally.refused.entry(name(&error)).or_default() += 1,
        }
    }
    tally.lists = attacker.lists();
    tally
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is {value}, expected a number")))
}

#[test]
fn mutants_are_refused_or_run_harmlessly() {
    let bases = bases();
    assert!(bases.len() > 3 * Kind::ALL.len(), "only {} files are small enough to be mutated", bases.len());
    let (from, to) = match number("DUNLIN_MUTANT") {
        Some(one) => (one, one + 1),
        None => (0, number("DUNLIN_MUTANTS").unwrap_or(EXECUTIONS)),
    };
    if from != 0 {
        let (mut parts, mut file) = (bases[0].clone(), Vec::new());
        mutant(&bases, from, &mut parts, &mut file);
        println!("mutant {from}: {file:02x?}");
        dunlin::format::reseal(&mut file);
        let (file, mut tables) = (dunlin::AlignedVec::from_slice(&file), Tables::new());
        println!(
            "{:#?}",
            dunlin::Model::parse(file.as_slice(), &mut tables).map(|m| format!("{:?}", m.tables()))
        );
    }
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64).min(to - from);
    let share = (to - from).div_ceil(threads);
    let started = Instant::now();
    let tallies = std::thread::scope(|scope| {
        let attackers: Vec<_> = (0..threads)
            .map(|thread| {
                let (bases, from) = (&bases, from + thread * share);
                let end = (from + share).min(to);
                scope.spawn(move || {
                    let current = AtomicU64::new(from);
                    catch_unwind(AssertUnwindSafe(|| attack(bases, from, end, &current)))
                        .map_err(|_| current.load(Ordering::Relaxed))
                })
            })
            .collect();
        attackers.into_iter().map(|a| a.join().expect("panics are caught inside")).collect::<Vec<_>>()
    });
    let mut total = Tally::default();
    for tally in tallies {
        let tally = tally.unwrap_or_else(|n| panic!("mutant {n} panicked; DUNLIN_MUTANT={n} runs it alone"));
        total.ran += tally.ran;
        total.too_large += tally.too_large;
        total.too_long += tally.too_long;
        total.lists += tally.lists;
        tally.refused.into_iter().for_each(|(name, n)| *total.refused.entry(name).or_default() += n);
    }
    let refused: u64 = total.refused.values().sum();
    println!(
        "{} mutants of {} files in {:.1?} on {threads} threads: {} ran, with {} lists of indices, {} asked for too \
         much memory, {} for too much time, {refused} refused:",
        to - from,
        bases.len(),
        started.elapsed(),
        total.ran,
        total.lists,
        total.too_large,
        total.too_long
    );
    total.refused.iter().for_each(|(name, n)| println!("  {n:>9} {name}"));
    if from != 0 || to < EXECUTIONS {
        return;
    }
    // A mutator whose mutants all stop at the first check would prove nothing.
    assert!(total.ran * 20 >= to, "only {} of {to} mutants ran", total.ran);
    assert!(total.lists * 200 >= to, "only {} lists of indices in {to} mutants", total.lists);
    assert!(total.refused.len() >= 30, "only {} kinds of refusal: {:?}", total.refused.len(), total.refused);
}

#[test]
fn a_file_written_from_its_parts_is_the_same_file() {
    for case in seeded().iter().take(40) {
        let mut written = Vec::new();
        Parts::of(&case.model).write(&mut written);
        dunlin::format::reseal(&mut written);
        assert_eq!(written, case.model, "{}", case.name);
        assert_eq!(written[..4], MAGIC);
        assert!(Header::parse(&written).is_ok());
    }
}
