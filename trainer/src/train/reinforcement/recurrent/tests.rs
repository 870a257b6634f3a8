//! Sequences, imitation and the norm of gradients on the skirmish.

use super::*;
use crate::env::skirmish::Skirmish;
use crate::train::Optimiser;
use crate::zoo;

/// Another order of float sums.
const TOLERANCE: f32 = 1e-4;

#[test]
fn parts_end_where_episodes_begin() {
    let mut begins = vec![false; 12];
    (begins[0], begins[5], begins[6]) = (true, true, true);
    let found: Vec<_> = parts(&begins, &[2, 0, 1], 4).iter().map(|p| (p.lane, p.start, p.len)).collect();
    assert_eq!(found, [(0, 0, 4), (1, 0, 4), (2, 0, 1), (2, 1, 1), (2, 2, 2)]);
}

// Episodes are cut short by bad play in a few hundred steps, so that all ways into and out of a rollout occur.
#[test]
fn sequences_say_what_single_steps_said() {
    let recipe = Recipe { lanes: 6, ..zoo::skirmish::recipe("skirmish") };
    let super::super::Algorithm::RecurrentPpo(mut numbers) = recipe.algorithm.clone() else { unreachable!() };
    numbers.ppo.rollout = 23;
    let mut graph = zoo::skirmish::network("skirmish").unwrap();
    graph.initialise(5);
    let weight = graph.params.iter_mut().find(|p| p.name == "policy.weight").unwrap();
    weight.data.iter_mut().for_each(|w| *w *= 100.0);
    let learner = Learner::new(graph, &Optimiser::Sgd { rate: 0.1, momentum: 0.0, decay: 0.0 }, None);
    let mut lanes = Lanes::new((0..6).map(|_| Box::new(Skirmish::default()) as _).collect(), 1);
    let mut agent = Recurrent::new(&recipe, &numbers, &learner, &lanes).unwrap();
    let mut rng = generator(1, 1, 0);
    let (mut begun, mut finished) = (0, Vec::new());
    for _ in 0..12 {
        let rollout = agent.record(&learner, &mut lanes, 2, &mut rng, &mut finished).unwrap();
        begun += rollout.begins.iter().filter(|b| **b).count();
        let order = [3, 0, 5, 1];
        let [logits, values] = agent.judge(&learner, &rollout, &order, 6).unwrap();
        let flat = |t: Tensor<4>| -> Vec<f32> { t.into_data().try_into_vec().unwrap() };
        let (logits, values) = (flat(logits), flat(values));
        let taken = pick(&rollout.taken, 6, &order);
        let now = logits.chunks_exact(agent.actions).zip(taken).map(|(l, a)| log_prob(l, a));
        for (now, before) in now.zip(pick(&rollout.log_probs, 6, &order)) {
            assert!((now - before).abs() < TOLERANCE, "{now} now, {before} before");
        }
        for (now, before) in values.iter().zip(pick(&rollout.values, 6, &order)) {
            assert!((now - before).abs() < TOLERANCE, "{now} now, {before} before");
        }
    }
    assert!(begun > 0 && !finished.is_empty(), "no episode began within a rollout");
}

#[test]
fn a_long_gradient_is_shortened_as_a_whole() {
    let mut graph = zoo::skirmish::network("skirmish").unwrap();
    graph.initialise(7);
    let rule = Optimiser::Sgd { rate: 1.0, momentum: 0.0, decay: 0.0 };
    let critic = graph.value_named(CRITIC).unwrap();
    let seen: Vec<f32> = (0..64).map(|i| (i as f32).sin()).collect();
    let change = |norm: f32| -> Vec<f32> {
        let mut learner = Learner::new(graph.clone(), &rule, None);
        let loss = learner.forward(&seen, &[critic]).unwrap().remove(0).sum() * 100.0;
        learner.descend_within(1.0, &loss, norm);
        let after = learner.store().params.iter().flat_map(|p| p.data.clone()).collect::<Vec<_>>();
        let before = graph.params.iter().flat_map(|p| p.data.clone());
        after.iter().zip(before).map(|(a, b)| a - b).collect()
    };
    let length = |v: &[f32]| v.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
    let (free, bound) = (change(1e9), change(0.5));
    assert!(length(&free) > 1.0 && (length(&bound) - 0.5).abs() < 1e-3, "{}", length(&bound));
    let along: f64 = free.iter().zip(&bound).map(|(a, b)| f64::from(a * b)).sum();
    assert!((along / length(&free) / length(&bound) - 1.0).abs() < 1e-3);
}

#[test]
fn imitation_raises_the_probability_of_what_the_script_does() {
    let recipe = Recipe { lanes: 16, ..zoo::skirmish::recipe("skirmish") };
    let super::super::Algorithm::RecurrentPpo(numbers) = recipe.algorithm.clone() else { unreachable!() };
    let mut graph = zoo::skirmish::network("skirmish").unwrap();
    graph.initialise(6);
    let mut learner = Learner::new(graph, &recipe.optimiser, recipe.clip);
    let mut lanes = Lanes::new((0..16).map(|_| Box::new(Skirmish::default()) as _).collect(), 1);
    let mut agent = Recurrent::new(&recipe, &numbers, &learner, &lanes).unwrap();
    let mut losses = Vec::new();
    for step in 0..6 {
        losses.extend(agent.advance(&mut learner, &mut lanes, step * 512, 2e-3).unwrap().losses);
    }
    // Of 49 equally likely actions the logarithm is 3.9; the critic adds little.
    assert!(losses[0] > 3.0 && losses[losses.len() - 1] < 2.5, "{losses:?}");
}
