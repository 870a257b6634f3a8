//! What policy gradients minimise: a loss of the policy, the critic's squared error, less the policy's entropy.

use super::TrainError;
use super::actor_critic::{ActorCritic, Rollout, column};
use super::advantage::normalise;
use super::learner::Learner;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Numbers that all policy gradients have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// Factor of the rewards, so that returns are numbers that a network learns easily.
    pub reward_scale: f64,
    /// Weight of the critic's squared error.
    pub value_weight: f64,
    /// Weight of the policy's entropy.
    pub entropy_weight: f64,
    /// Whether the advantages of a step are brought to mean 0 and deviation 1.
    pub normalise: bool,
}

impl Objective {
    /// The loss; `policy` and `value` are of rank 1, `entropy` is that of each row.
    pub(super) fn loss(&self, policy: Tensor<1>, value: Tensor<1>, entropy: Tensor<4>) -> Tensor<1> {
        let loss = policy + value * self.value_weight;
        if self.entropy_weight == 0.0 { loss } else { loss - entropy.mean() * self.entropy_weight }
    }

    /// Goes one step along the gradient of the probabilities of a whole rollout's actions, each weighted by its advantage
    /// (Williams 1992), and returns the loss.
    pub(super) fn ascend(
        &self,
        network: &ActorCritic,
        learner: &mut Learner,
        rollout: &mut Rollout,
        rate: f64,
    ) -> Result<f64, TrainError> {
        let returns = column(rollout.returns(), learner.device());
        if self.normalise {
            normalise(&mut rollout.advantages);
        }
        let judged = network.judge(learner, &rollout.observations, &rollout.actions)?;
        let advantages = column(rollout.advantages.clone(), learner.device());
        let error = judged.values - returns;
        let policy = (judged.log_probs * advantages).mean().neg();
        let loss = self.loss(policy, (error.clone() * error).mean(), judged.entropy);
        learner.descend(rate, &loss);
        Ok(f64::from(loss.into_scalar::<f32>()))
    }
}
