//! Breakout: a paddle of one cell on the bottom row keeps a ball in play that breaks three rows of ten bricks.
//!
//! Rules, all MinAtar's:
//! - The ball goes one cell along a diagonal each frame. It starts at the left or the right edge of row 3, going down
//!   and inwards. Walls to the left and right turn it sideways, the ceiling turns it down.
//! - A brick in its way is broken and pays 1; the ball stays in its row and turns back vertically. In the frame after
//!   it broke a brick it passes through further bricks, until a frame in which it meets none.
//! - When the ball would come to the bottom row: above the paddle it turns back vertically, staying in its row; where
//!   it would come down on the paddle from the side, it goes back where it came from; else the game is over.
//! - When no brick is left at that moment, three new rows are there.
//! - The difficulty does not ramp.
//!
//! Actions: no-op, left, right.
//!
//! Measured over the episodes of seeds 0 to 299 (mean score, its standard error, mean number of frames):
//!
//! | player | score | error | frames |
//! |---|---|---|---|
//! | random | 0.35 | 0.04 | 10 |
//! | written-down | 10.83 | 0.58 | 128 |

use super::board::{Board, Dice};
use super::{Channel, Frame, Game, Move};

/// Where the ball starts, and the top row of the bricks is above it.
const START_ROW: i8 = 3;
/// The row of the paddle.
const BOTTOM: i8 = 9;

/// The board of Breakout.
#[derive(Clone, Debug)]
pub struct Breakout {
    paddle: i8,
    /// Row and column.
    ball: (i8, i8),
    /// Rows and columns the ball goes in a frame.
    velocity: (i8, i8),
    /// Where the ball was.
    trail: (i8, i8),
    bricks: Board,
    /// The ball met a brick in the last frame.
    strike: bool,
}

fn wall() -> Board {
    Board::block(1..4, 0..10)
}

impl Game for Breakout {
    const NAME: &'static str = "breakout";
    const CHANNELS: &'static [Channel] = &[
        Channel { name: "paddle", symbol: '=', colour: [90, 160, 250] },
        Channel { name: "ball", symbol: 'o', colour: [250, 250, 250] },
        Channel { name: "trail", symbol: ':', colour: [110, 110, 120] },
        Channel { name: "brick", symbol: '#', colour: [220, 90, 60] },
    ];
    const MOVES: &'static [Move] = &[Move::Noop, Move::Left, Move::Right];
    const SCRIPTED: fn(&[Board]) -> Move = super::scripted::breakout;

    fn new(_ramp: bool) -> Self {
        Self { paddle: 4, ball: (0, 0), velocity: (1, 1), trail: (0, 0), bricks: wall(), strike: false }
    }

    fn begin(&mut self, dice: &mut Dice) {
        let (column, sideways) = if dice.coin() { (9, -1) } else { (0, 1) };
        self.paddle = 4;
        self.ball = (START_ROW, column);
        self.velocity = (1, sideways);
        self.trail = self.ball;
        self.bricks = wall();
        self.strike = false;
    }

    fn frame(&mut self, action: Move, _dice: &mut Dice) -> Frame {
        let mut frame = Frame::default();
        match action {
            Move::Left => self.paddle = (self.paddle - 1).max(0),
            Move::Right => self.paddle = (self.paddle + 1).min(9),
            _ => {}
        }
        let from = self.ball;
        self.trail = from;
        let (mut row, mut column) = (from.0 + self.velocity.0, from.1 + self.velocity.1);
        if !(0..=9).contains(&column) {
            column = column.clamp(0, 9);
            self.velocity.1 = -self.velocity.1;
        }
        let mut met = false;
        if row < 0 {
            row = 0;
            self.velocity.0 = 1;
        } else if self.bricks.has(row as usize, column as usize) {
            met = true;
            if !self.strike {
                frame.reward = 1;
                self.bricks.clear(row as usize, column as usize);
                row = from.0;
                self.velocity.0 = -self.velocity.0;
            }
        } else if row == BOTTOM {
            if self.bricks.is_empty() {
                self.bricks = wall();
            }
            if self.paddle == from.1 {
                row = from.0;
                self.velocity.0 = -1;
            } else if self.paddle == column {
                row = from.0;
                self.velocity = (-1, -self.velocity.1);
            } else {
                frame.over = true;
            }
        }
        self.strike = met;
        self.ball = (row, column);
        frame
    }

    fn draw(&self, boards: &mut [Board]) {
        boards[0].set(BOTTOM as usize, self.paddle as usize);
        boards[1].set_inside(self.ball.0, self.ball.1);
        boards[2].set_inside(self.trail.0, self.trail.1);
        boards[3] = self.bricks;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn game(paddle: i8, ball: (i8, i8), velocity: (i8, i8), bricks: Board) -> Breakout {
        Breakout { paddle, ball, velocity, trail: ball, bricks, strike: false }
    }

    fn frame(game: &mut Breakout, action: Move) -> Frame {
        game.frame(action, &mut Dice::new(0))
    }

    #[test]
    fn a_brick_pays_one_and_turns_the_ball() {
        let mut board = game(4, (4, 2), (-1, 1), wall());
        assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 1, over: false });
        assert_eq!((board.ball, board.velocity), ((4, 3), (1, 1)));
        assert_eq!(board.trail, (4, 2));
        assert!(!board.bricks.has(3, 3));
        assert_eq!(board.bricks.count(), 29);
    }

    #[test]
    fn the_ball_passes_a_brick_right_after_it_broke_one() {
        let mut board = game(4, (2, 2), (-1, 1), Board::block(1..4, 0..10).minus(&Board::block(2..3, 0..10)));
        assert_eq!(frame(&mut board, Move::Noop).reward, 1);
        assert_eq!(frame(&mut board, Move::Noop), Frame::default());
        assert_eq!((board.ball, board.velocity), ((3, 4), (1, 1)));
        assert!(board.bricks.has(3, 4));
        assert_eq!(frame(&mut board, Move::Noop), Frame::default());
        assert!(!board.strike);
    }

    #[test]
    fn walls_and_ceiling_turn_the_ball() {
        let mut board = game(4, (6, 9), (-1, 1), Board::EMPTY);
        frame(&mut board, Move::Noop);
        assert_eq!((board.ball, board.velocity), ((5, 9), (-1, -1)));
        let mut board = game(4, (0, 5), (-1, -1), Board::EMPTY);
        frame(&mut board, Move::Noop);
        assert_eq!((board.ball, board.velocity), ((0, 4), (1, -1)));
    }

    #[test]
    fn the_paddle_turns_the_ball_and_elsewhere_the_game_ends() {
        // Above the paddle: only vertically.
        let mut board = game(4, (8, 4), (1, 1), wall());
        assert_eq!(frame(&mut board, Move::Noop), Frame::default());
        assert_eq!((board.ball, board.velocity), ((8, 5), (-1, 1)));
        // From the side: back where it came from.
        let mut board = game(4, (8, 4), (1, 1), wall());
        assert_eq!(frame(&mut board, Move::Right), Frame::default());
        assert_eq!((board.ball, board.velocity), ((8, 5), (-1, -1)));
        // Missed.
        let mut board = game(4, (8, 4), (1, 1), wall());
        assert_eq!(frame(&mut board, Move::Left), Frame { reward: 0, over: true });
    }

    #[test]
    fn new_bricks_come_when_the_ball_is_down() {
        let mut board = game(4, (6, 2), (1, 1), Board::EMPTY);
        frame(&mut board, Move::Noop);
        frame(&mut board, Move::Noop);
        assert!(board.bricks.is_empty());
        assert!(!frame(&mut board, Move::Noop).over);
        assert_eq!(board.bricks, wall());
    }

    #[test]
    fn the_paddle_stays_on_the_board() {
        let mut board = game(0, (4, 2), (1, 1), wall());
        frame(&mut board, Move::Left);
        assert_eq!(board.paddle, 0);
        board.paddle = 9;
        frame(&mut board, Move::Right);
        assert_eq!(board.paddle, 9);
    }
}
