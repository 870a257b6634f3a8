//! Advantage actor-critic (Mnih et al. 2016), all lanes in step: an update after some steps of each.

use super::actor_critic::{ActorCritic, Moment, Until};
use super::objective::Objective;
use super::{Advance, Agent, Lanes, Learner, Recipe, TrainError};
use serde::{Deserialize, Serialize};

/// Numbers of A2C.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct A2c {
    /// Steps of each lane between two updates.
    pub rollout: usize,
    /// Weight of longer returns in an advantage; 1 as in the paper.
    pub lambda: f64,
    /// What is minimised.
    pub objective: Objective,
}

/// An agent that learns from the newest steps once.
pub(super) struct Actor<'a> {
    recipe: &'a Recipe,
    numbers: &'a A2c,
    network: ActorCritic,
}

impl<'a> Actor<'a> {
    pub(super) fn new(
        recipe: &'a Recipe,
        numbers: &'a A2c,
        learner: &Learner,
        lanes: &Lanes,
    ) -> Result<Self, TrainError> {
        if numbers.rollout == 0 {
            return Err(TrainError::Recipe("rollout must be at least 1".into()));
        }
        let network = ActorCritic::new(learner.graph(), &lanes.action_space())?;
        Ok(Self { recipe, numbers, network })
    }
}

impl Agent for Actor<'_> {
    fn advance(
        &mut self,
        learner: &mut Learner,
        lanes: &mut Lanes,
        step: u64,
        rate: f64,
    ) -> Result<Advance, TrainError> {
        let Self { recipe, numbers: A2c { rollout, lambda, objective }, network } = self;
        let mut finished = Vec::new();
        let moment = Moment { recipe, step, scale: objective.reward_scale, lambda: *lambda };
        let mut rollout = network.record(learner, lanes, Until::Steps(*rollout), moment, &mut finished)?;
        let loss = objective.ascend(network, learner, &mut rollout, rate)?;
        Ok(Advance { steps: rollout.len() as u64, finished, losses: vec![loss] })
    }
}
