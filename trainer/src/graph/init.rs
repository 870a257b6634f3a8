//! Parameters before training.

use crate::ops::Init;
use rand::Rng;

/// Elements of a parameter of these sizes.
pub(super) fn initial(init: Init, dims: &[usize], rng: &mut rand_pcg::Pcg64) -> Vec<f32> {
    let count = dims.iter().product();
    match init {
        Init::Zeros => vec![0.0; count],
        Init::Ones => vec![1.0; count],
        Init::Constant { value } => vec![value; count],
        Init::HeNormal { fan_in } => {
            let std = (2.0 / fan_in as f64).sqrt();
            (0..count).map(|_| (std * normal(rng)) as f32).collect()
        }
        Init::GlorotUniform { fan_in, fan_out } => {
            let limit = (6.0 / (fan_in + fan_out) as f64).sqrt();
            (0..count).map(|_| (limit * (2.0 * rng.random::<f64>() - 1.0)) as f32).collect()
        }
        Init::Bilinear { stride } => {
            let (kh, kw, c_in) = (dims[1], dims[2], dims[3]);
            let tap = |k: usize, size: usize| {
                let centre = (size as f32 - 1.0) / 2.0;
                (1.0 - (k as f32 - centre).abs() / stride as f32).max(0.0)
            };
            (0..count)
                .map(|i| {
                    let (o, y, x, c) = (i / (kh * kw * c_in), i / (kw * c_in) % kh, i / c_in % kw, i % c_in);
                    if o == c { tap(y, kh) * tap(x, kw) } else { 0.0 }
                })
                .collect()
        }
    }
}

/// One standard normal number (Box and Muller).
pub(crate) fn normal(rng: &mut rand_pcg::Pcg64) -> f64 {
    let u: f64 = 1.0 - rng.random::<f64>();
    let v: f64 = rng.random();
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_its_variance() {
        let mut rng = rand_pcg::Pcg64::new(3, 5);
        for (init, expected) in
            [(Init::HeNormal { fan_in: 50 }, 0.04), (Init::GlorotUniform { fan_in: 30, fan_out: 20 }, 0.04)]
        {
            let values = initial(init, &[200, 200], &mut rng);
            let mean: f32 = values.iter().sum::<f32>() / values.len() as f32;
            let variance: f32 = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
            // 40,000 numbers: a hundredth is several standard errors.
            assert!(
                mean.abs() < 0.01 && (variance / expected - 1.0).abs() < 0.05,
                "{init:?}: {mean} {variance}"
            );
            let limit = (6.0f32 / 50.0).sqrt();
            assert_eq!(values.iter().all(|v| v.abs() <= limit), matches!(init, Init::GlorotUniform { .. }));
        }
    }
}
