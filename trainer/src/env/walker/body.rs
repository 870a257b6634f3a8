//! The body of the walker: a torso and two legs of thigh and shank, in the vertical plane. Metres, kilograms, seconds,
//! radians.
//!
//! Coordinates are the hip `(x, z)`, `x` forwards and `z` up, and the **absolute** angle of each link, counter-clockwise
//! with `x` to the right. An angle of zero is upright for the torso and hanging straight down for the others. A link of angle
//! `a` points along `d(a) = (sin a, −cos a)`, the torso against it. With absolute angles the mass matrix is an arrow: legs
//! and torso meet in the hip only (`dynamics.rs`).

/// Coordinates: hip x and z, then the angles of the links.
pub(super) const DOF: usize = 7;

/// One number for each coordinate.
pub(super) type Vector = [f64; DOF];

/// Links, in the order of their angles.
pub(super) const LINKS: usize = 5;
/// The torso; its coordinate is `2 + TORSO`.
pub(super) const TORSO: usize = 0;
/// Thighs of left and right leg.
pub(super) const THIGH: [usize; 2] = [1, 3];
/// Shanks of left and right leg.
pub(super) const SHANK: [usize; 2] = [2, 4];

/// Joints, in the order of actions: left hip and knee, right hip and knee.
pub(super) const JOINTS: usize = 4;
/// The links that each joint connects: its angle is that of the second less that of the first.
pub(super) const JOINT: [(usize, usize); JOINTS] =
    [(TORSO, THIGH[0]), (THIGH[0], SHANK[0]), (TORSO, THIGH[1]), (THIGH[1], SHANK[1])];

/// Circles that can touch the ground.
pub(super) const POINTS: usize = 6;
/// Feet of left and right leg among the circles; then come the knees, the hip and the top.
pub(super) const FOOT: [usize; 2] = [0, 1];

/// A rigid link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Mass in kg.
    pub(super) mass: f64,
    /// Length in m.
    pub(super) length: f64,
    /// Distance of the centre of mass from the joint nearer to the hip, in m.
    pub(super) centre: f64,
}

impl Link {
    /// Moment of inertia about the centre of mass, of a thin rod, in kg m².
    pub(super) fn inertia(&self) -> f64 {
        self.mass * self.length * self.length / 12.0
    }
}

/// Sizes, masses, and what joints and ground are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    /// The torso.
    pub(super) torso: Link,
    /// Each thigh.
    pub(super) thigh: Link,
    /// Each shank.
    pub(super) shank: Link,
    /// Radii of the circles at feet, knees, hip and top, in m.
    pub(super) radius: [f64; POINTS],
    /// Acceleration of gravity in m/s².
    pub(super) gravity: f64,
    /// Friction of joints in N m s.
    pub(super) damping: f64,
    /// Coefficient of friction on the ground.
    pub(super) friction: f64,
    /// Smallest and largest angle of hip and knee.
    pub(super) limits: [(f64, f64); 2],
    /// Largest torque of hip and knee in N m.
    pub(super) torque: [f64; 2],
}

impl Body {
    /// 1.0 m tall and 10 kg.
    pub(super) const STANDARD: Self = Self {
        torso: Link { mass: 6.0, length: 0.42, centre: 0.2 },
        thigh: Link { mass: 1.2, length: 0.25, centre: 0.11 },
        shank: Link { mass: 0.8, length: 0.25, centre: 0.11 },
        radius: [0.03, 0.03, 0.03, 0.03, 0.05, 0.05],
        gravity: 9.81,
        damping: 0.1,
        friction: 0.8,
        limits: [(-0.8, 1.2), (-2.0, 0.0)],
        torque: [20.0, 20.0],
    };

    /// Hip height of straight legs on the ground, in m.
    pub(super) fn leg(&self) -> f64 {
        self.thigh.length + self.shank.length + self.radius[FOOT[0]]
    }

    /// Mass of all links, in kg.
    pub(super) fn mass(&self) -> f64 {
        self.torso.mass + 2.0 * (self.thigh.mass + self.shank.mass)
    }

    /// Smallest and largest angle of a joint.
    pub(super) fn limit(&self, joint: usize) -> (f64, f64) {
        self.limits[joint % 2]
    }

    /// How far each link carries a circle along its direction, in m, and the link that the circle turns with.
    pub(super) fn arms(&self, point: usize) -> ([f64; LINKS], usize) {
        let mut arms = [0.0; LINKS];
        match point {
            0 | 1 => {
                arms[THIGH[point]] = self.thigh.length;
                arms[SHANK[point]] = self.shank.length;
                (arms, SHANK[point])
            }
            2 | 3 => {
                arms[THIGH[point - 2]] = self.thigh.length;
                (arms, THIGH[point - 2])
            }
            4 => (arms, TORSO),
            _ => {
                arms[TORSO] = -self.torso.length;
                (arms, TORSO)
            }
        }
    }
}

/// Sines and cosines of the angles of the links.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Directions {
    /// Sines.
    pub(super) sin: [f64; LINKS],
    /// Cosines.
    pub(super) cos: [f64; LINKS],
}

impl Directions {
    /// Those at `position`.
    pub(super) fn new(position: &Vector) -> Self {
        let mut directions = Self::default();
        for link in 0..LINKS {
            (directions.sin[link], directions.cos[link]) = libm::sincos(position[2 + link]);
        }
        directions
    }

    /// Where the arms of [`Body::arms`] lead from the hip at `position`.
    pub(super) fn reach(&self, position: &Vector, arms: &[f64; LINKS]) -> (f64, f64) {
        let (mut x, mut z) = (position[0], position[1]);
        for ((arm, sin), cos) in arms.iter().zip(&self.sin).zip(&self.cos) {
            x += arm * sin;
            z -= arm * cos;
        }
        (x, z)
    }
}

/// Angle of a joint at a position; its rate of a velocity.
pub(super) fn joint(vector: &Vector, joint: usize) -> f64 {
    let (near, far) = JOINT[joint];
    vector[2 + far] - vector[2 + near]
}
