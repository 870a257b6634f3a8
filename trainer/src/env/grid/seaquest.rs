//! Seaquest: a submarine shoots fish and submarines, gathers divers, and must surface for air with a diver on board.
//!
//! Rules, MinAtar's but for the last:
//! - The submarine starts at the surface (row 0), facing left, and may dive to row 8. It moves one cell a frame; moves to the
//!   side turn it. It may shoot every 5 frames; bullets go one column a frame the way it faces.
//! - Every 20 frames an enemy comes in at the left or right of a row from 1 to 8: a submarine once in three, else a fish;
//!   none comes where an enemy of that row goes the other way. It moves a column every 6 frames. Submarines shoot the way
//!   they face every 11 frames; these bullets go a column a frame. An enemy hit by a bullet is gone and pays 1.
//! - Every 30 frames a diver comes in likewise and moves a column every 6 frames; the submarine takes it where they meet,
//!   six at most.
//! - A frame below the surface costs a unit of 200 of oxygen. Who surfaces with a diver on board has full oxygen again, at
//!   the price of one diver; with six divers all are delivered, and each of the ten cells of the gauge pays 1.
//! - With the ramp, each time it surfaces enemies come one frame sooner (down to every frame), and every other time they
//!   move one frame sooner (down to every 3 frames).
//! - The game is over when an enemy or its bullet meets the front of the submarine, when the oxygen is used up, or on
//!   surfacing without a diver.
//! - In MinAtar's code a delivery of six leaves −1 divers, so that the next diver counts for nothing; here it leaves 0, as
//!   MinAtar's description has it.
//!
//! Actions: no-op, left, up, right, down, fire.
//!
//! Measured over the episodes of seeds 0 to 299 (mean score, its standard error, mean number of frames):
//!
//! | player | score | error | frames |
//! |---|---|---|---|
//! | random | 0.15 | 0.03 | 33 |
//! | written-down | 39.62 | 2.01 | 585 |

#[cfg(test)]
mod tests;

use super::board::{Board, Dice, SIDE};
use super::{Channel, Frame, Game, Move};

/// Frames from one shot to the next.
const COOL_DOWN: u32 = 5;
/// Units of oxygen.
const OXYGEN: i32 = 200;
/// Divers on board at most.
const CREW: u32 = 6;
/// Frames from one enemy to the next at first.
const SPAWN_INTERVAL: u32 = 20;
/// Frames from one diver to the next.
const DIVER_INTERVAL: u32 = 30;
/// Frames an enemy waits between two moves, at first and for the shortest.
const ENEMY_WAIT: (u32, u32) = (5, 2);
/// Frames a diver waits between two moves.
const DIVER_WAIT: u32 = 5;
/// Frames an enemy waits between two shots.
const SHOT_WAIT: u32 = 10;
/// The deepest row; the gauges are below it.
const DEEPEST: i8 = 8;

/// A thing that goes along a row.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Swimmer {
    row: i8,
    column: i8,
    rightwards: bool,
    /// Frames until it moves.
    wait: u32,
    /// Frames until it shoots; only submarines do.
    until_shot: Option<u32>,
}

impl Swimmer {
    fn at(&self) -> (i8, i8) {
        (self.row, self.column)
    }

    fn advance(&mut self) {
        self.column += if self.rightwards { 1 } else { -1 };
    }

    fn inside(&self) -> bool {
        (0..SIDE as i8).contains(&self.column)
    }

    /// Counts down; true in the frame in which it moves.
    fn moves(&mut self, wait: u32) -> bool {
        let moves = self.wait == 0;
        self.wait = if moves { wait } else { self.wait - 1 };
        moves
    }
}

/// The board of Seaquest.
#[derive(Clone, Debug)]
pub struct Seaquest {
    ramp: bool,
    row: i8,
    column: i8,
    rightwards: bool,
    at_surface: bool,
    oxygen: i32,
    divers_aboard: u32,
    bullets: Vec<Swimmer>,
    enemy_bullets: Vec<Swimmer>,
    fish: Vec<Swimmer>,
    subs: Vec<Swimmer>,
    divers: Vec<Swimmer>,
    cool_down: u32,
    until_enemy: u32,
    until_diver: u32,
    spawn_interval: u32,
    enemy_wait: u32,
    /// How often the ramp made it harder.
    level: u32,
}

fn bullet(row: i8, column: i8, rightwards: bool) -> Swimmer {
    Swimmer { row, column, rightwards, wait: 0, until_shot: None }
}

impl Seaquest {
    fn spawn_enemy(&mut self, dice: &mut Dice) {
        let rightwards = dice.coin();
        let shoots = dice.below(3) == 0;
        let row = 1 + dice.below(8) as i8;
        let against = |other: &Swimmer| other.row == row && other.rightwards != rightwards;
        if self.fish.iter().chain(&self.subs).any(against) {
            return;
        }
        let column = if rightwards { 0 } else { 9 };
        let until_shot = shoots.then_some(SHOT_WAIT);
        let enemy = Swimmer { row, column, rightwards, wait: self.enemy_wait, until_shot };
        if shoots { self.subs.push(enemy) } else { self.fish.push(enemy) }
    }

    fn spawn_diver(&mut self, dice: &mut Dice) {
        let rightwards = dice.coin();
        let row = 1 + dice.below(8) as i8;
        let column = if rightwards { 0 } else { 9 };
        self.divers.push(Swimmer { row, column, rightwards, wait: DIVER_WAIT, until_shot: None });
    }

    fn steer(&mut self, action: Move) {
        match action {
            Move::Fire if self.cool_down == 0 => {
                self.bullets.push(bullet(self.row, self.column, self.rightwards));
                self.cool_down = COOL_DOWN;
            }
            Move::Left => (self.column, self.rightwards) = ((self.column - 1).max(0), false),
            Move::Right => (self.column, self.rightwards) = ((self.column + 1).min(9), true),
            Move::Up => self.row = (self.row - 1).max(0),
            Move::Down => self.row = (self.row + 1).min(DEEPEST),
            Move::Noop | Move::Fire => {}
        }
    }

    /// Moves the bullets of the submarine; how many enemies they hit.
    fn move_bullets(&mut self) -> u32 {
        let (fish, subs) = (&mut self.fish, &mut self.subs);
        let mut hits = 0;
        self.bullets.retain_mut(|bullet| {
            bullet.advance();
            let hit = take(fish, bullet.at()) || take(subs, bullet.at());
            hits += u32::from(hit);
            !hit && bullet.inside()
        });
        hits
    }

    fn move_divers(&mut self) {
        let here = (self.row, self.column);
        let aboard = &mut self.divers_aboard;
        let mut board = |diver: &Swimmer| {
            let taken = diver.at() == here && *aboard < CREW;
            *aboard += u32::from(taken);
            taken
        };
        self.divers.retain_mut(|diver| {
            if board(diver) {
                return false;
            }
            if diver.moves(DIVER_WAIT) {
                diver.advance();
                return diver.inside() && !board(diver);
            }
            true
        });
    }

    /// Moves fish or submarines: how many swam into a bullet, and whether one met the player.
    fn move_enemies(&mut self, shoot: bool) -> (u32, bool) {
        let here = (self.row, self.column);
        let (mut hits, mut met) = (0, false);
        let (bullets, enemy_bullets) = (&mut self.bullets, &mut self.enemy_bullets);
        let wait = self.enemy_wait;
        let enemies = if shoot { &mut self.subs } else { &mut self.fish };
        enemies.retain_mut(|enemy| {
            met |= enemy.at() == here;
            let mut stays = true;
            if enemy.moves(wait) {
                enemy.advance();
                met |= enemy.at() == here;
                let hit = enemy.inside() && enemy.at() != here && take(bullets, enemy.at());
                hits += u32::from(hit);
                stays = enemy.inside() && !hit;
            }
            if let Some(until_shot) = &mut enemy.until_shot {
                if *until_shot == 0 {
                    *until_shot = SHOT_WAIT;
                    enemy_bullets.push(bullet(enemy.row, enemy.column, enemy.rightwards));
                } else {
                    *until_shot -= 1;
                }
            }
            stays
        });
        (hits, met)
    }

    /// Moves the bullets of the enemies; whether one met the player.
    fn move_enemy_bullets(&mut self) -> bool {
        let here = (self.row, self.column);
        let mut met = false;
        self.enemy_bullets.retain_mut(|bullet| {
            met |= bullet.at() == here;
            bullet.advance();
            met |= bullet.at() == here;
            bullet.inside()
        });
        met
    }

    /// Cells of the gauge of oxygen.
    fn gauge(&self) -> u32 {
        (self.oxygen.max(0) * SIDE as i32 / OXYGEN) as u32
    }

    /// Arrival at the surface with a diver on board; what it pays.
    fn surface(&mut self) -> u32 {
        let mut reward = 0;
        if self.divers_aboard == CREW {
            reward = self.gauge();
            self.divers_aboard = 0;
        } else {
            self.divers_aboard -= 1;
        }
        self.oxygen = OXYGEN;
        if self.ramp && (self.spawn_interval > 1 || self.enemy_wait > ENEMY_WAIT.1) {
            if self.level % 2 == 1 {
                self.enemy_wait = (self.enemy_wait - 1).max(ENEMY_WAIT.1);
            }
            self.spawn_interval = (self.spawn_interval - 1).max(1);
            self.level += 1;
        }
        reward
    }
}

/// Takes one of `swimmers` away that is at this place; whether there was one.
fn take(swimmers: &mut Vec<Swimmer>, at: (i8, i8)) -> bool {
    let found = swimmers.iter().position(|swimmer| swimmer.at() == at);
    found.map(|index| swimmers.remove(index)).is_some()
}

impl Game for Seaquest {
    const NAME: &'static str = "seaquest";
    const CHANNELS: &'static [Channel] = &[
        Channel { name: "submarine's front", symbol: 'S', colour: [250, 220, 90] },
        Channel { name: "submarine's back", symbol: 's', colour: [170, 140, 40] },
        Channel { name: "own bullet", symbol: '-', colour: [250, 250, 250] },
        Channel { name: "trail", symbol: ':', colour: [50, 60, 80] },
        Channel { name: "enemy bullet", symbol: '*', colour: [250, 70, 90] },
        Channel { name: "fish", symbol: 'f', colour: [80, 200, 120] },
        Channel { name: "enemy submarine", symbol: 'e', colour: [200, 100, 200] },
        Channel { name: "oxygen", symbol: 'O', colour: [90, 160, 250] },
        Channel { name: "divers on board", symbol: 'D', colour: [30, 90, 190] },
        Channel { name: "diver", symbol: 'd', colour: [140, 200, 250] },
    ];
    const MOVES: &'static [Move] = &[Move::Noop, Move::Left, Move::Up, Move::Right, Move::Down, Move::Fire];
    const SCRIPTED: fn(&[Board]) -> Move = super::scripted::seaquest;

    fn new(ramp: bool) -> Self {
        Self {
            ramp,
            row: 0,
            column: 5,
            rightwards: false,
            at_surface: true,
            oxygen: OXYGEN,
            divers_aboard: 0,
            bullets: Vec::new(),
            enemy_bullets: Vec::new(),
            fish: Vec::new(),
            subs: Vec::new(),
            divers: Vec::new(),
            cool_down: 0,
            until_enemy: SPAWN_INTERVAL,
            until_diver: DIVER_INTERVAL,
            spawn_interval: SPAWN_INTERVAL,
            enemy_wait: ENEMY_WAIT.0,
            level: 0,
        }
    }

    fn begin(&mut self, _dice: &mut Dice) {
        *self = Self::new(self.ramp);
    }

    fn frame(&mut self, action: Move, dice: &mut Dice) -> Frame {
        let mut frame = Frame::default();
        if self.until_enemy == 0 {
            self.spawn_enemy(dice);
            self.until_enemy = self.spawn_interval;
        }
        if self.until_diver == 0 {
            self.spawn_diver(dice);
            self.until_diver = DIVER_INTERVAL;
        }
        self.steer(action);
        frame.reward += self.move_bullets();
        self.move_divers();
        let (hits, met) = self.move_enemies(true);
        frame.reward += hits;
        frame.over |= met;
        frame.over |= self.move_enemy_bullets();
        let (hits, met) = self.move_enemies(false);
        frame.reward += hits;
        frame.over |= met;

        self.until_enemy -= 1;
        self.until_diver -= 1;
        self.cool_down = self.cool_down.saturating_sub(1);
        frame.over |= self.oxygen < 0;
        let was_at_surface = core::mem::replace(&mut self.at_surface, self.row == 0);
        if !self.at_surface {
            self.oxygen -= 1;
        } else if !was_at_surface {
            if self.divers_aboard == 0 {
                frame.over = true;
            } else {
                frame.reward += self.surface();
            }
        }
        frame
    }

    fn draw(&self, boards: &mut [Board]) {
        let back = |swimmer: &Swimmer| swimmer.column + if swimmer.rightwards { -1 } else { 1 };
        boards[0].set_inside(self.row, self.column);
        boards[1].set_inside(self.row, self.column + if self.rightwards { -1 } else { 1 });
        let groups = [
            (2, &self.bullets, false),
            (4, &self.enemy_bullets, false),
            (5, &self.fish, true),
            (6, &self.subs, true),
            (9, &self.divers, true),
        ];
        for (channel, swimmers, trail) in groups {
            for swimmer in swimmers {
                boards[channel].set_inside(swimmer.row, swimmer.column);
                if trail {
                    boards[3].set_inside(swimmer.row, back(swimmer));
                }
            }
        }
        boards[7] = Board::block(9..10, 0..self.gauge() as usize);
        boards[8] = Board::block(9..10, 9 - self.divers_aboard as usize..9);
    }
}
