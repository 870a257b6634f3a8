use super::*;
use crate::env::mdp::{Mdp, Tabular, Transition};
use crate::env::{CliffWalking, FrozenLake, Taxi};
use std::sync::Arc;

#[test]
fn show() {
    let lake = FrozenLake::large(true);
    let mdp = lake.mdp();
    let best = finite_horizon(mdp, 200);
    println!("8x8 horizon {}", start_value(mdp, &best.values));
    let v = value_iteration(mdp, 1.0, 1e-14);
    println!("8x8 infinite {} sweeps {}", start_value(mdp, &v.values), v.sweeps);
    for d in
        [0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.992, 0.994, 0.995, 0.996, 0.997, 0.998, 0.999, 0.9999, 1.0]
    {
        let v = value_iteration(mdp, d, 1e-14);
        println!("  {d}: {} {}", expected_return(mdp, &v.policy, 200), v.sweeps);
    }

    for seed in 0..4 {
        for (e, from, a) in [(20000, 0.3, Decay::Constant(0.5)), (50000, 0.1, Decay::Constant(0.2)), (20000, 0.5, Decay::Constant(0.1)), (50000, 1.0, Decay::Constant(0.1))] {
            let l = Learning { episodes: e, discount: 1.0, step_size: a, epsilon: Decay::Linear { from, to: 0.0, episodes: e }, seed };
            let mut cliff = CliffWalking::along(false);
            let t = std::time::Instant::now();
            println!("cliff sarsa {l:?}: greedy {} {:?}", expected_return(cliff.mdp(), &sarsa(&mut cliff, &l).policy(), 500), t.elapsed());
        }
        for (e, from, a) in [(5000, 1.0, Decay::Constant(0.5)), (10000, 1.0, Decay::Constant(0.3)), (20000, 1.0, Decay::Constant(0.1)), (20000, 1.0, Decay::Linear { from: 0.5, to: 0.01, episodes: 20000 })] {
            let l = Learning { episodes: e, discount: 1.0, step_size: a, epsilon: Decay::Linear { from, to: 0.0, episodes: e }, seed };
            let mut taxi = Taxi::town();
            let t = std::time::Instant::now();
            for (n, r) in [("q", q_learning(&mut taxi, &l)), ("sarsa", sarsa(&mut taxi, &l))] {
                println!("taxi {n} {l:?}: greedy {} {:?}", expected_return(taxi.mdp(), &r.policy(), 200), t.elapsed());
            }
        }
    }
}
