//! Pong: two paddles of three cells, the player's at the right edge, the opponent's at the left.
//!
//! Not a game of MinAtar; the rules are Atari's on a 10x10 grid:
//! - The ball moves one column a frame and one or two rows, which its trail, the cell where it was, tells. Floor and
//!   ceiling turn it. It is served from the middle of a random row to a random side, one row a frame.
//! - A paddle that covers the row in which the ball would come to the paddle's column turns it back; the ball stays in its
//!   column for that frame. From the upper cell it goes up two rows a frame, from the lower down two; from the middle
//!   cell it goes on up or down as it did, one row a frame.
//! - The player moves one row a frame. The opponent moves one row with probability 0.9: towards the row of the ball while
//!   that comes, towards the middle while it goes. It is beaten by steep balls.
//! - A ball that is missed is a point for the other side; the next is served. A point for the player pays 1.
//! - With the ramp each point the player wins makes the opponent's probability to move 0.005 more, up to 0.98, and from
//!   7 points on the ball goes two columns a frame.
//! - The game is over when the opponent has 3 points or the player has 21, so that the score of an episode is the number
//!   of points won. Atari's reward of −1 for a point lost is not given: with it the score of a random player would be
//!   negative, and a multiple of it mean nothing.
//!
//! Actions: no-op, up, down.
//!
//! Measured over the episodes of seeds 0 to 299 (mean score, its standard error, mean number of frames):
//!
//! | player | score | error | frames |
//! |---|---|---|---|
//! | random | 1.04 | 0.06 | 50 |
//! | written-down | 15.77 | 0.28 | 313 |

use super::board::{Board, Dice, SIDE};
use super::{Channel, Frame, Game, Move};

/// Points of the opponent that end the game.
const LOST: u32 = 3;
/// Points of the player that end the game.
const WON: u32 = 21;
/// Cells of a paddle.
const PADDLE: i8 = 3;
/// The last row in which a paddle can begin.
const LOWEST: i8 = SIDE as i8 - PADDLE;
/// Columns of the opponent and of the player.
const COLUMNS: (i8, i8) = (0, SIDE as i8 - 1);
/// Points of the player from which on the ball goes two columns a frame.
const FAST: u32 = 7;
/// Probability that the opponent moves in a frame: at first, more with each point it loses, and at most.
const OPPONENT: (f64, f64, f64) = (0.9, 0.005, 0.98);

/// The board of Pong.
#[derive(Clone, Debug)]
pub struct Pong {
    ramp: bool,
    /// Top rows of the paddles.
    player: i8,
    opponent: i8,
    /// Row and column.
    ball: (i8, i8),
    /// Rows and columns the ball goes in a frame.
    velocity: (i8, i8),
    /// Where the ball was.
    trail: (i8, i8),
    won: u32,
    lost: u32,
}

impl Pong {
    fn serve(&mut self, dice: &mut Dice) {
        let rightwards = dice.coin();
        self.ball = (dice.below(SIDE) as i8, if rightwards { 4 } else { 5 });
        self.trail = self.ball;
        let speed = if self.ramp && self.won >= FAST { 2 } else { 1 };
        self.velocity = (if dice.coin() { 1 } else { -1 }, if rightwards { speed } else { -speed });
    }

    fn move_opponent(&mut self, dice: &mut Dice) {
        let (first, more, most) = OPPONENT;
        let speed = if self.ramp { (first + more * f64::from(self.won)).min(most) } else { first };
        if !dice.chance(speed) {
            return;
        }
        let aim = if self.velocity.1 < 0 { self.ball.0 } else { SIDE as i8 / 2 };
        let top = self.opponent + (aim - (self.opponent + PADDLE / 2)).signum();
        self.opponent = top.clamp(0, LOWEST);
    }

    /// Turns the ball back where a paddle with this top row covers `row`.
    fn turn(&mut self, paddle: i8, row: i8) -> bool {
        let up_or_down = match row - paddle {
            0 => -2,
            1 => self.velocity.0.signum(),
            2 => 2,
            _ => return false,
        };
        self.velocity = (up_or_down, -self.velocity.1);
        true
    }
}

impl Game for Pong {
    const NAME: &'static str = "pong";
    const CHANNELS: &'static [Channel] = &[
        Channel { name: "player", symbol: 'P', colour: [90, 220, 110] },
        Channel { name: "opponent", symbol: 'Q', colour: [230, 150, 80] },
        Channel { name: "trail", symbol: ':', colour: [110, 110, 120] },
        Channel { name: "ball", symbol: 'o', colour: [250, 250, 250] },
    ];
    const MOVES: &'static [Move] = &[Move::Noop, Move::Up, Move::Down];
    const SCRIPTED: fn(&[Board]) -> Move = super::scripted::pong;

    fn new(ramp: bool) -> Self {
        let middle = LOWEST / 2;
        let (ball, velocity) = ((0, 0), (1, 1));
        Self { ramp, player: middle, opponent: middle, ball, velocity, trail: ball, won: 0, lost: 0 }
    }

    fn begin(&mut self, dice: &mut Dice) {
        *self = Self::new(self.ramp);
        self.serve(dice);
    }

    fn frame(&mut self, action: Move, dice: &mut Dice) -> Frame {
        match action {
            Move::Up => self.player = (self.player - 1).max(0),
            Move::Down => self.player = (self.player + 1).min(LOWEST),
            _ => {}
        }
        self.move_opponent(dice);
        self.trail = self.ball;
        let (mut row, column) = (self.ball.0 + self.velocity.0, self.ball.1 + self.velocity.1);
        if !(0..SIDE as i8).contains(&row) {
            row = if row < 0 { -row } else { 2 * (SIDE as i8 - 1) - row };
            self.velocity.0 = -self.velocity.0;
        }
        let mut frame = Frame::default();
        if column <= COLUMNS.0 || column >= COLUMNS.1 {
            let paddle = if column <= COLUMNS.0 { self.opponent } else { self.player };
            if self.turn(paddle, row) {
                self.ball.0 = row;
            } else {
                let won = column <= COLUMNS.0;
                self.won += u32::from(won);
                self.lost += u32::from(!won);
                frame = Frame { reward: u32::from(won), over: self.won == WON || self.lost == LOST };
                self.serve(dice);
            }
        } else {
            self.ball = (row, column);
        }
        frame
    }

    fn draw(&self, boards: &mut [Board]) {
        let rows = |top: i8| top as usize..(top + PADDLE) as usize;
        boards[0] = Board::block(rows(self.player), 9..10);
        boards[1] = Board::block(rows(self.opponent), 0..1);
        boards[2].set_inside(self.trail.0, self.trail.1);
        boards[3].set_inside(self.ball.0, self.ball.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both paddles cover rows 3 to 5.
    fn game(ball: (i8, i8), velocity: (i8, i8)) -> Pong {
        Pong { ball, velocity, trail: ball, ..Pong::new(true) }
    }

    fn frame(game: &mut Pong, action: Move) -> Frame {
        game.frame(action, &mut Dice::new(0))
    }

    #[test]
    fn the_cell_that_is_hit_makes_the_angle() {
        for (row, expected) in [(2, (-2, -1)), (3, (1, -1)), (4, (2, -1))] {
            let mut board = game((row, 8), (1, 1));
            assert_eq!(frame(&mut board, Move::Noop), Frame::default());
            assert_eq!((board.ball, board.velocity, board.trail), ((row + 1, 8), expected, (row, 8)));
        }
        let mut board = game((5, 8), (-2, 2));
        frame(&mut board, Move::Up);
        assert_eq!((board.ball, board.velocity), ((3, 8), (-1, -2)));
        // The opponent's paddle likewise.
        let mut board = game((4, 1), (-1, -1));
        frame(&mut board, Move::Noop);
        assert_eq!(board.velocity.1, 1);
    }

    #[test]
    fn a_point_pays_the_player_only_and_the_next_ball_is_served() {
        let mut board = game((8, 1), (1, -1));
        assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 1, over: false });
        assert_eq!((board.won, board.lost), (1, 0));
        assert!((4..6).contains(&board.ball.1) && board.ball == board.trail);
        let mut board = game((8, 8), (-1, 1));
        assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 0, over: false });
        assert_eq!((board.won, board.lost), (0, 1));
    }

    #[test]
    fn three_points_lost_or_twenty_one_won_end_the_game() {
        let mut board = Pong { lost: 1, ..game((8, 8), (-1, 1)) };
        assert!(!frame(&mut board, Move::Noop).over);
        let mut board = Pong { lost: 2, ..game((8, 8), (-1, 1)) };
        assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 0, over: true });
        let mut board = Pong { won: 19, ..game((8, 1), (1, -1)) };
        assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 1, over: false });
        let mut board = Pong { won: 20, ..game((8, 1), (1, -1)) };
        assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 1, over: true });
    }

    #[test]
    fn floor_and_ceiling_turn_the_ball() {
        let mut board = game((1, 4), (-2, 1));
        frame(&mut board, Move::Noop);
        assert_eq!((board.ball, board.velocity), ((1, 5), (2, 1)));
        let mut board = game((9, 4), (1, 1));
        frame(&mut board, Move::Noop);
        assert_eq!((board.ball, board.velocity), ((8, 5), (-1, 1)));
    }

    #[test]
    fn the_ramp_makes_ball_and_opponent_faster() {
        for (ramp, won, speed) in [(true, 6, 1), (true, 7, 2), (false, 7, 1)] {
            let mut board = Pong { ramp, won, ..Pong::new(true) };
            board.serve(&mut Dice::new(0));
            assert_eq!(board.velocity.1.abs(), speed);
        }
        for (ramp, won, probability) in [(false, 20, 0.9), (true, 0, 0.9), (true, 14, 0.97), (true, 20, 0.98)]
        {
            let mut dice = Dice::new(1);
            let moves = (0..10_000)
                .filter(|_| {
                    let mut board = Pong { ramp, won, ..game((9, 5), (1, -1)) };
                    board.move_opponent(&mut dice);
                    board.opponent == 4
                })
                .count();
            // Five standard deviations.
            assert!((moves as f64 / 1e4 - probability).abs() < 0.015, "{moves} of 10000 at {won}");
        }
    }

    #[test]
    fn paddles_stay_on_the_board() {
        let mut board = Pong { player: 0, opponent: 7, ..game((9, 5), (1, -1)) };
        frame(&mut board, Move::Up);
        assert_eq!((board.player, board.opponent), (0, 7));
        board.player = 7;
        frame(&mut board, Move::Down);
        assert_eq!(board.player, 7);
    }
}
