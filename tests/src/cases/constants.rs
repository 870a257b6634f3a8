//! Draws of what operators are given: scales, activations, factors.

use super::Feature;
use crate::draw::Draw;
use crate::oracle::Factor;
use dunlin::quant::{Clamp, Clamp16, QParams, Requant};

/// Draws scale and zero point of an int8 tensor.
pub fn quant(draw: &mut Draw<'_>) -> QParams {
    let zero_point = match draw.range(0, 5) {
        0 | 1 => 0,
        2 => -128,
        3 => 127,
        _ => draw.range(-128, 127) as i16,
    };
    QParams { scale: draw.pick(&[0.05, 0.007, 0.3, 1.0, 1.0 / 256.0, 7.5e-5]), zero_point }
}

/// Draws a fused activation; none for the choice 0.
pub fn clamp(draw: &mut Draw<'_>) -> Clamp {
    match draw.range(0, 4) {
        0 | 1 => Clamp::FULL,
        2 => Clamp { min: 0, max: 127 },
        3 => {
            let value = draw.range(-128, 127) as i8;
            Clamp { min: value, max: value }
        }
        _ => {
            let (a, b) = (draw.range(-128, 127) as i8, draw.range(-128, 127) as i8);
            Clamp { min: a.min(b), max: a.max(b) }
        }
    }
}

/// Draws a fused activation of 16-bit values; none for the choice 0.
pub fn clamp16(draw: &mut Draw<'_>) -> Clamp16 {
    match draw.range(0, 4) {
        0 | 1 => Clamp16::FULL,
        2 => Clamp16 { min: 0, max: i16::MAX },
        _ => {
            let mut end = || draw.range(i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
            let (a, b) = (end(), end());
            Clamp16 { min: a.min(b), max: a.max(b) }
        }
    }
}

/// Draws a factor for sums of about `2^bits`: mostly one that leaves a result of some seven bits.
pub fn requant(draw: &mut Draw<'_>, bits: i64) -> (Requant, Factor, Option<Feature>) {
    requant_to(draw, 7 - bits, 30)
}

/// Draws a factor of about `2^power`, with a shift of at most `largest`.
pub fn requant_to(draw: &mut Draw<'_>, power: i64, largest: i64) -> (Requant, Factor, Option<Feature>) {
    let style = draw.range(0, 9);
    let multiplier = match style {
        9 => 0,
        8 => draw.pick(&[1 << 30, i64::from(i32::MAX)]),
        _ => draw.range(1 << 30, i64::from(i32::MAX)),
    };
    let (shift, feature) = match style {
        9 => (draw.range(-31, largest), Some(Feature::ZeroMultiplier)),
        7 => (draw.range(-31, largest), None),
        6 => (draw.range(0, largest), Some(Feature::Saturating)),
        _ => ((power + draw.range(-1, 2)).clamp(-31, largest), None),
    };
    let requant = Requant { multiplier: multiplier as i32, shift: shift as i8 };
    (requant, Factor { multiplier, shift }, feature)
}
