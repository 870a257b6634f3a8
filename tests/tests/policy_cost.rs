//! What a step of a control loop costs on the emulated cores: the table of `docs/policy.md`, the bars, and the budgets of steps
//! in `tests/budgets.toml`.
//!
//! Every step is a region of the cycle meter: from the observation in memory, over normalising and the run of the network, to the
//! action in memory. `DUNLIN_PERFORMANCE=overwrite`, which `cargo xtask performance` sets, writes the table;
//! `DUNLIN_BUDGETS=show` or `overwrite`, which `cargo xtask budgets` sets, shows or changes the budgets.

use dunlin::{AlignedVec, Model, Storage, Target};
use dunlin_emulator::board::{Board, MPS2_AN386, MPS3_AN547};
use dunlin_emulator::meter::{drawn_inputs, profile, profile_control};
use dunlin_emulator::{
    ControlJob, ControlReport, Job, Options, Plant, Run, emulation_is_off, leave_out, unless_left_out,
};
use dunlin_tests::packed::packed;
use dunlin_tests::policies::{BREAKOUT, SEAQUEST, SKIRMISH, balancing, playing, starts};
use dunlin_tests::table::{number, replace};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Board, core that the network is packed for.
const BOARDS: [(&Board, Target); 2] = [(&MPS2_AN386, Target::CortexM4), (&MPS3_AN547, Target::CortexM55)];
/// Steps that are measured.
const STEPS: u32 = 5;
/// Most instructions of a step on the Cortex-M4.
const BARS: [(&str, u64); 2] = [("cartpole-ppo", 12_000), ("seaquest-dqn", 600_000)];
/// By how much a figure may exceed its budget: one part in this many.
const TOLERANCE: u64 = 100;

/// Figures by their names, of each board.
type Boards = BTreeMap<String, BTreeMap<String, u64>>;

/// The part of the file of budgets that is made here: its end.
#[derive(Debug, Serialize, Deserialize)]
struct Budgets {
    #[serde(default)]
    steps: BTreeMap<String, Boards>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a step costs.
struct Cost {
    report: ControlReport,
    file_bytes: u64,
    /// The dearest of all steps, and its estimated cycles.
    step: u64,
    cycles: f64,
    stack: u64,
    /// Instructions of the network alone.
    run: u64,
}

impl Cost {
    /// The figures that have budgets.
    fn figures(&self) -> BTreeMap<String, u64> {
        let arena = u64::from(self.report.arena_bytes + self.report.state_bytes);
        let figures = [
            ("instructions", self.step),
            ("run_instructions", self.run),
            ("stack_bytes", self.stack),
            ("arena_bytes", arena),
        ];
        figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
    }
}

/// `None` where that cannot be measured here.
fn measure(board: &Board, target: Target, job: &ControlJob) -> Option<Cost> {
    let model = packed(&job.model, target).expect("a portable file").as_slice().to_vec();
    let job = ControlJob { model, steps: STEPS, ..job.clone() };
    let options = Options::default();
    let (report, steps) = unless_left_out(board.name, profile_control(board, &job, &options))?;
    assert!(report.steps.iter().all(|step| step.fault.is_none()), "{} on {}", job.name, board.name);
    let dearest = steps.iter().max_by_key(|step| step.cost.instructions).expect("steps");
    let stack = report.steps.iter().map(|step| u64::from(step.stack_bytes)).max().unwrap_or(0);

    let file = AlignedVec::from_slice(&job.model);
    let mut tables = Box::new(Storage::<1024, 2048, 4096>::new());
    let inputs = drawn_inputs(&Model::parse(file.as_slice(), &mut tables).expect("a valid model"));
    let runs = vec![Run { inputs, counts: Vec::new() }];
    let alone = Job { name: job.name.clone(), model: job.model.clone(), runs };
    let alone = unless_left_out(board.name, profile(board, &alone, &options))?;
    Some(Cost {
        file_bytes: job.model.len() as u64,
        step: dearest.cost.instructions,
        cycles: dearest.cost.cycles.expect("a table for the core"),
        stack,
        run: alone.runs[0].cost.instructions,
        report,
    })
}

/// Compares with the budgets of steps, or changes them.
fn keep(found: BTreeMap<String, Boards>) {
    let path = root().join("tests/budgets.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let budgets: Budgets = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let flat = |steps: &BTreeMap<String, Boards>| -> BTreeMap<String, u64> {
        let mut figures = BTreeMap::new();
        for (policy, boards) in steps {
            for (board, costs) in boards {
                let costs = costs
                    .iter()
                    .map(|(name, cost)| (format!("a step of {policy} on {board}: {name}"), *cost));
                figures.extend(costs);
            }
        }
        figures
    };
    let (kept, new) = (flat(&budgets.steps), flat(&found));
    let mode = std::env::var("DUNLIN_BUDGETS").unwrap_or_default();
    let mut exceeded = String::new();
    for name in kept.keys().chain(new.keys().filter(|name| !kept.contains_key(*name))) {
        let (budget, figure) = (kept.get(name), new.get(name));
        let over = match (budget, figure) {
            (Some(budget), Some(figure)) => figure * TOLERANCE > budget * (TOLERANCE + 1),
            _ => true,
        };
        let number = |value: Option<&u64>| value.map_or("none".to_owned(), |value| number(*value));
        let line = format!("{name}: budget {}, found {}\n", number(budget), number(figure));
        if budget != figure {
            print!("{line}");
        }
        if over {
            exceeded += &line;
        }
    }
    match mode.as_str() {
        "overwrite" => {
            let others = text.split("[steps.").next().unwrap_or_default().trim_end();
            let steps = toml::to_string(&Budgets { steps: found }).expect("tables of numbers");
            std::fs::write(&path, format!("{others}\n\n{steps}"))
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
        "show" => {}
        _ => assert!(
            exceeded.is_empty(),
            "over budget; renew with `cargo xtask budgets --overwrite`:\n{exceeded}"
        ),
    }
}

#[test]
fn a_step_keeps_to_its_budget_and_the_bars() {
    if emulation_is_off() {
        return leave_out("cost of policies", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let pole = balancing(Plant::CartPole(starts(1)));
    let jobs = [pole].into_iter().chain([BREAKOUT, SEAQUEST, SKIRMISH].map(|played| playing(&played, STEPS)));
    let mut table = String::from(
        "| policy | core | a step, instructions | the network alone | estimated cycles | stack, bytes | arena, bytes of RAM | controller | decoded tables | network, bytes of flash |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let (mut found, mut missed) = (BTreeMap::<String, Boards>::new(), Vec::new());
    for job in jobs {
        for (board, target) in BOARDS {
            let Some(cost) = measure(board, target, &job) else { return };
            let ram = [cost.report.controller_bytes, cost.report.table_bytes].map(u64::from);
            let figures = cost.figures();
            let cells = [cost.step, cost.run, cost.cycles as u64, cost.stack, figures["arena_bytes"]];
            let cells = cells.into_iter().chain(ram).chain([cost.file_bytes]).map(number);
            let cells = cells.collect::<Vec<_>>().join(" | ");
            // Writing to a string does not fail.
            let _ = writeln!(table, "| {} | {} | {cells} |", job.name, board.core);
            let bar = BARS.iter().find(|(name, _)| *name == job.name).map_or(u64::MAX, |(_, bar)| *bar);
            if board == &MPS2_AN386 && cost.step > bar {
                missed.push(format!("{}: {} instructions, at most {bar}", job.name, cost.step));
            }
            found.entry(job.name.clone()).or_default().insert(board.name.to_owned(), figures);
        }
    }
    println!("{table}");
    if std::env::var("DUNLIN_PERFORMANCE").is_ok_and(|mode| mode == "overwrite") {
        let path = root().join("docs/policy.md");
        let document = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        std::fs::write(&path, replace(&document, "policy", &table))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    assert!(missed.is_empty(), "missed bars:\n{}", missed.join("\n"));
    keep(found);
}
