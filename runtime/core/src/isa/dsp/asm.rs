//! The inner loops. Every function is `unsafe`: callers in [`kernel`](super::kernel) state what makes them sound.
//!
//! Loads of words need no alignment where the base is a row of values; `LDM`, `LDRD` and `STM` go to weights,
//! constants and scratch, which are aligned.

#![allow(unsafe_code, reason = "instructions that the compiler does not choose")]

use core::arch::naked_asm;

/// A tile's arguments; the kernel advances `constants`, `weights`, `out` and `n`.
#[repr(C)]
pub(super) struct Tile {
    /// Constants of the first pair.
    pub(super) constants: *const i32,
    /// `[words][3]`: the tap pairs of three pixels.
    pub(super) x: *const u32,
    /// `[pairs][words]`.
    pub(super) weights: *const u32,
    /// Rounds of eight words.
    pub(super) rounds: usize,
    /// Bytes of code that the first round leaves out, 68 for every two words.
    pub(super) entry: usize,
    /// First output of the first pixel.
    pub(super) out: *mut i8,
    /// Bytes from one pixel's outputs to the next one's.
    pub(super) step: usize,
    /// Channels.
    pub(super) n: usize,
}

/// All channels of three pixels. The third pixel's output is written last where `step` is 0.
///
/// # Safety
/// `x` has 3 words for each of the `words` words of a pair, `weights` the words of all pairs, `constants` 8 words
/// for each pair, `out` room for `n` values at each of three pixels; `words` is `8 * rounds - 2 * entry / 68` and
/// not 0, `n` is not 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn tile(arguments: *mut Tile) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r0, r4-r11, lr}}",
        "adr.w r1, 2f",
        "ldr r2, [r0, #16]",
        "add r1, r1, r2",
        "str r1, [r0, #16]",
        // A pair: r0-r2 sums of a, r3-r5 of a + 256 b, r6-r8 values, r9-r10 weights.
        "1:",
        "ldr r9, [sp]",
        "ldr r8, [r9, #16]",
        "add r9, r9, #4",
        "ldm r9, {{r11, r12, lr}}",
        "movs r0, #0",
        "movs r1, #0",
        "movs r2, #0",
        "movs r3, #0",
        "movs r4, #0",
        "movs r5, #0",
        "mov pc, r8",
        ".p2align 2",
        "2:",
        ".rept 4",
        "ldrd r9, r10, [r12], #8",
        "ldm.w r11!, {{r6, r7, r8}}",
        "smlad r3, r9, r6, r3",
        "smlad r4, r9, r7, r4",
        "smlad r5, r9, r8, r5",
        "sxtb16 r9, r9",
        "smlad r0, r9, r6, r0",
        "smlad r1, r9, r7, r1",
        "smlad r2, r9, r8, r2",
        "ldm.w r11!, {{r6, r7, r8}}",
        "smlad r3, r10, r6, r3",
        "smlad r4, r10, r7, r4",
        "smlad r5, r10, r8, r5",
        "sxtb16 r10, r10",
        "smlad r0, r10, r6, r0",
        "smlad r1, r10, r7, r1",
        "smlad r2, r10, r8, r2",
        ".endr",
        "subs.w lr, lr, #1",
        "bne.w 2b",
        // Scaling: twice the sums, high product plus rounding, sign, shift, saturation.
        "ldr lr, [sp]",
        "str r12, [lr, #8]",
        "ldr r6, [lr]",
        "ldr r12, [lr, #20]",
        "subs r3, r3, r0",
        "subs r4, r4, r1",
        "subs r5, r5, r2",
        "ldm r6!, {{r7, r8, r9, r10, r11}}",
        "add.w r0, r7, r0, lsl #1",
        "add.w r1, r7, r1, lsl #1",
        "add.w r2, r7, r2, lsl #1",
        "ldr r7, [lr, #24]",
        "smmlar lr, r0, r9, r10",
        "add.w lr, lr, r0, asr #31",
        "asr.w lr, lr, r11",
        "ssat lr, #8, lr",
        "strb lr, [r12]",
        "smmlar lr, r1, r9, r10",
        "add.w lr, lr, r1, asr #31",
        "asr.w lr, lr, r11",
        "ssat lr, #8, lr",
        "strb lr, [r12, r7]",
        "smmlar lr, r2, r9, r10",
        "add.w lr, lr, r2, asr #31",
        "asr.w lr, lr, r11",
        "ssat lr, #8, lr",
        "strb lr, [r12, r7, lsl #1]",
        "ldr lr, [sp]",
        "ldr r0, [lr, #28]",
        "subs r0, r0, #1",
        "beq 3f",
        "ldm r6!, {{r9, r10, r11}}",
        "add.w r12, r12, #1",
        "add.w r3, r8, r3, asr #7",
        "add.w r4, r8, r4, asr #7",
        "add.w r5, r8, r5, asr #7",
        "smmlar r1, r3, r9, r10",
        "smmlar r2, r4, r9, r10",
        "smmlar r8, r5, r9, r10",
        "add.w r1, r1, r3, asr #31",
        "add.w r2, r2, r4, asr #31",
        "add.w r8, r8, r5, asr #31",
        "asrs r1, r1, r11",
        "asrs r2, r2, r11",
        "asr.w r8, r8, r11",
        "ssat r1, #8, r1",
        "ssat r2, #8, r2",
        "ssat r8, #8, r8",
        "strb r1, [r12]",
        "strb r2, [r12, r7]",
        "strb r8, [r12, r7, lsl #1]",
        "add.w r12, r12, #1",
        "str r6, [lr]",
        "str r12, [lr, #20]",
        "subs r0, r0, #1",
        "str r0, [lr, #28]",
        "bne.w 1b",
        "3:",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Arguments of [`row`]; the kernel advances `constants`, `weights`, `out` and `n`.
#[repr(C)]
pub(super) struct Row {
    /// Constants of the first pair.
    pub(super) constants: *const i32,
    /// Values.
    pub(super) x: *const i8,
    /// `[pairs]`, [`Row::stride`] bytes each.
    pub(super) weights: *const u32,
    /// Bytes of a pair's weights.
    pub(super) stride: usize,
    /// End of the values in fours.
    pub(super) end: *const i8,
    /// Bytes of code that the first round leaves out, 96 for every four values less than a multiple of 16.
    pub(super) entry: usize,
    /// The last one to three values.
    pub(super) tail: u32,
    /// Whether there are such.
    pub(super) has_tail: usize,
    /// First output.
    pub(super) out: *mut i8,
    /// Channels.
    pub(super) n: usize,
    /// Where the raw sums of three pairs go, each a and a + 256 b; the kernel returns then. Null: none.
    pub(super) raw: *mut [i32; 6],
}

/// All channels of one row.
///
/// # Safety
/// `x..end` are values, `weights` has `stride` bytes for each pair, of which 2 words are read for every four values and
/// for the tail, `constants` 8 words for each pair, `out` room for `n` values; `n` is not 0. `entry` is 96 times the
/// fours that miss to the next multiple of four, or 384 where there are none.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn row(arguments: *mut Row) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r0, r1, r4-r11, lr}}",
        "sub sp, sp, #4",
        "adr.w r1, 2f",
        "ldr r2, [r0, #20]",
        "add r1, r1, r2",
        "str r1, [r0, #20]",
        "ldr r1, [r0, #16]",
        "str r0, [sp]",
        "str r1, [sp, #4]",
        // Three pairs: r0, r2, r4 sums of a, r1, r3, r5 of a + 256 b; r6-r7 values, r8-r9 weights.
        "1:",
        "ldr r9, [sp]",
        "ldr r10, [r9, #4]",
        "ldr r11, [r9, #8]",
        "ldr r6, [r9, #12]",
        "ldr r7, [r9, #36]",
        "ldr r8, [r9, #20]",
        // Pairs that do not exist read the weights of the one before.
        "mov r12, r11",
        "cmp r7, #2",
        "it hi",
        "addhi r12, r11, r6",
        "mov lr, r12",
        "cmp r7, #4",
        "it hi",
        "addhi lr, r12, r6",
        "movs r0, #0",
        "movs r1, #0",
        "movs r2, #0",
        "movs r3, #0",
        "movs r4, #0",
        "movs r5, #0",
        "mov pc, r8",
        ".p2align 2",
        "2:",
        ".rept 4",
        "ldr r6, [r10], #4",
        "sxtb16 r7, r6, ror #8",
        "sxtb16 r6, r6",
        "ldrd r8, r9, [r11], #8",
        "smlad r1, r8, r6, r1",
        "sxtb16 r8, r8",
        "smlad r0, r8, r6, r0",
        "smlad r1, r9, r7, r1",
        "sxtb16 r9, r9",
        "smlad r0, r9, r7, r0",
        "ldrd r8, r9, [r12], #8",
        "smlad r3, r8, r6, r3",
        "sxtb16 r8, r8",
        "smlad r2, r8, r6, r2",
        "smlad r3, r9, r7, r3",
        "sxtb16 r9, r9",
        "smlad r2, r9, r7, r2",
        "ldrd r8, r9, [lr], #8",
        "smlad r5, r8, r6, r5",
        "sxtb16 r8, r8",
        "smlad r4, r8, r6, r4",
        "smlad r5, r9, r7, r5",
        "sxtb16 r9, r9",
        "smlad r4, r9, r7, r4",
        ".endr",
        "ldr r6, [sp, #4]",
        "cmp r10, r6",
        "bne.w 2b",
        "ldr r10, [sp]",
        "ldrd r6, r7, [r10, #24]",
        "cbz r7, 3f",
        "sxtb16 r7, r6, ror #8",
        "sxtb16 r6, r6",
        "ldrd r8, r9, [r11], #8",
        "smlad r1, r8, r6, r1",
        "sxtb16 r8, r8",
        "smlad r0, r8, r6, r0",
        "smlad r1, r9, r7, r1",
        "sxtb16 r9, r9",
        "smlad r0, r9, r7, r0",
        "ldrd r8, r9, [r12], #8",
        "smlad r3, r8, r6, r3",
        "sxtb16 r8, r8",
        "smlad r2, r8, r6, r2",
        "smlad r3, r9, r7, r3",
        "sxtb16 r9, r9",
        "smlad r2, r9, r7, r2",
        "ldrd r8, r9, [lr], #8",
        "smlad r5, r8, r6, r5",
        "sxtb16 r8, r8",
        "smlad r4, r8, r6, r4",
        "smlad r5, r9, r7, r5",
        "sxtb16 r9, r9",
        "smlad r4, r9, r7, r4",
        "3:",
        "ldr r6, [r10, #40]",
        "cbz r6, 4f",
        "stm r6, {{r0-r5}}",
        "b 5f",
        "4:",
        "str lr, [r10, #8]",
        "ldr r6, [r10]",
        "ldr r12, [r10, #32]",
        "ldr lr, [r10, #36]",
        "subs r1, r1, r0",
        "subs r3, r3, r2",
        "subs r5, r5, r4",
        ".irp pair, 0, 2, 4",
        "ldm r6!, {{r7, r8, r9, r10, r11}}",
        ".if \\pair == 0",
        "add.w r0, r7, r0, lsl #1",
        "add.w r1, r8, r1, asr #7",
        ".elseif \\pair == 2",
        "add.w r0, r7, r2, lsl #1",
        "add.w r1, r8, r3, asr #7",
        ".else",
        "add.w r0, r7, r4, lsl #1",
        "add.w r1, r8, r5, asr #7",
        ".endif",
        "smmlar r7, r0, r9, r10",
        "add.w r7, r7, r0, asr #31",
        "asr.w r7, r7, r11",
        "ssat r7, #8, r7",
        "strb r7, [r12], #1",
        "subs.w lr, lr, #1",
        "beq.w 5f",
        "ldm r6!, {{r9, r10, r11}}",
        "smmlar r7, r1, r9, r10",
        "add.w r7, r7, r1, asr #31",
        "asr.w r7, r7, r11",
        "ssat r7, #8, r7",
        "strb r7, [r12], #1",
        "subs.w lr, lr, #1",
        "beq.w 5f",
        ".endr",
        "ldr r10, [sp]",
        "str r6, [r10]",
        "str r12, [r10, #32]",
        "str lr, [r10, #36]",
        "b 1b",
        "5:",
        "add sp, sp, #4",
        "pop {{r0, r1, r4-r11, pc}}",
    )
}

/// Arguments of [`gather`].
#[repr(C)]
pub(super) struct Gather {
    /// First value of the first pixel.
    pub(super) x: *const i8,
    /// Bytes from one pixel to the next.
    pub(super) pixel: usize,
    /// Where the words go.
    pub(super) out: *mut u32,
    /// Fours of values in a run.
    pub(super) fours: usize,
    /// Whether one more value ends a run.
    pub(super) single: usize,
    /// Runs.
    pub(super) runs: usize,
    /// Bytes from behind one run to the next.
    pub(super) next: usize,
}

/// Runs of values of each of three pixels as the tap pairs that [`tile`] reads.
///
/// # Safety
/// Each run has `4 * fours + single` values at three pixels, and the next begins `next` behind it; `out` has room for
/// `6 * fours + 3 * single` words for each run. There are runs.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn gather(arguments: *const Gather) {
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

/// Arguments of [`depthwise3`].
#[repr(C)]
pub(super) struct Depthwise3 {
    /// First value of the first window.
    pub(super) x: *const i8,
    /// Bytes from one row of the window to the next.
    pub(super) row: usize,
    /// Bytes from one column of the window to the next.
    pub(super) column: usize,
    /// Constants of the first four channels.
    pub(super) constants: *const i32,
    /// Their end.
    pub(super) end: *const i32,
    /// Bytes from behind the last channel of one window to the next window.
    pub(super) advance: usize,
    /// Bytes from behind the last output of one pixel to the next pixel.
    pub(super) skip: usize,
    /// First output.
    pub(super) out: *mut i8,
    /// Pixels.
    pub(super) count: usize,
}

/// Depthwise convolution with a window of 3x3 of several pixels of a row, all inside of the image.
///
/// # Safety
/// There is a value for each channel of `constants..end` at every tap of `count` windows, which go on by `advance` plus
/// the channels, and room for the outputs, which go on by `skip` plus the channels. `constants..end` is a whole
/// number of fours and not empty, `count` is not 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn depthwise3(arguments: *mut Depthwise3) {
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
pub(super) struct Depthwise {
    /// First channel of every tap.
    pub(super) taps: *const *const i8,
    /// Constants of the first four channels.
    pub(super) constants: *const i32,
    /// First output.
    pub(super) out: *mut i8,
    /// End of the constants.
    pub(super) end: *const i32,
    /// A third of the taps.
    pub(super) rounds: usize,
}

/// One pixel of a depthwise convolution with any window.
///
/// # Safety
/// `taps` are `3 * rounds` pointers to a value for each channel of `constants..end`, `out` has room for as many.
/// `constants..end` is a whole number of fours and not empty, `rounds` is not 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn depthwise(arguments: *const Depthwise) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r0, r4-r11, lr}}",
        "ldm r0, {{r11, r12, lr}}",
        "movs r6, #0",
        "mov r9, r6",
        // As above; r8 table of taps, r9 offset of the channels, r10 rounds, r11 start of the table.
        "1:",
        "ldr r4, [sp]",
        "ldm r12!, {{r0-r3}}",
        "ldr r10, [r4, #16]",
        "mov r8, r11",
        "2:",
        ".rept 3",
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
        "bne 2b",
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
        "bne 1b",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Sums of products of `x - zero` with four rows of weights.
///
/// # Safety
/// From `x` to `end` there is a number of values that divides by four, and from `rows` on as many in each of the four rows,
/// which are `stride` bytes apart; there are some.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn dots(arguments: *const Dots) {
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
pub(super) struct Dots {
    /// Values.
    pub(super) x: *const i8,
    /// First row.
    pub(super) rows: *const i8,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Minus the zero point in both halves.
    pub(super) zero: u32,
    /// End of the values.
    pub(super) end: *const i8,
    /// Where the sums go.
    pub(super) sums: *mut i32,
}

/// Sum of products of `x + zero` with `w + weight_zero`, the zero points negated and in both halves.
///
/// # Safety
/// From `x` to `end` there is a number of values that divides by four, and from `w` on as many; there are some.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn dot(
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
