//! `dunlin eval` for policies: what an int8 policy earns, as the runtime runs it.

use super::dun::DunFile;
use super::{print_json, quantize};
use dunlin_trainer::eval::policy::{self, FloatPolicy, Int8Policy, Returns};
use dunlin_trainer::zoo::policies::PolicyModel;
use miette::{Result, miette};
use serde::Serialize;
use std::path::Path;

/// Keys of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    environment: &'a str,
    episodes: usize,
    seed: u64,
    mean_return: f64,
    /// Ends of the 95 % confidence interval of the mean.
    confidence_interval: [f64; 2],
    success: Option<f64>,
    mean_steps: f64,
    float: Option<f64>,
}

/// What is asked for.
pub(super) struct Question<'a> {
    pub(super) episodes: u64,
    pub(super) seed: u64,
    pub(super) float: Option<&'a Path>,
    pub(super) json: bool,
}

pub(super) fn main(file: &DunFile, model: &PolicyModel, question: &Question<'_>) -> Result<()> {
    let make = || model.env();
    let Question { episodes, seed, .. } = *question;
    let int8 = policy::measure(&make, &|| Int8Policy::new(file.bytes()), episodes, seed).map_err(|e| {
        miette!(help = format!("name a policy for {}", model.environment), "{}: {e}", file.path.display())
    })?;
    let float = match question.float {
        None => None,
        Some(run) => {
            let (graph, _) = quantize::load(run)?;
            let returns = policy::measure(&make, &|| Ok(FloatPolicy::new(&graph)), episodes, seed);
            Some(returns.map_err(|e| miette!("{}: {e}", run.display()))?)
        }
    };
    let (mean, half) = (int8.mean(), int8.confidence());
    if question.json {
        return print_json(&Report {
            model: model.name,
            environment: model.environment,
            episodes: int8.totals.len(),
            seed,
            mean_return: mean,
            confidence_interval: [mean - half, mean + half],
            success: int8.success(),
            mean_steps: int8.steps.iter().sum::<u64>() as f64 / int8.steps.len().max(1) as f64,
            float: float.as_ref().map(Returns::mean),
        });
    }
    let line = |what: &str, r: &Returns| {
        let goal = r.success().map_or(String::new(), |s| format!(", goal reached in {:.0} %", 100.0 * s));
        println!(
            "{}: mean return {:.2} ± {:.2} in {what} over {} episodes of {}{goal}",
            model.name,
            r.mean(),
            r.confidence(),
            r.totals.len(),
            model.environment
        );
    };
    line("int8", &int8);
    if let Some(float) = &float {
        line("float", float);
    }
    Ok(())
}
