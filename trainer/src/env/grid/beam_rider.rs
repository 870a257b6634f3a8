//! Beam Rider: a ship on the bottom row changes between five beams, down which saucers and meteors come.
//!
//! Not a game of MinAtar; the rules are Atari's on a 10x10 grid:
//! - The beams are columns 0, 2, 4, 6 and 8. The ship goes from beam to beam, one a frame. Column 9 shows its torpedoes.
//! - A saucer appears at the top of a random beam every 12 frames where fewer than four are there. It comes down a row
//!   every 4 frames. In the upper five rows it goes over to a beam beside it at every other such move on average, or
//!   stays where it is at the edge, and drops a bomb at every third on average; bombs fall a row a frame. A saucer below
//!   the bottom row is gone.
//! - The ship may fire its laser every 5 frames. A shot rises a row a frame and removes a saucer, which pays 1.
//! - From sector 2 on a meteor comes down a random beam every 20 frames, a row every 2 frames. Lasers stop at it; a
//!   torpedo removes it, which pays 1.
//! - The ship has three torpedoes in a sector, and may launch one where it may fire. A torpedo rises a row a frame and
//!   removes the first thing it meets: a saucer, which pays 1 too, a meteor, a bomb, which pays nothing, or the sentinel.
//! - When 15 saucers of a sector are shot, no more come; the sentinel crosses the top row from the left to the right, a
//!   column every 4 frames. A torpedo that meets it pays 5. Whether it is hit or leaves, the next sector begins then.
//! - With the ramp, in each sector saucers come a frame sooner (down to every 6 frames) and bombs are more likely, and in
//!   every other they move a frame sooner (down to every 2 frames).
//! - The game is over when a saucer, a bomb or a meteor meets the ship.
//!
//! Actions: no-op, left, torpedo (up), right, fire.
//!
//! Measured over the episodes of seeds 0 to 299 (mean score, its standard error, mean number of frames):
//!
//! | player | score | error | frames |
//! |---|---|---|---|
//! | random | 2.26 | 0.11 | 58 |
//! | written-down | 24.91 | 0.90 | 279 |

#[cfg(test)]
mod tests;

use super::board::{Board, Dice, SIDE};
use super::{Channel, Frame, Game, Move};

/// Beams.
const BEAMS: usize = 5;
/// The row of the ship.
const BOTTOM: usize = SIDE - 1;
/// Rows from the top in which a saucer changes beams and drops bombs.
const UPPER: usize = 5;
/// Frames from one shot of the laser to the next.
const COOL_DOWN: u32 = 5;
/// Torpedoes of a sector.
const TORPEDOES: usize = 3;
/// Saucers to be shot in a sector.
const SECTOR: u32 = 15;
/// Saucers at a time.
const SAUCERS: usize = 4;
/// Frames from one saucer to the next: at first, and for the shortest.
const SAUCER_INTERVAL: (u32, u32) = (12, 6);
/// Frames from one move of a saucer to the next: at first, and for the shortest.
const SAUCER_PACE: (u32, u32) = (4, 2);
/// Frames from one meteor to the next.
const METEOR_INTERVAL: u32 = 20;
/// Frames from one move of a meteor to the next.
const METEOR_PACE: u32 = 2;
/// Frames from one move of the sentinel to the next.
const SENTINEL_PACE: u32 = 4;
/// What the sentinel pays.
const SENTINEL_REWARD: u32 = 5;
/// Probability of a bomb at a move of a saucer: at first, more in each sector, and at most.
const BOMB: (f64, f64, f64) = (0.33, 0.05, 0.6);

/// What comes down a beam.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Faller {
    row: usize,
    beam: usize,
    /// Frames until it moves.
    wait: u32,
}

impl Faller {
    fn cell(&self) -> (usize, usize) {
        (self.row, column(self.beam))
    }
}

/// The board of Beam Rider.
#[derive(Clone, Debug)]
pub struct BeamRider {
    ramp: bool,
    /// The beam of the ship.
    ship: usize,
    saucers: Vec<Faller>,
    meteors: Vec<Faller>,
    bombs: Board,
    lasers: Board,
    torpedoes: Board,
    /// Column and frames until it moves.
    sentinel: Option<(usize, u32)>,
    torpedoes_left: usize,
    cool_down: u32,
    until_saucer: u32,
    until_meteor: u32,
    /// From 0.
    sector: u32,
    /// Saucers shot in this sector.
    shot: u32,
}

fn column(beam: usize) -> usize {
    2 * beam
}

impl BeamRider {
    /// By how many frames an interval is shorter in this sector.
    fn level(&self) -> u32 {
        if self.ramp { self.sector } else { 0 }
    }

    fn steer(&mut self, action: Move) {
        match action {
            Move::Left => self.ship = self.ship.saturating_sub(1),
            Move::Right => self.ship = (self.ship + 1).min(BEAMS - 1),
            Move::Fire if self.cool_down == 0 => {
                self.lasers.set(BOTTOM, column(self.ship));
                self.cool_down = COOL_DOWN;
            }
            Move::Up if self.cool_down == 0 && self.torpedoes_left > 0 => {
                self.torpedoes.set(BOTTOM, column(self.ship));
                self.torpedoes_left -= 1;
                self.cool_down = COOL_DOWN;
            }
            _ => {}
        }
    }

    fn spawn(&mut self, dice: &mut Dice) {
        let level = self.level();
        if self.until_saucer == 0 && self.sentinel.is_none() && self.saucers.len() < SAUCERS {
            self.saucers.push(Faller { row: 0, beam: dice.below(BEAMS), wait: self.pace() });
            self.until_saucer = SAUCER_INTERVAL.0.saturating_sub(level).max(SAUCER_INTERVAL.1);
        }
        if self.until_meteor == 0 && self.sector > 0 {
            self.meteors.push(Faller { row: 0, beam: dice.below(BEAMS), wait: METEOR_PACE });
            self.until_meteor = METEOR_INTERVAL;
        }
    }

    fn pace(&self) -> u32 {
        SAUCER_PACE.0.saturating_sub(self.level() / 2).max(SAUCER_PACE.1)
    }

    fn move_saucers(&mut self, dice: &mut Dice) {
        let pace = self.pace();
        let (first, more, most) = BOMB;
        let bomb = (first + more * f64::from(self.level())).min(most);
        let bombs = &mut self.bombs;
        self.saucers.retain_mut(|saucer| {
            saucer.wait -= 1;
            if saucer.wait > 0 {
                return true;
            }
            saucer.wait = pace;
            if saucer.row < UPPER {
                if dice.chance(bomb) {
                    bombs.set(saucer.row, column(saucer.beam));
                }
                if dice.coin() {
                    let beam = if dice.coin() { saucer.beam + 1 } else { saucer.beam.saturating_sub(1) };
                    saucer.beam = beam.min(BEAMS - 1);
                }
            }
            saucer.row += 1;
            saucer.row < SIDE
        });
    }

    fn move_meteors(&mut self) {
        self.meteors.retain_mut(|meteor| {
            meteor.wait -= 1;
            if meteor.wait == 0 {
                meteor.wait = METEOR_PACE;
                meteor.row += 1;
            }
            meteor.row < SIDE
        });
    }

    /// Moves the sentinel; whether it left.
    fn move_sentinel(&mut self) -> bool {
        if let Some((column, wait)) = &mut self.sentinel {
            *wait -= 1;
            if *wait == 0 {
                (*column, *wait) = (*column + 1, SENTINEL_PACE);
            }
            return *column == SIDE - 1;
        }
        false
    }

    /// What the shots on the board hit, and what that pays.
    fn hit(&mut self) -> u32 {
        let (lasers, torpedoes) = (&mut self.lasers, &mut self.torpedoes);
        let mut reward = 0;
        self.saucers.retain(|saucer| {
            let (row, column) = saucer.cell();
            let hit = lasers.has(row, column) || torpedoes.has(row, column);
            if hit {
                lasers.clear(row, column);
                torpedoes.clear(row, column);
                self.shot += 1;
                reward += 1;
            }
            !hit
        });
        self.meteors.retain(|meteor| {
            let (row, column) = meteor.cell();
            let hit = torpedoes.has(row, column);
            lasers.clear(row, column);
            torpedoes.clear(row, column);
            reward += u32::from(hit);
            !hit
        });
        let met = self.bombs.and(torpedoes);
        self.bombs = self.bombs.minus(&met);
        self.torpedoes = self.torpedoes.minus(&met);
        reward
    }

    fn next_sector(&mut self) {
        self.sentinel = None;
        self.sector += 1;
        self.shot = 0;
        self.torpedoes_left = TORPEDOES;
        self.until_saucer = SAUCER_INTERVAL.0;
        self.until_meteor = METEOR_INTERVAL;
    }
}

impl Game for BeamRider {
    const NAME: &'static str = "beam-rider";
    const CHANNELS: &'static [Channel] = &[
        Channel { name: "ship", symbol: 'A', colour: [250, 220, 90] },
        Channel { name: "saucer", symbol: 'w', colour: [230, 230, 230] },
        Channel { name: "meteor", symbol: 'm', colour: [170, 110, 60] },
        Channel { name: "sentinel", symbol: 'X', colour: [90, 220, 110] },
        Channel { name: "laser", symbol: '|', colour: [120, 190, 250] },
        Channel { name: "torpedo", symbol: 'T', colour: [200, 100, 220] },
        Channel { name: "bomb", symbol: '!', colour: [250, 70, 90] },
        Channel { name: "torpedoes left", symbol: 't', colour: [110, 50, 130] },
    ];
    const MOVES: &'static [Move] = &[Move::Noop, Move::Left, Move::Up, Move::Right, Move::Fire];
    const SCRIPTED: fn(&[Board]) -> Move = super::scripted::beam_rider;

    fn new(ramp: bool) -> Self {
        Self {
            ramp,
            ship: BEAMS / 2,
            saucers: Vec::new(),
            meteors: Vec::new(),
            bombs: Board::EMPTY,
            lasers: Board::EMPTY,
            torpedoes: Board::EMPTY,
            sentinel: None,
            torpedoes_left: TORPEDOES,
            cool_down: 0,
            until_saucer: 0,
            until_meteor: METEOR_INTERVAL,
            sector: 0,
            shot: 0,
        }
    }

    fn begin(&mut self, _dice: &mut Dice) {
        *self = Self::new(self.ramp);
    }

    fn frame(&mut self, action: Move, dice: &mut Dice) -> Frame {
        let mut frame = Frame::default();
        self.spawn(dice);
        self.steer(action);
        self.lasers = self.lasers.up();
        self.torpedoes = self.torpedoes.up();
        // Before and after the others move, so that no shot passes through what comes towards it.
        frame.reward += self.hit();
        self.bombs = self.bombs.down();
        self.move_saucers(dice);
        self.move_meteors();
        frame.reward += self.hit();

        let here = (BOTTOM, column(self.ship));
        frame.over = self.bombs.has(here.0, here.1)
            || self.saucers.iter().chain(&self.meteors).any(|faller| faller.cell() == here);

        let left = self.move_sentinel();
        let met = self.sentinel.is_some_and(|(column, _)| self.torpedoes.has(0, column));
        if met {
            frame.reward += SENTINEL_REWARD;
        }
        if met || left {
            self.next_sector();
        } else if self.sentinel.is_none() && self.shot >= SECTOR {
            self.sentinel = Some((0, SENTINEL_PACE));
        }
        self.until_saucer = self.until_saucer.saturating_sub(1);
        self.until_meteor = self.until_meteor.saturating_sub(1);
        self.cool_down = self.cool_down.saturating_sub(1);
        frame
    }

    fn draw(&self, boards: &mut [Board]) {
        boards[0].set(BOTTOM, column(self.ship));
        for (channel, fallers) in [(1, &self.saucers), (2, &self.meteors)] {
            for (row, column) in fallers.iter().map(Faller::cell) {
                boards[channel].set(row, column);
            }
        }
        if let Some((column, _)) = self.sentinel {
            boards[3].set(0, column);
        }
        boards[4] = self.lasers;
        boards[5] = self.torpedoes;
        boards[6] = self.bombs;
        boards[7] = Board::block(SIDE - self.torpedoes_left..SIDE, 9..10);
    }
}
