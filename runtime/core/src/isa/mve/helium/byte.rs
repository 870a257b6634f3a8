//! Kernels that look at each byte once, for Helium: all under tail predication.

use core::arch::naked_asm;

/// `out[i] = table[a[i] + 128]`; `a` and `out` may be the same.
///
/// # Safety
///
/// `a` and `out` must have `len` values, `table` 256.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn lookup(table: *const i8, a: *const i8, out: *mut i8, len: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, lr}}",
        "movs r4, #128",
        "wlstp.8 lr, r3, 3f",
        "2:",
        "vldrb.u8 q0, [r1], #16",
        "vadd.i8 q0, q0, r4",
        "vldrb.u8 q1, [r0, q0]",
        "vstrb.8 q1, [r2], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r4, pc}}",
    )
}

/// `out[i] = max(out[i], rows[i], rows[i + len], ...)`, `count` rows.
///
/// # Safety
///
/// `out` must have `len` values, `rows` `count * len`; neither is 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn max(rows: *const i8, out: *mut i8, len: usize, count: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r6, lr}}",
        // Sixteen channels of all rows, then the next sixteen.
        "mov r4, r2",
        "2:",
        "vctp.8 r4",
        "mov r5, r0",
        "vpst",
        "vldrbt.u8 q0, [r1]",
        "dls lr, r3",
        "3:",
        "vpst",
        "vldrbt.u8 q1, [r5]",
        "add r5, r5, r2",
        "vmax.s8 q0, q0, q1",
        "le lr, 3b",
        "vpst",
        "vstrbt.8 q0, [r1], #16",
        "add r0, r0, #16",
        "subs r4, r4, #16",
        "bhi 2b",
        "pop {{r4-r6, pc}}",
    )
}

/// Rows that [`accumulate`] adds at most: sums of sixteen bits hold that many.
pub(super) const ACCUMULATED: usize = 255;

/// `sum[i] += rows[i] + rows[i + len] + ...`, `count` rows.
///
/// # Safety
///
/// `sum` must have `len` values, `rows` `count * len`; neither is 0, and `count` is at most [`ACCUMULATED`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn accumulate(rows: *const i8, sum: *mut i32, len: usize, count: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r6, lr}}",
        "sub sp, sp, #16",
        // Eight channels of all rows, then the next eight.
        "mov r4, r2",
        "2:",
        "vctp.16 r4",
        "mov r5, r0",
        "vmov.i32 q0, #0",
        "dls lr, r3",
        "3:",
        "vpst",
        "vldrbt.s16 q1, [r5]",
        "add r5, r5, r2",
        "vadd.i16 q0, q0, q1",
        "le lr, 3b",
        // The sums as 32 bits, four by four.
        "vstrw.32 q0, [sp]",
        "mov r6, sp",
        "vldrh.s32 q0, [r6]",
        "vldrh.s32 q1, [r6, #8]",
        "vctp.32 r4",
        "vpst",
        "vldrwt.u32 q2, [r1]",
        "vadd.i32 q0, q0, q2",
        "vpst",
        "vstrwt.32 q0, [r1], #16",
        "subs r6, r4, #4",
        "bls 4f",
        "vctp.32 r6",
        "vpst",
        "vldrwt.u32 q2, [r1]",
        "vadd.i32 q1, q1, q2",
        "vpst",
        "vstrwt.32 q1, [r1], #16",
        "adds r0, r0, #8",
        "subs r4, r4, #8",
        "bhi 2b",
        "4:",
        "add sp, sp, #16",
        "pop {{r4-r6, pc}}",
    )
}

/// `sum(x * w)`, `sum(x)` and `sum(w)`.
///
/// # Safety
///
/// `x` and `w` must have `len` values, `sums` three.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn dot(x: *const i8, w: *const i8, len: usize, sums: *mut i32) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r6, r8, lr}}",
        "movs r4, #0",
        "movs r6, #0",
        "mov r8, #0",
        "wlstp.8 lr, r2, 3f",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        "vldrb.u8 q1, [r1], #16",
        "vmladava.s8 r4, q0, q1",
        "vaddva.s8 r6, q0",
        "vaddva.s8 r8, q1",
        "letp lr, 2b",
        "3:",
        "stm r3, {{r4, r6, r8}}",
        "pop {{r4, r6, r8, pc}}",
    )
}
