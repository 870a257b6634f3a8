//! `dunlin emulate --profile`: what each node and function costs.

use super::text::{number, table};
use dunlin::Model;
use dunlin_emulator::meter::{Cost, FunctionCost, ModelProfile, macs};
use serde::Serialize;

/// The key `profile` of `--json`: the first run.
#[derive(Serialize)]
pub(super) struct Profile<'a> {
    macs: u64,
    #[serde(flatten)]
    cost: Cost,
    #[serde(skip_serializing_if = "Option::is_none")]
    macs_per_cycle: Option<f64>,
    nodes: Vec<Node<'a>>,
    functions: &'a [FunctionCost],
}

#[derive(Serialize)]
struct Node<'a> {
    node: usize,
    op: &'static str,
    shape: String,
    macs: u64,
    #[serde(flatten)]
    cost: Cost,
    #[serde(skip_serializing_if = "Option::is_none")]
    macs_per_cycle: Option<f64>,
    /// Of the run's cycles, or of its instructions where there is no estimate.
    share: f64,
    functions: &'a [FunctionCost],
}

/// Part of the whole.
fn share(part: Cost, whole: Cost) -> f64 {
    let (part, whole) = match (part.cycles, whole.cycles) {
        (Some(part), Some(whole)) => (part, whole),
        _ => (part.instructions as f64, whole.instructions as f64),
    };
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn rate(macs: u64, cost: Cost) -> Option<f64> {
    cost.cycles.filter(|cycles| macs > 0 && *cycles > 0.0).map(|cycles| macs as f64 / cycles)
}

impl<'a> Profile<'a> {
    /// Describes the first run of `profile`; nothing where there was none.
    pub(super) fn new(model: &Model<'_>, profile: &'a ModelProfile) -> Option<Self> {
        let (run, costs) = (profile.runs.first()?, profile.nodes.first()?);
        let nodes = costs.iter().filter_map(|node| {
            let described = model.nodes().get(node.node)?;
            let output = model.tensors().get(usize::from(*model.ids(described.outputs).first()?))?.shape;
            let (macs, cost) = (macs(model, described), node.profile.cost);
            Some(Node {
                node: node.node,
                op: described.op.name(),
                shape: format!("{}x{}x{}x{}", output.n, output.h, output.w, output.c),
                macs,
                cost,
                macs_per_cycle: rate(macs, cost),
                share: share(cost, run.cost),
                functions: &node.profile.functions,
            })
        });
        let nodes: Vec<Node<'_>> = nodes.collect();
        let macs = nodes.iter().map(|node| node.macs).sum();
        let macs_per_cycle = rate(macs, run.cost);
        Some(Self { macs, cost: run.cost, macs_per_cycle, nodes, functions: &run.functions })
    }

    /// Prints the nodes, and the `functions` most expensive functions.
    pub(super) fn print(&self, functions: usize) {
        let costs = |cost: Cost, macs_per_cycle: Option<f64>, share: f64| {
            vec![
                number(cost.instructions),
                cost.cycles.map_or(String::new(), |cycles| number(cycles.round() as u64)),
                macs_per_cycle.map_or(String::new(), |rate| format!("{rate:.3}")),
                format!("{:.1} %", 100.0 * share),
            ]
        };
        let of_macs = |macs: u64| if macs == 0 { String::new() } else { number(macs) };
        let rows = self.nodes.iter().map(|node| {
            let mut row =
                vec![node.node.to_string(), node.op.to_string(), node.shape.clone(), of_macs(node.macs)];
            row.extend(costs(node.cost, node.macs_per_cycle, node.share));
            row
        });
        let mut all = vec![String::new(), "all".to_string(), String::new(), of_macs(self.macs)];
        all.extend(costs(self.cost, self.macs_per_cycle, 1.0));
        let rows = rows.chain([all]);
        let head =
            ["node", "operator", "output", "MACs", "instructions", "est. cycles", "MAC/cycle", "share"];
        println!("{}\n", table(&head, &[0, 2, 3, 4, 5, 6, 7], rows));
        if functions > 0 {
            let rows = self.functions.iter().take(functions).map(|function| {
                let mut row = costs(function.cost, None, share(function.cost, self.cost));
                row.remove(2);
                row.push(function.name.clone());
                row
            });
            let head = ["instructions", "est. cycles", "share", "function, without what it calls"];
            println!("{}\n", table(&head, &[0, 1, 2], rows));
        }
    }
}
