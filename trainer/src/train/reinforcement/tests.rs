//! Policy gradients on a task that takes seconds: go to the middle of a hall.

use super::*;
use crate::env::{Action, ActionSpace, Normalisation, ObservationSpace, Step};
use crate::eval::policy::Policy;
use crate::ops::UnaryFn;
use crate::train::{Optimiser, Schedule};
use crate::zoo::policy::{Layers, actor_critic};
use rand::Rng;
use std::sync::atomic::AtomicBool;

/// Longest way of a step.
const STRIDE: f32 = 0.2;

/// A hall from −1 to 1; each step costs 1 until the middle is reached.
struct Hall {
    numbers: bool,
    at: f32,
    steps: usize,
}

impl Hall {
    fn make(numbers: bool) -> Box<dyn Env> {
        Box::new(Self { numbers, at: 0.0, steps: 0 })
    }
}

impl Env for Hall {
    fn name(&self) -> &'static str {
        "hall"
    }

    fn observation_space(&self) -> ObservationSpace {
        ObservationSpace::symmetric(&[1.0])
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation::none()
    }

    fn action_space(&self) -> ActionSpace {
        if self.numbers { ActionSpace::Continuous(vec![STRIDE]) } else { ActionSpace::Discrete(3) }
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        self.at = Pcg64::new(u128::from(seed), 7).random_range(-1.0..1.0);
        self.steps = 0;
        observation[0] = self.at;
    }

    fn step(&mut self, action: Action<'_>, observation: &mut [f32]) -> Step {
        let way = match action {
            Action::Discrete(index) => STRIDE * (index as f32 - 1.0),
            Action::Continuous(numbers) => numbers[0].clamp(-STRIDE, STRIDE),
        };
        self.at = (self.at + way).clamp(-1.0, 1.0);
        self.steps += 1;
        observation[0] = self.at;
        let terminated = self.at.abs() <= STRIDE / 2.0;
        Step { reward: -1.0, terminated, truncated: !terminated && self.steps == 20 }
    }

    fn text(&self) -> String {
        self.at.to_string()
    }

    fn picture(&self) -> image::RgbImage {
        image::RgbImage::new(1, 1)
    }
}

/// Walks straight to the middle.
struct Straight {
    numbers: bool,
}

impl Policy for Straight {
    fn begin(&mut self, _lanes: usize) -> Result<(), PolicyError> {
        Ok(())
    }

    fn outputs(&mut self, _lanes: &[usize], observations: &[f32]) -> Result<Vec<f32>, PolicyError> {
        let each = |x: &f32| if self.numbers { vec![-x] } else { vec![*x, 0.0, -x] };
        Ok(observations.iter().flat_map(each).collect())
    }
}

fn objective() -> Objective {
    Objective { reward_scale: 0.1, value_weight: 0.5, entropy_weight: 0.0, normalise: true }
}

fn ppo() -> Algorithm {
    Algorithm::Ppo(Ppo {
        rollout: 32,
        epochs: 6,
        batch: 128,
        lambda: 0.95,
        clip: 0.2,
        value_clip: Some(0.2),
        distance: Some(0.05),
        objective: objective(),
    })
}

fn recipe(algorithm: Algorithm, rate: f64, steps: u64) -> Recipe {
    Recipe {
        model: "hall".into(),
        seed: 3,
        steps,
        lanes: 16,
        discount: 0.95,
        optimiser: Optimiser::AdamW { rate, decay: 0.0 },
        schedule: Schedule::Constant { warm_up: 0.0 },
        clip: Some(1.0),
        evaluation: Evaluation { every: steps / 2, episodes: 50, selects: false },
        algorithm,
    }
}

fn graph(numbers: bool) -> Graph {
    let layers = Layers { actor: &[16], critic: &[16], activation: UnaryFn::Tanh, spread: 1.0 };
    actor_critic("hall", 1, &Hall::make(numbers).action_space(), &layers).unwrap()
}

fn run(recipe: &Recipe, numbers: bool, out: &Path, stop: &AtomicBool) -> (Graph, Outcome) {
    let mut graph = graph(numbers);
    let options = Options { out, resume: true, keep_weights: false, stop, quiet: true, tap: None };
    let outcome = learn(&mut graph, recipe, &|| Hall::make(numbers), &options).unwrap();
    (graph, outcome)
}

/// Trains and compares with who walks straight, on episodes of other seeds.
fn solves(recipe: &Recipe, numbers: bool) {
    solves_with(graph(numbers), recipe, numbers);
}

fn solves_with(mut graph: Graph, recipe: &Recipe, numbers: bool) {
    let dir = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let options =
        Options { out: dir.path(), resume: false, keep_weights: false, stop: &stop, quiet: true, tap: None };
    learn(&mut graph, recipe, &|| Hall::make(numbers), &options).unwrap();
    let make = || Hall::make(numbers);
    let mean = |policy: &mut dyn Policy| play(&make, policy, 0..200, 9).unwrap().mean();
    let (found, best) = (mean(&mut FloatPolicy::new(&graph)), mean(&mut Straight { numbers }));
    assert!((-4.0..-1.0).contains(&best), "{best}");
    assert!(found > best - 0.25, "{:?} earns {found}, walking straight {best}", recipe.algorithm);
}

#[test]
fn ppo_learns_actions_and_numbers() {
    let recipe = recipe(ppo(), 5e-3, 16_384);
    solves(&recipe, false);
    solves(&recipe, true);
}

#[test]
fn a2c_learns_actions_and_numbers() {
    let algorithm = Algorithm::A2c(A2c { rollout: 8, lambda: 1.0, objective: objective() });
    let recipe = recipe(algorithm, 1e-2, 40_000);
    solves(&recipe, false);
    solves(&recipe, true);
}

#[test]
fn reinforce_learns_actions_and_numbers() {
    let objective = Objective { entropy_weight: 0.02, ..objective() };
    let algorithm = Algorithm::Reinforce(Reinforce { objective });
    let recipe = recipe(algorithm, 1e-2, 80_000);
    solves(&recipe, false);
    solves(&recipe, true);
}

fn dqn(double: bool, returns: usize, prioritised: bool, repeats: u32) -> Algorithm {
    Algorithm::Dqn(Dqn {
        replay: 10_000,
        warm_up: 500,
        batch: 64,
        update_every: 4,
        target_every: 50,
        epsilon: [1.0, 0.1],
        epsilon_steps: 10_000,
        repeats,
        double,
        returns,
        prioritised: prioritised.then_some(Prioritised { alpha: 0.6, beta: 0.4 }),
        demonstrations: None,
    })
}

#[test]
fn dqn_learns_with_and_without_each_option() {
    for algorithm in [
        dqn(false, 1, false, 1),
        dqn(true, 1, false, 1),
        dqn(false, 3, false, 1),
        dqn(false, 1, true, 1),
        dqn(true, 2, true, 4),
    ] {
        solves_with(values(), &recipe(algorithm, 1e-3, 20_000), false);
    }
}

/// Values of the three actions; they have a peak, for which the small layers of the actor are too smooth.
fn values() -> Graph {
    crate::zoo::control::network("hall", dunlin::shape::Shape::vector(1), 3).unwrap()
}

/// A duelling head is trained by its values and acts by its advantages.
#[test]
fn a_duelling_head_learns() {
    let mut n = crate::net::Net::new("duel");
    let x = n.input("observation", dunlin::shape::Shape::vector(1)).unwrap();
    let x = n.dense_relu("hidden1", x, 64).unwrap();
    let x = n.dense_relu("hidden2", x, 64).unwrap();
    let a = n.dense("advantage", x, 3).unwrap();
    let v = n.dense("state", x, 1).unwrap();
    let mean = crate::ops::Reduce { function: crate::ops::ReduceFn::Mean, axes: [false, false, false, true] };
    let mean = n.push("mean", mean, &[a]).unwrap();
    let v = n.push("rest", crate::ops::Sub::default(), &[v, mean]).unwrap();
    n.push(VALUES, crate::ops::Add::default(), &[a, v]).unwrap();
    let graph = n.finish(a).unwrap();
    solves_with(graph, &recipe(dqn(true, 1, false, 1), 1e-3, 20_000), false);
}

/// Stops a training at its first chance again and again, resumes it, and compares with one that was not.
#[test]
fn a_resumed_training_is_an_uninterrupted_one() {
    let a2c = Algorithm::A2c(A2c { rollout: 8, lambda: 1.0, objective: objective() });
    let reinforce = Algorithm::Reinforce(Reinforce { objective: objective() });
    let dqn = dqn(true, 3, true, 4);
    for (algorithm, numbers) in [(ppo(), false), (ppo(), true), (a2c, true), (reinforce, false), (dqn, false)]
    {
        let recipe = recipe(algorithm, 5e-3, 2048);
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (whole, outcome) = run(&recipe, numbers, dirs[0].path(), &AtomicBool::new(false));
        assert!(!outcome.interrupted);
        let stop = AtomicBool::new(true);
        let mut stops = 0;
        let parts = loop {
            let (graph, outcome) = run(&recipe, numbers, dirs[1].path(), &stop);
            if !outcome.interrupted {
                break graph;
            }
            stops += 1;
        };
        assert!(stops >= 3, "{stops} interruptions");
        assert_eq!(whole.params, parts.params);
        let measured =
            |dir: &Path| history(dir).into_iter().map(|h| History { seconds: 0.0, ..h }).collect::<Vec<_>>();
        assert_eq!(measured(dirs[0].path()), measured(dirs[1].path()));
    }
}

#[test]
fn a_network_that_lacks_a_critic_or_fits_another_task_is_refused() {
    let stop = AtomicBool::new(false);
    let dir = tempfile::tempdir().unwrap();
    let options =
        Options { out: dir.path(), resume: false, keep_weights: false, stop: &stop, quiet: true, tap: None };
    let recipe = recipe(ppo(), 5e-3, 2048);
    let mut bare = graph(false);
    bare.remove_dead();
    let error = learn(&mut bare, &recipe, &|| Hall::make(false), &options).unwrap_err().to_string();
    assert!(error.contains("no value `critic`"), "{error}");
    let error = learn(&mut graph(false), &recipe, &|| Hall::make(true), &options).unwrap_err().to_string();
    assert!(error.contains("takes 1 numbers"), "{error}");
}

#[test]
fn recipes_are_toml_and_back() {
    let recipe = recipe(ppo(), 5e-3, 2048);
    let text = toml::to_string_pretty(&recipe).unwrap();
    assert!(text.contains("name = \"ppo\""), "{text}");
    assert_eq!(toml::from_str::<Recipe>(&text).unwrap(), recipe);
}
