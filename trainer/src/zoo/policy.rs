//! Policies of dense layers: an actor that is deployed, and beside it a critic and deviations that only training needs.

use crate::env::ActionSpace;
use crate::graph::{Graph, GraphError, ValueId};
use crate::net::Net;
use crate::ops::{Constant, Init, Unary, UnaryFn};
use crate::train::reinforcement::{CRITIC, LOG_STD};
use dunlin::shape::Shape;

/// Gain of hidden layers at the start.
const HIDDEN_GAIN: f32 = std::f32::consts::SQRT_2;

/// Gain of the policy's last layer at the start: all actions are about equally likely, all numbers about 0.
const POLICY_GAIN: f32 = 0.01;

/// Layers of actor and critic, which share none.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers<'a> {
    /// Sizes of the actor's hidden layers.
    pub actor: &'a [u32],
    /// Sizes of the critic's.
    pub critic: &'a [u32],
    /// What follows each hidden layer.
    pub activation: UnaryFn,
    /// Standard deviation of numbers at the start, as a part of their bound.
    pub spread: f32,
}

/// A policy for `observations` numbers seen: input `observation`, output `policy` (logits of actions or means of numbers);
/// the critic and, for numbers, the logarithms of their standard deviations are values that are no outputs.
///
/// # Errors
/// Sizes of zero.
pub fn actor_critic(
    name: &str,
    observations: u32,
    actions: &ActionSpace,
    layers: &Layers<'_>,
) -> Result<Graph, GraphError> {
    let mut net = Net::new(name);
    let x = net.input("observation", Shape::vector(observations))?;
    let hidden = trunk(&mut net, "actor", x, layers.actor, &layers.activation)?;
    let policy = net.dense("policy", hidden, actions.outputs() as u32)?;
    net.initialise_by(policy, |_, _| Init::Orthogonal { gain: POLICY_GAIN });
    let hidden = trunk(&mut net, "value", x, layers.critic, &layers.activation)?;
    let critic = net.dense(CRITIC, hidden, 1)?;
    net.initialise_by(critic, |_, _| Init::Orthogonal { gain: 1.0 });
    let bounds = match actions {
        ActionSpace::Discrete(_) => None,
        ActionSpace::Continuous(bounds) => Some(bounds),
    };
    if let Some(bounds) = bounds {
        let constant = Constant { shape: Shape::vector(bounds.len() as u32) };
        let log_std = net.push(LOG_STD, constant, &[])?;
        let largest = bounds.iter().copied().fold(0.0, f32::max);
        net.initialise_by(log_std, |_, _| Init::Constant { value: (layers.spread * largest).ln() });
    }
    net.finish(policy)
}

fn trunk(
    net: &mut Net,
    name: &str,
    x: ValueId,
    sizes: &[u32],
    activation: &UnaryFn,
) -> Result<ValueId, GraphError> {
    let mut x = x;
    for (i, size) in sizes.iter().enumerate() {
        let layer = format!("{name}{}", i + 1);
        let y = net.dense(&layer, x, *size)?;
        net.initialise_by(y, |_, _| Init::Orthogonal { gain: HIDDEN_GAIN });
        x = net.push(&format!("{layer}.act"), Unary { function: activation.clone() }, &[y])?;
    }
    Ok(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::optimise;

    const LAYERS: Layers<'_> =
        Layers { actor: &[8, 8], critic: &[16], activation: UnaryFn::Relu, spread: 0.5 };

    #[test]
    fn an_export_holds_only_the_actor() {
        for actions in [ActionSpace::Discrete(3), ActionSpace::Continuous(vec![2.0; 3])] {
            let mut graph = actor_critic("policy", 4, &actions, &LAYERS).unwrap();
            graph.initialise(1);
            assert!(graph.nodes.iter().any(|n| n.name == CRITIC));
            optimise(&mut graph).unwrap();
            let names: Vec<&str> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
            assert_eq!(names, ["actor1", "actor2", "policy"]);
            assert_eq!(graph.weight_count(), 4 * 8 + 8 * 8 + 8 * 3);
        }
    }

    #[test]
    fn deviations_begin_as_a_part_of_the_bound() {
        let mut graph = actor_critic("policy", 4, &ActionSpace::Continuous(vec![2.0; 3]), &LAYERS).unwrap();
        graph.initialise(1);
        let log_std = graph.params.iter().find(|p| p.name == "log_std.value").unwrap();
        assert_eq!(log_std.data, [0.0; 3]);
    }
}
