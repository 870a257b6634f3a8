//! Reinforcement learning: policies that learn from what their actions earn.
//!
//! An agent acts in [`Lanes`] of environments side by side and changes the weights of a [`Learner`]; [`learn`] is the loop
//! around every agent: measurements of the greedy policy, history, checkpoints, interruption. A run's folder is that of
//! [`super::supervised`]; `last.safetensors` holds replay memory and episodes too, so that a resumed training does what an
//! uninterrupted one would have done.

mod a2c;
mod actor_critic;
mod advantage;
pub mod distribution;
mod dqn;
mod lanes;
mod learner;
mod objective;
mod ppo;
mod recipe;
mod recurrent;
mod reinforce;
mod replay;
pub mod tabular;
#[cfg(test)]
mod tests;

pub use a2c::A2c;
pub use actor_critic::{CRITIC, LOG_STD, POLICY};
pub use advantage::{After, advantages};
pub use dqn::{Demonstrations, Dqn, Prioritised, VALUES};
pub use lanes::{Episode, Lanes, Reply};
pub use learner::{Learner, look};
pub use objective::Objective;
pub use ppo::Ppo;
pub use recipe::{Algorithm, Evaluation, Recipe};
pub use recurrent::{Imitation, PERCEPTION, RecurrentPpo};
pub use reinforce::Reinforce;
pub use replay::{Replay, Sample, Transition};

use super::checkpoint::{self, OPTIMISER, write_atomically};
use super::progress::Display;
pub use super::supervised::TrainError;
use super::supervised::{self, Options};
use crate::env::Env;
use crate::eval::policy::{FloatPolicy, PolicyError, Returns, play};
use crate::graph::Graph;
use lanes::LanesState;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Something that acts and learns.
trait Agent {
    /// Acts for some steps and learns; `step` are those done before.
    fn advance(
        &mut self,
        learner: &mut Learner,
        lanes: &mut Lanes,
        step: u64,
        rate: f64,
    ) -> Result<Advance, TrainError>;

    /// What a checkpoint holds of it: nothing, where all follows from weights, lanes and steps done.
    fn keep(&self) -> Result<Vec<u8>, TrainError> {
        Ok(Vec::new())
    }

    /// Comes back to what [`Self::keep`] gave.
    fn restore(&mut self, _learner: &Learner, _bytes: &[u8]) -> Result<(), TrainError> {
        Ok(())
    }
}

/// What an agent did.
struct Advance {
    /// Steps of the environment, over all lanes.
    steps: u64,
    /// Episodes that ended.
    finished: Vec<Episode>,
    /// Losses of its updates.
    losses: Vec<f64>,
}

/// One line of `history.jsonl`: a measurement of the greedy policy, and the training since the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Steps of the environment so far.
    pub step: u64,
    /// Mean return of the episodes measured.
    pub mean_return: f64,
    /// Half of its 95 % confidence interval.
    pub confidence: f64,
    /// Part of them that reached their goal, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<f64>,
    /// Mean return of the training's own episodes, with exploration, where any ended.
    pub training_return: Option<f64>,
    /// Mean loss, where there was an update.
    pub loss: Option<f64>,
    /// Episodes of the training so far.
    pub episodes: u64,
    /// Seconds so far.
    pub seconds: f64,
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Mean return of the measurement whose weights were kept.
    pub best: f64,
    /// Its step.
    pub best_step: u64,
    /// Steps of the environment.
    pub steps: u64,
    /// Episodes.
    pub episodes: u64,
    /// True where it was stopped.
    pub interrupted: bool,
    /// Seconds, over all resumptions.
    pub seconds: f64,
}

/// Where a training stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Progress {
    steps: u64,
    episodes: u64,
    best: Option<f64>,
    best_step: u64,
    seconds: f64,
    recipe: String,
    since: Since,
}

/// Sums since the last measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Since {
    returns: f64,
    episodes: u64,
    losses: f64,
    updates: u64,
}

/// Makes environments of one kind.
pub type MakeEnv<'a> = &'a (dyn Fn() -> Box<dyn Env> + Sync);

/// Time between two checkpoints.
const CHECKPOINT: Duration = Duration::from_secs(120);

/// Seed of the episodes that a training measures itself on: those of the final figures have seeds of people, which are small.
const EVALUATION_SEED: u64 = 0x5EED;

/// Trains `graph`, whose first output makes the policy, and leaves the kept weights in it.
///
/// # Errors
/// A recipe that cannot be followed, a network that does not fit the environment, a folder that cannot be written, a
/// checkpoint of another recipe.
pub fn learn(
    graph: &mut Graph,
    recipe: &Recipe,
    make: MakeEnv<'_>,
    options: &Options<'_>,
) -> Result<Outcome, TrainError> {
    if recipe.steps == 0 || recipe.lanes == 0 || recipe.evaluation.every == 0 {
        return Err(TrainError::Recipe("steps, lanes and evaluation.every must be at least 1".into()));
    }
    if !options.keep_weights {
        graph.initialise(recipe.seed);
    }
    graph.meta.recipe.clone_from(&recipe.model);
    let text = toml::to_string_pretty(recipe)
        .map_err(|e| TrainError::Recipe(format!("cannot write the recipe: {e}")))?;
    supervised::save_graph(options.out, graph)?;
    write_atomically(&options.out.join("recipe.toml"), text.as_bytes())?;
    super::single_threaded(|| Run::start(graph.clone(), recipe, make, options, text)?.train()).and_then(
        |outcome| {
            let best = options.out.join(BEST);
            if best.exists() {
                checkpoint::load_weights(&best, graph)?;
            }
            Ok(outcome)
        },
    )
}

const BEST: &str = "best.safetensors";
const LAST: &str = "last.safetensors";

/// A training in progress.
struct Run<'a> {
    recipe: &'a Recipe,
    make: MakeEnv<'a>,
    options: &'a Options<'a>,
    learner: Learner,
    lanes: Lanes,
    agent: Box<dyn Agent + 'a>,
    progress: Progress,
}

impl<'a> Run<'a> {
    fn start(
        mut graph: Graph,
        recipe: &'a Recipe,
        make: MakeEnv<'a>,
        options: &'a Options<'a>,
        text: String,
    ) -> Result<Self, TrainError> {
        let mut learner = Learner::new(graph.clone(), &recipe.optimiser, recipe.clip);
        let mut lanes = Lanes::new((0..recipe.lanes).map(|_| make()).collect(), recipe.seed);
        let mut agent: Box<dyn Agent + 'a> = match &recipe.algorithm {
            Algorithm::Dqn(numbers) => Box::new(dqn::Dqner::new(recipe, numbers, &learner, &lanes)?),
            Algorithm::Reinforce(numbers) => {
                Box::new(reinforce::Reinforcer::new(recipe, numbers, &learner, &lanes)?)
            }
            Algorithm::A2c(numbers) => Box::new(a2c::Actor::new(recipe, numbers, &learner, &lanes)?),
            Algorithm::Ppo(numbers) => Box::new(ppo::Proximal::new(recipe, numbers, &learner, &lanes)?),
            Algorithm::RecurrentPpo(numbers) => {
                Box::new(recurrent::Recurrent::new(recipe, numbers, &learner, &lanes)?)
            }
        };
        let last = options.out.join(LAST);
        let mut progress = Progress { recipe: text, ..Progress::default() };
        if options.resume && last.exists() {
            // Numbers in the header are for people: a JSON reader may take another bit for the last.
            let names = [OPTIMISER, "agent", "lanes", "progress"];
            let (_, mut bytes): (serde_json::Value, _) =
                checkpoint::load_parts(&last, &mut [("weights/", &mut graph)], &names)?;
            let read: Progress = from_bytes(&bytes[3])?;
            if read.recipe != progress.recipe {
                return Err(TrainError::Recipe(format!(
                    "{} was made by another recipe; resume with that one or choose another folder",
                    last.display()
                )));
            }
            progress = read;
            let state: LanesState = from_bytes(&bytes[2])?;
            lanes.restore(state)?;
            agent.restore(&learner, &bytes[1])?;
            learner.restore(&graph, bytes.swap_remove(0)).map_err(TrainError::Recipe)?;
        }
        Ok(Self { recipe, make, options, learner, lanes, agent, progress })
    }

    fn train(mut self) -> Result<Outcome, TrainError> {
        let of = self.recipe.steps;
        let display = Display::new(self.options.quiet, self.progress.steps, of);
        self.trim_history()?;
        let mut saved = Instant::now();
        let mut clock = Instant::now();
        let mut interrupted = false;
        while self.progress.steps < of && !interrupted {
            let step = self.progress.steps;
            let rate = self.recipe.optimiser.rate() * self.recipe.schedule.factor(step as f64, of as f64);
            let advance = self.agent.advance(&mut self.learner, &mut self.lanes, step, rate)?;
            if advance.losses.iter().any(|loss| !loss.is_finite()) {
                return Err(TrainError::Recipe(format!(
                    "the loss is no number after {step} steps: lower the learning rate ({rate:.2e})"
                )));
            }
            self.count(&advance);
            let every = self.recipe.evaluation.every;
            let due = step / every != self.progress.steps / every || self.progress.steps >= of;
            if due {
                self.progress.seconds +=
                    std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
                let line = self.measure()?;
                display.at(self.progress.steps, &line);
                display.line(self.progress.steps, &line);
            }
            interrupted = self.options.stop.load(Ordering::Relaxed);
            if saved.elapsed() > CHECKPOINT || interrupted || self.progress.steps >= of {
                self.progress.seconds +=
                    std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
                self.save()?;
                saved = Instant::now();
            }
        }
        display.finish();
        if interrupted && !self.options.quiet {
            eprintln!(
                "stopped after {} steps; the same command with --resume continues",
                self.progress.steps
            );
        }
        let p = &self.progress;
        Ok(Outcome {
            best: p.best.unwrap_or(f64::NAN),
            best_step: p.best_step,
            steps: p.steps,
            episodes: p.episodes,
            interrupted: interrupted && p.steps < of,
            seconds: p.seconds,
        })
    }

    fn count(&mut self, advance: &Advance) {
        let (p, count) = (&mut self.progress, advance.finished.len() as u64);
        p.steps += advance.steps;
        p.episodes += count;
        p.since.episodes += count;
        p.since.returns += advance.finished.iter().map(|e| e.total).sum::<f64>();
        p.since.updates += advance.losses.len() as u64;
        p.since.losses += advance.losses.iter().sum::<f64>();
    }

    /// Measures the greedy policy, and keeps its weights where they are the best yet or the recipe wants the last.
    fn measure(&mut self) -> Result<String, TrainError> {
        let episodes = 0..self.recipe.evaluation.episodes as u64;
        let mut policy = FloatPolicy::with_weights(self.learner.graph(), self.learner.weights().clone());
        let returns = play(&self.make, &mut policy, episodes, EVALUATION_SEED)?;
        let line = self.record(&returns)?;
        let mean = returns.mean();
        let better = self.progress.best.is_none_or(|best| mean >= best);
        if better || !self.recipe.evaluation.selects {
            self.progress.best = Some(mean);
            self.progress.best_step = self.progress.steps;
            let note = serde_json::json!({
                "model": self.learner.graph().name, "step": self.progress.steps, "mean_return": mean,
                "recipe": self.progress.recipe,
            });
            let path = self.options.out.join(BEST);
            checkpoint::save_weights(&path, self.learner.store(), &note.to_string())?;
        }
        self.progress.since = Since::default();
        let training = line.training_return.map_or_else(|| "–".into(), |r| format!("{r:.2}"));
        Ok(format!(
            "step {}  return {:.2} ± {:.2} (training {training})  loss {:.4}",
            line.step,
            line.mean_return,
            line.confidence,
            line.loss.unwrap_or(f64::NAN)
        ))
    }

    fn record(&self, returns: &Returns) -> Result<History, TrainError> {
        let p = &self.progress;
        let mean = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
        let line = History {
            step: p.steps,
            mean_return: returns.mean(),
            confidence: returns.confidence(),
            success: returns.successes.map(|s| s as f64 / returns.totals.len() as f64),
            training_return: mean(p.since.returns, p.since.episodes),
            loss: mean(p.since.losses, p.since.updates),
            episodes: p.episodes,
            seconds: p.seconds,
        };
        let path = self.options.out.join("history.jsonl");
        let mut text = std::fs::read_to_string(&path).unwrap_or_default();
        text.push_str(&serde_json::to_string(&line).unwrap_or_default());
        text.push('\n');
        write_atomically(&path, text.as_bytes())?;
        Ok(line)
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let note = serde_json::to_string(&self.progress)
            .map_err(|e| TrainError::Recipe(format!("the progress cannot be written: {e}")))?;
        let rule = self.learner.rule_bytes().map_err(TrainError::Recipe)?;
        let (agent, lanes) = (self.agent.keep()?, to_bytes(&self.lanes.state())?);
        let progress = to_bytes(&self.progress)?;
        let bytes =
            [(OPTIMISER, rule.as_slice()), ("agent", &agent), ("lanes", &lanes), ("progress", &progress)];
        let path = self.options.out.join(LAST);
        Ok(checkpoint::save_parts(&path, &note, &[("weights/", self.learner.store())], &bytes)?)
    }

    /// Drops lines of measurements that this run will do again.
    fn trim_history(&self) -> Result<(), TrainError> {
        let done = history(self.options.out).into_iter().filter(|line| line.step <= self.progress.steps);
        let text: String = done.filter_map(|line| Some(serde_json::to_string(&line).ok()? + "\n")).collect();
        Ok(write_atomically(&self.options.out.join("history.jsonl"), text.as_bytes())?)
    }
}

/// The measurements in a run's folder; none where there is no history.
pub fn history(run: &Path) -> Vec<History> {
    let text = std::fs::read_to_string(run.join("history.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

impl From<PolicyError> for TrainError {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Float(error) => Self::Exec(error),
            error => Self::Recipe(error.to_string()),
        }
    }
}

/// Random numbers of one purpose at one moment of a training.
fn generator(seed: u64, purpose: u64, at: u64) -> Pcg64 {
    Pcg64::new(u128::from(seed), (1 << 127) | u128::from(purpose) << 64 | u128::from(at))
}

fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, TrainError> {
    postcard::to_stdvec(value).map_err(|e| TrainError::Recipe(format!("the state cannot be written: {e}")))
}

fn from_bytes<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, TrainError> {
    postcard::from_bytes(bytes).map_err(|e| {
        TrainError::Recipe(format!("the checkpoint holds another state than this version writes: {e}"))
    })
}
