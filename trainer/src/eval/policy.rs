//! Policies in float and int8, measured on episodes alike.

use crate::env::{Action, ActionSpace, Env};
use crate::exec::{ExecError, Weights};
use crate::graph::{Graph, State};
use crate::ops::largest;
use crate::quantise::{Int8Runner, RunnerError};
use crate::train::reinforcement::look;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// Why a policy cannot act.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The float network does not fit the environment.
    #[error(transparent)]
    Float(#[from] ExecError),
    /// The runtime refuses the int8 network.
    #[error(transparent)]
    Int8(#[from] RunnerError),
    /// The network is for another environment.
    #[error("{0}")]
    Fit(String),
}

/// Outputs of a network for what is seen in several episodes side by side.
pub trait Policy {
    /// Forgets all episodes and makes room for `lanes` new ones.
    ///
    /// # Errors
    /// A network that cannot be run so often.
    fn begin(&mut self, lanes: usize) -> Result<(), PolicyError>;

    /// Scores of actions, or numbers, for the normalised observations of some lanes, row after row.
    ///
    /// # Errors
    /// Observations that do not fit the network.
    fn outputs(&mut self, lanes: &[usize], observations: &[f32]) -> Result<Vec<f32>, PolicyError>;

    /// What each persistent tensor now holds for some lanes, row after row; nothing of a network without any, or one that
    /// keeps it to itself.
    fn memory(&self, _lanes: &[usize]) -> Vec<Vec<f32>> {
        Vec::new()
    }
}

/// A float network. What it remembers is kept for each lane.
#[derive(Clone, Debug)]
pub struct FloatPolicy<'a> {
    graph: &'a Graph,
    weights: Weights,
    /// Content of each persistent tensor, lane after lane.
    memory: Vec<Vec<f32>>,
}

impl<'a> FloatPolicy<'a> {
    /// The policy that the parameters of `graph` make.
    pub fn new(graph: &'a Graph) -> Self {
        Self::with_weights(graph, Weights::from_graph(graph, &Device::flex()))
    }

    /// The policy of other weights.
    pub fn with_weights(graph: &'a Graph, weights: Weights) -> Self {
        Self { graph, weights, memory: Vec::new() }
    }
}

impl Policy for FloatPolicy<'_> {
    fn begin(&mut self, lanes: usize) -> Result<(), PolicyError> {
        let size = |state: &State| self.graph.shape(state.read).elements() * lanes;
        self.memory = self.graph.states.iter().map(|state| vec![0.0; size(state)]).collect();
        Ok(())
    }

    fn outputs(&mut self, lanes: &[usize], observations: &[f32]) -> Result<Vec<f32>, PolicyError> {
        let mut want = self.graph.outputs[..1].to_vec();
        want.extend(self.graph.states.iter().map(|state| state.write));
        let memory = self.memory(lanes);
        let mut values = look(self.graph, &self.weights, observations, &memory, &want)?.into_iter();
        let outputs = values.next().unwrap_or_default();
        for (memory, (rows, state)) in self.memory.iter_mut().zip(values.zip(&self.graph.states)) {
            let each = self.graph.shape(state.read).elements();
            for (lane, row) in lanes.iter().zip(rows.chunks_exact(each)) {
                memory[lane * each..(lane + 1) * each].copy_from_slice(row);
            }
        }
        Ok(outputs)
    }

    fn memory(&self, lanes: &[usize]) -> Vec<Vec<f32>> {
        let rows = |(memory, state): (&Vec<f32>, &State)| {
            let each = self.graph.shape(state.read).elements();
            lanes.iter().flat_map(|lane| &memory[lane * each..(lane + 1) * each]).copied().collect()
        };
        self.memory.iter().zip(&self.graph.states).map(rows).collect()
    }
}

/// An int8 network on the runtime, one session for each lane where it has persistent tensors.
pub struct Int8Policy {
    file: Vec<u8>,
    sessions: Vec<Int8Runner>,
    remembers: bool,
}

impl Int8Policy {
    /// The policy of a `.dun` file.
    ///
    /// # Errors
    /// A file that the runtime refuses.
    pub fn new(file: &[u8]) -> Result<Self, PolicyError> {
        let runner = Int8Runner::new(file)?;
        let remembers = runner.remembers();
        Ok(Self { file: file.to_vec(), sessions: vec![runner], remembers })
    }
}

impl Policy for Int8Policy {
    fn begin(&mut self, lanes: usize) -> Result<(), PolicyError> {
        if self.remembers {
            let sessions: Result<_, RunnerError> = (0..lanes).map(|_| Int8Runner::new(&self.file)).collect();
            self.sessions = sessions?;
        }
        Ok(())
    }

    fn outputs(&mut self, lanes: &[usize], observations: &[f32]) -> Result<Vec<f32>, PolicyError> {
        if !self.remembers {
            return Ok(self.sessions[0].run_rows(observations)?);
        }
        let each = (observations.len() / lanes.len().max(1)).max(1);
        let mut outputs = Vec::new();
        for (&lane, observation) in lanes.iter().zip(observations.chunks_exact(each)) {
            outputs.extend(self.sessions[lane].run_rows(observation)?);
        }
        Ok(outputs)
    }
}

/// What a policy earned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Returns {
    /// Sum of the rewards of each episode.
    pub totals: Vec<f64>,
    /// Steps of each.
    pub steps: Vec<u64>,
    /// Episodes that reached their goal, where there is one.
    pub successes: Option<usize>,
}

impl Returns {
    /// Mean of the returns.
    pub fn mean(&self) -> f64 {
        self.totals.iter().sum::<f64>() / self.totals.len().max(1) as f64
    }

    /// Standard deviation of the returns.
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        let sum: f64 = self.totals.iter().map(|t| (t - mean) * (t - mean)).sum();
        (sum / (self.totals.len().max(2) - 1) as f64).sqrt()
    }

    /// Half of the width of the 95 % confidence interval of the mean, normal approximation.
    pub fn confidence(&self) -> f64 {
        1.96 * self.deviation() / (self.totals.len().max(1) as f64).sqrt()
    }

    /// Part of the episodes that reached their goal, where there is one.
    pub fn success(&self) -> Option<f64> {
        self.successes.map(|s| s as f64 / self.totals.len().max(1) as f64)
    }

    /// The episodes of both.
    pub fn merge(&mut self, other: Self) {
        self.totals.extend(other.totals);
        self.steps.extend(other.steps);
        self.successes = match (self.successes, other.successes) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
    }
}

/// Seed of episode `index` of a measurement with `seed`.
pub fn episode_seed(seed: u64, index: u64) -> u64 {
    (seed << 32 | index) & !(1 << 63)
}

/// Plays `episodes` episodes, side by side, each in an environment of its own.
///
/// # Errors
/// A policy that does not fit the environment.
pub fn play(
    make: &dyn Fn() -> Box<dyn Env>,
    policy: &mut dyn Policy,
    episodes: std::ops::Range<u64>,
    seed: u64,
) -> Result<Returns, PolicyError> {
    let count = (episodes.end - episodes.start) as usize;
    let mut envs: Vec<Box<dyn Env>> = (0..count).map(|_| make()).collect();
    let Some(first) = envs.first() else { return Ok(Returns::default()) };
    let (each, space, normalisation) =
        (first.observation_space().len(), first.action_space(), first.normalisation());
    let mut seen = vec![0.0; each * count];
    for ((env, seen), index) in envs.iter_mut().zip(seen.chunks_exact_mut(each)).zip(episodes) {
        env.reset(episode_seed(seed, index), seen);
        normalisation.apply(seen);
    }
    policy.begin(count)?;
    let mut returns = Returns { totals: vec![0.0; count], steps: vec![0; count], successes: None };
    let mut alive: Vec<usize> = (0..count).collect();
    while !alive.is_empty() {
        let rows: Vec<f32> =
            alive.iter().flat_map(|&l| seen[l * each..(l + 1) * each].iter().copied()).collect();
        let outputs = policy.outputs(&alive, &rows)?;
        let width = space.outputs();
        if outputs.len() != width * alive.len() {
            let found = outputs.len() / alive.len();
            let problem = format!("{} takes {width} numbers, the network gives {found}", envs[0].name());
            return Err(PolicyError::Fit(problem));
        }
        let mut on = Vec::with_capacity(alive.len());
        for (&lane, outputs) in alive.iter().zip(outputs.chunks_exact(width)) {
            let seen = &mut seen[lane * each..(lane + 1) * each];
            let step = envs[lane].step(choose(&space, outputs), seen);
            normalisation.apply(seen);
            returns.totals[lane] += step.reward;
            returns.steps[lane] += 1;
            if step.done() {
                if let Some(reached) = envs[lane].succeeded() {
                    *returns.successes.get_or_insert(0) += usize::from(reached);
                }
            } else {
                on.push(lane);
            }
        }
        alive = on;
    }
    Ok(returns)
}

/// Plays `episodes` episodes on several threads, each with a policy that `policy` makes.
///
/// # Errors
/// As [`play`].
pub fn measure<P: Policy>(
    make: &(dyn Fn() -> Box<dyn Env> + Sync),
    policy: &(dyn Fn() -> Result<P, PolicyError> + Sync),
    episodes: u64,
    seed: u64,
) -> Result<Returns, PolicyError> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let share = episodes.div_ceil(threads).max(1);
    let parts: Vec<Result<Returns, PolicyError>> = std::thread::scope(|scope| {
        let part = |first: u64| {
            let range = first..(first + share).min(episodes);
            scope.spawn(move || {
                crate::train::single_threaded(|| play(&|| make(), &mut policy()?, range, seed))
            })
        };
        let handles: Vec<_> = (0..episodes).step_by(share as usize).map(part).collect();
        handles.into_iter().map(|h| h.join().expect("playing does not panic")).collect()
    });
    let mut all = Returns::default();
    for part in parts {
        all.merge(part?);
    }
    Ok(all)
}

/// What is seen in episodes that `policy` plays, normalised: `count` observations, spread over them, row after row; after them
/// what the policy remembered before it saw each, persistent tensor by persistent tensor.
///
/// # Errors
/// As [`play`].
pub fn observations(
    make: &dyn Fn() -> Box<dyn Env>,
    policy: &mut dyn Policy,
    count: usize,
    seed: u64,
) -> Result<Vec<Vec<f32>>, PolicyError> {
    let mut seen = Seen { policy, tensors: vec![Vec::new()] };
    play(make, &mut seen, 0..EPISODES_SEEN, seed)?;
    let rows = seen.tensors[0].len() / make().observation_space().len();
    let taken = count.min(rows);
    let spread = |tensor: &Vec<f32>| {
        let each = tensor.len() / rows;
        (0..taken).flat_map(|i| &tensor[i * rows / taken * each..][..each]).copied().collect()
    };
    Ok(seen.tensors.iter().map(spread).collect())
}

/// Episodes from which [`observations`] are taken.
const EPISODES_SEEN: u64 = 16;

/// A policy that keeps what it sees and remembers.
struct Seen<'a> {
    policy: &'a mut dyn Policy,
    tensors: Vec<Vec<f32>>,
}

impl Policy for Seen<'_> {
    fn begin(&mut self, lanes: usize) -> Result<(), PolicyError> {
        self.policy.begin(lanes)
    }

    fn outputs(&mut self, lanes: &[usize], observations: &[f32]) -> Result<Vec<f32>, PolicyError> {
        let memory = self.policy.memory(lanes);
        self.tensors.resize(1 + memory.len(), Vec::new());
        self.tensors[0].extend_from_slice(observations);
        self.tensors[1..].iter_mut().zip(memory).for_each(|(kept, rows)| kept.extend(rows));
        self.policy.outputs(lanes, observations)
    }
}

/// The action that a network's outputs stand for.
pub fn choose<'a>(space: &ActionSpace, outputs: &'a [f32]) -> Action<'a> {
    match space {
        ActionSpace::Discrete(_) => Action::Discrete(largest(outputs)),
        ActionSpace::Continuous(_) => Action::Continuous(outputs),
    }
}
