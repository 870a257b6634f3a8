//! The table of the README says what the files say.

use dunlin_trainer::env::grid::{self, measure};
use dunlin_trainer::report::artifact::METRICS;
use dunlin_trainer::report::card::Metrics;
use dunlin_trainer::report::facts::Facts;
use dunlin_trainer::zoo::{graph_models, policies};
use std::collections::BTreeSet;
use std::path::Path;

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut groups: Vec<&str> = Vec::new();
    if first > 0 {
        groups.push(&digits[..first]);
    }
    groups.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.join(",")
}

#[test]
fn each_committed_model_has_its_true_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("a README");
    for name in ["segnet", "fcn8s", "digits", "mobilenet-cifar10"] {
        let folder = root.join("models").join(name);
        let file = std::fs::read(folder.join(format!("{name}.dun"))).expect("a committed model");
        let totals = Facts::read(&file).expect("the runtime accepts it").totals;
        let text = std::fs::read_to_string(folder.join(METRICS)).expect("committed metrics");
        let m: Metrics = serde_json::from_str(&text).expect("metrics");
        let row = format!(
            "| [{name}](models/{name}/card.md) | {} | {:.3} | {:.3} | {} | {} |",
            m.metric,
            m.float,
            m.int8,
            grouped(totals.weight_bytes),
            grouped(totals.arena_bytes as u64),
        );
        assert!(readme.contains(&row), "README.md lacks the row\n{row}");
    }
}

/// The table of the models of graphs stands in both.
const TABLES: [&str; 2] = ["README.md", "docs/graphs.md"];

#[test]
fn each_model_of_graphs_has_its_true_row_over_seeds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let texts = TABLES.map(|name| std::fs::read_to_string(root.join(name)).expect("a text"));
    let mut lacking = Vec::new();
    for model in &graph_models::ALL {
        let (name, folder) = (model.name, root.join("models").join(model.name));
        let file = std::fs::read(folder.join(format!("{name}.dun"))).expect("a committed model");
        let totals = Facts::read(&file).expect("the runtime accepts it").totals;
        let text = std::fs::read_to_string(folder.join(METRICS)).expect("committed metrics");
        let m: Metrics = serde_json::from_str(&text).expect("metrics");
        let repeated = m.repeated.expect("it is measured over seeds");
        let seeds: BTreeSet<u64> = repeated.runs.iter().map(|r| r.seed).collect();
        let row = format!(
            "models/{name}/card.md) | {} | {} | {} | {} | {} | {} |",
            m.metric,
            seeds.len(),
            repeated.float,
            repeated.int8,
            grouped(totals.weight_bytes),
            grouped(totals.arena_bytes as u64),
        );
        for (file, text) in TABLES.iter().zip(&texts) {
            if !text.contains(&row) {
                lacking.push(format!("{file} lacks the row\n{row}"));
            }
        }
    }
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}

/// The table of the policies stands in both.
const POLICIES: [&str; 2] = ["README.md", "docs/reinforcement.md"];

fn text(root: &Path, name: &str) -> String {
    std::fs::read_to_string(root.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn committed_metrics(root: &Path, name: &str) -> Metrics {
    serde_json::from_str(&text(root, &format!("models/{name}/{METRICS}"))).expect("metrics")
}

/// Mean over the seeds, and the part of their episodes that reached the goal where there is one; of the one run without seeds.
fn earned(m: &Metrics, which: usize) -> String {
    let (mean, success) = match &m.repeated {
        None => ([m.float, m.int8][which], m.success.map(|s| s[which])),
        Some(r) => {
            let mean = [r.float.mean, r.int8.mean][which];
            let parts: Option<Vec<f64>> = r.runs.iter().map(|run| run.success.map(|s| s[which])).collect();
            (mean, parts.map(|p| p.iter().sum::<f64>() / p.len() as f64))
        }
    };
    let goal = success.map_or(String::new(), |s| format!(", {:.0} %", 100.0 * s));
    format!("{mean:.2}{goal}")
}

#[test]
fn each_policy_has_its_true_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let texts = POLICIES.map(|name| text(&root, name));
    let mut lacking = Vec::new();
    for model in &policies::ALL {
        let name = model.name;
        let file = std::fs::read(root.join(format!("models/{name}/{name}.dun"))).expect("a committed model");
        let totals = Facts::read(&file).expect("the runtime accepts it").totals;
        let m = committed_metrics(&root, name);
        let seeds = m.repeated.as_ref().map_or(1, |r| r.runs.len());
        let row = format!(
            "models/{name}/card.md) | {} | {seeds} x {} | {} | {} | {} | {} |",
            model.environment,
            model.episodes,
            earned(&m, 0),
            earned(&m, 1),
            grouped(totals.weight_bytes),
            grouped((totals.arena_bytes + totals.state_bytes) as u64),
        );
        for (file, text) in POLICIES.iter().zip(&texts) {
            if !text.contains(&row) {
                lacking.push(format!("{file} lacks the row\n{row}"));
            }
        }
    }
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}

#[test]
fn each_game_has_its_true_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = text(&root, "docs/reinforcement.md");
    let mut lacking = Vec::new();
    for entry in &grid::ALL {
        let score = |player| measure::score(entry, player, grid::Options::default(), 0..300).mean;
        let (random, scripted) = (score(measure::Player::Random), score(measure::Player::Scripted));
        let int8 =
            committed_metrics(&root, &format!("{}-dqn", entry.name)).repeated.expect("over seeds").int8;
        let row = format!(
            "| {} | {random:.2} | {scripted:.2} | {:.2} ± {:.2} | {:.1} |",
            entry.name,
            int8.mean,
            int8.deviation,
            int8.mean / random
        );
        if !text.contains(&row) {
            lacking.push(row);
        }
    }
    assert!(lacking.is_empty(), "docs/reinforcement.md lacks\n{}", lacking.join("\n"));
}
