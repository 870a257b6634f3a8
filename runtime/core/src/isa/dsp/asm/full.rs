//! Products of layers whose outputs read all taps.

use core::arch::naked_asm;

/// A tile's arguments; the kernel advances `weights`, `constants`, `before` and `n`.
#[repr(C)]
pub(in super::super) struct Tile {
    /// What sums start with: 0.
    pub(in super::super) zeros: [i32; 6],
    /// Bytes of code that the first round leaves out, [`TILE_STEP`] for every two words.
    pub(in super::super) entry: usize,
    /// `[words][3]`: the tap pairs of three pixels.
    pub(in super::super) x: *const u32,
    /// `[pairs][words]`.
    pub(in super::super) weights: *const u32,
    /// Rounds of [`TILE_ROUND`] words.
    pub(in super::super) rounds: usize,
    /// Constants of the first pair.
    pub(in super::super) constants: *const i32,
    /// The byte before the first output of the first pixel.
    pub(in super::super) before: *mut i8,
    /// Channels.
    pub(in super::super) n: usize,
    /// Bytes from one pixel's outputs to the next one's.
    pub(in super::super) step: usize,
}

/// Words of a round of [`tile`].
pub(in super::super) const TILE_ROUND: usize = 16;
/// Bytes of code for two words.
pub(in super::super) const TILE_STEP: usize = 68;

/// All channels of three pixels. The third pixel's output is written last where `step` is 0.
///
/// # Safety
/// `x` has 3 words for each of the `words` words of a pair, `weights` the words of all pairs, `constants` 8 words
/// for each pair, behind `before` there is room for `n` values at each of three pixels; `words` is
/// `TILE_ROUND * rounds - 2 * entry / TILE_STEP` and not 0, `n` is not 0.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn tile(arguments: *mut Tile) {
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
pub(in super::super) struct Row {
    /// What sums start with: 0.
    pub(in super::super) zeros: [i32; 6],
    /// Bytes of a pair's weights.
    pub(in super::super) stride: usize,
    /// Channels.
    pub(in super::super) n: usize,
    /// Bytes of code that the first round leaves out, [`ROW_STEP`] for every four values that miss to [`ROW_ROUND`].
    pub(in super::super) entry: usize,
    /// Values.
    pub(in super::super) x: *const i8,
    /// `[pairs]`, `stride` bytes each.
    pub(in super::super) weights: *const u32,
    /// End of the values in fours.
    pub(in super::super) end: *const i8,
    /// The last one to three values.
    pub(in super::super) tail: u32,
    /// Whether there are such.
    pub(in super::super) has_tail: usize,
    /// Where the raw sums of three pairs go, each a and a + 256 b; the kernel returns then. Null: none.
    pub(in super::super) raw: *mut [i32; 6],
    /// Constants of the first pair.
    pub(in super::super) constants: *const i32,
    /// First output.
    pub(in super::super) out: *mut i8,
}

/// Fours of values of a round of [`row`].
pub(in super::super) const ROW_ROUND: usize = 8;
/// Bytes of code for four values.
pub(in super::super) const ROW_STEP: usize = 96;

/// The four values in r6 with the weights of three pairs of channels, behind r11, r12 and lr, added to r0 to r5.
macro_rules! four_taps_of_a_row {
    () => {
        "
        sxtb16 r7, r6, ror #8
        sxtb16 r6, r6
        ldrd r8, r9, [r11], #8
        smlad r1, r8, r6, r1
        sxtb16 r8, r8
        smlad r0, r8, r6, r0
        smlad r1, r9, r7, r1
        sxtb16 r9, r9
        smlad r0, r9, r7, r0
        ldrd r8, r9, [r12], #8
        smlad r3, r8, r6, r3
        sxtb16 r8, r8
        smlad r2, r8, r6, r2
        smlad r3, r9, r7, r3
        sxtb16 r9, r9
        smlad r2, r9, r7, r2
        ldrd r8, r9, [lr], #8
        smlad r5, r8, r6, r5
        sxtb16 r8, r8
        smlad r4, r8, r6, r4
        smlad r5, r9, r7, r5
        sxtb16 r9, r9
        smlad r4, r9, r7, r4
        "
    };
}

/// All channels of one row.
///
/// # Safety
/// `x..end` are values, `weights` has `stride` bytes for each pair, of which 2 words are read for every four values and
/// for the tail, `constants` 8 words for each pair, `out` room for `n` values; `n` is not 0. `entry` is `ROW_STEP` times the
/// fours that miss to the next multiple of `ROW_ROUND`, or times `ROW_ROUND` where there are none.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn row(arguments: *mut Row) {
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
        four_taps_of_a_row!(),
        ".endr",
        "ldr r6, [sp, #4]",
        "cmp r10, r6",
        "bne.w 2b",
        "ldr r10, [sp]",
        "ldrd r6, r7, [r10, #48]",
        "cbz r7, 3f",
        four_taps_of_a_row!(),
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
