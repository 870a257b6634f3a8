//! Policies that draw their actions, with a critic that estimates what is to come.
//!
//! Of the graph, the first output is the policy, which is deployed: logits of actions, or means of numbers. The values
//! named [`CRITIC`] and, for numbers, [`LOG_STD`] are no outputs, so that an export of the trained graph drops what only
//! they need.

use super::advantage::After;
use super::distribution::{
    categorical_entropy, categorical_log_prob, draw_categorical, draw_gaussian, gaussian_entropy,
    gaussian_log_prob,
};
use super::lanes::{Episode, Lanes};
use super::learner::Learner;
use super::{Recipe, TrainError, advantages, generator};
use crate::env::{Action, ActionSpace};
use crate::graph::{Graph, ValueId};
use burn::tensor::{Device, Tensor, TensorData};

/// Name of the value that estimates the discounted sum of the rewards to come.
pub const CRITIC: &str = "critic";

/// Name of the value that holds the logarithm of the standard deviation of each number.
pub const LOG_STD: &str = "log_std";

/// How long lanes are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// So many steps of each lane.
    Steps(usize),
    /// The end of the episode of each lane.
    Episode,
}

/// Where policy and critic are in a graph.
#[derive(Clone, Debug)]
pub(super) struct ActorCritic {
    policy: ValueId,
    critic: ValueId,
    log_std: Option<ValueId>,
    outputs: usize,
}

/// Steps of all lanes, lane after lane, each in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Rollout {
    /// What was seen, normalised.
    pub observations: Vec<f32>,
    /// What was done, as [`super::distribution`] takes it.
    pub actions: Vec<f32>,
    /// Rewards, scaled.
    pub rewards: Vec<f32>,
    /// What follows each step.
    pub after: Vec<After>,
    /// What was seen after each cut.
    pub cuts: Vec<f32>,
    /// Logarithms of the probabilities of the actions when they were taken.
    pub log_probs: Vec<f32>,
    /// What the critic said.
    pub values: Vec<f32>,
    /// How much better the actions were.
    pub advantages: Vec<f32>,
}

/// What the network says of rows of a rollout, with gradients.
pub(super) struct Judged {
    /// Logarithms of the probabilities of the actions, `[rows, 1, 1, 1]`.
    pub log_probs: Tensor<4>,
    /// Entropy of the policy, `[rows, 1, 1, 1]`.
    pub entropy: Tensor<4>,
    /// What the critic says, `[rows, 1, 1, 1]`.
    pub values: Tensor<4>,
}

/// A lane's part of a rollout.
#[derive(Clone, Debug, Default)]
struct Track {
    rollout: Rollout,
    outputs: Vec<f32>,
    log_std: Vec<f32>,
}

impl ActorCritic {
    /// Finds the values.
    pub(super) fn new(graph: &Graph, space: &ActionSpace) -> Result<Self, TrainError> {
        let find = |name: &str| graph.value_named(name);
        let policy = graph.outputs[0];
        let outputs = space.outputs();
        let refuse = |text: String| Err(TrainError::Recipe(format!("`{}` {text}", graph.name)));
        let fits = |v: ValueId, wanted: usize| graph.shape(v).elements() == wanted;
        if !fits(policy, outputs) {
            return refuse(format!(
                "gives {} where the environment takes {outputs} numbers",
                graph.shape(policy)
            ));
        }
        let Some(critic) = find(CRITIC).filter(|v| fits(*v, 1)) else {
            return refuse(format!("has no value `{CRITIC}` of one number, which this algorithm needs"));
        };
        let log_std = match space {
            ActionSpace::Discrete(_) => None,
            ActionSpace::Continuous(_) => match find(LOG_STD).filter(|v| fits(*v, outputs)) {
                Some(value) => Some(value),
                None => return refuse(format!("has no value `{LOG_STD}` of {outputs} numbers")),
            },
        };
        Ok(Self { policy, critic, log_std, outputs })
    }

    /// Acts in all lanes and says how well, with advantages of `lambda`.
    pub(super) fn record(
        &self,
        learner: &Learner,
        lanes: &mut Lanes,
        until: Until,
        moment: Moment<'_>,
        finished: &mut Vec<Episode>,
    ) -> Result<Rollout, TrainError> {
        let Moment { recipe, step, scale, lambda } = moment;
        let mut rng = generator(recipe.seed, 1, step);
        let mut tracks = vec![Track::default(); lanes.len()];
        let mut active: Vec<usize> = (0..lanes.len()).collect();
        let mut want = vec![self.policy];
        want.extend(self.log_std);
        let mut done = 0;
        while !active.is_empty() {
            let seen: Vec<f32> = active.iter().flat_map(|l| lanes.observation(*l)).copied().collect();
            let mut said = learner.look(&seen, &want)?.into_iter();
            let outputs = said.next().unwrap_or_default();
            let log_stds = said.next().unwrap_or_default();
            done += 1;
            let last = until == Until::Steps(done);
            let mut on = Vec::with_capacity(active.len());
            for (row, &lane) in active.iter().enumerate() {
                let part = row * self.outputs..(row + 1) * self.outputs;
                let (outputs, log_std) = (&outputs[part.clone()], log_stds.get(part));
                let track = &mut tracks[lane];
                track.rollout.observations.extend_from_slice(lanes.observation(lane));
                track.outputs.extend_from_slice(outputs);
                let reply = match log_std {
                    Some(log_std) => {
                        track.log_std.extend_from_slice(log_std);
                        let numbers = draw_gaussian(outputs, log_std, &mut rng);
                        track.rollout.actions.extend_from_slice(&numbers);
                        lanes.step(lane, Action::Continuous(&numbers), finished)
                    }
                    None => {
                        let index = draw_categorical(outputs, &mut rng);
                        let taken = (0..self.outputs).map(|i| f32::from(u8::from(i == index)));
                        track.rollout.actions.extend(taken);
                        lanes.step(lane, Action::Discrete(index), finished)
                    }
                };
                track.rollout.rewards.push((reply.reward * scale) as f32);
                let cut = match &reply.last {
                    Some(seen) => (!reply.terminated).then_some(seen.as_slice()),
                    None => last.then(|| lanes.observation(lane)),
                };
                track.rollout.cuts.extend_from_slice(cut.unwrap_or_default());
                track.rollout.after.push(match (cut, &reply.last) {
                    (Some(_), _) => After::Cut,
                    (None, Some(_)) => After::End,
                    (None, None) => After::Row,
                });
                if !last && (until != Until::Episode || reply.last.is_none()) {
                    on.push(lane);
                }
            }
            active = on;
        }
        self.finish(learner, tracks, recipe.discount, lambda)
    }

    /// Joins the lanes and fills in what the network says of them.
    fn finish(
        &self,
        learner: &Learner,
        tracks: Vec<Track>,
        discount: f64,
        lambda: f64,
    ) -> Result<Rollout, TrainError> {
        let mut all = Track::default();
        for track in tracks {
            let (to, from) = (&mut all.rollout, track.rollout);
            to.observations.extend(from.observations);
            to.actions.extend(from.actions);
            to.rewards.extend(from.rewards);
            to.after.extend(from.after);
            to.cuts.extend(from.cuts);
            all.outputs.extend(track.outputs);
            all.log_std.extend(track.log_std);
        }
        let mut rollout = all.rollout;
        let seen = [rollout.observations.as_slice(), &rollout.cuts].concat();
        rollout.values = learner.look(&seen, &[self.critic])?.remove(0);
        let cuts = rollout.values.split_off(rollout.rewards.len());
        rollout.advantages =
            advantages(&rollout.rewards, &rollout.values, &rollout.after, &cuts, discount, lambda);
        let flat = |v: &[f32]| self.rows(v, &Device::flex());
        let actions = flat(&rollout.actions);
        let log_probs = match self.log_std {
            None => categorical_log_prob(flat(&all.outputs), actions),
            Some(_) => gaussian_log_prob(flat(&all.outputs), flat(&all.log_std), actions),
        };
        rollout.log_probs = log_probs.into_data().try_into_vec().expect("probabilities are f32");
        Ok(rollout)
    }

    /// What the network says now of steps once taken.
    pub(super) fn judge(
        &self,
        learner: &Learner,
        observations: &[f32],
        actions: &[f32],
    ) -> Result<Judged, TrainError> {
        let mut want = vec![self.policy, self.critic];
        want.extend(self.log_std);
        let mut said = learner.forward(observations, &want)?;
        let actions = self.rows(actions, learner.device());
        let log_std = self.log_std.and_then(|_| said.pop());
        let (values, policy) = (said.remove(1), said.remove(0));
        let rows = actions.dims()[0];
        let (log_probs, entropy) = match log_std {
            None => (categorical_log_prob(policy.clone(), actions), categorical_entropy(policy)),
            Some(log_std) => (gaussian_log_prob(policy, log_std.clone(), actions), gaussian_entropy(log_std)),
        };
        Ok(Judged { log_probs, entropy, values: values.reshape([rows, 1, 1, 1]) })
    }

    fn rows(&self, numbers: &[f32], device: &Device) -> Tensor<4> {
        let dims = [numbers.len() / self.outputs, 1, 1, self.outputs];
        Tensor::from_data(TensorData::new(numbers.to_vec(), dims), device)
    }
}

/// When and how a rollout is recorded.
pub(super) struct Moment<'a> {
    /// Seed and discount.
    pub recipe: &'a Recipe,
    /// Steps of the environment done before.
    pub step: u64,
    /// Factor of the rewards.
    pub scale: f64,
    /// Of the advantages.
    pub lambda: f64,
}

impl Rollout {
    /// Number of steps.
    pub(super) fn len(&self) -> usize {
        self.rewards.len()
    }

    /// What the critic should have said: value and advantage.
    pub(super) fn returns(&self) -> Vec<f32> {
        self.values.iter().zip(&self.advantages).map(|(v, a)| v + a).collect()
    }
}

/// `[rows, 1, 1, 1]`.
pub(super) fn column(numbers: Vec<f32>, device: &Device) -> Tensor<4> {
    let dims = [numbers.len(), 1, 1, 1];
    Tensor::from_data(TensorData::new(numbers, dims), device)
}
