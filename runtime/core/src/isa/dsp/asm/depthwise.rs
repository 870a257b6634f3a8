//! Depthwise convolutions.

use core::arch::naked_asm;

/// Arguments of [`depthwise3`].
#[repr(C)]
pub(in super::super) struct Depthwise3 {
    /// First value of the first window.
    pub(in super::super) x: *const i8,
    /// Bytes from one row of the window to the next.
    pub(in super::super) row: usize,
    /// Bytes from one column of the window to the next.
    pub(in super::super) column: usize,
    /// Constants of the first four channels.
    pub(in super::super) constants: *const i32,
    /// Their end.
    pub(in super::super) end: *const i32,
    /// Bytes from behind the last channel of one window to the next window.
    pub(in super::super) advance: usize,
    /// Bytes from behind the last output of one pixel to the next pixel.
    pub(in super::super) skip: usize,
    /// First output.
    pub(in super::super) out: *mut i8,
    /// Pixels.
    pub(in super::super) count: usize,
}

/// Depthwise convolution with a window of 3x3 of several pixels of a row, all inside of the image.
///
/// # Safety
/// There is a value for each channel of `constants..end` at every tap of `count` windows, which go on by `advance` plus
/// the channels, and room for the outputs, which go on by `skip` plus the channels. `constants..end` is a whole
/// number of fours and not empty, `count` is not 0.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn depthwise3(arguments: *mut Depthwise3) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r0, r4-r11, lr}}",
        "ldm r0, {{r8, r9, r11, r12}}",
        "add r10, r8, r9, lsl #1",
        "add r9, r8, r9",
        "ldr lr, [r0, #28]",
        // r0-r3 sums, r4-r5 values, r6-r7 weights, r8-r10 rows of the window, r11 column, r12 constants, lr output.
        "1:",
        "ldm r12!, {{r0-r3}}",
        ".irp tap, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        ".if \\tap == 1",
        "ldr r4, [r8, r11]",
        ".elseif \\tap == 2",
        "ldr r4, [r8, r11, lsl #1]",
        ".elseif \\tap == 3",
        "ldr r4, [r8], #4",
        ".elseif \\tap == 4",
        "ldr r4, [r9, r11]",
        ".elseif \\tap == 5",
        "ldr r4, [r9, r11, lsl #1]",
        ".elseif \\tap == 6",
        "ldr r4, [r9], #4",
        ".elseif \\tap == 7",
        "ldr r4, [r10, r11]",
        ".elseif \\tap == 8",
        "ldr r4, [r10, r11, lsl #1]",
        ".else",
        "ldr r4, [r10], #4",
        ".endif",
        "ldrd r6, r7, [r12], #8",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "smlabb r0, r4, r6, r0",
        "smlatt r2, r4, r6, r2",
        "smlabb r1, r5, r7, r1",
        "smlatt r3, r5, r7, r3",
        ".endr",
        ".irp sum, r0, r1, r2, r3",
        "ldm r12!, {{r4-r6}}",
        "add r5, r5, \\sum, asr #31",
        "smmlar \\sum, \\sum, r4, r5",
        "asrs \\sum, \\sum, r6",
        "ssat \\sum, #8, \\sum",
        "strb \\sum, [lr], #1",
        ".endr",
        "ldr r4, [sp]",
        "ldr r5, [r4, #16]",
        "cmp r12, r5",
        "bne.w 1b",
        "ldrd r5, r6, [r4, #20]",
        "ldr r12, [r4, #12]",
        "add r8, r8, r5",
        "add r9, r9, r5",
        "add r10, r10, r5",
        "add lr, lr, r6",
        "ldr r5, [r4, #32]",
        "subs r5, r5, #1",
        "str r5, [r4, #32]",
        "bne.w 1b",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Arguments of [`depthwise`].
#[repr(C)]
pub(in super::super) struct Depthwise {
    /// First channel of every tap.
    pub(in super::super) taps: *const *const i8,
    /// Constants of the first four channels.
    pub(in super::super) constants: *const i32,
    /// First output.
    pub(in super::super) out: *mut i8,
    /// End of the constants.
    pub(in super::super) end: *const i32,
    /// Rounds of [`DEPTHWISE_ROUND`] taps.
    pub(in super::super) rounds: usize,
    /// Bytes of code that the first round leaves out, [`DEPTHWISE_STEP`] for every tap.
    pub(in super::super) entry: usize,
}

/// Taps of a round of [`depthwise`].
pub(in super::super) const DEPTHWISE_ROUND: usize = 9;
/// Bytes of code for a tap.
pub(in super::super) const DEPTHWISE_STEP: usize = 36;

/// One pixel of a depthwise convolution with any window.
///
/// # Safety
/// `taps` are pointers to a value for each channel of `constants..end`, `out` has room for as many. There are
/// `DEPTHWISE_ROUND * rounds - entry / DEPTHWISE_STEP` taps, and some. `constants..end` is a whole number of fours
/// and not empty.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn depthwise(arguments: *mut Depthwise) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r0, r4-r11, lr}}",
        "ldm r0, {{r11, r12, lr}}",
        "adr.w r1, 2f",
        "ldr r2, [r0, #20]",
        "add r1, r1, r2",
        "str r1, [r0, #20]",
        "mov.w r9, #0",
        // As above; r8 table of taps, r9 offset of the channels, r10 rounds, r11 start of the table.
        "1:",
        "ldr r4, [sp]",
        "ldm r12!, {{r0-r3}}",
        "ldrd r10, r4, [r4, #16]",
        "mov r8, r11",
        "mov pc, r4",
        ".p2align 2",
        "2:",
        ".rept 9",
        "ldr r4, [r8], #4",
        "ldrd r6, r7, [r12], #8",
        "ldr r4, [r4, r9]",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "smlabb r0, r4, r6, r0",
        "smlatt r2, r4, r6, r2",
        "smlabb r1, r5, r7, r1",
        "smlatt r3, r5, r7, r3",
        ".endr",
        "subs.w r10, r10, #1",
        "bne.w 2b",
        "add r9, r9, #4",
        ".irp sum, r0, r1, r2, r3",
        "ldm r12!, {{r4-r6}}",
        "add r5, r5, \\sum, asr #31",
        "smmlar \\sum, \\sum, r4, r5",
        "asrs \\sum, \\sum, r6",
        "ssat \\sum, #8, \\sum",
        "strb \\sum, [lr], #1",
        ".endr",
        "ldr r4, [sp]",
        "ldr r5, [r4, #12]",
        "cmp r12, r5",
        "bne.w 1b",
        "pop {{r0, r4-r11, pc}}",
    )
}
