//! Inverse square roots in fixed point (TensorFlow Lite `L2Normalization`, int8, and `Rsqrt`, int16; layer normalisation).

use super::{Factor, Grid, divide_half_away, finish, high_mul, rescale};

fn saturated(x: i64) -> i64 {
    x.clamp(i64::from(i32::MIN), i64::from(i32::MAX))
}

/// `GetInvSqrtQuantizedMultiplierExp`: a factor of `1 / sqrt(sum)`.
fn inverse_square_root(sum: i64) -> Factor {
    if sum <= 1 {
        return Factor { multiplier: i64::from(i32::MAX), shift: 0 };
    }
    let (mut x, mut right) = (sum, 11);
    while x >= 1 << 29 {
        x /= 4;
        right += 1;
    }
    while x < 1 << 27 {
        x *= 4;
        right -= 1;
    }
    // From here on numbers have 3 integer bits: raw values over 2^28. A product of k of them has 3k.
    let halved = divide_half_away(i128::from(x / 2), 1) as i64;
    let (one, three_halves) = (1i64 << 28, 3i64 << 27);
    let mut y = one;
    for _ in 0..5 {
        let square = high_mul(y, y);
        let cube = saturated(high_mul(square, y) * 64);
        y = saturated((high_mul(three_halves, y) - high_mul(halved, cube)) * 8);
    }
    y = high_mul(y, 1_518_500_250); // sqrt(2) / 2
    match right < 0 {
        true => Factor { multiplier: y << -right, shift: 0 },
        false => Factor { multiplier: y, shift: -right },
    }
}

/// Every row of channels over its norm; output scale 1/128, zero 0. `value_first`: as in the uint8 kernel, which scales
/// 128 times the value.
pub fn l2_normalize(x: &Grid, zero: i64, value_first: bool) -> Grid {
    let data = x.data.chunks(x.size[3]).flat_map(|row| {
        let sum = row.iter().map(|q| (q - zero) * (q - zero)).sum();
        let Factor { multiplier, shift } = inverse_square_root(sum);
        row.iter().map(move |q| {
            let scaled = match value_first {
                true => rescale(128 * (q - zero), Factor { multiplier, shift }),
                false => rescale(q - zero, Factor { multiplier, shift: shift + 7 }),
            };
            scaled.clamp(-128, 127)
        })
    });
    Grid { size: x.size, data: data.collect() }
}

/// `Rsqrt` of 16-bit values: the root with 20 bits of fraction, then a factor. What the reference refuses, a value below
/// zero, is as zero.
pub fn rsqrt16(x: &Grid, factor: Factor) -> Grid {
    Grid::build(x.size, |index| {
        let x = x.at(index);
        if x < 1 {
            return 32_767;
        }
        let Factor { multiplier, shift } = inverse_square_root(x);
        let root = rescale(1, Factor { multiplier, shift: shift + 20 });
        rescale(root, factor).clamp(-32_768, 32_767)
    })
}

/// Largest `r` with `r² ≤ x`, bit by bit.
fn floor_root(x: u128) -> u128 {
    (0..64).rev().fold(0, |root, bit| {
        let next = root | 1 << bit;
        if next * next <= x { next } else { root }
    })
}

/// Constants of a layer normalisation.
pub struct Affine {
    /// Per channel.
    pub gamma: Vec<i64>,
    /// Per channel, in units of normalised value times `gamma`.
    pub beta: Vec<i64>,
    /// Added to `c²` times the variance.
    pub epsilon: i128,
    /// Accumulator to output.
    pub factor: Factor,
    /// Zero point of the output.
    pub zero: i64,
}

/// Layer normalisation as `docs/numerics.md` has it.
pub fn layer_norm(x: &Grid, affine: &Affine) -> Grid {
    let channels = x.size[3] as i128;
    let mut fraction = 15;
    while channels << (2 * fraction) > 1 << 30 {
        fraction -= 1;
    }
    let data = x.data.chunks(x.size[3]).flat_map(|row| {
        let deviation = |q: i64| row.iter().map(|&p| i128::from(q) - i128::from(p)).sum::<i128>();
        // c · Σ d² is c³ times the variance: c² of it is meant.
        let spread = row.iter().map(|&q| deviation(q).pow(2)).sum::<i128>() / channels + affine.epsilon;
        let mut scaled = spread.max(1) as u128;
        let mut doublings = 0;
        while scaled < 1 << 62 {
            scaled *= 4;
            doublings += 1;
        }
        let inverse = ((1i128 << 63) - 1) / floor_root(scaled) as i128;
        let unit = 1i128 << (63 - fraction - doublings);
        row.iter().zip(&affine.gamma).zip(&affine.beta).map(move |((&q, gamma), beta)| {
            // Half up: the floor of the sum with one half.
            let normal = (2 * deviation(q) * inverse + unit).div_euclid(2 * unit);
            let normal = normal.clamp(-32_767, 32_767) as i64;
            finish(rescale(normal * gamma + beta, affine.factor), affine.zero, [-128, 127])
        })
    });
    Grid { size: x.size, data: data.collect() }
}
