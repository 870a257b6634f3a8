//! Five of the Atari games DQN was shown on (Mnih et al. 2013), on a 10x10 grid in the manner of MinAtar (Young and Tian
//! 2019, "MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible Reinforcement Learning Experiments",
//! arXiv:1903.03176), written from the games' rules. Breakout, Space Invaders and Seaquest keep MinAtar's rules, so that
//! scores may stand beside its own; Pong and Beam Rider are not in MinAtar.
//!
//! An observation is 1x10x10xC of 0 and 1: one channel for each kind of thing on the board, in MinAtar's order where the
//! game is one of its own. With the probability [`Options::sticky`] a frame repeats the action of the frame before
//! (Machado et al. 2018, "Revisiting the Arcade Learning Environment"), the first that of no action. The games get
//! harder as they go on ([`Options::ramp`]).
//!
//! Frames and rewards of these three were compared with release 1.0.15 of MinAtar, given the same actions and draws, over
//! 60 episodes each, 41,678 frames in all: they are the same but for the difference that Seaquest names. The test
//! `frames_are_those_compared_with_minatar` keeps them.
//!
//! Where this differs from MinAtar beside what the games say: an agent has the actions that mean something in the game
//! instead of all six, so that a random player moves more often; an episode ends after [`Options::limit`] frames, which
//! MinAtar does not know, so that one that would never end does not stop the training (the written-down players never
//! reach it); and sticky actions do not reach over the end of an episode.

pub mod beam_rider;
pub mod board;
pub mod breakout;
pub mod measure;
pub mod pong;
mod render;
mod scripted;
pub mod seaquest;
pub mod space_invaders;
#[cfg(test)]
mod tests;

use super::{Action, ActionSpace, Env, Normalisation, ObservationSpace, Step};
use board::{Board, Dice, SIDE};
use dunlin::shape::Shape;

/// What a hand on the joystick does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nothing.
    Noop,
    /// To the left.
    Left,
    /// Upwards.
    Up,
    /// To the right.
    Right,
    /// Downwards.
    Down,
    /// The button.
    Fire,
}

impl Move {
    /// As it is displayed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noop => "no-op",
            Self::Left => "left",
            Self::Up => "up",
            Self::Right => "right",
            Self::Down => "down",
            Self::Fire => "fire",
        }
    }
}

/// One kind of thing on the board, and how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// What it is.
    pub name: &'static str,
    /// In text.
    pub symbol: char,
    /// In a picture, red, green and blue.
    pub colour: [u8; 3],
}

/// What differs from the games as they are played by default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Probability that a frame repeats the action of the frame before.
    pub sticky: f64,
    /// Whether the game gets harder.
    pub ramp: bool,
    /// Frames after which an episode is truncated.
    pub limit: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { sticky: 0.1, ramp: true, limit: 5000 }
    }
}

/// What a frame pays, and whether it is the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Reward.
    pub reward: u32,
    /// Whether the game is over.
    pub over: bool,
}

/// The rules of one game.
pub trait Game: Send {
    /// Name, as in [`ALL`].
    const NAME: &'static str;
    /// What is seen, in the order of the channels.
    const CHANNELS: &'static [Channel];
    /// What can be done, in the order of the actions.
    const MOVES: &'static [Move];

    /// The written-down player: what it does where it sees these channels.
    const SCRIPTED: fn(&[Board]) -> Move;

    /// A game that gets harder with `ramp`; [`Self::begin`] has yet to set its board.
    fn new(ramp: bool) -> Self;

    /// Sets the board for a new episode.
    fn begin(&mut self, dice: &mut Dice);

    /// One frame.
    fn frame(&mut self, action: Move, dice: &mut Dice) -> Frame;

    /// Writes the cells of each channel into `boards`, which are empty.
    fn draw(&self, boards: &mut [Board]);
}

/// A game as an environment.
#[derive(Clone, Debug)]
pub struct Grid<G> {
    game: G,
    options: Options,
    dice: Dice,
    last: usize,
    frames: u32,
    score: u32,
}

impl<G: Game> Grid<G> {
    /// The game before its first [`Env::reset`].
    pub fn new(options: Options) -> Self {
        let mut grid =
            Self { game: G::new(options.ramp), options, dice: Dice::new(0), last: 0, frames: 0, score: 0 };
        grid.game.begin(&mut grid.dice);
        grid
    }

    fn boards(&self) -> [Board; MOST_CHANNELS] {
        let mut boards = [Board::EMPTY; MOST_CHANNELS];
        self.game.draw(&mut boards[..G::CHANNELS.len()]);
        boards
    }

    fn observe(&self, observation: &mut [f32]) {
        let channels = G::CHANNELS.len();
        assert_eq!(observation.len(), SIDE * SIDE * channels, "observation of {}", G::NAME);
        observation.fill(0.0);
        for (channel, board) in self.boards()[..channels].iter().enumerate() {
            for (row, column) in board.cells() {
                observation[(row * SIDE + column) * channels + channel] = 1.0;
            }
        }
    }
}

/// Channels of the game that has most.
const MOST_CHANNELS: usize = 10;

impl<G: Game> Env for Grid<G> {
    fn name(&self) -> &'static str {
        G::NAME
    }

    fn observation_space(&self) -> ObservationSpace {
        let side = SIDE as u32;
        ObservationSpace {
            shape: Shape::image(side, side, G::CHANNELS.len() as u32),
            low: vec![0.0],
            high: vec![1.0],
        }
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation::none()
    }

    fn action_space(&self) -> ActionSpace {
        ActionSpace::Discrete(G::MOVES.len())
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        self.dice = Dice::new(seed);
        (self.last, self.frames, self.score) = (0, 0, 0);
        self.game.begin(&mut self.dice);
        self.observe(observation);
    }

    fn step(&mut self, action: Action<'_>, observation: &mut [f32]) -> Step {
        let action = action.index();
        assert!(action < G::MOVES.len(), "{} has {} actions, not action {action}", G::NAME, G::MOVES.len());
        if !self.dice.chance(self.options.sticky) {
            self.last = action;
        }
        let frame = self.game.frame(G::MOVES[self.last], &mut self.dice);
        self.frames += 1;
        self.score += frame.reward;
        self.observe(observation);
        Step {
            reward: f64::from(frame.reward),
            terminated: frame.over,
            truncated: !frame.over && self.frames >= self.options.limit,
        }
    }

    fn advice(&self) -> Option<usize> {
        advised::<G>(&self.boards())
    }

    fn text(&self) -> String {
        render::text::<G>(&self.boards(), self.frames, self.score)
    }

    fn picture(&self) -> image::RgbImage {
        render::picture::<G>(&self.boards())
    }
}

/// A game by name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name.
    pub name: &'static str,
    /// What can be done, in the order of the actions.
    pub moves: &'static [Move],
    /// What is seen, in the order of the channels.
    pub channels: &'static [Channel],
    /// The action of the written-down player, which sees the observation alone.
    pub scripted: fn(&[f32]) -> usize,
    /// Makes it.
    pub make: fn(Options) -> Box<dyn Env>,
}

impl Entry {
    const fn of<G: Game + 'static>() -> Self {
        Self {
            name: G::NAME,
            moves: G::MOVES,
            channels: G::CHANNELS,
            scripted: act_scripted::<G>,
            make: |options| Box::new(Grid::<G>::new(options)),
        }
    }
}

fn act_scripted<G: Game>(observation: &[f32]) -> usize {
    let channels = G::CHANNELS.len();
    let mut boards = [Board::EMPTY; MOST_CHANNELS];
    for (index, &x) in observation.iter().enumerate() {
        if x != 0.0 {
            let cell = index / channels;
            boards[index % channels].set(cell / SIDE, cell % SIDE);
        }
    }
    advised::<G>(&boards).unwrap_or(0)
}

/// The action of the written-down player who sees `boards`.
fn advised<G: Game>(boards: &[Board; MOST_CHANNELS]) -> Option<usize> {
    let wanted = G::SCRIPTED(&boards[..G::CHANNELS.len()]);
    G::MOVES.iter().position(|&m| m == wanted)
}

/// All games.
pub const ALL: [Entry; 5] = [
    Entry::of::<pong::Pong>(),
    Entry::of::<breakout::Breakout>(),
    Entry::of::<space_invaders::SpaceInvaders>(),
    Entry::of::<seaquest::Seaquest>(),
    Entry::of::<beam_rider::BeamRider>(),
];

/// The game of this name.
pub fn by_name(name: &str) -> Option<&'static Entry> {
    const { &ALL }.iter().find(|entry| entry.name == name)
}
