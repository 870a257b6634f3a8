//! What the physics must not do: gain energy, slide, hover, sink. And what an episode is.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

use super::body::{self, Body, DOF, FOOT, JOINTS, Link, SHANK, THIGH, TORSO, Vector};
use super::contact::World;
use super::{BOUNDS, DURATION, GOAL, LIMIT, OBSERVED, PACE, SUBSTEPS, Walker};
use crate::env::{Action, Env, Step, testing};

/// A step of the physics in s.
const H: f64 = DURATION / SUBSTEPS as f64;

/// What all links have together.
#[derive(Clone, Copy, Debug)]
struct Sums {
    energy: f64,
    momentum: [f64; 2],
    /// Angular momentum about the centre of mass.
    spin: f64,
}

/// The sums over the links, each moving as the chain of joints carries it: no mass matrix. Positions are set back to the time
/// of the velocities, half a step ago.
fn sums(world: &World, duration: f64) -> Sums {
    let (v, body) = (&world.velocity, &world.body);
    let q: Vector = std::array::from_fn(|i| world.position[i] - 0.5 * duration * v[i]);
    let link = |shape: &Link, link: usize, arms: &[(f64, usize)]| {
        let (mut at, mut speed) = ([q[0], q[1]], [v[0], v[1]]);
        for &(arm, link) in arms {
            let (sin, cos) = q[2 + link].sin_cos();
            at = [at[0] + arm * sin, at[1] - arm * cos];
            speed = [speed[0] + arm * v[2 + link] * cos, speed[1] + arm * v[2 + link] * sin];
        }
        (shape.mass, shape.inertia(), at, speed, v[2 + link])
    };
    let (thigh, shank) = (&body.thigh, &body.shank);
    let mut links = vec![link(&body.torso, TORSO, &[(-body.torso.centre, TORSO)])];
    for leg in 0..2 {
        links.push(link(thigh, THIGH[leg], &[(thigh.centre, THIGH[leg])]));
        links.push(link(shank, SHANK[leg], &[(thigh.length, THIGH[leg]), (shank.centre, SHANK[leg])]));
    }
    let mass: f64 = links.iter().map(|link| link.0).sum();
    let centre = [0, 1].map(|axis| links.iter().map(|link| link.0 * link.2[axis]).sum::<f64>() / mass);
    let mut sums = Sums { energy: 0.0, momentum: [0.0; 2], spin: 0.0 };
    for (m, inertia, at, s, turn) in links {
        sums.energy += 0.5 * m * (s[0] * s[0] + s[1] * s[1]) + 0.5 * inertia * turn * turn;
        sums.energy += m * body.gravity * at[1];
        sums.momentum = [sums.momentum[0] + m * s[0], sums.momentum[1] + m * s[1]];
        sums.spin += m * ((at[0] - centre[0]) * s[1] - (at[1] - centre[1]) * s[0]) + inertia * turn;
    }
    sums
}

/// High in the air with links that turn fast, and joints without limits or friction.
fn free(gravity: f64) -> World {
    let body = Body { damping: 0.0, limits: [(-1e9, 1e9); 2], gravity, ..Body::STANDARD };
    let mut world = World::new(body);
    world.place([0.0, 1000.0, 0.2, 0.5, -0.4, -0.6, -1.0], [0.3, 0.0, 1.0, 4.0, -5.0, -3.0, 6.0]);
    world
}

/// Some torques in N m.
fn torques(rng: &mut Pcg64) -> [f64; JOINTS] {
    std::array::from_fn(|_| 20.0 * (2.0 * rng.random::<f64>() - 1.0))
}

/// Worlds as episodes begin.
fn starts(count: u64) -> impl Iterator<Item = World> {
    (0..count).map(|seed| {
        let mut walker = Walker::new();
        walker.reset(seed, &mut [0.0; OBSERVED]);
        walker.world
    })
}

#[test]
fn a_free_swing_keeps_its_energy() {
    for gravity in [0.0, 9.81] {
        let mut world = free(gravity);
        world.step(&[0.0; JOINTS], H);
        let begin = sums(&world, H).energy;
        let weight = begin - 10.0 * gravity * 1000.0;
        for _ in 0..4_000 {
            world.step(&[0.0; JOINTS], H);
            // 10 s of up to 6 rad/s, about 6 J: the error swings with the pose and does not grow.
            let error = sums(&world, H).energy - begin;
            assert!(error.abs() < 0.05, "{error} of {weight} J");
        }
    }
}

#[test]
fn torques_within_do_not_move_the_whole() {
    let mut rng = Pcg64::seed_from_u64(1);
    for limits in [[(-1e9, 1e9); 2], Body::STANDARD.limits] {
        let mut world = free(9.81);
        (world.body.limits, world.body.damping) = (limits, 0.1);
        world.place([0.0, 1000.0, 0.2, 0.5, -0.4, -0.6, -1.0], world.velocity);
        world.step(&[0.0; JOINTS], H);
        let begin = sums(&world, H);
        let (steps, mass) = (400, world.body.mass());
        for _ in 0..steps {
            world.step(&torques(&mut rng), H);
        }
        let end = sums(&world, H);
        let fall = -mass * 9.81 * H * f64::from(steps);
        let error = [end.momentum[0] - begin.momentum[0], end.momentum[1] - begin.momentum[1] - fall];
        // Momentum is exact where positions and velocities meet: half a step of centrifugal force remains.
        assert!(error.iter().all(|error| error.abs() < 0.3), "momentum: {error:?} of {fall}");
        let spin = end.spin - begin.spin;
        assert!(spin.abs() < 0.05, "angular momentum: {spin} of {}", begin.spin);
        assert!(world.velocity[2..].iter().any(|rate| rate.abs() > 5.0), "the torques did nothing");
    }
}

#[test]
fn what_collapses_comes_to_rest() {
    for mut world in starts(20) {
        let begin = sums(&world, H).energy;
        let mut last = begin;
        let mut least = begin;
        for _ in 0..4_000 {
            world.step(&[0.0; JOINTS], H);
            last = sums(&world, H).energy;
            // An impact within a step blurs the energy of that step.
            assert!(last < least + 0.1, "{last} J after {least} J");
            least = least.min(last);
            assert!(world.gaps().iter().all(|&gap| gap > -0.002), "{:?}", world.gaps());
        }
        assert!(last < begin - 10.0, "{last} J of {begin} J are left");
        assert!(world.velocity.iter().all(|v| v.abs() < 0.01), "{:?}", world.velocity);
        assert!(world.contacts.iter().filter(|contact| contact.normal > 0.0).count() >= 2);
        let held: f64 = world.contacts.iter().map(|contact| contact.normal).sum::<f64>() / H;
        assert!((held - 98.1).abs() < 1.0, "the ground holds {held} N");
    }
}

#[test]
fn only_torques_add_energy() {
    let mut rng = Pcg64::seed_from_u64(2);
    for mut world in starts(20) {
        world.body.damping = 0.0;
        let mut torque = [0.0; JOINTS];
        let mut excess = 0.0;
        for step in 0..800 {
            if step % SUBSTEPS == 0 {
                torque = torques(&mut rng);
            }
            let before = world.clone();
            // The same moment without ground and limits: what the torques alone do.
            let mut alone = world.clone();
            alone.body.limits = [(-1e9, 1e9); 2];
            alone.position[1] += 1000.0;
            alone.step(&torque, H);
            world.step(&torque, H);
            let work: f64 = (0..JOINTS)
                .map(|j| {
                    0.5 * (body::joint(&before.velocity, j) + body::joint(&alone.velocity, j)) * torque[j] * H
                })
                .sum();
            let gain = sums(&world, H).energy - sums(&before, H).energy;
            excess += gain - work;
            // Links whirl at up to 40 rad/s, so that a step turns them by 0.1 rad.
            assert!(gain < work + 0.1 * (1.0 + work.abs()), "step {step}: {gain} J by work of {work} J");
        }
        assert!(excess < -1.0, "2 s of impacts have taken {} J", -excess);
    }
}

#[test]
fn contacts_hold_within_the_cone_and_only_where_they_touch() {
    let mut rng = Pcg64::seed_from_u64(3);
    let (mut held, mut slid, mut wrong) = (0, 0, 0);
    for mut world in starts(20) {
        for _ in 0..200 {
            let torque = torques(&mut rng);
            for _ in 0..SUBSTEPS {
                let before = world.clone();
                world.step(&torque, H);
                let gaps = world.gaps();
                for (point, (contact, gap)) in world.contacts.iter().zip(gaps).enumerate() {
                    assert!(gap > -0.01, "circle {point} sinks by {} m", -gap);
                    assert!(contact.normal >= 0.0, "the ground pulls");
                    let most = world.body.friction * contact.normal;
                    assert!(contact.tangential.abs() <= most * (1.0 + 1e-12), "{contact:?}");
                    if contact.normal < 1e-3 {
                        continue;
                    }
                    assert!(gap < 0.003, "circle {point} hovers at {gap} m");
                    let slip = slip(&before, &world, point);
                    let slides = contact.tangential.abs() > 0.99 * most;
                    wrong += u32::from(slip.abs() > 0.01 && (!slides || slip * contact.tangential > 0.0));
                    (held, slid) = (held + u32::from(!slides), slid + u32::from(slides));
                }
            }
        }
    }
    assert!(held > 1_000 && slid > 1_000, "{held} contacts held and {slid} slid");
    assert!(wrong < (held + slid) / 100, "{wrong} of {held} and {slid} move as friction does not let them");
}

/// Velocity of the lowest point of a circle during a step from `before` to `after`.
fn slip(before: &World, after: &World, point: usize) -> f64 {
    let (arms, owner) = before.body.arms(point);
    let v = &after.velocity;
    let centre: f64 =
        arms.iter().enumerate().map(|(link, arm)| arm * v[2 + link] * before.position[2 + link].cos()).sum();
    v[0] + centre + before.body.radius[point] * v[2 + owner]
}

#[test]
fn joints_stop_at_their_limits() {
    let mut rng = Pcg64::seed_from_u64(4);
    let mut reached = [[false; 2]; JOINTS];
    for mut world in starts(20) {
        for _ in 0..100 {
            let torque = torques(&mut rng).map(|torque| 20.0 * torque.signum());
            for _ in 0..10 * SUBSTEPS {
                world.step(&torque, H);
                for (joint, reached) in reached.iter_mut().enumerate() {
                    let (low, high) = world.body.limit(joint);
                    let angle = body::joint(&world.position, joint);
                    assert!(angle > low - 0.05 && angle < high + 0.05, "joint {joint} at {angle}");
                    reached[0] |= angle < low + 1e-3;
                    reached[1] |= angle > high - 1e-3;
                }
            }
        }
    }
    assert_eq!(reached, [[true; 2]; JOINTS]);
}

#[test]
fn mirrored_legs_move_mirrored() {
    const SWAP: [usize; DOF] = [0, 1, 2, 5, 6, 3, 4];
    let swap = |v: &Vector| SWAP.map(|i| v[i]);
    let mut rng = Pcg64::seed_from_u64(5);
    for mut world in starts(20) {
        let mut mirror = World::new(world.body);
        mirror.place(swap(&world.position), swap(&world.velocity));
        for step in 0..100 {
            let torque = torques(&mut rng).map(|torque| 0.2 * torque);
            world.step(&torque, H);
            mirror.step(&[torque[2], torque[3], torque[0], torque[1]], H);
            // Impulses are found up to a tolerance, in the order of the legs.
            let far = swap(&world.position)
                .iter()
                .zip(&mirror.position)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max);
            assert!(far < 1e-5, "step {step}: {far}");
        }
    }
}

/// An episode of seeded actions: its observations and steps.
fn episode(walker: &mut Walker, seed: u64) -> Vec<([f32; OBSERVED], Step)> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut seen = [0.0; OBSERVED];
    walker.reset(seed, &mut seen);
    let mut steps = vec![(seen, Step::default())];
    while !steps.last().is_some_and(|(_, step)| step.done()) {
        let actions: [f32; JOINTS] = std::array::from_fn(|_| 3.0 * rng.random::<f32>() - 1.5);
        let step = walker.step(Action::Continuous(&actions), &mut seen);
        steps.push((seen, step));
    }
    steps
}

#[test]
fn an_episode_follows_from_its_seed() {
    let (mut one, mut other) = (Walker::new(), Walker::new());
    let first = episode(&mut one, 7);
    assert!(first.len() > 5);
    episode(&mut other, 8);
    assert_eq!(first, episode(&mut other, 7));
    let begins: Vec<[f32; OBSERVED]> = (0..100).map(|seed| episode(&mut one, seed)[0].0).collect();
    for (seed, begin) in begins.iter().enumerate() {
        let near = |other: &[f32; OBSERVED]| (5..9).all(|joint| (begin[joint] - other[joint]).abs() < 0.01);
        assert!(!begins[..seed].iter().any(near), "seed {seed} begins like another");
    }
}

#[test]
fn it_keeps_the_contract_of_environments() {
    testing::contract(&mut Walker::new(), LIMIT as usize);
}

#[test]
fn what_is_seen_lies_in_the_space() {
    let mut walker = Walker::new();
    let space = walker.observation_space();
    assert_eq!((space.len(), space.bounds(0), space.bounds(13)), (OBSERVED, (0.0, 1.0), (0.0, 1.0)));
    let normalisation = walker.normalisation();
    assert_eq!([normalisation.centre.len(), normalisation.spread.len()], [OBSERVED; 2]);
    let mut touched = [false; 2];
    for seed in 0..50 {
        for (seen, _) in episode(&mut walker, seed) {
            assert!(seen.iter().zip(BOUNDS).all(|(x, (low, high))| (low..=high).contains(x)), "{seen:?}");
            touched = [touched[0] | (seen[13] == 1.0), touched[1] | (seen[14] == 1.0)];
        }
    }
    assert_eq!(touched, [true; 2]);
}

#[test]
fn without_torques_the_walker_falls_and_has_not_walked() {
    let mut walker = Walker::new();
    for seed in 0..100 {
        let mut seen = [0.0; OBSERVED];
        walker.reset(seed, &mut seen);
        assert!(!walker.fallen(), "seed {seed} begins fallen");
        let mut total = 0.0;
        let last = loop {
            let step = walker.step(Action::Continuous(&[0.0; JOINTS]), &mut seen);
            total += step.reward;
            if step.done() {
                break step;
            }
        };
        assert!(last.terminated && !last.truncated && last.reward < -0.4, "{last:?}");
        assert!(total < 0.0 && !walker.walked, "seed {seed}: {total}");
    }
}

#[test]
fn an_episode_ends_by_time_and_the_goal_counts_before_a_fall() {
    let mut walker = Walker::new();
    let mut seen = [0.0; OBSERVED];
    let float = |walker: &mut Walker, speed: f64| {
        walker.reset(0, &mut [0.0; OBSERVED]);
        walker.world.body.gravity = 0.0;
        walker.world.place([0.0, 1.0, 0.0, 0.0, -0.1, 0.0, -0.1], [speed, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    };
    float(&mut walker, 0.6);
    for action in 1..=LIMIT {
        let step = walker.step(Action::Continuous(&[0.0; JOINTS]), &mut seen);
        assert_eq!((step.terminated, step.truncated), (false, action == LIMIT), "{action}");
        assert_eq!(walker.walked, walker.distance() >= GOAL);
    }
    assert_eq!(walker.succeeded(), Some(true));
    // A fall after the goal leaves it reached; one at the goal does not reach it.
    walker.world.position[2 + TORSO] = 2.0;
    assert!(walker.step(Action::Continuous(&[0.0; JOINTS]), &mut seen).terminated && walker.walked);
    float(&mut walker, 0.6);
    assert!(!walker.walked);
    walker.world.position[0] = GOAL;
    walker.world.position[2 + TORSO] = 2.0;
    assert!(walker.step(Action::Continuous(&[0.0; JOINTS]), &mut seen).terminated && !walker.walked);
}

#[test]
fn steps_are_paid_to_alternating_feet_only() {
    let mut walker = Walker::new();
    walker.reset(0, &mut [0.0; OBSERVED]);
    // Stands with one foot so far ahead of the other, both at `place` about.
    let mut step = |place: f64, ahead: usize, touched: [bool; 2], actions: u32| {
        let mut position = [place, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0];
        for (leg, angle) in [(ahead, 0.3), (1 - ahead, -0.3)] {
            (position[2 + THIGH[leg]], position[2 + SHANK[leg]]) = (angle, angle);
        }
        walker.world.place(position, [0.0; DOF]);
        walker.actions += actions;
        walker.stepped(touched)
    };
    let near = |found: f64, metres: f64| assert!((found - metres).abs() < 1e-9, "{found} for {metres}");
    near(step(0.0, 0, [true, false], 20), 0.0);
    near(step(0.2, 0, [true, true], 20), 0.0);
    near(step(0.3, 1, [true, false], 20), 0.0);
    near(step(0.3, 1, [false, true], 20), 0.3);
    near(step(0.6, 1, [true, true], 20), 0.0);
    near(step(0.6, 0, [true, true], 40), 0.3);
    near(step(0.9, 1, [false, true], 10), PACE * 0.2);
    near(step(1.9, 0, [true, false], 1_000), 0.5);
    near(step(1.2, 1, [false, true], 1_000), 0.0);
}

#[test]
fn the_picture_shows_both_legs_and_follows() {
    let mut walker = Walker::new();
    walker.reset(3, &mut [0.0; OBSERVED]);
    let count =
        |walker: &Walker, colour: [u8; 3]| walker.picture().pixels().filter(|p| p.0 == colour).count();
    let [left, right] =
        [crate::env::draw::ORANGE, crate::env::draw::BLUE].map(|colour| count(&walker, colour));
    assert!(left > 200 && right > 200, "{left} {right} pixels");
    walker.world.position[0] += 100.0;
    assert_eq!(count(&walker, crate::env::draw::ORANGE), left);
    let text = walker.text();
    assert!(['l', 'r', '#', '='].iter().all(|&mark| text.contains(mark)), "{text}");
    assert_eq!(FOOT, [0, 1]);
}
