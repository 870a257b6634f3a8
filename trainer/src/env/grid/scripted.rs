//! A written-down player for each game: what a person would write in an hour. It sees the present observation and nothing
//! else, neither timers nor the frames before.

use super::Move;
use super::board::{Board, SIDE};

/// Row and column.
type Cell = (i8, i8);

const LAST: i8 = SIDE as i8 - 1;

fn first(board: &Board) -> Option<Cell> {
    board.cells().next().map(|(row, column)| (row as i8, column as i8))
}

/// Ball and velocity from where the ball is and was; none where both are one cell.
fn flight(ball: &Board, trail: &Board) -> Option<(Cell, Cell)> {
    let (ball, trail) = (first(ball)?, first(trail)?);
    let velocity = (ball.0 - trail.0, ball.1 - trail.1);
    (velocity != (0, 0)).then_some((ball, velocity))
}

/// `x` turned back at 0 and at the last cell.
fn mirrored(x: i8) -> i8 {
    let period = 2 * LAST;
    let x = x.rem_euclid(period);
    x.min(period - x)
}

/// The move that brings `from` nearer to `to`.
fn towards(from: i8, to: i8, less: Move, more: Move) -> Move {
    match to.cmp(&from) {
        core::cmp::Ordering::Less => less,
        core::cmp::Ordering::Equal => Move::Noop,
        core::cmp::Ordering::Greater => more,
    }
}

/// Waits in the middle while the ball goes; meets it with the cell of the paddle that sends it away from the opponent.
pub(super) fn pong(seen: &[Board]) -> Move {
    let (Some(player), Some(opponent)) = (first(&seen[0]), first(&seen[1])) else { return Move::Noop };
    let target = match flight(&seen[3], &seen[2]) {
        Some((ball, velocity)) if velocity.1 > 0 => {
            let frames = (LAST - ball.1 + velocity.1 - 1) / velocity.1;
            let landing = mirrored(ball.0 + velocity.0 * frames);
            if opponent.0 < 4 { landing - 2 } else { landing }
        }
        _ => 3,
    };
    towards(player.0, target.clamp(0, 7), Move::Up, Move::Down)
}

/// Keeps the paddle in the column where the ball comes to the row above it; follows the ball while it goes up.
pub(super) fn breakout(seen: &[Board]) -> Move {
    let Some(paddle) = first(&seen[0]) else { return Move::Noop };
    let target = match flight(&seen[1], &seen[2]) {
        // A wall costs the ball a row without a column, so that the columns it may be in are -10 to 9 and repeat.
        Some((ball, velocity)) if velocity.0 > 0 => {
            let column = (ball.1 + velocity.1.signum() * (LAST - 1 - ball.0)).rem_euclid(20);
            column.min(19 - column)
        }
        Some((ball, _)) => ball.1,
        None => return Move::Noop,
    };
    towards(paddle.1, target, Move::Left, Move::Right)
}

/// Leaves a beam that something comes down; else waits for the sentinel with a torpedo, or goes below the nearest beam
/// with a saucer and shoots.
pub(super) fn beam_rider(seen: &[Board]) -> Move {
    let [ship, saucers, meteors, sentinel, _, _, bombs, torpedoes] = seen else { return Move::Noop };
    let Some((_, here)) = first(ship) else { return Move::Noop };
    // Frames until something comes to the bottom of a column; bombs fall a row a frame, meteors half, saucers less.
    let danger = |column: i8| -> i8 {
        let lowest =
            |board: &Board| board.column(column as usize).next_back().map_or(60, |row| LAST - row as i8);
        lowest(bombs).min(2 * lowest(meteors)).min(2 * lowest(saucers))
    };
    let beams = || (0..SIDE as i8 - 1).step_by(2);
    let armed = !torpedoes.is_empty();
    // It goes about two columns while a torpedo rises.
    if armed && first(sentinel).is_some_and(|(_, column)| column + 2 == here) && danger(here) > 1 {
        return Move::Up;
    }
    if danger(here) <= 3 {
        if armed && danger(here) > 1 && meteors.column(here as usize).next_back().is_some_and(|row| row > 5) {
            return Move::Up;
        }
        let beside = beams().filter(|column| (column - here).abs() <= 2);
        let safest = beside.max_by_key(|&column| (danger(column).min(6), column == here)).unwrap_or(here);
        return match safest - here {
            0 => Move::Fire,
            -2 => Move::Left,
            _ => Move::Right,
        };
    }
    let above = |column: i8| saucers.column(column as usize).next_back().is_some();
    let target = if first(sentinel).is_some() && armed {
        first(sentinel).map(|(_, column)| (column + 4) / 2 * 2).filter(|&column| column < LAST)
    } else {
        beams().filter(|&column| above(column)).min_by_key(|column| (column - here).abs())
    };
    let Some(target) = target else { return towards(here, 4, Move::Left, Move::Right) };
    let next = here + 2 * (target - here).signum();
    if next != here && danger(next) > 3 {
        return towards(here, target, Move::Left, Move::Right);
    }
    if above(here) { Move::Fire } else { Move::Noop }
}

/// Steps out of the way of bombs; else goes below the nearest alien and shoots.
pub(super) fn space_invaders(seen: &[Board]) -> Move {
    let [cannon, aliens, left, _, _, bombs] = seen else { return Move::Noop };
    let Some((_, here)) = first(cannon) else { return Move::Noop };
    let danger = |column: i8| -> i8 {
        if !(0..=LAST).contains(&column) {
            return 0;
        }
        bombs.column(column as usize).rfind(|row| *row < SIDE - 1).map_or(99, |row| LAST - row as i8)
    };
    if danger(here) <= 3 {
        let safest = (-1..=1)
            .max_by_key(|side| (danger(here + side).min(5), *side != 0 && (here + side - 4).abs() < 5));
        return match safest {
            Some(-1) => Move::Left,
            Some(1) => Move::Right,
            _ => Move::Fire,
        };
    }
    let drift = if left.is_empty() { 1 } else { -1 };
    // Where an alien of this column is about when a bullet comes to it.
    let meet = |column: usize| -> Option<i8> {
        let row = aliens.column(column).next_back()? as i8;
        let frames = LAST - row;
        let pace = aliens.count().clamp(1, 10) as i8;
        Some((column as i8 + drift * (frames / pace)).clamp(0, LAST))
    };
    let target = (0..SIDE).filter_map(meet).min_by_key(|column| (column - here).abs()).unwrap_or(here);
    let next = here + (target - here).signum();
    if next == here || danger(next) <= 3 {
        return Move::Fire;
    }
    towards(here, target, Move::Left, Move::Right)
}

/// What Seaquest's player makes of the board.
struct Sea<'a> {
    seen: &'a [Board],
    /// Row and column of the front of the submarine.
    here: Cell,
    rightwards: bool,
}

impl Sea<'_> {
    /// Fish and submarines with the way they go: the trail is behind them, or beyond the edge where they come in.
    fn enemies(&self) -> impl Iterator<Item = (Cell, bool)> + '_ {
        self.seen[5].cells().chain(self.seen[6].cells()).map(|(row, column)| {
            let rightwards =
                if column == 0 { !self.seen[3].has(row, 1) } else { self.seen[3].has(row, column - 1) };
            ((row as i8, column as i8), rightwards)
        })
    }

    /// Whether nothing comes to this cell within about three frames.
    fn safe(&self, cell: Cell) -> bool {
        let towards = |from: Cell, rightwards: bool, reach: i8| {
            let ahead = if rightwards { cell.1 - from.1 } else { from.1 - cell.1 };
            from.0 == cell.0 && (0..=reach).contains(&ahead)
        };
        let bullet = |&(row, column): &(usize, usize)| {
            let from = (row as i8, column as i8);
            // The way of a bullet is that of a submarine in its row; where there is none it may go either way.
            let mut ways = self.enemies().filter(|(at, _)| at.0 == from.0).map(|(_, rightwards)| rightwards);
            match ways.next() {
                Some(rightwards) => towards(from, rightwards, 3),
                None => towards(from, true, 3) || towards(from, false, 3),
            }
        };
        !self.enemies().any(|(at, rightwards)| towards(at, rightwards, 1))
            && !self.seen[4].cells().any(|c| bullet(&c))
    }

    /// The cell a move leads to.
    fn after(&self, action: Move) -> Cell {
        let (row, column) = self.here;
        match action {
            Move::Up => ((row - 1).max(0), column),
            Move::Down => ((row + 1).min(8), column),
            Move::Left => (row, (column - 1).max(0)),
            Move::Right => (row, (column + 1).min(LAST)),
            Move::Noop | Move::Fire => self.here,
        }
    }

    /// The first of these moves that leads to a safe cell; the surface is not for passing by.
    fn first_safe(&self, moves: &[Move]) -> Option<Move> {
        let may = |m: &Move| (self.after(*m).0 > 0 || self.here.0 == 0) && self.safe(self.after(*m));
        moves.iter().copied().find(may)
    }

    /// Moves that bring it nearer to a cell, the rows first.
    fn approach(&self, to: Cell) -> [Move; 2] {
        let vertical = towards(self.here.0, to.0, Move::Up, Move::Down);
        let sideways = towards(self.here.1, to.1, Move::Left, Move::Right);
        if vertical == Move::Noop { [sideways, vertical] } else { [vertical, sideways] }
    }

    fn nearest<'c>(&self, cells: impl Iterator<Item = Cell> + 'c) -> Option<Cell> {
        cells.min_by_key(|cell| (cell.0 - self.here.0).abs() + (cell.1 - self.here.1).abs())
    }
}

/// Out of the way of what comes; up when full or short of air; shoots what is ahead; gathers divers; hunts.
pub(super) fn seaquest(seen: &[Board]) -> Move {
    let (Some(here), back) = (first(&seen[0]), first(&seen[1])) else { return Move::Noop };
    let rightwards = back.is_some_and(|back| back.1 < here.1);
    let sea = Sea { seen, here, rightwards };
    let (air, aboard) = (seen[7].count() as i8, seen[8].count());
    let any = [Move::Down, Move::Up, Move::Noop, Move::Right, Move::Left];
    let ahead =
        |cell: Cell| cell.0 == here.0 && if sea.rightwards { cell.1 > here.1 } else { cell.1 < here.1 };
    let target_ahead = sea.enemies().any(|(cell, _)| ahead(cell));
    let reloading = seen[2].cells().any(|(row, column)| {
        let cell = (row as i8, column as i8);
        ahead(cell) && (cell.1 - here.1).abs() < 5
    });
    if !sea.safe(here) {
        return sea.first_safe(&any).unwrap_or(Move::Fire);
    }
    if aboard > 0 && here.0 > 0 && (aboard == 6 || air <= 2) {
        if sea.safe(sea.after(Move::Up)) {
            return Move::Up;
        }
        return sea.first_safe(&[Move::Left, Move::Right, Move::Noop]).unwrap_or(Move::Up);
    }
    if here.0 == 0 {
        return sea.first_safe(&[Move::Down, Move::Noop]).unwrap_or(Move::Noop);
    }
    if target_ahead && !reloading {
        return Move::Fire;
    }
    let divers = seen[9].cells().map(|(row, column)| (row as i8, column as i8));
    let diver = if aboard < 6 { sea.nearest(divers) } else { None };
    if let Some(to) = diver {
        return sea.first_safe(&sea.approach(to)).unwrap_or(Move::Noop);
    }
    // A row of an enemy, and facing it.
    let prey = sea.nearest(sea.enemies().map(|(cell, _)| cell));
    let to = prey.filter(|to| (to.1 - here.1).abs() > 2 || to.0 == here.0).unwrap_or((4, 5));
    sea.first_safe(&sea.approach(to)).unwrap_or(Move::Noop)
}
