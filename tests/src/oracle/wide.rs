//! Operators on 16-bit values, after TensorFlow Lite's `reference_integer_ops` and `reference_ops::SoftmaxInt16`.

use super::pool::window;
use super::{Factor, Geometry, Grid, rescale};

const LOW: i64 = i16::MIN as i64;
const HIGH: i64 = i16::MAX as i64;

/// The low 16 bits, signed.
fn wrap16(x: i64) -> i64 {
    i64::from(x as i16)
}

/// The low 32 bits, unsigned.
fn unsigned32(x: i64) -> i64 {
    x.rem_euclid(1 << 32)
}

/// Average over the taps inside of the image, half away from zero.
pub fn average_pool16(x: &Grid, g: &Geometry, range: [i64; 2], size: [usize; 4]) -> Grid {
    Grid::build(size, |index| {
        let taps = window(x, g, index);
        let (count, sum) = (taps.len() as i64, taps.iter().map(|&(value, _)| value).sum::<i64>());
        (sum.signum() * ((2 * sum.abs() + count / 2 * 2) / (2 * count))).clamp(range[0], range[1])
    })
}

/// `LUTLookup` of one value: 513 entries, 7 bits of interpolation.
fn lookup(x: i64, table: &[i64]) -> i64 {
    let (index, offset) = ((x + 32768) / 128, (x + 32768) % 128);
    let (base, next) = (table[index as usize], table[index as usize + 1]);
    let slope = wrap16(next - base);
    wrap16(base + (slope * offset + 64).div_euclid(128))
}

/// An interpolated table.
pub fn interpolate(x: &Grid, table: &[i64]) -> Grid {
    Grid::build(x.size, |index| lookup(x.at(index), table))
}

/// One factor from zero up and another below, whose signs `flip` turns; then the range.
pub fn rectify(x: &Grid, factors: [Factor; 2], flip: [bool; 2], range: [i64; 2]) -> Grid {
    Grid::build(x.size, |index| {
        let x = x.at(index);
        let (factor, flip) = if x >= 0 { (factors[0], flip[0]) } else { (factors[1], flip[1]) };
        rescale(if flip { -x } else { x }, factor).clamp(range[0], range[1])
    })
}

/// Argument of the sigmoid table: a product in 32 bits, shifted right with rounding.
fn argument(x: i64, multiplier: i64, shift: u32) -> i64 {
    let half = if shift > 0 { 1i64 << (shift - 1) } else { 0 };
    super::wrap32(x * multiplier + half) >> shift
}

/// Interpolated magnitude of the logistic function at `|x|`, with `bits` of fraction; `end` beyond the table.
fn sigmoid(x: i64, table: &[i64], bits: u32, end: i64) -> i64 {
    let (index, t) = (x.abs() >> bits, x.abs() % (1 << bits));
    match index {
        0..=254 => {
            let (a, b) = (table[index as usize], table[index as usize + 1]);
            unsigned32((a << bits) + t * (b - a))
        }
        _ => end,
    }
}

/// `Logistic` on int16.
pub fn logistic16(x: &Grid, table: &[i64], multiplier: i64, shift: u32) -> Grid {
    Grid::build(x.size, |index| {
        let x = argument(x.at(index), multiplier, shift);
        let magnitude = sigmoid(x, table, 9, 0x7fff << 10);
        let value = if x >= 0 { magnitude + 512 } else { (1 << 25) - magnitude + 511 };
        wrap16(unsigned32(value) >> 10)
    })
}

/// `Tanh` on int16.
pub fn tanh16(x: &Grid, table: &[i64], multiplier: i64, shift: u32) -> Grid {
    Grid::build(x.size, |index| {
        let x = argument(x.at(index), multiplier, shift);
        let magnitude = sigmoid(x, table, 8, 0xffff << 8);
        let signed = super::wrap32(magnitude);
        let value = if x >= 0 { signed - (1 << 23) + 128 } else { -signed + (1 << 23) + 127 };
        wrap16(super::wrap32(value) >> 8)
    })
}

/// `SoftmaxInt16` over channels.
pub fn softmax16(x: &Grid, factor: Factor, exp: &[i64], reciprocal: &[i64]) -> Grid {
    let rows = x.data.chunks(x.size[3]);
    let data = rows.flat_map(|row| {
        let max = *row.iter().max().expect("no channels");
        let exponentials: Vec<i64> = row
            .iter()
            .map(|&x| lookup((super::wrap32(rescale(x - max, factor) + HIGH)).clamp(LOW, HIGH), exp))
            .collect();
        let sum: i64 = exponentials.iter().sum();
        // The highest bit of the sum becomes bit 16 of a number from 1 to 2 with 16 bits of fraction.
        let highest = i64::from(sum.ilog2());
        let normal = (sum * (1 << (30 - highest)) + (1 << 13)) >> 14;
        let inverse = lookup((normal - (1 << 16) - (1 << 15)).clamp(LOW, HIGH), reciprocal);
        exponentials
            .into_iter()
            .map(move |e| ((e * inverse + (1 << (highest - 1))) >> highest).clamp(0, HIGH))
    });
    Grid { size: x.size, data: data.collect() }
}
