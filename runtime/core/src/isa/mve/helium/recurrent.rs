//! Kernels of recurrent layers for Helium: projections to 16 bits, logistic function and hyperbolic tangent.

use crate::fixed16::SIGMOID_ENTRIES;
use crate::isa::{SigmoidParams, Source};
use crate::quant::{Clamp16, Requant};
use core::arch::naked_asm;

/// Rows that are projected at once.
const ROWS: usize = 4;

/// Parameters of [`project_rows`], in the order of its frame.
#[repr(C)]
struct Projection {
    x: *const i8,
    /// Bytes of `x` and of a row.
    k: usize,
    /// Minus the zero point.
    offset: i32,
    multiplier: i32,
    shift: i32,
    /// Null where the results are added to what is there.
    bias: *const i32,
    w: *const i8,
    out: *mut i16,
    /// Groups of four rows.
    groups: usize,
}

/// [`Isa::project`].
pub(in crate::isa::mve) fn project(
    x: &[i8],
    w: &[i8],
    zero: i32,
    bias: Option<&[i32]>,
    factor: Requant,
    out: &mut [i16],
) {
    let k = x.len();
    // The loop shifts to the right.
    let groups = if factor.shift < 0 { out.len() / ROWS } else { 0 };
    let done = groups * ROWS;
    let (head, rest) = out.split_at_mut(done);
    if groups > 0 && k > 0 {
        let parameters = Projection {
            x: x.as_ptr(),
            k,
            offset: -zero,
            multiplier: factor.multiplier,
            shift: factor.shift.into(),
            bias: bias.map_or(core::ptr::null(), |bias| bias[..done].as_ptr()),
            w: w[..done * k].as_ptr(),
            out: head.as_mut_ptr(),
            groups,
        };
        // SAFETY: the slices just taken hold `groups` times four rows, biases and results.
        unsafe { project_rows(&parameters) }
    }
    for (n, out) in rest.iter_mut().enumerate() {
        let row = &w[(done + n) * k..][..k];
        let bias_of = bias.map_or(0, |bias| bias[done + n]);
        let sum = super::dot(x, row, zero, 0).wrapping_add(bias_of);
        let value = Clamp16::FULL.apply(factor.apply(sum));
        *out = if bias.is_some() { value } else { out.saturating_add(value) };
    }
}

/// # Safety
///
/// Rows, biases and results must be as the parameters say: at least one group, rows of at least one value.
#[unsafe(naked)]
unsafe extern "C" fn project_rows(p: &Projection) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r3-r11, lr}}",
        "ldm r0, {{r1-r9}}",
        "sub sp, sp, #40",
        "stm sp, {{r1-r9}}",
        "2:",
        // Products in r0, r2, r4, r6, sums of weights in r8, r10, r12, lr; x at r1, rows at r3, r5, r7, r9.
        "ldrd r1, r11, [sp]",
        "ldr r3, [sp, #24]",
        "add r5, r3, r11",
        "add r7, r5, r11",
        "add r9, r7, r11",
        "add r0, r9, r11",
        "str r0, [sp, #24]",
        "movs r0, #0",
        "movs r2, #0",
        "movs r4, #0",
        "movs r6, #0",
        "mov r8, #0",
        "mov r10, #0",
        "mov r12, #0",
        "mov lr, #0",
        "3:",
        "vctp.8 r11",
        "vpstt",
        "vldrbt.u8 q0, [r1], #16",
        "vldrbt.u8 q1, [r3], #16",
        "vmladava.s8 r0, q0, q1",
        "vpstt",
        "vldrbt.u8 q2, [r5], #16",
        "vldrbt.u8 q3, [r7], #16",
        // Lanes that were not loaded are 0.
        "vaddva.s8 r8, q1",
        "vmladava.s8 r2, q0, q2",
        "vpst",
        "vldrbt.u8 q1, [r9], #16",
        "vaddva.s8 r10, q2",
        "vmladava.s8 r4, q0, q3",
        "vaddva.s8 r12, q3",
        "vmladava.s8 r6, q0, q1",
        "vaddva.s8 lr, q1",
        "subs r11, r11, #16",
        "bhi 3b",
        "vmov q0[2], q0[0], r0, r4",
        "vmov q0[3], q0[1], r2, r6",
        "vmov q1[2], q1[0], r8, r12",
        "vmov q1[3], q1[1], r10, lr",
        "ldrd r1, r2, [sp, #8]",
        "ldrd r4, r5, [sp, #16]",
        "ldr r7, [sp, #28]",
        "vmla.s32 q0, q1, r1",
        "cbz r5, 4f",
        "vldrw.u32 q1, [r5], #16",
        "vadd.i32 q0, q0, q1",
        "str r5, [sp, #20]",
        "vshr.s32 q1, q0, #31",
        "vqrdmlah.s32 q1, q0, r2",
        "vrshl.s32 q1, r4",
        "vqmovnb.s32 q1, q1",
        "b 5f",
        "4:",
        "vshr.s32 q1, q0, #31",
        "vqrdmlah.s32 q1, q0, r2",
        "vrshl.s32 q1, r4",
        "vldrh.s32 q0, [r7]",
        "vqmovnb.s32 q1, q1",
        "vmovlb.s16 q1, q1",
        "vadd.i32 q1, q1, q0",
        "vqmovnb.s32 q1, q1",
        "5:",
        "vstrh.32 q1, [r7], #8",
        "str r7, [sp, #28]",
        "ldr r0, [sp, #32]",
        "subs r0, r0, #1",
        "str r0, [sp, #32]",
        "bne 2b",
        "add sp, sp, #40",
        "pop {{r3-r11, pc}}",
    )
}

/// Parameters of [`sigmoid`], in the order in which it loads them.
#[repr(C)]
struct Curve {
    multiplier: i32,
    half: i32,
    /// Minus the shift of the argument, and minus the fraction bits of the table's index.
    shift: [i32; 2],
    table: *const u16,
    next: *const u16,
    bits: i32,
    /// Result beyond the table.
    end: i32,
    /// Added to the result of arguments from 0 on.
    above: i32,
    /// From which that of others is subtracted.
    below: i32,
    /// Minus the last shift.
    last: i32,
    mask: i32,
}

/// [`Isa::logistic16`].
pub(in crate::isa::mve) fn logistic16(
    p: &SigmoidParams,
    table: &[u16; SIGMOID_ENTRIES],
    a: Source<'_, i16>,
    out: &mut [i16],
) {
    run(p, table, 9, [0x7fff << 10, 1 << 9, (1 << 25) + (1 << 9) - 1, -10], a, out);
}

/// [`Isa::tanh16`].
pub(in crate::isa::mve) fn tanh16(
    p: &SigmoidParams,
    table: &[u16; SIGMOID_ENTRIES],
    a: Source<'_, i16>,
    out: &mut [i16],
) {
    run(p, table, 8, [0xffff << 8, (1 << 7) - (1 << 23), (1 << 23) + (1 << 7) - 1, -8], a, out);
}

fn run(
    p: &SigmoidParams,
    table: &[u16; SIGMOID_ENTRIES],
    bits: i32,
    [end, above, below, last]: [i32; 4],
    a: Source<'_, i16>,
    out: &mut [i16],
) {
    let curve = Curve {
        multiplier: p.multiplier,
        half: if p.shift > 0 { 1i32.wrapping_shl(p.shift - 1) } else { 0 },
        shift: [-(p.shift as i32), -bits],
        table: table.as_ptr(),
        next: table[1..].as_ptr(),
        bits,
        end,
        above,
        below,
        last,
        mask: (1 << bits) - 1,
    };
    let (a, len) = match a {
        Source::InPlace => (out.as_ptr(), out.len()),
        Source::From(a) => (a.as_ptr(), a.len().min(out.len())),
    };
    // SAFETY: `a` and `out` have `len` values; indices are limited to the entries of the table.
    unsafe { sigmoid(&curve, a, out.as_mut_ptr(), len) }
}

/// # Safety
///
/// `a` and `out` must have `len` values, the tables 255.
#[unsafe(naked)]
unsafe extern "C" fn sigmoid(curve: &Curve, a: *const i16, out: *mut i16, len: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov lr, r3",
        "ldr r3, [r0, #44]",
        "vdup.32 q6, r3",
        "movs r3, #254",
        "vdup.32 q7, r3",
        "ldr r12, [r0, #36]",
        "mov r3, r0",
        "ldr r0, [r0, #40]",
        "ldm r3, {{r3-r11}}",
        "wlstp.32 lr, lr, 3f",
        "2:",
        "vldrh.s32 q0, [r1], #8",
        "vmul.i32 q0, q0, r3",
        "vadd.i32 q0, q0, r4",
        "vshl.s32 q0, r5",
        "vabs.s32 q1, q0",
        // Fraction and index.
        "vand q2, q1, q6",
        "vshl.u32 q1, r6",
        "vmin.u32 q3, q1, q7",
        "vldrh.u32 q4, [r7, q3, uxtw #1]",
        "vldrh.u32 q5, [r8, q3, uxtw #1]",
        "vsub.i32 q5, q5, q4",
        "vshl.s32 q4, r9",
        "vmul.i32 q5, q5, q2",
        "vadd.i32 q4, q4, q5",
        "vpt.u32 hi, q1, q7",
        "vdupt.32 q4, r10",
        "vdup.32 q5, r12",
        "vpte.s32 ge, q0, zr",
        "vaddt.i32 q4, q4, r11",
        "vsube.i32 q4, q5, q4",
        "vshl.s32 q4, r0",
        "vstrh.32 q4, [r2], #8",
        "letp lr, 2b",
        "3:",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}
