//! Acrobot-v1: two links hang from a fixed joint; a torque at the joint between them is to swing the free end up.
//!
//! After Sutton, "Generalization in reinforcement learning: successful examples using sparse coarse coding" (1996), with the
//! equations of Sutton and Barto's book (section 11.3 of the first edition) and one step of Runge and Kutta's fourth-order
//! method every 0.2 seconds.

use super::draw::{BLUE, Canvas, GREEN, INK, ORANGE, TextCanvas};
use super::{Action, ActionSpace, Env, Normalisation, ObservationSpace, Step, uniform};
use libm::{cos, sincos};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use std::f64::consts::PI;

const GRAVITY: f64 = 9.8;
/// Length and mass of each link, and its moment of inertia.
const LENGTH: f64 = 1.0;
const MASS: f64 = 1.0;
const INERTIA: f64 = 1.0;
/// From a link's upper end to its centre of mass.
const MIDDLE: f64 = 0.5;
const PERIOD: f64 = 0.2;
const MAX_VELOCITIES: [f64; 2] = [4.0 * PI, 9.0 * PI];
/// How far the free end is to rise above the fixed joint.
const GOAL: f64 = 1.0;
const STEPS: u32 = 500;
const START: f64 = 0.1;

/// Two links, with the dynamics, rewards (−1 a step, 0 for the one that reaches the goal) and bounds of gymnasium's Acrobot-v1.
///
/// Observation: cosine and sine of the first angle, of the second, both angular velocities. Actions 0, 1, 2: a torque of
/// −1, 0 or 1.
#[derive(Clone, Debug, Default)]
pub struct Acrobot {
    state: [f64; 4],
    steps: u32,
}

/// How angles and velocities change under a torque.
fn change([theta1, theta2, omega1, omega2]: [f64; 4], torque: f64) -> [f64; 4] {
    let (sin2, cos2) = sincos(theta2);
    let d1 = MASS * MIDDLE * MIDDLE
        + MASS * (LENGTH * LENGTH + MIDDLE * MIDDLE + 2.0 * LENGTH * MIDDLE * cos2)
        + INERTIA
        + INERTIA;
    let d2 = MASS * (MIDDLE * MIDDLE + LENGTH * MIDDLE * cos2) + INERTIA;
    let phi2 = MASS * MIDDLE * GRAVITY * cos(theta1 + theta2 - PI / 2.0);
    let phi1 = -MASS * LENGTH * MIDDLE * (omega2 * omega2) * sin2
        - 2.0 * MASS * LENGTH * MIDDLE * omega2 * omega1 * sin2
        + (MASS * MIDDLE + MASS * LENGTH) * GRAVITY * cos(theta1 - PI / 2.0)
        + phi2;
    let alpha2 = (torque + d2 / d1 * phi1 - MASS * LENGTH * MIDDLE * (omega1 * omega1) * sin2 - phi2)
        / (MASS * MIDDLE * MIDDLE + INERTIA - d2 * d2 / d1);
    let alpha1 = -(d2 * alpha2 + phi1) / d1;
    [omega1, omega2, alpha1, alpha2]
}

/// The state some time later, in one step of the method.
fn integrate(state: [f64; 4], torque: f64, period: f64) -> [f64; 4] {
    let after = |time: f64, slope: [f64; 4]| std::array::from_fn(|i| state[i] + time * slope[i]);
    let k1 = change(state, torque);
    let k2 = change(after(period / 2.0, k1), torque);
    let k3 = change(after(period / 2.0, k2), torque);
    let k4 = change(after(period, k3), torque);
    after(period / 6.0, std::array::from_fn(|i| k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
}

/// An angle within a turn about zero.
fn wrap(mut angle: f64) -> f64 {
    while angle > PI {
        angle -= 2.0 * PI;
    }
    while angle < -PI {
        angle += 2.0 * PI;
    }
    angle
}

impl Acrobot {
    /// Angle of the first link from hanging down, of the second from the first, both in [−π, π], and their velocities.
    pub fn state(&self) -> [f64; 4] {
        self.state
    }

    /// Puts the links in a state, with the whole time limit ahead.
    pub fn set_state(&mut self, state: [f64; 4]) {
        *self = Self { state, steps: 0 };
    }

    fn observe(&self, observation: &mut [f32]) {
        let [theta1, theta2, omega1, omega2] = self.state;
        let ((sin1, cos1), (sin2, cos2)) = (sincos(theta1), sincos(theta2));
        let seen: &mut [f32; 6] = observation.try_into().expect("an observation has 6 elements");
        *seen = [cos1, sin1, cos2, sin2, omega1, omega2].map(|x| x as f32);
    }

    fn links(&self) -> [[f32; 2]; 3] {
        let [theta1, theta2, ..] = self.state;
        let (elbow, end) = (sincos(theta1), sincos(theta1 + theta2));
        let elbow = [elbow.0 as f32, -elbow.1 as f32];
        [[0.0; 2], elbow, [elbow[0] + end.0 as f32, elbow[1] - end.1 as f32]]
    }
}

impl Env for Acrobot {
    fn name(&self) -> &'static str {
        "Acrobot-v1"
    }

    fn observation_space(&self) -> ObservationSpace {
        let [first, second] = MAX_VELOCITIES.map(|x| x as f32);
        ObservationSpace::symmetric(&[1.0, 1.0, 1.0, 1.0, first, second])
    }

    fn normalisation(&self) -> Normalisation {
        let [first, second] = MAX_VELOCITIES.map(|x| (x / 2.0) as f32);
        Normalisation::spread(&[1.0, 1.0, 1.0, 1.0, first, second])
    }

    fn action_space(&self) -> ActionSpace {
        ActionSpace::Discrete(3)
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        let mut rng = Pcg64::seed_from_u64(seed);
        // As single precision numbers, as the model has them.
        self.set_state([(); 4].map(|()| f64::from(uniform(&mut rng, -START, START) as f32)));
        self.observe(observation);
    }

    fn step(&mut self, action: Action<'_>, observation: &mut [f32]) -> Step {
        let action = action.index();
        assert!(action < 3, "action {action} of 3");
        let [theta1, theta2, omega1, omega2] = integrate(self.state, action as f64 - 1.0, PERIOD);
        let [max1, max2] = MAX_VELOCITIES;
        self.state = [wrap(theta1), wrap(theta2), omega1.clamp(-max1, max1), omega2.clamp(-max2, max2)];
        self.steps += 1;
        self.observe(observation);
        let terminated = -cos(self.state[0]) - cos(self.state[1] + self.state[0]) > GOAL;
        Step { reward: if terminated { 0.0 } else { -1.0 }, terminated, truncated: self.steps >= STEPS }
    }

    fn text(&self) -> String {
        let mut text = TextCanvas::new([36, 18], [-2.2, -2.2], [2.2, 2.2]);
        text.line([-2.2, GOAL as f32], [2.2, GOAL as f32], '-');
        let [joint, elbow, end] = self.links();
        text.line(joint, elbow, '#');
        text.line(elbow, end, '*');
        text.put(joint, 'O');
        text.put(elbow, 'o');
        let [theta1, theta2, omega1, omega2] = self.state;
        let numbers = format!("{theta1:+.2} and {theta2:+.2} rad, {omega1:+.2} and {omega2:+.2} rad/s");
        text.finish() + &format!("step {}: {numbers}\n", self.steps)
    }

    fn picture(&self) -> image::RgbImage {
        let mut canvas = Canvas::new([300, 300], 66.0, [150.0, 150.0]);
        canvas.line([-2.2, GOAL as f32], [2.2, GOAL as f32], 0.03, GREEN);
        let [joint, elbow, end] = self.links();
        canvas.line(joint, elbow, 0.16, BLUE);
        canvas.line(elbow, end, 0.16, ORANGE);
        canvas.disc(joint, 0.1, INK);
        canvas.disc(elbow, 0.06, INK);
        canvas.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn keeps_the_contract() {
        testing::contract(&mut Acrobot::default(), 500);
    }

    #[test]
    fn starts_hang_almost_still() {
        let mut env = Acrobot::default();
        let mut states = Vec::new();
        for seed in 0..1000 {
            env.reset(seed, &mut [0.0; 6]);
            states.push(env.state());
        }
        for element in 0..4 {
            testing::evenly(&states.iter().map(|s| s[element]).collect::<Vec<_>>(), -0.1, 0.1);
        }
    }

    /// Energy of the links without torque, which nothing takes away.
    fn energy([theta1, theta2, omega1, omega2]: [f64; 4]) -> f64 {
        let (end, cos2) = (theta1 + theta2, cos(theta2));
        let first = 0.5 * (MASS * MIDDLE * MIDDLE + INERTIA) * omega1 * omega1;
        let both = omega1 + omega2;
        let second = 0.5 * MASS * (LENGTH * LENGTH * omega1 * omega1 + MIDDLE * MIDDLE * both * both)
            + MASS * LENGTH * MIDDLE * cos2 * omega1 * both
            + 0.5 * INERTIA * both * both;
        let height = -MASS * MIDDLE * cos(theta1) - MASS * (LENGTH * cos(theta1) + MIDDLE * cos(end));
        first + second + GRAVITY * height
    }

    #[test]
    fn without_torque_energy_stays() {
        for start in [[0.9, -0.4, 0.0, 0.0], [0.3, 2.0, 1.0, -1.0], [-1.2, 0.1, 0.5, 0.2]] {
            let end = (0..4000).fold(start, |state, _| integrate(state, 0.0, 0.001));
            assert!((energy(start) - energy(end)).abs() < 1e-9, "{} became {}", energy(start), energy(end));
            assert!((0..4).any(|i| (start[i] - end[i]).abs() > 0.1), "it moves");
        }
    }

    #[test]
    fn angles_wrap_and_velocities_are_bounded() {
        let mut env = Acrobot::default();
        env.set_state([3.0, -3.0, 12.5, -28.2]);
        for _ in 0..30 {
            env.step(Action::Discrete(0), &mut [0.0; 6]);
            let [theta1, theta2, omega1, omega2] = env.state();
            assert!(theta1.abs() <= PI && theta2.abs() <= PI, "{theta1}, {theta2}");
            assert!(omega1.abs() <= 4.0 * PI && omega2.abs() <= 9.0 * PI, "{omega1}, {omega2}");
        }
        assert_eq!(wrap(PI), PI);
        assert_eq!(wrap(-PI), -PI);
        assert_eq!(wrap(3.5), 3.5 - 2.0 * PI);
        assert_eq!(wrap(-10.0), -10.0 + 2.0 * PI + 2.0 * PI);
    }

    #[test]
    fn the_goal_ends_it_without_a_loss() {
        let mut env = Acrobot::default();
        env.set_state([PI, 0.0, 0.0, 0.0]);
        let step = env.step(Action::Discrete(1), &mut [0.0; 6]);
        assert_eq!(step, Step { reward: 0.0, terminated: true, truncated: false });
        env.set_state([0.0; 4]);
        let step = env.step(Action::Discrete(1), &mut [0.0; 6]);
        assert_eq!(step, Step { reward: -1.0, terminated: false, truncated: false });
        assert!(env.state().iter().all(|x| x.abs() < 1e-12), "at rest without torque: {:?}", env.state());
    }
}
