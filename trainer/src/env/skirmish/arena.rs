//! The rules: units, sight, movement, damage.

use rand::Rng;
use rand_pcg::Pcg64;

/// Units of a side.
pub const UNITS: usize = 2;

/// Length of the arena's edges; a unit walks half of one in a tick.
pub const SIZE: f32 = 16.0;

/// How far a unit sees.
pub const SIGHT: f32 = 6.5;

/// Start positions are within this strip at a side's own edge.
const START: [f32; 2] = [1.0, 4.0];

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Shoots far, is weak.
    Ranger,
    /// Strikes near, is strong.
    Guard,
}

impl Kind {
    /// The units of a side, in order.
    pub const ALL: [Kind; UNITS] = [Kind::Ranger, Kind::Guard];

    /// Hit points at the start.
    pub fn health(self) -> i32 {
        [50, 90][self as usize]
    }

    /// How far its weapon reaches.
    pub fn range(self) -> f32 {
        [5.0, 1.2][self as usize]
    }

    /// Smallest and largest damage of a hit.
    pub fn damage(self) -> [i32; 2] {
        [[6, 10], [9, 15]][self as usize]
    }

    /// Ticks from one shot to the next.
    pub fn reload(self) -> u32 {
        [6, 4][self as usize]
    }

    /// How far it walks in a tick.
    pub fn speed(self) -> f32 {
        [0.5, 0.5][self as usize]
    }
}

/// An order to a unit for one tick. Directions are those of the side: it stands at the western edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Stand.
    Stay,
    /// Walk towards larger x, to the opponent's edge.
    East,
    /// Walk towards smaller x.
    West,
    /// Walk towards larger y.
    South,
    /// Walk towards smaller y.
    North,
    /// Shoot at the foe's ranger: walk towards it while it is seen but out of reach, wait while reloading.
    HitRanger,
    /// The same with the foe's guard.
    HitGuard,
}

impl Command {
    /// All orders by number.
    pub const ALL: [Command; 7] = [
        Command::Stay,
        Command::East,
        Command::West,
        Command::South,
        Command::North,
        Command::HitRanger,
        Command::HitGuard,
    ];

    /// Direction of a walk.
    pub fn direction(self) -> Option<[f32; 2]> {
        match self {
            Command::East => Some([1.0, 0.0]),
            Command::West => Some([-1.0, 0.0]),
            Command::South => Some([0.0, 1.0]),
            Command::North => Some([0.0, -1.0]),
            Command::Stay | Command::HitRanger | Command::HitGuard => None,
        }
    }

    /// The foe to shoot at.
    pub fn target(self) -> Option<usize> {
        match self {
            Command::HitRanger => Some(0),
            Command::HitGuard => Some(1),
            _ => None,
        }
    }
}

/// A unit as it is, in the arena's coordinates.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// What it is.
    pub kind: Kind,
    /// Position.
    pub x: f32,
    /// Position.
    pub y: f32,
    /// Hit points left; 0 is dead.
    pub health: i32,
    /// Ticks until it can shoot again.
    pub reload: u32,
    /// Shot in the last tick.
    pub shot: bool,
    /// Was hit in the last tick.
    pub hit: bool,
}

impl Unit {
    /// Whether it lives.
    pub fn alive(&self) -> bool {
        self.health > 0
    }

    fn distance(&self, other: &Unit) -> f32 {
        length([self.x - other.x, self.y - other.y])
    }
}

/// A unit as a side sees it, in the side's own coordinates.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// Position from the side's own edge.
    pub x: f32,
    /// Position.
    pub y: f32,
    /// Hit points left; 0 is dead.
    pub health: i32,
    /// Ticks until it can shoot again; not seen of foes.
    pub reload: Option<u32>,
    /// Shot in the last tick.
    pub shot: bool,
    /// Was hit in the last tick.
    pub hit: bool,
}

impl Seen {
    /// Whether it lives.
    pub fn alive(&self) -> bool {
        self.health > 0
    }

    /// Distance to another unit.
    pub fn distance(&self, other: &Seen) -> f32 {
        length([self.x - other.x, self.y - other.y])
    }
}

/// What a side sees in a tick.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its own units, dead ones too.
    pub own: [Seen; UNITS],
    /// Its foes, where they live and are in sight.
    pub foes: [Option<Seen>; UNITS],
    /// Foes that have died: both sides are told of every death.
    pub known_dead: [bool; UNITS],
}

/// All units of both sides.
#[derive(Clone, Debug)]
pub struct Arena {
    units: [[Unit; UNITS]; 2],
    ticks: u32,
    rng: Pcg64,
}

impl Arena {
    /// The start of the skirmish of `seed`: each unit anywhere in the strip of its side.
    pub fn new(seed: u64) -> Self {
        let mut rng = Pcg64::new(u128::from(seed), 0x5c1);
        let units = [0, 1].map(|side| {
            Kind::ALL.map(|kind| {
                let [x, y] = [rng.random_range(START[0]..START[1]), rng.random_range(2.0..SIZE - 2.0)];
                let [x, y] = turned(side, [x, y]);
                Unit { kind, x, y, health: kind.health(), reload: 0, shot: false, hit: false }
            })
        });
        Self { units, ticks: 0, rng }
    }

    /// These units, at tick 0.
    #[cfg(test)]
    pub(super) fn of(units: [[Unit; UNITS]; 2]) -> Self {
        Self { units, ticks: 0, rng: Pcg64::new(1, 1) }
    }

    /// The units of both sides.
    pub fn units(&self) -> &[[Unit; UNITS]; 2] {
        &self.units
    }

    /// Ticks since the start.
    pub fn ticks(&self) -> u32 {
        self.ticks
    }

    /// Whether no unit of the side lives.
    pub fn is_lost(&self, side: usize) -> bool {
        self.units[side].iter().all(|unit| !unit.alive())
    }

    /// Whether a unit is in sight of the other side.
    pub fn in_sight(&self, side: usize, unit: usize) -> bool {
        is_seen(&self.units, side, unit)
    }

    /// What `side` sees.
    pub fn view(&self, side: usize) -> View {
        let seen = |unit: &Unit, reload: Option<u32>| {
            let [x, y] = turned(side, [unit.x, unit.y]);
            let &Unit { kind, health, shot, hit, .. } = unit;
            Seen { kind, x, y, health, reload, shot, hit }
        };
        let foes = &self.units[1 - side];
        View {
            own: [0, 1].map(|i| seen(&self.units[side][i], Some(self.units[side][i].reload))),
            foes: [0, 1]
                .map(|i| (foes[i].alive() && self.in_sight(1 - side, i)).then(|| seen(&foes[i], None))),
            known_dead: [0, 1].map(|i| !foes[i].alive()),
        }
    }

    /// Obeys the orders of both sides at once, and returns the damage that each side has taken. Walking and aiming go by where
    /// all were before the tick, so that no side is first.
    pub fn tick(&mut self, orders: [[Command; UNITS]; 2]) -> [i32; 2] {
        let before = self.units.clone();
        let mut taken = [[0; UNITS]; 2];
        let mut shots = [[false; UNITS]; 2];
        for side in [0, 1] {
            for (i, &order) in orders[side].iter().enumerate().filter(|(i, _)| before[side][*i].alive()) {
                let unit = &before[side][i];
                let mut step = [0.0; 2];
                if let Some(direction) = order.direction() {
                    let [dx, dy] = if side == 0 { direction } else { direction.map(|d| -d) };
                    step = [dx, dy].map(|d| d * unit.kind.speed());
                } else if let Some(target) = order.target()
                    && before[1 - side][target].alive()
                    && is_seen(&before, 1 - side, target)
                {
                    let foe = &before[1 - side][target];
                    let distance = unit.distance(foe);
                    if distance > unit.kind.range() {
                        let scale = unit.kind.speed().min(distance) / distance;
                        step = [(foe.x - unit.x) * scale, (foe.y - unit.y) * scale];
                    } else if unit.reload == 0 {
                        let [low, high] = unit.kind.damage();
                        taken[1 - side][target] += self.rng.random_range(low..=high);
                        shots[side][i] = true;
                    }
                }
                let moved = &mut self.units[side][i];
                moved.x = (unit.x + step[0]).clamp(0.0, SIZE);
                moved.y = (unit.y + step[1]).clamp(0.0, SIZE);
            }
        }
        let mut damage = [0; 2];
        for side in [0, 1] {
            for (i, unit) in self.units[side].iter_mut().enumerate() {
                let hurt = taken[side][i].min(unit.health);
                damage[side] += hurt;
                unit.health -= hurt;
                unit.hit = hurt > 0;
                unit.shot = shots[side][i];
                unit.reload = if unit.shot { unit.kind.reload() - 1 } else { unit.reload.saturating_sub(1) };
            }
        }
        self.ticks += 1;
        damage
    }
}

fn is_seen(units: &[[Unit; UNITS]; 2], side: usize, unit: usize) -> bool {
    units[1 - side].iter().any(|eye| eye.alive() && eye.distance(&units[side][unit]) <= SIGHT)
}

/// Length of a vector, the same on every machine.
pub(super) fn length([dx, dy]: [f32; 2]) -> f32 {
    (dx * dx + dy * dy).sqrt()
}

/// A position from the edge of `side`; its own inverse.
fn turned(side: usize, [x, y]: [f32; 2]) -> [f32; 2] {
    if side == 0 { [x, y] } else { [SIZE - x, SIZE - y] }
}
