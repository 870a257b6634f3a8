//! The inner loops. Every function is `unsafe`: callers in [`kernel`](super::kernel) state what makes them sound.
//!
//! Loads of words need no alignment where the base is a row of values; `LDM`, `LDRD` and `STM` go to weights,
//! constants and scratch, which are aligned.

#![allow(unsafe_code, reason = "instructions that the compiler does not choose")]

use core::arch::naked_asm;

/// A tile's arguments; the kernel advances `weights`, `constants`, `before` and `n`.
#[repr(C)]
pub(super) struct Tile {
    /// What sums start with: 0.
    pub(super) zeros: [i32; 6],
    /// Bytes of code that the first round leaves out, [`TILE_STEP`] for every two words.
    pub(super) entry: usize,
    /// `[words][3]`: the tap pairs of three pixels.
    pub(super) x: *const u32,
    /// `[pairs][words]`.
    pub(super) weights: *const u32,
    /// Rounds of [`TILE_ROUND`] words.
    pub(super) rounds: usize,
    /// Constants of the first pair.
    pub(super) constants: *const i32,
    /// The byte before the first output of the first pixel.
    pub(super) before: *mut i8,
    /// Channels.
    pub(super) n: usize,
    /// Bytes from one pixel's outputs to the next one's.
    pub(super) step: usize,
}

/// Words of a round of [`tile`].
pub(super) const TILE_ROUND: usize = 16;
/// Bytes of code for two words.
pub(super) const TILE_STEP: usize = 68;

/// All channels of three pixels. The third pixel's output is written last where `step` is 0.
///
/// # Safety
/// `x` has 3 words for each of the `words` words of a pair, `weights` the words of all pairs, `constants` 8 words
/// for each pair, behind `before` there is room for `n` values at each of three pixels; `words` is
/// `TILE_ROUND * rounds - 2 * entry / TILE_STEP` and not 0, `n` is not 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn tile(arguments: *mut Tile) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r0, r4-r11, lr}}",
        "adr.w r1, 2f",
        "ldr r2, [r0, #24]",
        "add r1, r1, r2",
        "str r1, [r0, #24]",
        // A pair: r0-r2 sums of a, r3-r5 of a + 256 b, r6-r8 values, r9-r10 weights.
        "1:",
        "ldr r9, [sp]",
        "ldm r9!, {{r0-r5}}",
        "ldm r9, {{r8, r11, r12, lr}}",
        "mov pc, r8",
        ".p2align 2",
        "2:",
        ".rept 8",
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
        // Scaling: twice the sums, high product plus rounding and sign, shift, saturation.
        "ldr lr, [sp]",
        "str r12, [lr, #32]",
        "ldrd r6, r12, [lr, #40]",
        "subs r3, r3, r0",
        "subs r4, r4, r1",
        "subs r5, r5, r2",
        "ldm r6!, {{r7, r8, r9, r10, r11}}",
        "add.w r0, r7, r0, lsl #1",
        "add.w r1, r7, r1, lsl #1",
        "add.w r2, r7, r2, lsl #1",
        "ldr r7, [lr, #52]",
        "add lr, r10, r0, asr #31",
        "smmlar r0, r0, r9, lr",
        "add lr, r10, r1, asr #31",
        "smmlar r1, r1, r9, lr",
        "add lr, r10, r2, asr #31",
        "smmlar r2, r2, r9, lr",
        "asrs r0, r0, r11",
        "asrs r1, r1, r11",
        "asrs r2, r2, r11",
        "ssat r0, #8, r0",
        "ssat r1, #8, r1",
        "ssat r2, #8, r2",
        "strb r0, [r12, #1]!",
        "strb r1, [r12, r7]",
        "strb r2, [r12, r7, lsl #1]",
        "ldr lr, [sp]",
        "ldr r0, [lr, #48]",
        "subs r0, r0, #1",
        "beq 3f",
        "ldm r6!, {{r9, r10, r11}}",
        "add.w r3, r8, r3, asr #7",
        "add.w r4, r8, r4, asr #7",
        "add.w r5, r8, r5, asr #7",
        "add r1, r10, r3, asr #31",
        "smmlar r3, r3, r9, r1",
        "add r1, r10, r4, asr #31",
        "smmlar r4, r4, r9, r1",
        "add r1, r10, r5, asr #31",
        "smmlar r5, r5, r9, r1",
        "asrs r3, r3, r11",
        "asrs r4, r4, r11",
        "asrs r5, r5, r11",
        "ssat r3, #8, r3",
        "ssat r4, #8, r4",
        "ssat r5, #8, r5",
        "strb r3, [r12, #1]!",
        "strb r4, [r12, r7]",
        "strb r5, [r12, r7, lsl #1]",
        "strd r6, r12, [lr, #40]",
        "subs r0, r0, #1",
        "str r0, [lr, #48]",
        "bne.w 1b",
        "3:",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Arguments of [`row`]; the kernel advances `constants`, `weights`, `out` and `n`.
#[repr(C)]
pub(super) struct Row {
    /// What sums start with: 0.
    pub(super) zeros: [i32; 6],
    /// Bytes of a pair's weights.
    pub(super) stride: usize,
    /// Channels.
    pub(super) n: usize,
    /// Bytes of code that the first round leaves out, [`ROW_STEP`] for every four values that miss to [`ROW_ROUND`].
    pub(super) entry: usize,
    /// Values.
    pub(super) x: *const i8,
    /// `[pairs]`, `stride` bytes each.
    pub(super) weights: *const u32,
    /// End of the values in fours.
    pub(super) end: *const i8,
    /// The last one to three values.
    pub(super) tail: u32,
    /// Whether there are such.
    pub(super) has_tail: usize,
    /// Where the raw sums of three pairs go, each a and a + 256 b; the kernel returns then. Null: none.
    pub(super) raw: *mut [i32; 6],
    /// Constants of the first pair.
    pub(super) constants: *const i32,
    /// First output.
    pub(super) out: *mut i8,
}

/// Fours of values of a round of [`row`].
pub(super) const ROW_ROUND: usize = 8;
/// Bytes of code for four values.
pub(super) const ROW_STEP: usize = 96;

/// All channels of one row.
///
/// # Safety
/// `x..end` are values, `weights` has `stride` bytes for each pair, of which 2 words are read for every four values and
/// for the tail, `constants` 8 words for each pair, `out` room for `n` values; `n` is not 0. `entry` is `ROW_STEP` times the
/// fours that miss to the next multiple of `ROW_ROUND`, or times `ROW_ROUND` where there are none.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn row(arguments: *mut Row) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r0, r1, r4-r11, lr}}",
        "sub sp, sp, #4",
        "adr.w r1, 2f",
        "ldr r2, [r0, #32]",
        "add r1, r1, r2",
        "str r1, [r0, #32]",
        "ldr r1, [r0, #44]",
        "str r0, [sp]",
        "str r1, [sp, #4]",
        // Three pairs: r0, r2, r4 sums of a, r1, r3, r5 of a + 256 b; r6-r7 values, r8-r9 weights.
        "1:",
        "ldr r9, [sp]",
        "ldm r9!, {{r0-r5}}",
        "ldm r9, {{r6, r7, r8, r10, r11}}",
        "add r12, r11, r6",
        "add lr, r12, r6",
        "cmp r7, #4",
        "bhi 6f",
        // Pairs that do not exist read the weights of the first.
        "mov lr, r11",
        "cmp r7, #2",
        "it ls",
        "movls r12, r11",
        "6:",
        "mov pc, r8",
        ".p2align 2",
        "2:",
        ".rept 8",
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
        "ldrd r6, r7, [r10, #48]",
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
        "ldr r6, [r10, #56]",
        "cbz r6, 4f",
        "stm r6, {{r0-r5}}",
        "b 5f",
        "4:",
        "str lr, [r10, #40]",
        "ldrd r6, r12, [r10, #60]",
        "ldr lr, [r10, #28]",
        "subs r1, r1, r0",
        "subs r3, r3, r2",
        "subs r5, r5, r4",
        "subs lr, lr, #6",
        "bls 7f",
        "str lr, [r10, #28]",
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
        "add r7, r10, r0, asr #31",
        "smmlar r0, r0, r9, r7",
        "asrs r0, r0, r11",
        "ldm r6!, {{r9, r10, r11}}",
        "ssat r0, #8, r0",
        "add r7, r10, r1, asr #31",
        "smmlar r1, r1, r9, r7",
        "asrs r1, r1, r11",
        "ssat r1, #8, r1",
        "strb r0, [r12], #1",
        "strb r1, [r12], #1",
        ".endr",
        "ldr r10, [sp]",
        "strd r6, r12, [r10, #60]",
        "b 1b",
        // The last channels: lr of them are left.
        "7:",
        "add lr, lr, #6",
        "8:",
        "ldm r6!, {{r7, r8, r9, r10, r11}}",
        "add.w r0, r7, r0, lsl #1",
        "add.w r1, r8, r1, asr #7",
        "add r7, r10, r0, asr #31",
        "smmlar r0, r0, r9, r7",
        "asrs r0, r0, r11",
        "ssat r0, #8, r0",
        "strb r0, [r12], #1",
        "subs lr, lr, #1",
        "beq 5f",
        "ldm r6!, {{r9, r10, r11}}",
        "add r7, r10, r1, asr #31",
        "smmlar r1, r1, r9, r7",
        "asrs r1, r1, r11",
        "ssat r1, #8, r1",
        "strb r1, [r12], #1",
        "mov r0, r2",
        "mov r1, r3",
        "mov r2, r4",
        "mov r3, r5",
        "subs lr, lr, #1",
        "bne 8b",
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
    /// Rounds of [`DEPTHWISE_ROUND`] taps.
    pub(super) rounds: usize,
    /// Bytes of code that the first round leaves out, [`DEPTHWISE_STEP`] for every tap.
    pub(super) entry: usize,
}

/// Taps of a round of [`depthwise`].
pub(super) const DEPTHWISE_ROUND: usize = 9;
/// Bytes of code for a tap.
pub(super) const DEPTHWISE_STEP: usize = 36;

/// One pixel of a depthwise convolution with any window.
///
/// # Safety
/// `taps` are pointers to a value for each channel of `constants..end`, `out` has room for as many. There are
/// `DEPTHWISE_ROUND * rounds - entry / DEPTHWISE_STEP` taps, and some. `constants..end` is a whole number of fours
/// and not empty.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn depthwise(arguments: *mut Depthwise) {
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

/// Adds values to sums, four at once.
///
/// # Safety
/// There are `4 * fours` values and sums, and some.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn accumulate(x: *const i8, sums: *mut i32, fours: usize) {
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
