//! CartPole-v1: a pole is to be kept upright by pushing the cart that it stands on to the left or to the right.

use super::draw::{BLUE, Canvas, INK, ORANGE, PALE, TextCanvas};
use super::{Action, ActionSpace, Env, Normalisation, ObservationSpace, Step, uniform};
use dunlin_plant::CartPole as Plant;
use rand::SeedableRng;
use rand_pcg::Pcg64;

/// Pole on a cart, with the dynamics, rewards (one a step, the last one too) and bounds of gymnasium's CartPole-v1.
///
/// Observation: position, velocity, angle, angular velocity. Actions: 0 pushes to the left, 1 to the right.
#[derive(Clone, Debug, Default)]
pub struct CartPole {
    plant: Plant<f64>,
    steps: u32,
}

impl CartPole {
    /// Position, velocity, angle, angular velocity.
    pub fn state(&self) -> [f64; 4] {
        self.plant.state()
    }

    /// Puts cart and pole in a state, with the whole time limit ahead.
    pub fn set_state(&mut self, state: [f64; 4]) {
        *self = Self { plant: Plant::new(state), steps: 0 };
    }

    #[inline]
    fn observe(&self, observation: &mut [f32]) {
        let seen: &mut [f32; 4] = observation.try_into().expect("an observation has 4 elements");
        *seen = self.plant.state().map(|x| x as f32);
    }

    fn pole(&self) -> [[f32; 2]; 2] {
        let (sin, cos) = libm::sincos(self.plant.angle);
        let x = self.plant.position as f32;
        [[x, 0.0], [x + sin as f32, cos as f32]]
    }
}

impl Env for CartPole {
    fn name(&self) -> &'static str {
        "CartPole-v1"
    }

    fn observation_space(&self) -> ObservationSpace {
        let [position, angle] = [Plant::MAX_POSITION, Plant::MAX_ANGLE].map(|x| (2.0 * x) as f32);
        ObservationSpace::symmetric(&[position, f32::MAX, angle, f32::MAX])
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation::spread(&[Plant::MAX_POSITION as f32, 2.5, Plant::MAX_ANGLE as f32, 2.5])
    }

    fn action_space(&self) -> ActionSpace {
        ActionSpace::Discrete(2)
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        let mut rng = Pcg64::seed_from_u64(seed);
        self.set_state([(); 4].map(|()| uniform(&mut rng, -Plant::START, Plant::START)));
        self.observe(observation);
    }

    #[inline]
    fn step(&mut self, action: Action<'_>, observation: &mut [f32]) -> Step {
        let action = action.index();
        assert!(action < 2, "action {action} of 2");
        self.plant.step(action == 1);
        self.steps += 1;
        self.observe(observation);
        Step { reward: 1.0, terminated: self.plant.failed(), truncated: self.steps >= Plant::STEPS }
    }

    fn text(&self) -> String {
        let mut text = TextCanvas::new([48, 8], [-2.4, -0.15], [2.4, 1.15]);
        text.line([-2.4, -0.1], [2.4, -0.1], '-');
        let [foot, top] = self.pole();
        text.line(foot, top, '|');
        text.line([foot[0] - 0.2, -0.1], [foot[0] + 0.2, -0.1], '#');
        let [x, v, a, w] = self.plant.state();
        text.finish() + &format!("step {}: {x:+.2} m, {v:+.2} m/s, {a:+.3} rad, {w:+.2} rad/s\n", self.steps)
    }

    fn picture(&self) -> image::RgbImage {
        let mut canvas = Canvas::new([320, 120], 64.0, [160.0, 96.0]);
        canvas.line([-2.5, -0.1], [2.5, -0.1], 0.03, PALE);
        for end in [-Plant::MAX_POSITION as f32, Plant::MAX_POSITION as f32] {
            canvas.line([end, -0.2], [end, 0.0], 0.03, INK);
        }
        let [foot, top] = self.pole();
        canvas.rectangle([foot[0] - 0.25, -0.2], [foot[0] + 0.25, 0.05], BLUE);
        canvas.line(foot, top, 0.08, ORANGE);
        canvas.disc(foot, 0.05, INK);
        canvas.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn keeps_the_contract() {
        testing::contract(&mut CartPole::default(), 500);
    }

    #[test]
    fn starts_are_small_and_differ() {
        let starts = testing::starts(&mut CartPole::default(), 1000);
        for element in 0..4 {
            testing::evenly(&starts.iter().map(|s| f64::from(s[element])).collect::<Vec<_>>(), -0.05, 0.05);
        }
    }

    #[test]
    fn a_pole_that_stands_is_kept_to_the_limit() {
        let (mut env, mut seen) = (CartPole::default(), [0.0; 4]);
        env.reset(7, &mut seen);
        for i in 1..=500 {
            let [x, v, a, w] = seen;
            let step = env.step(Action::Discrete((0.1 * x + 0.3 * v + 3.0 * a + w > 0.0).into()), &mut seen);
            assert_eq!(step, Step { reward: 1.0, terminated: false, truncated: i == 500 });
        }
    }

    #[test]
    fn the_step_that_fails_has_its_reward() {
        let (mut env, mut seen) = (CartPole::default(), [0.0; 4]);
        env.set_state([2.39, 1.0, 0.0, 0.0]);
        let step = env.step(Action::Discrete(0), &mut seen);
        assert_eq!(step, Step { reward: 1.0, terminated: true, truncated: false });
        assert_eq!(seen[0], 2.41);
    }
}
