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

/// The beam whose column is in danger soonest is left; else below the lowest saucer, and shoots.
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
    if let Some((_, column)) = first(sentinel) {
        if armed && column + 2 == here && danger(here) > 1 {
            return Move::Up;
        }
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
        bombs
            .column(column as usize)
            .filter(|row| *row < SIDE - 1)
            .next_back()
            .map_or(99, |row| LAST - row as i8)
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
