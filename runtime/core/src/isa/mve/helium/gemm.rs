//! Products of rows with packed weights.
//!
//! [`pairs`] computes four channels of two rows at a time, [`row`] eight channels of one row; both keep eight sums in
//! the even registers, which is where `vmladava` puts them, and all else in the odd ones. The frame on the stack is
//! ordered so that one `ldm` fetches what a block starts with.
//!
//! Requantisation: `vqrdmulh` is the doubling high multiply of [`Requant`](crate::quant::Requant), as no multiplier
//! is negative. `vrshl` rounds half up, so one is first taken from negative values that are to be shifted. Where the
//! activation is a rectifier and the output's zero point is its smallest value, negative values end there anyway.

use super::part::{MAX_PITCH, Part};
use crate::isa::mve::pack::{GROUP, RECORD};
use crate::isa::mve::tile::Tile;
use core::arch::naked_asm;

/// Blocks of sixteen taps in the body of the loop.
const UNROLL: usize = 4;

/// Parameters of the loops, in the order of the frame.
#[repr(C)]
struct Frame {
    end: *const i32,
    /// Two rows of `x`; one group of weights in [`row`].
    step: usize,
    x0: *const i8,
    /// From the end of a row's channels to the start of the row after the next.
    skip: usize,
    x1: *const i8,
    x_end: *const i8,
    /// Rounds of the inner loop.
    rounds: usize,
    /// Blocks that the first round leaves out.
    entry: usize,
    weights: *const i8,
    constants: *const i32,
    out: *mut i8,
    zero: i32,
    min: i32,
    max: i32,
    /// From a channel's output to that of the other row, or of the other four channels.
    pitch: usize,
    /// Outputs of a block that are stored.
    lanes: usize,
}

/// Rounds of the inner loop and blocks that the first of them leaves out.
fn rounds(taps: usize) -> (usize, usize) {
    let blocks = taps / 16;
    let rounds = blocks.div_ceil(UNROLL);
    (rounds, rounds * UNROLL - blocks)
}

/// As many rows as `out`, `[m, n]`, holds. Row `i` is the [`Tile::taps`] bytes of `x` from `i * step` on.
pub(in crate::isa::mve) fn rows(t: &Tile<'_>, x: &[i8], step: usize, out: &mut [i8]) {
    if !Part::quick(t) || t.n > MAX_PITCH {
        return t.plain(x, step, out);
    }
    match out.len() / t.n {
        0 => {}
        1 => one(t, x, out),
        m => {
            several(t, x, step, m / 2, out);
            if m % 2 == 1 {
                // The last two again, so that the last has a partner.
                several(t, &x[(m - 2) * step..], step, 1, &mut out[(m - 2) * t.n..]);
            }
        }
    }
}

/// One row, eight channels at a time; what remains is computed with the four before it.
fn one(t: &Tile<'_>, x: &[i8], out: &mut [i8]) {
    const EIGHT: usize = 2 * GROUP;
    let whole = t.n / EIGHT * EIGHT;
    let groups = t.n.div_ceil(GROUP);
    if whole > 0 {
        row(&Part::of(t, 0, whole), x, out);
    }
    if groups == 1 {
        pairs(&Part::of(t, 0, t.n), x, 0, 1, out, (t.n, 0));
    } else if whole < t.n {
        let mut tail = [0; EIGHT];
        let first = groups - 2;
        row(&Part::of(t, first, EIGHT), x, &mut tail);
        out[first * GROUP..].copy_from_slice(&tail[..t.n - first * GROUP]);
    }
}

/// `count` pairs of rows.
fn several(t: &Tile<'_>, x: &[i8], step: usize, count: usize, out: &mut [i8]) {
    let whole = t.n / GROUP * GROUP;
    if whole > 0 {
        pairs(&Part::of(t, 0, whole), x, step, count, out, (t.n, t.n));
    }
    if whole < t.n {
        let rest = Part::of(t, whole / GROUP, t.n - whole);
        pairs(&rest, x, step, count, &mut out[whole..], (t.n, t.n));
    }
}

/// `count` pairs of rows of `x`, each row `step` after the one before; the second row's outputs are `pitch` behind the
/// first's, and the next pair's two `stride` behind.
///
/// `t.n` is a multiple of four, or there is one group.
fn pairs(t: &Part<'_>, x: &[i8], step: usize, count: usize, out: &mut [i8], (stride, pitch): (usize, usize)) {
    let (rounds, entry) = rounds(t.taps());
    if count == 0 || t.n == 0 || rounds == 0 {
        return;
    }
    let groups = t.constants.len() / RECORD;
    // The last byte of the last row, and the last output.
    let x = &x[..(2 * count - 1) * step + t.taps()];
    let out = &mut out[..(count - 1) * 2 * stride + pitch + t.n];
    let constants = t.constants.as_ptr_range();
    let frame = Frame {
        end: constants.end,
        step: 2 * step,
        x0: x.as_ptr(),
        skip: (2 * stride).wrapping_sub(4 * groups),
        x1: x.as_ptr().wrapping_add(step),
        x_end: x.as_ptr().wrapping_add(2 * count * step),
        rounds,
        entry,
        weights: t.weights.as_ptr(),
        constants: constants.start,
        out: out.as_mut_ptr(),
        zero: t.zero,
        min: t.clamp.min.into(),
        max: t.clamp.max.into(),
        pitch,
        lanes: if t.n % 4 == 0 { 8 } else { 2 * (t.n % 4) },
    };
    // SAFETY: the slices just taken hold the rows and the outputs; weights and constants are as long as `Part::of`
    // cuts them: `groups` times 64 bytes a block, and a record.
    unsafe { if t.rectifies() && frame.lanes == 8 { pairs_rectified(&frame) } else { pairs_any(&frame) } }
}

/// One row; `t.n` is a multiple of eight.
fn row(t: &Part<'_>, x: &[i8], out: &mut [i8]) {
    let (rounds, entry) = rounds(t.taps());
    if t.n == 0 || rounds == 0 {
        return;
    }
    let x = &x[..t.taps()];
    let out = &mut out[..t.n];
    let constants = t.constants.as_ptr_range();
    let frame = Frame {
        end: constants.end,
        step: t.group,
        x0: x.as_ptr(),
        skip: 0,
        x1: t.weights.as_ptr().wrapping_add(t.group),
        x_end: x.as_ptr(),
        rounds,
        entry,
        weights: t.weights.as_ptr(),
        constants: constants.start,
        out: out.as_mut_ptr(),
        zero: t.zero,
        min: t.clamp.min.into(),
        max: t.clamp.max.into(),
        pitch: 4,
        lanes: 8,
    };
    // SAFETY: the slices just taken hold the row and the outputs; weights and constants are those of `t.n / 4` groups.
    unsafe { if t.rectifies() { row_rectified(&frame) } else { row_any(&frame) } }
}

/// Saves registers, copies the frame onto the stack, makes the offsets of the store (q7) and the limits (q5, q6, q4).
macro_rules! enter {
    () => {
        "
        .cpu cortex-m55
        push {{r3-r11, lr}}
        vpush {{d8-d15}}
        add r12, r0, #32
        ldm r12, {{r1-r8}}
        push {{r1-r8}}
        ldm r0, {{r1-r8}}
        push {{r1-r8}}
        movs r0, #0
        vidup.u32 q7, r0, #1
        movw r1, #1
        movt r1, #1
        vmul.i32 q7, q7, r1
        ldr r1, [sp, #56]
        lsls r1, r1, #16
        vadd.i32 q7, q7, r1
        ldr r1, [sp, #44]
        vdup.16 q6, r1
        ldr r1, [sp, #48]
        vdup.8 q4, r1
        ldr r1, [sp, #52]
        vdup.8 q5, r1
        ldr r1, [sp, #60]
        vctp.16 r1
        "
    };
}

/// Restores registers and returns.
macro_rules! leave {
    () => {
        "
        add sp, sp, #64
        vpop {{d8-d15}}
        pop {{r3-r11, pc}}
        "
    };
}

/// Sixteen taps of four channels and two rows.
macro_rules! block_pairs {
    () => {
        "
        vldrb.u8 q0, [r3], #16
        vldrb.u8 q2, [r1], #16
        vmladava.s8 r0, q0, q2
        vldrb.u8 q1, [r5], #16
        vmladava.s8 r8, q1, q2
        vldrb.u8 q3, [r1], #16
        vmladava.s8 r2, q0, q3
        vldrb.u8 q2, [r1], #16
        vmladava.s8 r10, q1, q3
        vmladava.s8 r4, q0, q2
        vldrb.u8 q3, [r1], #16
        vmladava.s8 r12, q1, q2
        vmladava.s8 r6, q0, q3
        vmladava.s8 lr, q1, q3
        "
    };
}

/// Sixteen taps of eight channels and one row.
macro_rules! block_row {
    () => {
        "
        vldrb.u8 q0, [r3], #16
        vldrb.u8 q1, [r1], #16
        vmladava.s8 r0, q0, q1
        vldrb.u8 q2, [r1], #16
        vmladava.s8 r2, q0, q2
        vldrb.u8 q1, [r1], #16
        vmladava.s8 r4, q0, q1
        vldrb.u8 q2, [r1], #16
        vmladava.s8 r6, q0, q2
        vldrb.u8 q1, [r5], #16
        vmladava.s8 r8, q0, q1
        vldrb.u8 q2, [r5], #16
        vmladava.s8 r10, q0, q2
        vldrb.u8 q1, [r5], #16
        vmladava.s8 r12, q0, q1
        vldrb.u8 q2, [r5], #16
        vmladava.s8 lr, q0, q2
        "
    };
}

/// The eight sums in q0 and q1.
macro_rules! collect {
    () => {
        "
        vmov q0[2], q0[0], r0, r4
        vmov q0[3], q0[1], r2, r6
        vmov q1[2], q1[0], r8, r12
        vmov q1[3], q1[1], r10, lr
        "
    };
}

/// Adds the zero point to q0 and q1, saturates both to bytes in q0: those of q0 and of q1 in turns.
macro_rules! narrow {
    () => {
        "
        vqmovnb.s32 q0, q0
        vqmovnt.s32 q0, q1
        vqadd.s16 q0, q0, q6
        vqmovnb.s16 q0, q0
        "
    };
}

/// Takes one from the negative lanes of q0 or q1 that are to be shifted, by way of a free register.
macro_rules! fix {
    ($value:literal, $shift:literal, $free:literal) => {
        concat!(
            "vand ",
            $free,
            ", ",
            $value,
            ", ",
            $shift,
            "\n",
            "vshr.s32 ",
            $free,
            ", ",
            $free,
            ", #31\n",
            "vqadd.s32 ",
            $value,
            ", ",
            $value,
            ", ",
            $free,
            "\n",
        )
    };
}

/// Clamps and stores.
macro_rules! clamped_store {
    () => {
        "
        vmax.s8 q0, q0, q4
        vmin.s8 q0, q0, q5
        vpst
        vstrbt.16 q0, [r9, q7]
        "
    };
}

/// All of [`pairs`]; what lies between the sums and the next block differs.
macro_rules! pairs_body {
    ($($finish:expr),*) => {
        naked_asm!(
            enter!(),
            // Where the first round enters the loop: a block has 56 bytes.
            "adr.w r0, 3f",
            "ldr r1, [sp, #28]",
            "movs r2, #56",
            "mla r0, r1, r2, r0",
            "orr r0, r0, #1",
            "str r0, [sp, #28]",
            "ldrd r1, r7, [sp, #32]",
            "ldr r9, [sp, #40]",
            "ldm sp, {{r0, r2, r3, r4, r5, r6, r11}}",
            "2:",
            "ldm r7, {{r0, r2, r4, r6}}",
            "ldm r7!, {{r8, r10, r12, lr}}",
            "ldr pc, [sp, #28]",
            ".p2align 2",
            "3:",
            block_pairs!(),
            block_pairs!(),
            block_pairs!(),
            block_pairs!(),
            "subs r11, r11, #1",
            "bne 3b",
            collect!(),
            "vldrw.u32 q2, [r7], #16",
            "vldrw.u32 q3, [r7], #16",
            "vqrdmulh.s32 q0, q0, q2",
            "vqrdmulh.s32 q1, q1, q2",
            $($finish,)*
            "add r9, r9, #4",
            "ldm sp, {{r0, r2, r3, r4, r5, r6, r11}}",
            "cmp r7, r0",
            "bne 2b",
            // The next two rows.
            "add r3, r3, r2",
            "add r5, r5, r2",
            "str r3, [sp, #8]",
            "str r5, [sp, #16]",
            "ldrd r1, r7, [sp, #32]",
            "add r9, r9, r4",
            "cmp r3, r6",
            "bne 2b",
            leave!(),
        )
    };
}

/// # Safety
///
/// As for [`pairs_any`]; all outputs of a block are stored.
#[unsafe(naked)]
unsafe extern "C" fn pairs_rectified(frame: &Frame) {
    pairs_body!("vrshl.s32 q0, q0, q3", "vrshl.s32 q1, q1, q3", narrow!(), "vstrb.16 q0, [r9, q7]")
}

/// # Safety
///
/// Rows, weights, constants and outputs must be as the frame says.
#[unsafe(naked)]
unsafe extern "C" fn pairs_any(frame: &Frame) {
    pairs_body!(
        fix!("q0", "q3", "q2"),
        "vrshl.s32 q0, q0, q3",
        fix!("q1", "q3", "q2"),
        "vrshl.s32 q1, q1, q3",
        narrow!(),
        clamped_store!()
    )
}

/// All of [`row`].
macro_rules! row_body {
    ($fix0:expr, $fix1:expr, $store:expr) => {
        naked_asm!(
            enter!(),
            // A block has 68 bytes.
            "adr.w r0, 3f",
            "ldr r1, [sp, #28]",
            "movs r2, #68",
            "mla r0, r1, r2, r0",
            "orr r0, r0, #1",
            "str r0, [sp, #28]",
            "ldrd r1, r7, [sp, #32]",
            "ldr r9, [sp, #40]",
            "ldm sp, {{r0, r2, r3, r4, r5, r6, r11}}",
            "2:",
            "ldm r7!, {{r0, r2, r4, r6}}",
            "add r7, r7, #32",
            "ldm r7, {{r8, r10, r12, lr}}",
            "ldr pc, [sp, #28]",
            ".p2align 2",
            "3:",
            block_row!(),
            block_row!(),
            block_row!(),
            block_row!(),
            "subs r11, r11, #1",
            "bne 3b",
            collect!(),
            "vldrw.u32 q2, [r7, #-32]",
            "vqrdmulh.s32 q0, q0, q2",
            "vldrw.u32 q2, [r7, #16]",
            "vqrdmulh.s32 q1, q1, q2",
            "vldrw.u32 q2, [r7, #-16]",
            $fix0,
            "vrshl.s32 q0, q0, q2",
            "vldrw.u32 q2, [r7, #32]",
            $fix1,
            "vrshl.s32 q1, q1, q2",
            narrow!(),
            $store,
            "add r7, r7, #48",
            "add r9, r9, #8",
            "ldm sp, {{r0, r2, r3, r4, r6, r8, r11}}",
            // The weights of the next eight channels follow those of the last four.
            "mov r1, r5",
            "add r5, r5, r2",
            "cmp r7, r0",
            "bne 2b",
            leave!(),
        )
    };
}

/// # Safety
///
/// As for [`row_any`].
#[unsafe(naked)]
unsafe extern "C" fn row_rectified(frame: &Frame) {
    row_body!("", "", "vstrb.16 q0, [r9, q7]")
}

/// # Safety
///
/// The row, weights, constants and outputs must be as the frame says.
#[unsafe(naked)]
unsafe extern "C" fn row_any(frame: &Frame) {
    row_body!(fix!("q0", "q2", "q3"), fix!("q1", "q2", "q3"), clamped_store!())
}
