//! The inner loops of the depthwise convolution for Helium.

use super::part::Part;
use crate::isa::mve::pack::{GROUP, RECORD};
use crate::isa::mve::tile::Tile;
use core::arch::naked_asm;

/// Four rows to be woven.
#[repr(C)]
struct Rows {
    at: [*const i8; 4],
    /// Bytes from one block of sixteen to the next.
    step: [usize; 4],
}

/// Weaves `len` bytes of four rows into `len` words; a row that is not there reads `fill`.
///
/// `band` may be written 60 bytes beyond the words.
pub(super) fn weave(rows: &[Option<&[i8]>; 4], fill: i8, len: usize, band: &mut [i8]) {
    let blanks = [fill; 16];
    // A row that is there moves on with each block.
    let source = |row: Option<&[i8]>| row.map_or((blanks.as_ptr(), 0), |row| (row[..len].as_ptr(), 16));
    let sources = rows.map(source);
    let rows = Rows { at: sources.map(|s| s.0), step: sources.map(|s| s.1) };
    let band = &mut band[..len.div_ceil(16) * 64];
    // SAFETY: each row has `len` bytes, of which whole blocks are read at once and the rest under a predicate, or is 16
    // bytes that are read again and again; `band` has 64 bytes for each block.
    unsafe { weave_blocks(&rows, len / 16, len % 16, band.as_mut_ptr()) }
}

/// # Safety
///
/// The rows must have `16 * blocks + tail` bytes or a step of 0, `band` 64 for each block and for the tail.
#[unsafe(naked)]
unsafe extern "C" fn weave_blocks(rows: &Rows, blocks: usize, tail: usize, band: *mut i8) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r10, lr}}",
        "ldm r0, {{r4-r10, r12}}",
        "wls lr, r1, 3f",
        "2:",
        "vldrb.u8 q0, [r4]",
        "add r4, r4, r8",
        "vldrb.u8 q1, [r5]",
        "add r5, r5, r9",
        "vldrb.u8 q2, [r6]",
        "add r6, r6, r10",
        "vldrb.u8 q3, [r7]",
        "add r7, r7, r12",
        "vst40.8 {{q0, q1, q2, q3}}, [r3]",
        "vst41.8 {{q0, q1, q2, q3}}, [r3]",
        "vst42.8 {{q0, q1, q2, q3}}, [r3]",
        "vst43.8 {{q0, q1, q2, q3}}, [r3]!",
        "le lr, 2b",
        "3:",
        "cbz r2, 4f",
        "vctp.8 r2",
        "vpstttt",
        "vldrbt.u8 q0, [r4]",
        "vldrbt.u8 q1, [r5]",
        "vldrbt.u8 q2, [r6]",
        "vldrbt.u8 q3, [r7]",
        "vst40.8 {{q0, q1, q2, q3}}, [r3]",
        "vst41.8 {{q0, q1, q2, q3}}, [r3]",
        "vst42.8 {{q0, q1, q2, q3}}, [r3]",
        "vst43.8 {{q0, q1, q2, q3}}, [r3]",
        "4:",
        "pop {{r4-r10, pc}}",
    )
}

/// Outputs that are computed together: a run of a row, or of two rows.
pub(super) struct Strip {
    /// Bytes of the band from one output to the next.
    pub(super) step: usize,
    /// Bytes of the band from one tap to the next.
    pub(super) tap: usize,
    /// Taps of a row of the window, at most four.
    pub(super) taps: usize,
    /// Outputs of a row.
    pub(super) count: usize,
    /// From the first row to the second, in bytes of the output.
    pub(super) twin: Option<usize>,
}

/// Parameters of the loops, in the order of the frame.
#[repr(C)]
struct Frame {
    /// Offsets of the eight outputs of a block.
    offsets: [u16; 8],
    /// Addresses of the taps of the first channel; all but the first are distances until the loop starts.
    base: [*const i8; 4],
    min: [i8; 16],
    max: [i8; 16],
    weights: *const i8,
    out: *mut i8,
    count: usize,
    end: *const i32,
    constants: *const i32,
    /// Bytes of the band to the second output of a block, or to the next block where a block has two rows.
    forth: usize,
    /// From there to the next block.
    back: usize,
    out_step: usize,
    zero: i32,
    lanes: usize,
}

/// The outputs of `s`; `band` starts with the first tap of the first.
pub(super) fn strip(t: &Tile<'_>, s: &Strip, band: &[i8], out: &mut [i8]) {
    let whole = t.n / GROUP * GROUP;
    if whole > 0 {
        part(&Part::of(t, 0, whole), t.n, s, band, out);
    }
    if whole < t.n {
        let rest = Part::of(t, whole / GROUP, t.n - whole);
        part(&rest, t.n, s, &band[4 * whole..], &mut out[whole..]);
    }
}

/// The channels of `t`, of `pitch`: whole groups, or one.
fn part(t: &Part<'_>, pitch: usize, s: &Strip, band: &[i8], out: &mut [i8]) {
    let groups = t.constants.len() / RECORD;
    // Blocks, and outputs from the first to the second of a block.
    let (count, other) = match s.twin {
        Some(_) => (s.count, 0),
        // Of an odd number the one in the middle is computed twice.
        None => (s.count.div_ceil(2), s.count / 2),
    };
    let second = s.twin.unwrap_or(other * pitch);
    let (forth, back) = match s.twin {
        Some(_) => (s.step, 0),
        None => (other * s.step, s.step.wrapping_sub(other * s.step)),
    };
    // The last word of the last output, and the last output.
    let band = &band[..(s.count - 1) * s.step + (s.taps - 1) * s.tap + 16 * groups];
    let out = &mut out[..(count - 1) * pitch + second + t.n];
    let constants = t.constants.as_ptr_range();
    let lanes = if t.n % GROUP == 0 { 8 } else { 2 * (t.n % GROUP) };
    let tap = |i: usize| band.as_ptr().wrapping_add(if i < s.taps { i * s.tap } else { 0 });
    let frame = Frame {
        offsets: core::array::from_fn(|i| (i / 2 + i % 2 * second) as u16),
        base: [tap(0), tap(1), tap(2), tap(3)],
        min: [t.clamp.min; 16],
        max: [t.clamp.max; 16],
        weights: t.weights.as_ptr(),
        out: out.as_mut_ptr(),
        count,
        end: constants.end,
        constants: constants.start,
        forth,
        back,
        out_step: pitch,
        zero: t.zero,
        lanes,
    };
    let rectified = t.rectifies() && lanes == 8;
    // SAFETY: the slices just taken hold all words that are read and all outputs; each group has 64 bytes of weights
    // and a record of constants.
    unsafe {
        match (s.twin.is_some(), rectified) {
            (true, true) => rows_rectified(&frame),
            (true, false) => rows_any(&frame),
            (false, true) => pair_rectified(&frame),
            (false, false) => pair_any(&frame),
        }
    }
}

/// Four channels of two rows: the words shifted by a byte are those of the second.
macro_rules! two_rows {
    () => {
        "
        vldrw.u32 q0, [q7]
        vmladava.s8 r0, q0, q3
        vshr.u32 q0, q0, #8
        vldrw.u32 q1, [q7, #4]
        vmladava.s8 r8, q0, q3
        vmladava.s8 r2, q1, q4
        vshr.u32 q1, q1, #8
        vldrw.u32 q0, [q7, #8]
        vmladava.s8 r10, q1, q4
        vmladava.s8 r4, q0, q5
        vshr.u32 q0, q0, #8
        vldrw.u32 q1, [q7, #12]
        vmladava.s8 r12, q0, q5
        vmladava.s8 r6, q1, q6
        vshr.u32 q1, q1, #8
        vadd.i32 q7, q7, r3
        vmladava.s8 lr, q1, q6
        "
    };
}

/// Four channels of two outputs of a row.
macro_rules! two_outputs {
    () => {
        "
        vldrw.u32 q0, [q7]
        vldrw.u32 q1, [q7, #4]
        vmladava.s8 r0, q0, q3
        vldrw.u32 q0, [q7, #8]
        vmladava.s8 r2, q1, q4
        vldrw.u32 q1, [q7, #12]
        vadd.i32 q7, q7, r3
        vmladava.s8 r4, q0, q5
        vldrw.u32 q0, [q7]
        vmladava.s8 r6, q1, q6
        vldrw.u32 q1, [q7, #4]
        vmladava.s8 r8, q0, q3
        vldrw.u32 q0, [q7, #8]
        vmladava.s8 r10, q1, q4
        vldrw.u32 q1, [q7, #12]
        vmladava.s8 r12, q0, q5
        vadd.i32 q7, q7, r5
        vmladava.s8 lr, q1, q6
        "
    };
}

/// A loop over the outputs inside a loop over groups of four channels.
macro_rules! body {
    ($load:expr, $fix0:expr, $fix1:expr, $clamp:expr, $store:expr, $reload:expr) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r3-r11, lr}}",
            "vpush {{d8-d15}}",
            // The frame: 104 bytes.
            "sub sp, sp, #104",
            "mov r12, sp",
            "ldm r0!, {{r1-r10}}",
            "stm r12!, {{r1-r10}}",
            "ldm r0!, {{r1-r10}}",
            "stm r12!, {{r1-r10}}",
            "ldm r0, {{r1-r6}}",
            "stm r12, {{r1-r6}}",
            "vctp.16 r6",
            "ldrd r1, r3, [sp, #80]",
            "ldrd r5, r7, [sp, #88]",
            "2:",
            // Weights and taps of the next four channels.
            "ldr r0, [sp, #64]",
            "vldrw.u32 q3, [r0], #16",
            "vldrw.u32 q4, [r0], #16",
            "vldrw.u32 q5, [r0], #16",
            "vldrw.u32 q6, [r0], #16",
            "str r0, [sp, #64]",
            "vldrw.u32 q7, [sp, #16]",
            "movs r2, #16",
            "vadd.i32 q0, q7, r2",
            "vstrw.32 q0, [sp, #16]",
            "ldr r9, [sp, #68]",
            "add r2, r9, #4",
            "str r2, [sp, #68]",
            "ldr r11, [sp, #72]",
            "3:",
            $reload,
            "ldm r1, {{r0, r2, r4, r6}}",
            "ldm r1, {{r8, r10, r12, lr}}",
            $load,
            "vmov q0[2], q0[0], r0, r4",
            "vmov q0[3], q0[1], r2, r6",
            "vmov q1[2], q1[0], r8, r12",
            "vmov q1[3], q1[1], r10, lr",
            "vldrw.u32 q2, [r1, #16]",
            "vqrdmulh.s32 q0, q0, q2",
            "ldr r0, [sp, #96]",
            "vqrdmulh.s32 q1, q1, q2",
            "vldrw.u32 q2, [r1, #32]",
            $fix0,
            "vrshl.s32 q0, q0, q2",
            $fix1,
            "vrshl.s32 q1, q1, q2",
            "vqmovnb.s32 q0, q0",
            "vqmovnt.s32 q0, q1",
            "vldrw.u32 q1, [sp]",
            "vqadd.s16 q0, q0, r0",
            "vqmovnb.s16 q0, q0",
            $clamp,
            $store,
            "add r9, r9, r7",
            "subs r11, r11, #1",
            "bne 3b",
            "add r1, r1, #48",
            "ldr r0, [sp, #76]",
            "cmp r1, r0",
            "bne 2b",
            "add sp, sp, #104",
            "vpop {{d8-d15}}",
            "pop {{r3-r11, pc}}",
        )
    };
}

/// Takes one from the negative lanes of a vector that are to be shifted; q6 is free.
macro_rules! fix {
    ($value:literal) => {
        concat!(
            "vand q6, ",
            $value,
            ", q2\n",
            "vshr.s32 q6, q6, #31\n",
            "vqadd.s32 ",
            $value,
            ", ",
            $value,
            ", q6\n",
        )
    };
}

/// Clamps q0; q2 is free.
macro_rules! clamp {
    () => {
        "
        vldrw.u32 q2, [sp, #32]
        vmax.s8 q0, q0, q2
        vldrw.u32 q2, [sp, #48]
        vmin.s8 q0, q0, q2
        "
    };
}

/// Fetches the weights of the fourth channel again, whose register was used.
macro_rules! reload {
    () => {
        "
        ldr r0, [sp, #64]
        vldrw.u32 q6, [r0, #-16]
        "
    };
}

/// Stores the outputs that exist.
macro_rules! some {
    () => {
        "
        vpst
        vstrbt.16 q0, [r9, q1]
        "
    };
}

/// # Safety
///
/// Band, weights, constants and outputs must be as the frame says.
#[unsafe(naked)]
unsafe extern "C" fn rows_rectified(frame: &Frame) {
    body!(two_rows!(), "", "", "", "vstrb.16 q0, [r9, q1]", "")
}

/// # Safety
///
/// As for [`rows_rectified`].
#[unsafe(naked)]
unsafe extern "C" fn rows_any(frame: &Frame) {
    body!(two_rows!(), fix!("q0"), fix!("q1"), clamp!(), some!(), reload!())
}

/// # Safety
///
/// As for [`rows_rectified`].
#[unsafe(naked)]
unsafe extern "C" fn pair_rectified(frame: &Frame) {
    body!(two_outputs!(), "", "", "", "vstrb.16 q0, [r9, q1]", "")
}

/// # Safety
///
/// As for [`rows_rectified`].
#[unsafe(naked)]
unsafe extern "C" fn pair_any(frame: &Frame) {
    body!(two_outputs!(), fix!("q0"), fix!("q1"), clamp!(), some!(), reload!())
}
