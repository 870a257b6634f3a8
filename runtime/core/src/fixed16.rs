//! Functions of 16-bit values as the reference computes them: interpolated tables, logistic, tanh, softmax.
//!
//! The host fills the tables; a device looks two entries up and interpolates.

#[cfg(feature = "encode")]
use crate::quant::Requant;

/// Entries of an interpolated table: one for every 128 inputs, and one beyond the last.
pub const TABLE_ENTRIES: usize = 513;

/// Entries of the table of the logistic function, for arguments `i / 24`.
pub const SIGMOID_ENTRIES: usize = 256;

/// The table at `x`: the entry of its upper nine bits, and the slope to the next times its lower seven,
/// rounded half up. Wraps where the table is steeper than 16 bits.
#[inline(always)]
pub(crate) fn interpolate(table: &[i16; TABLE_ENTRIES], x: i16) -> i16 {
    let index = (256 + (i32::from(x) >> 7)) as usize;
    let base = table[index];
    let slope = table[index + 1].wrapping_sub(base);
    let delta = (i32::from(slope) * i32::from(x & 0x7f) + 64) >> 7;
    base.wrapping_add(delta as i16)
}

/// Entry of the logistic table and the next one, with the fraction between them: of `|x|` with so many
/// fraction bits. `None` where the function has reached its end.
#[inline(always)]
fn sigmoid_at(table: &[u16; SIGMOID_ENTRIES], x: i32, bits: u32) -> Option<(u32, u32, u32)> {
    let magnitude = x.unsigned_abs();
    let index = (magnitude >> bits) as usize;
    let (&a, &b) = (table.get(index)?, table.get(index + 1)?);
    Some((u32::from(a), u32::from(b), magnitude & ((1 << bits) - 1)))
}

/// Logistic function of `x / 12,288`, in 1/32,768.
#[inline(always)]
pub(crate) fn logistic(table: &[u16; SIGMOID_ENTRIES], x: i32) -> i16 {
    // In 1/2^25: 16 fraction bits of the table and 9 of the argument.
    let magnitude = match sigmoid_at(table, x, 9) {
        Some((a, b, t)) => (a << 9).wrapping_add(t.wrapping_mul(b.wrapping_sub(a))),
        None => 0x7fff << 10,
    };
    let value = if x >= 0 {
        magnitude.wrapping_add(1 << 9)
    } else {
        (1u32 << 25).wrapping_sub(magnitude).wrapping_add((1 << 9) - 1)
    };
    (value >> 10) as i16
}

/// Hyperbolic tangent of `x / 12,288`, in 1/32,768: `2 * logistic(2 x) - 1`.
#[inline(always)]
pub(crate) fn tanh(table: &[u16; SIGMOID_ENTRIES], x: i32) -> i16 {
    // In 1/2^24: 16 fraction bits of the table and 8 of the doubled argument.
    let magnitude = match sigmoid_at(table, x, 8) {
        Some((a, b, t)) => (a << 8).wrapping_add(t.wrapping_mul(b.wrapping_sub(a))) as i32,
        None => 0xffff << 8,
    };
    let value = if x >= 0 {
        magnitude.wrapping_sub(1 << 23).wrapping_add(1 << 7)
    } else {
        magnitude.wrapping_neg().wrapping_add(1 << 23).wrapping_add((1 << 7) - 1)
    };
    (value >> 8) as i16
}

/// `1 / sum` for a sum of at least 2 in Q16.15: a Q0.15 mantissa from the table of `1 / (1 + x)` and the
/// right shift, at least 1, of its product with a Q0.15 value.
pub(crate) fn reciprocal(table: &[i16; TABLE_ENTRIES], sum: i32) -> (i16, u32) {
    let zeros = sum.leading_zeros().clamp(1, 30);
    // The sum over the power of two below it, in Q1.16: 2^16 to 2^17.
    let normal = (((i64::from(sum) << (zeros - 1)) + (1 << 13)) >> 14) as i32;
    let centred = normal.wrapping_sub((1 << 15) + (1 << 16));
    let x = centred.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
    (interpolate(table, x), 31 - zeros)
}

/// Multiplier and right shift that bring an input of a logistic function or hyperbolic tangent to 1/12,288.
#[cfg(feature = "encode")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigmoidScale {
    /// 16 bits; more for scales of 2.67 and above, where products wrap.
    pub multiplier: i32,
    /// Bits to the right, 0 to 31.
    pub shift: u8,
}

#[cfg(feature = "encode")]
impl SigmoidScale {
    /// For the logistic function of an input with this scale. `None` where it is not positive and finite.
    pub fn logistic(scale: f32) -> Option<Self> {
        Self::new(scale, 0)
    }

    /// For the hyperbolic tangent of an input with this scale. `None` where it is not positive and finite.
    pub fn tanh(scale: f32) -> Option<Self> {
        Self::new(scale, 1)
    }

    /// Scales 2^-12 to `2^(largest - 12)` are exact powers; every other gets a multiplier of 15 bits, cut off.
    fn new(scale: f32, largest: i32) -> Option<Self> {
        if !(scale > 0.0 && scale.is_finite()) {
            return None;
        }
        /// The reference's tolerance for a power of two, in its logarithm.
        const TOLERANCE: f32 = 1e-3;
        let log2 = libm::logf(scale) * (1.0 / libm::logf(2.0));
        let rounded = libm::roundf(log2);
        let power = rounded as i32 + 12;
        if (log2 - rounded).abs() < TOLERANCE && (0..=largest).contains(&power) {
            return Some(Self { multiplier: 3 << power, shift: 0 });
        }
        let mut multiplier = f64::from(scale) * 4096.0 * 3.0;
        let mut shift = 0;
        while multiplier <= 32767.0 / 2.0 && shift <= 30 {
            shift += 1;
            multiplier *= 2.0;
        }
        Some(Self { multiplier: multiplier as i32, shift })
    }
}

/// Table of the logistic function in 1/65,536 at `i / 24`.
///
/// Every entry is moved by half of the error that interpolation makes in the middle to the next, and the
/// last is 65,535; with that it is the reference's table.
#[cfg(feature = "encode")]
pub fn sigmoid_table() -> [u16; SIGMOID_ENTRIES] {
    let f = |i: f64| 65536.0 / (1.0 + libm::exp(-i / 24.0));
    let mut table = [u16::MAX; SIGMOID_ENTRIES];
    for (i, entry) in table.iter_mut().enumerate().take(SIGMOID_ENTRIES - 1) {
        let i = i as f64;
        let error = f(i + 0.5) - (f(i) + f(i + 1.0)) / 2.0;
        *entry = libm::round(f(i) + error / 2.0) as u16;
    }
    table
}

/// Interpolated table of `f`, from 16-bit values with one scale to 16-bit values with another, in f32 as the
/// reference fills it.
///
/// The input's zero point is that of the reference's table (its softmax uses the ends of int16). Every entry
/// but the last is moved by half of the error that interpolation makes in the middle to the next. NaN becomes
/// 0 (the reference does not define it).
#[cfg(feature = "encode")]
pub fn table(
    input_scale: f32,
    input_zero: i32,
    output_scale: f32,
    f: impl Fn(f32) -> f32,
) -> [i16; TABLE_ENTRIES] {
    const STEPS: usize = TABLE_ENTRIES - 1;
    let (low, high) = (i32::from(i16::MIN), i32::from(i16::MAX));
    let (input_min, input_max) =
        (input_scale * (low - input_zero) as f32, input_scale * (high - input_zero) as f32);
    let (output_min, output_max) = (output_scale * low as f32, output_scale * high as f32);
    let step = (input_max - input_min) / STEPS as f32;
    let half_step = step / 2.0;
    let per_unit = (high - low + 1) as f32 / (output_max - output_min);
    // `as` saturates and maps NaN to 0.
    let entry = |value: f32| value.clamp(low as f32, high as f32) as i16;
    let mut table = [entry(libm::roundf(f(input_max) * per_unit)); TABLE_ENTRIES];
    for (i, slot) in table.iter_mut().enumerate().take(STEPS) {
        let at = input_min + i as f32 * step;
        let sample = libm::roundf(f(at) * per_unit);
        let next = f(input_min + (i + 1) as f32 * step) * per_unit;
        let interpolated = libm::roundf((next + sample) / 2.0);
        let exact = libm::roundf(f(at + half_step) * per_unit);
        *slot = entry(sample - libm::roundf((interpolated - exact) / 2.0));
    }
    table
}

/// Largest difference of inputs that the exponential's table holds; beyond it the end of the table counts.
#[cfg(feature = "encode")]
const EXP_RANGE: f64 = 10.0;

/// Tables of a 16-bit softmax: the exponential over `-10 ..= 0`, and `1 / (1 + x)` over `0 ..= 1`.
#[cfg(feature = "encode")]
pub fn softmax_tables() -> [[i16; TABLE_ENTRIES]; 2] {
    const RANGE: f32 = 65535.0;
    let unit = 2.0 / RANGE;
    // Rounded once from f64: the nearest f32, which good mathematics libraries give.
    let exp = |x: f32| libm::exp(f64::from(x)) as f32;
    [
        table(EXP_RANGE as f32 / RANGE, i32::from(i16::MAX), unit, exp),
        table(1.0 / RANGE, i32::from(i16::MIN), unit, |x| 1.0 / (1.0 + x)),
    ]
}

/// Factor that brings differences of inputs with this scale, logits multiplied by `beta`, to the table of the
/// exponential. `None` where it is negative, not finite or 2^30 or more.
#[cfg(feature = "encode")]
pub fn softmax_scale(scale: f64, beta: f64) -> Option<Requant> {
    Requant::from_real(scale * beta / (EXP_RANGE / 65535.0))
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use super::*;

    /// Steps of 1/32,768 by which the interpolated functions may miss the exact ones.
    const STEPS: f64 = 4.0;

    #[test]
    fn the_logistic_table_is_the_reference_s() {
        let table = sigmoid_table();
        let sum: u32 = table.iter().map(|&e| u32::from(e)).sum();
        // Entries and sum of `sigmoid_table_uint16` in TensorFlow Lite's kernels/internal/common.h.
        assert_eq!(
            (table[0], table[1], table[100], table[254], table[255]),
            (32768, 33451, 64536, 65534, 65535)
        );
        assert_eq!(sum, 15_670_629);
    }

    #[test]
    fn logistic_and_tanh_follow_the_exact_functions() {
        let table = sigmoid_table();
        for x in (-200_000..200_000).step_by(37) {
            let real = f64::from(x) / 12288.0;
            let exact = 32768.0 / (1.0 + libm::exp(-real));
            assert!((f64::from(logistic(&table, x)) - exact).abs() < STEPS, "logistic({real})");
            let exact = 32768.0 * libm::tanh(real);
            assert!((f64::from(tanh(&table, x)) - exact).abs() < STEPS, "tanh({real})");
        }
        for x in [i32::MIN, i32::MIN + 1] {
            assert_eq!((logistic(&table, x), tanh(&table, x)), (1, -32767));
        }
        assert_eq!((logistic(&table, i32::MAX), tanh(&table, i32::MAX)), (i16::MAX, 32767));
    }

    #[test]
    fn tables_follow_their_functions() {
        let scale = 8.0 / 32768.0;
        let table = table(scale, 0, scale, |x| libm::expf(-x * x) * 4.0);
        for x in (i32::from(i16::MIN)..=32767).step_by(11) {
            let real = f64::from(x) * f64::from(scale);
            let exact = 4.0 * libm::exp(-real * real) / f64::from(scale);
            assert!((f64::from(interpolate(&table, x as i16)) - exact).abs() < STEPS, "{real}");
        }
        let [exp, reciprocal] = softmax_tables();
        assert!(exp.is_sorted() && exp[0] >= 0 && exp[512] == i16::MAX, "{:?}", &exp[..8]);
        assert_eq!((reciprocal[0], reciprocal[512]), (i16::MAX, 16384));
    }

    #[test]
    fn softmax_tables_are_the_reference_s() {
        // Checksums of tables with which TensorFlow Lite Micro's softmax was reproduced on random inputs.
        let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
        let sums = softmax_tables().map(|t| crc.checksum(&t.map(i16::to_le_bytes).concat()));
        assert_eq!(sums, [2_893_938_602, 972_789_333]);
    }

    #[test]
    fn scales_near_a_power_of_two_are_exact() {
        assert_eq!(SigmoidScale::logistic(1.0 / 4096.0), Some(SigmoidScale { multiplier: 3, shift: 0 }));
        assert_eq!(SigmoidScale::logistic(1.0005 / 4096.0), Some(SigmoidScale { multiplier: 3, shift: 0 }));
        assert_eq!(SigmoidScale::tanh(1.0 / 2048.0), Some(SigmoidScale { multiplier: 6, shift: 0 }));
        let half = SigmoidScale { multiplier: 24576, shift: 12 };
        assert_eq!(SigmoidScale::logistic(1.0 / 2048.0), Some(half));
        for scale in [0.0, f32::NAN, f32::INFINITY, -1.0] {
            assert_eq!((SigmoidScale::logistic(scale), SigmoidScale::tanh(scale)), (None, None));
        }
        assert_eq!(SigmoidScale::tanh(f32::MIN_POSITIVE).unwrap().shift, 31);
    }
}
