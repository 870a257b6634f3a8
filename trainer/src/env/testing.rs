//! What the tests of all environments check.

use super::{Action, ActionSpace, Env, Step, uniform};
use rand::{RngCore, SeedableRng};
use rand_pcg::Pcg64;

/// Text and picture.
type Look = (String, Vec<u8>);

/// Plays the episode of `seed` with random actions: all that is seen and every step. The first states are shown.
fn play(env: &mut dyn Env, seed: u64, looks: &mut Vec<Look>) -> (Vec<f32>, Vec<Step>) {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut seen = vec![f32::NAN; env.observation_space().len()];
    env.reset(seed, &mut seen);
    let (mut all, mut steps) = (seen.clone(), Vec::new());
    looks.push((env.text(), env.picture().into_raw()));
    loop {
        seen.fill(f32::NAN);
        let step = match env.action_space() {
            ActionSpace::Discrete(n) => env.step(Action::Discrete(rng.next_u64() as usize % n), &mut seen),
            ActionSpace::Continuous(bounds) => {
                let draw = |bound: &f32| uniform(&mut rng, -1.5, 1.5) as f32 * bound;
                env.step(Action::Continuous(&bounds.iter().map(draw).collect::<Vec<_>>()), &mut seen)
            }
        };
        all.extend(&seen);
        steps.push(step);
        if steps.len() < 9 {
            looks.push((env.text(), env.picture().into_raw()));
        }
        if step.done() {
            return (all, steps);
        }
    }
}

/// Episodes of random actions: they come again with their seed, keep to the spaces' bounds, end by the task or at `limit` steps, and
/// can be shown.
pub(super) fn contract(env: &mut dyn Env, limit: usize) {
    let space = env.observation_space();
    let size = env.picture().dimensions();
    let mut looks = Vec::new();
    for seed in 0..6 {
        let (seen, steps) = play(env, seed, &mut looks);
        assert_eq!(play(env, seed, &mut Vec::new()), (seen.clone(), steps.clone()), "seed {seed}");
        for (i, &x) in seen.iter().enumerate() {
            let (low, high) = space.bounds(i % space.len());
            assert!(low <= x && x <= high, "element {} is {x}", i % space.len());
        }
        assert!(steps.len() <= limit);
        assert_eq!(steps.last().expect("an episode has a step").truncated, steps.len() == limit);
        assert_eq!(env.picture().dimensions(), size);
        assert!(env.text().ends_with('\n'));
    }
    assert!(looks.iter().any(|look| look.0 != looks[0].0) && looks.iter().any(|look| look.1 != looks[0].1));
    let mut seen = vec![1.0; space.len()];
    env.normalisation().apply(&mut seen);
    assert!(seen.iter().all(|x| x.is_finite()));
}

/// What is seen first in the episodes of many seeds.
pub(super) fn starts(env: &mut dyn Env, seeds: u64) -> Vec<Vec<f32>> {
    let mut seen = vec![f32::NAN; env.observation_space().len()];
    let start = |seed| {
        env.reset(seed, &mut seen);
        seen.clone()
    };
    (0..seeds).map(start).collect()
}

/// Checks that numbers lie evenly within bounds: each tenth holds its share within five standard deviations.
pub(super) fn evenly(numbers: &[f64], low: f64, high: f64) {
    let mut tenths = [0_u32; 10];
    for &x in numbers {
        let place = (x - low) / (high - low);
        assert!((-1e-6..1.0 + 1e-6).contains(&place), "{x} is not within [{low}, {high}]");
        tenths[(place * 10.0).clamp(0.0, 9.0) as usize] += 1;
    }
    let share = numbers.len() as f64 / 10.0;
    let deviation = (share * 0.9).sqrt();
    assert!(tenths.iter().all(|&n| (f64::from(n) - share).abs() < 5.0 * deviation), "{tenths:?}");
}
