//! Proximal policy optimisation of a network with a memory: gradients flow back through the steps of a rollout, and no
//! further (truncated backpropagation through time). Before it, the policy may imitate a scripted player, as AlphaStar does
//! people (Vinyals et al. 2019).
//!
//! The graph is that of one step: its memory is one recurrent layer with persistent tensors, and the value named
//! [`PERCEPTION`] is that layer's input. What comes before it runs on all steps at once; from there on the layer is given
//! sequences, one for each part of a lane's rollout that belongs to one episode.

use super::actor_critic::{CRITIC, column};
use super::advantage::{After, normalise};
use super::distribution::{categorical_entropy, categorical_log_prob, draw_categorical};
use super::lanes::{Episode, Lanes};
use super::learner::{Learner, look, rows};
use super::objective::Objective;
use super::ppo::{Ppo, clipped_loss, value_loss};
use super::{Advance, Agent, Recipe, TrainError, advantages, from_bytes, generator, to_bytes};
use crate::env::{Action, ActionSpace};
use crate::exec::{self, Mode, NoTap};
use crate::graph::ValueId;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

/// Name of the value that the recurrent layer reads.
pub const PERCEPTION: &str = "perception";

/// Numbers of PPO for a network with a memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecurrentPpo {
    /// As without a memory; a batch counts steps, and is rounded to whole lanes. The distance is not looked at.
    pub ppo: Ppo,
    /// Largest norm of the gradient of all parameters together.
    pub norm: f32,
    /// Part of the entropy's weight that is left at the end; it goes there linearly.
    pub entropy_last: f64,
    /// What comes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imitation: Option<Imitation>,
}

/// Imitation of the environment's scripted player: the logarithm of the probability of its action is raised, in situations
/// that the player itself and the policy lead into (Ross et al. 2011). The critic learns meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imitation {
    /// Steps of the environment, of those of the recipe.
    pub steps: u64,
    /// Factor of the learning rate.
    pub rate: f64,
    /// Part of the lanes in which the scripted player acts.
    pub led: f64,
}

/// An agent with a memory.
pub(super) struct Recurrent<'a> {
    recipe: &'a Recipe,
    numbers: &'a RecurrentPpo,
    policy: ValueId,
    critic: ValueId,
    perception: ValueId,
    actions: usize,
    memory: Memory,
}

/// What the lanes remember: nothing where an episode begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// Content of each persistent tensor, lane after lane.
    content: Vec<Vec<f32>>,
}

/// Steps of all lanes, lane after lane, each in order.
struct Rollout {
    observations: Vec<f32>,
    /// The action taken.
    taken: Vec<usize>,
    /// The scripted player's.
    advised: Vec<usize>,
    advantages: Vec<f32>,
    values: Vec<f32>,
    log_probs: Vec<f32>,
    /// Whether an episode begins with the step.
    begins: Vec<bool>,
    /// What the lanes remembered before the first step.
    memory: Memory,
}

/// One lane's part of a rollout while it is recorded.
#[derive(Clone, Default)]
struct Track {
    observations: Vec<f32>,
    taken: Vec<usize>,
    advised: Vec<usize>,
    rewards: Vec<f32>,
    values: Vec<f32>,
    log_probs: Vec<f32>,
    after: Vec<After>,
    cuts: Vec<f32>,
    begins: Vec<bool>,
}

/// How a gradient is followed.
#[derive(Clone, Copy)]
struct How {
    rate: f64,
    /// The scripted player rather than the gain of what was done.
    imitates: bool,
    /// Factor of the entropy's weight.
    entropy: f64,
}

/// Steps of one episode in a lane's rollout.
struct Part {
    lane: usize,
    start: usize,
    len: usize,
}

impl Memory {
    fn empty(learner: &Learner, lanes: usize) -> Self {
        let graph = learner.graph();
        let size = |value: ValueId| graph.shape(value).elements() * lanes;
        Self { content: graph.states.iter().map(|state| vec![0.0; size(state.read)]).collect() }
    }

    /// The content of some lanes.
    fn of(&self, lanes: usize, wanted: &[usize]) -> Vec<Vec<f32>> {
        let pick = |all: &Vec<f32>| {
            let each = all.len() / lanes;
            wanted.iter().flat_map(|lane| &all[lane * each..(lane + 1) * each]).copied().collect()
        };
        self.content.iter().map(pick).collect()
    }

    fn forget(&mut self, lanes: usize, lane: usize) {
        for all in &mut self.content {
            let each = all.len() / lanes;
            all[lane * each..(lane + 1) * each].fill(0.0);
        }
    }
}

impl<'a> Recurrent<'a> {
    pub(super) fn new(
        recipe: &'a Recipe,
        numbers: &'a RecurrentPpo,
        learner: &Learner,
        lanes: &Lanes,
    ) -> Result<Self, TrainError> {
        let graph = learner.graph();
        let refuse = |text: String| Err(TrainError::Recipe(format!("`{}` {text}", graph.name)));
        let ActionSpace::Discrete(actions) = lanes.action_space() else {
            return refuse("needs an environment with actions to choose from".into());
        };
        if [numbers.ppo.rollout, numbers.ppo.epochs, numbers.ppo.batch].contains(&0) {
            return Err(TrainError::Recipe("rollout, epochs and batch must be at least 1".into()));
        }
        if numbers.imitation.is_some() && lanes.advice(0).is_none() {
            return Err(TrainError::Recipe("the environment has no scripted player to imitate".into()));
        }
        let policy = graph.outputs[0];
        if graph.shape(policy).elements() != actions {
            return refuse(format!("gives {}, the environment takes {actions} scores", graph.shape(policy)));
        }
        let [Some(critic), Some(perception)] = [CRITIC, PERCEPTION].map(|name| graph.value_named(name))
        else {
            return refuse(format!(
                "has no values `{CRITIC}` and `{PERCEPTION}`, which this algorithm needs"
            ));
        };
        if graph.states.is_empty() {
            return refuse("has no persistent tensors: it remembers nothing".into());
        }
        let memory = Memory::empty(learner, lanes.len());
        Ok(Self { recipe, numbers, policy, critic, perception, actions, memory })
    }

    /// Acts in all lanes. In the first `led` of them the scripted player does.
    fn record(
        &mut self,
        learner: &Learner,
        lanes: &mut Lanes,
        led: usize,
        rng: &mut Pcg64,
        finished: &mut Vec<Episode>,
    ) -> Result<Rollout, TrainError> {
        let (graph, count) = (learner.graph(), lanes.len());
        let (memory, steps) = (self.memory.clone(), self.numbers.ppo.rollout);
        let mut tracks = vec![Track::default(); count];
        let mut want = vec![self.policy, self.critic];
        want.extend(graph.states.iter().map(|state| state.write));
        let all: Vec<usize> = (0..count).collect();
        // An empty memory begins an episode, whether or not one has just ended.
        let mut begins = vec![false; count];
        for step in 0..steps {
            let known = &self.memory.content;
            let mut said = look(graph, learner.weights(), lanes.observations(), known, &want)?.into_iter();
            let (logits, values) = (said.next().unwrap_or_default(), said.next().unwrap_or_default());
            self.memory.content = said.collect();
            let mut truncated = (Vec::new(), Vec::new());
            for (lane, track) in tracks.iter_mut().enumerate() {
                let logits = &logits[lane * self.actions..(lane + 1) * self.actions];
                let advised = lanes.advice(lane).unwrap_or_default();
                let drawn = draw_categorical(logits, rng);
                let taken = if lane < led { advised } else { drawn };
                track.observations.extend_from_slice(lanes.observation(lane));
                track.log_probs.push(log_prob(logits, taken));
                track.taken.push(taken);
                track.advised.push(advised);
                track.values.push(values[lane]);
                track.begins.push(std::mem::take(&mut begins[lane]));
                let reply = lanes.step(lane, Action::Discrete(taken), finished);
                track.rewards.push((reply.reward * self.numbers.ppo.objective.reward_scale) as f32);
                let last = step + 1 == steps;
                track.after.push(match &reply.last {
                    Some(_) if reply.terminated => After::End,
                    Some(seen) => {
                        truncated.0.push(lane);
                        truncated.1.extend_from_slice(seen);
                        After::Cut
                    }
                    None if last => {
                        truncated.0.push(lane);
                        truncated.1.extend_from_slice(lanes.observation(lane));
                        After::Cut
                    }
                    None => After::Row,
                });
                begins[lane] = reply.last.is_some();
            }
            let (cut, seen) = truncated;
            if !cut.is_empty() {
                let known = self.memory.of(count, &cut);
                let values = look(graph, learner.weights(), &seen, &known, &[self.critic])?.remove(0);
                cut.iter().zip(values).for_each(|(lane, value)| tracks[*lane].cuts.push(value));
            }
            all.iter().filter(|lane| begins[**lane]).for_each(|lane| self.memory.forget(count, *lane));
        }
        Ok(self.join(tracks, memory))
    }

    fn join(&self, tracks: Vec<Track>, memory: Memory) -> Rollout {
        let (mut observations, mut taken, mut advised) = (Vec::new(), Vec::new(), Vec::new());
        let (mut gains, mut values, mut log_probs, mut begins) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let lambda = self.numbers.ppo.lambda;
        for t in tracks {
            let discount = self.recipe.discount;
            gains.extend(advantages(&t.rewards, &t.values, &t.after, &t.cuts, discount, lambda));
            observations.extend(t.observations);
            taken.extend(t.taken);
            advised.extend(t.advised);
            values.extend(t.values);
            log_probs.extend(t.log_probs);
            begins.extend(t.begins);
        }
        Rollout { observations, taken, advised, advantages: gains, values, log_probs, begins, memory }
    }

    /// Scores and values of all steps of some lanes, with gradients, `[steps, 1, 1, c]`, lane after lane.
    fn judge(
        &self,
        learner: &Learner,
        rollout: &Rollout,
        lanes: &[usize],
        count: usize,
    ) -> Result<[Tensor<4>; 2], TrainError> {
        let (graph, weights, device) = (learner.graph(), learner.tracked(), learner.device());
        let steps = self.numbers.ppo.rollout;
        let seen = pick(&rollout.observations, count, lanes);
        let perceived = learner.forward(&seen, &[self.perception])?.remove(0);
        let [rows_seen, _, _, channels] = perceived.dims();
        let parts = parts(&rollout.begins, lanes, steps);
        // Sequences of `steps`, the shorter ones filled up with whatever is first.
        let at = |part: &Part, step: usize| {
            if step < part.len { part.lane * steps + part.start + step } else { 0 }
        };
        let from: Vec<usize> =
            parts.iter().flat_map(|part| (0..steps).map(move |step| at(part, step))).collect();
        let sequences = perceived.reshape([rows_seen, channels]).select(0, indices(&from, device)).reshape([
            parts.len(),
            1,
            steps,
            channels,
        ]);
        let mut given = vec![(self.perception, sequences)];
        for (state, content) in graph.states.iter().zip(&rollout.memory.content) {
            let each = content.len() / count;
            let before = |part: &Part| match part.start {
                0 if !rollout.begins[lanes[part.lane] * steps] => {
                    content[lanes[part.lane] * each..(lanes[part.lane] + 1) * each].to_vec()
                }
                _ => vec![0.0; each],
            };
            let content: Vec<f32> = parts.iter().flat_map(before).collect();
            given.push((state.read, rows(graph, state.read, &content, device)));
        }
        let want = [self.policy, self.critic];
        let run = exec::run_from(graph, weights, &given, &want, Mode::Evaluate, &mut NoTap);
        // The steps of the parts, in the order of the lanes.
        let to: Vec<usize> = parts
            .iter()
            .enumerate()
            .flat_map(|(row, part)| (0..part.len).map(move |k| row * steps + k))
            .collect();
        let ordered = |tensor: Tensor<4>| {
            let [n, _, w, c] = tensor.dims();
            tensor.reshape([n * w, c]).select(0, indices(&to, device)).reshape([to.len(), 1, 1, c])
        };
        Ok([0, 1].map(|i| ordered(run.values[i].float())))
    }

    /// One gradient from some lanes of a rollout.
    fn descend(
        &self,
        learner: &mut Learner,
        rollout: &Rollout,
        lanes: &[usize],
        count: usize,
        how: How,
    ) -> Result<f64, TrainError> {
        let [logits, said] = self.judge(learner, rollout, lanes, count)?;
        let device = learner.device();
        let values = pick(&rollout.values, count, lanes);
        let mut gains = pick(&rollout.advantages, count, lanes);
        let returns = values.iter().zip(&gains).map(|(v, a)| v + a).collect();
        let Ppo { clip, value_clip, objective, .. } = &self.numbers.ppo;
        let value = value_loss(said, column(returns, device), column(values, device), *value_clip);
        let which = if how.imitates { &rollout.advised } else { &rollout.taken };
        let mut chosen = vec![0.0; logits.dims()[0] * self.actions];
        for (row, action) in pick(which, count, lanes).into_iter().enumerate() {
            chosen[row * self.actions + action] = 1.0;
        }
        let chosen = TensorData::new(chosen, [logits.dims()[0], 1, 1, self.actions]);
        let log_probs = categorical_log_prob(logits.clone(), Tensor::from_data(chosen, device));
        let loss = if how.imitates {
            log_probs.mean().neg() + value * objective.value_weight
        } else {
            if objective.normalise {
                normalise(&mut gains);
            }
            let log_ratio = log_probs - column(pick(&rollout.log_probs, count, lanes), device);
            let policy = clipped_loss(log_ratio, column(gains, device), *clip);
            let objective =
                Objective { entropy_weight: objective.entropy_weight * how.entropy, ..objective.clone() };
            objective.loss(policy, value, categorical_entropy(logits))
        };
        learner.descend_within(how.rate, &loss, self.numbers.norm);
        Ok(f64::from(loss.into_scalar::<f32>()))
    }
}

impl Agent for Recurrent<'_> {
    fn advance(
        &mut self,
        learner: &mut Learner,
        lanes: &mut Lanes,
        step: u64,
        rate: f64,
    ) -> Result<Advance, TrainError> {
        let imitation = self.numbers.imitation.as_ref().filter(|i| step < i.steps);
        let count = lanes.len();
        let led = imitation.map_or(0, |i| (i.led * count as f64).round() as usize);
        let rate = rate * imitation.map_or(1.0, |i| i.rate);
        let mut rng = generator(self.recipe.seed, 1, step);
        let mut finished = Vec::new();
        let rollout = self.record(learner, lanes, led, &mut rng, &mut finished)?;
        let mut order: Vec<usize> = (0..count).collect();
        let each = (self.numbers.ppo.batch / self.numbers.ppo.rollout).max(1);
        let done = step as f64 / self.recipe.steps as f64;
        let entropy = 1.0 - done * (1.0 - self.numbers.entropy_last);
        let how = How { rate, imitates: imitation.is_some(), entropy };
        let mut losses = Vec::new();
        for _ in 0..self.numbers.ppo.epochs {
            order.shuffle(&mut rng);
            for lanes in order.chunks(each) {
                losses.push(self.descend(learner, &rollout, lanes, count, how)?);
            }
        }
        Ok(Advance { steps: rollout.taken.len() as u64, finished, losses })
    }

    fn keep(&self) -> Result<Vec<u8>, TrainError> {
        to_bytes(&self.memory)
    }

    fn restore(&mut self, _learner: &Learner, bytes: &[u8]) -> Result<(), TrainError> {
        let memory: Memory = from_bytes(bytes)?;
        let sizes = |m: &Memory| m.content.iter().map(Vec::len).collect::<Vec<_>>();
        if sizes(&memory) != sizes(&self.memory) {
            return Err(TrainError::Recipe("the checkpoint remembers for another network".into()));
        }
        self.memory = memory;
        Ok(())
    }
}

/// The parts of some lanes' rollouts that belong to one episode each.
fn parts(begins: &[bool], lanes: &[usize], steps: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    for (at, lane) in lanes.iter().enumerate() {
        let begins = &begins[lane * steps..(lane + 1) * steps];
        let mut start = 0;
        for end in (1..=steps).filter(|&end| end == steps || begins[end]) {
            parts.push(Part { lane: at, start, len: end - start });
            start = end;
        }
    }
    parts
}

/// What `all`, which has equal shares for `count` lanes, has for some of them.
fn pick<T: Copy>(all: &[T], count: usize, lanes: &[usize]) -> Vec<T> {
    let each = all.len() / count;
    lanes.iter().flat_map(|lane| &all[lane * each..(lane + 1) * each]).copied().collect()
}

/// Logarithm of the probability of an action under softmax of `logits`.
fn log_prob(logits: &[f32], action: usize) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|l| (l - largest).exp()).sum();
    logits[action] - largest - sum.ln()
}

fn indices(list: &[usize], device: &Device) -> Tensor<1, Int> {
    let list: Vec<i64> = list.iter().map(|i| *i as i64).collect();
    let size = [list.len()];
    Tensor::from_data(TensorData::new(list, size), device)
}

#[cfg(test)]
mod tests;
