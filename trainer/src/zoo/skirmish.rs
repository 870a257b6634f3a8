//! The agent of the skirmish, AlphaStar's (Vinyals et al. 2019) in small: a Transformer over the entities in sight, a core of
//! long short-term memory, a score for each joint order, and beside them a critic that only training needs.
//!
//! Differences from AlphaStar: entities are joined in their order rather than averaged (there are always four, each in a place
//! of its own); both units' orders are one choice of 49 rather than one after the other; the scripted player takes the place
//! of the people whose games are imitated first; there is one opponent and no league; PPO takes the place of V-trace and UPGO.

use crate::env::skirmish::{COMMANDS, ENTITIES, FEATURES};
use crate::graph::{Graph, GraphError};
use crate::net::Net;
use crate::ops::{Init, Reshape};
use crate::train::reinforcement::{
    Algorithm, CRITIC, Evaluation, Imitation, Objective, PERCEPTION, Ppo, Recipe, RecurrentPpo,
};
use crate::train::{Optimiser, Schedule};
use dunlin::shape::Shape;

/// Channels of an entity.
const WIDTH: u32 = 32;
/// Attention heads.
const HEADS: u32 = 2;
/// Units of the layer inside the encoder.
const HIDDEN: u32 = 64;
/// Units of the memory.
const MEMORY: u32 = 64;
/// Gain of the last layer at the start: all orders are about equally likely.
const POLICY_GAIN: f32 = 0.01;

/// The network: input `entities` `1,1,4,16`, output `policy` with the scores of 49 joint orders.
///
/// # Errors
/// None.
pub fn network(name: &str) -> Result<Graph, GraphError> {
    let mut net = Net::new(name);
    let x = net.input("entities", Shape::rows(ENTITIES as u32, FEATURES as u32))?;
    let x = net.dense_relu("embedding", x, WIDTH)?;
    let x = net.encoder("encoder", x, HEADS, HIDDEN)?;
    let x = net.push(PERCEPTION, Reshape { shape: Shape::vector(ENTITIES as u32 * WIDTH) }, &[x])?;
    let x = net.lstm("core", x, MEMORY)?;
    let policy = net.dense("policy", x, (COMMANDS * COMMANDS) as u32)?;
    net.initialise_by(policy, |_, _| Init::Orthogonal { gain: POLICY_GAIN });
    let critic = net.dense(CRITIC, x, 1)?;
    net.initialise_by(critic, |_, _| Init::Orthogonal { gain: 1.0 });
    let mut graph = net.finish(policy)?;
    for param in &mut graph.params {
        // A third of the variance that keeps that of a layer's input; of the memory, by its units. With the weights that suit
        // layers with rectifiers, attention begins as a choice of one entity and is slow to leave it.
        let inputs = match param.name.as_str() {
            "core.weight" | "core.recurrent" => MEMORY as usize,
            _ => param.dims.last().copied().unwrap_or(1),
        };
        if let Init::HeNormal { fan_in } = &mut param.init {
            *fan_in = 6 * inputs;
        }
    }
    Ok(graph)
}

/// Imitation of the script, then proximal policy optimisation over sequences of 32 ticks.
pub fn recipe(model: &str) -> Recipe {
    const STEPS: u64 = 5_000_000;
    let objective = Objective { reward_scale: 1.0, value_weight: 0.5, entropy_weight: 0.01, normalise: true };
    let ppo = Ppo {
        rollout: 32,
        epochs: 4,
        batch: 1024,
        lambda: 0.95,
        clip: 0.2,
        value_clip: None,
        distance: None,
        objective,
    };
    Recipe {
        model: model.into(),
        seed: 1,
        steps: STEPS,
        lanes: 128,
        discount: 0.99,
        optimiser: Optimiser::Adam { rate: 1e-3, penalty: 0.0, penalised: Vec::new() },
        schedule: Schedule::Cosine { warm_up: 0.0, last: 0.05 },
        clip: None,
        evaluation: Evaluation { every: STEPS / 25, episodes: 200, selects: true },
        algorithm: Algorithm::RecurrentPpo(RecurrentPpo {
            ppo,
            norm: 0.5,
            entropy_last: 0.0,
            imitation: Some(Imitation { steps: 400_000, rate: 2.0, led: 0.5 }),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::policy::{FloatPolicy, Policy};
    use crate::passes::optimise;
    use dunlin::ops::Op as Int8;

    #[test]
    fn the_export_has_a_memory_and_no_critic() {
        let mut graph = network("skirmish").unwrap();
        graph.initialise(1);
        optimise(&mut graph).unwrap();
        assert_eq!(graph.states.len(), 2);
        assert!(graph.value_named(CRITIC).is_none());
        assert!(graph.is_batchable());
        let names: Vec<&str> = graph.states.iter().map(|s| graph.value(s.read).name.as_str()).collect();
        assert_eq!(names, ["core.hidden", "core.cell"]);
    }

    /// Rows of numbers about zero, all different.
    fn wave(rows: usize, phase: f32) -> Vec<f32> {
        let each = ENTITIES * FEATURES;
        (0..rows * each).map(|i| ((i as f32) * 0.37 + phase).sin()).collect()
    }

    #[test]
    fn each_lane_remembers_what_it_saw_alone() {
        let mut graph = network("skirmish").unwrap();
        graph.initialise(2);
        let mut policy = FloatPolicy::new(&graph);
        policy.begin(3).unwrap();
        let (first, second) = (wave(3, 0.0), wave(3, 1.0));
        policy.outputs(&[0, 1, 2], &first).unwrap();
        let each = ENTITIES * FEATURES;
        // Lane 1 alone, as if the others had ended.
        let part = |rows: &[f32]| rows[each..2 * each].to_vec();
        let remembered = policy.outputs(&[1], &part(&second)).unwrap();
        let mut alone = FloatPolicy::new(&graph);
        alone.begin(1).unwrap();
        alone.outputs(&[0], &part(&first)).unwrap();
        let expected = alone.outputs(&[0], &part(&second)).unwrap();
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(&remembered, &expected));
        alone.begin(1).unwrap();
        assert!(!near(&alone.outputs(&[0], &part(&second)).unwrap(), &expected), "it remembers nothing");
    }

    #[test]
    fn the_int8_program_keeps_its_memory_in_persistent_tensors() {
        use crate::eval::policy::Int8Policy;
        use crate::exec::{Device, Tensor, TensorData};
        use crate::export;
        use crate::ops::largest;
        use crate::quantise::Method;
        let mut graph = network("skirmish").unwrap();
        graph.initialise(3);
        // Larger scores, so that rounding decides nothing.
        let weight = graph.params.iter_mut().find(|p| p.name == "policy.weight").unwrap();
        weight.data.iter_mut().for_each(|w| *w *= 100.0);
        let tensor =
            |data: Vec<f32>, dims| Tensor::<4>::from_data(TensorData::new(data, dims), &Device::flex());
        let rows = 64;
        let state = |phase: f32| (0..rows * 64).map(|i| (i as f32 * 0.7 + phase).sin() * 0.6).collect();
        let seen = tensor(wave(rows, 0.5), [rows, 1, ENTITIES, FEATURES]);
        let memory = [0.0, 1.0].map(|phase| tensor(state(phase), [rows, 1, 1, 64]));
        let batch = vec![seen, memory[0].clone(), memory[1].clone()];
        let q =
            export::post_training_on(&graph, &[batch], Method::MinMax, &export::Options::default()).unwrap();
        let nodes = q.plan.program().nodes;
        let names: Vec<&str> = nodes.iter().map(|n| n.op.name()).collect();
        assert!(names.contains(&"LayerNorm") && names.contains(&"Lstm"), "{names:?}");
        let lstm = nodes.iter().find_map(|n| match n.op {
            Int8::Lstm(op) => Some(op),
            _ => None,
        });
        assert!(lstm.is_some_and(|op| !op.cell.reset), "the memory must go on from run to run");
        let mut int8 = Int8Policy::new(q.file.as_slice()).unwrap();
        let mut float = FloatPolicy::new(&q.graph);
        int8.begin(1).unwrap();
        float.begin(1).unwrap();
        let mut fresh = Int8Policy::new(q.file.as_slice()).unwrap();
        let (mut agree, mut differ) = (0, 0);
        const STEPS: usize = 40;
        for step in 0..STEPS {
            let seen = wave(1, step as f32 * 0.9);
            let (a, b) = (int8.outputs(&[0], &seen).unwrap(), float.outputs(&[0], &seen).unwrap());
            fresh.begin(1).unwrap();
            let forgetful = fresh.outputs(&[0], &seen).unwrap();
            agree += usize::from(largest(&a) == largest(&b));
            differ += usize::from(a != forgetful);
        }
        assert!(agree >= STEPS * 3 / 4, "{agree} of {STEPS} choices agree with float");
        assert!(differ >= STEPS - 2, "a reset before each step changes {differ} of {STEPS} outputs");
    }
}
