//! FrozenLake-v1: a way over slippery ice, between holes, to a goal.

use super::draw::{Canvas, Colour, GREEN, INK, ORANGE, PAPER};
use super::mdp::{Mdp, Transition};
use super::{Look, World};

const MAP_4: &[&str] = &["SFFF", "FHFH", "FFFH", "HFFG"];
const MAP_8: &[&str] =
    &["SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"];

/// The lakes of gymnasium's FrozenLake-v1 (4x4, 100 steps) and FrozenLake8x8-v1 (200 steps).
///
/// A state is a square, row by row. Actions 0 to 3: left, down, right, up. On slippery ice each of the direction that was meant and the
/// two across it comes to pass with probability 1/3. The goal pays 1 and ends an episode, a hole pays nothing and ends it.
pub type FrozenLake = World<Lake>;

/// How a lake looks.
pub struct Lake {
    map: &'static [&'static str],
}

impl FrozenLake {
    /// 4 by 4 squares, slippery or not.
    pub fn small(slippery: bool) -> Self {
        Self::new("FrozenLake-v1", process(MAP_4, slippery), 100, Lake { map: MAP_4 })
    }

    /// 8 by 8 squares, slippery or not.
    pub fn large(slippery: bool) -> Self {
        Self::new("FrozenLake8x8-v1", process(MAP_8, slippery), 200, Lake { map: MAP_8 })
    }
}

fn square(map: &[&str], state: usize) -> u8 {
    map[state / map.len()].as_bytes()[state % map.len()]
}

fn process(map: &'static [&'static str], slippery: bool) -> Mdp {
    let side = map.len();
    let start = (0..side * side).map(|state| f64::from(square(map, state) == b'S')).collect();
    let go = move |state: usize, direction: usize| {
        let (row, column) = (state / side, state % side);
        let (row, column) = match direction {
            0 => (row, column.saturating_sub(1)),
            1 => ((row + 1).min(side - 1), column),
            2 => (row, (column + 1).min(side - 1)),
            _ => (row.saturating_sub(1), column),
        };
        row * side + column
    };
    Mdp::new(start, 4, move |state, action| {
        if matches!(square(map, state), b'G' | b'H') {
            return vec![Transition { probability: 1.0, next: state, reward: 0.0, terminated: true }];
        }
        let directions =
            if slippery { vec![(action + 3) % 4, action, (action + 1) % 4] } else { vec![action] };
        let probability = 1.0 / directions.len() as f64;
        let slide = |&direction: &usize| {
            let next = go(state, direction);
            let ground = square(map, next);
            let reward = f64::from(ground == b'G');
            Transition { probability, next, reward, terminated: matches!(ground, b'G' | b'H') }
        };
        directions.iter().map(slide).collect()
    })
}

impl Look for Lake {
    fn text(&self, state: usize) -> String {
        let side = self.map.len();
        let row = |row: usize| {
            let mut line = self.map[row].replace(['S', 'F'], ".");
            if row == state / side {
                line.replace_range(state % side..=state % side, "@");
            }
            line + "\n"
        };
        (0..side).map(row).collect()
    }

    fn picture(&self, state: usize) -> image::RgbImage {
        const ICE: Colour = [206, 226, 240];
        let side = self.map.len();
        let mut canvas = Canvas::new([320; 2], 320.0 / side as f32, [0.0, 320.0]);
        for at in 0..side * side {
            let (x, y) = ((at % side) as f32, (side - 1 - at / side) as f32);
            let colour = if square(self.map, at) == b'G' { GREEN } else { ICE };
            canvas.rectangle([x + 0.02, y + 0.02], [x + 0.98, y + 0.98], colour);
            if square(self.map, at) == b'H' {
                canvas.disc([x + 0.5, y + 0.5], 0.4, INK);
            }
            if at == state {
                canvas.disc([x + 0.5, y + 0.5], 0.28, ORANGE);
                canvas.disc([x + 0.5, y + 0.5], 0.1, PAPER);
            }
        }
        canvas.finish()
    }

    fn succeeded(&self, state: usize) -> bool {
        square(self.map, state) == b'G'
    }
}

#[cfg(test)]
mod tests {
    use super::super::mdp::Tabular;
    use super::super::{Env, testing};
    use super::*;

    #[test]
    fn keeps_the_contract() {
        testing::contract(&mut FrozenLake::small(true), 100);
        testing::contract(&mut FrozenLake::large(true), 200);
    }

    #[test]
    fn ice_slips_across_and_edges_hold() {
        let lake = FrozenLake::small(true);
        let nexts =
            |state, action| lake.mdp().follow(state, action).iter().map(|t| t.next).collect::<Vec<_>>();
        assert_eq!(nexts(0, 0), [0, 0, 4], "left from the corner");
        assert_eq!(nexts(9, 2), [13, 10, 5], "right: down, right, up");
        let third = 1.0 / 3.0;
        let into = |next, reward, terminated| Transition { probability: third, next, reward, terminated };
        assert_eq!(
            lake.mdp().follow(14, 2),
            [into(14, 0.0, false), into(15, 1.0, true), into(10, 0.0, false)]
        );
        assert_eq!(lake.mdp().follow(4, 2)[1], into(5, 0.0, true), "a hole");
        let stay = Transition { probability: 1.0, next: 5, reward: 0.0, terminated: true };
        assert_eq!(lake.mdp().follow(5, 3), [stay]);
    }

    #[test]
    fn the_way_without_slipping() {
        let mut lake = FrozenLake::small(false);
        assert_eq!(lake.begin(1), 0);
        let steps = [1, 1, 2, 1, 2, 2].map(|action| lake.act(action).1);
        assert!(steps[..5].iter().all(|step| step.reward == 0.0 && !step.done()));
        assert!(steps[5].reward == 1.0 && steps[5].terminated);
        assert_eq!(lake.succeeded(), Some(true));
        assert!(lake.text().starts_with("....\n.H.H\n...H\nH..@\n"));
    }

    #[test]
    fn slipping_comes_as_often_as_said() {
        let mut lake = FrozenLake::large(true);
        let mut counts = [0; 64];
        for seed in 0..3000 {
            lake.begin(seed);
            lake.set_state(9);
            counts[lake.act(2).0] += 1;
        }
        // Three standard deviations of a third of 3000 draws are 77.
        assert!([1, 10, 17].iter().all(|&at: &usize| (923..1077).contains(&counts[at])), "{counts:?}");
        assert_eq!(counts.iter().sum::<i32>(), 3000);
    }
}
