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
