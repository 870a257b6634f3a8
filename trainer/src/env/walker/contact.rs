//! Contacts with the ground and the limits of joints, as impulses of each step.
//!
//! Each is a row `J` with `J v ≥ target` and an impulse `λ ≥ 0` that acts only where the bound is reached; friction is a
//! row with `J v = 0` and `|λ| ≤ μ λₙ`. A gap that is still open may close within the step, and no faster: landing is
//! inelastic and does not penetrate. The impulses are found by projected Gauss-Seidel, contact by contact, from those of
//! the step before. No impulse adds energy, but for the slow push out of a penetration left by the curvature of the path.
//!
//! While walking, the rounds converge. Where feet are pressed to the ground with several joints at their limits, the
//! rows depend on each other and a rest remains: the tests bound it.

use super::body::{Body, DOF, Directions, JOINT, JOINTS, POINTS, Vector};
use super::dynamics::{Inverse, Moments};

/// Rounds of Gauss-Seidel at most.
const ROUNDS: usize = 100;
/// How far each impulse goes towards what it should be alone: beyond it, which converges sooner.
const RELAXATION: f64 = 1.3;
/// Change of a velocity (m/s, rad/s) that ends the rounds.
const TOLERANCE: f64 = 1e-8;
/// A row takes part where its gap would otherwise be smaller than this after the step, for circles (m) and joints (rad).
const MARGIN: (f64, f64) = (0.01, 0.05);
/// Part of a penetration that each step takes back.
const PUSH: f64 = 0.1;
/// The largest speed of that, of circles (m/s) and of joints (rad/s).
const PUSHED: (f64, f64) = (0.1, 1.0);

/// What holds at a circle: impulses of the last step in N s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Contact {
    /// Upwards.
    pub(super) normal: f64,
    /// Forwards.
    pub(super) tangential: f64,
}

/// What a row belongs to.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The ground under a circle; the row of its friction follows.
    Contact(usize),
    /// The limit of a joint.
    Limit(usize),
}

#[derive(Clone, Copy, Debug)]
struct Row {
    jacobian: Vector,
    /// `M⁻¹ Jᵀ`.
    response: Vector,
    /// `J M⁻¹ Jᵀ`, inverted.
    stiffness: f64,
    target: f64,
    impulse: f64,
    kind: Kind,
}

/// The walker in motion.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// What moves.
    pub(super) body: Body,
    /// Hip x and z in m, angles in rad.
    pub(super) position: Vector,
    /// Its rate.
    pub(super) velocity: Vector,
    /// What held at each circle in the last step.
    pub(super) contacts: [Contact; POINTS],
    /// Impulses at the limits of joints in the last step in N m s, positive where they open the angle.
    pub(super) stops: [f64; JOINTS],
    moments: Moments,
    rows: Vec<Row>,
}

impl World {
    /// At rest, upright, hip at the origin.
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            position: [0.0; DOF],
            velocity: [0.0; DOF],
            contacts: [Contact::default(); POINTS],
            stops: [0.0; JOINTS],
            moments: Moments::new(&body),
            rows: Vec::with_capacity(2 * POINTS + JOINTS),
        }
    }

    /// Puts the walker somewhere and forgets what held.
    pub(super) fn place(&mut self, position: Vector, velocity: Vector) {
        (self.position, self.velocity) = (position, velocity);
        self.contacts = [Contact::default(); POINTS];
        self.stops = [0.0; JOINTS];
    }

    /// Distance of each circle from the ground in m, negative below it.
    pub(super) fn gaps(&self) -> [f64; POINTS] {
        let at = Directions::new(&self.position);
        std::array::from_fn(|point| self.gap(&at, point))
    }

    fn gap(&self, at: &Directions, point: usize) -> f64 {
        at.reach(&self.position, &self.body.arms(point).0).1 - self.body.radius[point]
    }

    /// Goes on by `duration` seconds with these torques (N m), each turning the outer link counter-clockwise.
    pub(super) fn step(&mut self, torque: &[f64; JOINTS], duration: f64) {
        let at = Directions::new(&self.position);
        let inverse = Inverse::new(&self.moments, &at);
        self.velocity =
            self.moments.accelerate(&self.body, torque, (&at, &inverse), &self.velocity, duration);
        self.collect(&at, &inverse, duration);
        self.solve();
        for (position, velocity) in self.position.iter_mut().zip(&self.velocity) {
            *position += duration * velocity;
        }
    }

    /// The rows of this step.
    fn collect(&mut self, at: &Directions, inverse: &Inverse, duration: f64) {
        self.rows.clear();
        let contacts = std::mem::take(&mut self.contacts);
        for (point, contact) in contacts.iter().enumerate() {
            let gap = self.gap(at, point);
            let (arms, owner) = self.body.arms(point);
            let (mut up, mut along) = ([0.0; DOF], [0.0; DOF]);
            (up[1], along[0]) = (1.0, 1.0);
            for (link, arm) in arms.iter().enumerate() {
                up[2 + link] = arm * at.sin[link];
                along[2 + link] = arm * at.cos[link];
            }
            if gap + duration * dot(&up, &self.velocity) > MARGIN.0 {
                continue;
            }
            // The lowest point of a circle that turns moves forwards beneath its centre.
            along[2 + owner] += self.body.radius[point];
            self.rows.push(Row::new(
                up,
                inverse,
                target(gap, duration, PUSHED.0),
                contact.normal,
                Kind::Contact(point),
            ));
            self.rows.push(Row::new(along, inverse, 0.0, contact.tangential, Kind::Contact(point)));
        }
        let stops = std::mem::take(&mut self.stops);
        for (joint, &stop) in stops.iter().enumerate() {
            let angle = super::body::joint(&self.position, joint);
            let (low, high) = self.body.limit(joint);
            let (sign, gap) =
                if angle - low < high - angle { (1.0, angle - low) } else { (-1.0, high - angle) };
            if gap + duration * sign * super::body::joint(&self.velocity, joint) > MARGIN.1 {
                continue;
            }
            let mut jacobian = [0.0; DOF];
            let (near, far) = JOINT[joint];
            (jacobian[2 + far], jacobian[2 + near]) = (sign, -sign);
            let impulse = (stop * sign).max(0.0);
            self.rows.push(Row::new(
                jacobian,
                inverse,
                target(gap, duration, PUSHED.1),
                impulse,
                Kind::Limit(joint),
            ));
        }
    }

    /// Finds the impulses, adds them to the velocity and keeps them.
    fn solve(&mut self) {
        let velocity = &mut self.velocity;
        for row in &self.rows {
            row.add(velocity, row.impulse);
        }
        for _ in 0..ROUNDS {
            let mut change: f64 = 0.0;
            let mut rest = self.rows.as_mut_slice();
            while let Some((row, others)) = rest.split_first_mut() {
                rest = others;
                let speed = dot(&row.jacobian, velocity) - row.target;
                let impulse = match row.kind {
                    Kind::Limit(_) => (row.impulse - RELAXATION * speed * row.stiffness).max(0.0),
                    Kind::Contact(_) => {
                        let (along, others) = rest.split_first_mut().expect("friction follows its contact");
                        rest = others;
                        let slip = dot(&along.jacobian, velocity);
                        let wanted = touch(row, along, [speed, slip], self.body.friction);
                        let beyond = |from: f64, to: f64| from + RELAXATION * (to - from);
                        let normal = beyond(row.impulse, wanted[0]).max(0.0);
                        let most = self.body.friction * normal;
                        let tangential = beyond(along.impulse, wanted[1]).clamp(-most, most);
                        change = change.max(along.set(velocity, tangential));
                        normal
                    }
                };
                change = change.max(row.set(velocity, impulse));
            }
            if change < TOLERANCE {
                break;
            }
        }
        let mut rows = self.rows.iter();
        while let Some(row) = rows.next() {
            match row.kind {
                Kind::Contact(point) => {
                    let tangential = rows.next().map_or(0.0, |along| along.impulse);
                    self.contacts[point] = Contact { normal: row.impulse, tangential };
                }
                Kind::Limit(joint) => {
                    let (near, far) = JOINT[joint];
                    self.stops[joint] = row.impulse * (row.jacobian[2 + far] - row.jacobian[2 + near]) / 2.0;
                }
            }
        }
    }
}

impl Row {
    fn new(jacobian: Vector, inverse: &Inverse, target: f64, impulse: f64, kind: Kind) -> Self {
        let response = inverse.apply(&jacobian);
        let stiffness = 1.0 / dot(&jacobian, &response);
        Self { jacobian, response, stiffness, target, impulse, kind }
    }

    /// Changes the impulse, and tells by how much the velocity along the row has changed for it.
    fn set(&mut self, velocity: &mut Vector, impulse: f64) -> f64 {
        let more = impulse - self.impulse;
        if more == 0.0 {
            return 0.0;
        }
        self.impulse = impulse;
        self.add(velocity, more);
        more.abs() / self.stiffness
    }

    fn add(&self, velocity: &mut Vector, impulse: f64) {
        for (velocity, response) in velocity.iter_mut().zip(&self.response) {
            *velocity += impulse * response;
        }
    }
}

/// Impulses of one contact by the law of Coulomb, all others held: none where it opens, or those that hold it, or those that
/// let it slide against friction. `speed` is that of the lowest point, upwards less the target and forwards.
fn touch(normal: &Row, along: &Row, speed: [f64; 2], friction: f64) -> [f64; 2] {
    let (up, forward) = (1.0 / normal.stiffness, 1.0 / along.stiffness);
    let cross = dot(&normal.jacobian, &along.response);
    let alone = [
        speed[0] - up * normal.impulse - cross * along.impulse,
        speed[1] - cross * normal.impulse - forward * along.impulse,
    ];
    if alone[0] >= 0.0 {
        return [0.0; 2];
    }
    let scale = 1.0 / (up * forward - cross * cross);
    let held = [(cross * alone[1] - forward * alone[0]) * scale, (cross * alone[0] - up * alone[1]) * scale];
    if held[1].abs() <= friction * held[0] {
        return held;
    }
    let slide = |side: f64| {
        let stiff = up + side * friction * cross;
        let impulse = -alone[0] / stiff;
        let slip = alone[1] + cross * impulse + forward * side * friction * impulse;
        (stiff > 0.0 && slip * side <= 0.0).then_some([impulse, side * friction * impulse])
    };
    // Where neither slides against its friction, rounding has hidden the contact that holds.
    let side = held[1].signum();
    slide(side).or_else(|| slide(-side)).unwrap_or_else(|| {
        let impulse = held[0].max(0.0);
        [impulse, held[1].clamp(-friction * impulse, friction * impulse)]
    })
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The speed at which a gap may close, as a bound from below; a penetration opens no faster than `most`.
fn target(gap: f64, duration: f64, most: f64) -> f64 {
    if gap > 0.0 { -gap / duration } else { (-gap * PUSH / duration).min(most) }
}
