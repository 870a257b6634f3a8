//! Elementwise kernels for Helium.
//!
//! Eight values at a time: widened to two vectors of four, those at even and those at odd places, requantised, and
//! narrowed in turns into one vector again. `vqrdmlah` adds the product's high half to minus one where the
//! value is negative and is to be shifted, which makes `vrshl` round half away from zero.

use super::tail::{binary, unary};
use crate::isa::{Isa, ProductParams, RescaleParams, Scalar, Source, SumParams};
use crate::quant::{Clamp, Requant};
use core::arch::naked_asm;

/// Parameters of a loop, in the order in which it loads them.
#[repr(C)]
struct Params {
    /// Added to each value of the second operand after its shift, and of the first.
    offset: [i32; 2],
    /// Factor of the second operand, and of the result.
    multiplier: [i32; 2],
    shift: [i32; 2],
    zero: i32,
    /// What the operands are multiplied by.
    power: [i32; 2],
    min: i32,
    max: i32,
}

/// The loop over `blocks` times eight values.
type Loop = unsafe extern "C" fn(&Params, *const i8, *const i8, *mut i8, usize);

/// The power of two that `x * 2^left`, scaled by `factor`, is a multiple of `x` by, where the result is exact.
fn exact(factor: Requant, left: u32) -> Option<u32> {
    let shift = (left as i32).checked_sub(1)?.checked_add(factor.shift.into())?;
    let is_exact = factor.multiplier == 1 << 30 && factor.shift <= 0 && (0..=22).contains(&shift);
    is_exact.then_some(shift as u32)
}

/// [`Isa::add`].
pub(in crate::isa::mve) fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    // One of the operands has the larger scale, and as factor a half: which is exact. Call it the first.
    let powers = [exact(p.scale[0], p.left_shift), exact(p.scale[1], p.left_shift)];
    let (first, power) = match powers {
        [Some(power), _] => (0, power),
        [_, Some(power)] => (1, power),
        _ => return Scalar::add(p, a, b, out),
    };
    let other = p.scale[1 - first];
    if other.shift > 0 || p.output.shift >= 0 || p.left_shift > 22 {
        return Scalar::add(p, a, b, out);
    }
    let params = Params {
        offset: [-(p.zero[1 - first] << p.left_shift), -(p.zero[first] << power)],
        multiplier: [other.multiplier, p.output.multiplier],
        shift: [other.shift.into(), p.output.shift.into()],
        zero: p.output_zero,
        power: [1 << p.left_shift, 1 << power],
        min: p.clamp.min.into(),
        max: p.clamp.max.into(),
    };
    let rectifies = p.clamp == Clamp::FULL && p.output_zero <= i32::from(Clamp::FULL.min);
    let run: Loop = match (other.shift < 0, rectifies) {
        (false, false) => sum_unshifted,
        (false, true) => sum_unshifted_rectified,
        (true, false) => sum,
        (true, true) => sum_rectified,
    };
    binary(a, b, out, |a, b, out, blocks| {
        let (a, b) = if first == 0 { (a, b) } else { (b, a) };
        // SAFETY: `binary` gives pointers to eight values for each block.
        unsafe { run(&params, a, b, out, blocks) }
    });
}

/// [`Isa::mul`].
pub(in crate::isa::mve) fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
    if p.output.shift >= 0 {
        return Scalar::mul(p, a, b, out);
    }
    let params = Params {
        offset: [-p.zero[1], -p.zero[0]],
        multiplier: [0, p.output.multiplier],
        shift: [0, p.output.shift.into()],
        zero: p.output_zero,
        power: [1, 1],
        min: p.clamp.min.into(),
        max: p.clamp.max.into(),
    };
    // SAFETY: `binary` gives pointers to eight values for each block.
    binary(a, b, out, |a, b, out, blocks| unsafe { product(&params, a, b, out, blocks) });
}

/// [`Isa::rescale`].
pub(in crate::isa::mve) fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
    // A left shift of nine bits cannot overflow up to here; only then is one applied before the multiply.
    let left = i32::from(p.scale.shift).max(0);
    if left > 20 {
        return Scalar::rescale(p, a, out);
    }
    let params = Params {
        offset: [0, -p.input_zero << left],
        multiplier: [0, p.scale.multiplier],
        shift: [0, i32::from(p.scale.shift).min(0)],
        zero: p.output_zero,
        power: [0, 1 << left],
        min: Clamp::FULL.min.into(),
        max: Clamp::FULL.max.into(),
    };
    let run: Loop = if p.scale.shift < 0 { change } else { change_unshifted };
    // SAFETY: `unary` gives pointers to eight values for each block.
    unary(a, out, |a, out, blocks| unsafe { run(&params, a, a, out, blocks) });
}

/// Saves registers and loads the parameters: offsets r4, r5, multipliers r6, r8, shifts r7, r9, zero r10, powers q6, q7,
/// limits q4, q5. The operands are at r1 and r2, the result at r3.
macro_rules! enter {
    () => {
        "
        .cpu cortex-m55
        push {{r4-r11, lr}}
        vpush {{d8-d15}}
        ldr lr, [sp, #100]
        ldrd r4, r5, [r0]
        ldrd r6, r8, [r0, #8]
        ldrd r7, r9, [r0, #16]
        ldrd r10, r11, [r0, #24]
        vdup.32 q6, r11
        ldrd r11, r12, [r0, #32]
        vdup.32 q7, r11
        vdup.8 q4, r12
        ldr r12, [r0, #40]
        vdup.8 q5, r12
        dls lr, lr
        "
    };
}

macro_rules! leave {
    () => {
        "
        vpop {{d8-d15}}
        pop {{r4-r11, pc}}
        "
    };
}

/// Scales `$value` into `$to` by the factor in `$multiplier` and `$shift`, which is not 0.
macro_rules! scale {
    ($to:literal, $value:literal, $multiplier:literal, $shift:literal) => {
        concat!(
            "vshr.s32 ",
            $to,
            ", ",
            $value,
            ", #31\n",
            "vqrdmlah.s32 ",
            $to,
            ", ",
            $value,
            ", ",
            $multiplier,
            "\n",
            "vrshl.s32 ",
            $to,
            ", ",
            $shift,
            "\n",
        )
    };
}

/// Scales the even values in q0 and the odd ones in q1 into q2 and q3.
macro_rules! output {
    () => {
        concat!(scale!("q2", "q0", "r8", "r9"), scale!("q3", "q1", "r8", "r9"))
    };
}

/// As `output`, where it does not matter how negative values are rounded.
macro_rules! output_rectified {
    () => {
        "
        vqrdmulh.s32 q2, q0, r8
        vqrdmulh.s32 q3, q1, r8
        vrshl.s32 q2, r9
        vrshl.s32 q3, r9
        "
    };
}

/// Narrows q2 and q3, adds the zero point and stores.
macro_rules! store {
    ($clamp:expr) => {
        concat!(
            "vqmovnb.s32 q2, q2\n",
            "vqmovnt.s32 q2, q3\n",
            "vqadd.s16 q2, q2, r10\n",
            "vqmovnb.s16 q2, q2\n",
            $clamp,
            "vstrb.16 q2, [r3], #8\n",
        )
    };
}

macro_rules! clamp {
    () => {
        "vmax.s8 q2, q2, q4\nvmin.s8 q2, q2, q5\n"
    };
}

/// A sum: the second operand scaled into q1 and q2, the first added.
macro_rules! sum {
    ($name:ident, $scale:expr, $output:expr, $clamp:expr) => {
        /// # Safety
        ///
        /// Both operands and the result must have eight values for each block, of which there is one at least.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(p: &Params, a: *const i8, b: *const i8, out: *mut i8, blocks: usize) {
            naked_asm!(
                enter!(),
                "2:",
                "vldrb.s16 q0, [r1], #8",
                "vldrb.s16 q1, [r2], #8",
                "vmovlb.s16 q2, q1",
                "vmovlt.s16 q3, q1",
                "vmlas.s32 q2, q6, r4",
                "vmlas.s32 q3, q6, r4",
                $scale,
                "vmovlt.s16 q3, q0",
                "vmovlb.s16 q0, q0",
                "vmlas.s32 q3, q7, r5",
                "vmlas.s32 q0, q7, r5",
                "vadd.i32 q0, q0, q1",
                "vadd.i32 q1, q3, q2",
                $output,
                store!($clamp),
                "le lr, 2b",
                leave!(),
            )
        }
    };
}

/// The second operand's factor with a shift, and without.
macro_rules! shifted {
    () => {
        concat!(scale!("q1", "q2", "r6", "r7"), scale!("q2", "q3", "r6", "r7"))
    };
}

macro_rules! unshifted {
    () => {
        "
        vqrdmulh.s32 q1, q2, r6
        vqrdmulh.s32 q2, q3, r6
        "
    };
}

sum!(sum, shifted!(), output!(), clamp!());
sum!(sum_rectified, shifted!(), output_rectified!(), "");
sum!(sum_unshifted, unshifted!(), output!(), clamp!());
sum!(sum_unshifted_rectified, unshifted!(), output_rectified!(), "");

/// # Safety
///
/// As for [`sum`].
#[unsafe(naked)]
unsafe extern "C" fn product(p: &Params, a: *const i8, b: *const i8, out: *mut i8, blocks: usize) {
    naked_asm!(
        enter!(),
        "2:",
        "vldrb.s16 q2, [r1], #8",
        "vldrb.s16 q3, [r2], #8",
        "vadd.i16 q2, q2, r5",
        "vadd.i16 q3, q3, r4",
        "vmullb.s16 q0, q2, q3",
        "vmullt.s16 q1, q2, q3",
        output!(),
        store!(clamp!()),
        "le lr, 2b",
        leave!(),
    )
}

/// One operand, its factor with a shift or without.
macro_rules! change {
    ($name:ident, $output:expr) => {
        /// # Safety
        ///
        /// As for [`sum`].
        #[unsafe(naked)]
        unsafe extern "C" fn $name(p: &Params, a: *const i8, b: *const i8, out: *mut i8, blocks: usize) {
            naked_asm!(
                enter!(),
                "2:",
                "vldrb.s16 q0, [r1], #8",
                "vmovlt.s16 q1, q0",
                "vmovlb.s16 q0, q0",
                "vmlas.s32 q1, q7, r5",
                "vmlas.s32 q0, q7, r5",
                $output,
                store!(""),
                "le lr, 2b",
                leave!(),
            )
        }
    };
}

change!(change, output!());
change!(change_unshifted, output_rectified!());
