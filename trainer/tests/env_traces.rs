//! The dynamics of the classic environments against gymnasium's: every recorded transition, each from its own state.
//!
//! Data: `rl_traces` in `DUNLIN_DATA`, else in `../shared/data`: one CSV file per environment with the columns `s0…`, `action`,
//! `next_s0…`, `obs0…`, `reward`, `terminated`.

use dunlin_trainer::env::{Acrobot, Action, CartPole, Env, MountainCar, Pendulum, Step};
use std::path::{Path, PathBuf};

/// Largest relative difference: the recording's sines are those of another library, and its observations single precision.
const TOLERANCE: f64 = 1e-6;

/// A recorded transition.
struct Transition<'a> {
    state: &'a [f64],
    action: f64,
    next: &'a [f64],
    observation: &'a [f64],
    reward: f64,
    terminated: bool,
}

/// What an environment has come to.
struct Reached {
    next: Vec<f64>,
    observation: Vec<f32>,
    step: Step,
}

fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let named = std::env::var_os("DUNLIN_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = named.unwrap_or_else(beside).join("rl_traces");
    if !folder.is_dir() {
        eprintln!(
            "LEFT OUT: dynamics against traces: no rl_traces; name the folder of the data with DUNLIN_DATA"
        );
        return None;
    }
    Some(folder)
}

fn near(found: f64, recorded: f64) -> bool {
    (found - recorded).abs() <= TOLERANCE * recorded.abs().max(found.abs())
}

/// Checks each row of the file of `name`, with so many elements of a state and of an observation.
fn check(name: &str, states: usize, observations: usize, mut replay: impl FnMut(&Transition<'_>) -> Reached) {
    let Some(folder) = folder() else { return };
    let file = folder.join(format!("{name}.csv"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut lines = text.lines();
    let named = |prefix: &str, count: usize| (0..count).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
    let columns = [
        named("s", states),
        vec!["action".to_owned()],
        named("next_s", states),
        named("obs", observations),
        vec!["reward".to_owned(), "terminated".to_owned()],
    ];
    assert_eq!(lines.next(), Some(columns.concat().join(",").as_str()), "columns of {}", file.display());
    let mut rows = 0;
    for (line, row) in lines.enumerate() {
        let at = format!("{} line {}", file.display(), line + 2);
        let row: Vec<f64> =
            row.split(',').map(|x| x.parse().unwrap_or_else(|_| panic!("{at}: {x}"))).collect();
        let (state, rest) = row.split_at(states);
        let (next, rest) = rest[1..].split_at(states);
        let (observation, end) = rest.split_at(observations);
        let &[reward, terminated] = end else { panic!("{at}: {} values", row.len()) };
        let terminated = terminated != 0.0;
        let recorded = Transition { state, action: row[states], next, observation, reward, terminated };
        let reached = replay(&recorded);
        for (i, (&found, &next)) in reached.next.iter().zip(recorded.next).enumerate() {
            assert!(near(found, next), "{at}: element {i} of the state is {found}, recorded {next}");
        }
        for (i, (&found, &seen)) in reached.observation.iter().zip(recorded.observation).enumerate() {
            assert!(
                near(f64::from(found), seen),
                "{at}: element {i} of the observation is {found}, recorded {seen}"
            );
        }
        assert_eq!((reached.next.len(), reached.observation.len()), (states, observations));
        assert!(
            near(reached.step.reward, recorded.reward),
            "{at}: {:?}, recorded {}",
            reached.step,
            recorded.reward
        );
        assert_eq!(reached.step.terminated, recorded.terminated, "{at}: terminated");
        rows += 1;
    }
    assert!(rows > 0, "{} holds no transition", file.display());
    println!("{name}: {rows} transitions equal to {TOLERANCE:e}");
}

/// The index of an action that is written as a real number.
fn index(action: f64) -> Action<'static> {
    assert_eq!(action.fract(), 0.0, "an action is an index");
    Action::Discrete(action as usize)
}

#[test]
fn cart_pole() {
    let mut env = CartPole::default();
    check("CartPole-v1", 4, 4, |row| {
        env.set_state(row.state.try_into().unwrap());
        let mut observation = vec![f32::NAN; 4];
        let step = env.step(index(row.action), &mut observation);
        Reached { next: env.state().to_vec(), observation, step }
    });
}

#[test]
fn acrobot() {
    let mut env = Acrobot::default();
    check("Acrobot-v1", 4, 6, |row| {
        env.set_state(row.state.try_into().unwrap());
        let mut observation = vec![f32::NAN; 6];
        let step = env.step(index(row.action), &mut observation);
        Reached { next: env.state().to_vec(), observation, step }
    });
}

#[test]
fn mountain_car() {
    let mut env = MountainCar::default();
    check("MountainCar-v0", 2, 2, |row| {
        env.set_state(row.state.try_into().unwrap());
        let mut observation = vec![f32::NAN; 2];
        let step = env.step(index(row.action), &mut observation);
        Reached { next: env.state().to_vec(), observation, step }
    });
}

#[test]
fn pendulum() {
    let mut env = Pendulum::default();
    check("Pendulum-v1", 2, 3, |row| {
        env.set_state(row.state.try_into().unwrap());
        let mut observation = vec![f32::NAN; 3];
        let step = env.turn(row.action, &mut observation);
        Reached { next: env.state().to_vec(), observation, step }
    });
}
