//! A skirmish: two units against two, seen through a fog, in the manner of the small battles by which agents for
//! StarCraft II are tried (Samvelyan et al. 2019); rules of its own.
//!
//! Each side has a *ranger* (shoots far, is weak) and a *guard* (strikes near, is strong). The two sides move at once, tick
//! by tick. Both keep out of their foes' reach while they reload, and gain by striking one foe together. A side sees a foe
//! only within the sight of a living unit of its own, and never how long the foe's weapon still reloads: who remembers where a
//! foe went and when it shot knows more than the observation says.
//!
//! The two sides have the same rules, and each sees the arena from its own edge: what side 1 sees is turned by 180°.

mod arena;
mod draw;
mod script;
#[cfg(test)]
mod tests;

use arena::length;
pub use arena::{Arena, Command, Kind, SIGHT, SIZE, Seen, UNITS, Unit, View};
pub use script::{DANGER, Script, Skill};

use super::{Action, ActionSpace, Env, Normalisation, ObservationSpace, Step};
use dunlin::shape::Shape;

/// Features of an entity.
pub const FEATURES: usize = 16;

/// Entities: two units, two foes.
pub const ENTITIES: usize = 2 * UNITS;

/// Orders that one unit can be given.
pub const COMMANDS: usize = Command::ALL.len();

/// Ticks after which an episode is truncated.
pub const LIMIT: u32 = 250;

/// The skirmish against a scripted opponent.
///
/// An observation is a row for each entity, own units first, ranger before guard: alive (or never seen dead), own, seen, is a
/// ranger, part of the hit points left, part of the reload left (own units only), has shot in the last tick, has been hit in
/// the last tick, x and y from the own edge, then offset and distance from each of the own units (0 where one of the two is
/// not there). Lengths are parts of the arena's. The row of an unseen foe has only the first two and the fourth feature.
///
/// An action is an order for each unit: `COMMANDS · ranger + guard`, see [`Command::ALL`].
///
/// The reward of a tick is the damage dealt minus the damage taken, as parts of all that a side can bear, and of the last one 1
/// more for a victory, 1 less for a defeat. So a return is above 1 exactly where the skirmish was won, and below −1 where it
/// was lost.
#[derive(Clone, Debug)]
pub struct Skirmish {
    arena: Arena,
    opponent: Script,
    skill: Skill,
    adviser: Script,
    advice: usize,
}

impl Default for Skirmish {
    fn default() -> Self {
        Self::against(Skill::Full)
    }
}

impl Skirmish {
    /// The skirmish against an opponent of that skill.
    pub fn against(skill: Skill) -> Self {
        let adviser = Script::new(Skill::Full);
        Self { arena: Arena::new(0), opponent: Script::new(skill), skill, adviser, advice: 0 }
    }

    /// The arena as it stands.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Shows both the observation and the adviser what side 0 sees.
    fn look(&mut self, observation: &mut [f32]) {
        let view = self.arena.view(0);
        self.advice = action_of(self.adviser.act(&view));
        observe(&view, observation);
    }
}

/// The number of the action that gives these orders to ranger and guard.
pub fn action_of(orders: [Command; UNITS]) -> usize {
    orders.iter().fold(0, |number, order| number * COMMANDS + *order as usize)
}

/// The orders of an action.
pub fn orders_of(action: usize) -> [Command; UNITS] {
    [Command::ALL[action / COMMANDS], Command::ALL[action % COMMANDS]]
}

/// Writes what a side sees.
fn observe(view: &View, observation: &mut [f32]) {
    assert_eq!(observation.len(), ENTITIES * FEATURES, "the observation has another length than the space");
    observation.fill(0.0);
    let part = |length: f32| length / SIZE;
    let entities = view.own.iter().map(Some).chain(view.foes.iter().map(Option::as_ref));
    for (i, (row, entity)) in observation.chunks_exact_mut(FEATURES).zip(entities).enumerate() {
        let own = i < UNITS;
        let flag = |b: bool| f32::from(u8::from(b));
        row[1] = flag(own);
        row[3] = flag(i % UNITS == 0);
        let Some(unit) = entity else {
            row[0] = flag(!view.known_dead[i % UNITS]);
            continue;
        };
        row[0] = flag(unit.alive());
        if !unit.alive() {
            continue;
        }
        row[2] = 1.0;
        row[4] = unit.health as f32 / unit.kind.health() as f32;
        row[5] = unit.reload.map_or(0.0, |ticks| ticks as f32 / unit.kind.reload() as f32);
        row[6] = flag(unit.shot);
        row[7] = flag(unit.hit);
        row[8] = part(unit.x);
        row[9] = part(unit.y);
        for (k, other) in view.own.iter().enumerate().filter(|(_, o)| o.alive()) {
            let [dx, dy] = [unit.x - other.x, unit.y - other.y];
            row[10 + 3 * k..13 + 3 * k].copy_from_slice(&[part(dx), part(dy), part(length([dx, dy]))]);
        }
    }
}

impl Env for Skirmish {
    fn name(&self) -> &'static str {
        "skirmish"
    }

    fn observation_space(&self) -> ObservationSpace {
        let offset = [-1.0, -1.0, 0.0];
        let low = [&[0.0; 10][..], &offset, &offset].concat();
        let offset = [1.0, 1.0, std::f32::consts::SQRT_2];
        let high = [&[1.0; 10][..], &offset, &offset].concat();
        ObservationSpace {
            shape: Shape::rows(ENTITIES as u32, FEATURES as u32),
            low: low.repeat(ENTITIES),
            high: high.repeat(ENTITIES),
        }
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation::none()
    }

    fn action_space(&self) -> ActionSpace {
        ActionSpace::Discrete(COMMANDS * COMMANDS)
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        self.arena = Arena::new(seed);
        self.opponent = Script::new(self.skill);
        self.adviser = Script::new(Skill::Full);
        self.look(observation);
    }

    fn step(&mut self, action: Action<'_>, observation: &mut [f32]) -> Step {
        let action = action.index();
        assert!(action < COMMANDS * COMMANDS, "the action is not in the space");
        let replies = self.opponent.act(&self.arena.view(1));
        let damage = self.arena.tick([orders_of(action), replies]);
        self.look(observation);
        let total: i32 = Kind::ALL.iter().map(|kind| kind.health()).sum();
        let mut reward = f64::from(damage[1] - damage[0]) / f64::from(total);
        let lost = [0, 1].map(|side| self.arena.is_lost(side));
        reward += f64::from(i32::from(lost[1]) - i32::from(lost[0]));
        let terminated = lost[0] || lost[1];
        Step { reward, terminated, truncated: !terminated && self.arena.ticks() >= LIMIT }
    }

    fn succeeded(&self) -> Option<bool> {
        Some(self.arena.is_lost(1) && !self.arena.is_lost(0))
    }

    fn advice(&self) -> Option<usize> {
        Some(self.advice)
    }

    fn text(&self) -> String {
        draw::text(&self.arena)
    }

    fn picture(&self) -> image::RgbImage {
        draw::picture(&self.arena)
    }
}
