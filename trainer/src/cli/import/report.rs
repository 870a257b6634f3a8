//! What a person sees of an import, and the keys of `--json`.

use super::super::text::{number, short, table};
use super::Args;
use super::work::{Done, Reference};
use dunlin_trainer::quantise::{Folded, Rewritten};
use dunlin_trainer::report::facts::Facts;
use miette::{Result, miette};
use serde::Serialize;
use std::path::PathBuf;

/// Keys of `--json`.
#[derive(Serialize)]
pub(super) struct Report {
    dun: PathBuf,
    name: String,
    quantised: &'static str,
    nodes: usize,
    file_bytes: u32,
    weight_bytes: u64,
    arena_bytes: usize,
    state_bytes: usize,
    macs: u64,
    dead_channels: Dead,
    fused: Fused,
    reference: Option<f32>,
    reference_refused: Option<String>,
    agreement: Option<Agreement>,
    accuracy: Option<Accuracy>,
    snr: Vec<Snr>,
    keep_graph: Option<PathBuf>,
}

/// Channels that were removed.
#[derive(Clone, Copy, Serialize)]
struct Dead {
    channels: usize,
    macs: u64,
}

/// Nodes that others took over.
#[derive(Clone, Copy, Serialize)]
struct Fused {
    pads: usize,
    clamps: usize,
    reshapes: usize,
}

#[derive(Serialize)]
struct Agreement {
    samples: usize,
    top1: f64,
    decibels: Option<f64>,
}

#[derive(Serialize)]
struct Accuracy {
    float: f64,
    int8: f64,
    examples: usize,
}

#[derive(Serialize)]
struct Snr {
    value: String,
    decibels: Option<f64>,
    largest_steps: f64,
}

impl Report {
    pub(super) fn new(args: &Args, done: &Done) -> Result<Self> {
        let facts = Facts::read(done.file()).map_err(|e| miette!("the runtime refuses the model: {e}"))?;
        let t = &facts.totals;
        // JSON has no infinity: none is an exact value.
        let finite = |v: f64| v.is_finite().then_some(v);
        Ok(Self {
            dun: args.output.clone(),
            name: facts.name.clone(),
            quantised: if done.graph().is_pinned() { "kept" } else { "calibrated" },
            nodes: facts.nodes.len(),
            file_bytes: t.file_bytes,
            weight_bytes: t.weight_bytes,
            arena_bytes: t.arena_bytes,
            state_bytes: t.state_bytes,
            macs: t.macs,
            dead_channels: dead(done),
            fused: fused(done),
            reference: if let Reference::Checked(far) = done.reference { Some(far) } else { None },
            reference_refused: if let Reference::Refused(why) = &done.reference {
                Some(why.clone())
            } else {
                None
            },
            agreement: done.agreement.map(|a| Agreement {
                samples: a.samples,
                top1: a.top1(),
                decibels: finite(a.snr()),
            }),
            accuracy: done.accuracy.map(|(float, int8, examples)| Accuracy { float, int8, examples }),
            snr: done
                .errors
                .iter()
                .map(|e| Snr { value: e.name.clone(), decibels: finite(e.snr), largest_steps: e.steps })
                .collect(),
            keep_graph: args.keep_graph.clone(),
        })
    }

    pub(super) fn print(&self) {
        let decibels = |d: Option<f64>| d.map_or("exact".into(), |d| format!("{d:.1}"));
        if !self.snr.is_empty() {
            let rows = self
                .snr
                .iter()
                .map(|e| vec![short(&e.value), decibels(e.decibels), format!("{:.1}", e.largest_steps)]);
            println!("{}\n", table(&["value", "SNR dB", "largest error, steps"], &[1, 2], rows));
        }
        println!("{}: {} nodes, quantisation {}", self.name, self.nodes, self.quantised);
        if let Some(far) = self.reference {
            println!("float graph as tract computes it, within {far:.1e} of the largest output");
        }
        if let Some(why) = &self.reference_refused {
            println!("float graph not compared with tract: {why}");
        }
        if let Some(a) = &self.agreement {
            println!(
                "int8 against float on {} samples: top-1 agreement {:.4}, output SNR {} dB",
                a.samples,
                a.top1,
                decibels(a.decibels)
            );
        }
        if let Some(a) = &self.accuracy {
            println!(
                "accuracy   float {:.4}, int8 {:.4} over {} held-out examples",
                a.float, a.int8, a.examples
            );
        }
        println!("weights    {} bytes", number(self.weight_bytes));
        println!(
            "arena      {} bytes, state {}",
            number(self.arena_bytes as u64),
            number(self.state_bytes as u64)
        );
        println!("work       {} MACs", number(self.macs));
        let Fused { pads, clamps, reshapes } = self.fused;
        if pads + clamps + reshapes > 0 {
            println!("fused      {pads} paddings, {clamps} activations, {reshapes} reshapes");
        }
        if self.dead_channels.channels > 0 {
            let Dead { channels, macs } = self.dead_channels;
            println!("removed    {} dead channels, {} MACs", number(channels as u64), number(macs));
        }
        println!("wrote {} ({} bytes)", self.dun.display(), number(u64::from(self.file_bytes)));
        if let Some(folder) = &self.keep_graph {
            println!("wrote {}", folder.display());
        }
    }
}

/// What the rewrite of the integer program removed.
fn dead(done: &Done) -> Dead {
    let Folded { channels, macs } = done.quantised.plan.graph().rewritten.dead;
    Dead { channels, macs }
}

/// What the other rewrites saved.
fn fused(done: &Done) -> Fused {
    let Rewritten { pads, clamps, reshapes, .. } = done.quantised.plan.graph().rewritten;
    Fused { pads, clamps, reshapes }
}
