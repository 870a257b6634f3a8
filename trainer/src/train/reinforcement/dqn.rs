//! Deep Q-learning (Mnih et al. 2013 and 2015), with what Rainbow (Hessel et al. 2018) found to help: double estimation (van
//! Hasselt et al. 2016), prioritised replay (Schaul et al. 2016) and returns of several steps (Sutton 1988). A duelling head
//! (Wang et al. 2016) is a matter of the network: any graph will do in which [`VALUES`] or else the first output holds a value for
//! each action. A scripted player may show what is worth finding, and is imitated by a margin (Hester et al. 2018).

use super::lanes::{Episode, Lanes};
use super::learner::{Learner, look};
use super::replay::{Replay, Sample, Transition};
use super::{Advance, Agent, Recipe, TrainError, generator};
use crate::env::Action;
use crate::exec::Weights;
use crate::graph::ValueId;
use crate::ops::largest;
use burn::tensor::{Tensor, TensorData};
use rand::Rng;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Name of the values of actions in a network whose output is something else.
pub const VALUES: &str = "values";

/// Numbers of deep Q-learning. Steps are those of the environment, over all lanes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dqn {
    /// Transitions held.
    pub replay: usize,
    /// Steps before the first update.
    pub warm_up: u64,
    /// Transitions of an update.
    pub batch: usize,
    /// Steps from one update to the next.
    pub update_every: u64,
    /// Updates from one copy to the target network to the next.
    pub target_every: u64,
    /// Probability of a random action at the start and at the end.
    pub epsilon: [f64; 2],
    /// Steps over which it falls.
    pub epsilon_steps: u64,
    /// Most steps that a random action is repeated: `n` steps as often as `1 / n²` (Dabney et al. 2021), which leaves a place
    /// that single random steps would hardly leave. 1 for none.
    pub repeats: u32,
    /// The network in training chooses the action whose value the target network gives.
    pub double: bool,
    /// Rewards that are summed before a value is asked for.
    pub returns: usize,
    /// Prioritised replay.
    pub prioritised: Option<Prioritised>,
    /// Demonstrations of the scripted player, where chance would hardly come upon a reward.
    pub demonstrations: Option<Demonstrations>,
}

/// Numbers of demonstrations: they are steps like all others, remembered and counted. Where the player acted, the value of another
/// action than its own is pushed below the own by a margin, for nobody has tried what that would bring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demonstrations {
    /// Lanes in which the scripted player acts; fewer than all.
    pub lanes: usize,
    /// Steps until it acts no more.
    pub steps: u64,
    /// The margin.
    pub margin: f64,
    /// What the loss of the margin counts.
    pub weight: f64,
}

/// Numbers of prioritised replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prioritised {
    /// Power of the error.
    pub alpha: f64,
    /// How much weights undo it at the start; at the end wholly.
    pub beta: f64,
}

/// A step of a lane whose return is not complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Recent {
    observation: Vec<f32>,
    action: usize,
    reward: f64,
    shown: bool,
}

/// An agent that learns the values of actions.
pub(super) struct Dqner<'a> {
    recipe: &'a Recipe,
    numbers: &'a Dqn,
    output: ValueId,
    target: Weights,
    replay: Replay,
    recent: Vec<VecDeque<Recent>>,
    /// Random action of each lane, and how many steps it still lasts.
    exploring: Vec<(usize, u32)>,
    updates: u64,
}

/// What a checkpoint holds beside weights and lanes.
#[derive(Serialize, Deserialize)]
struct Kept {
    replay: Replay,
    recent: Vec<VecDeque<Recent>>,
    exploring: Vec<(usize, u32)>,
    updates: u64,
    target: Vec<Vec<f32>>,
}

impl<'a> Dqner<'a> {
    pub(super) fn new(
        recipe: &'a Recipe,
        numbers: &'a Dqn,
        learner: &Learner,
        lanes: &Lanes,
    ) -> Result<Self, TrainError> {
        let sizes = [numbers.batch, numbers.returns, recipe.lanes, numbers.replay];
        if sizes.contains(&0) || numbers.update_every == 0 || numbers.target_every == 0 {
            let text = "batch, returns, lanes, replay, update_every and target_every must be at least 1";
            return Err(TrainError::Recipe(text.into()));
        }
        if let Some(shown) = &numbers.demonstrations {
            if shown.lanes >= recipe.lanes {
                return Err(TrainError::Recipe("demonstrations need a lane that is the agent's own".into()));
            }
            if [shown.margin, shown.weight].iter().any(|v| v.is_nan() || *v < 0.0) {
                return Err(TrainError::Recipe(
                    "margin and weight of demonstrations must be at least 0".into(),
                ));
            }
            if lanes.advice(0).is_none() {
                return Err(TrainError::Recipe(
                    "demonstrations: the environment has no scripted player".into(),
                ));
            }
        }
        let graph = learner.graph();
        let each = graph.shape(graph.inputs[0]).elements();
        Ok(Self {
            recipe,
            numbers,
            output: graph.value_named(VALUES).unwrap_or(graph.outputs[0]),
            target: learner.weights().clone(),
            replay: Replay::new(numbers.replay, each, numbers.prioritised.is_some()),
            recent: vec![VecDeque::new(); recipe.lanes],
            exploring: vec![(0, 0); recipe.lanes],
            updates: 0,
        })
    }

    /// Probability of a random action.
    fn epsilon(&self, step: u64) -> f64 {
        let part = (step as f64 / self.numbers.epsilon_steps.max(1) as f64).min(1.0);
        let [first, last] = self.numbers.epsilon;
        first + (last - first) * part
    }

    fn act(
        &mut self,
        learner: &Learner,
        lanes: &mut Lanes,
        step: u64,
        finished: &mut Vec<Episode>,
    ) -> Result<(), TrainError> {
        let mut rng = generator(self.recipe.seed, 1, step);
        let values = &learner.look(lanes.observations(), &[self.output])?[0];
        let actions = values.len() / lanes.len();
        let epsilon = self.epsilon(step);
        let shown = self.numbers.demonstrations.as_ref().filter(|d| step < d.steps).map_or(0, |d| d.lanes);
        for (lane, values) in values.chunks_exact(actions).enumerate() {
            if self.exploring[lane].1 == 0 && (rng.random::<f64>() < epsilon || step < self.numbers.warm_up) {
                self.exploring[lane] =
                    (rng.random_range(0..actions), repeats(self.numbers.repeats, &mut rng));
            }
            let action = match &mut self.exploring[lane] {
                (_, 0) => largest(values),
                (random, left) => {
                    *left -= 1;
                    *random
                }
            };
            let advice = if lane < shown { lanes.advice(lane) } else { None };
            let (action, finished) = match advice {
                // What the scripted player earns is no return of the agent.
                Some(advice) => (advice, &mut Vec::new()),
                None => (action, &mut *finished),
            };
            let observation = lanes.observation(lane).to_vec();
            let reply = lanes.step(lane, Action::Discrete(action), finished);
            self.recent[lane].push_back(Recent {
                observation,
                action,
                reward: reply.reward,
                shown: advice.is_some(),
            });
            let next = reply.last.as_deref().unwrap_or_else(|| lanes.observation(lane));
            if reply.last.is_some() {
                self.exploring[lane].1 = 0;
                while !self.recent[lane].is_empty() {
                    self.remember(lane, next, reply.terminated);
                }
            } else if self.recent[lane].len() == self.numbers.returns {
                self.remember(lane, next, false);
            }
        }
        Ok(())
    }

    /// Moves the oldest step of a lane to the replay memory.
    fn remember(&mut self, lane: usize, next: &[f32], terminated: bool) {
        let discount = self.recipe.discount;
        let recent = &mut self.recent[lane];
        let reward = recent.iter().rev().fold(0.0, |sum, r| r.reward + discount * sum);
        let discount = if terminated { 0.0 } else { discount.powi(recent.len() as i32) };
        let Some(first) = recent.pop_front() else { return };
        self.replay.push(&Transition {
            observation: first.observation,
            action: first.action,
            reward: reward as f32,
            discount: discount as f32,
            next: next.to_vec(),
            shown: first.shown,
        });
    }

    fn update(&mut self, learner: &mut Learner, step: u64, rate: f64) -> Result<f64, TrainError> {
        let done = step as f64 / self.recipe.steps as f64;
        let beta = self.numbers.prioritised.as_ref().map_or(1.0, |p| p.beta + (1.0 - p.beta) * done);
        let mut rng = generator(self.recipe.seed, 2, self.updates);
        let sample = self.replay.sample(self.numbers.batch, beta, &mut rng);
        let targets = self.targets(learner, &sample)?;
        let rows = targets.len();
        let values = learner.forward(&sample.observations, &[self.output])?.remove(0);
        let actions = values.dims()[3];
        let mut chosen = vec![0.0f32; rows * actions];
        sample.actions.iter().enumerate().for_each(|(row, a)| chosen[row * actions + a] = 1.0);
        let device = learner.device();
        let tensor =
            |v: Vec<f32>, c: usize| Tensor::<4>::from_data(TensorData::new(v, [rows, 1, 1, c]), device);
        let chosen = tensor(chosen, actions);
        let value = (values.clone() * chosen.clone()).sum_dim(3);
        let error = value.clone() - tensor(targets, 1);
        let size = error.clone().abs();
        let small = size.clone().clamp_max(1.0);
        // Quadratic up to an error of 1, then linear (Huber 1964).
        let loss = small.clone() * small.clone() * 0.5 + (size - small);
        let mut loss = loss * tensor(sample.weights.clone(), 1);
        if let Some(shown) = &self.numbers.demonstrations {
            let other = (values + chosen.neg().add_scalar(1.0).mul_scalar(shown.margin)).max_dim(3);
            let weights = sample.shown.iter().map(|&s| if s { shown.weight as f32 } else { 0.0 });
            loss = loss + (other - value) * tensor(weights.collect(), 1);
        }
        let loss: Tensor<1> = loss.mean();
        learner.descend(rate, &loss);
        if let Some(p) = &self.numbers.prioritised {
            let errors: Vec<f32> = error.into_data().try_into_vec().expect("errors are f32");
            self.replay.prioritise(&sample.places, &errors, p.alpha);
        }
        self.updates += 1;
        if self.updates.is_multiple_of(self.numbers.target_every) {
            self.target = learner.weights().clone();
        }
        Ok(f64::from(loss.into_scalar::<f32>()))
    }

    /// What the values should be.
    fn targets(&self, learner: &Learner, sample: &Sample) -> Result<Vec<f32>, TrainError> {
        let target = &look(learner.graph(), &self.target, &sample.next, &[], &[self.output])?[0];
        let actions = target.len() / sample.actions.len();
        let chooser =
            if self.numbers.double { &learner.look(&sample.next, &[self.output])?[0] } else { target };
        let best = target.chunks_exact(actions).zip(chooser.chunks_exact(actions));
        let best = best.map(|(values, chooser)| values[largest(chooser)]);
        let rows = best.zip(&sample.rewards).zip(&sample.discounts);
        Ok(rows.map(|((best, reward), discount)| reward + discount * best).collect())
    }
}

/// Steps that a random action lasts, at most `most`.
fn repeats(most: u32, rng: &mut Pcg64) -> u32 {
    let weight = |n: u32| 1.0 / f64::from(n).powi(2);
    let mut left = rng.random::<f64>() * (1..=most).map(weight).sum::<f64>();
    (1..most)
        .find(|&n| {
            left -= weight(n);
            left < 0.0
        })
        .unwrap_or(most.max(1))
}

impl Agent for Dqner<'_> {
    fn advance(
        &mut self,
        learner: &mut Learner,
        lanes: &mut Lanes,
        step: u64,
        rate: f64,
    ) -> Result<Advance, TrainError> {
        let mut finished = Vec::new();
        self.act(learner, lanes, step, &mut finished)?;
        let steps = lanes.len() as u64;
        let mut losses = Vec::new();
        let due = |step: u64| step.saturating_sub(self.numbers.warm_up) / self.numbers.update_every;
        for _ in due(step)..due(step + steps) {
            losses.push(self.update(learner, step, rate)?);
        }
        Ok(Advance { steps, finished, losses })
    }

    fn keep(&self) -> Result<Vec<u8>, TrainError> {
        let target = self.target.read_all();
        let (replay, recent, exploring) = (self.replay.clone(), self.recent.clone(), self.exploring.clone());
        super::to_bytes(&Kept { replay, recent, exploring, updates: self.updates, target })
    }

    fn restore(&mut self, learner: &Learner, bytes: &[u8]) -> Result<(), TrainError> {
        let kept: Kept = super::from_bytes(bytes)?;
        let mut graph = learner.graph().clone();
        if kept.target.len() != graph.params.len() {
            return Err(TrainError::Recipe("the target network is of another model".into()));
        }
        for (param, data) in graph.params.iter_mut().zip(kept.target) {
            param.data = data;
        }
        self.target = Weights::from_graph(&graph, &crate::exec::Device::flex());
        (self.replay, self.recent, self.updates) = (kept.replay, kept.recent, kept.updates);
        self.exploring = kept.exploring;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env;
    use crate::train::reinforcement::Algorithm;
    use crate::zoo::grid_dqn;

    const SHOWN: u64 = 400;

    /// Two lanes of a game, of which the scripted player has `shown`.
    fn recipe(shown: usize) -> Recipe {
        let mut recipe = grid_dqn::recipe("seaquest-dqn");
        let Algorithm::Dqn(numbers) = &mut recipe.algorithm else { unreachable!("a deep Q-network") };
        (recipe.lanes, numbers.warm_up) = (2, u64::MAX);
        numbers.demonstrations =
            Some(Demonstrations { lanes: shown, steps: SHOWN, margin: 0.8, weight: 1.0 });
        recipe
    }

    fn lanes(game: &str) -> Lanes {
        Lanes::new((0..2).map(|_| env::make(game).unwrap()).collect(), 1)
    }

    fn start<'a>(recipe: &'a Recipe, game: &str) -> Result<(Dqner<'a>, Learner, Lanes), TrainError> {
        let Algorithm::Dqn(numbers) = &recipe.algorithm else { unreachable!("a deep Q-network") };
        let board = env::make("seaquest").unwrap().observation_space().shape;
        let mut graph = grid_dqn::network("seaquest-dqn", board, 6).unwrap();
        graph.initialise(1);
        let (learner, lanes) = (Learner::new(graph, &recipe.optimiser, None), lanes(game));
        Ok((Dqner::new(recipe, numbers, &learner, &lanes)?, learner, lanes))
    }

    #[test]
    fn the_scripted_player_acts_in_its_lanes_for_its_time() {
        let recipe = recipe(1);
        let (mut agent, mut learner, mut played) = start(&recipe, "seaquest").unwrap();
        let mut alone = lanes("seaquest");
        let (mut own, mut apart) = (0, 0);
        for step in (0..2 * SHOWN).step_by(2) {
            own += agent.advance(&mut learner, &mut played, step, 1e-4).unwrap().finished.len();
            let advice = alone.advice(0).unwrap();
            alone.step(0, Action::Discrete(advice), &mut Vec::new());
            let same = played.observation(0) == alone.observation(0);
            assert!(same || step >= SHOWN, "step {step}");
            apart += u32::from(!same);
        }
        assert!(apart > 50, "{apart} observations are another's once the agent acts");
        assert!(own > 5, "{own} episodes of its own are over");
    }

    #[test]
    fn demonstrations_need_a_script_and_a_lane_beside() {
        let text =
            |recipe: &Recipe, game| start(recipe, game).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(text(&recipe(2), "seaquest").contains("agent's own"));
        assert!(text(&recipe(1), "CartPole-v1").contains("no scripted player"));
        for (margin, weight) in [(-0.1, 1.0), (f64::NAN, 1.0), (0.8, -1.0)] {
            let mut recipe = recipe(1);
            let Algorithm::Dqn(numbers) = &mut recipe.algorithm else { unreachable!("a deep Q-network") };
            numbers.demonstrations = Some(Demonstrations { lanes: 1, steps: SHOWN, margin, weight });
            assert!(text(&recipe, "seaquest").contains("at least 0"), "{margin} {weight}");
        }
    }
}
