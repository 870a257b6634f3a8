//! MountainCar-v0: a car in a valley, too weak for the hill on the right, has to swing up to the flag.
//!
//! After Moore, "Efficient memory-based learning for robot control" (1990), with the equations of Sutton and Barto's book
//! (second edition, example 10.1) and the bounds of gymnasium.

use super::draw::{BLUE, Canvas, GREEN, INK, TextCanvas};
use super::{Action, ActionSpace, Env, Normalisation, ObservationSpace, Step, uniform};
use rand::SeedableRng;
use rand_pcg::Pcg64;

const MIN_POSITION: f64 = -1.2;
const MAX_POSITION: f64 = 0.6;
const MAX_SPEED: f64 = 0.07;
const GOAL: f64 = 0.5;
const FORCE: f64 = 0.001;
const GRAVITY: f64 = 0.0025;
const STEPS: u32 = 200;

/// Car in a valley, with the dynamics, rewards (−1 a step, the last one too) and bounds of gymnasium's MountainCar-v0.
///
/// Observation: position, velocity. Actions 0, 1, 2: to the left, none, to the right.
#[derive(Clone, Debug, Default)]
pub struct MountainCar {
    position: f64,
    velocity: f64,
    steps: u32,
}

/// Height of the ground, as it is drawn.
fn height(position: f32) -> f32 {
    0.45 * libm::sinf(3.0 * position) + 0.55
}

impl MountainCar {
    /// Position and velocity.
    pub fn state(&self) -> [f64; 2] {
        [self.position, self.velocity]
    }

    /// Puts the car in a state, with the whole time limit ahead.
    pub fn set_state(&mut self, [position, velocity]: [f64; 2]) {
        *self = Self { position, velocity, steps: 0 };
    }

    fn observe(&self, observation: &mut [f32]) {
        let seen: &mut [f32; 2] = observation.try_into().expect("an observation has 2 elements");
        *seen = self.state().map(|x| x as f32);
    }

    fn ground() -> Vec<[f32; 2]> {
        (0..=60).map(|i| MIN_POSITION as f32 + i as f32 * 0.03).map(|x| [x, height(x)]).collect()
    }
}

impl Env for MountainCar {
    fn name(&self) -> &'static str {
        "MountainCar-v0"
    }

    fn observation_space(&self) -> ObservationSpace {
        let (low, high) = ([MIN_POSITION, -MAX_SPEED], [MAX_POSITION, MAX_SPEED]);
        let [low, high] = [low, high].map(|bounds| bounds.iter().map(|&x| x as f32).collect());
        ObservationSpace { shape: dunlin::shape::Shape::vector(2), low, high }
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation { centre: vec![-0.3, 0.0], spread: vec![0.9, MAX_SPEED as f32] }
    }

    fn action_space(&self) -> ActionSpace {
        ActionSpace::Discrete(3)
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        self.set_state([uniform(&mut Pcg64::seed_from_u64(seed), -0.6, -0.4), 0.0]);
        self.observe(observation);
    }

    fn step(&mut self, action: Action<'_>, observation: &mut [f32]) -> Step {
        let action = action.index();
        assert!(action < 3, "action {action} of 3");
        let pull = (action as f64 - 1.0) * FORCE + libm::cos(3.0 * self.position) * -GRAVITY;
        self.velocity = (self.velocity + pull).clamp(-MAX_SPEED, MAX_SPEED);
        self.position = (self.position + self.velocity).clamp(MIN_POSITION, MAX_POSITION);
        if self.position == MIN_POSITION && self.velocity < 0.0 {
            self.velocity = 0.0;
        }
        self.steps += 1;
        self.observe(observation);
        let terminated = self.position >= GOAL && self.velocity >= 0.0;
        Step { reward: -1.0, terminated, truncated: self.steps >= STEPS }
    }

    fn text(&self) -> String {
        let mut text = TextCanvas::new([46, 12], [MIN_POSITION as f32, 0.0], [MAX_POSITION as f32, 1.2]);
        text_ground(&mut text);
        text.line([GOAL as f32, height(GOAL as f32)], [GOAL as f32, 1.2], '|');
        let x = self.position as f32;
        text.put([x, height(x) + 0.1], 'O');
        let Self { position, velocity, steps } = self;
        text.finish() + &format!("step {steps}: position {position:+.3}, velocity {velocity:+.4}\n")
    }

    fn picture(&self) -> image::RgbImage {
        let mut canvas = Canvas::new([320, 220], 170.0, [212.0, 205.0]);
        canvas.path(&Self::ground(), 0.015, INK);
        let goal = GOAL as f32;
        canvas.line([goal, height(goal)], [goal, height(goal) + 0.2], 0.012, INK);
        let top = height(goal) + 0.2;
        canvas.polygon(&[[goal, top], [goal, top - 0.08], [goal + 0.1, top - 0.04]], GREEN);
        // The car stands along the slope.
        let x = self.position as f32;
        let slope = 1.35 * libm::cosf(3.0 * x);
        let length = libm::sqrtf(1.0 + slope * slope);
        let (along, up) = ([1.0 / length, slope / length], [-slope / length, 1.0 / length]);
        let at = |a: f32, u: f32| [x + a * along[0] + u * up[0], height(x) + a * along[1] + u * up[1]];
        canvas.polygon(&[at(-0.08, 0.035), at(0.08, 0.035), at(0.08, 0.1), at(-0.08, 0.1)], BLUE);
        canvas.disc(at(-0.045, 0.03), 0.03, INK);
        canvas.disc(at(0.045, 0.03), 0.03, INK);
        canvas.finish()
    }
}

fn text_ground(text: &mut TextCanvas) {
    MountainCar::ground().windows(2).for_each(|ends| text.line(ends[0], ends[1], '.'));
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn step(env: &mut MountainCar, action: usize) -> Step {
        env.step(Action::Discrete(action), &mut [0.0; 2])
    }

    #[test]
    fn keeps_the_contract() {
        testing::contract(&mut MountainCar::default(), 200);
    }

    #[test]
    fn starts_stand_in_the_valley() {
        let starts = testing::starts(&mut MountainCar::default(), 1000);
        testing::evenly(&starts.iter().map(|s| f64::from(s[0])).collect::<Vec<_>>(), -0.6, -0.4);
        assert!(starts.iter().all(|s| s[1] == 0.0));
    }

    #[test]
    fn the_wall_stops_the_car() {
        let mut env = MountainCar::default();
        env.set_state([-1.19, -0.05]);
        step(&mut env, 0);
        assert_eq!(env.state(), [-1.2, 0.0]);
        step(&mut env, 0);
        let [position, velocity] = env.state();
        assert!(velocity > 0.0 && position > -1.2, "the slope outweighs the motor: {position}, {velocity}");
    }

    #[test]
    fn speed_and_position_are_bounded() {
        let mut env = MountainCar::default();
        env.set_state([-0.9, 0.07]);
        step(&mut env, 2);
        assert_eq!(env.state(), [-0.9 + 0.07, 0.07]);
        env.set_state([0.59, 0.07]);
        step(&mut env, 2);
        assert_eq!(env.state()[0], 0.6);
        env.set_state([0.1, -0.07]);
        step(&mut env, 0);
        assert_eq!(env.state(), [0.1 - 0.07, -0.07]);
    }

    #[test]
    fn only_a_car_that_does_not_roll_back_has_arrived() {
        let mut env = MountainCar::default();
        env.set_state([0.49, 0.02]);
        assert_eq!(step(&mut env, 2), Step { reward: -1.0, terminated: true, truncated: false });
        env.set_state([0.58, -0.02]);
        assert!(!step(&mut env, 0).terminated);
        assert!(env.state()[0] > GOAL);
    }

    #[test]
    fn pushing_with_the_motion_arrives() {
        let mut env = MountainCar::default();
        env.reset(3, &mut [0.0; 2]);
        let steps = (1..=200).find(|_| {
            let right = env.state()[1] >= 0.0;
            step(&mut env, if right { 2 } else { 0 }).terminated
        });
        assert!(steps.is_some_and(|steps| (80..150).contains(&steps)), "{steps:?}");
    }
}
