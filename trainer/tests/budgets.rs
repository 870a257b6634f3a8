//! What a run of each model may cost on an emulated board: `tests/budgets.toml`, made by `cargo xtask budgets`.
//!
//! Each model is planned and packed for the board's core, as `dunlin export --for` does. The models are those of the
//! repository, the golden ones and, where the conformance folder is there, the published ones, imported. Instructions are
//! those of the cycle meter: exact, and the same on every machine with the same compiler. Every output is compared with this
//! machine's.
//! `DUNLIN_BUDGETS=show` prints what would change instead of failing, `DUNLIN_BUDGETS=overwrite` changes it.

mod common;

use common::{Sample, conformance, published, root, say};
use dunlin::Target;
use dunlin_emulator::board::{Board, MPS2_AN386, MPS3_AN547};
use dunlin_emulator::{emulation_is_off, leave_out};
use dunlin_trainer::export::{Options, for_core};
use dunlin_trainer::plan::PlanOptions;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// By how much a figure may exceed its budget before the test fails, and undercut it before the test hints at renewal:
/// one part in this many.
const TOLERANCE: u64 = 100;
/// The boards whose figures are kept, and for what their files are packed.
const BOARDS: [(&Board, Target); 2] = [(&MPS2_AN386, Target::CortexM4), (&MPS3_AN547, Target::CortexM55)];
const HEAD: &str = "\
# What one run of each model may cost on an emulated board, and the flash of the board's image without a model.
# Files are packed for the board's core. At the end, what a step of a control loop may cost. Made by `cargo xtask budgets --overwrite`; a test fails where a figure is exceeded by more than 1 %.
";

/// What a run costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    instructions: u64,
    arena_bytes: u64,
    file_bytes: u64,
}

/// The file: boards, then models and boards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budgets {
    flash_bytes: BTreeMap<String, u64>,
    models: BTreeMap<String, BTreeMap<String, Budget>>,
    /// Of steps of control loops, which `tests/tests/policy_cost.rs` makes.
    #[serde(default)]
    steps: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>,
}

impl Budgets {
    /// Every figure by its name.
    fn figures(&self) -> BTreeMap<String, u64> {
        let mut figures = BTreeMap::new();
        for (board, bytes) in &self.flash_bytes {
            figures.insert(format!("{board}: flash_bytes without a model"), *bytes);
        }
        for (model, boards) in &self.models {
            for (board, budget) in boards {
                figures.insert(format!("{model} on {board}: instructions"), budget.instructions);
                figures.insert(format!("{model} on {board}: arena_bytes"), budget.arena_bytes);
                figures.insert(format!("{model} on {board}: file_bytes"), budget.file_bytes);
            }
        }
        figures
    }
}

/// How a figure stands to its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Within,
    Better,
    Exceeded,
    /// In one of both only.
    Unknown,
}

fn verdict(budget: Option<u64>, found: Option<u64>) -> Verdict {
    let (Some(budget), Some(found)) = (budget, found) else { return Verdict::Unknown };
    if found * TOLERANCE > budget * (TOLERANCE + 1) {
        Verdict::Exceeded
    } else if found * TOLERANCE < budget * (TOLERANCE - 1) {
        Verdict::Better
    } else {
        Verdict::Within
    }
}

/// A line for each figure that changed, and the worst verdict on each side: whether the test fails, whether to renew.
fn compare(budgets: &Budgets, found: &Budgets, every_change: bool) -> (String, bool, bool) {
    let (budgets, found) = (budgets.figures(), found.figures());
    let (mut text, mut fails, mut renew) = (String::new(), false, false);
    let names: std::collections::BTreeSet<_> = budgets.keys().chain(found.keys()).collect();
    for name in names {
        let (budget, figure) = (budgets.get(name).copied(), found.get(name).copied());
        let verdict = verdict(budget, figure);
        fails |= matches!(verdict, Verdict::Exceeded | Verdict::Unknown);
        renew |= verdict == Verdict::Better;
        if verdict == Verdict::Within && !(every_change && budget != figure) {
            continue;
        }
        let number = |value: Option<u64>| value.map_or("none".to_string(), |value| value.to_string());
        let change = match (budget, figure) {
            (Some(budget), Some(figure)) if budget > 0 => {
                format!(" ({:+.2} %)", 100.0 * (figure as f64 / budget as f64 - 1.0))
            }
            _ => String::new(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}: budget {}, found {}{change}", number(budget), number(figure));
    }
    (text, fails, renew)
}

/// Every `.dun` file under `folder`, by its stem; networks that left data out are not models of their own.
fn files(folder: &Path, prefix: &str, models: &mut BTreeMap<String, Vec<u8>>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() && !path.ends_with("folds") {
            files(&path, prefix, models);
        } else if path.extension().is_some_and(|extension| extension == "dun") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            models.insert(format!("{prefix}{name}"), std::fs::read(&path).expect("readable"));
        }
    }
}

/// The published models, imported.
fn all_published(folder: &Path, models: &mut BTreeMap<String, Vec<u8>>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.join("model.tflite").is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let (_, file) = published(folder, &name, &Options::default());
            models.insert(format!("{PUBLISHED}{name}"), file);
        }
    }
}

/// What the names of the published models begin with.
const PUBLISHED: &str = "tflite-";

/// `file` for `target`.
fn packed(name: &str, file: &[u8], target: Target) -> Vec<u8> {
    let options = PlanOptions { target, ..PlanOptions::default() };
    let (_, file) = for_core(file, &options, None).unwrap_or_else(|e| panic!("{name}: {e}"));
    file.as_slice().to_vec()
}

/// What one run of `file` costs on `board`, and the image's flash; `None` where there is no emulation.
fn measure(board: &Board, sample: &Sample, file: &[u8]) -> Option<(Budget, u64)> {
    let profile = sample.profile(board, file)?;
    let result = profile.report.jobs[0].outcome.result().expect("profile returns jobs that ran");
    let budget = Budget {
        instructions: profile.runs[0].cost.instructions,
        arena_bytes: u64::from(result.arena_bytes),
        file_bytes: file.len() as u64,
    };
    Some((budget, profile.report.flash_bytes))
}

#[test]
fn models_keep_to_their_budgets() {
    if emulation_is_off() {
        return leave_out("budgets", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let path = root().join("tests/budgets.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut budgets: Budgets = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut models = BTreeMap::new();
    files(&root().join("models"), "", &mut models);
    files(&root().join("tests/golden"), "golden-", &mut models);
    let mut found = Budgets { steps: budgets.steps.clone(), ..Budgets::default() };
    match conformance() {
        Some(folder) => all_published(&folder, &mut models),
        None => {
            say("LEFT OUT: no conformance vectors; name their folder with DUNLIN_CONFORMANCE");
            let absent = |name: &String| name.starts_with(PUBLISHED);
            found.models.extend(budgets.models.clone().into_iter().filter(|(n, _)| absent(n)));
        }
    }
    for (name, file) in &models {
        let sample = Sample::new(name, file);
        for (board, target) in BOARDS {
            let Some((budget, flash)) = measure(board, &sample, &packed(name, file, target)) else { return };
            found.models.entry(name.clone()).or_default().insert(board.name.to_string(), budget);
            found.flash_bytes.insert(board.name.to_string(), flash);
        }
    }
    let mode = std::env::var("DUNLIN_BUDGETS").unwrap_or_default();
    let (changes, fails, renew) = compare(&budgets, &found, !mode.is_empty());
    changes.lines().for_each(say);
    match mode.as_str() {
        "show" => {
            say(if changes.is_empty() { "the budgets are what is found today" } else { "(not written)" })
        }
        "overwrite" => {
            budgets = found;
            let text = toml::to_string(&budgets).expect("tables of numbers");
            std::fs::write(&path, format!("{HEAD}\n{text}"))
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            say(&format!("{} written", path.display()));
        }
        _ if fails => panic!(
            "over budget or not in {}:\n{changes}\nrenew with `cargo xtask budgets --overwrite`",
            path.display()
        ),
        _ if renew => say(
            "hint: figures are better than their budgets; renew them with `cargo xtask budgets --overwrite`",
        ),
        _ => {}
    }
}

#[test]
fn one_percent_is_the_limit() {
    assert_eq!(verdict(Some(1000), Some(1010)), Verdict::Within);
    assert_eq!(verdict(Some(1000), Some(1011)), Verdict::Exceeded);
    assert_eq!(verdict(Some(1000), Some(990)), Verdict::Within);
    assert_eq!(verdict(Some(1000), Some(989)), Verdict::Better);
    assert_eq!(verdict(None, Some(1)), Verdict::Unknown);
    assert_eq!(verdict(Some(1), None), Verdict::Unknown);
}

#[test]
fn both_figures_are_printed() {
    let budgets = |instructions| {
        let budget = Budget { instructions, arena_bytes: 64, file_bytes: 32 };
        let boards = BTreeMap::from([("board".to_string(), budget)]);
        let models = BTreeMap::from([("model".to_string(), boards)]);
        Budgets { models, ..Budgets::default() }
    };
    let (text, fails, renew) = compare(&budgets(1000), &budgets(1020), false);
    assert_eq!(text, "model on board: instructions: budget 1000, found 1020 (+2.00 %)\n");
    assert_eq!((fails, renew), (true, false));
    let (text, fails, renew) = compare(&budgets(1000), &budgets(900), false);
    assert!(text.contains("budget 1000, found 900 (-10.00 %)"), "{text}");
    assert_eq!((fails, renew), (false, true));
    assert_eq!(compare(&budgets(1000), &budgets(1001), false).0, "");
    assert!(compare(&budgets(1000), &budgets(1001), true).0.contains("found 1001"));
    assert!(compare(&budgets(1000), &Budgets::default(), false).1);
    let text = toml::to_string(&budgets(1000)).unwrap();
    assert_eq!(toml::from_str::<Budgets>(&text).unwrap(), budgets(1000));
}
