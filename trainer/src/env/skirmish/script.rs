//! The scripted opponent: what a good player of the rules does, by the same view that a learnt policy has.

use super::arena::{Command, Kind, SIZE, Seen, UNITS, View, length};

/// How much of its script an opponent follows: the lesser ones show what each part is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skill {
    /// Every unit attacks the foe nearest to it.
    Nearest,
    /// Both attack one foe together: the one that falls first.
    Focus,
    /// The same, and the ranger keeps out of reach while it reloads.
    Full,
}

/// The opponent's memory.
///
/// 1. The target of both is the foe in sight of which the fewest hit points are left; of equal ones, the one nearest to
///    them together. A unit that is being struck by a guard strikes back.
/// 2. A ranger that reloads walks away from the nearest foe within [`DANGER`], in the direction that leaves it farthest from
///    all foes.
/// 3. Without a foe in sight, both go to where one was last seen; if nobody is there, round the arena.
#[derive(Clone, Debug)]
pub struct Script {
    skill: Skill,
    last_seen: [Option<[f32; 2]>; UNITS],
    waypoint: usize,
}

/// A ranger keeps this far from foes while it reloads.
pub const DANGER: f32 = 3.5;

/// Where to look for foes, in this order, in parts of the arena.
const ROUND: [[f32; 2]; 5] = [[0.5, 0.5], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75], [0.25, 0.25]];

/// A place this near is reached.
const REACHED: f32 = 1.0;

impl Script {
    /// An opponent that has seen nothing yet.
    pub fn new(skill: Skill) -> Self {
        Self { skill, last_seen: [None; UNITS], waypoint: 0 }
    }

    /// The orders of this tick.
    pub fn act(&mut self, view: &View) -> [Command; UNITS] {
        self.remember(view);
        let focus = self.focus(view);
        let goal = self.goal();
        [0, 1].map(|i| {
            let unit = &view.own[i];
            if !unit.alive() {
                return Command::Stay;
            }
            let Some(nearest) = nearest(unit, view) else { return walk(unit, goal) };
            let far = |foe: usize| view.foes[foe].as_ref().map_or(f32::INFINITY, |foe| foe.distance(unit));
            let retreats = unit.kind == Kind::Ranger && unit.reload != Some(0) && far(nearest) < DANGER;
            match self.skill {
                Skill::Nearest => hit(nearest),
                Skill::Full if retreats => retreat(unit, view),
                Skill::Focus | Skill::Full => {
                    hit(focus.filter(|foe| far(*foe) <= unit.kind.range()).unwrap_or(nearest))
                }
            }
        })
    }

    fn remember(&mut self, view: &View) {
        for (memory, (foe, dead)) in self.last_seen.iter_mut().zip(view.foes.iter().zip(view.known_dead)) {
            if let Some(foe) = foe {
                *memory = Some([foe.x, foe.y]);
                self.waypoint = 0;
            }
            // Nobody is where one was.
            let missed = |place: [f32; 2]| foe.is_none() && living(view).any(|unit| reached(unit, place));
            if dead || memory.is_some_and(missed) {
                *memory = None;
            }
        }
        if living(view).any(|unit| reached(unit, place(self.waypoint))) {
            self.waypoint = (self.waypoint + 1) % ROUND.len();
        }
    }

    /// The foe that both attack.
    fn focus(&self, view: &View) -> Option<usize> {
        let far = |foe: &Seen| living(view).map(|unit| unit.distance(foe)).sum::<f32>();
        let seen = view.foes.iter().enumerate().filter_map(|(i, foe)| Some((i, foe.as_ref()?)));
        seen.min_by(|(_, a), (_, b)| worth(a).total_cmp(&worth(b)).then(far(a).total_cmp(&far(b))))
            .map(|(i, _)| i)
    }

    /// Where to go without a foe in sight.
    fn goal(&self) -> [f32; 2] {
        self.last_seen.iter().flatten().copied().next().unwrap_or(place(self.waypoint))
    }
}

/// Hit points to take for each that the foe takes in a tick.
fn worth(foe: &Seen) -> f32 {
    let [low, high] = foe.kind.damage();
    foe.health as f32 * foe.kind.reload() as f32 / (low + high) as f32
}

fn living(view: &View) -> impl Iterator<Item = &Seen> {
    view.own.iter().filter(|unit| unit.alive())
}

fn place(waypoint: usize) -> [f32; 2] {
    ROUND[waypoint].map(|part| part * SIZE)
}

fn reached(unit: &Seen, [x, y]: [f32; 2]) -> bool {
    length([unit.x - x, unit.y - y]) <= REACHED
}

fn nearest(unit: &Seen, view: &View) -> Option<usize> {
    let seen = view.foes.iter().enumerate().filter_map(|(i, foe)| Some((i, foe.as_ref()?.distance(unit))));
    seen.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
}

fn hit(foe: usize) -> Command {
    [Command::HitRanger, Command::HitGuard][foe]
}

/// A step along the axis on which the place is farther away.
fn walk(unit: &Seen, [x, y]: [f32; 2]) -> Command {
    let [dx, dy] = [x - unit.x, y - unit.y];
    match dx.abs() > dy.abs() {
        true if dx > 0.0 => Command::East,
        true => Command::West,
        false if dy > 0.0 => Command::South,
        false => Command::North,
    }
}

/// The step that ends farthest from the nearest foe, and within the arena.
fn retreat(unit: &Seen, view: &View) -> Command {
    let safety = |order: &Command| {
        let [dx, dy] = order.direction().unwrap_or_default().map(|d| d * unit.kind.speed());
        let [x, y] = [unit.x + dx, unit.y + dy].map(|v| v.clamp(0.0, SIZE));
        let apart = view.foes.iter().flatten().map(|foe| length([foe.x - x, foe.y - y]));
        apart.fold(f32::INFINITY, f32::min)
    };
    let walks = [Command::East, Command::West, Command::South, Command::North];
    walks.into_iter().max_by(|a, b| safety(a).total_cmp(&safety(b))).unwrap_or(Command::Stay)
}
