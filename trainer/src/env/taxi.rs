//! Taxi-v3: fetch a passenger and bring them where they want to go.
//!
//! After Dietterich, "Hierarchical reinforcement learning with the MAXQ value function decomposition" (2000).

use super::draw::{BLUE, Canvas, Colour, GREEN, INK, ORANGE, PALE, PAPER, RED};
use super::mdp::{Mdp, Transition};
use super::{Look, World};

const SIDE: usize = 5;
/// What is passed between two squares of a row: `|` is a wall.
const WALLS: [&[u8; 6]; SIDE] = [b"|:|::|", b"|:|::|", b"|::::|", b"||:|:|", b"||:|:|"];
/// Row and column of the four stands, red, green, yellow and blue.
const STANDS: [(usize, usize); 4] = [(0, 0), (0, 4), (4, 0), (4, 3)];
const NAMES: [char; 4] = ['R', 'G', 'Y', 'B'];
const COLOURS: [Colour; 4] = [RED, GREEN, [232, 200, 60], BLUE];
/// Where a passenger is who is on board.
const ABOARD: usize = 4;
const STEPS: u32 = 200;

/// The taxi of gymnasium's Taxi-v3, dry and with a passenger who knows what they want; so is that of Taxi-v4, its name since 1.3.
///
/// A state is `((row · 5 + column) · 5 + passenger) · 4 + destination`; the passenger is at stand 0 to 3 or on board (4). Actions 0 to 5:
/// down, up, right, left, pick up, set down. A step costs 1, picking up or setting down where it cannot be done 10; the passenger's
/// destination pays 20 and ends the episode. It begins anywhere, with a passenger at one stand who wants to another.
pub type Taxi = World<Town>;

/// How the town looks.
pub struct Town;

impl Taxi {
    /// The town.
    pub fn town() -> Self {
        Self::new("Taxi-v3", process(), STEPS, Town)
    }
}

#[derive(Clone, Copy, PartialEq)]
struct State {
    row: usize,
    column: usize,
    passenger: usize,
    destination: usize,
}

impl State {
    fn of(index: usize) -> Self {
        let (place, destination) = (index / 4, index % 4);
        let (square, passenger) = (place / 5, place % 5);
        Self { row: square / SIDE, column: square % SIDE, passenger, destination }
    }

    fn index(self) -> usize {
        ((self.row * SIDE + self.column) * 5 + self.passenger) * 4 + self.destination
    }

    /// The stand at which the taxi is.
    fn stand(self) -> Option<usize> {
        STANDS.iter().position(|&stand| stand == (self.row, self.column))
    }

    /// What an action does: reward, and whether the passenger has arrived.
    fn act(&mut self, action: usize) -> (f64, bool) {
        let Self { row, column, passenger, .. } = *self;
        match action {
            0 => self.row = (row + 1).min(SIDE - 1),
            1 => self.row = row.saturating_sub(1),
            2 if WALLS[row][column + 1] == b':' => self.column += 1,
            3 if WALLS[row][column] == b':' => self.column -= 1,
            4 if passenger != ABOARD && self.stand() == Some(passenger) => self.passenger = ABOARD,
            5 if passenger == ABOARD && self.stand().is_some() => {
                self.passenger = self.stand().unwrap_or(ABOARD);
                if self.passenger == self.destination {
                    return (20.0, true);
                }
            }
            4 | 5 => return (-10.0, false),
            _ => {}
        }
        (-1.0, false)
    }
}

fn process() -> Mdp {
    let states = SIDE * SIDE * 5 * 4;
    let begins = |&index: &usize| {
        let state = State::of(index);
        state.passenger != ABOARD && state.passenger != state.destination
    };
    let count = (0..states).filter(begins).count() as f64;
    let start = (0..states).map(|index| f64::from(begins(&index)) / count).collect();
    Mdp::new(start, 6, |index, action| {
        let mut state = State::of(index);
        let (reward, terminated) = state.act(action);
        vec![Transition { probability: 1.0, next: state.index(), reward, terminated }]
    })
}

impl Look for Town {
    fn text(&self, state: usize) -> String {
        let state = State::of(state);
        let square = |row: usize, column: usize| match STANDS.iter().position(|&stand| stand == (row, column))
        {
            _ if (row, column) == (state.row, state.column) => '@',
            Some(stand) => NAMES[stand],
            None => ' ',
        };
        let line = |row: usize| {
            let pair = |column: usize| [char::from(WALLS[row][column]), square(row, column)];
            (0..SIDE).flat_map(pair).collect::<String>() + "|\n"
        };
        let edge = "+---------+\n";
        let passenger = NAMES.get(state.passenger).map_or("on board".to_owned(), |name| format!("at {name}"));
        let town: String = (0..SIDE).map(line).collect();
        format!("{edge}{town}{edge}passenger {passenger}, to {}\n", NAMES[state.destination])
    }

    fn picture(&self, state: usize) -> image::RgbImage {
        let state = State::of(state);
        let mut canvas = Canvas::new([310; 2], 60.0, [5.0, 305.0]);
        let corner = |row: usize, column: usize| [column as f32, (SIDE - 1 - row) as f32];
        for (row, walls) in WALLS.iter().enumerate() {
            for (column, &wall) in walls.iter().enumerate() {
                let [x, y] = corner(row, column);
                if column < SIDE {
                    canvas.rectangle([x + 0.02, y + 0.02], [x + 0.98, y + 0.98], [232, 232, 228]);
                }
                if wall == b'|' {
                    canvas.line([x, y], [x, y + 1.0], 0.08, INK);
                }
            }
        }
        canvas.line([0.0; 2], [5.0, 0.0], 0.08, INK);
        canvas.line([0.0, 5.0], [5.0; 2], 0.08, INK);
        for (stand, &(row, column)) in STANDS.iter().enumerate() {
            let [x, y] = corner(row, column);
            canvas.rectangle([x + 0.1, y + 0.1], [x + 0.9, y + 0.9], COLOURS[stand]);
            if stand != state.destination {
                canvas.rectangle([x + 0.2, y + 0.2], [x + 0.8, y + 0.8], PALE);
            }
        }
        let [x, y] = corner(state.row, state.column);
        canvas.rectangle([x + 0.2, y + 0.3], [x + 0.8, y + 0.7], ORANGE);
        for wheel in [0.32, 0.68] {
            canvas.disc([x + wheel, y + 0.28], 0.08, INK);
        }
        let at = STANDS.get(state.passenger).map_or([x + 0.5, y + 0.55], |&(row, column)| {
            let [x, y] = corner(row, column);
            [x + 0.5, y + 0.78]
        });
        canvas.disc(at, 0.13, INK);
        canvas.disc(at, 0.09, PAPER);
        canvas.finish()
    }

    fn succeeded(&self, state: usize) -> bool {
        let state = State::of(state);
        state.passenger == state.destination
    }
}

#[cfg(test)]
mod tests {
    use super::super::mdp::Tabular;
    use super::super::{Env, testing};
    use super::*;

    #[test]
    fn keeps_the_contract() {
        testing::contract(&mut Taxi::town(), 200);
    }

    #[test]
    fn states_are_numbered_as_gymnasium_does() {
        assert_eq!(State { row: 3, column: 1, passenger: 2, destination: 0 }.index(), 328);
        assert!((0..500).all(|index| State::of(index).index() == index));
        let starts = Taxi::town().mdp().start().iter().filter(|&&p| p == 1.0 / 300.0).count();
        assert_eq!(starts, 300);
    }

    #[test]
    fn a_ride_through_the_town() {
        let mut taxi = Taxi::town();
        taxi.set_state(State { row: 1, column: 1, passenger: 0, destination: 3 }.index());
        // Wall on the right, up and left to the passenger, who is not at a wrong place.
        let rewards = [2, 4, 1, 3, 4].map(|action| taxi.act(action).1.reward);
        assert_eq!(rewards, [-1.0, -10.0, -1.0, -1.0, -1.0]);
        assert_eq!(State::of(taxi.state()).passenger, ABOARD);
        // Set down at a wrong stand and picked up again: allowed, at the cost of steps.
        assert_eq!([5, 4, 4].map(|action| taxi.act(action).1.reward), [-1.0, -1.0, -10.0]);
        let drive = [0, 0, 2, 2, 2, 0, 5, 0, 3];
        assert_eq!(
            drive.map(|action| taxi.act(action).1.reward),
            [-1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -10.0, -1.0, -1.0]
        );
        assert_eq!(taxi.succeeded(), Some(false));
        let (state, step) = taxi.act(5);
        assert_eq!((step.reward, step.terminated, State::of(state).passenger), (20.0, true, 3));
        assert_eq!(taxi.succeeded(), Some(true));
    }

    #[test]
    fn text_shows_taxi_walls_and_orders() {
        let mut taxi = Taxi::town();
        taxi.set_state(State { row: 3, column: 1, passenger: 4, destination: 2 }.index());
        let shown =
            "+---------+\n|R: | : :G|\n| : | : : |\n| : : : : |\n| |@: | : |\n|Y| : |B: |\n+---------+\n";
        assert!(taxi.text().starts_with(&format!("{shown}passenger on board, to Y\n")), "{}", taxi.text());
    }
}
