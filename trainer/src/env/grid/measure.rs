//! Scores of the random and of the written-down player, against which trained agents are measured.

use super::board::Dice;
use super::{Entry, Options};
use crate::env::Action;
use core::ops::Range;

/// Whom trained agents are measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Player {
    /// Every action equally likely in every frame.
    Random,
    /// The written-down player of the game.
    Scripted,
}

/// Scores of episodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean of the sums of rewards.
    pub mean: f64,
    /// Standard error of that mean.
    pub standard_error: f64,
    /// Mean number of frames.
    pub frames: f64,
    /// Episodes that the time limit ended.
    pub truncated: u32,
}

/// Plays one episode for each of `seeds`. The same seeds give the same score.
///
/// # Panics
/// Where there are fewer than two seeds.
pub fn score(game: &Entry, player: Player, options: Options, seeds: Range<u64>) -> Score {
    let mut env = (game.make)(options);
    let mut seen = vec![0.0; env.observation_space().len()];
    let episodes = seeds.end.saturating_sub(seeds.start) as f64;
    assert!(episodes >= 2.0, "one episode has no standard error");
    let (mut sum, mut squares, mut frames, mut truncated) = (0.0, 0.0, 0.0, 0);
    for seed in seeds {
        // Other chance than that of the episode.
        let mut dice = Dice::new(!seed);
        env.reset(seed, &mut seen);
        let mut score = 0.0;
        loop {
            let action = match player {
                Player::Random => dice.below(game.moves.len()),
                Player::Scripted => (game.scripted)(&seen),
            };
            let step = env.step(Action::Discrete(action), &mut seen);
            score += step.reward;
            frames += 1.0;
            if step.done() {
                truncated += u32::from(step.truncated);
                break;
            }
        }
        sum += score;
        squares += score * score;
    }
    let mean = sum / episodes;
    let variance = (squares - sum * mean) / (episodes - 1.0);
    Score { mean, standard_error: (variance / episodes).sqrt(), frames: frames / episodes, truncated }
}
