//! A pole balanced on a cart.
//!
//! The system of Barto, Sutton and Anderson, "Neuronlike Adaptive Elements That Can Solve Difficult Learning Control
//! Problems" (1983), without friction, with the equations of Florian, "Correct equations for the dynamics of the cart-pole
//! system" (2007), Euler's method and the constants of gymnasium's CartPole-v1.

use crate::Real;

const GRAVITY: f64 = 9.8;
const POLE_MASS: f64 = 0.1;
const TOTAL_MASS: f64 = POLE_MASS + 1.0;
/// From the joint to the middle of the pole.
const HALF_POLE: f64 = 0.5;
const POLE_MOMENT: f64 = POLE_MASS * HALF_POLE;

/// Cart and pole, as they stand and move.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CartPole<R> {
    /// Of the cart, in metres from the middle of the track, positive to the right.
    pub position: R,
    /// Of the cart, in metres a second.
    pub velocity: R,
    /// Of the pole, in radians from upright, positive to the right.
    pub angle: R,
    /// Of the pole, in radians a second.
    pub angular_velocity: R,
}

impl CartPole<f64> {
    /// Force on the cart, in newtons, to the left or to the right.
    pub const FORCE: f64 = 10.0;
    /// Time of a step, in seconds.
    pub const PERIOD: f64 = 0.02;
    /// Where the cart leaves the track, in metres.
    pub const MAX_POSITION: f64 = 2.4;
    /// Where the pole counts as fallen: 12 degrees, in radians.
    pub const MAX_ANGLE: f64 = 12.0 * 2.0 * core::f64::consts::PI / 360.0;
    /// After so many steps without a fall, the task is done.
    pub const STEPS: u32 = 500;
    /// At the beginning, every element of the state is drawn evenly from minus to plus so much.
    pub const START: f64 = 0.05;
}

impl<R: Real> CartPole<R> {
    /// From [`Self::state`].
    #[inline]
    pub fn new(state: [R; 4]) -> Self {
        let [position, velocity, angle, angular_velocity] = state;
        Self { position, velocity, angle, angular_velocity }
    }

    /// Position, velocity, angle, angular velocity: what a policy sees, before any normalisation.
    #[inline]
    pub fn state(&self) -> [R; 4] {
        [self.position, self.velocity, self.angle, self.angular_velocity]
    }

    /// Pushes the cart for one period, to the right or to the left.
    #[inline]
    pub fn step(&mut self, right: bool) {
        let of = R::of;
        let force = of(if right { CartPole::FORCE } else { -CartPole::FORCE });
        let (sin, cos) = self.angle.sin_cos();
        let swing = of(POLE_MOMENT) * (self.angular_velocity * self.angular_velocity) * sin;
        let push = (force + swing) / of(TOTAL_MASS);
        let angular_acceleration = (of(GRAVITY) * sin - cos * push)
            / (of(HALF_POLE) * (of(4.0 / 3.0) - of(POLE_MASS) * (cos * cos) / of(TOTAL_MASS)));
        let acceleration = push - of(POLE_MOMENT) * angular_acceleration * cos / of(TOTAL_MASS);
        let period = of(CartPole::PERIOD);
        self.position = self.position + period * self.velocity;
        self.velocity = self.velocity + period * acceleration;
        self.angle = self.angle + period * self.angular_velocity;
        self.angular_velocity = self.angular_velocity + period * angular_acceleration;
    }

    /// Whether the pole has fallen or the cart has left the track; also where a number of the state is none.
    #[inline]
    pub fn failed(&self) -> bool {
        let (position, angle) = (R::of(CartPole::MAX_POSITION), R::of(CartPole::MAX_ANGLE));
        let on_track = -position <= self.position && self.position <= position;
        let upright = -angle <= self.angle && self.angle <= angle;
        !(on_track && upright)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Balances from `state` by a linear rule; how many steps until it fails, at most [`CartPole::STEPS`].
    fn balance<R: Real>(state: [f64; 4]) -> u32 {
        let mut system = CartPole::new(state.map(R::of));
        for step in 0..CartPole::STEPS {
            let [x, v, a, w] = system.state();
            system.step(R::of(0.1) * x + R::of(0.3) * v + R::of(3.0) * a + w > R::of(0.0));
            if system.failed() {
                return step + 1;
            }
        }
        CartPole::STEPS
    }

    #[test]
    fn a_linear_rule_balances_in_both_numbers() {
        for i in 0..81 {
            let state = [1, 3, 9, 27].map(|place| f64::from(i / place % 3 - 1) * CartPole::START);
            assert_eq!(balance::<f64>(state), CartPole::STEPS, "f64 from {state:?}");
            assert_eq!(balance::<f32>(state), CartPole::STEPS, "f32 from {state:?}");
        }
    }

    #[test]
    fn pushing_one_way_only_makes_the_pole_fall_the_other_way() {
        for right in [false, true] {
            let mut system = CartPole::new([0.0_f64; 4]);
            let steps = (1..).find(|_| {
                system.step(right);
                system.failed()
            });
            assert_eq!(steps, Some(9));
            assert_eq!(system.angle < 0.0, right);
            assert_eq!(system.velocity > 0.0, right);
        }
    }

    #[test]
    fn left_and_right_are_mirror_images() {
        let mut one = CartPole::new([0.01, -0.3, 0.04, 0.7]);
        let mut other = CartPole::new(one.state().map(|x: f64| -x));
        for i in 0..9 {
            one.step(i % 3 == 0);
            other.step(i % 3 != 0);
            assert_eq!(one.state(), other.state().map(|x| -x));
        }
    }

    #[test]
    fn single_precision_stays_near() {
        let mut exact = CartPole::new([0.02, 0.0, 0.03, -0.01]);
        let mut single = CartPole::new(exact.state().map(|x: f64| x as f32));
        for i in 0..50 {
            exact.step(i % 2 == 0);
            single.step(i % 2 == 0);
            for (a, b) in exact.state().into_iter().zip(single.state()) {
                assert!((a - f64::from(b)).abs() < 0.02, "step {i}: {exact:?}, {single:?}");
            }
        }
    }

    #[test]
    fn what_is_out_of_bounds_or_no_number_has_failed() {
        let upright = CartPole::new([0.0; 4]);
        assert!(!upright.failed());
        for (position, angle) in
            [(2.41, 0.0), (-2.41, 0.0), (0.0, 0.21), (0.0, -0.21), (f64::NAN, 0.0), (0.0, f64::NAN)]
        {
            assert!(CartPole { position, angle, ..upright }.failed());
        }
        assert!(!CartPole { position: 2.4, angle: CartPole::MAX_ANGLE, ..upright }.failed(), "on the bounds");
    }
}
