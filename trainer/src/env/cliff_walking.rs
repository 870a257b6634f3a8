//! CliffWalking: from one end of a cliff to the other (Sutton and Barto, second edition, example 6.6).

use super::draw::{Canvas, Colour, GREEN, ORANGE, PALE, PAPER, RED};
use super::mdp::{Mdp, Transition};
use super::{Look, World};

const ROWS: usize = 4;
const COLUMNS: usize = 12;
const START: usize = (ROWS - 1) * COLUMNS;
const GOAL: usize = ROWS * COLUMNS - 1;
/// gymnasium sets none.
const STEPS: u32 = 500;

/// The walk of gymnasium's CliffWalking-v1, and its slippery form.
///
/// A state is a square, row by row; the cliff is the lowest row between its ends. Actions 0 to 3: up, right, down, left. A step costs 1,
/// one over the cliff costs 100 and leads back to the start. Slippery, each of the direction that was meant and the two across it comes
/// to pass with probability 1/3. Episodes are cut off after 500 steps, a limit that gymnasium does not have.
pub type CliffWalking = World<Cliff>;

/// How the cliff looks.
pub struct Cliff;

impl CliffWalking {
    /// The walk, slippery or not.
    pub fn along(slippery: bool) -> Self {
        let name = if slippery { "CliffWalkingSlippery-v1" } else { "CliffWalking-v1" };
        Self::new(name, process(slippery), STEPS, Cliff)
    }
}

fn is_cliff(state: usize) -> bool {
    state > START && state < GOAL
}

fn process(slippery: bool) -> Mdp {
    let start = (0..ROWS * COLUMNS).map(|state| f64::from(state == START)).collect();
    Mdp::new(start, 4, move |state, action| {
        let directions =
            if slippery { vec![(action + 3) % 4, action, (action + 1) % 4] } else { vec![action] };
        let probability = 1.0 / directions.len() as f64;
        let walk = |&direction: &usize| {
            let (row, column) = (state / COLUMNS, state % COLUMNS);
            let next = match direction {
                0 => row.saturating_sub(1) * COLUMNS + column,
                1 => row * COLUMNS + (column + 1).min(COLUMNS - 1),
                2 => (row + 1).min(ROWS - 1) * COLUMNS + column,
                _ => row * COLUMNS + column.saturating_sub(1),
            };
            if is_cliff(next) {
                return Transition { probability, next: START, reward: -100.0, terminated: false };
            }
            Transition { probability, next, reward: -1.0, terminated: next == GOAL }
        };
        directions.iter().map(walk).collect()
    })
}

impl Look for Cliff {
    fn text(&self, state: usize) -> String {
        let square = |at: usize| match at {
            _ if at == state => '@',
            GOAL => 'G',
            _ if is_cliff(at) => '#',
            _ => '.',
        };
        let row =
            |row: usize| (0..COLUMNS).map(|column| square(row * COLUMNS + column)).collect::<String>() + "\n";
        (0..ROWS).map(row).collect()
    }

    fn picture(&self, state: usize) -> image::RgbImage {
        const GRASS: Colour = [214, 226, 200];
        let mut canvas = Canvas::new([324, 108], 27.0, [0.0, 108.0]);
        for at in 0..ROWS * COLUMNS {
            let (x, y) = ((at % COLUMNS) as f32, (ROWS - 1 - at / COLUMNS) as f32);
            let colour = match at {
                GOAL => GREEN,
                START => PALE,
                _ if is_cliff(at) => RED,
                _ => GRASS,
            };
            canvas.rectangle([x + 0.03, y + 0.03], [x + 0.97, y + 0.97], colour);
            if at == state {
                canvas.disc([x + 0.5, y + 0.5], 0.32, ORANGE);
                canvas.disc([x + 0.5, y + 0.5], 0.12, PAPER);
            }
        }
        canvas.finish()
    }

    fn succeeded(&self, state: usize) -> bool {
        state == GOAL
    }
}

#[cfg(test)]
mod tests {
    use super::super::mdp::Tabular;
    use super::super::{Env, testing};
    use super::*;

    #[test]
    fn keeps_the_contract() {
        testing::contract(&mut CliffWalking::along(true), 500);
        testing::contract(&mut CliffWalking::along(false), 500);
    }

    #[test]
    fn the_shortest_way_costs_thirteen() {
        let mut walk = CliffWalking::along(false);
        assert_eq!(walk.begin(0), 36);
        let way = [[0].as_slice(), &[1; 11], &[2]].concat();
        let steps: Vec<_> = way.iter().map(|&action| walk.act(action).1).collect();
        assert_eq!(steps.iter().map(|step| step.reward).sum::<f64>(), -13.0);
        assert!(steps[12].terminated && steps[..12].iter().all(|step| !step.done()));
        assert_eq!((walk.state(), walk.succeeded()), (47, Some(true)));
    }

    #[test]
    fn the_cliff_leads_back() {
        let mut walk = CliffWalking::along(false);
        walk.begin(0);
        assert_eq!(walk.act(1), (36, super::super::Step { reward: -100.0, ..Default::default() }));
        assert_eq!(walk.act(3).0, 36, "the edge holds");
        let slippery = CliffWalking::along(true);
        let nexts: Vec<_> = slippery.mdp().follow(25, 1).iter().map(|t| (t.next, t.reward)).collect();
        assert_eq!(nexts, [(13, -1.0), (26, -1.0), (36, -100.0)]);
    }
}
