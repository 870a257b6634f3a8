//! Motion without contacts: `M(q) v̇ = f − c(q, v)`.
//!
//! With `S` the first moments of the links about the joint nearer to the hip, and `d'(a) = (cos a, sin a)`, the mass
//! matrix is
//!
//! ```text
//!     | m E   B |     B = S d'(a) of each link
//! M = |         |     D = moment of inertia of torso; of each leg (I₁ k cos; k cos I₂)
//!     | Bᵀ    D |
//! ```
//!
//! and is inverted through the 2x2 matrix `m E − B D⁻¹ Bᵀ`. Velocities live half a step before positions (leapfrog), and
//! centrifugal forces are those of the mean of the velocities before and after a step, found by iteration. This is
//! reversible in time, so energy neither drifts nor explodes.

use super::body::{Body, DOF, Directions, JOINT, JOINTS, LINKS, SHANK, THIGH, TORSO, Vector};

/// Times that the mean velocity of a step is improved.
const PASSES: usize = 2;

/// Moments of the links, of no pose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    /// Mass of all in kg.
    mass: f64,
    /// First moments in kg m, those of links farther out added at their joint; negative for the torso, which points up.
    first: [f64; LINKS],
    /// Second moments in kg m².
    second: [f64; LINKS],
    /// What couples thigh and shank, in kg m².
    couple: f64,
}

impl Moments {
    /// Those of a body.
    pub(super) fn new(body: &Body) -> Self {
        let (torso, thigh, shank) = (&body.torso, &body.thigh, &body.shank);
        let mut moments = Self {
            mass: body.mass(),
            first: [0.0; LINKS],
            second: [0.0; LINKS],
            couple: shank.mass * thigh.length * shank.centre,
        };
        moments.first[TORSO] = -torso.mass * torso.centre;
        moments.second[TORSO] = torso.inertia() + torso.mass * torso.centre * torso.centre;
        for leg in 0..2 {
            moments.first[THIGH[leg]] = thigh.mass * thigh.centre + shank.mass * thigh.length;
            moments.second[THIGH[leg]] = thigh.inertia()
                + thigh.mass * thigh.centre * thigh.centre
                + shank.mass * thigh.length * thigh.length;
            moments.first[SHANK[leg]] = shank.mass * shank.centre;
            moments.second[SHANK[leg]] = shank.inertia() + shank.mass * shank.centre * shank.centre;
        }
        moments
    }

    /// Gravity and the torques of the joints, as forces on the coordinates.
    fn forces(&self, gravity: f64, torque: &[f64; JOINTS], at: &Directions) -> Vector {
        let mut force = [0.0; DOF];
        force[1] = -gravity * self.mass;
        for link in 0..LINKS {
            force[2 + link] = -gravity * self.first[link] * at.sin[link];
        }
        for (&(near, far), torque) in JOINT.iter().zip(torque) {
            force[2 + far] += torque;
            force[2 + near] -= torque;
        }
        force
    }

    /// Takes centrifugal forces and the friction of joints at `velocity` from `force`.
    fn resist(&self, damping: f64, velocity: &Vector, at: &Directions, force: &mut Vector) {
        for link in 0..LINKS {
            let pull = self.first[link] * velocity[2 + link] * velocity[2 + link];
            force[0] += pull * at.sin[link];
            force[1] -= pull * at.cos[link];
        }
        for (thigh, shank) in THIGH.into_iter().zip(SHANK) {
            let sine = at.sin[thigh] * at.cos[shank] - at.cos[thigh] * at.sin[shank];
            force[2 + thigh] -= self.couple * sine * velocity[2 + shank] * velocity[2 + shank];
            force[2 + shank] += self.couple * sine * velocity[2 + thigh] * velocity[2 + thigh];
        }
        for (near, far) in JOINT {
            let torque = damping * (velocity[2 + far] - velocity[2 + near]);
            force[2 + far] -= torque;
            force[2 + near] += torque;
        }
    }

    /// Velocity after `duration` seconds from `velocity`, positions held.
    pub(super) fn accelerate(
        &self,
        body: &Body,
        torque: &[f64; JOINTS],
        (at, inverse): (&Directions, &Inverse),
        velocity: &Vector,
        duration: f64,
    ) -> Vector {
        let steady = self.forces(body.gravity, torque, at);
        let mut mean = *velocity;
        let mut after = *velocity;
        for _ in 0..=PASSES {
            let mut force = steady;
            self.resist(body.damping, &mean, at, &mut force);
            let acceleration = inverse.apply(&force);
            for i in 0..DOF {
                after[i] = velocity[i] + duration * acceleration[i];
                mean[i] = 0.5 * (velocity[i] + after[i]);
            }
        }
        after
    }
}

/// The inverse of the mass matrix of a pose, in its blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inverse {
    /// `B`: rows x and z.
    border: [[f64; LINKS]; 2],
    /// `D⁻¹`: of each link with itself, and of thigh and shank.
    own: [f64; LINKS],
    cross: [f64; 2],
    /// `(m E − B D⁻¹ Bᵀ)⁻¹`: xx, xz, zz.
    hip: [f64; 3],
}

impl Inverse {
    /// That of the pose of `at`.
    pub(super) fn new(moments: &Moments, at: &Directions) -> Self {
        let mut inverse =
            Self { border: [[0.0; LINKS]; 2], own: [0.0; LINKS], cross: [0.0; 2], hip: [0.0; 3] };
        for link in 0..LINKS {
            inverse.border[0][link] = moments.first[link] * at.cos[link];
            inverse.border[1][link] = moments.first[link] * at.sin[link];
        }
        inverse.own[TORSO] = 1.0 / moments.second[TORSO];
        for leg in 0..2 {
            let (thigh, shank) = (THIGH[leg], SHANK[leg]);
            let couple = moments.couple * (at.cos[thigh] * at.cos[shank] + at.sin[thigh] * at.sin[shank]);
            let scale = 1.0 / (moments.second[thigh] * moments.second[shank] - couple * couple);
            inverse.own[thigh] = moments.second[shank] * scale;
            inverse.own[shank] = moments.second[thigh] * scale;
            inverse.cross[leg] = -couple * scale;
        }
        let (x, z) = (inverse.links(&inverse.border[0]), inverse.links(&inverse.border[1]));
        let (mut xx, mut xz, mut zz) = (moments.mass, 0.0, moments.mass);
        for link in 0..LINKS {
            xx -= inverse.border[0][link] * x[link];
            xz -= inverse.border[0][link] * z[link];
            zz -= inverse.border[1][link] * z[link];
        }
        let scale = 1.0 / (xx * zz - xz * xz);
        inverse.hip = [zz * scale, -xz * scale, xx * scale];
        inverse
    }

    /// `D⁻¹ force`.
    fn links(&self, force: &[f64; LINKS]) -> [f64; LINKS] {
        let mut result = [0.0; LINKS];
        result[TORSO] = self.own[TORSO] * force[TORSO];
        for leg in 0..2 {
            let (thigh, shank) = (THIGH[leg], SHANK[leg]);
            result[thigh] = self.own[thigh] * force[thigh] + self.cross[leg] * force[shank];
            result[shank] = self.own[shank] * force[shank] + self.cross[leg] * force[thigh];
        }
        result
    }

    /// `M⁻¹ force`: the acceleration of a force, or what an impulse adds to the velocity.
    pub(super) fn apply(&self, force: &Vector) -> Vector {
        let mut rest = [force[2], force[3], force[4], force[5], force[6]];
        let alone = self.links(&rest);
        let (mut x, mut z) = (force[0], force[1]);
        for (link, alone) in alone.iter().enumerate() {
            x -= self.border[0][link] * alone;
            z -= self.border[1][link] * alone;
        }
        let hip = [self.hip[0] * x + self.hip[1] * z, self.hip[1] * x + self.hip[2] * z];
        for (link, rest) in rest.iter_mut().enumerate() {
            *rest -= self.border[0][link] * hip[0] + self.border[1][link] * hip[1];
        }
        let links = self.links(&rest);
        [hip[0], hip[1], links[0], links[1], links[2], links[3], links[4]]
    }
}
