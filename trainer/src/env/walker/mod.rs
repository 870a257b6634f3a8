//! A planar walker, 1 m tall and 10 kg: learning to walk by torques at hips and knees.
//!
//! A torso and two legs of thigh and shank with round feet move in the vertical plane (`body.rs`) over flat ground, by the
//! laws of mechanics alone (`dynamics.rs`, `contact.rs`), in 8 steps for each of 50 actions a second. The action gives the
//! torques of left hip, left knee, right hip and right knee as parts of the largest, 20 N m; positive swings the link
//! below forwards.
//!
//! | element | observed | unit |
//! |---|---|---|
//! | 0 | height of the hip | m |
//! | 1 | lean of the torso, positive backwards | rad |
//! | 2, 3 | velocity of the hip forwards and upwards | m/s |
//! | 4 | rate of the lean | rad/s |
//! | 5 … 8 | angles of the joints, in the order of actions; a knee bends to negative ones | rad |
//! | 9 … 12 | their rates | rad/s |
//! | 13, 14 | whether left and right foot touch the ground | 0, 1 |
//!
//! An episode begins near standing, each with another pose and other velocities. It is terminated by a fall (a knee, the hip
//! or the torso touches the ground, the hip is below 0.38 m, or the torso leans by more than 1 rad) and truncated after
//! 20 s. It goes on after [`GOAL`]: [`Env::succeeded`] tells whether that was reached before a fall.
//!
//! # Reward
//! Of each metre forwards, a third is paid as the hip moves, and two thirds at the **step** that covers it: a foot touches
//! the ground 0.1 m or more ahead of the other, and the step before was the other foot's. Neither pays for more than
//! [`PACE`], and the hip earns nothing once it is 0.6 m ahead of the last step. Then there are costs a second, of torque, of
//! lean, of haste and of having both feet in the air, and the cost of a fall. So the return of an episode is the metres
//! walked, up to 16, less about 2 of costs.
//!
//! This is shaped, because metres alone do not make a walk: in trials by PPO, those of the hip alone taught a shuffle with
//! the same leg always in front, and steps paid at any frequency taught to run. What has been stepped is memory of the
//! reward that is not observed.

mod body;
mod contact;
mod dynamics;
mod picture;
#[cfg(test)]
mod tests;

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

use self::body::{Body, DOF, Directions, FOOT, JOINTS, SHANK, THIGH, TORSO};
use self::contact::World;
use super::{Action, ActionSpace, Env, Normalisation, ObservationSpace, Step};

/// Actions a second.
pub const RATE: u32 = 50;
/// Actions after which an episode is truncated: 20 s.
pub const LIMIT: u32 = 1_000;
/// Distance that counts as having walked, in m.
pub const GOAL: f64 = 10.0;
/// Speed beyond which nothing is gained, in m/s.
pub const PACE: f64 = 0.8;

/// Steps of the physics for each action.
const SUBSTEPS: u32 = 8;
/// Duration of an action in s.
const DURATION: f64 = 1.0 / RATE as f64;

/// Hip heights (m) below, and leans (rad) beyond which the walker has fallen.
const FALLEN: (f64, f64) = (0.38, 1.0);

/// Reward of a metre of the hip, and of a metre stepped.
const PROGRESS: (f64, f64) = (1.0 / 3.0, 2.0 / 3.0);
/// How far ahead of the other a foot must come down, the longest step that is paid, and how far ahead of the last step the
/// hip earns, in m.
const STRIDE: (f64, f64, f64) = (0.1, 0.5, 0.6);
/// Cost a second of the mean square of actions.
const EFFORT: f64 = 0.1;
/// Cost a second of the square of the lean in rad.
const LEAN: f64 = 0.6;
/// Cost a second of touching the ground nowhere.
const FLIGHT: f64 = 0.3;
/// Cost a second of the square of the speed above 1.2 [`PACE`], in m/s.
const HASTE: f64 = 0.3;
/// Cost of a fall.
const FALL: f64 = 0.5;

/// Elements of an observation.
const OBSERVED: usize = 15;
/// Bounds of an observation; what is beyond counts as the bound.
const BOUNDS: [(f32, f32); OBSERVED] = [
    (0.0, 1.0),
    (-1.5, 1.5),
    (-5.0, 5.0),
    (-5.0, 5.0),
    (-20.0, 20.0),
    (-2.5, 2.5),
    (-2.5, 2.5),
    (-2.5, 2.5),
    (-2.5, 2.5),
    (-40.0, 40.0),
    (-40.0, 40.0),
    (-40.0, 40.0),
    (-40.0, 40.0),
    (0.0, 1.0),
    (0.0, 1.0),
];

/// The planar walker.
#[derive(Clone, Debug)]
pub struct Walker {
    world: World,
    /// Actions so far.
    actions: u32,
    walked: bool,
    footfall: Footfall,
}

/// The last step, as the reward counts them.
#[derive(Clone, Copy, Debug, Default)]
struct Footfall {
    /// The foot that made it; before the first, none.
    foot: Option<usize>,
    /// Where it is, in m.
    place: f64,
    /// Actions before it.
    time: u32,
}

impl Default for Walker {
    fn default() -> Self {
        Self::new()
    }
}

impl Walker {
    /// A walker that stands upright until [`Env::reset`].
    pub fn new() -> Self {
        let mut world = World::new(Body::STANDARD);
        let mut position = [0.0; DOF];
        position[1] = world.body.leg();
        world.place(position, [0.0; DOF]);
        Self { world, actions: 0, walked: false, footfall: Footfall::default() }
    }

    /// How far the hip has come in this episode, in m.
    pub fn distance(&self) -> f64 {
        self.world.position[0]
    }

    fn observe(&self, observation: &mut [f32]) {
        assert_eq!(observation.len(), OBSERVED, "elements of an observation");
        let (position, velocity) = (&self.world.position, &self.world.velocity);
        let mut all = [0.0; OBSERVED];
        all[..5].copy_from_slice(&[position[1], position[2], velocity[0], velocity[1], velocity[2]]);
        for joint in 0..JOINTS {
            all[5 + joint] = body::joint(position, joint);
            all[9 + joint] = body::joint(velocity, joint);
        }
        for (leg, foot) in FOOT.into_iter().enumerate() {
            all[13 + leg] = f64::from(self.world.contacts[foot].normal > 0.0);
        }
        for ((seen, value), (low, high)) in observation.iter_mut().zip(all).zip(BOUNDS) {
            *seen = (value as f32).clamp(low, high);
        }
    }

    fn fallen(&self) -> bool {
        let touches = self.world.gaps()[FOOT[1] + 1..].iter().any(|&gap| gap < 0.0);
        touches || self.world.position[1] < FALLEN.0 || self.world.position[2].abs() > FALLEN.1
    }

    /// Metres of a step made now by a foot that has touched the ground during the action; zero where there is none.
    fn stepped(&mut self, touched: [bool; 2]) -> f64 {
        let at = Directions::new(&self.world.position);
        let places = FOOT.map(|foot| at.reach(&self.world.position, &self.world.body.arms(foot).0).0);
        let last = self.footfall;
        let ahead = |foot: usize| touched[foot] && places[foot] - places[1 - foot] > STRIDE.0;
        let Some(foot) = (0..2).find(|&foot| ahead(foot) && last.foot != Some(foot)) else { return 0.0 };
        self.footfall = Footfall { foot: Some(foot), place: places[foot], time: self.actions };
        let most = (PACE * DURATION * f64::from(self.actions - last.time)).min(STRIDE.1);
        if last.foot.is_some() { (places[foot] - last.place).clamp(0.0, most) } else { 0.0 }
    }
}

impl Env for Walker {
    fn name(&self) -> &'static str {
        "Walker"
    }

    fn observation_space(&self) -> ObservationSpace {
        let (low, high): (Vec<f32>, Vec<f32>) = BOUNDS.into_iter().unzip();
        ObservationSpace { low, ..ObservationSpace::symmetric(&high) }
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation {
            centre: vec![0.45, 0.0, 0.5, 0.0, 0.0, 0.2, -0.6, 0.2, -0.6, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5],
            spread: vec![0.1, 0.3, 0.7, 0.5, 2.0, 0.5, 0.6, 0.5, 0.6, 6.0, 6.0, 6.0, 6.0, 0.5, 0.5],
        }
    }

    fn action_space(&self) -> ActionSpace {
        ActionSpace::Continuous(vec![1.0; JOINTS])
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut within = |bound: f64| bound * (2.0 * rng.random::<f64>() - 1.0);
        let (mut position, mut velocity) = ([0.0; DOF], [0.0; DOF]);
        (velocity[0], velocity[1]) = (within(0.3), within(0.1));
        position[2 + TORSO] = within(0.1);
        velocity[2 + TORSO] = within(0.3);
        let stride = within(0.3);
        for (leg, forward) in [(0, stride), (1, -stride)] {
            position[2 + THIGH[leg]] = position[2 + TORSO] + 0.1 + forward + within(0.1);
            position[2 + SHANK[leg]] = position[2 + THIGH[leg]] - 0.3 + within(0.25);
            velocity[2 + THIGH[leg]] = velocity[2 + TORSO] + within(1.0);
            velocity[2 + SHANK[leg]] = velocity[2 + THIGH[leg]] + within(1.0);
        }
        self.world.place(position, velocity);
        // The lower foot begins up to 2 cm above the ground.
        let gaps = self.world.gaps();
        position[1] = 0.01 + within(0.01) - gaps[FOOT[0]].min(gaps[FOOT[1]]);
        self.world.place(position, velocity);
        (self.actions, self.walked, self.footfall) = (0, false, Footfall::default());
        self.observe(observation);
    }

    fn step(&mut self, action: Action<'_>, observation: &mut [f32]) -> Step {
        let numbers = action.numbers();
        assert_eq!(numbers.len(), JOINTS, "numbers of an action");
        let actions: [f64; JOINTS] = std::array::from_fn(|joint| f64::from(numbers[joint].clamp(-1.0, 1.0)));
        let torque = std::array::from_fn(|joint| actions[joint] * self.world.body.torque[joint % 2]);
        let before = self.distance();
        let mut touched = [false; 2];
        for _ in 0..SUBSTEPS {
            self.world.step(&torque, DURATION / f64::from(SUBSTEPS));
            for (touched, foot) in touched.iter_mut().zip(FOOT) {
                *touched |= self.world.contacts[foot].normal > 0.0;
            }
        }
        self.actions += 1;
        let fallen = self.fallen();
        self.walked |= !fallen && self.distance() >= GOAL;

        let moved = self.distance() - before;
        let paid = moved.min(if before < self.footfall.place + STRIDE.2 { PACE * DURATION } else { 0.0 });
        let effort = actions.iter().map(|a| a * a).sum::<f64>() / JOINTS as f64;
        let lean = self.world.position[2 + TORSO];
        let haste = (moved / DURATION - 1.2 * PACE).max(0.0);
        let flight = if touched == [false; 2] { FLIGHT } else { 0.0 };
        let costs = EFFORT * effort + LEAN * lean * lean + HASTE * haste * haste + flight;
        let reward = PROGRESS.0 * paid + PROGRESS.1 * self.stepped(touched)
            - costs * DURATION
            - if fallen { FALL } else { 0.0 };
        self.observe(observation);
        Step { reward, terminated: fallen, truncated: self.actions >= LIMIT }
    }

    fn succeeded(&self) -> Option<bool> {
        Some(self.walked)
    }

    fn text(&self) -> String {
        picture::text(&self.world)
    }

    fn picture(&self) -> image::RgbImage {
        picture::draw(&self.world)
    }
}
