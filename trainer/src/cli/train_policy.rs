//! `dunlin train` for policies: one training, or the same from several seeds.

use super::stop;
use super::train::Args;
use dunlin_trainer::train::reinforcement::{self, Outcome, Recipe};
use dunlin_trainer::train::supervised::Options;
use dunlin_trainer::zoo::policies::PolicyModel;
use miette::{Result, miette};

pub(super) fn main(args: &Args, model: &PolicyModel) -> Result<()> {
    let mut recipe = model.recipe();
    recipe.seed = args.changes.seed().unwrap_or(recipe.seed);
    let outcome = train(args, model, &recipe)?;
    println!("{outcome:?}");
    Ok(())
}

fn train(args: &Args, model: &PolicyModel, recipe: &Recipe) -> Result<Outcome> {
    let mut graph = model.graph().map_err(|e| miette!("{e}"))?;
    let options = Options {
        out: &args.out,
        resume: args.resume,
        keep_weights: false,
        stop: stop::flag(),
        quiet: args.quiet || args.json,
        tap: None,
    };
    reinforcement::learn(&mut graph, recipe, &|| model.env(), &options).map_err(|e| {
        miette!(help = "--out names the folder of the run; --help lists what can be changed", "{e}")
    })
}
