//! Space Invaders: a cannon on the bottom row shoots at a block of 24 aliens that come down and shoot back.
//!
//! Rules, all MinAtar's:
//! - The aliens, four rows of six, move one column to the side every 12 frames, or as many frames as there are aliens
//!   where these are fewer. When one is at the edge they go down a row instead and turn.
//! - The cannon may shoot every 5 frames. Its bullets rise a row each frame; one that meets an alien removes it and
//!   pays 1.
//! - Every 10 frames the lowest alien of the column nearest to the cannon (the left one of two) shoots; bullets fall a
//!   row each frame and do not meet those of the cannon.
//! - When all aliens are gone the next 24 are there. With the ramp their interval is then one frame shorter, down to 6.
//! - The game is over when a bullet or an alien meets the cannon, or when an alien would go below the bottom row.
//!
//! Actions: no-op, left, right, fire.
//!
//! Measured over the episodes of seeds 0 to 299 (mean score, its standard error, mean number of frames):
//!
//! | player | score | error | frames |
//! |---|---|---|---|
//! | random | 3.77 | 0.18 | 55 |
//! | written-down | 39.80 | 1.74 | 374 |

use super::board::{Board, Dice, SIDE};
use super::{Channel, Frame, Game, Move};

/// Frames from one shot of the cannon to the next.
const COOL_DOWN: u32 = 5;
/// Frames from one move of the first aliens to the next.
const MOVE_INTERVAL: u32 = 12;
/// The shortest such interval the ramp makes.
const SHORTEST_INTERVAL: u32 = 6;
/// Frames from one shot of the aliens to the next.
const SHOT_INTERVAL: u32 = 10;
/// The row of the cannon.
const BOTTOM: usize = SIDE - 1;

/// The board of Space Invaders.
#[derive(Clone, Debug)]
pub struct SpaceInvaders {
    ramp: bool,
    cannon: usize,
    aliens: Board,
    /// The aliens move to the left.
    leftwards: bool,
    bullets: Board,
    bombs: Board,
    /// Frames until the cannon may shoot.
    cool_down: u32,
    interval: u32,
    /// Frames until the aliens move.
    until_move: u32,
    /// Frames until they shoot.
    until_shot: u32,
}

fn wave() -> Board {
    Board::block(0..4, 2..8)
}

impl SpaceInvaders {
    fn march(&mut self) -> bool {
        self.until_move = self.aliens.count().min(self.interval);
        let edge = if self.leftwards { 0 } else { SIDE - 1 };
        if self.aliens.column(edge).next().is_none() {
            self.aliens = if self.leftwards { self.aliens.left() } else { self.aliens.right() };
            return false;
        }
        self.leftwards = !self.leftwards;
        let landed = self.aliens.row_any(BOTTOM);
        self.aliens = self.aliens.down();
        landed
    }

    /// The lowest alien of the column nearest to the cannon.
    fn nearest(&self) -> Option<(usize, usize)> {
        let lowest = |column: usize| self.aliens.column(column).next_back().map(|row| (row, column));
        (0..SIDE).filter_map(lowest).min_by_key(|(_, column)| column.abs_diff(self.cannon))
    }
}

impl Game for SpaceInvaders {
    const NAME: &'static str = "space-invaders";
    const CHANNELS: &'static [Channel] = &[
        Channel { name: "cannon", symbol: 'A', colour: [90, 220, 110] },
        Channel { name: "alien", symbol: 'W', colour: [230, 230, 230] },
        Channel { name: "alien going left", symbol: '<', colour: [250, 200, 80] },
        Channel { name: "alien going right", symbol: '>', colour: [240, 140, 60] },
        Channel { name: "own bullet", symbol: '|', colour: [120, 190, 250] },
        Channel { name: "alien bullet", symbol: '!', colour: [250, 70, 90] },
    ];
    const MOVES: &'static [Move] = &[Move::Noop, Move::Left, Move::Right, Move::Fire];
    const SCRIPTED: fn(&[Board]) -> Move = super::scripted::space_invaders;

    fn new(ramp: bool) -> Self {
        Self {
            ramp,
            cannon: 5,
            aliens: wave(),
            leftwards: true,
            bullets: Board::EMPTY,
            bombs: Board::EMPTY,
            cool_down: 0,
            interval: MOVE_INTERVAL,
            until_move: MOVE_INTERVAL,
            until_shot: SHOT_INTERVAL,
        }
    }

    fn begin(&mut self, _dice: &mut Dice) {
        *self = Self::new(self.ramp);
    }

    fn frame(&mut self, action: Move, _dice: &mut Dice) -> Frame {
        let mut frame = Frame::default();
        let mut bullets = self.bullets;
        match action {
            Move::Fire if self.cool_down == 0 => {
                bullets.set(BOTTOM, self.cannon);
                self.cool_down = COOL_DOWN;
            }
            Move::Left => self.cannon = self.cannon.saturating_sub(1),
            Move::Right => self.cannon = (self.cannon + 1).min(SIDE - 1),
            _ => {}
        }
        self.bullets = bullets.up();
        self.bombs = self.bombs.down();
        frame.over |= self.bombs.has(BOTTOM, self.cannon);

        frame.over |= self.aliens.has(BOTTOM, self.cannon);
        if self.until_move == 0 {
            frame.over |= self.march();
            frame.over |= self.aliens.has(BOTTOM, self.cannon);
        }
        if self.until_shot == 0 {
            self.until_shot = SHOT_INTERVAL;
            if let Some((row, column)) = self.nearest() {
                self.bombs.set(row, column);
            }
        }
        let shot = self.aliens.and(&self.bullets);
        frame.reward = shot.count();
        self.aliens = self.aliens.minus(&shot);
        self.bullets = self.bullets.minus(&shot);

        self.cool_down = self.cool_down.saturating_sub(1);
        self.until_move = self.until_move.saturating_sub(1);
        self.until_shot -= 1;
        if self.aliens.is_empty() {
            if self.ramp {
                self.interval = (self.interval - 1).max(SHORTEST_INTERVAL);
            }
            self.aliens = wave();
        }
        frame
    }

    fn draw(&self, boards: &mut [Board]) {
        boards[0].set(BOTTOM, self.cannon);
        boards[1] = self.aliens;
        boards[if self.leftwards { 2 } else { 3 }] = self.aliens;
        boards[4] = self.bullets;
        boards[5] = self.bombs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(game: &mut SpaceInvaders, action: Move) -> Frame {
        game.frame(action, &mut Dice::new(0))
    }

    fn cell(row: usize, column: usize) -> Board {
        Board::block(row..row + 1, column..column + 1)
    }

    /// These aliens, and timers that run out far ahead.
    fn game(aliens: Board) -> SpaceInvaders {
        SpaceInvaders { aliens, until_move: 100, until_shot: 100, ..SpaceInvaders::new(true) }
    }

    #[test]
    fn a_bullet_pays_one_and_is_gone_with_the_alien() {
        let mut board = game(cell(7, 5).minus(&Board::EMPTY));
        board.aliens.set(0, 0);
        assert_eq!(frame(&mut board, Move::Fire), Frame::default());
        assert_eq!(board.bullets, cell(8, 5));
        assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 1, over: false });
        assert!(board.bullets.is_empty());
        assert_eq!(board.aliens, cell(0, 0));
    }

    #[test]
    fn the_cannon_shoots_every_five_frames() {
        let mut board = game(cell(0, 0));
        let shots: Vec<usize> = (0..16)
            .filter(|_| {
                frame(&mut board, Move::Fire);
                board.bullets.has(8, 5)
            })
            .collect();
        assert_eq!(shots, [0, 5, 10, 15]);
    }

    #[test]
    fn a_bomb_or_an_alien_at_the_cannon_ends_the_game() {
        let mut board = game(cell(0, 0));
        board.bombs = cell(8, 5);
        assert!(frame(&mut board, Move::Noop).over);
        board.bombs = cell(8, 5);
        assert!(!frame(&mut board, Move::Left).over);
        let mut board = game(cell(9, 6));
        assert!(frame(&mut board, Move::Right).over);
    }

    #[test]
    fn an_alien_that_marches_into_the_cannon_or_beyond_the_bottom_ends_the_game() {
        let mut board = SpaceInvaders { until_move: 0, ..game(cell(9, 6)) };
        assert!(frame(&mut board, Move::Noop).over);
        let mut board = SpaceInvaders { until_move: 0, ..game(cell(9, 0)) };
        assert!(frame(&mut board, Move::Noop).over);
    }

    #[test]
    fn aliens_march_turn_and_go_down() {
        let mut board = SpaceInvaders { until_move: 0, until_shot: 1000, ..SpaceInvaders::new(true) };
        // Left twice, down, right: a move every 12 frames.
        let expected = [Board::block(0..4, 1..7), Board::block(0..4, 0..6), Board::block(1..5, 0..6)];
        for wave in expected {
            for _ in 0..12 {
                frame(&mut board, Move::Noop);
                assert_eq!(board.aliens, wave);
            }
        }
        frame(&mut board, Move::Noop);
        assert_eq!(board.aliens, Board::block(1..5, 1..7));
        // Few aliens march faster.
        let mut board = SpaceInvaders { until_move: 0, ..game(cell(0, 9)) };
        for column in (4..9).rev() {
            frame(&mut board, Move::Noop);
            assert_eq!(board.aliens, cell(0, column));
        }
    }

    #[test]
    fn the_nearest_column_shoots_with_its_lowest_alien() {
        let mut board = game(Board::block(0..2, 3..4));
        board.aliens.set(4, 7);
        board.until_shot = 0;
        frame(&mut board, Move::Noop);
        // Two columns away on both sides: the left one.
        assert_eq!(board.bombs, cell(1, 3));
        let frames = (0..).find(|_| {
            frame(&mut board, Move::Right);
            board.bombs.has(4, 7)
        });
        assert_eq!(frames, Some(9));
    }

    #[test]
    fn the_next_wave_is_faster_down_to_six() {
        for (ramp, expected) in [(true, [11, 10, 9, 8, 7, 6, 6]), (false, [12; 7])] {
            let mut board = SpaceInvaders { ramp, ..game(Board::EMPTY) };
            let intervals = core::array::from_fn(|_| {
                board.aliens = cell(8, 5);
                board.cool_down = 0;
                board.until_move = 100;
                board.bombs = Board::EMPTY;
                assert_eq!(frame(&mut board, Move::Fire).reward, 1);
                assert_eq!(board.aliens, wave());
                board.interval
            });
            assert_eq!(intervals, expected);
        }
    }
}
