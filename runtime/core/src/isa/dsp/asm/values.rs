//! Gathering values, sums of values, and products with portable weights.

use core::arch::naked_asm;

/// Arguments of [`gather`].
#[repr(C)]
pub(in super::super) struct Gather {
    /// First value of the first pixel.
    pub(in super::super) x: *const i8,
    /// Bytes from one pixel to the next.
    pub(in super::super) pixel: usize,
    /// Where the words go.
    pub(in super::super) out: *mut u32,
    /// Fours of values in a run.
    pub(in super::super) fours: usize,
    /// Whether one more value ends a run.
    pub(in super::super) single: usize,
    /// Runs.
    pub(in super::super) runs: usize,
    /// Bytes from behind one run to the next.
    pub(in super::super) next: usize,
}

/// Runs of values of each of three pixels as the tap pairs that [`tile`] reads.
///
/// # Safety
/// Each run has `4 * fours + single` values at three pixels, and the next begins `next` behind it; `out` has room for
/// `6 * fours + 3 * single` words for each run. There are runs.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn gather(arguments: *const Gather) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r3-r11, lr}}",
        "ldm r0, {{r0, r1, r2, r10, r11, r12, lr}}",
        // r0 place of the first pixel, r1 distance of pixels, r2 output, r3 pairs of fours, r4-r9 values.
        "1:",
        "lsrs r3, r10, #1",
        "bcs 3f",
        "beq 5f",
        "2:",
        ".irp half, 0, 1",
        "ldr r5, [r0, r1]",
        "ldr r6, [r0, r1, lsl #1]",
        "ldr r4, [r0], #4",
        ".if \\half == 1",
        "4:",
        ".endif",
        "sxtb16 r7, r4, ror #8",
        "sxtb16 r8, r5, ror #8",
        "sxtb16 r9, r6, ror #8",
        "sxtb16 r4, r4",
        "sxtb16 r5, r5",
        "sxtb16 r6, r6",
        "stm r2!, {{r4-r9}}",
        ".endr",
        "subs r3, r3, #1",
        "bne 2b",
        "5:",
        "cmp r11, #0",
        "beq 6f",
        "ldrsb r5, [r0, r1]",
        "add r4, r0, r1, lsl #1",
        "ldrsb r6, [r4]",
        "ldrsb r4, [r0], #1",
        "stm r2!, {{r4-r6}}",
        "6:",
        "add r0, r0, lr",
        "subs r12, r12, #1",
        "bne 1b",
        "pop {{r3-r11, pc}}",
        // The odd four first.
        "3:",
        "ldr r5, [r0, r1]",
        "ldr r6, [r0, r1, lsl #1]",
        "ldr r4, [r0], #4",
        "add r3, r3, #1",
        "b 4b",
    )
}

/// Sums of products of `x - zero` with four rows of weights.
///
/// # Safety
/// From `x` to `end` there is a number of values that divides by four, and from `rows` on as many in each of the four rows,
/// which are `stride` bytes apart; there are some.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn dots(arguments: *const Dots) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r0, r4-r11, lr}}",
        "ldm r0, {{r8-r10, r12, lr}}",
        "add r11, r9, r10",
        "add r11, r11, r10, lsl #1",
        "movs r0, #0",
        "movs r1, #0",
        "movs r2, #0",
        "movs r3, #0",
        // r0-r3 sums, r4-r5 values, r6-r7 weights, r8 place of the values, r9-r11 rows, r12 zero, lr end.
        "1:",
        "ldr r4, [r8], #4",
        "ldr r6, [r9, r10]",
        "sxtab16 r5, r12, r4, ror #8",
        "sxtab16 r4, r12, r4",
        "sxtb16 r7, r6, ror #8",
        "sxtb16 r6, r6",
        "smlad r1, r7, r5, r1",
        "smlad r1, r6, r4, r1",
        "ldr r6, [r9, r10, lsl #1]",
        "sxtb16 r7, r6, ror #8",
        "sxtb16 r6, r6",
        "smlad r2, r7, r5, r2",
        "smlad r2, r6, r4, r2",
        "ldr r6, [r9], #4",
        "sxtb16 r7, r6, ror #8",
        "sxtb16 r6, r6",
        "smlad r0, r7, r5, r0",
        "smlad r0, r6, r4, r0",
        "ldr r6, [r11], #4",
        "sxtb16 r7, r6, ror #8",
        "sxtb16 r6, r6",
        "smlad r3, r7, r5, r3",
        "smlad r3, r6, r4, r3",
        "cmp r8, lr",
        "bne 1b",
        "ldr r4, [sp]",
        "ldr r4, [r4, #20]",
        "stm r4, {{r0-r3}}",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Arguments of [`dots`].
#[repr(C)]
pub(in super::super) struct Dots {
    /// Values.
    pub(in super::super) x: *const i8,
    /// First row.
    pub(in super::super) rows: *const i8,
    /// Bytes from one row to the next.
    pub(in super::super) stride: usize,
    /// Minus the zero point in both halves.
    pub(in super::super) zero: u32,
    /// End of the values.
    pub(in super::super) end: *const i8,
    /// Where the sums go.
    pub(in super::super) sums: *mut i32,
}

/// Sum of products of `x + zero` with `w + weight_zero`, the zero points negated and in both halves.
///
/// # Safety
/// From `x` to `end` there is a number of values that divides by four, and from `w` on as many; there are some.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn dot(
    x: *const i8,
    w: *const i8,
    end: *const i8,
    zero: u32,
    weight_zero: u32,
) -> i32 {
    naked_asm!(
        ".cpu cortex-m4",
        "ldr r12, [sp]",
        "push {{r4-r8}}",
        "movs r4, #0",
        "1:",
        "ldr r5, [r0], #4",
        "ldr r6, [r1], #4",
        "cmp r0, r2",
        "sxtab16 r7, r3, r5",
        "sxtab16 r5, r3, r5, ror #8",
        "sxtab16 r8, r12, r6",
        "sxtab16 r6, r12, r6, ror #8",
        "smlad r4, r7, r8, r4",
        "smlad r4, r5, r6, r4",
        "bne 1b",
        "mov r0, r4",
        "pop {{r4-r8}}",
        "bx lr",
    )
}

/// Adds values to sums, four at once.
///
/// # Safety
/// There are `4 * fours` values and sums, and some.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn accumulate(x: *const i8, sums: *mut i32, fours: usize) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r6, lr}}",
        "1:",
        "ldr r3, [r0], #4",
        "ldm r1, {{r4, r5, r6, r12}}",
        "sxtab r4, r4, r3",
        "sxtab r5, r5, r3, ror #8",
        "sxtab r6, r6, r3, ror #16",
        "sxtab r12, r12, r3, ror #24",
        "stm r1!, {{r4, r5, r6, r12}}",
        "subs r2, r2, #1",
        "bne 1b",
        "pop {{r4-r6, pc}}",
    )
}
