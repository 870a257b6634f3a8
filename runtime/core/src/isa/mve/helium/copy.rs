//! Copies of equally spaced pieces.

use crate::isa::mve::conv::Windows;
use core::arch::naked_asm;

/// Copies `count` pieces of `len` bytes, `from_pitch` apart in `from`, to pieces `pitch` apart in `to`.
pub(in crate::isa::mve) fn copy_pieces(
    from: &[i8],
    from_pitch: usize,
    len: usize,
    count: usize,
    to: &mut [i8],
    pitch: usize,
) {
    if count == 0 || len == 0 {
        return;
    }
    let from = &from[..(count - 1) * from_pitch + len];
    let to = &mut to[..(count - 1) * pitch + len];
    let pieces = Pieces { from: from.as_ptr(), from_pitch, to: to.as_mut_ptr(), pitch, count, len };
    // SAFETY: the slices just taken hold all pieces.
    unsafe { if len == 16 { copy_16(&pieces) } else { copy(&pieces) } }
}

/// Copies the runs of some windows.
pub(in crate::isa::mve) fn copy_windows(w: &Windows, from: &[i8], to: &mut [i8]) {
    if w.count == 0 || w.runs == 0 {
        return;
    }
    let from = &from[..(w.count - 1) * w.step + (w.runs - 1) * w.pitch + w.len];
    let to = &mut to[..(w.count - 1) * w.to_step + (w.runs - 1) * w.to_pitch + w.len];
    // SAFETY: the slices just taken hold all runs.
    unsafe { windows(w, from.as_ptr(), to.as_mut_ptr()) }
}

/// Fills all of `to`.
pub(in crate::isa::mve) fn fill(value: i8, to: &mut [i8]) {
    // SAFETY: as many bytes are written as there are.
    unsafe { fill_bytes(to.as_mut_ptr(), value.into(), to.len()) }
}

#[repr(C)]
struct Pieces {
    from: *const i8,
    from_pitch: usize,
    to: *mut i8,
    pitch: usize,
    count: usize,
    len: usize,
}

/// # Safety
///
/// All pieces must be there, at least one of at least one byte.
#[unsafe(naked)]
unsafe extern "C" fn copy(pieces: &Pieces) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r8, lr}}",
        "ldm r0, {{r1-r6}}",
        "2:",
        "mov r7, r1",
        "mov r8, r3",
        "wlstp.8 lr, r6, 4f",
        "3:",
        "vldrb.u8 q0, [r7], #16",
        "vstrb.8 q0, [r8], #16",
        "letp lr, 3b",
        "4:",
        "add r1, r1, r2",
        "add r3, r3, r4",
        "subs r5, r5, #1",
        "bne 2b",
        "pop {{r4-r8, pc}}",
    )
}

/// # Safety
///
/// All pieces must be there, at least one, of 16 bytes.
#[unsafe(naked)]
unsafe extern "C" fn copy_16(pieces: &Pieces) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r6, lr}}",
        "ldm r0, {{r1-r5}}",
        "dls lr, r5",
        "2:",
        "vldrb.u8 q0, [r1]",
        "add r1, r1, r2",
        "vstrb.8 q0, [r3]",
        "add r3, r3, r4",
        "le lr, 2b",
        "pop {{r4-r6, pc}}",
    )
}

/// # Safety
///
/// `to` must have `len` bytes.
#[unsafe(naked)]
unsafe extern "C" fn fill_bytes(to: *mut i8, value: i32, len: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "vdup.8 q0, r1",
        "wlstp.8 lr, r2, 3f",
        "2:",
        "vstrb.8 q0, [r0], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// # Safety
///
/// All runs must be there, at least one.
#[unsafe(naked)]
unsafe extern "C" fn windows(windows: &Windows, from: *const i8, to: *mut i8) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r3-r11, lr}}",
        "ldm r0, {{r3-r9}}",
        "vctp.8 r8",
        "2:",
        "mov r10, r1",
        "mov r11, r2",
        "dls lr, r5",
        "3:",
        "vpstt",
        "vldrbt.u8 q0, [r10]",
        "vstrbt.8 q0, [r11]",
        "add r10, r10, r4",
        "add r11, r11, r9",
        "le lr, 3b",
        "add r1, r1, r3",
        "add r2, r2, r6",
        "subs r7, r7, #1",
        "bne 2b",
        "pop {{r3-r11, pc}}",
    )
}
