//! Elementwise kernels on the device.
#![allow(unsafe_code, reason = "instructions that the compiler does not choose")]

use super::asm::Dots;
use crate::isa::{Isa, Reduction, Scalar, Source, SumParams};
use crate::quant::{Clamp, Requant};
use core::arch::{asm, naked_asm};

/// Arguments of [`sum`].
#[repr(C)]
struct Sum {
    /// Zero point of the operand that is exactly `x * 2^20`, in these units.
    exact_zero: i32,
    /// Zero point of the other operand times 2^21, its multiplier, rounding and shift.
    zero: i32,
    scale: [i32; 3],
    /// Multiplier, rounding and shift of the sum.
    output: [i32; 3],
    out: *mut i8,
    other: *const i8,
    end: *const i8,
    /// Whether the operand in `out` is the exact one.
    out_is_exact: usize,
}

/// `out = scale(out + other)`, four at once.
///
/// # Safety
/// From `out` to `end` there is a number of values that divides by four, and from `other` on as many; there are some.
#[unsafe(naked)]
unsafe extern "C" fn sum(arguments: *const Sum) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r3-r11, lr}}",
        "ldm r0!, {{r1-r10}}",
        "ldrd r11, r12, [r0]",
        "str r11, [sp]",
        "cmp r12, #0",
        "beq.w 2f",
        // r1 zero of the exact operand, r2-r5 zero and scale of the other, r6-r8 scale of the sum, r9 and r10 places.
        ".irp exact, 1, 2",
        "\\exact:",
        ".if \\exact == 1",
        "ldr r11, [r9]",
        "ldr r12, [r10], #4",
        ".else",
        "ldr r12, [r9]",
        "ldr r11, [r10], #4",
        ".endif",
        ".irp byte, 0, 8, 16, 24",
        "sxtb.w r0, r12, ror #\\byte",
        "rsb r0, r2, r0, lsl #21",
        "add lr, r4, r0, asr #31",
        "smmlar r0, r0, r3, lr",
        "asrs r0, r0, r5",
        "sxtb.w lr, r11, ror #\\byte",
        "rsb lr, r1, lr, lsl #20",
        "add r0, lr, r0, lsl #1",
        "add lr, r7, r0, asr #31",
        "smmlar r0, r0, r6, lr",
        "asrs r0, r0, r8",
        "ssat r0, #8, r0",
        "strb r0, [r9], #1",
        ".endr",
        "ldr r0, [sp]",
        "cmp r9, r0",
        "bne \\exact\\()b",
        ".if \\exact == 1",
        "b 3f",
        ".endif",
        ".endr",
        "3:",
        "pop {{r3-r11, pc}}",
    )
}

/// Largest shift of the sum with which its rounding, which holds the zero point, has room beside the quotient.
const SHIFT: i8 = 23;

/// Multiplier, rounding and shift of a factor below one half.
fn scale(factor: Requant, zero: i32) -> Option<[i32; 3]> {
    let Requant { multiplier, shift } = factor;
    let shift = if multiplier == 0 { -1 } else { shift };
    let shift = (-SHIFT..=-1).contains(&shift).then_some(-i32::from(shift))?;
    Some([multiplier, (1 << (shift - 1)) + (zero << shift), shift])
}

/// The sum where one operand has the factor one half, which is exact, and the other a smaller one: that is always
/// so where scales differ.
///
/// `|x - zero| <= 255`, so the exact operand is below 2^28 in these units, the other too, and twice their sum below
/// 2^30.
pub(super) fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    let half = Requant { multiplier: 1 << 30, shift: 0 };
    let exact = p.scale.iter().position(|&factor| factor == half).filter(|_| p.left_shift == 20);
    let other = exact.and_then(|exact| scale(p.scale[1 - exact], 0));
    let (Some(exact), Some(other), Some(output), true) =
        (exact, other, scale(p.output, p.output_zero), b.len() == out.len())
    else {
        return Scalar::add(p, a, b, out);
    };
    if let Source::From(a) = a {
        let common = a.len().min(out.len());
        out[..common].copy_from_slice(&a[..common]);
    }
    let whole = out.len() / 4 * 4;
    let (fours, rest) = out.split_at_mut(whole);
    if whole > 0 {
        let ends = fours.as_mut_ptr_range();
        let arguments = Sum {
            exact_zero: p.zero[exact] << 20,
            zero: p.zero[1 - exact] << 21,
            scale: other,
            output,
            out: ends.start,
            other: b.as_ptr(),
            end: ends.end,
            out_is_exact: usize::from(exact == 0),
        };
        // SAFETY: `fours` is not empty and divides by four, and `b` is at least as long.
        unsafe { sum(&arguments) };
        limit(p.clamp, fours);
    }
    Scalar::add(p, Source::InPlace, &b[whole..], rest);
}

/// Limits saturated values to the range of an activation.
pub(super) fn limit(clamp: Clamp, out: &mut [i8]) {
    if clamp == Clamp::FULL {
        return;
    }
    let (min, max) = ([clamp.min; 4].map(|x| x as u8), [clamp.max; 4].map(|x| x as u8));
    let (min, max) = (u32::from_le_bytes(min), u32::from_le_bytes(max));
    let mut fours = out.chunks_exact_mut(4);
    for four in fours.by_ref() {
        let bytes = u32::from_le_bytes([four[0], four[1], four[2], four[3]].map(|x| x as u8));
        let bytes = least(largest(bytes, min), max).to_le_bytes();
        four.copy_from_slice(&bytes.map(|x| x as i8));
    }
    fours.into_remainder().iter_mut().for_each(|y| *y = (*y).max(clamp.min).min(clamp.max));
}

/// `out[i] = max(out[i], row[i])`.
pub(super) fn max(row: &[i8], out: &mut [i8]) {
    let word = |four: &[i8]| u32::from_le_bytes([four[0], four[1], four[2], four[3]].map(|x| x as u8));
    let mut fours = out.chunks_exact_mut(4);
    let rows = row.chunks_exact(4);
    let rest = rows.remainder();
    for (out, row) in fours.by_ref().zip(rows) {
        let bytes = largest(word(out), word(row)).to_le_bytes();
        out.copy_from_slice(&bytes.map(|x| x as i8));
    }
    fours.into_remainder().iter_mut().zip(rest).for_each(|(out, &x)| *out = (*out).max(x));
}

/// The larger of each two signed bytes.
fn largest(a: u32, b: u32) -> u32 {
    let bytes;
    // SAFETY: instructions on registers; both read and write the flags that the compiler is told of.
    unsafe {
        asm!("ssub8 {t}, {a}, {b}", "sel {t}, {a}, {b}", t = out(reg) bytes, a = in(reg) a, b = in(reg) b,
            options(pure, nomem, nostack));
    }
    bytes
}

/// The smaller of each two signed bytes.
fn least(a: u32, b: u32) -> u32 {
    let bytes;
    // SAFETY: as above.
    unsafe {
        asm!("ssub8 {t}, {a}, {b}", "sel {t}, {b}, {a}", t = out(reg) bytes, a = in(reg) a, b = in(reg) b,
            options(pure, nomem, nostack));
    }
    bytes
}

/// Minus a zero point in both halves of a word.
fn negated(zero: i32) -> u32 {
    let half = zero.wrapping_neg() as u32;
    half << 16 | half & 0xffff
}

/// `sum_k (x[k] - input_zero) * (w[k] - weight_zero)`.
pub(super) fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
    let len = x.len().min(w.len());
    let whole = len / 4 * 4;
    let rest = Scalar::dot(&x[whole..len], &w[whole..len], input_zero, weight_zero);
    if whole == 0 {
        return rest;
    }
    let end = x[..whole].as_ptr_range().end;
    // SAFETY: `whole` is a multiple of four, not zero, and both slices are as long.
    let sum =
        unsafe { super::asm::dot(x.as_ptr(), w.as_ptr(), end, negated(input_zero), negated(weight_zero)) };
    sum.wrapping_add(rest)
}

/// `sums[i] = sum_k (x[k] - input_zero) * w[i, k]`.
pub(super) fn dots(x: &[i8], w: &[i8], input_zero: i32, sums: &mut [i32]) {
    let (k, whole) = (x.len(), x.len() / 4 * 4);
    if whole == 0 || sums.len() < 4 {
        for (sum, w) in sums.iter_mut().zip(w.chunks_exact(k)) {
            *sum = dot(x, w, input_zero, 0);
        }
        return;
    }
    let last = sums.len() - 4;
    for at in (0..sums.len()).step_by(4) {
        // The last four overlap those before.
        let at = at.min(last);
        let (Some(w), Some(sums)) = (w.get(at * k..(at + 4) * k), sums.get_mut(at..at + 4)) else { return };
        let arguments = Dots {
            x: x.as_ptr(),
            rows: w.as_ptr(),
            stride: k,
            zero: negated(input_zero),
            end: x[..whole].as_ptr_range().end,
            sums: sums.as_mut_ptr(),
        };
        // SAFETY: four rows of `k >= whole` weights and four sums; `whole` is a multiple of four and not zero.
        unsafe { super::asm::dots(&arguments) };
        if whole < k {
            for (sum, w) in sums.iter_mut().zip(w.chunks_exact(k)) {
                *sum = sum.wrapping_add(Scalar::dot(&x[whole..], &w[whole..], input_zero, 0));
            }
        }
    }
}

/// Matrix product with portable weights.
pub(super) fn portable(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
    if p.weight_zero != 0 {
        return Scalar::matmul(p, k, rows, out, scratch);
    }
    for (row, out) in rows.chunks_exact(k).zip(out.chunks_exact_mut(p.n)) {
        let mut sums = [0; ROWS];
        for (block, out) in out.chunks_mut(ROWS).enumerate() {
            let from = block * ROWS;
            let sums = &mut sums[..out.len()];
            dots(row, &p.weights[from * k..], p.input_zero, sums);
            for (i, (out, &sum)) in out.iter_mut().zip(&*sums).enumerate() {
                *out = p.finish(from + i, sum);
            }
        }
    }
}

/// Channels of a product with portable weights at once.
const ROWS: usize = 16;

/// `sums[i] += rows[k, i]` for all rows.
pub(super) fn accumulate(rows: &[i8], sums: &mut [i32]) {
    let whole = sums.len() / 4 * 4;
    for row in rows.chunks_exact(sums.len().max(1)) {
        let (fours, rest) = sums.split_at_mut(whole);
        if whole > 0 {
            // SAFETY: both have `whole` elements, which is a multiple of four and not zero.
            unsafe { super::asm::accumulate(row.as_ptr(), fours.as_mut_ptr(), whole / 4) };
        }
        rest.iter_mut().zip(&row[whole..]).for_each(|(sum, &x)| *sum = sum.wrapping_add(x.into()));
    }
}

/// `out[n] = saturated(factor * (bias[n] + sum_k (x[k] - zero) * w[n, k]))`; without biases, added to `out`.
pub(super) fn project(x: &[i8], w: &[i8], zero: i32, bias: Option<&[i32]>, factor: Requant, out: &mut [i16]) {
    /// Rows at once: those of a small cell.
    const ROWS: usize = 32;
    for (block, (w, out)) in w.chunks(ROWS * x.len()).zip(out.chunks_mut(ROWS)).enumerate() {
        let mut sums = [0; ROWS];
        dots(x, w, zero, &mut sums[..out.len()]);
        let scaled = |sum: i32| factor.apply(sum).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        match bias {
            Some(bias) => {
                let biases = bias.iter().skip(block * ROWS);
                for ((out, &sum), &bias) in out.iter_mut().zip(&sums).zip(biases) {
                    *out = scaled(bias.wrapping_add(sum));
                }
            }
            None => out.iter_mut().zip(&sums).for_each(|(out, &sum)| *out = out.saturating_add(scaled(sum))),
        }
    }
}
