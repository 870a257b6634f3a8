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
        Init::Orthogonal { gain } => orthogonal(dims[0], count / dims[0].max(1), gain, rng),
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

/// A matrix whose rows, or columns where there are fewer, are orthogonal and `gain` long (Gram and Schmidt on normal
/// vectors).
fn orthogonal(rows: usize, columns: usize, gain: f32, rng: &mut rand_pcg::Pcg64) -> Vec<f32> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| normal(rng)).collect();
        for other in &vectors {
            let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
            vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let norm = vector.iter().map(|a| a * a).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|a| *a /= norm);
        vectors.push(vector);
    }
    let at =
        |row: usize, column: usize| if rows <= columns { vectors[row][column] } else { vectors[column][row] };
    (0..rows * columns).map(|i| gain * at(i / columns, i % columns) as f32).collect()
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

    #[test]
    fn orthogonal_rows_or_columns_have_the_length() {
        for dims in [[3, 5], [5, 3], [4, 4]] {
            let w = initial(Init::Orthogonal { gain: 2.0 }, &dims, &mut rand_pcg::Pcg64::new(3, 5));
            let [rows, columns] = dims;
            let at =
                |i: usize, k: usize| if rows <= columns { w[i * columns + k] } else { w[k * columns + i] };
            for i in 0..rows.min(columns) {
                for j in 0..rows.min(columns) {
                    let product: f32 = (0..rows.max(columns)).map(|k| at(i, k) * at(j, k)).sum();
                    let expected = if i == j { 4.0 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-5, "{dims:?} {i} {j}: {product}");
                }
            }
        }
    }
}
