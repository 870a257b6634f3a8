//! Dynamic programming: values and policies from the table of a process (chapter 4).

use crate::env::mdp::Mdp;

/// Values and a policy that is greedy for them.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// What each state is worth.
    pub values: Vec<f64>,
    /// The action in each state; the first of those that are equally good.
    pub policy: Vec<usize>,
    /// Times that all states were gone through.
    pub sweeps: usize,
}

/// The best that can be done in so many steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Horizon {
    /// What each state is worth with all steps ahead.
    pub values: Vec<f64>,
    /// The action in each state, for each number of steps that remain, from one upwards.
    pub policies: Vec<Vec<usize>>,
}

/// By how much an action has to be better than another to be preferred: sums of products differ by rounding.
const MARGIN: f64 = 1e-9;

/// What an action is worth where states are worth `values`.
fn worth(mdp: &Mdp, state: usize, action: usize, values: &[f64], discount: f64) -> f64 {
    let after = |next: usize, terminated: bool| if terminated { 0.0 } else { discount * values[next] };
    let follows = mdp.follow(state, action).iter();
    follows.map(|t| t.probability * (t.reward + after(t.next, t.terminated))).sum()
}

/// The best action of a state and what it is worth.
fn best(mdp: &Mdp, state: usize, values: &[f64], discount: f64) -> (usize, f64) {
    let all = (0..mdp.actions()).map(|action| (action, worth(mdp, state, action, values, discount)));
    all.fold((0, f64::NEG_INFINITY), |best, other| if other.1 > best.1 + MARGIN { other } else { best })
}

/// The greedy policy: in each state the best action where states are worth `values`.
pub fn greedy(mdp: &Mdp, values: &[f64], discount: f64) -> Vec<usize> {
    (0..mdp.states()).map(|state| best(mdp, state, values, discount).0).collect()
}

/// Renews the value of each state in place until no value changes by more than `tolerance`: the number of sweeps.
fn sweep(values: &mut [f64], tolerance: f64, renew: impl Fn(usize, &[f64]) -> f64) -> usize {
    for sweeps in 1.. {
        let mut change = 0.0_f64;
        for state in 0..values.len() {
            let value = renew(state, values);
            change = change.max((value - values[state]).abs());
            values[state] = value;
        }
        if change <= tolerance {
            return sweeps;
        }
    }
    unreachable!("there is no last sweep")
}

/// What each state is worth to a policy (iterative policy evaluation, section 4.1), from `values` on: returns the sweeps. The values
/// are off by at most `tolerance · discount / (1 − discount)`.
///
/// With a discount of 1, the policy has to end every episode, or earn nothing for ever; else this does not come to an end.
pub fn evaluate(mdp: &Mdp, policy: &[usize], discount: f64, tolerance: f64, values: &mut [f64]) -> usize {
    sweep(values, tolerance, |state, values| worth(mdp, state, policy[state], values, discount))
}

/// Value iteration (section 4.4), until no value changes by more than `tolerance` in a sweep.
///
/// With a discount of 1, some policy has to end every episode with what it can earn; of the greedy actions, which are then equally good
/// where standing still costs nothing, not every one leads to the goal.
pub fn value_iteration(mdp: &Mdp, discount: f64, tolerance: f64) -> Solution {
    let mut values = vec![0.0; mdp.states()];
    let sweeps = sweep(&mut values, tolerance, |state, values| {
        let all = (0..mdp.actions()).map(|action| worth(mdp, state, action, values, discount));
        all.fold(f64::NEG_INFINITY, f64::max)
    });
    Solution { policy: greedy(mdp, &values, discount), values, sweeps }
}

/// Policy iteration (section 4.3): evaluates to `tolerance` and improves until no action is better.
///
/// # Panics
/// A discount of 1 or above: the first policies do not end every episode.
pub fn policy_iteration(mdp: &Mdp, discount: f64, tolerance: f64) -> Solution {
    assert!(discount < 1.0, "policy iteration discounts, by {discount}");
    // A better action has to be better by more than the values are off.
    let margin = MARGIN + 2.0 * tolerance / (1.0 - discount);
    let (mut policy, mut values) = (vec![0; mdp.states()], vec![0.0; mdp.states()]);
    let mut sweeps = 0;
    loop {
        sweeps += evaluate(mdp, &policy, discount, tolerance, &mut values);
        let mut stable = true;
        for (state, action) in policy.iter_mut().enumerate() {
            let (other, value) = best(mdp, state, &values, discount);
            if value > worth(mdp, state, *action, &values, discount) + margin {
                (*action, stable) = (other, false);
            }
        }
        if stable {
            return Solution { values, policy, sweeps };
        }
    }
}

/// The best sum of rewards, not discounted, of any policy that may depend on the steps that remain, by backward induction.
pub fn finite_horizon(mdp: &Mdp, steps: u32) -> Horizon {
    let mut values = vec![0.0; mdp.states()];
    let mut policies = Vec::new();
    for _ in 0..steps {
        policies.push(greedy(mdp, &values, 1.0));
        let all = (0..mdp.states()).map(|state| {
            let actions = (0..mdp.actions()).map(|action| worth(mdp, state, action, &values, 1.0));
            actions.fold(f64::NEG_INFINITY, f64::max)
        });
        values = all.collect();
    }
    Horizon { values, policies }
}

/// The exact mean return, not discounted, of a policy within so many steps.
pub fn expected_return(mdp: &Mdp, policy: &[usize], steps: u32) -> f64 {
    let mut values = vec![0.0; mdp.states()];
    for _ in 0..steps {
        values = (0..mdp.states()).map(|state| worth(mdp, state, policy[state], &values, 1.0)).collect();
    }
    start_value(mdp, &values)
}

/// What the beginning is worth: the mean over the first states.
pub fn start_value(mdp: &Mdp, values: &[f64]) -> f64 {
    mdp.start().iter().zip(values).map(|(probability, value)| probability * value).sum()
}
