//! Many environments of one kind, stepped together by the threads of rayon's pool.
//!
//! An episode that ends is followed by the next within the same step (gymnasium's `AutoresetMode.SAME_STEP`): the observation is then the
//! first of the next episode, and what was seen last of the old one is in [`VectorEnv::last_observations`].
//!
//! Every lane has random numbers of its own, so nothing depends on the number of threads.

use super::{Action, Env, Step};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use rayon::prelude::*;

/// Lanes that are worth another thread.
const WORTHWHILE: usize = 32;

/// Something that a policy returns to [`VectorEnv::run`].
pub trait Choice {
    /// The action it means.
    fn action(&self) -> Action<'_>;
}

impl Choice for usize {
    #[inline]
    fn action(&self) -> Action<'_> {
        Action::Discrete(*self)
    }
}

impl<const N: usize> Choice for [f32; N] {
    #[inline]
    fn action(&self) -> Action<'_> {
        Action::Continuous(self)
    }
}

impl Choice for Vec<f32> {
    #[inline]
    fn action(&self) -> Action<'_> {
        Action::Continuous(self)
    }
}

/// An episode that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finished {
    /// In which lane.
    pub lane: usize,
    /// Sum of the rewards.
    pub total: f64,
    /// Steps.
    pub steps: u64,
}

/// Environments side by side.
pub struct VectorEnv<E> {
    lanes: Vec<Lane<E>>,
    /// Elements of one observation.
    each: usize,
    observations: Vec<f32>,
    last: Vec<f32>,
    steps: Vec<Step>,
}

struct Lane<E> {
    env: E,
    /// Seeds of its episodes.
    seeds: Seeds,
    /// For its policy.
    rng: Pcg64,
    total: f64,
    steps: u64,
}

/// Numbers that follow from a seed, each far from the one before: the generator SplitMix64 of Steele, Lea and Flood (2014).
struct Seeds(u64);

impl Seeds {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl<E: Env> Lane<E> {
    #[inline]
    fn step(&mut self, action: Action<'_>, seen: &mut [f32], ended: impl FnOnce(&[f32], f64, u64)) -> Step {
        let step = self.env.step(action, seen);
        self.total += step.reward;
        self.steps += 1;
        if step.done() {
            ended(seen, self.total, self.steps);
            (self.total, self.steps) = (0.0, 0);
            self.env.reset(self.seeds.next(), seen);
        }
        step
    }
}

impl<E: Env> VectorEnv<E> {
    /// `count` environments, each with its first episode begun; the episodes follow from `seed`.
    pub fn new(count: usize, seed: u64, mut make: impl FnMut() -> E) -> Self {
        let mut streams = Seeds(seed);
        let mut lane = || {
            let mut seeds = Seeds(streams.next());
            let rng = Pcg64::seed_from_u64(seeds.next());
            Lane { env: make(), seeds, rng, total: 0.0, steps: 0 }
        };
        let mut lanes: Vec<_> = (0..count).map(|_| lane()).collect();
        let each = lanes.first().map_or(0, |lane| lane.env.observation_space().len());
        let mut observations = vec![0.0; count * each];
        for (lane, seen) in lanes.iter_mut().zip(observations.chunks_exact_mut(each.max(1))) {
            lane.env.reset(lane.seeds.next(), seen);
        }
        let (last, steps) = (observations.clone(), vec![Step::default(); count]);
        Self { lanes, each, observations, last, steps }
    }

    /// Number of lanes.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// What all lanes see, lane after lane, not normalised.
    pub fn observations(&self) -> &[f32] {
        &self.observations
    }

    /// For each lane whose last step ended an episode, what that step showed; elsewhere of no meaning.
    pub fn last_observations(&self) -> &[f32] {
        &self.last
    }

    /// Reward and end of the last step of each lane.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The environment of a lane.
    pub fn env(&self, lane: usize) -> &E {
        &self.lanes[lane].env
    }

    /// Steps every lane once, with the action that is given for it.
    pub fn step<'a>(&mut self, action: impl Fn(usize) -> Action<'a> + Sync) {
        let each = self.each.max(1);
        if self.lanes.len() < 2 * WORTHWHILE {
            let observations = self.observations.chunks_exact_mut(each);
            let all = self.lanes.iter_mut().zip(observations).zip(self.last.chunks_exact_mut(each));
            return all.zip(&mut self.steps).enumerate().for_each(|(i, (((lane, seen), last), step))| {
                *step = lane.step(action(i), seen, |seen, _, _| last.copy_from_slice(seen));
            });
        }
        let observations = self.observations.par_chunks_exact_mut(each);
        let all = self.lanes.par_iter_mut().zip(observations).zip(self.last.par_chunks_exact_mut(each));
        let all = all.zip(&mut self.steps).with_min_len(WORTHWHILE).enumerate();
        all.for_each(|(i, (((lane, seen), last), step))| {
            *step = lane.step(action(i), seen, |seen, _, _| last.copy_from_slice(seen));
        });
    }

    /// Steps every lane `count` times without waiting for the others: `choose` is given what the lane sees and its random numbers.
    /// Returns the episodes that ended, lane by lane. [`Self::steps`] and [`Self::last_observations`] stay as they were.
    pub fn run<C: Choice>(
        &mut self,
        count: u64,
        choose: impl Fn(&[f32], &mut Pcg64) -> C + Sync,
    ) -> Vec<Finished> {
        let each = self.each.max(1);
        let lanes = self.lanes.par_iter_mut().zip(self.observations.par_chunks_exact_mut(each)).enumerate();
        let finished = lanes.flat_map_iter(|(index, (lane, seen))| {
            let mut finished = Vec::new();
            for _ in 0..count {
                let choice = choose(seen, &mut lane.rng);
                lane.step(choice.action(), seen, |_, total, steps| {
                    finished.push(Finished { lane: index, total, steps });
                });
            }
            finished
        });
        finished.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CartPole, FrozenLake, Pendulum};
    use super::*;
    use rand::RngCore;

    fn coin(_: &[f32], rng: &mut Pcg64) -> usize {
        (rng.next_u64() >> 63) as usize
    }

    #[test]
    fn an_episode_is_followed_by_the_next_in_the_same_step() {
        let mut envs = VectorEnv::new(3, 5, CartPole::default);
        let mut alone: Vec<CartPole> = (0..3).map(|lane| envs.env(lane).clone()).collect();
        let mut ends = 0;
        for i in 0..60 {
            envs.step(|lane| Action::Discrete((i + lane) / 3 % 2));
            for (lane, env) in alone.iter_mut().enumerate() {
                let mut seen = [0.0; 4];
                let step = env.step(Action::Discrete((i + lane) / 3 % 2), &mut seen);
                let range = lane * 4..lane * 4 + 4;
                assert_eq!(envs.steps()[lane], step);
                if step.done() {
                    ends += 1;
                    assert_eq!(envs.last_observations()[range.clone()], seen);
                    assert!(envs.observations()[range].iter().all(|x| x.abs() <= 0.05), "a new episode");
                    *env = envs.env(lane).clone();
                } else {
                    assert_eq!(envs.observations()[range], seen);
                }
            }
        }
        assert!(ends > 3, "{ends}");
    }

    #[test]
    fn stepping_together_and_running_apart_are_the_same() {
        for lanes in [1, 7, 200] {
            let choose = |seen: &[f32]| usize::from(seen[2] + seen[3] > 0.0);
            let mut together = VectorEnv::new(lanes, 9, CartPole::default);
            for _ in 0..700 {
                let seen = together.observations().to_vec();
                together.step(|lane| Action::Discrete(choose(&seen[lane * 4..lane * 4 + 4])));
            }
            let mut apart = VectorEnv::new(lanes, 9, CartPole::default);
            let finished =
                apart.run(300, |seen, _| choose(seen)).len() + apart.run(400, |seen, _| choose(seen)).len();
            assert_eq!(together.observations(), apart.observations());
            assert!(finished >= lanes, "{finished}");
        }
    }

    #[test]
    fn threads_change_nothing() {
        let play = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let mut envs = VectorEnv::new(100, 1, || FrozenLake::small(true));
            let finished = pool.install(|| envs.run(300, |_, rng| (rng.next_u64() >> 62) as usize));
            (finished, envs.observations().to_vec())
        };
        assert_eq!(play(1), play(3));
    }

    #[test]
    fn lanes_and_episodes_differ_and_come_again_with_their_seed() {
        let episodes = |seed| VectorEnv::new(8, seed, CartPole::default).run(500, coin);
        assert_eq!(episodes(3), episodes(3));
        assert_ne!(episodes(3), episodes(4));
        let lengths = |lane: usize| -> Vec<u64> {
            episodes(3).iter().filter(|e| e.lane == lane).map(|e| e.steps).collect()
        };
        assert!(lengths(0).len() > 10 && lengths(0) != lengths(1));
        assert!(lengths(0).windows(2).any(|pair| pair[0] != pair[1]));
        let mean = episodes(3).iter().map(|e| e.total).sum::<f64>() / episodes(3).len() as f64;
        assert!((15.0..30.0).contains(&mean), "chance keeps a pole up for about 22 steps: {mean}");
    }

    #[test]
    fn continuous_actions_are_numbers() {
        let mut envs = VectorEnv::new(4, 2, Pendulum::default);
        let finished = envs.run(400, |seen, _| [-seen[1]]);
        assert_eq!(finished.len(), 8);
        assert!(finished.iter().all(|episode| episode.steps == 200 && episode.total < 0.0));
        let mut other = VectorEnv::new(4, 2, Pendulum::default);
        assert_eq!(other.run(400, |seen, _| vec![-seen[1]]), finished);
    }
}
