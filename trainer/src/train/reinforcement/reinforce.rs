//! REINFORCE with a baseline (Williams 1992): the gradient of whole episodes, one of each lane for an update.

use super::actor_critic::{ActorCritic, Moment, Until};
use super::objective::Objective;
use super::{Advance, Agent, Lanes, Learner, Recipe, TrainError};
use serde::{Deserialize, Serialize};

/// Numbers of REINFORCE. The critic is the baseline; an episode that the time limit cuts counts on with the critic's
/// value of what was seen last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reinforce {
    /// What is minimised.
    pub objective: Objective,
}

/// An agent that learns from whole episodes.
pub(super) struct Reinforcer<'a> {
    recipe: &'a Recipe,
    objective: &'a Objective,
    network: ActorCritic,
}

impl<'a> Reinforcer<'a> {
    pub(super) fn new(
        recipe: &'a Recipe,
        numbers: &'a Reinforce,
        learner: &Learner,
        lanes: &Lanes,
    ) -> Result<Self, TrainError> {
        let network = ActorCritic::new(learner.graph(), &lanes.action_space())?;
        Ok(Self { recipe, objective: &numbers.objective, network })
    }
}

impl Agent for Reinforcer<'_> {
    fn advance(
        &mut self,
        learner: &mut Learner,
        lanes: &mut Lanes,
        step: u64,
        rate: f64,
    ) -> Result<Advance, TrainError> {
        let mut finished = Vec::new();
        let moment = Moment { recipe: self.recipe, step, scale: self.objective.reward_scale, lambda: 1.0 };
        let mut rollout = self.network.record(learner, lanes, Until::Episode, moment, &mut finished)?;
        let loss = self.objective.ascend(&self.network, learner, &mut rollout, rate)?;
        Ok(Advance { steps: rollout.len() as u64, finished, losses: vec![loss] })
    }
}
