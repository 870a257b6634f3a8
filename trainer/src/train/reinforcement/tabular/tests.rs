use super::*;
use crate::env::mdp::{Mdp, Tabular, Transition};
use crate::env::{CliffWalking, FrozenLake, Step, Taxi, World};
use std::collections::VecDeque;

/// Sums of some hundred products of numbers below 100.
const ROUNDING: f64 = 1e-9;

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < ROUNDING, "{found}, not {expected}");
}

fn all_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-8, "{what}: {worst}");
}

/// Two states: action 0 of the first stays and earns 1, action 1 earns 2 half of the time and else leads to the second, from which
/// everything ends with 10.
fn pair() -> Mdp {
    let go = |probability, next, reward, terminated| Transition { probability, next, reward, terminated };
    Mdp::new(vec![1.0, 0.0], 2, |state, action| match (state, action) {
        (0, 0) => vec![go(1.0, 0, 1.0, false)],
        (0, _) => vec![go(0.5, 0, 2.0, false), go(0.5, 1, 0.0, false)],
        _ => vec![go(1.0, 0, 10.0, true)],
    })
}

#[test]
fn values_worked_out_by_hand() {
    let (mdp, mut values) = (pair(), vec![0.0; 2]);
    evaluate(&mdp, &[0, 0], 0.5, 1e-13, &mut values);
    all_near(&values, &[2.0, 10.0], "staying");
    // v = 0.5 (2 + v / 2) + 0.5 · 10 / 2
    evaluate(&mdp, &[1, 0], 0.5, 1e-13, &mut values);
    all_near(&values, &[3.5 / 0.75, 10.0], "going on");
    for solution in [value_iteration(&mdp, 0.5, 1e-13), policy_iteration(&mdp, 0.5, 1e-13)] {
        all_near(&solution.values, &[3.5 / 0.75, 10.0], "the best");
        assert_eq!(solution.policy, [1, 0]);
    }
    let best = finite_horizon(&mdp, 2);
    all_near(&best.values, &[0.5 * (2.0 + 1.0) + 0.5 * 10.0, 10.0], "two steps");
    assert_eq!(
        best.policies,
        [vec![0, 0], vec![1, 0]],
        "with one step left, 1 for sure is as good as 2 perhaps"
    );
    near(expected_return(&mdp, &[1, 0], 2), 0.5 * (2.0 + 1.0) + 5.0);
    near(expected_return(&mdp, &[0, 0], 7), 7.0);
}

/// An evaluation that does not come to an end would be a loop: it is refused.
#[test]
#[should_panic = "discounts"]
fn policy_iteration_discounts() {
    policy_iteration(&pair(), 1.0, 1e-9);
}

fn agree<L>(world: &World<L>, what: &str) {
    const DISCOUNT: f64 = 0.99;
    let mdp = world.mdp();
    let by_values = value_iteration(mdp, DISCOUNT, 1e-12);
    let by_policies = policy_iteration(mdp, DISCOUNT, 1e-12);
    all_near(&by_values.values, &by_policies.values, what);
    for policy in [&by_values.policy, &by_policies.policy] {
        let mut values = vec![0.0; mdp.states()];
        evaluate(mdp, policy, DISCOUNT, 1e-12, &mut values);
        all_near(&values, &by_values.values, what);
    }
}

#[test]
fn value_and_policy_iteration_agree_on_all_worlds() {
    for slippery in [false, true] {
        agree(&FrozenLake::small(slippery), "4x4 lake");
        agree(&FrozenLake::large(slippery), "8x8 lake");
        agree(&CliffWalking::along(slippery), "cliff");
    }
    agree(&Taxi::town(), "taxi");
}

/// Share of a policy's episodes that reach the goal, played.
fn played(lake: &mut FrozenLake, policy: &[usize], episodes: u64) -> f64 {
    let mut total = 0.0;
    for seed in 0..episodes {
        let mut state = lake.begin(seed);
        loop {
            let (next, step) = lake.act(policy[state]);
            total += step.reward;
            if step.done() {
                break;
            }
            state = next;
        }
    }
    total / episodes as f64
}

/// The best success of any policy within the time limit, of the best one that looks only at the state, and without a limit.
fn success(mut lake: FrozenLake, discount: f64) -> [f64; 3] {
    let (mdp, limit) = (lake.mdp().clone(), lake.limit());
    let best = start_value(&mdp, &finite_horizon(&mdp, limit).values);
    let unlimited = start_value(&mdp, &value_iteration(&mdp, 1.0, 1e-15).values);
    let mut policy = value_iteration(&mdp, discount, 1e-13).policy;
    let reached = expected_return(&mdp, &policy, limit);
    assert!(reached <= best);
    for state in 0..mdp.states() {
        let action = policy[state];
        for other in 0..4 {
            policy[state] = other;
            let changed = expected_return(&mdp, &policy, limit);
            assert!(changed <= reached + ROUNDING, "action {other} in state {state} reaches {changed}");
        }
        policy[state] = action;
    }
    const EPISODES: u64 = 20_000;
    let deviation = (reached * (1.0 - reached) / EPISODES as f64).sqrt();
    let share = played(&mut lake, &policy, EPISODES);
    assert!((share - reached).abs() < 4.0 * deviation, "{share} of the episodes played, {reached} expected");
    [best, reached, unlimited]
}

/// gymnasium states optima of 0.74 and 0.91, which are those of policies that know the time.
#[test]
fn the_best_success_on_ice_is_known() {
    let [best, reached, unlimited] = success(FrozenLake::small(true), 0.99);
    near(best, 0.7441902878292659);
    near(reached, 0.7401648977587013);
    assert!((unlimited - 14.0 / 17.0).abs() < 1e-8, "{unlimited}");
    let [best, reached, unlimited] = success(FrozenLake::large(true), 0.995);
    near(best, 0.9132201502016174);
    near(reached, 0.8935683859748513);
    assert!((unlimited - 1.0).abs() < 1e-8, "with time, no hole need ever be risked: {unlimited}");
}

/// Least number of steps from a state to the end, by breadth-first search.
fn shortest(mdp: &Mdp, from: usize) -> u32 {
    let mut steps = vec![None; mdp.states()];
    let mut queue = VecDeque::from([from]);
    steps[from] = Some(0);
    while let Some(state) = queue.pop_front() {
        let so_far = steps[state].expect("it was queued");
        for action in 0..mdp.actions() {
            let &[transition] = mdp.follow(state, action) else { panic!("nothing is left to chance") };
            if transition.terminated {
                return so_far + 1;
            }
            if steps[transition.next].is_none() {
                steps[transition.next] = Some(so_far + 1);
                queue.push_back(transition.next);
            }
        }
    }
    panic!("no end is reached from {from}")
}

/// Mean over the 300 beginnings of the best return, by two ways: 7.93.
#[test]
fn the_best_ride_is_known() {
    const BEST: f64 = 7.93;
    let taxi = Taxi::town();
    let mdp = taxi.mdp();
    let returns = mdp.start().iter().enumerate().filter(|&(_, &p)| p > 0.0);
    let by_search: f64 = returns.map(|(state, p)| p * (21.0 - f64::from(shortest(mdp, state)))).sum();
    near(by_search, BEST);
    let solution = value_iteration(mdp, 1.0, 1e-12);
    near(start_value(mdp, &solution.values), BEST);
    near(expected_return(mdp, &solution.policy, taxi.limit()), BEST);
    near(start_value(mdp, &finite_horizon(mdp, taxi.limit()).values), BEST);
}

fn learning(episodes: u64, step_size: f64, epsilon: Decay, seed: u64) -> Learning {
    Learning { episodes, discount: 1.0, step_size: Decay::Constant(step_size), epsilon, seed }
}

/// Squares of the way that a policy takes along the cliff.
fn way(policy: &[usize]) -> Vec<usize> {
    let mut walk = CliffWalking::along(false);
    let mut states = vec![walk.begin(0)];
    loop {
        let (next, step) = walk.act(policy[states[states.len() - 1]]);
        states.push(next);
        if step.done() {
            return states;
        }
    }
}

/// Mean return of the last hundred of 500 episodes, over ten seeds.
fn online(learn: fn(&mut CliffWalking, &Learning) -> Learned) -> f64 {
    let last = |seed| {
        let learned = learn(&mut CliffWalking::along(false), &learning(500, 0.5, Decay::Constant(0.1), seed));
        learned.returns[400..].iter().sum::<f64>()
    };
    (0..10).map(last).sum::<f64>() / 1000.0
}

/// Sutton and Barto, example 6.6: Q-learning learns the best way, along the edge, and falls while it explores; SARSA learns one that
/// is safe for who explores, and earns more meanwhile. Their figure shows about -25 and below -40.
#[test]
fn sarsa_keeps_away_from_the_cliff_and_q_learning_does_not() {
    let (by_sarsa, by_q_learning) = (online(sarsa), online(q_learning));
    assert!((-30.0..-20.0).contains(&by_sarsa), "{by_sarsa}");
    assert!((-60.0..-40.0).contains(&by_q_learning), "{by_q_learning}");
    for seed in 0..10 {
        // Smaller steps than those of the figure, so that one fall does not decide on a way.
        let learning = learning(5_000, 0.1, Decay::Constant(0.1), seed);
        let edge = way(&q_learning(&mut CliffWalking::along(false), &learning).policy());
        assert_eq!(edge.len() - 1, 13, "seed {seed}: {edge:?}");
        let detour = way(&sarsa(&mut CliffWalking::along(false), &learning).policy());
        assert!([15, 17].contains(&(detour.len() - 1)), "seed {seed}: {detour:?}");
        assert!(detour.iter().all(|at| !(25..=34).contains(at)), "seed {seed}, at the edge: {detour:?}");
    }
}

/// Without chance in what is chosen, the action taken is the best one, and values of 0, better than any truth, make both try
/// everything.
#[test]
fn without_exploration_both_find_the_best_way() {
    let learning = learning(500, 0.5, Decay::Constant(0.0), 1);
    for learn in [q_learning, sarsa] {
        assert_eq!(way(&learn(&mut CliffWalking::along(false), &learning).policy()).len() - 1, 13);
    }
}

#[test]
fn both_learn_to_drive_as_well_as_can_be() {
    for seed in 0..3 {
        let fading = |episodes| Decay::Linear { from: 1.0, to: 0.0, episodes };
        let mut taxi = Taxi::town();
        let best = q_learning(&mut taxi, &learning(5_000, 0.5, fading(5_000), seed)).policy();
        near(expected_return(taxi.mdp(), &best, 200), 7.93);
        let best = sarsa(&mut taxi, &learning(40_000, 0.1, fading(40_000), seed)).policy();
        near(expected_return(taxi.mdp(), &best, 200), 7.93);
    }
}

#[test]
fn q_learning_learns_on_slippery_ice() {
    for seed in 0..3 {
        let mut lake = FrozenLake::small(true);
        let learning = Learning {
            episodes: 20_000,
            discount: 0.99,
            step_size: Decay::Harmonic { from: 0.5, half: 500.0 },
            epsilon: Decay::Linear { from: 1.0, to: 0.1, episodes: 10_000 },
            seed,
        };
        let policy = q_learning(&mut lake, &learning).policy();
        let reached = expected_return(lake.mdp(), &policy, 100);
        assert!(reached > 0.72, "seed {seed}: {reached}");
    }
}

/// Earns 1 in each step and is cut off after some.
struct Endless(u32);

impl Tabular for Endless {
    fn states(&self) -> usize {
        1
    }

    fn actions(&self) -> usize {
        1
    }

    fn begin(&mut self, _: u64) -> usize {
        self.0 = 0;
        0
    }

    fn act(&mut self, _: usize) -> (usize, Step) {
        self.0 += 1;
        (0, Step { reward: 1.0, terminated: false, truncated: self.0 == 3 })
    }
}

#[test]
fn a_time_limit_is_no_end_of_what_can_be_earned() {
    let learning = Learning { discount: 0.5, ..learning(100, 0.5, Decay::Constant(0.0), 0) };
    for learn in [q_learning, sarsa] {
        let learned = learn(&mut Endless(0), &learning);
        near(learned.values(0)[0], 2.0);
        assert_eq!(learned.returns, [3.0; 100]);
    }
}

#[test]
fn numbers_decay_as_they_say() {
    assert_eq!(Decay::Constant(0.3).at(1000), 0.3);
    let linear = Decay::Linear { from: 1.0, to: 0.2, episodes: 4 };
    assert_eq!([0, 1, 4, 9].map(|episode| linear.at(episode)), [1.0, 0.8, 0.2, 0.2]);
    let harmonic = Decay::Harmonic { from: 0.5, half: 10.0 };
    assert_eq!([0, 10, 30].map(|episode| harmonic.at(episode)), [0.5, 0.25, 0.125]);
}
