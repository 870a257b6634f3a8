//! What the published models cost on the emulated cores, against the peer's figures: `docs/performance.md`.
//!
//! Every bar is checked, and that board and host give the same bytes; `cargo xtask performance` (`DUNLIN_PERFORMANCE=overwrite`) writes the tables. Instructions are those of
//! the cycle meter: exact, and the same on every machine with the same compiler.

mod common;

use common::{Sample, conformance, published, root, say, unless_left_out};
use dunlin::{AlignedVec, Model, Storage, Target};
use dunlin_emulator::board::{Board, MPS2_AN386, MPS3_AN547};
use dunlin_emulator::meter::{macs, profile_linux};
use dunlin_emulator::{emulation_is_off, leave_out};
use dunlin_trainer::export::{Options, for_core};
use dunlin_trainer::plan::PlanOptions;
use dunlin_trainer::quantise::RewriteOptions;
use std::fmt::Write as _;
use std::path::Path;

/// TensorFlow Lite for Microcontrollers 90b983c with CMSIS-NN 4ab83cc, arm-none-eabi-gcc 12.2 -O3: executed instructions of one
/// inference on mps2-an386 and mps3-an547, counted by a QEMU plugin between two markers, as ours are; and its arena on the M4 less
/// what only its interpreter needs, where that was measured.
struct Peer {
    model: &'static str,
    m4: u64,
    m55: u64,
    arena: Option<u64>,
}

const PEERS: [Peer; 8] = [
    Peer { model: "ic", m4: 29_871_883, m55: 4_808_734, arena: Some(49_728) },
    Peer { model: "kws", m4: 7_845_659, m55: 1_785_712, arena: Some(16_000) },
    Peer { model: "vww", m4: 24_719_947, m55: 6_433_108, arena: Some(73_728) },
    Peer { model: "ad", m4: 582_250, m55: 149_891, arena: Some(768) },
    Peer { model: "person", m4: 23_526_277, m55: 6_382_846, arena: None },
    Peer { model: "speech", m4: 1_494_912, m55: 837_217, arena: None },
    Peer { model: "lstm", m4: 566_019, m55: 255_492, arena: None },
    Peer { model: "hello", m4: 3_486, m55: 2_104, arena: None },
];

/// Largest ratio to the peer's instructions, on the M4 and the M55. Dead channels are kept in `vww`; `vww, folded` is what an import
/// gives.
const BARS: [(&str, f64, f64); 6] = [
    ("ic", 0.55, 0.62),
    ("kws", 0.55, 0.60),
    ("vww", 0.55, 0.55),
    ("vww, folded", 0.35, 0.35),
    ("ad", 0.60, 0.45),
    ("person", 0.55, 0.55),
];

/// Published best of the closed stacks on a Cortex-M4 at 120 MHz, in millions of cycles (MLPerf Tiny v1.1 to v1.3): time on
/// silicon, flash wait states included.
const SILICON: [(&str, f64); 4] = [("ic", 19.8), ("kws", 5.2), ("vww, folded", 10.7), ("ad", 0.49)];

/// Most instructions of parsing a packed file on the M4, checksum included: the peer's initialisation, which checks nothing. That
/// of `ad`, 64,000, is 0.23 a byte of its file, loads included, and is not reached (docs/decisions/0015).
const PARSING: [(&str, u64); 3] = [("ic", 450_000), ("kws", 670_000), ("vww", 3_000_000)];

/// Most stack of a run of `ad` on the M4, whose peer's arena is 768 bytes.
const STACK_OF_AD: u64 = 1024;

/// Bounds of RAM that are tried, as parts of the arena without one.
const BOUNDS: [f64; 3] = [0.9, 0.8, 0.7];

/// Products a cycle that a core can do, from its issue width and the throughput of its multiplier (docs/cycles.md).
const AARCH64: [(&str, Option<f64>); 4] =
    [("cortex-a53", Some(5.0)), ("cortex-a72", Some(8.0)), ("cortex-a76", Some(32.0)), ("max", None)];

/// Least part of the limit that is to be reached.
const LEAST_OF_LIMIT: f64 = 0.6;

/// What one run costs.
struct Cost {
    instructions: u64,
    cycles: f64,
    arena: u64,
    stack: u64,
    parsing: u64,
    file: usize,
}

/// Runs a form of the sample's program once on `board`.
fn cost(board: &Board, sample: &Sample, file: &[u8]) -> Option<Cost> {
    let profile = sample.profile(board, file)?;
    let result = profile.report.jobs[0].outcome.result().expect("profile returns jobs that ran");
    let run = profile.runs[0].cost;
    Some(Cost {
        instructions: run.instructions,
        cycles: run.cycles.expect("a table for the core"),
        arena: u64::from(result.arena_bytes),
        stack: u64::from(result.runs[0].stack_bytes),
        parsing: result.parse_instructions,
        file: file.len(),
    })
}

/// Multiply-accumulates of a file.
fn macs_of(file: &[u8]) -> u64 {
    let bytes = AlignedVec::from_slice(file);
    let mut storage = Box::new(Storage::<2048, 4096, 8192>::new());
    let model = Model::parse(bytes.as_slice(), &mut storage).expect("it was just encoded");
    model.nodes().iter().map(|node| macs(&model, node)).sum()
}

fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The published models in the form that the bars speak of: name, peer, options.
fn forms() -> impl Iterator<Item = (String, &'static Peer, RewriteOptions)> {
    PEERS.iter().flat_map(|peer| {
        let form =
            |name: &str, keep_dead_channels| (name.to_string(), peer, RewriteOptions { keep_dead_channels });
        match peer.model {
            "vww" => vec![form("vww", true), form("vww, folded", false)],
            name => vec![form(name, true)],
        }
    })
}

fn options(target: Target, rewrite: RewriteOptions) -> Options {
    Options { rewrite, plan: PlanOptions { target, ..PlanOptions::default() }, ..Options::default() }
}

/// The table of one board, and the bars that were missed.
fn board_table(folder: &Path, board: &Board, target: Target, missed: &mut Vec<String>) -> Option<String> {
    let m4 = board.name == MPS2_AN386.name;
    let mut text = String::from(
        "| model | MACs | instructions | a MAC | peer | ratio | bar | estimated cycles | MAC a cycle | arena, bytes | stack | file | parsing, instructions | portable file: run | parsing |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (name, peer, rewrite) in forms() {
        let (_, packed) = published(folder, peer.model, &options(target, rewrite));
        let (_, portable) = published(folder, peer.model, &options(Target::Portable, rewrite));
        let (sample, products) = (Sample::new(&name, &portable), macs_of(&portable));
        let found = cost(board, &sample, &packed)?;
        let plain = cost(board, &sample, &portable)?;
        let theirs = if m4 { peer.m4 } else { peer.m55 };
        let bar = BARS.iter().find(|b| b.0 == name).map(|b| if m4 { b.1 } else { b.2 });
        let ratio = found.instructions as f64 / theirs as f64;
        if let Some(bar) = bar.filter(|&bar| ratio > bar) {
            missed.push(format!("{name} on {}: {ratio:.3} of the peer, the bar is {bar}", board.name));
        }
        let silicon = SILICON.iter().find(|s| m4 && s.0 == name);
        if let Some((_, best)) = silicon.filter(|s| found.cycles > s.1 * 1e6) {
            missed.push(format!(
                "{name} on {}: {:.2} M cycles, the bar is {best} M",
                board.name,
                found.cycles / 1e6
            ));
        }
        if let Some(arena) = peer.arena.filter(|&arena| m4 && found.arena > arena) {
            missed.push(format!("{name} on {}: arena {} B, the peer's {arena}", board.name, found.arena));
        }
        let parsing = PARSING.iter().find(|p| m4 && p.0 == peer.model);
        if let Some((_, most)) = parsing.filter(|p| found.parsing > p.1) {
            missed.push(format!("{name} on {}: parsed in {}, the bar is {most}", board.name, found.parsing));
        }
        if m4 && name == "ad" && found.stack > STACK_OF_AD {
            missed.push(format!("ad on {}: {} B of stack", board.name, found.stack));
        }
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {:.3} | {} | **{ratio:.3}** | {} | {} | {:.2} | {} | {} | {} | {} | {} | {} |",
            number(products),
            number(found.instructions),
            found.instructions as f64 / products as f64,
            number(theirs),
            bar.map_or("–".to_string(), |bar| bar.to_string()),
            number(found.cycles as u64),
            products as f64 / found.cycles,
            number(found.arena),
            number(found.stack),
            number(found.file as u64),
            number(found.parsing),
            number(plain.instructions),
            number(plain.parsing),
        );
    }
    Some(text)
}

/// Arena and instructions under bounds of RAM.
fn ram_table(folder: &Path, missed: &mut Vec<String>) -> Option<String> {
    let mut text = String::from(
        "| model | bound, bytes | arena, bytes | instructions on M4 | without a bound |\n|---|---:|---:|---:|---:|\n",
    );
    for name in ["ic", "vww", "person"] {
        let target = Target::CortexM4;
        let (plan, file) = published(folder, name, &options(target, RewriteOptions::default()));
        let (_, portable) = published(folder, name, &options(Target::Portable, RewriteOptions::default()));
        let sample = Sample::new(name, &portable);
        let whole = cost(&MPS2_AN386, &sample, &file)?;
        let plans = PlanOptions { target, ..PlanOptions::default() };
        let mut smaller = 0;
        let mut row = |bound: Option<u32>, file: &[u8]| -> Option<()> {
            let found = cost(&MPS2_AN386, &sample, file)?;
            let bound = bound.map_or("none".to_string(), |b| number(u64::from(b)));
            let _ = writeln!(
                text,
                "| {name} | {bound} | {} | {} | {:+.1} % |",
                number(found.arena),
                number(found.instructions),
                100.0 * (found.instructions as f64 / whole.instructions as f64 - 1.0)
            );
            Some(())
        };
        row(None, &file)?;
        for part in BOUNDS {
            let bound = (f64::from(plan.arena_bytes()) * part) as u32;
            if let Ok((_, file)) = for_core(&portable, &plans, Some(bound)) {
                row(Some(bound), file.as_slice())?;
                smaller += 1;
            }
        }
        if smaller == 0 {
            missed.push(format!("{name}: no smaller arena was found"));
        }
    }
    Some(text)
}

/// The ResNet on processors of 64-bit Arm.
fn aarch64_table(folder: &Path, missed: &mut Vec<String>) -> Option<String> {
    let (_, file) = published(folder, "ic", &options(Target::Portable, RewriteOptions::default()));
    let sample = Sample::new("ic", &file);
    let products = macs_of(&file);
    let mut text = String::from(
        "| `-cpu` | instructions | a MAC | estimated cycles | MAC a cycle | limit | part of it |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (cpu, limit) in AARCH64 {
        let (run, _) = unless_left_out(cpu, profile_linux(cpu, &file, &sample.inputs))?;
        let cost = run.cost;
        let rate = cost.cycles.map(|cycles| products as f64 / cycles);
        let dash = || "–".to_string();
        let part = rate.zip(limit).map(|(rate, limit)| rate / limit);
        if let Some(part) = part.filter(|&part| part < LEAST_OF_LIMIT) {
            missed.push(format!("ic on {cpu}: {part:.2} of the limit, the bar is {LEAST_OF_LIMIT}"));
        }
        let _ = writeln!(
            text,
            "| {cpu} | {} | {:.4} | {} | {} | {} | {} |",
            number(cost.instructions),
            cost.instructions as f64 / products as f64,
            cost.cycles.map_or_else(dash, |c| number(c as u64)),
            rate.map_or_else(dash, |r| format!("{r:.2}")),
            limit.map_or_else(dash, |l| l.to_string()),
            part.map_or_else(dash, |p| format!("{:.0} %", 100.0 * p)),
        );
    }
    Some(text)
}

/// Replaces what stands between the markers `name` of the document.
fn replace(document: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = document.find(&begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
    let stop = document[start..].find(&end).unwrap_or_else(|| panic!("no {end}")) + start;
    format!("{}\n{table}\n{}", &document[..start], &document[stop..])
}

#[test]
fn the_published_models_cost_less_than_the_bars() {
    if emulation_is_off() {
        return leave_out("performance", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let Some(folder) = conformance() else {
        return say("LEFT OUT: no conformance vectors; name their folder with DUNLIN_CONFORMANCE");
    };
    let mut missed = Vec::new();
    let boards = [
        ("cortex-m4", board_table(&folder, &MPS2_AN386, Target::CortexM4, &mut missed)),
        ("cortex-m55", board_table(&folder, &MPS3_AN547, Target::CortexM55, &mut missed)),
        ("max-ram", ram_table(&folder, &mut missed)),
        ("aarch64", aarch64_table(&folder, &mut missed)),
    ];
    let path = root().join("docs/performance.md");
    let mut document = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for (name, table) in boards {
        let Some(table) = table else { return };
        println!("{name}\n{table}");
        document = replace(&document, name, &table);
    }
    if std::env::var("DUNLIN_PERFORMANCE").is_ok_and(|mode| mode == "overwrite") {
        std::fs::write(&path, document).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        say(&format!("{} written", path.display()));
    }
    assert!(missed.is_empty(), "missed bars:\n{}", missed.join("\n"));
}
