//! How much better an action was than expected: generalised advantage estimation (Schulman et al. 2016).

use serde::{Deserialize, Serialize};

/// What follows a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum After {
    /// The next row.
    Row,
    /// Nothing: the task is over, and no reward will come.
    End,
    /// Something that was seen but not acted on, because the time limit or the end of the recording came; rewards would go
    /// on, and the critic says how much.
    Cut,
}

/// Advantages of rows of steps. `values` are the critic's for what was seen before each step; `cuts` those for what was
/// seen after each [`After::Cut`], in order. With `lambda` 1 an advantage is the discounted return less the value; with 0
/// it is the error of one step.
///
/// # Panics
/// Where lengths differ, the last row is [`After::Row`], or `cuts` has another number of values than rows are cut.
pub fn advantages(
    rewards: &[f32],
    values: &[f32],
    after: &[After],
    cuts: &[f32],
    discount: f64,
    lambda: f64,
) -> Vec<f32> {
    assert!(
        rewards.len() == values.len() && values.len() == after.len(),
        "one value and end for each reward"
    );
    let mut cuts = cuts.iter().rev();
    let mut advantages = vec![0.0; rewards.len()];
    let mut carried = 0.0;
    for row in (0..rewards.len()).rev() {
        let next = match after[row] {
            After::Row => f64::from(values[row + 1]),
            After::End => 0.0,
            After::Cut => f64::from(*cuts.next().expect("a value for each cut")),
        };
        if after[row] != After::Row {
            carried = 0.0;
        }
        let error = f64::from(rewards[row]) + discount * next - f64::from(values[row]);
        carried = error + discount * lambda * carried;
        advantages[row] = carried as f32;
    }
    assert!(cuts.next().is_none(), "a cut for each value");
    advantages
}

/// Shifts and scales to mean 0 and standard deviation 1.
pub(super) fn normalise(advantages: &mut [f32]) {
    let count = advantages.len().max(1) as f64;
    let mean = advantages.iter().map(|a| f64::from(*a)).sum::<f64>() / count;
    let variance = advantages.iter().map(|a| (f64::from(*a) - mean).powi(2)).sum::<f64>() / count;
    let deviation = variance.sqrt() + SMALLEST_DEVIATION;
    advantages.iter_mut().for_each(|a| *a = ((f64::from(*a) - mean) / deviation) as f32);
}

/// What is added to a deviation before it divides.
const SMALLEST_DEVIATION: f64 = 1e-8;

#[cfg(test)]
mod tests {
    use super::*;

    const REWARDS: [f32; 3] = [1.0, 2.0, 3.0];
    const VALUES: [f32; 3] = [0.5, 1.0, 1.5];

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        let near = found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6);
        assert!(near, "{found:?} is not {expected:?}");
    }

    // Discount 0.5, lambda 0.5: errors are 1 + 0.5·1 − 0.5 = 1, 2 + 0.5·1.5 − 1 = 1.75 and, after an end, 3 − 1.5 = 1.5;
    // each advantage is the error and a quarter of the next advantage.
    #[test]
    fn an_ended_episode_as_computed_by_hand() {
        let after = [After::Row, After::Row, After::End];
        close(&advantages(&REWARDS, &VALUES, &after, &[], 0.5, 0.5), &[1.53125, 2.125, 1.5]);
    }

    // The value 4 of what was seen last adds 0.5·4 to the last error, and a quarter of that to the one before.
    #[test]
    fn a_cut_episode_counts_on_with_the_value_of_what_was_seen_last() {
        let after = [After::Row, After::Row, After::Cut];
        close(&advantages(&REWARDS, &VALUES, &after, &[4.0], 0.5, 0.5), &[1.65625, 2.625, 3.5]);
    }

    #[test]
    fn nothing_crosses_an_end_or_a_cut() {
        let after = [After::Cut, After::End, After::Cut];
        let found = advantages(&REWARDS, &VALUES, &after, &[8.0, 4.0], 0.5, 0.5);
        close(&found, &[1.0 + 4.0 - 0.5, 2.0 - 1.0, 3.0 + 2.0 - 1.5]);
    }

    #[test]
    fn lambda_of_one_gives_returns_less_values() {
        let after = [After::Row, After::Row, After::End];
        let found = advantages(&REWARDS, &VALUES, &after, &[], 0.5, 1.0);
        close(&found, &[1.0 + 0.5 * 2.0 + 0.25 * 3.0 - 0.5, 2.0 + 0.5 * 3.0 - 1.0, 3.0 - 1.5]);
    }

    #[test]
    fn normalised_advantages_have_mean_0_and_deviation_1() {
        let mut advantages = [1.0, 3.0, 5.0, 7.0];
        normalise(&mut advantages);
        let unit = 5.0f32.sqrt();
        close(&advantages, &[-3.0 / unit, -1.0 / unit, 1.0 / unit, 3.0 / unit]);
        let mut equal = [2.0; 3];
        normalise(&mut equal);
        assert_eq!(equal, [0.0; 3]);
    }
}
