//! What a stochastic policy's outputs mean: probabilities of actions, or a normal distribution of each number.
//!
//! Tensors are `[rows, 1, 1, c]` where the policy has `c` outputs; results are `[rows, 1, 1, 1]`. Actions come as rows of
//! `c` numbers too: those of a discrete space are 1 at the action taken and 0 elsewhere.

use crate::graph::normal;
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use rand::Rng;
use rand_pcg::Pcg64;
use std::f64::consts::PI;

/// Logarithm of the probability of `actions` under softmax of `logits`.
pub fn categorical_log_prob(logits: Tensor<4>, actions: Tensor<4>) -> Tensor<4> {
    (log_softmax(logits, 3) * actions).sum_dim(3)
}

/// Entropy of softmax of `logits`, in nats.
pub fn categorical_entropy(logits: Tensor<4>) -> Tensor<4> {
    let log = log_softmax(logits, 3);
    (log.clone().exp() * log).sum_dim(3).neg()
}

/// Logarithm of the density of `actions` under independent normal distributions.
pub fn gaussian_log_prob(mean: Tensor<4>, log_std: Tensor<4>, actions: Tensor<4>) -> Tensor<4> {
    let distance = (actions - mean) * log_std.clone().neg().exp();
    let half_log_tau = 0.5 * (2.0 * PI).ln();
    (distance.clone() * distance * -0.5 - log_std - half_log_tau).sum_dim(3)
}

/// Differential entropy of independent normal distributions, in nats.
pub fn gaussian_entropy(log_std: Tensor<4>) -> Tensor<4> {
    (log_std + 0.5 * (1.0 + (2.0 * PI).ln())).sum_dim(3)
}

/// Draws an action with the probabilities that softmax of `logits` gives.
pub fn draw_categorical(logits: &[f32], rng: &mut Pcg64) -> usize {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights = || logits.iter().map(|l| f64::from(l - largest).exp());
    let mut target = rng.random::<f64>() * weights().sum::<f64>();
    for (action, weight) in weights().enumerate() {
        target -= weight;
        if target < 0.0 {
            return action;
        }
    }
    logits.len() - 1
}

/// Draws numbers from normal distributions.
pub fn draw_gaussian(mean: &[f32], log_std: &[f32], rng: &mut Pcg64) -> Vec<f32> {
    let draw = |(m, s): (&f32, &f32)| (f64::from(*m) + f64::from(*s).exp() * normal(rng)) as f32;
    mean.iter().zip(log_std).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn rows<const N: usize>(data: [f32; N], rows: usize) -> Tensor<4> {
        Tensor::from_data(TensorData::new(data.to_vec(), [rows, 1, 1, N / rows]), &Device::flex())
    }

    fn close(found: Tensor<4>, expected: &[f64]) {
        assert_eq!(found.dims(), [expected.len(), 1, 1, 1]);
        let found: Vec<f32> = found.into_data().try_into_vec().unwrap();
        let near = found.iter().zip(expected).all(|(f, e)| (f64::from(*f) - e).abs() < 1e-5);
        assert!(near, "{found:?} is not {expected:?}");
    }

    // Logits that are logarithms of 1, 2, 5 and 1, 1, 6: probabilities of eighths.
    fn eighths() -> Tensor<4> {
        rows([0.0, 2.0f32.ln(), 5.0f32.ln(), 3.0, 3.0, 3.0 + 6.0f32.ln()], 2)
    }

    #[test]
    fn probabilities_of_actions_are_softmax() {
        let taken = rows([0.0, 1.0, 0.0, 0.0, 0.0, 1.0], 2);
        close(categorical_log_prob(eighths(), taken), &[0.25f64.ln(), 0.75f64.ln()]);
    }

    #[test]
    fn entropy_of_actions_is_that_of_their_probabilities() {
        let entropy = |p: [f64; 3]| -p.iter().map(|p| p * p.ln()).sum::<f64>();
        let expected = [entropy([0.125, 0.25, 0.625]), entropy([0.125, 0.125, 0.75])];
        close(categorical_entropy(eighths()), &expected);
        close(categorical_entropy(rows([7.0; 4], 1)), &[4.0f64.ln()]);
    }

    #[test]
    fn densities_are_those_of_normal_distributions() {
        let (mean, std, at) = ([0.5, -1.0], [2.0f64, 0.25], [1.5, -1.1]);
        let density = |i: usize| {
            let z: f64 = (at[i] - mean[i]) / std[i];
            (-0.5 * z * z).exp() / (std[i] * (2.0 * PI).sqrt())
        };
        let f = |v: [f64; 2]| rows(v.map(|x| x as f32), 1);
        let found = gaussian_log_prob(f(mean), f(std.map(f64::ln)), f(at));
        close(found, &[(density(0) * density(1)).ln()]);
    }

    #[test]
    fn entropy_of_normal_distributions_grows_with_the_deviation() {
        let expected = |std: f64| 0.5 * (2.0 * PI * std::f64::consts::E * std * std).ln();
        let log_std = rows([2.0f32.ln(), 0.5f32.ln(), 0.0, 0.0], 2);
        close(gaussian_entropy(log_std), &[expected(2.0) + expected(0.5), 2.0 * expected(1.0)]);
    }

    #[test]
    fn draws_have_the_distribution() {
        const DRAWS: usize = 20_000;
        let mut rng = Pcg64::new(1, 1);
        let logits = [0.0, 2.0f32.ln(), 5.0f32.ln()];
        let mut counts = [0; 3];
        (0..DRAWS).for_each(|_| counts[draw_categorical(&logits, &mut rng)] += 1);
        for (count, p) in counts.iter().zip([0.125, 0.25, 0.625]) {
            // Four standard errors of a share are at most 0.015.
            assert!((f64::from(*count) / DRAWS as f64 - p).abs() < 0.015, "{counts:?}");
        }
        let draws: Vec<f64> =
            (0..DRAWS).map(|_| f64::from(draw_gaussian(&[3.0], &[0.5f32.ln()], &mut rng)[0])).collect();
        let mean = draws.iter().sum::<f64>() / DRAWS as f64;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / DRAWS as f64;
        assert!((mean - 3.0).abs() < 0.015 && (variance - 0.25).abs() < 0.015, "{mean} {variance}");
    }
}
