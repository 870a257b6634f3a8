//! Pendulum-v1: a pendulum is to be swung up and held upright by a torque too weak to lift it.

use super::draw::{Canvas, INK, ORANGE, PALE, RED, TextCanvas};
use super::{Action, ActionSpace, Env, Normalisation, ObservationSpace, Step, uniform};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use std::f64::consts::PI;

const GRAVITY: f64 = 10.0;
const MASS: f64 = 1.0;
const LENGTH: f64 = 1.0;
const PERIOD: f64 = 0.05;
const MAX_SPEED: f64 = 8.0;
const MAX_TORQUE: f64 = 2.0;
const STEPS: u32 = 200;

/// Pendulum with the dynamics, rewards and bounds of gymnasium's Pendulum-v1. The reward is what the state before a step and its
/// torque cost: −(angle² + 0.1 velocity² + 0.001 torque²), the angle within a turn about upright.
///
/// Observation: cosine and sine of the angle from upright, angular velocity. Action: a torque within [−2, 2].
#[derive(Clone, Debug, Default)]
pub struct Pendulum {
    angle: f64,
    velocity: f64,
    torque: f64,
    steps: u32,
}

/// An angle in [−π, π).
fn normalise(angle: f64) -> f64 {
    (angle + PI).rem_euclid(2.0 * PI) - PI
}

impl Pendulum {
    /// Angle from upright, as many turns as it has made, and angular velocity.
    pub fn state(&self) -> [f64; 2] {
        [self.angle, self.velocity]
    }

    /// Puts the pendulum in a state, with the whole time limit ahead.
    pub fn set_state(&mut self, [angle, velocity]: [f64; 2]) {
        *self = Self { angle, velocity, torque: 0.0, steps: 0 };
    }

    /// [`Env::step`] with a torque in double precision; beyond the bound, it is the bound.
    pub fn turn(&mut self, torque: f64, observation: &mut [f32]) -> Step {
        let torque = torque.clamp(-MAX_TORQUE, MAX_TORQUE);
        let Self { angle, velocity, steps, .. } = *self;
        let off = normalise(angle);
        let cost = off * off + 0.1 * (velocity * velocity) + 0.001 * (torque * torque);
        let weight = 3.0 * GRAVITY / (2.0 * LENGTH) * libm::sin(angle);
        let acceleration = weight + 3.0 / (MASS * LENGTH * LENGTH) * torque;
        let velocity = (velocity + acceleration * PERIOD).clamp(-MAX_SPEED, MAX_SPEED);
        *self = Self { angle: angle + velocity * PERIOD, velocity, torque, steps: steps + 1 };
        self.observe(observation);
        Step { reward: -cost, terminated: false, truncated: self.steps >= STEPS }
    }

    fn observe(&self, observation: &mut [f32]) {
        let (sin, cos) = libm::sincos(self.angle);
        let seen: &mut [f32; 3] = observation.try_into().expect("an observation has 3 elements");
        *seen = [cos, sin, self.velocity].map(|x| x as f32);
    }

    fn end(&self) -> [f32; 2] {
        let (sin, cos) = libm::sincos(self.angle);
        [-sin as f32, cos as f32]
    }
}

impl Env for Pendulum {
    fn name(&self) -> &'static str {
        "Pendulum-v1"
    }

    fn observation_space(&self) -> ObservationSpace {
        ObservationSpace::symmetric(&[1.0, 1.0, MAX_SPEED as f32])
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation::spread(&[1.0, 1.0, MAX_SPEED as f32])
    }

    fn action_space(&self) -> ActionSpace {
        ActionSpace::Continuous(vec![MAX_TORQUE as f32])
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        let mut rng = Pcg64::seed_from_u64(seed);
        self.set_state([uniform(&mut rng, -PI, PI), uniform(&mut rng, -1.0, 1.0)]);
        self.observe(observation);
    }

    fn step(&mut self, action: Action<'_>, observation: &mut [f32]) -> Step {
        let &[torque] = action.numbers() else { panic!("the action is one torque, not {action:?}") };
        assert!(!torque.is_nan(), "the torque is not a number");
        self.turn(f64::from(torque), observation)
    }

    fn text(&self) -> String {
        let mut text = TextCanvas::new([28, 14], [-1.2, -1.2], [1.2, 1.2]);
        text.line([0.0; 2], self.end(), '*');
        text.put([0.0; 2], 'O');
        let Self { angle, velocity, torque, steps } = self;
        let angle = normalise(*angle);
        text.finish() + &format!("step {steps}: {angle:+.2} rad, {velocity:+.2} rad/s, {torque:+.2} N m\n")
    }

    fn picture(&self) -> image::RgbImage {
        let mut canvas = Canvas::new([300, 300], 112.0, [150.0, 150.0]);
        canvas.line([0.0; 2], [0.0, 1.2], 0.02, PALE);
        canvas.line([0.0; 2], self.end(), 0.18, ORANGE);
        // The torque, as an arc from the top: a quarter of a turn is all of it.
        let angle = |i: i32| self.torque / MAX_TORQUE * PI / 2.0 * f64::from(i) / 16.0;
        let arc =
            (0..=16).map(|i| libm::sincos(angle(i))).map(|(sin, cos)| [-0.3 * sin as f32, 0.3 * cos as f32]);
        canvas.path(&arc.collect::<Vec<_>>(), 0.04, RED);
        canvas.disc([0.0; 2], 0.06, INK);
        canvas.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn keeps_the_contract() {
        testing::contract(&mut Pendulum::default(), 200);
    }

    #[test]
    fn starts_are_anywhere() {
        let mut env = Pendulum::default();
        let mut states = Vec::new();
        for seed in 0..1000 {
            env.reset(seed, &mut [0.0; 3]);
            states.push(env.state());
        }
        testing::evenly(&states.iter().map(|s| s[0]).collect::<Vec<_>>(), -PI, PI);
        testing::evenly(&states.iter().map(|s| s[1]).collect::<Vec<_>>(), -1.0, 1.0);
    }

    #[test]
    fn angles_are_normalised_from_either_side() {
        for (angle, expected) in
            [(0.5, 0.5), (PI, -PI), (-PI, -PI), (3.5, 3.5 - 2.0 * PI), (-30.0, -30.0 + 10.0 * PI)]
        {
            assert!((normalise(angle) - expected).abs() < 1e-14, "{angle}: {}", normalise(angle));
        }
    }

    #[test]
    fn torque_and_speed_are_bounded() {
        let (mut strong, mut most, mut seen) = (Pendulum::default(), Pendulum::default(), [0.0; 3]);
        for (torque, bound) in [(7.0, 2.0), (f64::INFINITY, 2.0), (-2.5, -2.0)] {
            strong.set_state([1.0, 0.3]);
            most.set_state([1.0, 0.3]);
            assert_eq!(strong.turn(torque, &mut seen), most.turn(bound, &mut seen));
            assert_eq!(strong.state(), most.state());
        }
        most.set_state([PI / 2.0, 7.9]);
        most.turn(2.0, &mut seen);
        assert_eq!(most.state(), [PI / 2.0 + 0.4, 8.0]);
    }

    #[test]
    fn the_reward_is_of_the_state_before() {
        let (mut env, mut seen) = (Pendulum::default(), [0.0; 3]);
        env.set_state([2.0 * PI + 0.5, -2.0]);
        let step = env.step(Action::Continuous(&[1.5]), &mut seen);
        assert!((step.reward + (0.25 + 0.4 + 0.00225)).abs() < 1e-12, "{}", step.reward);
        assert!(!step.done());
    }
}
