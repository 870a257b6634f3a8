//! Tests of the rules, of the opponent, and of what memory can know.

use super::*;

const LEN: usize = ENTITIES * FEATURES;

/// Won, lost and all returns of skirmishes that a script of `skill` plays on side 0.
fn tournament(skill: Skill, against: Skill, episodes: u64) -> [usize; 2] {
    let mut counts = [0; 2];
    let mut seen = vec![0.0; LEN];
    for seed in 0..episodes {
        let mut env = Skirmish::against(against);
        env.reset(seed, &mut seen);
        let mut script = Script::new(skill);
        let mut total = 0.0;
        let mut step = Step::default();
        while !step.done() {
            let action = action_of(script.act(&env.arena.view(0)));
            step = env.step(Action::Discrete(action), &mut seen);
            total += step.reward;
        }
        assert_eq!(env.succeeded(), Some(total > 1.0), "the return {total} tells a victory");
        assert_eq!(env.arena.is_lost(0) && !env.arena.is_lost(1), total < -1.0, "{total}");
        counts[0] += usize::from(total > 1.0);
        counts[1] += usize::from(total < -1.0);
    }
    counts
}

#[test]
fn neither_side_is_favoured() {
    for skill in [Skill::Nearest, Skill::Focus, Skill::Full] {
        let [won, lost] = tournament(skill, skill, 1000);
        // Three standard errors of a half.
        let part = won as f64 / (won + lost) as f64;
        assert!((part - 0.5).abs() < 1.5 / ((won + lost) as f64).sqrt(), "{skill:?}: {won} to {lost}");
    }
}

#[test]
fn each_part_of_the_script_is_worth_something() {
    for (better, worse) in [(Skill::Full, Skill::Nearest), (Skill::Full, Skill::Focus)] {
        let [won, lost] = tournament(better, worse, 500);
        assert!(won as f64 > 1.3 * lost as f64, "{better:?} beats {worse:?} {won} to {lost}");
    }
}

#[test]
fn random_orders_lose() {
    use rand::Rng;
    let mut rng = rand_pcg::Pcg64::new(3, 4);
    let mut seen = vec![0.0; LEN];
    let mut won = 0;
    for seed in 0..50 {
        let mut env = Skirmish::default();
        env.reset(seed, &mut seen);
        while !env.step(Action::Discrete(rng.random_range(0..49)), &mut seen).done() {}
        won += usize::from(env.succeeded() == Some(true));
    }
    assert!(won <= 2, "{won} of 50");
}

#[test]
fn the_advice_is_the_full_script() {
    let mut env = Skirmish::default();
    let mut seen = vec![0.0; LEN];
    env.reset(5, &mut seen);
    let mut script = Script::new(Skill::Full);
    for _ in 0..30 {
        let action = action_of(script.act(&env.arena.view(0)));
        assert_eq!(env.advice(), Some(action));
        env.step(Action::Discrete(action), &mut seen);
    }
}

#[test]
fn orders_have_numbers() {
    for action in 0..COMMANDS * COMMANDS {
        assert_eq!(action_of(orders_of(action)), action);
    }
    assert_eq!(orders_of(6), [Command::Stay, Command::HitGuard]);
}

fn unit(kind: Kind, x: f32, y: f32) -> Unit {
    Unit { kind, x, y, health: kind.health(), reload: 0, shot: false, hit: false }
}

fn squad(positions: [[f32; 2]; UNITS]) -> [Unit; UNITS] {
    [0, 1].map(|i| unit(Kind::ALL[i], positions[i][0], positions[i][1]))
}

const STAY: [Command; UNITS] = [Command::Stay; UNITS];

#[test]
fn shots_need_reach_and_a_loaded_weapon() {
    let mut arena = Arena::of([squad([[4.0, 4.0], [4.0, 8.0]]), squad([[8.5, 4.0], [9.9, 8.0]])]);
    let orders = [[Command::HitRanger, Command::HitGuard], STAY];
    let [_, damage] = arena.tick(orders);
    assert!((6..=10).contains(&damage), "only the ranger reaches: {damage}");
    let [own, foes] = arena.units();
    assert_eq!((own[0].shot, foes[0].hit, foes[1].hit), (true, true, false));
    assert_eq!((own[1].x, own[1].y), (4.5, 8.0), "the guard walks to its target");
    let until = Kind::Ranger.reload() - 1;
    for _ in 0..until {
        assert_eq!(arena.tick(orders)[1], 0);
    }
    assert!(arena.tick(orders)[1] > 0);
}

#[test]
fn nobody_is_first() {
    let mut both = squad([[4.0, 4.0], [1.0, 1.0]]);
    both[0].health = 1;
    both[1].health = 0;
    let mut other = squad([[7.0, 4.0], [1.0, 1.0]]);
    other[0].health = 1;
    other[1].health = 0;
    let mut arena = Arena::of([both, other]);
    arena.tick([[Command::HitRanger, Command::Stay]; 2]);
    assert!(arena.is_lost(0) && arena.is_lost(1));
}

#[test]
fn walks_are_turned_with_the_side_and_end_at_the_edge() {
    let mut arena = Arena::of([squad([[0.2, 4.0], [4.0, 8.0]]), squad([[9.0, 0.1], [9.0, 8.0]])]);
    arena.tick([[Command::West, Command::South], [Command::South, Command::East]]);
    let places = arena.units().clone().map(|side| side.map(|u| [u.x, u.y]));
    assert_eq!(places, [[[0.0, 4.0], [4.0, 8.5]], [[9.0, 0.0], [8.5, 8.0]]]);
    let view = arena.view(1);
    assert_eq!([view.own[1].x, view.own[1].y], [SIZE - 8.5, SIZE - 8.0]);
}

#[test]
fn what_is_out_of_sight_is_not_told() {
    let mut seen = vec![0.0; LEN];
    let far = 4.0 + SIGHT + 0.5;
    let arena = Arena::of([squad([[4.0, 4.0], [4.0, 4.5]]), squad([[far, 4.0], [far - 1.0, 4.0]])]);
    observe(&arena.view(0), &mut seen);
    let foes: Vec<&[f32]> = seen.chunks_exact(FEATURES).skip(UNITS).collect();
    assert_eq!(foes[0][..5], [1.0, 0.0, 0.0, 1.0, 0.0]);
    assert!(foes[0][4..].iter().all(|x| *x == 0.0));
    assert_eq!(foes[1][..5], [1.0, 0.0, 1.0, 0.0, 1.0]);
    // No dead unit sees.
    let mut own = squad([[4.0, 4.0], [4.0, 4.5]]);
    own[0].health = 0;
    own[1].health = 0;
    observe(&Arena::of([own, arena.units()[1].clone()]).view(0), &mut seen);
    assert!(seen.chunks_exact(FEATURES).all(|entity| entity[2] == 0.0));
}

/// Two moments that look alike and go on differently: only who remembers the shot before knows whether the next one comes.
#[test]
fn a_foes_reload_must_be_remembered() {
    let own = squad([[4.0, 4.0], [2.0, 12.0]]);
    let loaded = squad([[8.0, 4.0], [12.0, 12.0]]);
    let mut empty = loaded.clone();
    empty[0].reload = 3;
    let mut seen = [vec![0.0; LEN], vec![0.0; LEN]];
    let mut damage = [0; 2];
    for (i, foes) in [loaded, empty].into_iter().enumerate() {
        let mut arena = Arena::of([own.clone(), foes]);
        observe(&arena.view(0), &mut seen[i]);
        damage[i] = arena.tick([STAY, [Command::HitRanger, Command::Stay]])[0];
    }
    assert_eq!(seen[0], seen[1]);
    assert!(damage[0] > 0 && damage[1] == 0, "{damage:?}");
}

/// The same with a foe that has gone: it is seen no more, and may be anywhere.
#[test]
fn where_a_foe_went_must_be_remembered() {
    let own = squad([[4.0, 4.0], [2.0, 12.0]]);
    let mut seen = [vec![0.0; LEN], vec![0.0; LEN]];
    for (seen, y) in seen.iter_mut().zip([2.0, 14.0]) {
        let arena = Arena::of([own.clone(), squad([[12.0, y], [13.0, y]])]);
        observe(&arena.view(0), seen);
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn observations_stay_within_their_bounds() {
    let mut env = Skirmish::default();
    let space = env.observation_space();
    let mut seen = vec![0.0; LEN];
    for seed in 0..20 {
        env.reset(seed, &mut seen);
        for tick in 0u64.. {
            for (i, x) in seen.iter().enumerate() {
                let (low, high) = space.bounds(i);
                assert!((low..=high).contains(x), "element {i} is {x}");
            }
            let action = if tick % 3 == 0 { (seed * 7 + tick) as usize % 49 } else { env.advice().unwrap() };
            if env.step(Action::Discrete(action), &mut seen).done() {
                break;
            }
        }
    }
}

#[test]
fn an_episode_without_orders_is_truncated_or_lost() {
    let mut env = Skirmish::default();
    let mut seen = vec![0.0; LEN];
    env.reset(1, &mut seen);
    let mut ticks = 0;
    let end = loop {
        let step = env.step(Action::Discrete(0), &mut seen);
        ticks += 1;
        if step.done() {
            break step;
        }
    };
    assert!(end.terminated != end.truncated && ticks <= LIMIT);
    assert_eq!(env.succeeded(), Some(false));
}

#[test]
fn text_and_picture_show_every_unit() {
    let mut env = Skirmish::default();
    let mut seen = vec![0.0; LEN];
    env.reset(1, &mut seen);
    let text = env.text();
    assert!(text.contains('R') && text.contains('g') && text.contains("unseen"), "{text}");
    let first = env.picture();
    let dark = |p: &image::RgbImage| p.pixels().filter(|p| p.0[0] < 60).count();
    assert!(dark(&first) > 40, "own units are blue");
    (0..40).for_each(|_| {
        let advice = env.advice().unwrap();
        env.step(Action::Discrete(advice), &mut seen);
    });
    assert_eq!(env.picture().dimensions(), first.dimensions());
    assert_ne!(env.picture(), first);
}
